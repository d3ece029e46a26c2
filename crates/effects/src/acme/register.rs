//! The account of an issuer, registered before anything is ordered.

use std::sync::Arc;

use portolan_core::certificates::acme::{
    End, Event, Failure, KeyId, Limits, OrderState, Reason, Send as Step, Wanted, step,
};
use serde_json::json;

use super::{Bounds, Challenges, Client, Run, drive::now, work::Work};

/// Registers the account, or finds it, and sees to it that the server has its contact addresses; gives its URL. The first
/// steps of every order, by the same machine.
///
/// # Errors
/// Why there is no account. A rate limit that lasts longer than `bounds.pause` is one, with its time.
pub async fn register(
    client: Arc<Client>,
    directory: String,
    contact: Vec<String>,
    challenges: Arc<dyn Challenges>,
    bounds: Bounds,
) -> Result<String, Failure> {
    let wanted =
        Wanted { directory, contact: contact.clone(), names: vec![], thumbprint: client.thumbprint() };
    let run = Run { client, csr: vec![], challenges, bounds };
    let mut state = OrderState::new(wanted, Limits { poll_first: 50, failures: 3, ..Limits::default() });
    let mut work = Work::new(&run);
    let (mut event, mut wake) = (Event::Start, None);
    let uri = loop {
        let steps;
        (state, steps) = step(state, event, now());
        if let Some(End::Failed(failure)) = &state.end {
            return Err(failure.clone());
        }
        if let Some(uri) = state.account.clone() {
            break uri;
        }
        for step in steps {
            match step {
                Step::WaitUntil(at) => wake = Some(at),
                step => work.begin(step),
            }
        }
        event = work.next(wake.take()).await.map_err(|until| Failure {
            reason: Reason::Unavailable,
            detail: format!("the server asks to wait until {until} with the registration"),
            retry_at: until,
        })?;
    };
    let nonce = state.directory.map(|directory| directory.new_nonce).unwrap_or_default();
    match update(&run, &uri, &nonce, &contact).await {
        Ok(()) => Ok(uri),
        Err(detail) => {
            let detail = format!("the contact of the account cannot be set: {detail}");
            Err(Failure { reason: Reason::Refused, detail, retry_at: now() })
        }
    }
}

/// An account that was there already keeps the contact it had: it is told the present one (RFC 8555 §7.3.2).
async fn update(run: &Run, uri: &str, nonce: &str, contact: &[String]) -> Result<(), String> {
    let payload = json!({ "contact": contact }).to_string();
    let (key, mut refusal) = (KeyId::Account(uri.to_owned()), String::new());
    // A nonce may have run out; the answer brought another.
    for _ in 0..3 {
        let post = run.client.post(uri, nonce, &key, payload.as_bytes());
        let answer = tokio::time::timeout(run.bounds.request, post).await;
        let answer = answer.map_err(|_| "no answer in time".to_owned())??;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        refusal = format!("status {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        refusal = refusal.chars().filter(|c| !c.is_control()).take(300).collect();
        if answer.status != 400 {
            break;
        }
    }
    Err(refusal)
}
