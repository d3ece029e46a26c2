//! What every DNS provider must do, as one suite: run it against each provider, with a zone that it may write to. It uses
//! names below `contract.<zone>` and the apex' TXT, panics at the first broken promise, and leaves the zone as it was.
#![allow(clippy::missing_panics_doc)]

use portolan_model::{
    Name,
    dns::{Change, ChangeSet, Content, Group, GroupResult, Precondition, RecordSet, RecordType},
};

use super::{
    provider::{DnsProvider, ProviderError},
    query::ask,
};

struct Suite<'p> {
    provider: &'p dyn DnsProvider,
    zone: &'p Name,
}

/// Runs the whole suite.
pub async fn check(provider: &dyn DnsProvider, zone: &Name) {
    let suite = Suite { provider, zone };
    let before = suite.sets().await;
    suite.groups_are_indivisible().await;
    suite.preconditions_are_checked().await;
    suite.values_are_added_and_removed().await;
    suite.snapshots_are_complete_and_answers_agree().await;
    suite.long_and_unusual_text_survives().await;
    suite.wildcards_and_apex_are_served().await;
    suite.other_zones_are_refused().await;
    assert_eq!(suite.sets().await, before, "the suite cleans up");
}

impl Suite<'_> {
    fn name(&self, host: &str) -> Name {
        Name::new(&format!("{host}.contract.{}", self.zone))
    }

    fn set(&self, host: &str, r#type: RecordType, values: &[&str]) -> RecordSet {
        RecordSet::new(self.name(host), r#type, Some(120), values.iter().copied())
    }

    async fn sets(&self) -> Vec<RecordSet> {
        let snapshot = self.provider.snapshot(self.zone).await.expect("the zone can be read");
        assert!(snapshot.complete, "the suite needs a complete snapshot");
        assert!(snapshot.sets.is_sorted(), "sets are sorted");
        snapshot.sets
    }

    async fn apply(&self, groups: Vec<Vec<Change>>) -> Vec<GroupResult> {
        let groups: Vec<_> = groups.into_iter().map(|changes| Group { changes }).collect();
        let count = groups.len();
        let results = self.provider.apply(&ChangeSet { zone: self.zone.clone(), groups }).await;
        assert_eq!(results.len(), count, "one result a group");
        results
    }

    async fn apply_all(&self, changes: Vec<Change>) {
        assert_eq!(self.apply(vec![changes]).await, [GroupResult::Applied]);
    }

    async fn groups_are_indivisible(&self) {
        let before = self.sets().await;
        let (a, txt) =
            (self.set("app", RecordType::A, &["192.0.2.1"]), self.set("a-app", RecordType::Txt, &["me"]));
        let bad = self.set("bad", RecordType::A, &["not an address"]);
        let results = self
            .apply(vec![
                vec![Change::create(self.set("half", RecordType::A, &["192.0.2.1"])), Change::create(bad)],
                vec![Change::create(a.clone()), Change::create(txt.clone())],
            ])
            .await;
        assert!(matches!(results[0], GroupResult::Refused { .. }), "{results:?}");
        assert_eq!(results[1], GroupResult::Applied, "a refused group does not stop the next");
        let sets = self.sets().await;
        assert!(sets.contains(&a) && sets.contains(&txt));
        assert!(!sets.iter().any(|set| set.name == self.name("half")), "nothing of a refused group holds");
        // A change of type within one group, and an alias beside another set refused.
        let alias = self.set("app", RecordType::Cname, &["lb.example.net"]);
        let beside = self.apply(vec![vec![Change::create(alias.clone())]]).await;
        assert!(matches!(beside[0], GroupResult::Refused { .. }), "CNAME beside A: {beside:?}");
        self.apply_all(vec![Change::delete(a), Change::create(alias.clone())]).await;
        self.apply_all(vec![Change::delete(alias), Change::delete(txt)]).await;
        assert_eq!(self.sets().await, before);
    }

    async fn preconditions_are_checked(&self) {
        let old = self.set("pre", RecordType::A, &["192.0.2.1"]);
        let new = self.set("pre", RecordType::A, &["192.0.2.2"]);
        self.apply_all(vec![Change::create(old.clone())]).await;
        let refused = self
            .apply(vec![
                vec![Change::create(new.clone())],
                vec![Change::replace(new.clone(), old.clone())],
                vec![Change::delete(new.clone())],
                vec![Change::delete(self.set("none", RecordType::A, &["192.0.2.1"]))],
                vec![Change::replace(RecordSet { ttl: Some(7), ..old.clone() }, new.clone())],
            ])
            .await;
        for result in refused {
            assert!(matches!(&result, GroupResult::Refused { why } if !why.is_empty()), "{result:?}");
        }
        assert!(self.sets().await.contains(&old), "refused changes change nothing");
        self.apply_all(vec![Change::replace(old, new.clone())]).await;
        let content = Content::Nothing { name: new.name.clone(), r#type: new.r#type };
        self.apply_all(vec![Change { precondition: Precondition::Any, content }]).await;
        assert!(!self.sets().await.iter().any(|set| set.name == new.name));
    }

    async fn values_are_added_and_removed(&self) {
        let name = self.name("_acme-challenge");
        let find = async || self.sets().await.into_iter().find(|set| set.name == name);
        let add = async |value: &str| {
            let added = self.provider.add_value(self.zone, &name, RecordType::Txt, Some(60), value).await;
            assert_eq!(added, Ok(()), "{value}");
        };
        let remove = async |value: &str| {
            let removed = self.provider.remove_value(self.zone, &name, RecordType::Txt, value).await;
            assert_eq!(removed, Ok(()), "{value}");
        };
        for value in ["of-apex", "of-wildcard", "of-apex"] {
            add(value).await;
        }
        let set = find().await.expect("the set is there");
        assert_eq!(
            (set.values.as_slice(), set.ttl),
            (["of-apex".to_owned(), "of-wildcard".to_owned()].as_slice(), Some(60))
        );
        for value in ["of-apex", "of-wildcard"] {
            assert!(self.provider.visible(&name, RecordType::Txt, value).await, "{value} is served");
        }
        remove("of-apex").await;
        assert!(!self.provider.visible(&name, RecordType::Txt, "of-apex").await);
        assert!(self.provider.visible(&name, RecordType::Txt, "of-wildcard").await, "the other token stays");
        remove("of-apex").await;
        remove("of-wildcard").await;
        assert_eq!(find().await, None, "the last value takes the set with it");
    }

    async fn snapshots_are_complete_and_answers_agree(&self) {
        let hosts: Vec<_> =
            (0..300).map(|n| self.set(&format!("h{n}"), RecordType::A, &["192.0.2.1"])).collect();
        self.apply(hosts.iter().cloned().map(|set| vec![Change::create(set)]).collect()).await;
        let sets = self.sets().await;
        for set in hosts.iter().chain([&self.set("h299", RecordType::A, &["192.0.2.1"])]) {
            assert!(sets.contains(set), "{set} is missing");
        }
        for set in hosts.iter().step_by(60) {
            assert!(self.provider.visible(&set.name, RecordType::A, "192.0.2.1").await, "{set}");
        }
        self.apply(hosts.into_iter().map(|set| vec![Change::delete(set)]).collect()).await;
    }

    async fn long_and_unusual_text_survives(&self) {
        let max = self.provider.capabilities().max_text.min(4000);
        let texts = [
            "x".repeat(255),
            "y".repeat(256),
            "z".repeat(max),
            "quo\"te; back\\slash é ☃".to_owned(),
            " ".to_owned(),
        ];
        for text in &texts {
            let set = self.set("text", RecordType::Txt, &[text]);
            self.apply_all(vec![Change::create(set.clone())]).await;
            assert!(self.sets().await.contains(&set), "{} bytes are read back", text.len());
            assert!(
                self.provider.visible(&set.name, RecordType::Txt, text).await,
                "{} bytes are served",
                text.len()
            );
            self.apply_all(vec![Change::delete(set)]).await;
        }
        for host in ["_under_score", "xn--bcher-kva", "dot\\.in", "two\\ words"] {
            let set = self.set(host, RecordType::A, &["192.0.2.1"]);
            self.apply_all(vec![Change::create(set.clone())]).await;
            assert!(self.sets().await.contains(&set), "{host} is read back");
            assert!(self.provider.visible(&set.name, RecordType::A, "192.0.2.1").await, "{host} is served");
            self.apply_all(vec![Change::delete(set)]).await;
        }
    }

    async fn wildcards_and_apex_are_served(&self) {
        let wildcard = self.set("*.wild", RecordType::A, &["192.0.2.1"]);
        self.apply_all(vec![Change::create(wildcard.clone())]).await;
        assert!(self.sets().await.contains(&wildcard));
        let below = self.name("any.where.wild");
        assert!(
            self.provider.visible(&below, RecordType::A, "192.0.2.1").await,
            "the wildcard covers {below}"
        );
        assert!(!self.provider.visible(&self.name("wild"), RecordType::A, "192.0.2.1").await);
        if self.provider.capabilities().star_in_label {
            let entry = self.set("a-*.wild", RecordType::Txt, &["me"]);
            self.apply_all(vec![Change::create(entry.clone())]).await;
            assert!(self.provider.visible(&entry.name, RecordType::Txt, "me").await);
            self.apply_all(vec![Change::delete(entry)]).await;
        }
        self.apply_all(vec![Change::delete(wildcard)]).await;
        let text = "portolan contract suite";
        let added = self.provider.add_value(self.zone, self.zone, RecordType::Txt, Some(60), text).await;
        assert_eq!(added, Ok(()), "the apex takes records");
        assert!(self.provider.visible(self.zone, RecordType::Txt, text).await);
        let removed = self.provider.remove_value(self.zone, self.zone, RecordType::Txt, text).await;
        assert_eq!(removed, Ok(()));
        let alias = RecordSet::new(self.zone.clone(), RecordType::Cname, None, ["lb.example.net"]);
        let refused = self.apply(vec![vec![Change::create(alias)]]).await;
        assert!(matches!(refused[0], GroupResult::Refused { .. }), "a CNAME at the apex: {refused:?}");
    }

    async fn other_zones_are_refused(&self) {
        assert!(self.provider.zones().await.is_ok_and(|zones| zones.contains(self.zone)));
        let elsewhere = Name::new("not-here.invalid");
        let no_zone = Err(ProviderError::NoSuchZone { zone: elsewhere.clone() });
        assert_eq!(self.provider.snapshot(&elsewhere).await.map(|_| ()), no_zone);
        assert_eq!(
            self.provider.add_value(&elsewhere, &elsewhere, RecordType::Txt, None, "x").await,
            no_zone
        );
        let outside = RecordSet::new(format!("x.{elsewhere}"), RecordType::A, None, ["192.0.2.1"]);
        let refused = self.apply(vec![vec![Change::create(outside)]]).await;
        assert!(matches!(refused[0], GroupResult::Refused { .. }), "a name outside the zone: {refused:?}");
        for server in self.provider.servers() {
            let answer = ask(server, &elsewhere, RecordType::A).await.expect("the server answers");
            assert_eq!(answer.rcode, domain::base::iana::Rcode::REFUSED, "{server}");
        }
    }
}
