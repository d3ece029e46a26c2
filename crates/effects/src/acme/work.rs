//! What an order has under way at a time: requests, TXT values being written, looked for and taken away.

use std::{
    collections::{BTreeSet, VecDeque},
    pin::pin,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{
    future::{BoxFuture, join_all},
    stream::{FuturesUnordered, StreamExt as _},
};
use portolan_core::certificates::acme::{Event, OrderState, Payload, Response, Send as Step, Task};
use portolan_model::Instant;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Run, drive::now};

/// How often a TXT value is tried to be cleaned up at one point of the order.
const CLEAN_UPS: u32 = 3;
/// Longest sleep in one piece: after a suspend or a change of the clock it goes on soon.
const NAP: Duration = Duration::from_secs(20);

/// What is under way.
pub(super) struct Work<'r> {
    run: &'r Run,
    busy: FuturesUnordered<BoxFuture<'r, Event>>,
    pub(super) events: VecDeque<Event>,
    /// Values that are being written at this moment.
    writing: Vec<(Task, (String, String))>,
    /// Values that could not be cleaned up; tried once more at the end.
    left: BTreeSet<(String, String)>,
}

impl<'r> Work<'r> {
    pub(super) fn new(run: &'r Run) -> Self {
        Self {
            run,
            busy: FuturesUnordered::new(),
            events: VecDeque::new(),
            writing: Vec::new(),
            left: BTreeSet::new(),
        }
    }

    /// The next event; an error when there is nothing but to wait for longer than one should here.
    pub(super) async fn next(&mut self, wake: Option<Instant>) -> Result<Event, Instant> {
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        let Some(wake) = wake else {
            // The machine always has something under way or a time to wake up at; a minute is for the case of a mistake.
            return self.finished().await.ok_or_else(|| now().plus_millis(60_000));
        };
        let left = Duration::from_millis(u64::try_from(wake.0.saturating_sub(now().0)).unwrap_or(0));
        if self.busy.is_empty() && left > self.run.bounds.pause {
            return Err(wake);
        }
        tokio::select! {
            Some(event) = self.finished() => Ok(event),
            () = sleep(left.min(NAP)) => Ok(Event::Woken),
        }
    }

    async fn finished(&mut self) -> Option<Event> {
        let event = self.busy.next().await?;
        if let Event::Presented(task) | Event::NotPresented { task, .. } = &event {
            self.writing.retain(|(of, _)| of != task);
        }
        Some(event)
    }

    pub(super) fn begin(&mut self, step: Step) {
        let run = self.run;
        match step {
            Step::Get { task, url } => self.busy.push(Box::pin(async move {
                let answer = timeout(run.bounds.request, run.client.get(&url)).await;
                answered(task, &url, answer.unwrap_or_else(|_| Err(patience(run.bounds.request))))
            })),
            Step::Post { task, url, nonce_url, key, payload } => self.busy.push(Box::pin(async move {
                let payload = match payload {
                    Payload::Empty => Vec::new(),
                    Payload::Json(json) => json.to_string().into_bytes(),
                    Payload::Csr => {
                        json!({ "csr": URL_SAFE_NO_PAD.encode(&run.csr) }).to_string().into_bytes()
                    }
                };
                let post = run.client.post(&url, &nonce_url, &key, &payload);
                let answer = timeout(run.bounds.request, post).await;
                answered(task, &url, answer.unwrap_or_else(|_| Err(patience(run.bounds.request))))
            })),
            Step::Present { task, fqdn, value } => {
                self.writing.push((task, (fqdn.clone(), value.clone())));
                self.busy.push(Box::pin(async move {
                    let written = timeout(run.bounds.dns, run.challenges.present(&fqdn, &value)).await;
                    match written.unwrap_or_else(|_| Err(patience(run.bounds.dns))) {
                        Ok(()) => Event::Presented(task),
                        Err(detail) => Event::NotPresented { task, detail },
                    }
                }));
            }
            Step::CheckVisible { task, fqdn, value } => self.busy.push(Box::pin(async move {
                let seen = timeout(run.bounds.dns, run.challenges.visible(&fqdn, &value)).await;
                match seen.unwrap_or_else(|_| Err(patience(run.bounds.dns))) {
                    Ok(()) => Event::Visible(task),
                    Err(detail) => Event::NotVisible { task, detail },
                }
            })),
            // Done already, or told by the state's end.
            Step::CleanUp { .. } | Step::Done { .. } | Step::Failed(_) | Step::WaitUntil(_) => {}
        }
    }

    /// Takes values away. What cannot be taken away goes back into the state's notes.
    pub(super) async fn clean_up(&mut self, state: &mut OrderState, values: Vec<(String, String)>) {
        let (later, values): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|value| state.end.is_none() && self.left.contains(value));
        state.presented.extend(later);
        // A value that is being written would come after its own removal.
        while self.writing.iter().any(|(_, writing)| values.contains(writing)) {
            let Some(event) = self.finished().await else { break };
            self.events.push_back(event);
        }
        let run = self.run;
        let mut away = pin!(join_all(values.into_iter().map(|value| take_away(run, value))));
        // What is under way goes on meanwhile: it may hold, or be next for, a lock that taking away waits for.
        let taken = loop {
            tokio::select! {
                taken = &mut away => break taken,
                Some(event) = self.finished() => self.events.push_back(event),
            }
        };
        for (value, error) in taken {
            if let Some(error) = error {
                tracing::warn!("the TXT value at {} cannot be cleaned up: {error}", value.0);
                self.left.insert(value.clone());
                state.presented.push(value);
            }
        }
    }
}

async fn take_away(run: &Run, value: (String, String)) -> ((String, String), Option<String>) {
    let mut error = None;
    for attempt in 1..=CLEAN_UPS {
        let removed = timeout(run.bounds.dns, run.challenges.clean_up(&value.0, &value.1)).await;
        match removed.unwrap_or_else(|_| Err(patience(run.bounds.dns))) {
            Ok(()) => return (value, None),
            Err(detail) => error = Some(detail),
        }
        if attempt < CLEAN_UPS {
            sleep(Duration::from_millis(500)).await;
        }
    }
    (value, error)
}

fn answered(task: Task, url: &str, answer: Result<Response, String>) -> Event {
    match answer {
        Ok(response) => {
            tracing::debug!(?task, url, status = response.status, "ACME answer");
            Event::Response { task, response }
        }
        Err(detail) => Event::Unreachable { task, detail },
    }
}

fn patience(bound: Duration) -> String {
    format!("no answer within {} s", bound.as_secs())
}
