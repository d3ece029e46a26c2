//! `--real-dns`: records go to the servers that the external-dns components name. Nothing of a component is put before each of
//! its zones was read: a name that is published there is never taken for one that is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portolan_core::dns::{
    observe::place_problem,
    rows::{DnsSettings, Place, RecordProblem},
};
use portolan_core::gitops::adapters::{TsigSecret, UpdateServer};
use portolan_effects::dns::{
    ByZone, DnsProvider, Rfc2136,
    rfc2136::{Algorithm, Key, Settings},
};
use portolan_engine::Changes;
use portolan_model::{Instant, Name, NamespacedName, Problem, Redacted, dns::Snapshot, input::Secret};

use super::{Driver, Event, now};

/// First wait after a zone could not be read; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// The servers of a run with `--real-dns`.
#[derive(Default)]
pub struct RealDns {
    pub(super) zones: Arc<ByZone>,
    /// Components as the repository has them.
    asked: Vec<DnsSettings>,
    /// What each component's server was last found to be, by component.
    servers: BTreeMap<Name, Arc<Rfc2136>>,
    /// Secrets that hold their keys.
    secrets: BTreeSet<NamespacedName>,
    /// Numbers the readings; only the last one counts. `done` is the last that has come back.
    number: u64,
    done: u64,
    /// They are to be read once what the repository brings stands in the store: among it are Secrets with keys.
    due: bool,
    wait: Option<Duration>,
    /// A server that may hold records of ours could not be used when it was asked last.
    blocked: bool,
    problems: BTreeSet<(Name, Problem)>,
}

/// A server, and what its zones held.
type Read = (Arc<Rfc2136>, Vec<Snapshot>);

/// What came of reading the zones of each component.
pub struct Readings {
    number: u64,
    all: Vec<(Name, Result<Read, String>)>,
}

impl RealDns {
    /// Whether zones are being read, or could not be.
    pub(super) fn busy(&self) -> bool {
        self.due || self.number != self.done || self.wait.is_some()
    }
}

impl Driver {
    /// Whether records go to real servers.
    pub(super) fn is_real(&self) -> bool {
        self.source.dns.real.is_some()
    }

    /// Takes the components of the repository; they are put when their zones were read.
    pub(super) fn ask_real(&mut self, components: Vec<DnsSettings>) {
        let Some(real) = &mut self.source.dns.real else { return };
        if real.asked != components {
            real.asked = components;
            real.due = true;
        }
    }

    /// Whether something that leaves may have records in a real zone that are not known: before the first reading, and, while a
    /// server cannot be used, up to `until`.
    pub(super) fn may_be_published(&self, until: Instant) -> bool {
        let Some(real) = &self.source.dns.real else { return false };
        real.done == 0 && real.busy() || real.blocked && now() < until
    }

    /// Reads when there are other components, and again when a Secret that a server needs is another.
    pub(super) fn follow_real(&mut self, step: &Changes) {
        let Some(real) = &mut self.source.dns.real else { return };
        let other = || step.of::<Secret>().iter().any(|change| real.secrets.contains(&change.key));
        if real.due || other() {
            real.due = false;
            real.wait = None;
            self.read_real();
        }
    }

    /// Reads once more what could not be read, unless that was asked for anew since.
    pub(super) fn read_real_again(&mut self, number: u64) {
        if self.source.dns.real.as_ref().is_some_and(|real| real.number == number) {
            self.read_real();
        }
    }

    /// Reads the zones of all components.
    fn read_real(&mut self) {
        let Some(real) = &self.source.dns.real else { return };
        let mut secrets = BTreeSet::new();
        let mut asked = Vec::new();
        for component in real.asked.iter().filter(|component| component.managed) {
            let settings = self.server_of(&component.place, &mut secrets);
            let held = real.servers.get(&component.key).cloned();
            asked.push((component.key.clone(), settings, held));
        }
        let Some(real) = &mut self.source.dns.real else { return };
        real.secrets = secrets;
        real.number += 1;
        let (number, events) = (real.number, self.events.clone());
        tokio::spawn(async move {
            // Side by side: nobody waits for another's server.
            let begin = |(component, settings, held): (Name, Result<Settings, String>, _)| {
                let task = tokio::spawn(async move {
                    match settings {
                        Ok(settings) => read(settings, held).await,
                        Err(why) => Err(why),
                    }
                });
                (component, task)
            };
            let tasks: Vec<_> = asked.into_iter().map(begin).collect();
            let mut all = Vec::new();
            for (component, task) in tasks {
                let result =
                    task.await.unwrap_or_else(|error| Err(format!("its zones were not read: {error}")));
                all.push((component, result));
            }
            let _ = events.send(Event::ZonesRead(Box::new(Readings { number, all })));
        });
    }

    /// Puts the components whose zones were read; the others do nothing until theirs are.
    pub(super) fn real_read(&mut self, readings: Readings) {
        let Some(real) = &mut self.source.dns.real else { return };
        if readings.number != real.number {
            return;
        }
        real.done = real.number;
        let mut components = real.asked.clone();
        let mut zones: BTreeMap<Name, Arc<dyn DnsProvider>> = BTreeMap::new();
        let mut snapshots: BTreeMap<Name, Snapshot> = BTreeMap::new();
        let mut problems = BTreeSet::new();
        real.servers.clear();
        real.blocked = false;
        for (component, result) in readings.all {
            match result {
                Ok((server, read)) => {
                    let to = &server.settings().servers[0];
                    tracing::info!(component = %component, server = %to, zones = read.len(), "records go to a real server");
                    for snapshot in read {
                        // Of two components with one zone the first one's server and key are used for both.
                        let provider = Arc::clone(&server) as Arc<dyn DnsProvider>;
                        zones.entry(snapshot.zone.clone()).or_insert(provider);
                        snapshots.entry(snapshot.zone.clone()).or_insert(snapshot);
                    }
                    real.servers.insert(component, server);
                }
                Err(why) => {
                    problems.insert(place_problem(&component, &why));
                    for one in components.iter_mut().filter(|one| one.key == component) {
                        // Of another provider nothing was ever made from here.
                        real.blocked |= one.place.server.is_some();
                        one.managed = false;
                    }
                }
            }
        }
        let again =
            if problems.is_empty() { None } else { Some(real.wait.map_or(FIRST, |w| (w * 2).min(LONGEST))) };
        real.wait = again;
        real.zones.set(zones);
        let old = std::mem::replace(&mut real.problems, problems.clone());
        for key in old.difference(&problems) {
            self.cx.engine.remove::<RecordProblem>(key);
        }
        for key in problems.difference(&old) {
            self.cx.engine.put(RecordProblem { key: key.clone() });
        }
        self.cx.facts = true;
        if let Some(wait) = again {
            let (number, events) = (readings.number, self.events.clone());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let _ = events.send(Event::ReadZones(number));
            });
        }
        let snapshots: Vec<Snapshot> = snapshots.into_values().collect();
        self.put_components(components, &snapshots);
        if std::mem::take(&mut self.source.dns.held) {
            // Now it is known what of it has records.
            self.reload();
        }
    }

    /// Settings of a component's server, with the Secret that its key stands in.
    fn server_of(&self, place: &Place, secrets: &mut BTreeSet<NamespacedName>) -> Result<Settings, String> {
        let Some(server) = &place.server else {
            return Err(match &*place.provider {
                "" => "no external-dns says where its records go; --real-dns needs one with provider rfc2136"
                    .to_owned(),
                provider => format!("provider {provider} is not built; rfc2136 is"),
            });
        };
        if let Some(why) = &server.refused {
            return Err(why.clone());
        }
        let key = if server.key.is_empty() { None } else { Some(self.key_of(place, server, secrets)?) };
        let addresses = server.hosts.iter().map(|host| {
            let ip = host.parse().map_err(|_| {
                format!("--rfc2136-host {host} is no address; write the server's address, since its name may be looked up nowhere")
            });
            ip.map(|ip| std::net::SocketAddr::new(ip, server.port))
        });
        Ok(Settings::new(addresses.collect::<Result<_, _>>()?, server.zones.clone(), key))
    }

    fn key_of(
        &self,
        place: &Place,
        server: &UpdateServer,
        secrets: &mut BTreeSet<NamespacedName>,
    ) -> Result<Key, String> {
        let secret: Redacted = match &server.secret {
            TsigSecret::Value(value) => value.clone(),
            TsigSecret::Missing => return Err("the secret of the TSIG key is not set".to_owned()),
            TsigSecret::Secret { name, key } => {
                let from = NamespacedName::new(place.namespace.clone(), name.clone());
                secrets.insert(from.clone());
                let row = self.cx.engine.get::<Secret>(&from);
                let value = row.as_ref().and_then(|row| row.data.get(key)).cloned();
                value
                    .ok_or_else(|| format!("Secret {from} with the TSIG key's secret ({key}) is not there"))?
            }
        };
        let algorithm = Algorithm::parse(&server.algorithm).map_err(|error| error.to_string())?;
        Key::new(&server.key, algorithm, &secret).map_err(|error| error.to_string())
    }
}

/// Reads every zone of a server, by what changed where it was read before.
async fn read(settings: Settings, held: Option<Arc<Rfc2136>>) -> Result<Read, String> {
    let server = match held.filter(|held| *held.settings() == settings) {
        Some(held) => held,
        None => Arc::new(Rfc2136::new(settings)?),
    };
    let mut snapshots = Vec::new();
    for zone in &server.settings().zones {
        snapshots.push(server.snapshot(zone).await.map_err(|error| error.to_string())?);
    }
    Ok((server, snapshots))
}
