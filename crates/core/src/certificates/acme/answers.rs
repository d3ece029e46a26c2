//! Takes an event into the state.

use portolan_model::Instant;

use super::{
    Authorization, AuthorizationStatus, Directory, End, Event, Order, OrderState, OrderStatus, Reason,
    Response, Task, challenge_fqdn, dns01_value,
    retry::retry_after,
    setbacks::{fail, failed_once, look_again, note, refused, restart, what},
    wire::{AuthorizationBody, DirectoryBody, OrderBody, ProblemBody, one_line, token_is_sound},
};

/// Most authorizations an order may have: one for each name; a server that lists more is not followed.
fn too_many(state: &OrderState, urls: &[String]) -> bool {
    urls.len() > state.wanted.names.len()
}

pub(super) fn take(state: &mut OrderState, event: Event, now: Instant) {
    match event {
        Event::Start => start(state),
        Event::Woken => {}
        Event::Response { task, response } => {
            if begun(state, task) {
                response_to(state, task, &response, now);
            }
        }
        Event::Unreachable { task, detail } => {
            if begun(state, task) {
                let detail = format!("{} was not answered: {}", what(task), one_line(&detail));
                failed_once(state, task, Reason::Unavailable, detail, now);
            }
        }
        Event::Presented(task) => {
            if begun(state, task)
                && let Task::Present(at) = task
            {
                state.untrack(task);
                if let Some(one) = state.authorization_mut(at) {
                    one.presented = true;
                    one.waiting = format!("the TXT value at {} is written, not seen yet", one.fqdn);
                }
            }
        }
        Event::NotPresented { task, detail } => {
            if begun(state, task)
                && let Task::Present(at) = task
            {
                let detail =
                    format!("the TXT value at {} cannot be written: {}", fqdn(state, at), one_line(&detail));
                failed_once(state, task, Reason::NotPresented, detail, now);
            }
        }
        Event::Visible(task) => {
            if begun(state, task)
                && let Task::Visible(at) = task
            {
                state.untrack(task);
                if let Some(one) = state.authorization_mut(at) {
                    one.visible = true;
                    one.waiting.clear();
                }
            }
        }
        Event::NotVisible { task, detail } => {
            if begun(state, task)
                && let Task::Visible(at) = task
            {
                let detail =
                    format!("the TXT value at {} is not visible: {}", fqdn(state, at), one_line(&detail));
                note(state, at, &detail);
                let bound = state.limits.visible;
                look_again(state, task, None, (bound, Reason::NotVisible, detail), now);
            }
        }
    }
}

/// Nothing is under way after a restart; waits that the server asked for stay. The order is read anew.
fn start(state: &mut OrderState) {
    if state.end.take().is_some() {
        state.restarts = 0;
        state.tracked.clear();
    }
    state.tracked.retain(|t| !matches!(t.task, Task::Present(_) | Task::Visible(_)));
    for tracked in &mut state.tracked {
        tracked.under_way = false;
    }
    if let Some(order) = &mut state.order {
        order.status = OrderStatus::Unknown;
        for one in &mut state.authorizations {
            let url = std::mem::take(&mut one.url);
            *one = unread(url);
        }
    }
}

/// Whether the task is under way; from now on it is not.
fn begun(state: &mut OrderState, task: Task) -> bool {
    if state.end.is_some() {
        return false;
    }
    let found = state.tracked.iter_mut().find(|t| t.task == task && t.under_way);
    found.map(|t| t.under_way = false).is_some()
}

fn response_to(state: &mut OrderState, task: Task, response: &Response, now: Instant) {
    if (200..300).contains(&response.status) {
        let tracked = state.track(task, now);
        tracked.bad_nonces = 0;
        if let Err(detail) = accepted(state, task, response, now) {
            // A page of a proxy looks like this too, so it is tried again before it counts.
            let detail = format!("the answer to {} {}", what(task), one_line(&detail));
            failed_once(state, task, Reason::Protocol, detail, now);
        }
    } else {
        refused(state, task, response, now);
    }
}

fn accepted(state: &mut OrderState, task: Task, response: &Response, now: Instant) -> Result<(), String> {
    match task {
        Task::Directory => {
            let body: DirectoryBody = json(response)?;
            state.directory =
                Some(Directory { new_nonce: body.nonce, new_account: body.account, new_order: body.order });
            state.untrack(task);
        }
        Task::Account => {
            state.account = Some(location(response)?);
            state.untrack(task);
        }
        Task::NewOrder => {
            let (url, body) = (location(response)?, json(response)?);
            state.untrack(task);
            order_read(state, task, url, body, response, now)?;
        }
        Task::Order | Task::Finalize => {
            let url = state.order.as_ref().map(|o| o.url.clone()).unwrap_or_default();
            order_read(state, task, url, json(response)?, response, now)?;
        }
        Task::Authorization(at) => authorization_read(state, at, json(response)?, response, now)?,
        Task::Challenge(at) => {
            state.untrack(task);
            let first = state.limits.poll_first;
            let wait = response.retry_after.as_deref().and_then(|text| retry_after(text, now));
            if let Some(one) = state.authorization_mut(at) {
                one.answered = true;
                "the server validates the challenge".clone_into(&mut one.waiting);
            }
            state.untrack(Task::Authorization(at));
            state.track(Task::Authorization(at), now).not_before = wait.unwrap_or(now.plus_millis(first));
        }
        Task::Certificate => {
            let chain = std::str::from_utf8(&response.body).map_err(|_| "is not text".to_owned())?;
            if !chain.contains("-----BEGIN CERTIFICATE-----") {
                return Err("holds no PEM certificate".to_owned());
            }
            state.tracked.clear();
            state.end = Some(End::Done(chain.to_owned()));
        }
        Task::Present(_) | Task::Visible(_) => {}
    }
    Ok(())
}

fn order_read(
    state: &mut OrderState,
    task: Task,
    url: String,
    body: OrderBody,
    response: &Response,
    now: Instant,
) -> Result<(), String> {
    let expires = body.expires();
    if body.status != OrderStatus::Valid && expires.is_some_and(|at| at <= now) {
        state.forget_order();
        restart(state, Reason::Expired, "the order expired".to_owned(), now);
        return Ok(());
    }
    if body.status == OrderStatus::Invalid {
        let why = body.error.as_ref().map(ProblemBody::text);
        let why = why.unwrap_or_else(|| "it gives no reason".to_owned());
        fail(state, Reason::Invalid, format!("the server declared the order invalid: {why}"), now);
        return Ok(());
    }
    if too_many(state, &body.authorizations) {
        let detail = "the order lists more authorizations than names were ordered".to_owned();
        fail(state, Reason::Protocol, detail, now);
        return Ok(());
    }
    if matches!(body.status, OrderStatus::Pending | OrderStatus::Ready) && body.finalize.is_empty() {
        return Err("has no finalize URL".to_owned());
    }
    if body.status == OrderStatus::Valid && body.certificate.is_none() {
        return Err("has no certificate URL though it is valid".to_owned());
    }
    let before = state.order.as_ref().map(|order| order.status);
    let known = state.authorizations.iter().map(|one| &one.url).eq(body.authorizations.iter());
    if !known {
        state.set_authorizations(body.authorizations.into_iter().map(unread).collect());
    }
    let status = body.status;
    state.order =
        Some(Order { url, status, finalize: body.finalize, expires, certificate: body.certificate });
    let all_valid = state.authorizations.iter().all(|one| one.status == AuthorizationStatus::Valid);
    let same = before == Some(status) || task == Task::Finalize;
    match status {
        // Nothing to do for us but to look again.
        OrderStatus::Processing | OrderStatus::Pending
            if same && (status == OrderStatus::Processing || all_valid) =>
        {
            let bound = state.limits.processing;
            let detail = format!("the order is still {}", state.status());
            if task == Task::Finalize {
                state.untrack(task);
            }
            look_again(
                state,
                Task::Order,
                response.retry_after.as_deref(),
                (bound, Reason::TimedOut, detail),
                now,
            );
        }
        // `ready` again after finalizing: the server has not taken it up yet.
        OrderStatus::Ready if task == Task::Finalize => {
            let bound = state.limits.processing;
            let detail = "the order is still ready after it was finalized".to_owned();
            look_again(state, task, response.retry_after.as_deref(), (bound, Reason::TimedOut, detail), now);
        }
        _ => state.untrack(task),
    }
    Ok(())
}

fn authorization_read(
    state: &mut OrderState,
    at: usize,
    body: AuthorizationBody,
    response: &Response,
    now: Instant,
) -> Result<(), String> {
    let name = body.name();
    // A server must not make us write records for names that nobody ordered.
    if !state.wanted.names.contains(&name) {
        let detail = format!("an authorization is about {}, which was not ordered", one_line(&name));
        fail(state, Reason::Protocol, detail, now);
        return Ok(());
    }
    let task = Task::Authorization(at);
    let (thumbprint, validation) = (state.wanted.thumbprint.clone(), state.limits.validation);
    let Some(one) = state.authorization_mut(at) else { return Ok(()) };
    one.name.clone_from(&name);
    match body.status.as_str() {
        "valid" => {
            one.status = AuthorizationStatus::Valid;
            one.waiting.clear();
            state.untrack(task);
            return Ok(());
        }
        "pending" => {}
        "expired" => {
            state.forget_order();
            restart(state, Reason::Expired, format!("the authorization for {name} expired"), now);
            return Ok(());
        }
        other => {
            let error = body.challenges.iter().find_map(|c| c.error.as_ref()).map(ProblemBody::text);
            let error = error.unwrap_or_else(|| "it gives no reason".to_owned());
            fail(
                state,
                Reason::Invalid,
                format!("the authorization for {name} is {}: {error}", one_line(other)),
                now,
            );
            return Ok(());
        }
    }
    if one.status == AuthorizationStatus::Pending && one.answered {
        let bound = validation;
        let detail = format!("the server has not validated {name} in time");
        look_again(state, task, response.retry_after.as_deref(), (bound, Reason::TimedOut, detail), now);
        return Ok(());
    }
    let Some(challenge) = body.challenges.into_iter().find(|c| c.kind == "dns-01") else {
        fail(state, Reason::NoDnsChallenge, format!("the server offers no dns-01 challenge for {name}"), now);
        return Ok(());
    };
    if !token_is_sound(&challenge.token) || challenge.url.is_empty() {
        return Err(format!("has an unusable dns-01 challenge for {name}"));
    }
    one.status = AuthorizationStatus::Pending;
    one.fqdn = challenge_fqdn(&name);
    let value = dns01_value(&challenge.token, &thumbprint);
    if one.value != value {
        (one.presented, one.visible, one.value) = (false, false, value);
    }
    (one.challenge, one.token) = (challenge.url, challenge.token);
    // Answered before a restart: only its end is awaited. The record is noted in `presented`.
    let answered = challenge.status == "processing";
    one.answered = answered;
    state.untrack(task);
    if answered {
        let first = state.limits.poll_first;
        state.track(task, now).not_before = now.plus_millis(first);
    }
    Ok(())
}

fn unread(url: String) -> Authorization {
    Authorization {
        url,
        status: AuthorizationStatus::Unknown,
        name: String::new(),
        challenge: String::new(),
        token: String::new(),
        fqdn: String::new(),
        value: String::new(),
        presented: false,
        visible: false,
        answered: false,
        waiting: String::new(),
    }
}

fn json<T: serde::de::DeserializeOwned>(response: &Response) -> Result<T, String> {
    serde_json::from_slice(&response.body).map_err(|error| format!("is not as RFC 8555 says: {error}"))
}

fn location(response: &Response) -> Result<String, String> {
    response.location.clone().ok_or_else(|| "has no Location".to_owned())
}

fn fqdn(state: &OrderState, at: usize) -> &str {
    state.authorization(at).map_or("", |one| &one.fqdn)
}
