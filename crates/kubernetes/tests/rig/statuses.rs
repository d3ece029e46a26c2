//! Statuses and events, as others see them.

use portolan_effects::store::{Event, EventKind, ObjectStore as _};
use portolan_kubernetes::{
    Api, Followed, Options,
    client::{APPLY, MERGE},
};
use portolan_model::{Instant, ObjectKey};
use serde_json::{Value, json};

use super::{client, eventually, namespace, open, options};

const NOW: Instant = Instant(1_700_000_000_000);
const GROUP: &str = "gateway.networking.k8s.io";

fn entry(controller: &str, gateway: &str, status: &str) -> Value {
    json!({"controllerName": controller, "parentRef": {"name": gateway}, "conditions": [
        {"type": "Accepted", "status": status, "reason": "Accepted", "message": "", "observedGeneration": 1,
         "lastTransitionTime": "2026-11-01T00:00:00Z"}]})
}

#[tokio::test]
async fn entries_of_other_controllers_stay_while_both_write() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "statuses").await;
    let follow = vec![Followed::whole(GROUP, "HTTPRoute", &["v1"])];
    let store =
        open(&client, Options { controllers: ["portolan.dev/gateway".into()].into(), ..options(follow) })
            .await;
    let path = "/apis/gateway.networking.k8s.io/v1/namespaces/statuses/httproutes/shop";
    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "shop", "namespace": "statuses"},
        "spec": {"parentRefs": [{"name": "edge"}, {"name": "other"}]}});
    api.patch(&format!("{path}?fieldManager=somebody"), APPLY, &route).await.expect("a route");
    let key = ObjectKey::new(GROUP, "HTTPRoute", "statuses", "shop");
    eventually("it is seen", async || store.get(&key).await.expect("read").is_some()).await;
    let live = async || api.get(path).await.expect("there");
    let generation = live().await["metadata"]["generation"].clone();
    // Theirs is written over and over while ours is: each write of either is a conflict for the other.
    for round in 0..10 {
        let word = if round % 2 == 0 { "True" } else { "False" };
        let mut parents = live().await["status"]["parents"].as_array().cloned().unwrap_or_default();
        parents.retain(|parent| parent["controllerName"] != "example.com/other");
        parents.push(entry("example.com/other", "other", word));
        let theirs = json!({"status": {"parents": parents}});
        let mine = json!({"parents": [entry("portolan.dev/gateway", "edge", word)]});
        let mut written = false;
        let theirs_at = format!("{path}/status");
        let (answer, changed) = tokio::join!(
            api.patch(&theirs_at, MERGE, &theirs),
            store.set_status(&key, Some(mine), NOW.plus_millis(round * 1000))
        );
        answer.expect("theirs is written");
        changed.expect("ours is taken");
        eventually("both are there", async || {
            let seen = live().await;
            let of = |controller: &str| {
                let parents = seen["status"]["parents"].as_array().cloned().unwrap_or_default();
                parents.into_iter().find(|parent| parent["controllerName"] == *controller)
            };
            let word_of =
                |parent: Option<Value>| parent.map(|parent| parent["conditions"][0]["status"].clone());
            written = word_of(of("portolan.dev/gateway")) == Some(json!(word));
            // Theirs may have written over ours from what they had read, as a careless controller does: asked again, ours comes.
            if !written {
                let again = json!({"parents": [entry("portolan.dev/gateway", "edge", word)]});
                store.set_status(&key, Some(again), NOW).await.expect("taken");
            }
            written && word_of(of("example.com/other")) == Some(json!(word))
        })
        .await;
    }
    // Ours goes, theirs stays; a status is no new generation.
    store.set_status(&key, None, NOW).await.expect("taken");
    eventually("only theirs is there", async || {
        let parents = live().await["status"]["parents"].clone();
        parents
            .as_array()
            .is_some_and(|all| all.len() == 1 && all[0]["controllerName"] == "example.com/other")
    })
    .await;
    assert_eq!(live().await["metadata"]["generation"], generation);
}

#[tokio::test]
async fn a_status_that_is_so_already_is_not_written_and_who_does_not_lead_writes_none() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    let follow = || vec![Followed::whole(GROUP, "GatewayClass", &["v1"])];
    let path = "/apis/gateway.networking.k8s.io/v1/gatewayclasses/ours";
    let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "ours"},
        "spec": {"controllerName": "portolan.dev/gateway"}});
    api.patch(&format!("{path}?fieldManager=somebody"), APPLY, &class).await.expect("a class");
    let key = ObjectKey::new(GROUP, "GatewayClass", "", "ours");
    let (leader, follower) = (open(&client, options(follow())).await, open(&client, options(follow())).await);
    follower.lead(false);
    for store in [&leader, &follower] {
        eventually("it is seen", async || store.get(&key).await.expect("read").is_some()).await;
    }
    let accepted = |status: &str| {
        Some(
            json!({"conditions": [{"type": "Accepted", "status": status, "reason": "Accepted", "message": "", "observedGeneration": 1}]}),
        )
    };
    let live = async || api.get(path).await.expect("there");
    let word = async || {
        live().await["status"]["conditions"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["type"] == "Accepted").map(|one| one["status"].clone()))
    };
    assert!(follower.set_status(&key, accepted("True"), NOW).await.expect("taken"));
    assert!(leader.set_status(&key, accepted("True"), NOW).await.expect("taken"));
    eventually("the leader writes", async || word().await == Some(json!("True"))).await;
    let version = live().await["metadata"]["resourceVersion"].clone();
    assert!(!leader.set_status(&key, accepted("True"), NOW.plus_millis(9000)).await.expect("taken"));
    // It takes over, with what it wanted all the while: which is so already.
    follower.lead(true);
    let theirs = json!({"status": {"conditions": [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1, "lastTransitionTime": NOW.rfc3339()},
        {"type": "example.com/Seen", "status": "True", "reason": "Seen", "message": "", "lastTransitionTime": NOW.rfc3339()}]}});
    assert_eq!(live().await["metadata"]["resourceVersion"], version, "nothing is written that is so already");
    api.patch(&format!("{path}/status"), MERGE, &theirs).await.expect("theirs");
    assert!(follower.set_status(&key, accepted("False"), NOW).await.expect("taken"));
    eventually("it writes", async || word().await == Some(json!("False"))).await;
    let kinds: Vec<Value> = live().await["status"]["conditions"]
        .as_array()
        .expect("conditions")
        .iter()
        .map(|one| one["type"].clone())
        .collect();
    assert!(kinds.contains(&json!("example.com/Seen")), "{kinds:?}");
}

#[tokio::test]
async fn events_stand_on_the_users_object_once() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "events").await;
    let store = open(&client, options(vec![Followed::whole(GROUP, "HTTPRoute", &["v1"])])).await;
    let event = |note: &str| Event {
        regarding: ObjectKey::new(GROUP, "HTTPRoute", "events", "shop"),
        kind: EventKind::Warning,
        reason: "PTL-0201".into(),
        note: note.into(),
    };
    for second in 0..3 {
        store.record(event("one"), NOW.plus_millis(second * 1000)).await.expect("taken");
    }
    store.record(event("other"), NOW).await.expect("taken");
    let path = "/apis/events.k8s.io/v1/namespaces/events/events";
    let told = async || api.get(path).await.expect("listed")["items"].as_array().cloned().unwrap_or_default();
    eventually("both are told", async || told().await.len() == 2).await;
    for told in told().await {
        assert_eq!(told["regarding"]["kind"], "HTTPRoute");
        assert_eq!((&told["type"], &told["reason"]), (&json!("Warning"), &json!("PTL-0201")));
    }
    // A repetition is a series of the one that is there.
    eventually("the series is told", async || {
        store.record(event("one"), NOW.plus_millis(60_000)).await.expect("taken");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        told().await.iter().any(|told| told["series"]["count"].as_u64().is_some_and(|count| count > 3))
    })
    .await;
    assert_eq!(told().await.len(), 2);
}
