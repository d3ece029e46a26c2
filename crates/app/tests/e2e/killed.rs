//! An Envoy that is killed: the next one answers for every host from its first answer on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    instance::{Instance, envoy},
    restarts::{metric, ten_hosts},
};

/// Envoy opens a listener with the first scopes that it is sent. A host whose scope was not among them was answered 404, which is
/// what a removed host gets.
#[test]
fn the_next_envoy_knows_every_host_from_its_first_answer_on() {
    let Some(envoy) = envoy("e2e killed") else { return };
    let dir = ten_hosts();
    // A wildcard stands in every scope, which are so many that they were not sent in one.
    let wildcard = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: wild, namespace: team-a}\nspec:\n  \
                    parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  \
                    hostnames: [\"*.dev.example.com\"]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";
    std::fs::write(dir.path().join("wildcard.yaml"), wildcard).unwrap();
    let instance = Instance::start(dir, envoy);
    let live = || {
        instance.wait("11 hosts to be live", || {
            (metric(&instance, "portolan_entry_points_live")? >= 11.0).then_some(())
        });
    };
    live();
    let entry = instance.reach("h0.dev.example.com", "live");
    let stop = Arc::new(AtomicBool::new(false));
    // What is asked with a connection of its own each time: eight hosts in eight scopes.
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let entry = instance.reach(&format!("h{n}.dev.example.com"), "live");
            let (client, url) = (instance.client(&entry), entry["url"].as_str().unwrap().to_owned());
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let (mut served, mut wrong) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    // No answer at all is what nobody listening looks like.
                    match client.get(&url).header("connection", "close").send() {
                        Ok(answer) if answer.status() == 200 => served += 1,
                        Ok(answer) => wrong.push(format!("{url}: {}", answer.status())),
                        Err(_) => {}
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                (served, wrong)
            })
        })
        .collect();
    for _ in 0..3 {
        let pid = instance.envoy_pid();
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        assert!(killed.success());
        instance.wait("another Envoy to be recorded", || {
            let recorded = std::fs::read_to_string(instance.state.path().join("envoy.pid")).ok()?;
            (recorded.lines().next()?.parse::<i32>().ok()? != pid).then_some(())
        });
        let (client, url) = (instance.client(&entry), entry["url"].as_str().unwrap());
        instance.wait("an answer of it", || client.get(url).send().ok().map(|_| ()));
        live();
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let (served, wrong) = client.join().unwrap();
        assert!(wrong.is_empty(), "{} wrong answers: {:?}", wrong.len(), wrong.first());
        assert!(served > 0);
    }
}
