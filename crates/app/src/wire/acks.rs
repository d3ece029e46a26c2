//! What several Envoys say of the same resources: a Gateway is as far as the slowest of its Envoys.
//!
//! Of a stream only what is not in force is kept. One that has just come counts from when it has caught up: an Envoy more is no step back
//! for those that serve, and it gets no traffic before.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::gateway::rows::{Hold, WireKey, WireType};
use portolan_envoy::{
    serve::StreamId,
    session::{Standing, Verdict},
};
use portolan_model::GatewayKey;

/// One Envoy's stream.
#[derive(Debug)]
struct Stream {
    gateway: Option<GatewayKey>,
    /// What is not in force there, and the change that its next word has to be about.
    behind: BTreeMap<WireKey, (u64, Standing)>,
    /// It had everything once.
    grown: bool,
}

impl Stream {
    fn waits(&self) -> bool {
        let on_its_way = |(key, (_, standing)): (&WireKey, &(u64, Standing))| {
            is_told(key) && matches!(standing, Standing::Held(Hold::Sent | Hold::By(_)))
        };
        self.behind.iter().any(on_its_way)
    }
}

/// Whether rooms read how it stands. Of clusters and endpoints they hear through the hosts that wait for them.
pub fn is_told(key: &WireKey) -> bool {
    !matches!(key.r#type, WireType::Cluster | WireType::Endpoints)
}

/// What all streams say.
#[derive(Debug, Default)]
pub struct Acks {
    streams: BTreeMap<StreamId, Stream>,
    /// Gateways that have Envoys which are ready, whomever these ask.
    ready: BTreeSet<GatewayKey>,
}

impl Acks {
    /// A stream has begun, when so many changes were published. `all` is what its Envoy is to have, and `pending` of it what nobody has in
    /// force. The first one of its Gateway is taken to have the rest until it says otherwise: it may have been away for a moment.
    pub fn connected(
        &mut self,
        id: StreamId,
        gateway: Option<GatewayKey>,
        at: u64,
        all: impl Iterator<Item = WireKey>,
        pending: impl Fn(&WireKey) -> bool,
    ) {
        let alone = !self.streams.values().any(|stream| stream.gateway == gateway);
        let behind = all.filter(|key| !alone || pending(key));
        let behind = behind.map(|key| (key, (at, Standing::Held(Hold::Sent)))).collect();
        self.streams.insert(id, Stream { gateway, behind, grown: false });
    }

    /// These were published as the change of this number. `holds`: whether the Envoys of a Gateway are to have something.
    pub fn published<'a>(
        &mut self,
        keys: &(impl Iterator<Item = &'a WireKey> + Clone),
        at: u64,
        holds: impl Fn(Option<&GatewayKey>, &WireKey) -> bool,
    ) {
        for stream in self.streams.values_mut() {
            let gateway = stream.gateway.as_ref();
            stream.behind.retain(|key, _| holds(gateway, key));
            for key in keys.clone().filter(|key| holds(gateway, key)) {
                stream.behind.insert(key.clone(), (at, Standing::Held(Hold::Sent)));
            }
        }
    }

    /// Takes what a stream says; what is to be asked about again.
    pub fn judged(&mut self, id: StreamId, verdict: Verdict) -> BTreeSet<WireKey> {
        let Verdict { key, taken, standing } = verdict;
        let Some(stream) = self.streams.get_mut(&id) else { return BTreeSet::new() };
        if stream.behind.get(&key).is_some_and(|(needed, _)| *needed > taken) {
            return BTreeSet::new();
        }
        if standing == Standing::InForce {
            stream.behind.remove(&key);
        } else {
            stream.behind.insert(key.clone(), (taken, standing));
        }
        let mut again = BTreeSet::from([key]);
        if !stream.grown && !stream.waits() {
            stream.grown = true;
            let gateway = stream.gateway.clone();
            again.extend(self.open(gateway.as_ref()));
        }
        again
    }

    /// A stream has ended; what is to be asked about again. Of a Gateway without another it is nothing: its Envoys serve on.
    pub fn gone(&mut self, id: StreamId) -> BTreeSet<WireKey> {
        let Some(stream) = self.streams.remove(&id) else { return BTreeSet::new() };
        if !self.streams.values().any(|other| other.gateway == stream.gateway) {
            return BTreeSet::new();
        }
        self.open(stream.gateway.as_ref()).chain(stream.behind.into_keys()).collect()
    }

    /// What is not in force at some Envoy of a Gateway.
    fn open(&self, gateway: Option<&GatewayKey>) -> impl Iterator<Item = WireKey> {
        let of = self.streams.values().filter(move |stream| stream.gateway.as_ref() == gateway);
        of.flat_map(|stream| stream.behind.keys().cloned())
    }

    /// Nobody has it any more.
    pub fn forget(&mut self, key: &WireKey) {
        for stream in self.streams.values_mut() {
            stream.behind.remove(key);
        }
    }

    /// How it stands at all Envoys that count: what is refused anywhere is refused, and else what is on its way anywhere is on its way.
    pub fn standing(&self, key: &WireKey) -> Standing {
        let grown: BTreeSet<Option<&GatewayKey>> = self
            .streams
            .values()
            .filter(|stream| stream.grown)
            .map(|stream| stream.gateway.as_ref())
            .collect();
        let counts = |stream: &&Stream| stream.grown || !grown.contains(&stream.gateway.as_ref());
        let all = self.streams.values().filter(counts);
        let mut worst = Standing::InForce;
        for (_, standing) in all.filter_map(|stream| stream.behind.get(key)) {
            let worse = match (&worst, standing) {
                (Standing::Refused(_), _) => false,
                // One that does not ask for it waits for nothing.
                (_, Standing::Refused(_))
                | (Standing::InForce, _)
                | (Standing::Held(Hold::NotAsked), Standing::Held(_)) => true,
                _ => false,
            };
            if worse {
                worst = standing.clone();
            }
        }
        worst
    }

    /// Whether Envoys of a Gateway are ready.
    pub fn note_ready(&mut self, gateway: &GatewayKey, ready: bool) {
        if ready {
            self.ready.insert(gateway.clone());
        } else {
            self.ready.remove(gateway);
        }
    }

    /// Gateways whose Envoys are ready and ask other replicas alone: what those were told is not known here.
    pub fn unheard(&self) -> Vec<GatewayKey> {
        let heard: BTreeSet<&GatewayKey> =
            self.streams.values().filter_map(|stream| stream.gateway.as_ref()).collect();
        self.ready.iter().filter(|gateway| !heard.contains(gateway)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> WireKey {
        WireKey { r#type: WireType::Listener, name: name.into() }
    }

    fn says(acks: &mut Acks, stream: u64, name: &str, taken: u64, standing: Standing) -> BTreeSet<WireKey> {
        acks.judged(StreamId(stream), Verdict { key: key(name), taken, standing })
    }

    fn connect(acks: &mut Acks, stream: u64, gateway: &str, pending: bool) {
        let gateway = Some(GatewayKey::new("infra", gateway));
        acks.connected(StreamId(stream), gateway, 5, [key("a")].into_iter(), |_| pending);
    }

    #[test]
    fn what_one_of_two_has_not_is_not_in_force() {
        let mut acks = Acks::default();
        connect(&mut acks, 1, "gw", true);
        assert_eq!(acks.standing(&key("a")), Standing::Held(Hold::Sent));
        assert_eq!(
            says(&mut acks, 1, "a", 4, Standing::InForce),
            [].into(),
            "that was of an earlier version"
        );
        says(&mut acks, 1, "a", 5, Standing::InForce);
        assert_eq!(acks.standing(&key("a")), Standing::InForce);
        // Another comes: no step back, and it counts once it has caught up.
        connect(&mut acks, 2, "gw", false);
        assert_eq!(acks.standing(&key("a")), Standing::InForce);
        says(&mut acks, 2, "a", 5, Standing::InForce);
        acks.published(&[key("a")].iter(), 6, |_, _| true);
        says(&mut acks, 1, "a", 6, Standing::InForce);
        assert_eq!(acks.standing(&key("a")), Standing::Held(Hold::Sent), "the second has not said so");
        assert_eq!(acks.gone(StreamId(2)), [key("a")].into());
        assert_eq!(acks.standing(&key("a")), Standing::InForce, "it is gone, and the other has it");
        assert_eq!(acks.gone(StreamId(1)), [].into(), "Envoys that cannot be heard serve on");
    }

    #[test]
    fn a_refusal_counts_and_another_gateways_envoy_does_not_wait_for_it() {
        let mut acks = Acks::default();
        connect(&mut acks, 1, "gw", true);
        connect(&mut acks, 2, "other", false);
        let refusal = portolan_core::gateway::rows::Refusal::of("no");
        says(&mut acks, 1, "a", 5, Standing::Refused(refusal.clone()));
        assert_eq!(acks.standing(&key("a")), Standing::Refused(refusal));
        let of = |gateway: Option<&GatewayKey>| gateway.is_some_and(|gateway| &*gateway.name == "other");
        acks.published(&[key("b")].iter(), 6, |gateway, _| of(gateway));
        assert_eq!(acks.standing(&key("a")), Standing::InForce, "the first is not to have it any more");
        assert_eq!(acks.standing(&key("b")), Standing::Held(Hold::Sent));
        acks.forget(&key("b"));
        assert_eq!(acks.standing(&key("b")), Standing::InForce);
    }

    #[test]
    fn a_gateway_is_unheard_while_its_envoys_ask_others() {
        let mut acks = Acks::default();
        let gateway = GatewayKey::new("infra", "gw");
        acks.note_ready(&gateway, true);
        assert_eq!(acks.unheard(), std::slice::from_ref(&gateway));
        connect(&mut acks, 1, "gw", true);
        assert!(acks.unheard().is_empty(), "one of them is heard, and counts for all");
        acks.gone(StreamId(1));
        acks.note_ready(&gateway, false);
        assert!(acks.unheard().is_empty(), "nobody serves");
    }

    #[test]
    fn one_that_comes_back_is_taken_to_have_what_it_had() {
        let mut acks = Acks::default();
        connect(&mut acks, 1, "gw", false);
        assert_eq!(acks.standing(&key("a")), Standing::InForce);
        says(&mut acks, 1, "a", 5, Standing::Held(Hold::Sent));
        assert_eq!(acks.standing(&key("a")), Standing::Held(Hold::Sent), "until it says otherwise");
    }
}
