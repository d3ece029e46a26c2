//! What to send next, from the state alone.

use portolan_model::Instant;
use serde_json::json;

use super::{
    Authorization, AuthorizationStatus, Directory, End, KeyId, OrderState, OrderStatus, Payload, Send, Task,
};

/// Everything that can be sent now is sent and marked; what has to wait sets the wake-up.
pub(super) fn next(state: &mut OrderState, now: Instant) -> Vec<Send> {
    let mut sends = Vec::new();
    clean_up(state, &mut sends);
    match &state.end {
        Some(End::Done(chain)) => {
            sends.push(Send::Done { chain: chain.clone() });
            return sends;
        }
        Some(End::Failed(failure)) => {
            sends.push(Send::Failed(failure.clone()));
            return sends;
        }
        None => {}
    }
    let mut wake: Option<Instant> = None;
    for task in wanted(state) {
        let tracked = state.track(task, now);
        if tracked.under_way {
            continue;
        }
        if tracked.not_before > now {
            let at = tracked.not_before;
            wake = Some(wake.map_or(at, |earlier| earlier.min(at)));
            continue;
        }
        tracked.under_way = true;
        if let Task::Present(number) = task
            && let Some(one) = state.authorization(number)
        {
            let pair = (one.fqdn.clone(), one.value.clone());
            // Noted before it is written: a crash in between leaves a note, never a forgotten record.
            if !state.presented.contains(&pair) {
                state.presented.push(pair);
            }
        }
        sends.extend(send(state, task));
    }
    sends.extend(wake.map(Send::WaitUntil));
    sends
}

/// The tasks that the state asks for, whether or not they are under way.
fn wanted(state: &OrderState) -> Vec<Task> {
    if state.directory.is_none() {
        return vec![Task::Directory];
    }
    if state.account.is_none() {
        return vec![Task::Account];
    }
    match state.order.as_ref().map(|order| order.status) {
        None => vec![Task::NewOrder],
        Some(OrderStatus::Unknown | OrderStatus::Processing) => vec![Task::Order],
        Some(OrderStatus::Pending) => open(state),
        Some(OrderStatus::Ready) => vec![Task::Finalize],
        Some(OrderStatus::Valid) => vec![Task::Certificate],
        Some(OrderStatus::Invalid) => vec![],
    }
}

/// All authorizations side by side; the order again once every one is valid.
fn open(state: &OrderState) -> Vec<Task> {
    let all = &state.authorizations;
    let numbered = all.iter().zip(state.first..);
    let tasks: Vec<Task> = numbered.filter_map(|(one, number)| authorize(state, one, number)).collect();
    if all.iter().all(|one| one.status == AuthorizationStatus::Valid) { vec![Task::Order] } else { tasks }
}

fn authorize(state: &OrderState, one: &Authorization, at: usize) -> Option<Task> {
    match one.status {
        AuthorizationStatus::Valid => None,
        AuthorizationStatus::Unknown => Some(Task::Authorization(at)),
        AuthorizationStatus::Pending if one.answered => Some(Task::Authorization(at)),
        AuthorizationStatus::Pending if !one.presented => Some(Task::Present(at)),
        AuthorizationStatus::Pending if !one.visible => Some(Task::Visible(at)),
        // A resolver of the CA that has cached half of a record set would fail the other half: wait for all of it.
        AuthorizationStatus::Pending => whole_set(state, &one.fqdn).then_some(Task::Challenge(at)),
    }
}

fn whole_set(state: &OrderState, fqdn: &str) -> bool {
    state.authorizations.iter().all(|one| match one.status {
        AuthorizationStatus::Valid => true,
        // May turn out to share the record set.
        AuthorizationStatus::Unknown => false,
        AuthorizationStatus::Pending => one.fqdn != fqdn || one.visible,
    })
}

fn send(state: &OrderState, task: Task) -> Option<Send> {
    let nonce = state.directory.as_ref().map(|d| d.new_nonce.clone()).unwrap_or_default();
    let account = state.account.clone().unwrap_or_default();
    let post = |url: &str, payload| Send::Post {
        task,
        url: url.to_owned(),
        nonce_url: nonce.clone(),
        key: KeyId::Account(account.clone()),
        payload,
    };
    let directory = |url: fn(&Directory) -> &str| state.directory.as_ref().map(url);
    let order = state.order.as_ref();
    let one = |number| state.authorization(number);
    match task {
        Task::Directory => Some(Send::Get { task, url: state.wanted.directory.clone() }),
        Task::Account => directory(|d| &d.new_account).map(|url| Send::Post {
            task,
            url: url.to_owned(),
            nonce_url: nonce.clone(),
            key: KeyId::Jwk,
            payload: Payload::Json(json!({
                "termsOfServiceAgreed": true,
                "contact": state.wanted.contact,
            })),
        }),
        Task::NewOrder => directory(|d| &d.new_order).map(|url| {
            let names = state.wanted.names.iter().map(|name| json!({ "type": "dns", "value": name }));
            post(url, Payload::Json(json!({ "identifiers": names.collect::<Vec<_>>() })))
        }),
        Task::Order => order.map(|o| post(&o.url, Payload::Empty)),
        Task::Authorization(at) => one(at).map(|a| post(&a.url, Payload::Empty)),
        Task::Present(at) => {
            one(at).map(|a| Send::Present { task, fqdn: a.fqdn.clone(), value: a.value.clone() })
        }
        Task::Visible(at) => {
            one(at).map(|a| Send::CheckVisible { task, fqdn: a.fqdn.clone(), value: a.value.clone() })
        }
        Task::Challenge(at) => one(at).map(|a| post(&a.challenge, Payload::Json(json!({})))),
        Task::Finalize => order.map(|o| post(&o.finalize, Payload::Csr)),
        Task::Certificate => {
            order.map(|o| post(o.certificate.as_deref().unwrap_or_default(), Payload::Empty))
        }
    }
}

/// Takes back the values that no open authorization needs any more; at the end that is all of them.
fn clean_up(state: &mut OrderState, sends: &mut Vec<Send>) {
    let needed = |fqdn: &str, value: &str| {
        state.end.is_none()
            && state
                .authorizations
                .iter()
                .any(|one| one.fqdn == fqdn && one.value == value && one.status != AuthorizationStatus::Valid)
    };
    // An order that is read again may still hold the values: nothing is cleaned before it is known.
    let known = state.end.is_some()
        || (state.order.as_ref().is_none_or(|order| order.status != OrderStatus::Unknown)
            && state.authorizations.iter().all(|one| one.status != AuthorizationStatus::Unknown));
    if !known {
        return;
    }
    let (keep, drop): (Vec<_>, Vec<_>) =
        state.presented.iter().cloned().partition(|(fqdn, value)| needed(fqdn, value));
    state.presented = keep;
    sends.extend(drop.into_iter().map(|(fqdn, value)| Send::CleanUp { fqdn, value }));
}
