//! An ACME order against a server that answers what it likes: the order comes to an end or waits, answers for nothing that was not
//! ordered, and leaves no record behind.
#![no_main]

use std::collections::VecDeque;

use portolan_core::certificates::acme::{
    End, Event, Limits, OrderState, Response, Send, Task, Wanted, challenge_fqdn, step,
};
use portolan_fuzz::{
    answers::BODIES,
    arbitrary::{Result, Unstructured},
    target, tree,
};
use portolan_model::Instant;
use serde_json::Value;

/// Most that happens in one input.
const STEPS: usize = 400;
const STATUSES: [u16; 12] = [200, 200, 200, 201, 204, 301, 400, 403, 404, 429, 500, 503];
const RETRY: [&str; 8] = [
    "0",
    "5",
    "999999999999999999999",
    "-1",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "soon",
];

/// The task that a send asks to be answered.
fn asked(send: &Send) -> Option<Task> {
    match send {
        Send::Get { task, .. }
        | Send::Post { task, .. }
        | Send::Present { task, .. }
        | Send::CheckVisible { task, .. } => Some(*task),
        _ => None,
    }
}

/// The body that an ordinary server gives to a task, or any other.
fn body(task: Task, bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let how: u8 = bytes.arbitrary()?;
    let which = match task {
        _ if how % 4 == 0 => usize::from(bytes.arbitrary::<u8>()?) % BODIES.len(),
        Task::Directory => 0,
        Task::Account => 1,
        Task::Challenge(_) => 2,
        Task::Certificate => 3,
        Task::NewOrder | Task::Order | Task::Finalize => 4 + usize::from(how >> 2) % 5,
        Task::Authorization(_) => 9 + usize::from(how >> 2) % 6,
        Task::Present(_) | Task::Visible(_) => 0,
    };
    let made = if how % 3 == 0 {
        tree::edited(BODIES[which].clone(), bytes, &BODIES)
    } else {
        BODIES[which].clone()
    };
    Ok(match made {
        Value::String(text) => text.into_bytes(),
        made => made.to_string().into_bytes(),
    })
}

fn event(task: Task, bytes: &mut Unstructured<'_>) -> Result<Event> {
    let how: u8 = bytes.arbitrary()?;
    Ok(match task {
        Task::Present(_) if how % 4 == 0 => Event::NotPresented { task, detail: tree::text(bytes)? },
        Task::Present(_) => Event::Presented(task),
        Task::Visible(_) if how % 3 == 0 => Event::NotVisible { task, detail: tree::text(bytes)? },
        Task::Visible(_) => Event::Visible(task),
        _ if how == 255 => Event::Unreachable { task, detail: tree::text(bytes)? },
        _ => Event::Response {
            task,
            response: Response {
                status: if how % 4 == 0 { STATUSES[usize::from(how / 4) % STATUSES.len()] } else { 200 },
                location: if how & 64 == 0 { Some("https://ca/order/1".to_owned()) } else { None },
                retry_after: if how & 128 == 0 { None } else { Some(RETRY[usize::from(how) % 8].to_owned()) },
                body: body(task, bytes)?,
            },
        },
    })
}

target!(|bytes| {
    let mut bytes = Unstructured::new(bytes);
    let names = vec!["example.com".to_owned(), "*.example.com".to_owned()];
    let allowed: Vec<String> = names.iter().map(|name| challenge_fqdn(name)).collect();
    let wanted = Wanted {
        directory: "https://ca/dir".to_owned(),
        contact: vec!["mailto:ops@example.com".to_owned()],
        names,
        thumbprint: "thumb".to_owned(),
    };
    let mut state = OrderState::new(wanted, Limits::default());
    let mut now = Instant(1_800_000_000_000);
    let mut events = VecDeque::from([Event::Start]);
    let mut wake = None;
    let mut present: Vec<(String, String)> = Vec::new();
    for _ in 0..STEPS {
        let event = match (events.pop_front(), wake) {
            (Some(event), _) => event,
            (None, Some(at)) => {
                assert!(at > now, "it waits for a time that has come");
                now = at;
                Event::Woken
            }
            (None, None) => panic!("nothing is under way and nothing is waited for: {state:?}"),
        };
        let sends;
        (state, sends) = step(state, event, now);
        wake = None;
        for send in sends {
            match &send {
                Send::WaitUntil(at) => wake = Some(*at),
                Send::Present { fqdn, value, .. } => {
                    assert!(allowed.contains(fqdn), "a record at {fqdn}, which nobody ordered");
                    present.push((fqdn.clone(), value.clone()));
                }
                Send::CleanUp { fqdn, value } => present.retain(|one| one.0 != *fqdn || one.1 != *value),
                Send::Done { .. } | Send::Failed(_) => {
                    assert!(present.is_empty(), "it ended and left {present:?}");
                    assert!(matches!(state.end, Some(End::Done(_) | End::Failed(_))));
                    return;
                }
                Send::Get { url, .. } | Send::Post { url, .. } => assert!(url.len() <= 1 << 20),
                Send::CheckVisible { .. } => {}
            }
            let Some(task) = asked(&send) else { continue };
            match event_of(task, &mut bytes) {
                Some(event) => events.push_back(event),
                // The input is at its end: so is the connection.
                None => events.push_back(Event::Unreachable { task, detail: "reset".into() }),
            }
        }
    }
});

/// An answer out of the bytes; none where there are no more.
fn event_of(task: Task, bytes: &mut Unstructured<'_>) -> Option<Event> {
    if bytes.is_empty() {
        return match task {
            Task::Present(_) => Some(Event::Presented(task)),
            Task::Visible(_) => Some(Event::Visible(task)),
            _ => None,
        };
    }
    event(task, bytes).ok()
}
