//! The work of one change is the same however many routes there are.

#[path = "../benches/routes/mod.rs"]
mod routes;

use routes::{Route, filled, route, secret};

fn work(number: usize) -> Vec<(&'static str, Vec<(&'static str, usize)>)> {
    let mut e = filled(number);
    let mut all = Vec::new();
    e.put(route(500, 7));
    all.push(("changed", e.step(0)));
    e.put(route(500, 7));
    all.push(("the same again", e.step(0)));
    e.put(secret(2));
    all.push(("rotated", e.step(0)));
    e.remove::<Route>(&route(500, 0).key);
    all.push(("removed", e.step(0)));
    e.put(route(500, 0));
    all.push(("added", e.step(0)));
    all.into_iter().map(|(what, changes)| (what, changes.work)).collect()
}

#[test]
fn one_change_does_the_same_work_at_1_000_and_at_5_000_routes() {
    let small = work(1_000);
    assert_eq!(small, work(5_000));
    let runs = |what: &str| {
        let (_, work) = small.iter().find(|(name, _)| *name == what).expect("played above");
        work.iter().map(|(_, runs)| runs).sum::<usize>()
    };
    // attachments, host_rules, two virtual hosts, backend_uses, route_status
    assert!((5..=7).contains(&runs("changed")), "{small:?}");
    assert_eq!(runs("the same again"), 0);
    // two listeners: tls and ready; nothing of the routes
    assert_eq!(runs("rotated"), 4);
}
