#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use portolan_model::dns::{Change, Group, RecordSet};

use super::*;

const ZONE: &str = "example.com";

async fn start(dir: &Path) -> DurableDns {
    let server = DurableDns::start("127.0.0.1:0".parse().unwrap(), dir).await.unwrap();
    server.add_zone(&ZONE.into()).unwrap();
    server
}

fn create(set: &RecordSet) -> ChangeSet {
    ChangeSet { zone: ZONE.into(), groups: vec![Group { changes: vec![Change::create(set.clone())] }] }
}

#[tokio::test]
async fn what_was_reported_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let set = RecordSet::new("app.example.com", RecordType::A, Some(60), ["192.0.2.1"]);
    let server = start(dir.path()).await;
    assert_eq!(server.apply(&create(&set)).await, [GroupResult::Applied]);
    let token: Name = "_acme-challenge.app.example.com".into();
    server.add_value(&ZONE.into(), &token, RecordType::Txt, Some(1), "token").await.unwrap();
    let before = server.snapshot(&ZONE.into()).await.unwrap();
    drop(server);
    let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = start(dir.path()).await;
    assert_eq!(server.snapshot(&ZONE.into()).await.unwrap(), before, "serial included");
    assert!(server.visible("app.example.com", RecordType::A, "192.0.2.1").await);
    assert!(server.visible(&token, RecordType::Txt, "token").await);
}

#[tokio::test]
async fn what_cannot_be_saved_is_not_reported_as_made() {
    let dir = tempfile::tempdir().unwrap();
    let set = RecordSet::new("app.example.com", RecordType::A, None, ["192.0.2.1"]);
    let server = start(dir.path()).await;
    // A folder stands where the new file would be written.
    let blocked = dir.path().join(format!(".{FILE}.new"));
    std::fs::create_dir(&blocked).unwrap();
    assert!(matches!(&server.apply(&create(&set)).await[..], [GroupResult::Unknown { .. }]));
    assert!(matches!(server.snapshot(&ZONE.into()).await, Err(ProviderError::Unavailable { .. })));
    std::fs::remove_dir(blocked).unwrap();
    let sets = server.snapshot(&ZONE.into()).await.unwrap().sets;
    assert_eq!(sets.len(), 1, "it was made, and is saved now");
    drop(server);
    assert_eq!(start(dir.path()).await.snapshot(&ZONE.into()).await.unwrap().sets, sets);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), "{").unwrap();
    let error = DurableDns::start("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("dns.json") && error.contains("move the file away"), "{error}");
}
