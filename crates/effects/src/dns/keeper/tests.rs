#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use portolan_core::dns::{WantedRecord, observe::published, targets::record_sets};
use portolan_model::dns::{Change, ChangeSet, Content, Group, GroupResult, RecordSet, RecordType, Snapshot};

use super::*;
use crate::dns::{Capabilities, EmbeddedDns, ProviderError, embedded::Contents};

const ZONE: &str = "example.com";

/// The embedded server, the first few calls of which fail.
struct Shaky {
    inner: EmbeddedDns,
    failures: AtomicUsize,
    /// How often a zone was read.
    reads: AtomicUsize,
    /// How often it was read whole.
    whole: AtomicUsize,
}

impl Shaky {
    async fn start(failures: usize) -> Arc<Self> {
        let bind = "127.0.0.1:0".parse().unwrap();
        let inner = EmbeddedDns::start(bind, &[ZONE.into()], &Contents::default()).await.unwrap();
        Arc::new(Self {
            inner,
            failures: AtomicUsize::new(failures),
            reads: AtomicUsize::new(0),
            whole: AtomicUsize::new(0),
        })
    }

    fn fails(&self) -> bool {
        self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
    }
}

#[async_trait]
impl DnsProvider for Shaky {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn zones(&self) -> Result<Vec<Name>, ProviderError> {
        self.inner.zones().await
    }
    async fn snapshot(&self, zone: &Name) -> Result<Snapshot, ProviderError> {
        if self.fails() {
            return Err(ProviderError::Unavailable { why: "it sleeps".into() });
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.whole.fetch_add(1, Ordering::SeqCst);
        self.inner.snapshot(zone).await
    }
    async fn snapshot_of(
        &self,
        zone: &Name,
        names: &BTreeSet<Name>,
    ) -> Result<Option<Snapshot>, ProviderError> {
        if self.fails() {
            return Err(ProviderError::Unavailable { why: "it sleeps".into() });
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.snapshot_of(zone, names).await
    }
    async fn apply(&self, changes: &ChangeSet) -> Vec<GroupResult> {
        if self.fails() {
            return changes.groups.iter().map(|_| GroupResult::Refused { why: "not now".into() }).collect();
        }
        self.inner.apply(changes).await
    }
    async fn add_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        ttl: Option<u32>,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.inner.add_value(zone, name, r#type, ttl, value).await
    }
    async fn remove_value(
        &self,
        zone: &Name,
        name: &Name,
        r#type: RecordType,
        value: &str,
    ) -> Result<(), ProviderError> {
        self.inner.remove_value(zone, name, r#type, value).await
    }
    fn servers(&self) -> Vec<SocketAddr> {
        self.inner.servers()
    }
}

/// A keeper, its reports, and what they add up to.
struct World {
    provider: Arc<Shaky>,
    orders: mpsc::UnboundedSender<Orders>,
    reports: mpsc::UnboundedReceiver<Report>,
    number: u64,
    planned: Arc<AtomicU64>,
    stands: BTreeMap<PublishedKey, Arc<PublishedRecord>>,
    answers: BTreeMap<Name, Result<(), String>>,
    codes: Vec<String>,
}

impl World {
    async fn new(failures: usize) -> Self {
        let provider = Shaky::start(failures).await;
        let (sender, reports) = mpsc::unbounded_channel();
        let planned = Arc::new(AtomicU64::new(0));
        let report = move |report| drop(sender.send(report));
        let orders = start(Arc::clone(&provider) as _, Arc::clone(&planned), report);
        Self {
            provider,
            orders,
            reports,
            number: 0,
            planned,
            stands: BTreeMap::new(),
            answers: BTreeMap::new(),
            codes: vec![],
        }
    }

    fn settings(interval_seconds: u64) -> DnsSettings {
        DnsSettings { interval_seconds, ..DnsSettings::of_folder("me") }
    }

    fn order(&mut self, settings: Option<DnsSettings>, wanted: &[(&str, Option<&str>)]) {
        self.number += 1;
        let wanted = wanted.iter().map(|(name, target)| {
            let name = Name::new(name);
            let records = target.map(|target| {
                let records = record_sets(&name, &[target].into_iter(), None)
                    .into_iter()
                    .map(|set| WantedRecord { set, resource: "httproute/t/app".into() })
                    .collect();
                Arc::new(WantedName { key: name.clone(), component: Name::default(), records })
            });
            (name, records)
        });
        let settings = settings.map(|settings| (vec![settings], vec![]));
        let wanted = wanted.collect();
        self.orders.send(Orders { number: self.number, settings, wanted }).unwrap();
    }

    /// Takes reports until all orders are covered and `found` holds.
    async fn until(&mut self, what: &str, found: impl Fn(&Self) -> bool) {
        let mut done = 0;
        loop {
            if done == self.number && found(self) {
                return;
            }
            let report = tokio::time::timeout(Duration::from_secs(20), self.reports.recv()).await;
            let report = report.unwrap_or_else(|_| panic!("waited for {what}: {:?}", self.codes)).unwrap();
            done = report.number;
            for (key, row) in report.published {
                match row {
                    Some(row) => self.stands.insert(key, row),
                    None => self.stands.remove(&key),
                };
            }
            for (name, state) in report.answers {
                match state {
                    Some(state) => self.answers.insert(name, state),
                    None => self.answers.remove(&name),
                };
            }
            if let Some(problems) = report.problems {
                self.codes = problems.iter().map(|(_, problem)| problem.code.to_string()).collect();
            }
        }
    }

    fn stands(&self) -> Vec<String> {
        self.stands.values().map(|row| format!("{} {}", row.set, row.ours)).collect()
    }
}

const APP: &str = "app.example.com A [192.0.2.1] true";

#[tokio::test]
async fn records_come_answer_and_go_and_what_is_not_ours_stays() {
    let mut world = World::new(0).await;
    let foreign = RecordSet::new("by-hand.example.com", RecordType::A, Some(300), ["192.0.2.9"]);
    let group = Group { changes: vec![Change::create(foreign)] };
    world.provider.inner.apply(&ChangeSet { zone: ZONE.into(), groups: vec![group] }).await;
    let token: Name = "_acme-challenge.app.example.com".into();
    world.provider.add_value(&ZONE.into(), &token, RecordType::Txt, None, "token").await.unwrap();
    world.order(Some(World::settings(60)), &[("app.example.com", Some("192.0.2.1"))]);
    world.order(None, &[("*.w.example.com", Some("192.0.2.1")), ("by-hand.example.com", Some("192.0.2.1"))]);
    world.until("answers", |w| w.answers.len() == 2 && w.answers.values().all(Result::is_ok)).await;
    let foreign = "by-hand.example.com A [192.0.2.9] false";
    assert_eq!(world.stands(), ["*.w.example.com A [192.0.2.1] true", APP, foreign]);
    assert_eq!(world.codes, ["PTL-0410"]);
    let registry = world.stands.values().find_map(|row| row.registry.clone()).unwrap();
    assert_eq!(registry.name, "a-*.w.example.com");
    world.order(None, &[("*.w.example.com", None), ("app.example.com", None), ("by-hand.example.com", None)]);
    world.until("nothing", |w| w.answers.is_empty()).await;
    assert_eq!(world.stands(), [foreign]);
    assert!(world.codes.is_empty());
    let left = world.provider.snapshot(&ZONE.into()).await.unwrap().sets;
    assert!(left.iter().any(|set| set.name == token), "challenge tokens are nobody's business here");
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn without_settings_and_unmanaged_nothing_is_written() {
    let mut world = World::new(0).await;
    world.order(None, &[("app.example.com", Some("192.0.2.1"))]);
    world.until("a report", |_| true).await;
    world.order(Some(DnsSettings::unmanaged()), &[]);
    world.until("a report", |_| true).await;
    assert!(world.provider.snapshot(&ZONE.into()).await.unwrap().sets.is_empty());
    world.order(Some(World::settings(60)), &[]);
    world.until("the record", |w| w.stands() == [APP]).await;
}

#[tokio::test]
async fn what_fails_is_said_and_tried_again() {
    let mut world = World::new(3).await;
    world.order(Some(World::settings(60)), &[("app.example.com", Some("192.0.2.1"))]);
    world.until("a finding", |w| w.codes == ["PTL-0434"]).await;
    assert!(world.stands().is_empty());
    world.until("the record", |w| w.stands() == [APP] && w.codes.is_empty()).await;
}

#[tokio::test]
async fn drift_is_healed_at_the_interval() {
    let mut world = World::new(0).await;
    world.order(Some(World::settings(1)), &[("app.example.com", Some("192.0.2.1"))]);
    world.until("the record", |w| w.answers.get("app.example.com") == Some(&Ok(()))).await;
    let content = Content::Nothing { name: "app.example.com".into(), r#type: RecordType::A };
    let precondition = portolan_model::dns::Precondition::Any;
    let group = Group { changes: vec![Change { precondition, content }] };
    world.provider.inner.apply(&ChangeSet { zone: ZONE.into(), groups: vec![group] }).await;
    let servers = world.provider.servers();
    for _ in 0..200 {
        if crate::dns::query::visible(&servers, "app.example.com", RecordType::A, "192.0.2.1").await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the record did not come back");
}

#[tokio::test]
async fn a_kept_zone_is_known_from_the_start() {
    let mut world = World::new(0).await;
    world.order(Some(World::settings(60)), &[("app.example.com", Some("192.0.2.1"))]);
    world.until("the record", |w| w.stands() == [APP]).await;
    let snapshot = world.provider.snapshot(&ZONE.into()).await.unwrap();
    let settings = World::settings(60);
    let known = published(&snapshot, std::slice::from_ref(&settings));
    assert_eq!(known.len(), 1);
    // New settings with what is known: only the difference is reported.
    world.number += 1;
    let orders = Orders {
        number: world.number,
        settings: Some((vec![settings], known.into_iter().map(Arc::new).collect())),
        wanted: vec![],
    };
    world.orders.send(orders).unwrap();
    let report = world.reports.recv().await.unwrap();
    assert_eq!((report.generation, report.published.len()), (2, 0));
}

#[tokio::test]
async fn the_same_desired_records_again_looks_at_no_zone() {
    let mut world = World::new(0).await;
    world.order(Some(World::settings(3600)), &[("app.example.com", Some("192.0.2.1"))]);
    world.until("an answer", |w| w.answers.values().any(Result::is_ok)).await;
    let before = world.provider.reads.load(Ordering::SeqCst);
    world.order(None, &[("app.example.com", Some("192.0.2.1")), ("never.example.com", None)]);
    world.until("a report", |_| true).await;
    assert_eq!(world.provider.reads.load(Ordering::SeqCst), before);
    world.order(None, &[("app.example.com", Some("192.0.2.2"))]);
    world.until("the change", |w| w.stands() == ["app.example.com A [192.0.2.2] true"]).await;
    assert!(world.provider.reads.load(Ordering::SeqCst) > before);
}

/// A zone is compared whole under new settings; after that a changed name costs that name.
#[tokio::test]
async fn a_changed_name_costs_that_name() {
    let mut world = World::new(0).await;
    let names: Vec<String> = (0..500).map(|n| format!("h{n}.example.com")).collect();
    let all: Vec<(&str, Option<&str>)> = names.iter().map(|name| (&**name, Some("192.0.2.1"))).collect();
    world.order(Some(World::settings(3600)), &all);
    world.until("answers", |w| w.answers.len() == 500 && w.answers.values().all(Result::is_ok)).await;
    let whole = world.provider.whole.load(Ordering::SeqCst);
    let planned = world.planned.load(Ordering::SeqCst);
    world.order(None, &[("h7.example.com", Some("192.0.2.2"))]);
    world
        .until("the change", |w| {
            w.stands().contains(&"h7.example.com A [192.0.2.2] true".to_owned())
                && w.answers.get("h7.example.com") == Some(&Ok(()))
        })
        .await;
    world.order(None, &[("h8.example.com", None)]);
    world.until("the removal", |w| w.stands.len() == 499 && w.answers.len() == 499).await;
    assert_eq!(world.provider.whole.load(Ordering::SeqCst), whole);
    let planned = world.planned.load(Ordering::SeqCst) - planned;
    assert!(planned <= 3, "{planned} names were compared for two that changed");
    // What deletes too much is judged by the whole zone, whatever part of it was looked at.
    let gone: Vec<(&str, Option<&str>)> = names[20..320].iter().map(|name| (&**name, None)).collect();
    world.order(None, &gone);
    world.until("the breaker", |w| w.codes.len() == 1).await;
    assert_eq!(world.stands.len(), 499);
    let few: Vec<(&str, Option<&str>)> = names[320..322].iter().map(|name| (&**name, None)).collect();
    world.order(None, &few);
    world.until("a report", |_| true).await;
    assert_eq!((world.stands.len(), world.codes.len()), (499, 1), "it stays open for what comes after");
    world.order(None, &all[20..322]);
    world.until("the end of it", |w| w.codes.is_empty()).await;
    world.order(None, &few);
    world.until("the removal", |w| w.stands.len() == 497).await;
}

/// Each component plans its own names, with its own owner, policy and filters; none undoes what another has made.
#[tokio::test]
async fn components_keep_their_own_names() {
    use portolan_core::dns::Policy;
    let mut world = World::new(0).await;
    let component = |key: &str, owner: &str, policy: Policy| {
        let mut made = World::settings(60);
        made.key = key.into();
        (made.plan.owner, made.plan.policy) = (owner.into(), policy);
        made
    };
    let all = vec![
        component("a", "same", Policy::Sync),
        component("b", "same", Policy::Sync),
        component("c", "other", Policy::UpsertOnly),
    ];
    let wanted = |component: &str, name: &str| {
        let set = RecordSet::new(name, RecordType::A, None, ["192.0.2.1"]);
        let records = vec![WantedRecord { set, resource: "httproute/t/app".into() }];
        (
            Name::new(name),
            Some(Arc::new(WantedName { key: name.into(), component: component.into(), records })),
        )
    };
    let names = [("a", "a.example.com"), ("b", "b.example.com"), ("c", "c.example.com")];
    world.number += 1;
    let orders = Orders {
        number: world.number,
        settings: Some((all, vec![])),
        wanted: names.iter().map(|(component, name)| wanted(component, name)).collect(),
    };
    world.orders.send(orders).unwrap();
    world.until("answers", |w| w.answers.len() == 3 && w.answers.values().all(Result::is_ok)).await;
    let owners: Vec<Vec<Name>> = world.stands.values().map(|row| row.components.clone()).collect();
    let both: Vec<Name> = vec!["a".into(), "b".into()];
    assert_eq!(owners, [both.clone(), both, vec![Name::new("c")]]);
    // The second takes over what the first gave up; the third deletes nothing.
    world.number += 1;
    let wanted = vec![wanted("b", "a.example.com"), (Name::new("c.example.com"), None)];
    let orders = Orders { number: world.number, settings: None, wanted };
    world.orders.send(orders).unwrap();
    world.until("a report", |_| true).await;
    assert_eq!(world.stands().len(), 3, "{:?}", world.stands());
    assert!(world.codes.is_empty(), "{:?}", world.codes);
    world.number += 1;
    let wanted = vec![(Name::new("a.example.com"), None), (Name::new("b.example.com"), None)];
    world.orders.send(Orders { number: world.number, settings: None, wanted }).unwrap();
    world.until("the removal", |w| w.stands() == ["c.example.com A [192.0.2.1] true"]).await;
}
