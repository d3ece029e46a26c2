//! One Envoy, always: it is adopted or started, started again when it ends, and stopped at the end.

use std::{path::Path, path::PathBuf, time::Duration};

use portolan_effects::envoy_process::{Backoff, Envoy, EnvoyError};
use tokio::sync::{mpsc, oneshot};

use super::Event;

/// Says when it is to be stopped.
pub struct EnvoyKeeper {
    /// It was there before this run.
    pub adopted: bool,
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

impl EnvoyKeeper {
    /// Adopts the Envoy that an earlier run left on the state, or starts one, and keeps it.
    pub async fn start(
        program: PathBuf,
        state: &Path,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, EnvoyError> {
        let left = Envoy::adopt(state);
        let adopted = left.is_some();
        let envoy = match left {
            Some(envoy) => {
                tracing::info!(pid = envoy.pid(), "adopted the Envoy of an earlier run");
                if let Err(why) = envoy.record(state) {
                    tracing::warn!(%why, "the process id of Envoy cannot be recorded");
                }
                envoy
            }
            None => Envoy::start(&program, state).await?,
        };
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(keep(envoy, program, state.to_owned(), events, stopped));
        Ok(Self { adopted, stop })
    }

    /// Stops it; resolves when it has ended.
    pub async fn stop(self) {
        let (done, finished) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            let _ = finished.await;
        }
    }
}

async fn keep(
    mut envoy: Envoy,
    program: PathBuf,
    state: PathBuf,
    events: mpsc::UnboundedSender<Event>,
    mut stopped: oneshot::Receiver<oneshot::Sender<()>>,
) {
    let mut backoff = Backoff::default();
    let mut begun = tokio::time::Instant::now();
    loop {
        tokio::select! {
            done = &mut stopped => {
                // Nobody says so: an Envoy that is not to be stopped serves on.
                if let Ok(done) = done {
                    envoy.end(&state).await;
                    let _ = done.send(());
                }
                return;
            }
            how = envoy.ended() => { let _ = events.send(Event::EnvoyEnded(how, envoy.said())); }
        }
        let mut ran = begun.elapsed();
        envoy = loop {
            tokio::select! {
                done = &mut stopped => {
                    portolan_effects::envoy_process::forget(&state);
                    if let Ok(done) = done { let _ = done.send(()); }
                    return;
                }
                () = tokio::time::sleep(backoff.after(ran)) => {}
            }
            begun = tokio::time::Instant::now();
            match Envoy::start(&program, &state).await {
                Ok(started) => break started,
                Err(error) => {
                    let _ = events.send(Event::EnvoyEnded(error.to_string(), String::new()));
                    ran = Duration::ZERO;
                }
            }
        };
    }
}
