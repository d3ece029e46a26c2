//! DNS: the embedded server, the keeper of its zones, and the removal order of routes. Decided in `core::dns`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portolan_core::dns::{
    drain::{self, Leave, route_key},
    observe::{embedded_zone, published},
    problems::DnsProblem,
    rows::{DnsAnswer, DnsSettings, DnsState, PublishedRecord, RecordProblem, Stage, WantedName},
};
use portolan_effects::{
    dns::{
        DnsProvider, DurableDns,
        keeper::{self, Orders, Report},
    },
    store::Write,
};
use portolan_engine::Changes;
use portolan_model::{
    Instant, Name, Object, ObjectKey, Problem,
    dns::Snapshot,
    input::{Issuer, IssuerSpec},
};
use tokio::sync::mpsc;

use super::{Driver, Event, GIT, OURS, now, real_dns::RealDns};

const GROUP: &str = "gateway.networking.k8s.io";

/// The server, and what was last asked of its keeper.
pub struct Dns {
    server: Arc<DurableDns>,
    /// With `--real-dns`: then no zone of `server` is written for records.
    pub(super) real: Option<RealDns>,
    keeper: mpsc::UnboundedSender<Orders>,
    drain: Duration,
    /// Mass deletions are approved for this run.
    approved: bool,
    /// Of every component; empty before the first reading.
    components: Vec<DnsSettings>,
    generation: u64,
    /// For the next orders.
    next: Orders,
    sent: u64,
    done: u64,
    unfinished: bool,
    solver_zones: Vec<Name>,
    problems: BTreeSet<(Name, Problem)>,
    planned: Arc<AtomicU64>,
    /// Copies of removed routes, and Gateways and GatewayClasses that go or lose listeners: served for their records.
    leaving: BTreeSet<ObjectKey>,
    /// Something is not removed, since it may have records in a real zone that could not be read yet.
    pub(super) held: bool,
}

impl Dns {
    /// Starts the keeper of the server's zones; nothing is changed in them before the first settings.
    pub fn new(
        server: Arc<DurableDns>,
        real: Option<RealDns>,
        drain: Duration,
        approved: bool,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let planned = Arc::new(AtomicU64::new(0));
        let provider = match &real {
            Some(real) => Arc::clone(&real.zones) as Arc<dyn DnsProvider>,
            None => Arc::clone(&server) as _,
        };
        let keeper = keeper::start(provider, Arc::clone(&planned), move |report| {
            let _ = events.send(Event::Dns(Box::new(report)));
        });
        Self {
            server,
            real,
            keeper,
            drain,
            approved,
            components: Vec::new(),
            generation: 0,
            next: Orders::default(),
            sent: 0,
            done: 0,
            unfinished: false,
            solver_zones: Vec::new(),
            problems: BTreeSet::new(),
            planned,
            leaving: BTreeSet::new(),
            held: false,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Names that were compared with what is wanted, and bytes that were written to disk, since the start.
    pub fn work(&self) -> [u64; 2] {
        [self.planned.load(Ordering::Relaxed), self.server.written()]
    }

    /// Whether something is still to be written or answered.
    pub fn busy(&self) -> bool {
        // What a mass deletion holds waits for a person.
        let stopped = self.problems.iter().any(|(_, problem)| problem.code == DnsProblem::STOPPED);
        let reading = self.real.as_ref().is_some_and(RealDns::busy);
        reading || self.sent != self.done || self.unfinished || !(self.leaving.is_empty() || stopped)
    }

    /// Whether `from` was a zone, and is a part of `into` now.
    fn widen(&self, from: &Name, into: &Name) -> bool {
        let widened = self.server.widen(from, into);
        widened.inspect_err(|error| tracing::warn!(%error, "a zone is not served")).unwrap_or_default()
    }

    fn hold(&self, zone: &Name) {
        if let Err(error) = self.server.add_zone(zone) {
            tracing::warn!(%error, "a zone is not served");
        }
    }
}

impl Driver {
    /// Takes the settings that were read. The records that stand are put with the first ones: a name that is published is
    /// never taken for one that is not.
    pub(super) fn put_dns_settings(&mut self, components: Vec<DnsSettings>) {
        if self.is_real() {
            return self.ask_real(components);
        }
        for filter in components.iter().flat_map(|component| &component.plan.domain_filter) {
            // A longer one may be a host: its zone is known with the names.
            let zone = filter.trim_start_matches('.');
            if zone.matches('.').count() <= 1 {
                self.source.dns.hold(&Name::new(zone));
            }
        }
        let snapshots = self.source.dns.server.snapshots();
        self.put_components(components, &snapshots);
    }

    /// The same with what stands in the zones.
    pub(super) fn put_components(&mut self, mut components: Vec<DnsSettings>, snapshots: &[Snapshot]) {
        for component in &mut components {
            component.plan.allow_mass_deletion = self.source.dns.approved;
        }
        if self.source.dns.components == components {
            return;
        }
        if self.source.dns.components.is_empty() {
            let kept =
                self.cx.store.list().map(|stored| &stored.object).filter(|object| drain::is_kept(object));
            self.source.dns.leaving = kept.map(|object| object.key.clone()).collect();
        }
        let known = self.see_published(&components, snapshots);
        for old in
            self.source.dns.components.iter().filter(|old| components.iter().all(|new| new.key != old.key))
        {
            self.cx.engine.remove::<DnsSettings>(&old.key);
        }
        for component in &components {
            self.cx.engine.put(component.clone());
        }
        self.source.dns.components.clone_from(&components);
        self.source.dns.next.settings = Some((components, known));
        // What is removed next is compared with what stands now.
        self.settle();
    }

    /// Puts the records that stand as these components see them; what the keeper reports of an earlier sight does not count.
    fn see_published(
        &mut self,
        components: &[DnsSettings],
        snapshots: &[Snapshot],
    ) -> Vec<Arc<PublishedRecord>> {
        let rows = snapshots.iter().flat_map(|zone| published(zone, components));
        let known: Vec<Arc<PublishedRecord>> = rows.map(Arc::new).collect();
        let keys: BTreeSet<_> = known.iter().map(|row| &row.key).collect();
        let gone: Vec<_> = self.cx.engine.rows::<PublishedRecord>().map(|row| row.key.clone()).collect();
        for key in gone.iter().filter(|key| !keys.contains(key)) {
            self.cx.engine.remove::<PublishedRecord>(key);
        }
        for row in &known {
            self.cx.engine.pass(Arc::clone(row));
        }
        self.cx.facts = true;
        self.source.dns.generation += 1;
        known
    }

    /// Notes for the keeper what changed, and serves the zones that the names need.
    pub(super) fn follow_dns(&mut self, step: &Changes) {
        if !step.of::<Issuer>().is_empty() {
            self.solver_zones();
        }
        self.follow_real(step);
        if self.source.dns.components.is_empty() {
            return;
        }
        let mut names: Vec<Name> = Vec::new();
        if self.is_real() {
            // Which zones there are is said by who runs the servers.
        } else if step.of::<DnsSettings>().is_empty() {
            let states = step.of::<DnsState>().iter().filter(|change| change.before.is_none());
            names.extend(states.map(|change| change.key.clone()));
        } else {
            names.extend(self.cx.engine.rows::<DnsState>().map(|row| row.key.clone()));
        }
        let mut widened = false;
        for name in names {
            let wanted = |name: &Name| {
                self.cx.engine.get::<DnsState>(name).is_some_and(|row| row.stage != Stage::Outside)
            };
            if !wanted(&name) {
                continue;
            }
            for component in &self.source.dns.components {
                if let Some(zone) =
                    embedded_zone(&name, &component.plan, &self.source.dns.solver_zones, wanted)
                {
                    self.source.dns.hold(&zone);
                    // Names below it came first: what is a host now was a zone until now.
                    widened |= zone != name && self.source.dns.widen(&name, &zone);
                }
            }
        }
        if widened {
            let components = self.source.dns.components.clone();
            let known = self.see_published(&components, &self.source.dns.server.snapshots());
            self.source.dns.next.settings = Some((components, known));
        }
        let mut wanted: BTreeMap<Name, Option<Arc<WantedName>>> =
            std::mem::take(&mut self.source.dns.next.wanted).into_iter().collect();
        for change in step.of::<WantedName>() {
            wanted.insert(change.key.clone(), change.after.clone());
        }
        self.source.dns.next.wanted = wanted.into_iter().collect();
    }

    fn solver_zones(&mut self) {
        let mut zones: BTreeSet<Name> = BTreeSet::new();
        for issuer in self.cx.engine.rows::<Issuer>() {
            if let IssuerSpec::Acme { solvers, .. } = &issuer.spec {
                let solvers = solvers.iter().filter(|solver| solver.dns01.is_some());
                zones.extend(solvers.flat_map(|solver| solver.dns_zones.iter().cloned()));
            }
        }
        for zone in &zones {
            self.source.dns.hold(zone);
        }
        self.source.dns.solver_zones = zones.into_iter().collect();
    }

    /// Sends what the last steps changed.
    pub(super) fn order_dns(&mut self) {
        if self.source.dns.next.settings.is_some() || !self.source.dns.next.wanted.is_empty() {
            self.source.dns.sent += 1;
            let orders = Orders { number: self.source.dns.sent, ..std::mem::take(&mut self.source.dns.next) };
            let _ = self.source.dns.keeper.send(orders);
        }
    }

    /// Forgets removed routes, listeners, Gateways and GatewayClasses whose records are gone, and those that a policy denies; what was held back for
    /// them goes with the next reading.
    pub(super) fn let_go(&mut self) {
        let (mut removed, mut gone) = (Vec::new(), Vec::new());
        let mut came_back = false;
        let reported = self.source.dns.done > 0;
        for key in std::mem::take(&mut self.source.dns.leaving) {
            let stored = self.cx.store.get(&key);
            let verdict = drain::leave(&self.cx.engine, &key, stored.map(|stored| &stored.object), reported);
            let what =
                || route_key(&key).map_or_else(|| key.to_string(), |key| drain::original(&key).to_string());
            match verdict {
                Leave::Back => {
                    came_back = true;
                    continue;
                }
                Leave::Done
                    if self
                        .may_be_published(stored.map_or_else(now, |stored| drain::until(&stored.object))) =>
                {
                    self.source.dns.leaving.insert(key);
                    continue;
                }
                Leave::Waits => {
                    self.source.dns.leaving.insert(key);
                    continue;
                }
                Leave::Denied => tracing::info!(what = %what(), "it is denied: it is not served any longer"),
                Leave::Late => {
                    tracing::warn!(
                        what = %what(),
                        "its time is up before its records are gone: it is not served any longer"
                    );
                }
                Leave::Done => {
                    tracing::info!(what = %what(), "its records are gone: it is not served any longer");
                }
            }
            let Some(stored) = stored else { continue };
            let manager = if stored.manager == GIT { GIT } else { OURS };
            // A copy stood for what was said to be removed with its edit.
            if manager == GIT && drain::released(&stored.object).is_none() {
                gone.push(key.to_string());
            }
            removed.push(match drain::released(&stored.object) {
                // Of a Gateway only its listeners were leaving.
                Some(gateway) => Write::Apply(Box::new(gateway), manager),
                None => Write::Delete(key, manager),
            });
        }
        if removed.is_empty() && !came_back {
            return;
        }
        let keys: Vec<ObjectKey> = removed.iter().map(|write| write.key().clone()).collect();
        self.source.view.removed(&gone);
        self.cx.write_own(removed);
        // The store could not be written: tried again after the next step.
        let still =
            |key: &ObjectKey| self.cx.store.get(key).is_some_and(|stored| drain::is_kept(&stored.object));
        self.source.dns.leaving.extend(keys.into_iter().filter(still));
        if self.source.dns.leaving.is_empty() {
            self.reload();
        }
    }

    /// Takes a report of the keeper.
    pub(super) fn dns_report(&mut self, report: Report) {
        // Records seen under older settings say nothing about whose they are now; the keeper starts from what we put.
        if report.generation == self.source.dns.generation {
            for (key, row) in report.published {
                match row {
                    Some(row) => self.cx.engine.pass(row),
                    None => self.cx.engine.remove::<PublishedRecord>(&key),
                }
            }
        }
        for (key, state) in report.answers {
            match state {
                Some(state) => self.cx.engine.put(DnsAnswer { key, state }),
                None => self.cx.engine.remove::<DnsAnswer>(&key),
            }
        }
        if let Some(problems) = report.problems {
            for key in self.source.dns.problems.difference(&problems) {
                self.cx.engine.remove::<RecordProblem>(key);
            }
            for key in problems.difference(&self.source.dns.problems) {
                self.cx.engine.put(RecordProblem { key: key.clone() });
            }
            self.source.dns.problems = problems;
        }
        (self.source.dns.done, self.source.dns.unfinished) = (report.number, report.unfinished);
        self.cx.facts = true;
    }

    /// Puts the removal order into a batch of writes: what a removed route, hostname, parentRef, listener, Gateway or class, or what another controller is given, still has in DNS
    /// stays served, and nothing else is removed before it is.
    pub(super) fn in_order(&mut self, writes: Vec<Write>) -> Vec<Write> {
        let (ordered, held) = self.drained(writes);
        if held && !std::mem::replace(&mut self.source.dns.held, true) {
            tracing::info!(
                "what was removed is served on until it is known whether it has records in a real zone"
            );
        }
        self.source.dns.held = held;
        ordered
    }

    /// The same, and whether something is held back since nobody knows whether it has records.
    pub(super) fn drained(&mut self, writes: Vec<Write>) -> (Vec<Write>, bool) {
        let until = now().plus_millis(i64::try_from(self.source.dns.drain.as_millis()).unwrap_or(i64::MAX));
        let coming: Vec<Object> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Apply(object, GIT) if object.key.kind.is(GROUP, "GatewayClass") => {
                    Some((**object).clone())
                }
                _ => None,
            })
            .collect();
        let coming: Vec<&Object> = coming.iter().collect();
        let mut kept = Vec::new();
        let mut held = false;
        let mut ordered = Vec::with_capacity(writes.len());
        for write in writes {
            let (key, new) = match &write {
                Write::Delete(key, GIT) => (key, None),
                Write::Apply(object, GIT) => (&object.key, Some(&**object)),
                _ => {
                    ordered.push(write);
                    continue;
                }
            };
            let old = self.cx.store.get(key).filter(|old| old.manager == GIT && concerns(&old.object, new));
            if new.is_none() && old.is_some() && self.may_be_published(self.held_until(key)) {
                held = true;
                continue;
            }
            let Some(copy) =
                old.and_then(|old| drain::keep(&self.cx.engine, &old.object, new, &coming, until))
            else {
                ordered.push(write);
                continue;
            };
            self.source.dns.leaving.insert(copy.key.clone());
            if copy.key == *key {
                // A Gateway or GatewayClass stays itself, marked.
                kept.push(Write::Apply(Box::new(copy), GIT));
            } else {
                kept.push(Write::Apply(Box::new(copy), OURS));
                ordered.push(write);
            }
        }
        if held || !self.source.dns.leaving.is_empty() {
            ordered.retain(|write| !matches!(write, Write::Delete(key, GIT) if route_key(key).is_none()));
        }
        ordered.extend(kept);
        (ordered, held)
    }

    /// How long something that has left is served for records that cannot be seen.
    fn held_until(&self, key: &ObjectKey) -> Instant {
        let since = self.source.reading.leaving.get(key).copied().unwrap_or_else(now);
        since.plus_millis(i64::try_from(self.source.dns.drain.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Whether a published name may go or move with the change: only then a copy is looked for.
fn concerns(old: &Object, new: Option<&Object>) -> bool {
    let is = |kind| old.key.kind.is(GROUP, kind);
    let Some(new) = new else {
        return route_key(&old.key).is_some()
            || ["Gateway", "GatewayClass", "ListenerSet"].into_iter().any(is);
    };
    let fields: &[&str] = match route_key(&old.key) {
        Some(_) => &["/spec/hostnames", "/spec/parentRefs"],
        None if is("Gateway") => &["/spec/listeners", "/spec/gatewayClassName"],
        None if is("ListenerSet") => &["/spec/listeners"],
        None => &[],
    };
    fields.iter().any(|field| old.json.pointer(field) != new.json.pointer(field))
}
