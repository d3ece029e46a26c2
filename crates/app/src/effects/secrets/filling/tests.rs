//! Which answers count, without an engine.

use std::collections::BTreeMap;

use portolan_effects::sealed::Unexecuted;
use portolan_model::{Object, Origin, intake::Fact, intake::intake};
use serde_json::json;

use super::*;

fn filling() -> Filling {
    let wake: Wake = Arc::new(|| {});
    Filling::new(Templates::new(Err("no engine".to_owned()), "/nonexistent".into()), &wake)
}

fn row(name: &str, template: &str) -> Arc<UnsealWanted> {
    let json = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": name, "namespace": "n"},
        "spec": {"encryptedData": {"user": "AAAA"}, "template": {"data": {"a": template}}},
    });
    let object = Object::from_json(json, Origin::default()).expect("it has kind and name");
    let Some(Fact::SealedSecret(sealed)) = intake(&object).fact else { panic!("it is a SealedSecret") };
    let over = portolan_core::secrets::rows::Over::default();
    Arc::new(UnsealWanted { key: NamespacedName::new("n", name), sealed, over })
}

fn values() -> Values {
    BTreeMap::from([("user".into(), Redacted::new(b"x".to_vec()))])
}

/// Begins all that there is room for, without an engine.
fn tickets(filling: &mut Filling) -> Vec<Ticket<NamespacedName>> {
    filling.rows.begin(Instant::now()).into_iter().map(|work| work.ticket).collect()
}

fn failed(again: bool) -> Executed {
    Err(Unexecuted { why: BTreeMap::from([("a".into(), "why".to_owned())]), again })
}

/// The SealedSecret was edited while its template was executed, and could not be opened any more.
#[test]
fn what_came_of_an_earlier_text_does_not_count() {
    let mut filling = filling();
    let (old, new) = (row("s", "{{ .user }}"), row("s", "{{ .user }}!"));
    filling.want(&old, values());
    let ticket = tickets(&mut filling).pop().expect("there is room");
    filling.forget(&old.key);
    assert!(filling.is_idle());
    assert_eq!(filling.answered((ticket, Ok(values()))), None);
    assert!(filling.done.is_empty());

    filling.want(&old, values());
    let ticket = tickets(&mut filling).pop().expect("there is room");
    filling.want(&new, values());
    assert_eq!(filling.answered((ticket, Ok(values()))), None);
    assert!(!filling.is_idle() && filling.done.is_empty());
    let ticket = tickets(&mut filling).pop().expect("there is room");
    assert_eq!(filling.answered((ticket, Ok(values()))), Some(new));
    assert!(filling.is_idle() && filling.values.is_empty());
}

#[test]
fn what_was_stopped_is_tried_again_and_what_is_wrong_is_not() {
    let mut filling = filling();
    let row = row("s", "{{ .user }}");
    filling.want(&row, values());
    let ticket = tickets(&mut filling).pop().expect("there is room");
    assert_eq!(filling.answered((ticket, failed(true))), Some(Arc::clone(&row)));
    assert!(filling.is_idle(), "its finding is told");
    assert!(filling.due().is_some() && filling.values.contains_key(&row.key));
    filling.want(&row, values());
    assert!(filling.is_idle(), "asking again does not hurry it");

    filling.rows.hurry(Instant::now());
    let ticket = tickets(&mut filling).pop().expect("it is due");
    assert_eq!(filling.answered((ticket, failed(false))), Some(Arc::clone(&row)));
    assert!(filling.due().is_none() && filling.values.is_empty());
    filling.want(&row, values());
    assert!(filling.due().is_none(), "it fails each time");
}

#[test]
fn few_engines_run_at_once() {
    let mut filling = filling();
    for n in 0..100 {
        filling.want(&row(&format!("s{n}"), "{{ .user }}"), values());
    }
    let (mut held, mut all) = (tickets(&mut filling), 0);
    assert!((1..=MOST).contains(&held.len()), "{}", held.len());
    assert!(tickets(&mut filling).is_empty());
    while let Some(ticket) = held.pop() {
        assert!(filling.answered((ticket, Ok(values()))).is_some());
        all += 1;
        held.extend(tickets(&mut filling));
        assert!(held.len() <= MOST);
    }
    assert_eq!(all, 100);
    assert!(filling.is_idle());
}

/// Nothing answers: what is waited for ends with the instant, however many rows there are.
#[tokio::test]
async fn all_rows_are_waited_for_together() {
    let mut filling = filling();
    for n in 0..100 {
        filling.want(&row(&format!("s{n}"), "{{ .user }}"), values());
    }
    let held = tickets(&mut filling);
    assert!(filling.wait(Instant::now()).is_empty() && !filling.is_idle());
    drop(held);
}
