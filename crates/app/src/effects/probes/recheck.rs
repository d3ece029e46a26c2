//! What is said to be live is asked again, slowly: Envoy may hang, a certificate may expire, a backend may fall silent, and
//! nobody tells.
//!
//! Hosts of one listener with one certificate share what may go wrong unseen, and a connection. Of each such lane some hosts
//! are asked with each beat, in turn, over one new connection; so the work is that of the lanes, and not of the hosts. If one
//! of them fails it is asked at once as for the first time, and if all do, so are all hosts of the lane: what is then said
//! is never of one failure. A beat and its time-outs are less than 15 seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portolan_core::{
    gateway::rows::ListenerKey,
    status::rows::{EntryPoint, Probe},
};
use portolan_effects::probe::{Lane, Outcomes, probe};
use portolan_model::{Name, NamespacedName};
use tokio::time::Instant;

use super::{
    Probes,
    facts::Answer,
    run::{lane_roots, place_of},
};
use crate::effects::{Context, inbox::Answers};

/// Between two beats, and at most so much more, so that instances of a machine do not beat together.
const BEAT: Duration = Duration::from_millis(4_500);
const JITTER: Duration = Duration::from_secs(1);
/// Hosts of a lane that are asked with one beat.
const SAMPLE: usize = 16;

/// Hosts of a lane are those that have this in common.
type Common = (ListenerKey, Option<NamespacedName>);

/// How many there have been.
#[derive(Default)]
pub struct Beat(usize);

/// Starts the beat; it ends with the effect.
pub fn start(answers: Answers<Answer>) {
    tokio::spawn(async move {
        loop {
            // Nothing depends on how random it is.
            let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let part = nanos.map_or(0, |since| since.subsec_nanos() % 1_000);
            tokio::time::sleep(BEAT + JITTER * part / 1_000).await;
            if !answers.send(Answer::Beat) {
                return;
            }
        }
    });
}

/// Which of so many hosts are asked with this beat: all of a few, else so many of them in turn.
fn sample(hosts: usize, beat: usize) -> impl Iterator<Item = usize> {
    let taken = SAMPLE.min(hosts);
    (0..taken).map(move |n| if hosts > SAMPLE { (beat * SAMPLE + n) % hosts } else { n })
}

impl Probes {
    /// Asks some hosts of each lane again.
    pub(super) fn recheck(&mut self, cx: &Context) {
        self.beat.0 = self.beat.0.wrapping_add(1);
        let mut lanes: BTreeMap<Common, Vec<Name>> = BTreeMap::new();
        for entry in cx.engine.rows::<EntryPoint>().filter(|entry| entry.probe) {
            let common =
                (entry.listener.clone(), entry.certificate.as_ref().map(|(secret, _)| secret.clone()));
            lanes.entry(common).or_default().push(entry.key.clone());
        }
        for hosts in lanes.into_values() {
            let asked: Vec<Name> = sample(hosts.len(), self.beat.0)
                .map(|n| hosts[n].clone())
                .filter(|host| self.answered(host, cx))
                .collect();
            let Some(place) = asked.first().and_then(|host| place_of(host, cx)) else { continue };
            let Some(roots) = lane_roots(place.3.as_ref(), cx) else { continue };
            let hosts = asked.into_iter().map(|host| (host.clone(), host.to_string())).collect();
            let lane = Lane { address: place.0, speaks: place.1, roots, hosts, connections: 1 };
            let (answers, permits) = (self.inbox.answers(), Arc::clone(&self.connections));
            tokio::spawn(probe(lane, permits, move |seen| {
                answers.send(Answer::Rechecked(seen));
            }));
        }
    }

    /// Whether it has answered, and is not being asked already.
    fn answered(&self, host: &Name, cx: &Context) -> bool {
        !self.hosts.is_open(host) && cx.engine.get::<Probe>(host).is_some_and(|probe| probe.state.is_ok())
    }

    /// Takes what was seen. What has failed is asked once more, as for the first time, before anything is said.
    pub(super) fn rechecked(&mut self, outcomes: &Outcomes<Name>, cx: &Context) {
        let failed: Vec<&Name> =
            outcomes.iter().filter(|(_, state)| state.is_err()).map(|(host, _)| host).collect();
        let Some(first) = failed.first() else { return };
        let all = failed.len() == outcomes.len();
        let lane = cx.engine.get::<EntryPoint>(first).filter(|_| all);
        let mut again: Vec<Name> = failed.into_iter().cloned().collect();
        if let Some(lane) = lane {
            let same = cx.engine.rows::<EntryPoint>().filter(|entry| {
                entry.probe && entry.listener == lane.listener && entry.certificate == lane.certificate
            });
            again.extend(same.map(|entry| entry.key.clone()));
        }
        again.retain(|host| self.answered(host, cx));
        for host in again {
            self.hosts.renew(host, (), Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_its_turn_and_a_beat_is_bounded() {
        assert_eq!(sample(3, 9).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(sample(0, 9).count(), 0);
        let mut asked = vec![0; 100];
        for beat in 0..25 {
            assert_eq!(sample(100, beat).count(), SAMPLE);
            for n in sample(100, beat) {
                asked[n] += 1;
            }
        }
        assert!(asked.iter().all(|times| (3..=5).contains(times)), "{asked:?}");
    }
}
