//! Glue between the engine and the streams: what steps change goes on the board, and what Envoy says becomes facts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::{
    World,
    gateway::rows::{
        Hold, ListenerInForce, VirtualHost, WireAck, WireKey, WireListener, WirePending, WireType,
        virtual_host_name,
    },
    status::rows::Probe,
};
use portolan_effects::echo::Echo;
use portolan_engine::{Changes, Engine};
use portolan_envoy::{
    board::Board,
    session::{Standing, Verdict},
    translate::{Published, Staged},
};

/// What is not published yet, and what Envoy has not judged yet.
pub struct Wire {
    staged: Staged,
    /// Wanted and not judged yet, each with the change on the board that it waits for.
    pending: BTreeMap<WireKey, u64>,
    /// Those of them that are not on the board yet.
    unpublished: BTreeSet<WireKey>,
    echo: Echo,
}

impl Wire {
    /// Nothing yet, and the stand-ins.
    pub fn new(echo: Echo) -> Self {
        let (staged, pending, unpublished) = (Staged::default(), BTreeMap::new(), BTreeSet::new());
        Self { staged, pending, unpublished, echo }
    }

    /// Which Services have a stand-in of their own, if they are others than at the call before.
    pub fn stand_ins(&mut self) -> Option<Vec<u8>> {
        self.echo.take_changed()
    }

    /// Takes over the changes of the last step; `true` if there are facts for another one.
    pub fn take(&mut self, step: &Changes, board: &Board, engine: &mut Engine<World>) -> bool {
        let echo = &mut self.echo;
        let mut stand_in = |service: &_| echo.socket(&format!("{service}")).display().to_string();
        let touched = board.look(|wanted| self.staged.take(step, wanted, &mut stand_in));
        let mut facts = gone(step, engine, &mut self.pending);
        for key in touched {
            if self.staged.removes(&key) {
                self.pending.remove(&key);
                engine.remove::<WireAck>(&key);
                engine.remove::<WirePending>(&key);
            } else {
                self.pending.insert(key.clone(), u64::MAX);
                self.unpublished.insert(key.clone());
                // What was seen of a host that changes says nothing of what it will be. Taken away with the same facts
                // that say that it waits for Envoy: one step less for each edit.
                if key.r#type == WireType::VirtualHost
                    && let Some((_, host)) = key.name.rsplit_once('/')
                {
                    engine.remove::<Probe>(&host.into());
                }
                if is_told(&key) {
                    engine.put(WirePending { key, hold: Hold::Sent });
                }
            }
            facts = true;
        }
        facts
    }

    /// Puts on the board what changed since the last time; `None` if nothing did.
    pub fn publish(&mut self, board: &Board) -> Option<Published> {
        let nothing = self.staged.is_empty() && board.is_known();
        let staged = &mut self.staged;
        let (published, sequence) =
            (!nothing).then(|| board.publish(|wanted| (staged.publish(wanted), wanted.sequence())))?;
        for key in std::mem::take(&mut self.unpublished) {
            // What went again before it was published waits for nothing.
            self.pending.entry(key).and_modify(|at| *at = sequence);
        }
        Some(published)
    }

    /// A new Envoy has nothing: everything waits for its verdict again.
    pub fn forget(&mut self, board: &Board, engine: &mut Engine<World>) {
        let sockets: Vec<_> = engine.rows::<ListenerInForce>().map(|row| row.key.clone()).collect();
        for key in &sockets {
            engine.remove::<ListenerInForce>(key);
        }
        let acks: Vec<WireKey> = engine.rows::<WireAck>().map(|row| row.key.clone()).collect();
        let sequence = board.look(portolan_envoy::board::Wanted::sequence);
        for key in acks {
            engine.remove::<WireAck>(&key);
            engine.put(WirePending { key: key.clone(), hold: Hold::Sent });
            self.pending.insert(key, sequence);
        }
    }

    /// Notes verdicts; facts follow for those that are about what is wanted now.
    pub fn verdicts(&mut self, verdicts: Vec<Verdict>, engine: &mut Engine<World>) -> bool {
        let mut facts = false;
        for Verdict { key, taken, standing } in verdicts {
            if self.pending.get(&key).is_some_and(|at| *at > taken) {
                continue;
            }
            let state = match standing {
                Standing::Held(hold) => {
                    // What nothing asks for is waited for by nobody.
                    if hold == Hold::NotAsked {
                        self.pending.remove(&key);
                    } else {
                        self.pending.insert(key.clone(), taken);
                    }
                    if is_told(&key) {
                        engine.put(WirePending { key, hold });
                        facts = true;
                    }
                    continue;
                }
                Standing::InForce => Ok(()),
                Standing::Refused(refusal) => Err(refusal),
            };
            self.pending.remove(&key);
            if state.is_ok() && !is_told(&key) {
                // Only a refusal of it is told.
                if engine.get::<WireAck>(&key).is_some() {
                    engine.remove::<WireAck>(&key);
                    facts = true;
                }
                continue;
            }
            facts = true;
            engine.remove::<WirePending>(&key);
            if key.r#type == WireType::Listener && state.is_ok() {
                let row = engine.rows::<WireListener>().find(|row| row.name == key.name).map(Arc::clone);
                if let Some(row) = row {
                    engine.put(ListenerInForce { key: row.key.clone(), row });
                }
            }
            engine.put(WireAck { key, state });
        }
        facts
    }

    /// Envoy has judged all that is wanted.
    pub fn settled(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Whether rooms read how it stands. Of clusters and endpoints they hear through the hosts that wait for them.
fn is_told(key: &WireKey) -> bool {
    !matches!(key.r#type, WireType::Cluster | WireType::Endpoints)
}

/// Facts about rows that are gone.
fn gone(step: &Changes, engine: &mut Engine<World>, pending: &mut BTreeMap<WireKey, u64>) -> bool {
    let mut facts = false;
    for change in step.of::<WireListener>().iter().filter(|change| change.after.is_none()) {
        engine.remove::<ListenerInForce>(&change.key);
        facts = true;
    }
    for change in step.of::<VirtualHost>().iter().filter(|change| change.after.is_none()) {
        let key =
            WireKey { r#type: WireType::VirtualHost, name: virtual_host_name(&change.key.0, &change.key.1) };
        engine.remove::<WireAck>(&key);
        engine.remove::<WirePending>(&key);
        pending.remove(&key);
        facts = true;
    }
    facts
}

#[cfg(test)]
mod tests;
