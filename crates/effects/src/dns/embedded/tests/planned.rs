//! The planner of `core` against the real server: plan, apply, ask, plan again.

use portolan_core::dns::{Settings, WantedRecord, plan, targets::record_sets};
use portolan_model::{
    Name,
    dns::{GroupResult, RecordType},
};

use super::server;
use crate::dns::{DnsProvider, EmbeddedDns};

async fn settle(server: &EmbeddedDns, wanted: &[WantedRecord], settings: &Settings) -> usize {
    let zone: Name = "example.com".into();
    let made = plan(wanted, &server.snapshot(&zone).await.unwrap(), settings);
    let results = server.apply(&made.change_set()).await;
    assert!(results.iter().all(|result| *result == GroupResult::Applied), "{results:?}");
    let again = plan(wanted, &server.snapshot(&zone).await.unwrap(), settings);
    assert!(again.is_empty(), "{again:#?}");
    results.len()
}

#[tokio::test]
async fn an_applied_plan_is_served_and_followed_by_an_empty_one() {
    let server = server(&[
        ("by-hand.example.com", RecordType::A, &["192.0.2.77"]),
        ("example.com", RecordType::Txt, &["v=spf1 -all"]),
    ])
    .await;
    let settings = Settings { owner: "dev-01".into(), ..Settings::default() };
    let desired = |name: &str, targets: &[&str], ttl| {
        record_sets(&name.into(), &targets.iter().copied(), ttl)
            .into_iter()
            .map(|set| WantedRecord { set, resource: "httproute/a/app".into() })
            .collect::<Vec<_>>()
    };
    let mut wanted = desired("app.example.com", &["127.77.0.1", "::1"], None);
    wanted.extend(desired("*.wild.example.com", &["127.77.0.1"], Some(60)));
    wanted.extend(desired("by-hand.example.com", &["127.77.0.1"], None));
    assert_eq!(settle(&server, &wanted, &settings).await, 3);
    let entry = "heritage=external-dns,external-dns/owner=dev-01,external-dns/resource=httproute/a/app";
    for (name, r#type, value) in [
        ("app.example.com", RecordType::A, "127.77.0.1"),
        ("app.example.com", RecordType::Aaaa, "::1"),
        ("a-app.example.com", RecordType::Txt, entry),
        ("aaaa-app.example.com", RecordType::Txt, entry),
        ("x.wild.example.com", RecordType::A, "127.77.0.1"),
        ("a-*.wild.example.com", RecordType::Txt, entry),
        ("by-hand.example.com", RecordType::A, "192.0.2.77"),
    ] {
        assert!(server.visible(name, r#type, value).await, "{name} {type} {value}");
    }
    assert_eq!(settle(&server, &wanted, &settings).await, 0);
    // The type of a name changes, then every desired record is withdrawn.
    let alias = desired("app.example.com", &["lb.example.net"], None);
    assert_eq!(settle(&server, &alias, &settings).await, 2, "one change of type, one deletion");
    assert!(server.visible("app.example.com", RecordType::Cname, "lb.example.net").await);
    settle(&server, &[], &settings).await;
    let left = server.snapshot(&"example.com".into()).await.unwrap().sets;
    let names: Vec<_> = left.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["by-hand.example.com", "example.com"], "only what others made is left");
}
