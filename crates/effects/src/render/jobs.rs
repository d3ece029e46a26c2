//! Renderings that go on beside the readings: one that takes long delays what it brings, and nothing else.
//!
//! ```text
//!  reading -> run(subject, key) --new--> queue -> a few workers -> outcome -> told: read again
//!                 |  waits for its patience
//!                 +-> outcome, or `Failure::Later`: what the subject brought stays
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::helm::Failure;

/// Renderings at a time.
const WORKERS: usize = 4;
/// How long an edit waits for a rendering that has begun.
const EDIT: Duration = Duration::from_millis(750);
/// How long a reading of everything does.
const WHOLE: Duration = Duration::from_secs(2);
/// How often it is looked whether those that are rendered have got slow.
const LOOK: Duration = Duration::from_millis(50);

/// What is rendered: a source of an Application, or a chart in it.
pub(super) type Subject = String;
type Outcome = Result<String, Failure>;
/// What renders; it ends soon after the flag is set.
pub(super) type Render = Box<dyn FnOnce(&AtomicBool) -> Outcome + Send>;

/// All renderings of one tree.
#[derive(Clone)]
pub struct Jobs(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    told: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<Subject, Job>,
    queue: VecDeque<(Subject, u64, Render)>,
    workers: usize,
    /// Number of the next job.
    next: u64,
    /// Subjects that this reading has asked for.
    asked: BTreeSet<Subject>,
}

struct Job {
    number: u64,
    /// Names the content.
    key: String,
    since: Instant,
    started: Option<Instant>,
    stop: Arc<AtomicBool>,
    /// Nobody waits for it any more, so its end has to be told.
    late: bool,
    outcome: Option<Outcome>,
    /// An outcome that is not tried again before.
    until: Option<Instant>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("jobs", &self.0.lock().jobs.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether all workers have something slow.
    fn is_stuck(&self, patience: Duration) -> bool {
        let running = self.jobs.values().filter(|job| job.outcome.is_none()).filter_map(|job| job.started);
        let slow = running.filter(|started| started.elapsed() >= patience).count();
        slow >= WORKERS
    }

    fn forget(&mut self, subject: &str) {
        if let Some(job) = self.jobs.remove(subject) {
            job.stop.store(true, Ordering::Relaxed);
            self.queue.retain(|(_, number, _)| *number != job.number);
        }
    }
}

impl Jobs {
    /// No job yet. `told` is called when one has ended that a reading has not waited for.
    pub fn new(told: impl Fn() + Send + Sync + 'static) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { state, changed, told: Box::new(told) }))
    }

    /// How long a reading waits for a rendering.
    pub(super) fn patience(whole: bool) -> Duration {
        if whole { WHOLE } else { EDIT }
    }

    /// Whether something is being rendered that no reading has taken yet.
    pub fn is_busy(&self) -> bool {
        self.0.lock().jobs.values().any(|job| job.until.is_none())
    }

    /// Renders, or takes what was rendered of the same content meanwhile. Another content of the same subject ends what
    /// was rendered of it. Without patience it waits for the end.
    pub(super) fn run(
        &self,
        subject: &str,
        key: &str,
        patience: Option<Duration>,
        prepare: impl FnOnce() -> Result<Render, Failure>,
    ) -> Outcome {
        let mut state = self.0.lock();
        state.asked.insert(subject.to_owned());
        let known = state
            .jobs
            .get(subject)
            .filter(|job| job.key == key && job.until.is_none_or(|until| Instant::now() < until));
        let number = if let Some(job) = known {
            job.number
        } else {
            state.forget(subject);
            drop(state);
            let render = prepare()?;
            state = self.0.lock();
            let number = state.next;
            state.next += 1;
            let job = Job {
                number,
                key: key.to_owned(),
                since: Instant::now(),
                started: None,
                stop: Arc::default(),
                late: false,
                outcome: None,
                until: None,
            };
            state.jobs.insert(subject.to_owned(), job);
            state.queue.push_back((subject.to_owned(), number, render));
            if state.workers < WORKERS {
                state.workers += 1;
                let shared = Arc::clone(&self.0);
                std::thread::spawn(move || work(&shared));
            }
            number
        };
        loop {
            let stuck = patience.is_some_and(|patience| state.is_stuck(patience));
            let Some(job) = state.jobs.get_mut(subject).filter(|job| job.number == number) else {
                return Err(Failure::Later(Duration::ZERO));
            };
            match &job.outcome {
                Some(Err(failure @ (Failure::Tool(_) | Failure::Over(_)))) if job.until.is_some() => {
                    return Err(failure.clone());
                }
                Some(_) => {
                    let job = state.jobs.remove(subject);
                    return job.and_then(|job| job.outcome).unwrap_or(Err(Failure::Later(Duration::ZERO)));
                }
                None => {}
            }
            let over = patience.is_some_and(|patience| match job.started {
                Some(started) => started.elapsed() >= patience,
                None => stuck,
            });
            if over {
                job.late = true;
                return Err(Failure::Later(job.since.elapsed()));
            }
            state = self.0.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A reading has ended: what it has not asked for is rendered for nobody.
    pub(super) fn read(&self) {
        let mut state = self.0.lock();
        let asked = mem::take(&mut state.asked);
        let others: Vec<Subject> =
            state.jobs.keys().filter(|subject| !asked.contains(*subject)).cloned().collect();
        for subject in others {
            state.forget(&subject);
        }
    }
}

/// Renders until nothing is left to.
fn work(shared: &Shared) {
    let mut state = shared.lock();
    while let Some((subject, number, render)) = state.queue.pop_front() {
        let of = |job: &&mut Job| job.number == number;
        let begun = Instant::now();
        let Some(stop) = state.jobs.get_mut(&subject).filter(of).map(|job| {
            job.started = Some(begun);
            Arc::clone(&job.stop)
        }) else {
            continue;
        };
        drop(state);
        let outcome = render(&stop);
        state = shared.lock();
        if let Some(job) = state.jobs.get_mut(&subject).filter(of) {
            // What was not the content's fault is tried again, but is not what the workers do most of the time.
            if matches!(outcome, Err(Failure::Tool(_) | Failure::Over(_))) {
                job.until = Some(Instant::now() + begun.elapsed() * 2);
            }
            job.outcome = Some(outcome);
            let late = job.late;
            drop(state);
            shared.changed.notify_all();
            if late {
                (shared.told)();
            }
            state = shared.lock();
        }
    }
    state.workers -= 1;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    fn text(jobs: &Jobs, subject: &str, key: &str) -> Outcome {
        jobs.run(subject, key, None, || Ok(Box::new(|_: &AtomicBool| Ok("text".to_owned()))))
    }

    /// One that ends when it is told to, and says when it is stopped.
    fn slow(stopped: mpsc::Sender<()>, end: mpsc::Receiver<()>) -> Render {
        Box::new(move |stop| {
            while end.try_recv().is_err() {
                if stop.load(Ordering::Relaxed) {
                    let _ = stopped.send(());
                    return Err(Failure::Tool("stopped".into()));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok("slow".to_owned())
        })
    }

    fn jobs() -> (Jobs, mpsc::Receiver<()>) {
        let (tell, told) = mpsc::channel();
        (Jobs::new(move || tell.send(()).unwrap()), told)
    }

    #[test]
    fn a_slow_one_is_taken_later_and_delays_no_other() {
        let (jobs, told) = jobs();
        let (end, ended) = mpsc::channel();
        let (stopped, _) = mpsc::channel();
        let ask = |render: Option<Render>| {
            jobs.run("a", "1", Some(Duration::ZERO), || Ok(render.expect("it is rendered once")))
        };
        let first = ask(Some(slow(stopped, ended)));
        // Not begun, and nothing is stuck: it is waited for until a worker has it.
        assert!(matches!(first, Err(Failure::Later(_))), "{first:?}");
        assert_eq!(text(&jobs, "b", "1"), Ok("text".to_owned()));
        jobs.read();
        assert!(jobs.is_busy());
        assert!(matches!(ask(None), Err(Failure::Later(_))));
        end.send(()).unwrap();
        told.recv().unwrap();
        assert_eq!(ask(None), Ok("slow".to_owned()));
        assert!(!jobs.is_busy());
    }

    #[test]
    fn another_content_and_a_subject_that_is_gone_stop_it() {
        let (jobs, _told) = jobs();
        for gone in [false, true] {
            let (_end, ended) = mpsc::channel();
            let (stopped, was_stopped) = mpsc::channel();
            let late = jobs.run("a", "1", Some(Duration::ZERO), || Ok(slow(stopped, ended)));
            assert!(matches!(late, Err(Failure::Later(_))));
            if gone {
                jobs.read();
                jobs.read();
                assert!(!jobs.is_busy());
            } else {
                assert_eq!(text(&jobs, "a", "2"), Ok("text".to_owned()));
            }
            was_stopped.recv().unwrap();
        }
    }

    #[test]
    fn with_all_workers_slow_those_that_wait_are_late_too() {
        let (jobs, _told) = jobs();
        let mut ends = Vec::new();
        for n in 0..=WORKERS {
            let (end, ended) = mpsc::channel();
            let (stopped, _) = mpsc::channel();
            let late = jobs.run(&n.to_string(), "1", Some(Duration::ZERO), || Ok(slow(stopped, ended)));
            assert!(matches!(late, Err(Failure::Later(_))), "{n}: {late:?}");
            ends.push(end);
        }
    }

    #[test]
    fn a_failure_of_the_program_is_kept_for_twice_as_long_as_it_took() {
        let (jobs, _told) = jobs();
        let fail = |millis| {
            jobs.run("a", "1", None, || {
                Ok(Box::new(move |_: &AtomicBool| {
                    std::thread::sleep(Duration::from_millis(millis));
                    Err(Failure::Tool(format!("{millis}")))
                }))
            })
        };
        let first = Err(Failure::Tool("3000".to_owned()));
        assert_eq!(fail(3000), first);
        assert_eq!(fail(0), first, "not tried again");
        assert!(!jobs.is_busy());
        assert_eq!(text(&jobs, "a", "2"), Ok("text".to_owned()), "another content is");
    }
}
