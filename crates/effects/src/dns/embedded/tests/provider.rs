use std::net::SocketAddr;

use portolan_model::dns::{Change, ChangeSet, Group, GroupResult, RecordSet, RecordType};

use super::server;
use crate::dns::{
    DnsProvider, contract,
    embedded::{Contents, EmbeddedDns, EmbeddedError, ZoneContents},
    query::{AskError, ask},
};

#[tokio::test]
async fn it_keeps_the_contract_of_providers() {
    let server = server(&[("kept.example.com", RecordType::A, &["192.0.2.1"])]).await;
    contract::check(&server, &"example.com".into()).await;
    contract::check(&server, &"sub.example.com".into()).await;
}

#[tokio::test]
async fn contents_survive_export_json_and_import() {
    let first = server(&[
        ("app.example.com", RecordType::A, &["192.0.2.1"]),
        ("a-app.example.com", RecordType::Txt, &["quo\"ted, ünï"]),
        ("*.x.sub.example.com", RecordType::Cname, &["app.example.com"]),
    ])
    .await;
    let contents = first.export();
    let text = serde_json::to_string(&contents).unwrap();
    let contents_again: Contents = serde_json::from_str(&text).unwrap();
    assert_eq!(contents_again, contents);
    assert!(!text.contains("portolan-ns"), "what the server makes itself is not content");
    let second =
        EmbeddedDns::start("127.0.0.1:0".parse().unwrap(), &["new.test".into()], &contents).await.unwrap();
    assert!(second.visible("app.example.com", RecordType::A, "192.0.2.1").await);
    assert!(second.visible("a-app.example.com", RecordType::Txt, "quo\"ted, ünï").await);
    assert!(second.visible("y.x.sub.example.com", RecordType::Cname, "app.example.com").await);
    assert_eq!(second.zones().await.unwrap(), ["example.com", "new.test", "sub.example.com"]);
    second.import(&contents).unwrap();
    let serials =
        |server: &EmbeddedDns| server.export().zones.iter().map(|zone| zone.serial).collect::<Vec<_>>();
    assert!(
        serials(&second).iter().zip(serials(&first)).all(|(new, old)| *new > old),
        "serials never go back"
    );
    assert_eq!(second.zones().await.unwrap(), ["example.com", "sub.example.com"]);
}

#[tokio::test]
async fn contents_that_cannot_be_served_are_refused_whole() {
    let server = server(&[("app.example.com", RecordType::A, &["192.0.2.1"])]).await;
    let before = server.export();
    let bad = |zone: &str, set| Contents {
        zones: vec![ZoneContents { zone: zone.into(), serial: 9, sets: vec![set] }],
    };
    for contents in [
        bad("example.com", RecordSet::new("a.example.com", RecordType::A, None, ["nonsense"])),
        bad("example.com", RecordSet::new("a.example.org", RecordType::A, None, ["192.0.2.1"])),
        bad("exa..mple.com", RecordSet::new("a.example.org", RecordType::A, None, ["192.0.2.1"])),
    ] {
        assert!(matches!(server.import(&contents), Err(EmbeddedError::Zone { .. })));
        assert_eq!(server.export(), before);
    }
}

#[tokio::test]
async fn changes_tick_and_the_serial_grows_only_when_something_changed() {
    let server = server(&[]).await;
    let mut changes = server.changes();
    let zone = "example.com".into();
    let serial = async || server.snapshot(&"example.com".into()).await.unwrap().serial;
    let before = serial().await;
    server.add_value(&zone, &"t.example.com".into(), RecordType::Txt, None, "one").await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert_eq!(serial().await, before + 1);
    server.add_value(&zone, &"t.example.com".into(), RecordType::Txt, None, "one").await.unwrap();
    server.remove_value(&zone, &"t.example.com".into(), RecordType::Txt, "two").await.unwrap();
    assert!(!changes.has_changed().unwrap());
    assert_eq!(serial().await, before + 1);
    server.add_zone(&"third.test".into()).unwrap();
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn sets_that_no_server_could_serve_are_refused() {
    let server = server(&[]).await;
    let long = "x".repeat(60_001);
    for (name, r#type, ttl, values) in [
        ("a.example.com", RecordType::A, None, vec!["::1"]),
        ("a.example.com", RecordType::Aaaa, None, vec!["192.0.2.1"]),
        ("a.example.com", RecordType::Cname, None, vec!["a.x", "b.x"]),
        ("a.example.com", RecordType::Cname, None, vec!["a..x"]),
        ("a.example.com", RecordType::A, None, vec![]),
        ("a.example.com", RecordType::A, Some(u32::MAX), vec!["192.0.2.1"]),
        ("a.example.com", RecordType::Txt, None, vec![long.as_str()]),
        ("portolan-ns.example.com", RecordType::A, None, vec!["192.0.2.1"]),
    ] {
        let set = RecordSet::new(name, r#type, ttl, values);
        let groups = vec![Group { changes: vec![Change::create(set)] }];
        let results = server.apply(&ChangeSet { zone: "example.com".into(), groups }).await;
        assert!(matches!(results[0], GroupResult::Refused { .. }), "{name} {type} {ttl:?}: {results:?}");
    }
    assert_eq!(server.snapshot(&"example.com".into()).await.unwrap().sets, []);
}

#[tokio::test]
async fn a_port_in_use_is_said_and_a_dropped_server_frees_it() {
    let first = server(&[]).await;
    let address = first.address();
    let second = EmbeddedDns::start(address, &[], &Contents::default()).await;
    let Err(error @ EmbeddedError::Bind { .. }) = second else { panic!("{second:?}") };
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    drop(first);
    for _ in 0..100 {
        // The tasks end at their next wake-up.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        if EmbeddedDns::start(address, &[], &Contents::default()).await.is_ok() {
            return;
        }
    }
    panic!("{address} was not freed");
}

#[tokio::test]
async fn what_nobody_serves_is_not_visible() {
    let server = server(&[("app.example.com", RecordType::A, &["192.0.2.1"])]).await;
    assert!(server.visible("APP.example.com.", RecordType::A, "192.0.2.1").await);
    assert!(!server.visible("app.example.com", RecordType::A, "192.0.2.2").await);
    assert!(!server.visible("app..example.com", RecordType::A, "192.0.2.1").await);
    let closed: SocketAddr = {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.local_addr().unwrap()
    };
    let both = [server.address(), closed];
    assert!(!crate::dns::query::visible(&both, "app.example.com", RecordType::A, "192.0.2.1").await);
    assert!(!crate::dns::query::visible(&[], "app.example.com", RecordType::A, "192.0.2.1").await);
    let error = ask(closed, "app.example.com", RecordType::A).await.unwrap_err();
    assert!(matches!(error, AskError::Unreachable { .. } | AskError::Silent { .. }), "{error}");
}
