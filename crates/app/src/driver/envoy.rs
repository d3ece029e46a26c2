//! Whether Envoy runs and asks for its configuration. If it does not, nothing is served, and that is a finding.

use std::time::{Duration, Instant};

use portolan_model::{Code, ObjectKey, Problem, Severity, input::SourceProblems};
use tokio::sync::mpsc;

use super::{Driver, Event, source::Source};

/// How long a started Envoy may take to connect: it takes less than a second where it works.
const PATIENCE: Duration = Duration::from_secs(10);

fn key() -> ObjectKey {
    ObjectKey::new("", "Program", "", "envoy")
}

/// What is known of the connection.
#[derive(Debug, Default)]
pub struct EnvoyState {
    /// Streams that are open: after a restart the new one may come before the old one has gone.
    streams: usize,
    /// The wait for a connection.
    wait: Option<tokio::task::AbortHandle>,
    /// Since when it is waited, and how long it was for the last connection.
    since: Option<Instant>,
    waited: Option<Duration>,
    /// What is said of one that could not be replaced, as long as it runs.
    kept: Option<Problem>,
    /// Envoys are started by others, who know whether they run.
    of_others: bool,
}

impl EnvoyState {
    /// Of the one that this program keeps, or of those that others start.
    pub fn new(of_others: bool) -> Self {
        Self { of_others, ..Self::default() }
    }

    /// Streams that are open.
    pub const fn streams(&self) -> usize {
        self.streams
    }

    /// How long it was waited for the last connection.
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl<S: Source> Driver<S> {
    /// From now on Envoy has to connect.
    pub(super) fn await_envoy(&mut self) {
        self.envoy.since = Some(Instant::now());
        let events: mpsc::UnboundedSender<Event> = self.events.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let _ = events.send(Event::EnvoyAwaited);
        });
        if let Some(before) = self.envoy.wait.replace(task.abort_handle()) {
            before.abort();
        }
    }

    pub(super) fn envoy_connected(&mut self) {
        tracing::info!("Envoy is connected");
        self.envoy.streams += 1;
        if let Some(since) = self.envoy.since.take() {
            self.envoy.waited = Some(since.elapsed());
        }
        if let Some(wait) = self.envoy.wait.take() {
            wait.abort();
        }
        self.envoy_problems(None);
    }

    pub(super) fn envoy_disconnected(&mut self) {
        tracing::info!("Envoy has disconnected");
        self.envoy.streams = self.envoy.streams.saturating_sub(1);
        if self.envoy.streams == 0 && !self.envoy.of_others {
            self.await_envoy();
        }
    }

    pub(super) fn envoy_awaited(&mut self) {
        // What is said of one that ended says more.
        let told = self.cx.engine.get::<SourceProblems>(&key());
        let ended = told.is_some_and(|row| row.problems.iter().any(|problem| problem.code == Code(91)));
        if self.envoy.streams == 0 && !ended {
            let log = self.cx.state.path().join("envoy.log");
            let message = format!(
                "Envoy runs and has not connected to Portolan for {} s, so nothing new is served",
                PATIENCE.as_secs()
            );
            let said = portolan_effects::envoy_process::tail(&log, 0);
            self.envoy_problem(92, &message, &said);
        }
    }

    pub(super) fn envoy_ended(&mut self, how: &str, said: &str) {
        tracing::warn!("{how}");
        let message = format!("{how}; it is started again, and until then nothing is served");
        self.envoy.kept = None;
        // There is nothing left that it would lose.
        self.cx.patience = None;
        self.envoy_problem(91, &message, said);
        self.wire.forget(&self.board, &mut self.cx.engine);
        self.await_envoy();
    }

    /// The Envoy of an earlier run serves on, as no other could take over from it.
    pub(super) fn envoy_kept(&mut self, why: &str, said: &str) {
        tracing::warn!("the Envoy of an earlier run is not replaced: {why}");
        let message = format!(
            "the Envoy that an earlier run started serves on with the start configuration of that run: {why}"
        );
        let hint = "nothing that is served is affected; `portolan down` and `portolan up` replace it, with an interruption of seconds";
        self.envoy.kept = Some(problem(93, Severity::Warning, &message, said, hint.into()));
        self.envoy_problems(None);
        // What another said of itself is void.
        self.wire.forget(&self.board, &mut self.cx.engine);
        self.cx.facts = true;
    }

    fn envoy_problem(&mut self, code: u16, message: &str, said: &str) {
        let log = self.cx.state.path().join("envoy.log");
        let hint = format!("its whole log is {}; another Envoy is named with --envoy PROGRAM", log.display());
        self.envoy_problems(Some(problem(code, Severity::Error, message, said, hint)));
    }

    /// What is wrong now, beside what is said of one that could not be replaced.
    fn envoy_problems(&mut self, now: Option<Problem>) {
        let problems: Vec<Problem> = now.into_iter().chain(self.envoy.kept.clone()).collect();
        let before = self.cx.engine.get::<SourceProblems>(&key());
        if before.is_some_and(|row| row.problems == problems) {
            return;
        }
        if !problems.is_empty() {
            self.cx.engine.put(SourceProblems { key: key(), problems });
        } else if self.cx.engine.get::<SourceProblems>(&key()).is_some() {
            self.cx.engine.remove::<SourceProblems>(&key());
        } else {
            return;
        }
        self.cx.facts = true;
    }
}

fn problem(code: u16, severity: Severity, message: &str, said: &str, hint: String) -> Problem {
    let said = if said.is_empty() { String::new() } else { format!(". The end of its log: {said}") };
    let (code, message) = (Code(code), format!("{message}{said}"));
    Problem { object: key(), code, field: "".into(), severity, message, hint }
}
