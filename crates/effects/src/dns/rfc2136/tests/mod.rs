#![allow(clippy::unwrap_used, clippy::panic, clippy::format_collect)]

mod relay;

use std::{path::Path, time::Duration};

use portolan_model::{
    Name, Redacted,
    dns::{Change, ChangeSet, Content, Group, GroupResult, Precondition, RecordSet, RecordType},
};
use portolan_testkit::{Bind, BindZone, skip};

use self::relay::Relay;
use super::{
    super::{DnsProvider, ProviderError, contract},
    Algorithm, Key, Rfc2136, Settings, transfer, update,
};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OWN: &str = "allow-update { key own; }; allow-transfer { key own; };";
const MISSING: &str = "named is missing; scripts/setup test brings it";

fn zone<'a>(name: &'a str, options: &'a str, records: &'a str) -> BindZone<'a> {
    BindZone { name, options, records }
}

fn bind(folder: &Path, zones: &[BindZone<'_>]) -> Option<Bind> {
    let server =
        Bind::start(folder, &[("own", "hmac-sha256", SECRET), ("other", "hmac-sha256", SECRET)], zones);
    if server.is_none() {
        skip("dns rfc2136", MISSING);
    }
    server
}

fn key(name: &str, algorithm: Algorithm, secret: &str) -> Key {
    Key::new(name, algorithm, &Redacted::from(secret)).unwrap()
}

fn provider_with(server: std::net::SocketAddr, zones: &[&str], key: Option<Key>) -> Rfc2136 {
    let zones = zones.iter().map(|zone| Name::new(zone)).collect();
    Rfc2136::new(Settings::new(vec![server], zones, key)).unwrap()
}

fn provider(server: std::net::SocketAddr, zones: &[&str]) -> Rfc2136 {
    provider_with(server, zones, Some(key("own", Algorithm::Sha256, SECRET)))
}

fn a(name: &str, value: &str) -> RecordSet {
    RecordSet::new(name, RecordType::A, Some(60), [value])
}

fn group(changes: Vec<Change>) -> Group {
    Group { changes }
}

async fn apply(provider: &Rfc2136, zone: &str, groups: Vec<Group>) -> Vec<GroupResult> {
    provider.apply(&ChangeSet { zone: zone.into(), groups }).await
}

fn why(result: &GroupResult) -> &str {
    match result {
        GroupResult::Refused { why } | GroupResult::Unknown { why } => why,
        GroupResult::Applied => panic!("it was applied"),
    }
}

async fn sets(provider: &Rfc2136, zone: &str) -> Vec<RecordSet> {
    provider.snapshot(&zone.into()).await.unwrap().sets
}

#[tokio::test]
async fn bind_keeps_the_contract_of_providers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = bind(folder.path(), &[zone("example.test", OWN, "kept A 192.0.2.1")]) else { return };
    contract::check(&provider(server.address(), &["example.test"]), &"example.test".into()).await;
}

#[tokio::test]
async fn every_algorithm_of_the_library_signs() {
    let algorithms = [
        ("hmac-sha1", Algorithm::Sha1),
        ("hmac-sha256", Algorithm::Sha256),
        ("hmac-sha384", Algorithm::Sha384),
        ("hmac-sha512", Algorithm::Sha512),
    ];
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<_> = algorithms.iter().map(|(name, _)| (*name, *name, SECRET)).collect();
    let any = algorithms.map(|(name, _)| format!("key {name};")).concat();
    let options = format!("allow-update {{ {any} }}; allow-transfer {{ {any} }};");
    let Some(server) = Bind::start(folder.path(), &keys, &[zone("example.test", &options, "")]) else {
        return skip("dns rfc2136 algorithms", MISSING);
    };
    for (name, algorithm) in algorithms {
        let own = Some(key(name, algorithm, SECRET));
        let provider = provider_with(server.address(), &["example.test"], own);
        let set = a(&format!("{name}.example.test"), "192.0.2.1");
        let made = apply(&provider, "example.test", vec![group(vec![Change::create(set.clone())])]).await;
        assert_eq!(made, [GroupResult::Applied], "{name}");
        assert!(sets(&provider, "example.test").await.contains(&set), "{name}");
    }
}

#[tokio::test]
async fn what_a_server_refuses_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let partly = "allow-transfer { key own; }; update-policy { grant own name mine.partly.test. A; };";
    let zones = [
        zone("example.test", OWN, ""),
        zone("closed.test", "allow-transfer { key own; };", ""),
        zone("unread.test", "allow-update { key own; };", ""),
        zone("partly.test", partly, ""),
    ];
    let Some(server) = bind(folder.path(), &zones) else { return };
    let at = server.address();
    let own = provider(at, &["closed.test", "unread.test", "partly.test", "absent.test"]);
    let create = |name: &str| group(vec![Change::create(a(name, "192.0.2.1"))]);

    let made = apply(&own, "closed.test", vec![create("app.closed.test")]).await;
    assert!(why(&made[0]).contains("REFUSED") && why(&made[0]).contains("allow-update"), "{made:?}");
    let unread = own.snapshot(&"unread.test".into()).await.unwrap_err();
    assert!(matches!(&unread, ProviderError::Refused { why } if why.contains("allow-transfer")), "{unread}");
    let no_zone = ProviderError::NoSuchZone { zone: "absent.test".into() };
    assert_eq!(own.snapshot(&"absent.test".into()).await.unwrap_err(), no_zone);
    // One group that may not be made stops no other.
    let groups = vec![create("yours.partly.test"), create("mine.partly.test")];
    let made = apply(&own, "partly.test", groups).await;
    assert!(why(&made[0]).contains("REFUSED") && made[1] == GroupResult::Applied, "{made:?}");
    assert_eq!(
        sets(&own, "partly.test").await.iter().map(|set| &*set.name).collect::<Vec<_>>(),
        ["mine.partly.test", "ns.partly.test"]
    );

    let away = "QUJDREVGR0hJSktMTU5PUA==";
    for (key, word) in [
        (Some(key("own", Algorithm::Sha256, away)), "BADSIG"),
        (Some(key("nobody", Algorithm::Sha256, SECRET)), "BADKEY"),
        (Some(key("own", Algorithm::Sha512, SECRET)), "BADKEY"),
        (None, "REFUSED"),
    ] {
        let provider = provider_with(at, &["example.test"], key);
        let error = provider.snapshot(&"example.test".into()).await.unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains(SECRET) && !error.contains(away), "{error}");
        let made = apply(&provider, "example.test", vec![create("app.example.test")]).await;
        assert!(matches!(&made[0], GroupResult::Refused { why } if why.contains(word)), "{made:?}");
    }
    drop(server);
    let error = provider(at, &["example.test"]).snapshot(&"example.test".into()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unavailable { why } if why.contains("cannot be reached")),
        "{error}"
    );
}

#[tokio::test]
async fn the_server_itself_compares_and_nobody_elses_change_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let both = "allow-update { key own; key other; }; allow-transfer { key own; key other; };";
    let Some(server) = bind(folder.path(), &[zone("example.test", both, "")]) else { return };
    let zone = Name::new("example.test");
    let mine = provider(server.address(), &["example.test"]);
    let other =
        provider_with(server.address(), &["example.test"], Some(key("other", Algorithm::Sha256, SECRET)));
    let (old, new) = (a("app.example.test", "192.0.2.1"), a("app.example.test", "192.0.2.2"));
    let theirs = a("app.example.test", "192.0.2.9");
    apply(&mine, &zone, vec![group(vec![Change::create(old.clone())])]).await;
    let mut stale = None;
    let mut connection = mine.open().await.unwrap();
    transfer::refresh(&mut connection, &zone, &mut stale).await.unwrap();
    // The other writes between our reading and our writing.
    let made = apply(&other, &zone, vec![group(vec![Change::replace(old.clone(), theirs.clone())])]).await;
    assert_eq!(made, [GroupResult::Applied]);
    for change in [
        Change::replace(old.clone(), new.clone()),
        Change::delete(old),
        Change {
            precondition: Precondition::Absent,
            content: Content::Set(a("none.example.test", "192.0.2.1")),
        },
    ] {
        let absent = change.precondition == Precondition::Absent;
        if absent {
            let taken = a("none.example.test", "192.0.2.3");
            apply(&other, &zone, vec![group(vec![Change::create(taken)])]).await;
        }
        let made = update::of_group(&zone, &[change], stale.as_ref().unwrap(), &update::Made::new(), 300);
        let mut connection = mine.open().await.unwrap();
        let failure = connection.ask(made.unwrap().message).await.unwrap_err();
        let code = format!("{failure:?}");
        assert!(code.contains(if absent { "YXRRSET" } else { "NXRRSET" }), "{code}");
    }
    assert!(sets(&mine, &zone).await.contains(&theirs));
}

#[tokio::test]
async fn records_of_others_stay_and_an_alias_is_not_made_by_halves() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        "mail MX 10 mail\nmail A 192.0.2.7\nmx MX 10 mail\nmany TXT \"theirs\"\nmany TXT \"cut\" \" here\"";
    let Some(server) = bind(folder.path(), &[zone("example.test", OWN, records)]) else { return };
    let zone = Name::new("example.test");
    let own = provider(server.address(), &["example.test"]);
    let before = sets(&own, &zone).await;
    // The server would leave this out in silence.
    let alias = RecordSet::new("mx.example.test", RecordType::Cname, Some(60), ["lb.example.net"]);
    let made = apply(&own, &zone, vec![group(vec![Change::create(alias)])]).await;
    assert!(why(&made[0]).contains("an alias stands alone"), "{made:?}");
    let many = Name::new("many.example.test");
    own.add_value(&zone, &many, RecordType::Txt, Some(60), "ours").await.unwrap();
    let held = own.snapshot_of(&zone, &[many.clone()].into()).await.unwrap().unwrap().sets;
    assert_eq!(held[0].values, ["cut here", "ours", "theirs"]);
    assert_eq!(held[0].ttl, Some(300), "an existing set keeps its TTL");
    own.remove_value(&zone, &many, RecordType::Txt, "ours").await.unwrap();
    assert_eq!(sets(&own, &zone).await, before);
    // A text that somebody else cut at another place is still that text.
    let set = before.iter().find(|set| set.name == many).unwrap();
    let less = RecordSet::new(many.clone(), RecordType::Txt, Some(300), ["theirs"]);
    let made = apply(&own, &zone, vec![group(vec![Change::replace(set.clone(), less.clone())])]).await;
    assert_eq!(made, [GroupResult::Applied]);
    own.add_value(&zone, &many, RecordType::Txt, None, "cut here").await.unwrap();
    own.remove_value(&zone, &many, RecordType::Txt, "cut here").await.unwrap();
    assert!(sets(&own, &zone).await.contains(&less));
}

#[tokio::test]
async fn a_change_costs_the_change_and_a_restart_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let records: String = (0..3000).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
    let zones = [zone("example.test", OWN, &records)];
    let Some(server) = bind(folder.path(), &zones) else { return };
    let relay = Relay::start(server.address()).await;
    let own = provider(relay.address(), &["example.test"]);
    assert_eq!(sets(&own, "example.test").await.len(), 3001);
    let whole = relay.came();
    assert!(whole > 60_000, "the zone has {whole} bytes");
    let create = group(vec![Change::create(a("new.example.test", "192.0.2.1"))]);
    assert_eq!(apply(&own, "example.test", vec![create]).await, [GroupResult::Applied]);
    assert_eq!(sets(&own, "example.test").await.len(), 3002);
    let change = relay.came() - whole;
    assert!(change < 3000, "reading it four times took {change} bytes");

    let address = server.address();
    drop(server);
    let keys = [("own", "hmac-sha256", SECRET)];
    let _again = Bind::start_at(address, folder.path(), &keys, &zones).unwrap();
    let read = sets(&own, "example.test").await;
    assert_eq!(read.len(), 3002, "what was answered stood in its journal");
}

#[tokio::test]
async fn answers_that_are_lost_cut_or_late_are_no_facts() {
    let folder = tempfile::tempdir().unwrap();
    let records: String = (0..3000).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
    let Some(server) = bind(folder.path(), &[zone("example.test", OWN, &records)]) else { return };
    let relay = Relay::start(server.address()).await;
    let mut settings = provider(relay.address(), &["example.test"]).settings().clone();
    settings.patience = Duration::from_secs(2);
    let own = Rfc2136::new(settings).unwrap();

    // A transfer that is cut is no zone.
    relay.cut_after(20_000);
    let error = own.snapshot(&"example.test".into()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unavailable { why } if why.contains("closed the connection")),
        "{error}"
    );
    assert!(own.known().await.is_empty(), "half a zone is none");
    relay.pass();
    assert_eq!(sets(&own, "example.test").await.len(), 3001);

    // The answer to an update is lost: what stands says whether it was made.
    relay.swallow_updates();
    let create = |name: &str| group(vec![Change::create(a(name, "192.0.2.1"))]);
    let made = apply(&own, "example.test", vec![create("lost.example.test")]).await;
    assert_eq!(made, [GroupResult::Applied], "the zone holds it");
    // The update itself is lost.
    relay.drop_updates();
    let made = apply(&own, "example.test", vec![create("never.example.test")]).await;
    assert!(matches!(&made[0], GroupResult::Unknown { why } if !why.is_empty()), "{made:?}");

    // After the first that is not answered nothing more is sent: each would be waited for.
    let three = ["never", "after", "last"].map(|name| create(&format!("{name}.example.test"))).to_vec();
    let made = apply(&own, "example.test", three).await;
    assert!(matches!(&made[0], GroupResult::Unknown { .. }), "{made:?}");
    for one in &made[1..] {
        assert!(matches!(one, GroupResult::Refused { why } if why.starts_with("not sent: ")), "{made:?}");
    }

    // A server that says nothing is not waited for.
    relay.stall();
    let error = own.snapshot(&"example.test".into()).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unavailable { why } if why.contains("did not answer within 2 s")),
        "{error}"
    );
    relay.pass();
    let names: Vec<_> = sets(&own, "example.test").await.into_iter().map(|set| set.name).collect();
    assert!(names.contains(&"lost.example.test".into()) && !names.contains(&"never.example.test".into()));
}

#[tokio::test]
async fn one_record_a_message_is_read_as_well() {
    let folder = tempfile::tempdir().unwrap();
    // The options of a zone end before those of a server begin.
    let options = format!("{OWN} }}; server 127.0.0.1 {{ transfer-format one-answer;");
    let Some(server) = bind(folder.path(), &[zone("example.test", &options, "")]) else { return };
    let own = provider(server.address(), &["example.test"]);
    let other = provider(server.address(), &["example.test"]);
    assert_eq!(sets(&own, "example.test").await.len(), 1);
    for name in ["one.example.test", "two.example.test"] {
        let made = vec![group(vec![Change::create(a(name, "192.0.2.1"))])];
        assert_eq!(apply(&other, "example.test", made).await, [GroupResult::Applied], "{name}");
        assert!(sets(&own, "example.test").await.contains(&a(name, "192.0.2.1")), "{name}");
    }
}

#[test]
fn zones_that_are_not_in_normal_form_are_refused() {
    let at = "127.0.0.1:53".parse().unwrap();
    for name in ["Lab.test", "lab.test.", "a..test", ""] {
        let settings = Settings::new(vec![at], vec![Name::new(name)], None);
        assert!(Rfc2136::new(settings).is_err(), "{name}");
    }
}
