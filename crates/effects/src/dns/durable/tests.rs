#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use portolan_model::dns::{Change, Content, Group, RecordSet};

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
    let mode = std::fs::metadata(dir.path().join(LOG)).unwrap().permissions().mode();
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
    server.refuse_writes(true).await;
    assert!(matches!(&server.apply(&create(&set)).await[..], [GroupResult::Unknown { .. }]));
    assert!(matches!(server.snapshot(&ZONE.into()).await, Err(ProviderError::Unavailable { .. })));
    server.refuse_writes(false).await;
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

/// The log is opened read-only in place of a disk that is full: every write to it fails.
impl DurableDns {
    async fn refuse_writes(&self, refuse: bool) {
        let files = self.saving.lock().await;
        let path = self.dir.join(LOG);
        let file = std::fs::OpenOptions::new().read(true).write(!refuse).open(path).unwrap();
        files.lock().unwrap().log.replace_file(file);
    }
}

fn many(count: usize, address: &str) -> ChangeSet {
    let set = |n| RecordSet::new(format!("h{n}.example.com"), RecordType::A, None, [address]);
    let change =
        |n| Change { precondition: portolan_model::dns::Precondition::Any, content: Content::Set(set(n)) };
    ChangeSet { zone: ZONE.into(), groups: (0..count).map(|n| Group { changes: vec![change(n)] }).collect() }
}

#[tokio::test]
async fn a_change_writes_as_many_bytes_among_many_names_as_among_few() {
    let one = RecordSet::new("one.example.com", RecordType::A, None, ["192.0.2.1"]);
    let mut written = Vec::new();
    for count in [10, 1500] {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path()).await;
        server.apply(&many(count, "192.0.2.9")).await;
        let before = server.written();
        server.apply(&create(&one)).await;
        written.push(server.written() - before);
    }
    // The serials have one and four digits.
    assert!(written[1] - written[0] < 10 && written[0] > 50, "{written:?}");
}

/// What is appended at once is there whole or not at all, wherever the machine stops.
#[tokio::test]
async fn a_torn_end_is_cut_off_and_damage_before_it_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path()).await;
    let mut ends = Vec::new();
    let mut states = vec![server.snapshot(&ZONE.into()).await.unwrap()];
    for n in 1..4 {
        server.apply(&many(n, &format!("192.0.2.{n}"))).await;
        ends.push(std::fs::metadata(dir.path().join(LOG)).unwrap().len());
        states.push(server.snapshot(&ZONE.into()).await.unwrap());
    }
    drop(server);
    let log = std::fs::read(dir.path().join(LOG)).unwrap();
    for cut in 0..=log.len() {
        std::fs::write(dir.path().join(LOG), &log[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        let server = start(dir.path()).await;
        let (found, wanted) = (server.snapshot(&ZONE.into()).await.unwrap(), &states[whole]);
        assert_eq!(found.sets, wanted.sets, "cut at {cut}");
        assert_eq!(
            std::fs::metadata(dir.path().join(LOG)).unwrap().len(),
            whole.checked_sub(1).map_or(0, |n| ends[n])
        );
    }
    let mut damaged = log.clone();
    damaged[20] ^= 1;
    std::fs::write(dir.path().join(LOG), damaged).unwrap();
    let error = DurableDns::start("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("dns.log") && error.contains("line 1 is damaged"), "{error}");
}

/// The log is folded into the file that holds everything when it has outgrown it; a log that was not emptied any more is
/// played over what has it already.
#[tokio::test]
async fn an_outgrown_log_is_folded_in() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path()).await;
    let mut before = Vec::new();
    for round in 0_u8..20 {
        before = std::fs::read(dir.path().join(LOG)).unwrap();
        server.apply(&many(300, &format!("192.0.2.{round}"))).await;
        if dir.path().join(FILE).exists() {
            break;
        }
    }
    assert!(before.len() > 100_000, "it grew first: {}", before.len());
    assert_eq!(std::fs::metadata(dir.path().join(LOG)).unwrap().len(), 0);
    let state = server.snapshot(&ZONE.into()).await.unwrap();
    drop(server);
    assert_eq!(start(dir.path()).await.snapshot(&ZONE.into()).await.unwrap(), state);
    // Names in it that did not change after it was written.
    let same: Vec<u8> = {
        let server = start(dir.path()).await;
        server.apply(&create(&RecordSet::new("x.example.com", RecordType::A, None, ["192.0.2.1"]))).await;
        std::fs::read(dir.path().join(LOG)).unwrap()
    };
    let server = start(dir.path()).await;
    let state = server.snapshot(&ZONE.into()).await.unwrap();
    let saving = server.saving.lock().await;
    server.compact(&saving).await;
    drop(saving);
    drop(server);
    std::fs::write(dir.path().join(LOG), same).unwrap();
    assert_eq!(start(dir.path()).await.snapshot(&ZONE.into()).await.unwrap(), state);
}

#[tokio::test]
async fn a_zone_that_was_taken_into_a_wider_one_stays_there() {
    let dir = tempfile::tempdir().unwrap();
    let (narrow, wide): (Name, Name) = ("shop.example.com".into(), ZONE.into());
    let server = DurableDns::start("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap();
    server.add_zone(&narrow).unwrap();
    let set = RecordSet::new("a.shop.example.com", RecordType::A, Some(60), ["192.0.2.1"]);
    let made = ChangeSet { zone: narrow.clone(), ..create(&set) };
    assert_eq!(server.apply(&made).await, [GroupResult::Applied]);
    assert!(server.widen(&narrow, &wide).unwrap());
    assert!(!server.widen(&narrow, &wide).unwrap(), "it is served no more");
    assert_eq!(server.zone_names(), std::slice::from_ref(&wide));
    assert!(server.visible(&set.name, RecordType::A, "192.0.2.1").await);
    let before = server.snapshot(&wide).await.unwrap();
    assert_eq!(before.sets, [set]);
    drop(server);
    let server = DurableDns::start("127.0.0.1:0".parse().unwrap(), dir.path()).await.unwrap();
    assert_eq!(server.zone_names(), std::slice::from_ref(&wide), "also after a restart");
    assert_eq!(server.snapshot(&wide).await.unwrap(), before);
    // It may come back, and is another then.
    server.add_zone(&narrow).unwrap();
    assert_eq!(server.snapshot(&narrow).await.unwrap().sets, []);
}
