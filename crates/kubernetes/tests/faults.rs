//! What a real API server cannot be made to do at will: an API server on loopback that fails as it is told to.

#[path = "faults/server.rs"]
mod server;

use std::time::Duration;

use portolan_effects::store::{Event, EventKind, ObjectStore as _, View, Watch, Write, Written};
use portolan_kubernetes::{Followed, KubernetesStore, Options};
use portolan_model::{Instant, Kind, Object, ObjectKey, Origin};
use serde_json::{Value, json};
use server::{Fault, Server, THINGS};

const NOW: Instant = Instant(1_700_000_000_000);
const LISTS: &str = "GET /apis/test.dev/v1/things?limit";
const WATCHES: &str = "GET /apis/test.dev/v1/things?watch";

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("test.dev", "Thing", "ns", name)
}

fn options() -> Options {
    Options {
        silence: Duration::from_mins(1),
        least_wait: Duration::from_millis(20),
        most_wait: Duration::from_secs(1),
        refused_wait: Duration::from_millis(200),
        events_a_second: 1000,
        ..Options::new(vec![Followed::whole("test.dev", "Thing", &["v1"])])
    }
}

async fn open(server: &Server, options: Options) -> KubernetesStore {
    let store = KubernetesStore::open(server.client(), options).await;
    store.lead(true);
    store
}

/// It bounds a broken run and is no promise.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

async fn spec(store: &KubernetesStore, name: &str) -> Option<Value> {
    store.get(&key(name)).await.expect("read").map(|stored| stored.object.json["spec"]["n"].clone())
}

async fn watch(store: &KubernetesStore) -> Box<dyn Watch> {
    let (_, place) = store.list(None).await.expect("listed");
    store.watch(place).await.expect("watched")
}

fn spec_of(n: i64) -> Value {
    json!({"spec": {"n": n}})
}

fn apply(name: &str, n: i64) -> Write {
    let json = json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"name": name, "namespace": "ns"}, "spec": {"n": n}});
    Write::Apply(Box::new(Object::from_json(json, Origin::default()).expect("an object")), "portolan")
}

#[tokio::test]
async fn lists_are_paged_and_name_no_version() {
    let server = Server::start().await;
    for n in 0..25 {
        server.put(&format!("t{n:02}"), spec_of(n));
    }
    let store = open(&server, Options { page: 10, ..options() }).await;
    assert_eq!(store.list(None).await.expect("listed").0.len(), 25);
    let requests = server.requests();
    let lists: Vec<_> = requests.iter().filter(|request| request.starts_with(LISTS)).collect();
    assert_eq!(lists.len(), 3, "{lists:?}");
    assert!(lists.iter().all(|list| !list.contains("resourceVersion")), "{lists:?}");
    let watched = |request: &&String| request.starts_with(WATCHES);
    eventually("it is watched", async || server.asked(WATCHES) > 0).await;
    assert!(
        server
            .requests()
            .iter()
            .filter(watched)
            .all(|watch| watch.contains("allowWatchBookmarks=true") && !watch.contains("resourceVersion=0&"))
    );
    assert_eq!(Options::new(Vec::new()).page, 500);
}

#[tokio::test]
async fn a_version_that_is_too_old_in_the_middle_of_a_watch_is_listed_again() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.put(name, spec_of(1));
    }
    let store = open(&server, options()).await;
    let mut told = watch(&store).await;
    eventually("it is watched", async || server.asked(WATCHES) > 0).await;
    // What happens while it is not told: one changes, one goes, one comes.
    server.fail(WATCHES, [Fault::Answer(500, 0), Fault::Answer(500, 0)]);
    server.fail(LISTS, [Fault::Answer(410, 0), Fault::Answer(500, 0), Fault::Page]);
    server.compact();
    server.put("a", spec_of(2));
    server.compact();
    server.remove("b");
    server.put("d", spec_of(4));
    server.compact();
    eventually("it is seen again", async || {
        spec(&store, "a").await == Some(json!(2))
            && spec(&store, "b").await.is_none()
            && spec(&store, "d").await.is_some()
    })
    .await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let change =
            tokio::time::timeout(Duration::from_secs(30), told.next()).await.expect("told").expect("told");
        seen.push((change.key.name.name.to_string(), change.deleted));
    }
    seen.sort();
    assert_eq!(
        seen,
        [("a".into(), false), ("b".into(), true), ("d".into(), false)],
        "each once, and what is unchanged not at all"
    );
    server.put("c", spec_of(9));
    eventually("and it is followed on", async || spec(&store, "c").await == Some(json!(9))).await;
    assert_eq!(store.views().await[&Kind::new("test.dev", "Thing")], View::Whole);
}

#[tokio::test]
async fn errors_in_the_middle_and_ends_and_what_is_no_event_lose_nothing() {
    let server = Server::start().await;
    let store = open(&server, options()).await;
    let error =
        json!({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd is busy"}});
    let expired = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}});
    eventually("it is watched", async || server.asked(WATCHES) > 0).await;
    server.fail(
        WATCHES,
        [
            Fault::Event(error),
            Fault::Event(json!("nonsense")),
            Fault::Event(json!({"type": "UNHEARD", "object": {}})),
            Fault::Event(expired),
            Fault::LostReply,
            Fault::Page,
            Fault::Answer(429, 1),
        ],
    );
    // The first watch ends, and all of these come after it.
    server.compact();
    server.put("x", spec_of(0));
    server.compact();
    eventually("all faults were met", async || {
        server.put("x", spec_of(i64::try_from(server.left()).unwrap_or(0) + 1000));
        server.left() == 0
    })
    .await;
    server.put("x", spec_of(7));
    eventually("it is seen", async || spec(&store, "x").await == Some(json!(7))).await;
}

#[tokio::test]
async fn a_watch_on_which_nothing_comes_is_begun_again() {
    let server = Server::start().await;
    server.fail(WATCHES, [Fault::Silence, Fault::Silence]);
    let store = open(&server, Options { silence: Duration::from_millis(300), ..options() }).await;
    eventually("it is watched", async || server.asked(WATCHES) > 0).await;
    server.put("a", spec_of(1));
    eventually("it is seen", async || spec(&store, "a").await.is_some()).await;
    assert_eq!(server.asked(LISTS), 1, "what was listed is not listed again");
}

#[tokio::test]
async fn a_server_that_is_away_loses_nothing_and_is_not_hammered() {
    let server = Server::start().await;
    server.put("a", spec_of(1));
    let store = open(&server, options()).await;
    eventually("it is watched", async || server.asked(WATCHES) > 0).await;
    let before = server.asked("GET ");
    server.compact();
    server.put("b", spec_of(1));
    server.compact();
    server.fail("GET ", std::iter::repeat_n(Fault::Answer(503, 0), 12));
    let kind = Kind::new("test.dev", "Thing");
    eventually("it is said", async || matches!(store.views().await[&kind], View::Failing(_))).await;
    assert_eq!(spec(&store, "a").await, Some(json!(1)), "what was seen stays");
    eventually("it is seen again", async || spec(&store, "b").await.is_some()).await;
    assert_eq!(store.views().await[&kind], View::Whole);
    let asked = server.asked("GET ") - before;
    assert!(asked < 25, "{asked} requests for 12 failures");
}

#[tokio::test]
async fn who_is_told_to_wait_waits() {
    let server = Server::start().await;
    let store = open(&server, options()).await;
    server.fail("PATCH ", [Fault::Answer(429, 1), Fault::Answer(503, 1)]);
    let begun = tokio::time::Instant::now();
    let done = store.write(vec![apply("a", 1)], NOW).await.expect("told");
    assert_eq!(done, [Written::Created(key("a"))]);
    // At least: no load makes it less.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(server.asked("PATCH "), 3);
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_done_once() {
    let server = Server::start().await;
    let store = open(&server, options()).await;
    let mut told = watch(&store).await;
    server.fail("PATCH ", [Fault::LostReply]);
    assert_eq!(store.write(vec![apply("a", 1)], NOW).await.expect("told").len(), 1);
    let made = server.object("a").expect("it is there");
    assert_eq!(made["metadata"]["generation"], 1);
    // Sent twice, changed once.
    assert_eq!(server.asked("PATCH "), 2);
    assert_eq!(told.next().await.expect("told").key, key("a"));
    server.fail("PATCH ", [Fault::LostReply]);
    store.write(vec![apply("a", 2)], NOW).await.expect("told");
    assert_eq!(server.object("a").expect("it is there")["metadata"]["generation"], 2);
    // The object is gone with the first request; nothing of the name is removed by the second.
    server.fail("DELETE ", [Fault::LostReply]);
    assert_eq!(
        store.write(vec![Write::Delete(key("a"), "portolan")], NOW).await.expect("told"),
        [Written::Deleted(key("a"))]
    );
    assert!(server.object("a").is_none());
    server.fail("POST ", [Fault::LostReply]);
    let event = Event {
        regarding: key("a"),
        kind: EventKind::Normal,
        reason: "Made".into(),
        note: "it was made".into(),
    };
    store.record(event, NOW).await.expect("taken");
    eventually("it is told", async || server.asked("POST ") == 2).await;
    assert_eq!(server.events().len(), 1);
}

#[tokio::test]
async fn a_removal_is_of_what_was_seen() {
    let server = Server::start().await;
    let store = open(&server, options()).await;
    store.write(vec![apply("a", 1)], NOW).await.expect("told");
    // The reply is lost, and before it is sent again somebody makes an object of the name.
    server.fail("DELETE ", [Fault::LostReply]);
    let other = server.clone();
    let removing = store.write(vec![Write::Delete(key("a"), "portolan")], NOW);
    let making = async {
        eventually("it is removed", async || other.object("a").is_none()).await;
        other.put("a", spec_of(77));
    };
    let (_, ()) = tokio::join!(removing, making);
    assert_eq!(server.object("a").expect("theirs stays")["spec"]["n"], 77);
}

#[tokio::test]
async fn one_refused_write_harms_no_other() {
    let server = Server::start().await;
    let store = open(&server, options()).await;
    server.fail("PATCH /apis/test.dev/v1/namespaces/ns/things/bad", [Fault::Answer(422, 0)]);
    server.fail(
        "PATCH /apis/test.dev/v1/namespaces/ns/things/lost",
        std::iter::repeat_n(Fault::Answer(500, 0), 50),
    );
    let done = store
        .write(vec![apply("a", 1), apply("bad", 1), apply("lost", 1), apply("z", 1)], NOW)
        .await
        .expect("told");
    assert_eq!((&done[0], &done[3]), (&Written::Created(key("a")), &Written::Created(key("z"))));
    assert!(
        matches!(&done[1], Written::Failed(of, why) if *of == key("bad") && why.contains("422")),
        "{done:?}"
    );
    assert!(matches!(&done[2], Written::Failed(of, _) if *of == key("lost")), "{done:?}");
}

#[tokio::test]
async fn every_status_write_meets_a_conflict_and_arrives() {
    let server = Server::start().await;
    for n in 0..20 {
        server.put(&format!("s{n}"), spec_of(n));
    }
    let store = open(&server, options()).await;
    server.fail("PATCH ", std::iter::repeat_n(Fault::Answer(409, 0), 20));
    let status = |n: i64| json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Fine", "observedGeneration": n}]});
    for n in 0..20 {
        // Somebody else writes between: the version that was seen is not that of the object.
        let mut theirs = spec_of(n);
        theirs["status"] = json!({"conditions": [{"type": "example.com/Theirs", "status": "True"}]});
        server.put(&format!("s{n}"), theirs);
        assert!(store.set_status(&key(&format!("s{n}")), Some(status(n)), NOW).await.expect("taken"));
    }
    eventually("all arrive", async || {
        (0..20).all(|n| {
            let status = server.object(&format!("s{n}")).expect("there")["status"]["conditions"].clone();
            let kinds: Vec<&Value> =
                status.as_array().into_iter().flatten().map(|one| &one["type"]).collect();
            kinds.contains(&&json!("Ready")) && kinds.contains(&&json!("example.com/Theirs"))
        })
    })
    .await;
    // Each once more than it was refused, and none that is so already.
    let asked = server.asked("PATCH ");
    assert!((40..=60).contains(&asked), "{asked} patches for 20 statuses, each refused once");
    let version = |name: &str| server.object(name).expect("there")["metadata"]["resourceVersion"].clone();
    let before = version("s3");
    assert!(!store.set_status(&key("s3"), Some(status(3)), NOW.plus_millis(60_000)).await.expect("taken"));
    assert_eq!(version("s3"), before);
}

#[tokio::test]
async fn a_status_that_is_asked_for_often_is_written_as_asked_for_last() {
    let server = Server::start().await;
    server.put("s", spec_of(1));
    let store = open(&server, Options { statuses_a_second: 5, ..options() }).await;
    let asked = 200;
    for n in 0..asked {
        let status = json!({"conditions": [{"type": "Ready", "status": "True", "reason": format!("R{n}")}]});
        store.set_status(&key("s"), Some(status), NOW).await.expect("taken");
        tokio::task::yield_now().await;
    }
    let reason = || server.object("s").expect("there")["status"]["conditions"][0]["reason"].clone();
    eventually("the last arrives", async || reason() == json!(format!("R{}", asked - 1))).await;
    assert!(server.asked("PATCH ") < 20, "{} patches", server.asked("PATCH "));
    assert_eq!(server.asked(THINGS), 0, "a path is no request line");
}
