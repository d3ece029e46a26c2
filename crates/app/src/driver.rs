//! One task owns the engine: facts in, step, changes out. Nothing is decided here.
//!
//! What all ways to run Portolan have in common is [`Driver`]; where objects come from, and what goes with that, is its
//! [`Source`]: the work tree of `portolan up` ([`up`]), or the API server of `portolan run` ([`run`]).

mod admission;
mod answers;
mod batch;
mod damaged;
mod dns;
mod envoy;
mod envoy_keeper;
mod events;
mod held;
mod late;
mod metrics;
mod outside;
mod places;
mod prune;
mod reaction;
mod real_dns;
mod reload;
mod run;
mod source;
mod tell;
mod up;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portolan_effects::{
    dns::keeper,
    echo,
    folder::Burst,
    render::{Difference, Tree},
};
use portolan_engine::Held;
use portolan_envoy::{board::Board, serve::Report};
use portolan_model::{Instant, ObjectKey, Origin};
use serde_json::Value;
use tokio::sync::mpsc;

use envoy::EnvoyState;
use events::note_findings;
use reaction::Reaction;
use real_dns::Readings;
pub use run::{InKubernetes, Range, Request, rights, run};
use source::Source;
pub use up::up;

use crate::{
    api,
    effects::{Context, Effects, GIT, OURS, now},
    wire::Wire,
};

/// How long after a refused write all is written again.
const REWRITE: Duration = Duration::from_secs(5);

/// How long effects have to clean up when the program ends.
const PATIENCE: Duration = Duration::from_secs(3);

/// Something that happened outside.
pub enum Event {
    Folder(Burst),
    /// Paths that may have been in the middle of something when they were read.
    LookAgain,
    /// A rendering has ended that no reading has waited for.
    Rendered,
    /// One may still go on.
    StillRendering,
    Read(Box<Tree>, Box<Difference>),
    /// Lines of objects of charts in their templates.
    Placed(Box<Tree>, Vec<(ObjectKey, Origin)>),
    Xds(Report),
    /// An effect has an answer.
    Answered,
    Dns(Box<keeper::Report>),
    /// Zones of real servers were read.
    ZonesRead(Box<Readings>),
    /// Some could not be in the reading of this number, and are due again.
    ReadZones(u64),
    Ask(api::Ask),
    /// The cluster of `portolan run`.
    Cluster(run::Told),
    /// How, and the end of its log.
    EnvoyEnded(String, String),
    /// Another could not take over from it, and why, with the end of the other's log.
    EnvoyKept(String, String),
    /// It had time to connect.
    EnvoyAwaited,
    Interrupt,
}

impl Event {
    /// Whether facts may come with it. Who only asks causes no step, nor does what begins with it: a reading. Of an answer the effect
    /// says whether it brought any.
    fn stirs(&self) -> bool {
        match self {
            Self::Ask(ask) => ask.what.changes(),
            Self::Folder(_)
            | Self::LookAgain
            | Self::Rendered
            | Self::StillRendering
            | Self::ReadZones(_)
            | Self::Answered
            | Self::Xds(Report::Connected(..)) => false,
            _ => true,
        }
    }
}

/// The engine and what surrounds it in every way to run.
pub struct Driver<S: Source = up::WorkTree> {
    cx: Context<S::On>,
    effects: Effects<S::On>,
    source: S,
    wire: Wire,
    board: Arc<Board>,
    events: mpsc::UnboundedSender<Event>,
    run: Value,
    next_due: Option<Instant>,
    steps: u64,
    runs: u64,
    reaction: Reaction,
    envoy: EnvoyState,
    /// What was told of failed rules.
    held: Arc<[Held]>,
}

/// Waits until then; for ever where there is no such time.
async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl<S: Source> Driver<S> {
    async fn run(&mut self, mut events: mpsc::UnboundedReceiver<Event>) -> anyhow::Result<u8> {
        // When what could not be written is tried again, whatever else is asked meanwhile.
        let mut rewrite: Option<tokio::time::Instant> = None;
        loop {
            if let Some(outcome) = S::outcome(self) {
                return outcome;
            }
            S::tell(self);
            let sleep = match self.next_due {
                Some(due) => {
                    Duration::from_millis(u64::try_from(due.0 - now().0).unwrap_or(0).min(3_600_000))
                }
                None => Duration::from_hours(1),
            };
            rewrite =
                self.cx.unwritten.then(|| rewrite.unwrap_or_else(|| tokio::time::Instant::now() + REWRITE));
            let wake = tokio::time::Instant::now() + sleep;
            let wake = rewrite.into_iter().chain(self.cx.patience).fold(wake, std::cmp::min);
            // What an effect tries again is no reason for a step.
            let due = self.effects.iter().filter_map(|effect| effect.due()).fold(wake, std::cmp::min);
            let mut stirred = false;
            let event = tokio::select! {
                event = events.recv() => event,
                () = tokio::time::sleep_until(due) => {
                    // An instant that a rule waits for.
                    stirred = wake <= tokio::time::Instant::now();
                    None
                }
                () = sleep_until(S::deadline(self)) => return S::late(self),
            };
            // What piled up meanwhile goes into the same step.
            for event in event.into_iter().chain(std::iter::from_fn(|| events.try_recv().ok())) {
                stirred |= event.stirs();
                if let Some(code) = self.take(event) {
                    return Ok(code);
                }
            }
            stirred |= self.drive_effects();
            if rewrite.is_some_and(|at| at <= tokio::time::Instant::now()) {
                rewrite = None;
                self.cx.unwritten = false;
                self.cx.keep_again();
                self.cx.again = true;
                S::read_again(self);
                stirred = true;
            }
            if stirred {
                self.settle();
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<u8> {
        match event {
            Event::Xds(Report::Connected(stream, gateway)) => {
                self.wire.connected(stream, gateway, &self.board);
                self.envoy_connected();
            }
            Event::Xds(Report::Disconnected(stream)) => {
                self.cx.facts |= self.wire.disconnected(stream, &mut self.cx.engine);
                self.envoy_disconnected();
            }
            Event::Xds(Report::Verdicts(stream, verdicts)) => {
                self.cx.facts |= self.wire.verdicts(stream, verdicts, &mut self.cx.engine);
                if self.wire.settled() {
                    self.reaction.settled();
                }
            }
            // Taken with all others in a moment.
            Event::Answered => {}
            Event::Ask(ask) => {
                let down = matches!(ask.what, api::What::Down);
                let answer = self.answer(ask.what);
                let _ = ask.answer.send(answer);
                if down {
                    return Some(0);
                }
            }
            Event::EnvoyEnded(how, said) => self.envoy_ended(&how, &said),
            Event::EnvoyKept(why, said) => self.envoy_kept(&why, &said),
            Event::EnvoyAwaited => self.envoy_awaited(),
            Event::Interrupt => return Some(0),
            of_source => S::take(self, of_source),
        }
        None
    }

    /// Steps until nothing follows from the last step any more. Feedback inside is bounded: addresses, what is opened,
    /// what is mirrored. Envoy gets the outcome only, so that a Secret which is opened at the start is never missed.
    fn settle(&mut self) {
        let mut appeared = BTreeSet::new();
        for _ in 0..8 {
            if std::mem::take(&mut self.cx.recovered) {
                for effect in &mut self.effects {
                    effect.recovered(&mut self.cx);
                }
            }
            self.cx.facts = false;
            let step = self.cx.engine.step(now().0);
            self.steps += 1;
            self.runs += step.runs() as u64;
            self.next_due = step.next_due.map(Instant);
            for error in &step.errors {
                tracing::error!(%error, "engine");
            }
            for conflict in &step.conflicts {
                tracing::error!(?conflict, "two rules make one row");
            }
            self.note_held(&step);
            S::note(self, &step);
            note_findings(&mut appeared, &step);
            self.cx.facts |= self.wire.take(&step, &self.board, &mut self.cx.engine);
            S::follow(self, &step);
            for effect in &mut self.effects {
                effect.follow(&step, &mut self.cx);
                effect.begin(&mut self.cx);
            }
            self.cx.again = false;
            S::followed(self);
            if !self.cx.facts {
                break;
            }
        }
        if let Some(own) = self.wire.stand_ins() {
            self.cx.keep(echo::FILE, own);
        }
        if !S::holds(self)
            && let Some(published) = self.wire.publish(&self.board)
        {
            self.reaction.published(published.count, published.bytes);
        }
        self.record_findings(appeared);
        S::settled(self);
    }

    /// Lets effects take their answers and begin what is due; `true` if there are facts for a step.
    fn drive_effects(&mut self) -> bool {
        self.cx.facts = false;
        for effect in &mut self.effects {
            effect.take(&mut self.cx);
            effect.begin(&mut self.cx);
        }
        self.cx.facts
    }

    /// Gives up what is under way, and waits a moment for what has to be cleaned up.
    async fn finish(&mut self) {
        let cleaning: Vec<_> = self.effects.iter_mut().filter_map(|effect| effect.finish()).collect();
        let all = async {
            for mut tasks in cleaning {
                while tasks.join_next().await.is_some() {}
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("an order did not end in time; a challenge's TXT value may be left behind");
        }
    }
}
