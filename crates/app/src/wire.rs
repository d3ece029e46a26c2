//! Glue between the engine and the streams: what steps change goes on the board, and what Envoys say becomes facts.

mod acks;

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
    serve::StreamId,
    session::{Standing, Verdict},
    translate::{Published, Staged},
};
use portolan_model::GatewayKey;

use acks::{Acks, is_told};

/// What is not published yet, and what Envoy has not judged yet.
pub struct Wire {
    staged: Staged,
    /// Wanted and not judged yet, each with the change on the board that it waits for.
    pending: BTreeMap<WireKey, u64>,
    /// Those of them that are not on the board yet.
    unpublished: BTreeSet<WireKey>,
    acks: Acks,
    echo: Echo,
}

impl Wire {
    /// Nothing yet, and the stand-ins.
    pub fn new(echo: Echo) -> Self {
        let (staged, pending, unpublished) = (Staged::default(), BTreeMap::new(), BTreeSet::new());
        Self { staged, pending, unpublished, acks: Acks::default(), echo }
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
        let mut facts = self.gone(step, engine);
        for key in touched {
            if self.staged.removes(&key) {
                self.pending.remove(&key);
                self.acks.forget(&key);
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
        let news = std::mem::take(&mut self.unpublished);
        for key in &news {
            // What went again before it was published waits for nothing.
            if let Some(at) = self.pending.get_mut(key) {
                *at = sequence;
            }
        }
        let holds =
            |gateway: Option<&GatewayKey>, key: &WireKey| board.look_of(gateway, |part| part.holds(key));
        self.acks.published(&news.iter(), sequence, holds);
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

    /// An Envoy has come: one of this Gateway, or one that has everything.
    pub fn connected(&mut self, id: StreamId, gateway: Option<GatewayKey>, board: &Board) {
        let at = board.look(portolan_envoy::board::Wanted::sequence);
        let all: Vec<WireKey> = board.look_of(gateway.as_ref(), |part| part.keys().collect());
        let pending = &self.pending;
        self.acks.connected(id, gateway, at, all.into_iter(), |key| pending.contains_key(key));
    }

    /// An Envoy is gone, or cannot be heard; `true` if there are facts for a step.
    pub fn disconnected(&mut self, id: StreamId, engine: &mut Engine<World>) -> bool {
        let again = self.acks.gone(id);
        again.into_iter().fold(false, |facts, key| self.stands(key, engine) | facts)
    }

    /// Whether Envoys of a Gateway are ready, whomever they ask.
    pub fn note_ready(&mut self, gateway: &GatewayKey, ready: bool) {
        self.acks.note_ready(gateway, ready);
    }

    /// What Envoys have that ask other replicas alone is taken to be in force: these translate the same, and an Envoy is ready once it was told
    /// everything. `true` if there are facts for a step.
    pub fn trust_others(&mut self, board: &Board, engine: &mut Engine<World>) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        let mut keys = BTreeSet::new();
        for gateway in self.acks.unheard() {
            let waits = |key: &WireKey| self.pending.get(key).is_some_and(|at| *at != u64::MAX);
            keys.extend(board.look_of(Some(&gateway), |part| part.keys().filter(waits).collect::<Vec<_>>()));
        }
        keys.into_iter().fold(false, |facts, key| self.stands(key, engine) | facts)
    }

    /// Notes verdicts; facts follow for those that are about what is wanted now.
    pub fn verdicts(&mut self, id: StreamId, verdicts: Vec<Verdict>, engine: &mut Engine<World>) -> bool {
        let mut again = BTreeSet::new();
        for verdict in verdicts {
            if self.pending.get(&verdict.key).is_none_or(|at| *at <= verdict.taken) {
                again.extend(self.acks.judged(id, verdict));
            }
        }
        again.into_iter().fold(false, |facts, key| self.stands(key, engine) | facts)
    }

    /// Puts how something stands at all Envoys together; `true` if that is a fact for a step.
    fn stands(&mut self, key: WireKey, engine: &mut Engine<World>) -> bool {
        // It is another than they were told of.
        if self.pending.get(&key) == Some(&u64::MAX) {
            return false;
        }
        let state = match self.acks.standing(&key) {
            Standing::Held(hold) => {
                // What nothing asks for is waited for by nobody.
                if hold == Hold::NotAsked {
                    self.pending.remove(&key);
                } else {
                    self.pending.entry(key.clone()).or_default();
                }
                let told = is_told(&key);
                if told {
                    engine.put(WirePending { key, hold });
                }
                return told;
            }
            Standing::InForce => Ok(()),
            Standing::Refused(refusal) => Err(refusal),
        };
        self.pending.remove(&key);
        if state.is_ok() && !is_told(&key) {
            // Only a refusal of it is told.
            let refused = engine.get::<WireAck>(&key).is_some();
            if refused {
                engine.remove::<WireAck>(&key);
            }
            return refused;
        }
        engine.remove::<WirePending>(&key);
        if key.r#type == WireType::Listener && state.is_ok() {
            let row = engine.rows::<WireListener>().find(|row| row.name == key.name).map(Arc::clone);
            if let Some(row) = row {
                engine.put(ListenerInForce { key: row.key.clone(), row });
            }
        }
        engine.put(WireAck { key, state });
        true
    }

    /// Facts about rows that are gone.
    fn gone(&mut self, step: &Changes, engine: &mut Engine<World>) -> bool {
        let mut facts = false;
        for change in step.of::<WireListener>().iter().filter(|change| change.after.is_none()) {
            engine.remove::<ListenerInForce>(&change.key);
            facts = true;
        }
        for change in step.of::<VirtualHost>().iter().filter(|change| change.after.is_none()) {
            let name = virtual_host_name(&change.key.0, &change.key.1);
            let key = WireKey { r#type: WireType::VirtualHost, name };
            engine.remove::<WireAck>(&key);
            engine.remove::<WirePending>(&key);
            self.pending.remove(&key);
            self.acks.forget(&key);
            facts = true;
        }
        facts
    }

    /// Envoy has judged all that is wanted.
    pub fn settled(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests;
