//! What does not go on: refusals, rate limits, failures that pass, and looks that find no progress yet.

use portolan_model::Instant;

use super::{
    AuthorizationStatus, End, Failure, OrderState, OrderStatus, Reason, Response, Task,
    retry::{failure_pause, limit_pause, poll_pause, retry_after},
    wire::ProblemBody,
};

/// How often the account or the order is made again before giving up.
const RESTARTS: u32 = 3;

/// Any answer that is not 2xx.
pub(super) fn refused(state: &mut OrderState, task: Task, response: &Response, now: Instant) {
    let problem = ProblemBody::of(response);
    let detail = format!("the server refused {}: {}", what(task), problem.text());
    let wait = response.retry_after.as_deref().and_then(|text| retry_after(text, now));
    let bad_nonces = state.limits.bad_nonces;
    match (response.status, problem.name()) {
        (400, "badNonce") => {
            let tracked = state.track(task, now);
            tracked.bad_nonces += 1;
            if tracked.bad_nonces > bad_nonces {
                fail(state, Reason::BadNonce, detail, now);
            }
        }
        (429 | 503, _) | (_, "rateLimited") => {
            let tracked = state.track(task, now);
            let pause = limit_pause(tracked.looks);
            tracked.looks += 1;
            tracked.not_before = wait.unwrap_or(now.plus_millis(pause));
            note_task(state, task, &detail);
        }
        (408 | 500.., _) => {
            failed_once(state, task, Reason::Unavailable, detail, now);
            // The server's own time goes before ours, unless that was the last try.
            if let (Some(at), None) = (wait, &state.end) {
                state.track(task, now).not_before = at;
            }
        }
        (_, "accountDoesNotExist") if task != Task::Account => {
            state.account = None;
            state.forget_order();
            restart(state, Reason::Refused, detail, now);
        }
        (403, "orderNotReady") if task == Task::Finalize => {
            failed_once(state, task, Reason::Refused, detail, now);
            if let Some(order) = &mut state.order {
                order.status = OrderStatus::Unknown;
            }
        }
        (404 | 410, _)
            if matches!(task, Task::Order | Task::Authorization(_) | Task::Finalize | Task::Certificate) =>
        {
            state.forget_order();
            restart(state, Reason::Refused, detail, now);
        }
        (404 | 405, _) if task == Task::Directory => fail(state, Reason::Protocol, detail, now),
        (400 | 403 | 409, _) if matches!(task, Task::Challenge(_)) => {
            challenge_refused(state, task, detail, now);
        }
        _ => fail(state, Reason::Refused, detail, now),
    }
}

/// The authorization may have been settled meanwhile: it is read again before the refusal counts.
pub(super) fn challenge_refused(state: &mut OrderState, task: Task, detail: String, now: Instant) {
    let tracked = state.track(task, now);
    tracked.failures += 1;
    if tracked.failures > 1 {
        return fail(state, Reason::Refused, detail, now);
    }
    if let Task::Challenge(at) = task
        && let Some(one) = state.authorization_mut(at)
    {
        one.status = AuthorizationStatus::Unknown;
        one.waiting = detail;
    }
}

/// A failure that may pass: tried again with growing pauses, a bounded number of times.
pub(super) fn failed_once(state: &mut OrderState, task: Task, reason: Reason, detail: String, now: Instant) {
    let limit = state.limits.failures;
    let tracked = state.track(task, now);
    tracked.failures += 1;
    if tracked.failures > limit {
        return fail(state, reason, detail, now);
    }
    tracked.not_before = now.plus_millis(failure_pause(tracked.failures));
    note_task(state, task, &detail);
}

/// No progress yet: look again when the server says or after a growing pause. Without the server's word this ends
/// after `bound` milliseconds, with it when the order expires.
pub(super) fn look_again(
    state: &mut OrderState,
    task: Task,
    header: Option<&str>,
    (bound, reason, detail): (i64, Reason, String),
    now: Instant,
) {
    let (first, longest) = (state.limits.poll_first, state.limits.poll_longest);
    let expires = state.order.as_ref().and_then(|order| order.expires);
    let tracked = state.track(task, now);
    tracked.failures = 0;
    let own = now.plus_millis(poll_pause(tracked.looks, first, longest));
    tracked.looks += 1;
    let named = header.and_then(|text| retry_after(text, now));
    tracked.not_before = named.unwrap_or(own);
    let over = now.0.saturating_sub(tracked.since.0) > bound;
    if expires.is_some_and(|at| at <= now) {
        fail(state, Reason::Expired, format!("{detail}, and the order expired"), now);
    } else if named.is_none() && over {
        fail(state, reason, detail, now);
    }
}

pub(super) fn restart(state: &mut OrderState, reason: Reason, detail: String, now: Instant) {
    state.restarts += 1;
    if state.restarts > RESTARTS {
        fail(state, reason, detail, now);
    }
}

pub(super) fn fail(state: &mut OrderState, reason: Reason, detail: String, now: Instant) {
    if reason.spends_order() {
        state.forget_order();
    }
    state.tracked.clear();
    state.end = Some(End::Failed(Failure { reason, detail, retry_at: now.plus_millis(reason.pause()) }));
}

/// Shows on the authorization why it waits; on every one when the whole order does.
pub(super) fn note_task(state: &mut OrderState, task: Task, detail: &str) {
    match task {
        Task::Authorization(at) | Task::Present(at) | Task::Visible(at) | Task::Challenge(at) => {
            note(state, at, detail);
        }
        _ => state.authorizations.iter_mut().for_each(|one| detail.clone_into(&mut one.waiting)),
    }
}

pub(super) fn note(state: &mut OrderState, at: usize, detail: &str) {
    if let Some(one) = state.authorization_mut(at) {
        detail.clone_into(&mut one.waiting);
    }
}

/// The request in RFC 8555's words, for messages.
pub(super) const fn what(task: Task) -> &'static str {
    match task {
        Task::Directory => "the directory request",
        Task::Account => "newAccount",
        Task::NewOrder => "newOrder",
        Task::Order => "the order request",
        Task::Authorization(_) => "the authorization request",
        Task::Present(_) => "the TXT write",
        Task::Visible(_) => "the TXT look-up",
        Task::Challenge(_) => "the challenge",
        Task::Finalize => "finalize",
        Task::Certificate => "the certificate download",
    }
}
