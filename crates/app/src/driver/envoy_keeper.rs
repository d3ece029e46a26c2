//! One Envoy, always: it is adopted or started, started again when it ends, and stopped at the end. One that an earlier
//! release started, or another program, is replaced while it serves.

mod patience;

use std::{path::Path, sync::Arc, time::Duration};

use portolan_effects::envoy_process::{self, Backoff, Envoy, EnvoyError, Setup};
use portolan_envoy::board::Board;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::Event;
use patience::Patience;

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(250);

/// Says when it is to be stopped.
pub struct EnvoyKeeper {
    /// It was there before this run, or one that it takes over from.
    pub adopted: bool,
    /// And it accepts connections, with what the earlier run told it.
    pub serves: bool,
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

impl EnvoyKeeper {
    /// Adopts the Envoy that an earlier run left on the state, or starts one, and keeps it.
    pub async fn start(
        setup: Setup,
        board: Arc<Board>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, EnvoyError> {
        let left = Envoy::adopt(&setup.state);
        let (pid, listens) = left.as_ref().map_or((None, false), |left| (Some(left.pid()), left.listens()));
        let (envoy, before) = match left {
            None => (Envoy::start(&setup).await?, None),
            Some(left) => taken(left, &setup, &events).await?,
        };
        let adopted = before.is_some() || pid == Some(envoy.pid());
        let serves = before.is_some() || adopted && listens;
        board.speak_to(envoy.node());
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper { setup, board, events, backoff: Backoff::default(), begun: Instant::now() };
        tokio::spawn(keeper.keep(envoy, before, stopped));
        Ok(Self { adopted, serves, stop })
    }

    /// Stops it; resolves when it has ended.
    pub async fn stop(self) {
        let (done, finished) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            let _ = finished.await;
        }
    }
}

/// What becomes of an Envoy that is there: it stays, or another takes over from it.
async fn taken(
    left: Envoy,
    setup: &Setup,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(Envoy, Option<Envoy>), EnvoyError> {
    let pid = left.pid();
    if left.node() == setup.node {
        tracing::info!(pid, "adopted the Envoy of an earlier run");
        record(&left, &setup.state);
        let before = left.before(&setup.state);
        return Ok((left, before));
    }
    if !left.listens() {
        // Nobody is served by it.
        left.stop().await;
        return Ok((Envoy::start(setup).await?, None));
    }
    let why = match left.successor(setup).await {
        Some(Ok(successor)) => {
            tracing::info!(
                pid,
                by = successor.pid(),
                "the Envoy of an earlier run is replaced while it serves"
            );
            return Ok((successor, Some(left)));
        }
        Some(Err(why)) => why.to_string(),
        None => {
            "it was started so that none can take over from it, by an earlier release or without /dev/shm"
                .to_owned()
        }
    };
    record(&left, &setup.state);
    let _ = events.send(Event::EnvoyKept(why, String::new()));
    Ok((left, None))
}

fn record(envoy: &Envoy, state: &Path) {
    if let Err(why) = envoy.record(state) {
        tracing::warn!(%why, "the process id of Envoy cannot be recorded");
    }
}

struct Keeper {
    setup: Setup,
    board: Arc<Board>,
    events: mpsc::UnboundedSender<Event>,
    backoff: Backoff,
    begun: Instant,
}

impl Keeper {
    async fn keep(
        mut self,
        mut envoy: Envoy,
        mut before: Option<Envoy>,
        mut stopped: oneshot::Receiver<oneshot::Sender<()>>,
    ) {
        loop {
            let how = tokio::select! {
                done = &mut stopped => {
                    // Nobody says so: an Envoy that is not to be stopped serves on.
                    if let Ok(done) = done {
                        envoy.end(&self.setup.state).await;
                        let _ = done.send(());
                    }
                    return;
                }
                how = envoy.ended() => how,
                taken = takeover(before.as_ref(), &self.board, self.begun) => match taken {
                    Ok(()) => {
                        tracing::info!(pid = envoy.pid(), "Envoy has taken over");
                        before = None;
                        continue;
                    }
                    Err(why) => why,
                }
            };
            let said = envoy.said();
            if let Some(old) = before.take().filter(Envoy::listens) {
                // It has served all the time, and does so on.
                envoy.stop().await;
                record(&old, &self.setup.state);
                self.board.speak_to(old.node());
                let _ = self.events.send(Event::EnvoyKept(how, said));
                envoy = old;
                continue;
            }
            let _ = self.events.send(Event::EnvoyEnded(how, said));
            match self.again(&mut stopped).await {
                Some(started) => envoy = started,
                None => return,
            }
        }
    }

    /// Starts the next one, ever later; `None` if it is to be stopped.
    async fn again(&mut self, stopped: &mut oneshot::Receiver<oneshot::Sender<()>>) -> Option<Envoy> {
        let mut ran = self.begun.elapsed();
        loop {
            tokio::select! {
                done = &mut *stopped => {
                    envoy_process::forget(&self.setup.state);
                    if let Ok(done) = done { let _ = done.send(()); }
                    return None;
                }
                () = tokio::time::sleep(self.backoff.after(ran)) => {}
            }
            self.begun = Instant::now();
            match Envoy::start(&self.setup).await {
                Ok(started) => {
                    self.board.speak_to(started.node());
                    return Some(started);
                }
                Err(error) => {
                    let _ = self.events.send(Event::EnvoyEnded(error.to_string(), String::new()));
                    ran = Duration::ZERO;
                }
            }
        }
    }
}

/// Resolves once the one before has stopped to listen, as another has taken over from it; or with why the other is given up.
async fn takeover(before: Option<&Envoy>, board: &Board, begun: Instant) -> Result<(), String> {
    let Some(before) = before else { return std::future::pending().await };
    let mut patience = Patience::new(begun);
    while before.listens() {
        patience.look(board, Instant::now())?;
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
