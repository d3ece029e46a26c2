//! What an answer becomes.

use portolan_core::certificates::{
    acme::Failure,
    rows::{Account, AccountFailure, AccountState, AccountWanted, AcmeServer},
};
use portolan_effects::{
    converge::Ticket,
    sign,
    store::{Cache as _, Write},
};
use portolan_model::{Instant, IssuerKey, Kind, ObjectKey, Redacted, input::Maker};

use super::Accounts;
use crate::effects::{Context, OURS, Platform, now};

/// What comes back.
pub enum Answer {
    /// The key, PEM.
    Key(Ticket<IssuerKey>, Result<Redacted, String>),
    Registered(Ticket<IssuerKey>, Result<Account, Failure>),
}

impl Accounts {
    pub(super) fn take_answers(&mut self, cx: &mut Context<impl Platform>) {
        while let Some(answer) = self.inbox.next() {
            match answer {
                Answer::Key(ticket, Ok(pem)) => self.key_made(ticket, &pem, cx),
                Answer::Key(ticket, Err(why)) => self.failed(ticket, false, why, None, cx),
                Answer::Registered(ticket, Ok(account)) => {
                    let Some(wanted) = self.rows.end(ticket) else { continue };
                    let (key, wanted) = (wanted.key.clone(), AccountWanted::clone(&wanted));
                    cx.engine.put(AccountState { key, wanted, result: Ok(account) });
                    cx.facts = true;
                }
                Answer::Registered(ticket, Err(failure)) => {
                    self.failed(ticket, true, failure.detail, Some(failure.retry_at), cx);
                }
            }
        }
    }

    /// Writes the key's Secret, unless another issuer with the same Secret was first: its key stays.
    fn key_made(&mut self, ticket: Ticket<IssuerKey>, pem: &Redacted, cx: &mut Context<impl Platform>) {
        let Some(wanted) = self.rows.current(ticket.mark()) else { return };
        // What a mirror left gives way.
        let key = ObjectKey { kind: Kind::new("", "Secret"), name: wanted.account_key.clone() };
        if cx.store.get(&key).is_none_or(|stored| Maker::takes_over(OURS, &stored.manager)) {
            let object = sign::account_secret(&wanted.account_key, &wanted.entry, pem);
            let submitted = cx.submit(vec![Write::Apply(Box::new(object), OURS)]);
            self.written.push((ticket, key, submitted));
            return self.take_written(cx);
        }
        self.rows.end(ticket);
    }

    /// Takes keys that were written, or could not be.
    pub(super) fn take_written(&mut self, cx: &mut Context<impl Platform>) {
        for (ticket, secret, mut submitted) in std::mem::take(&mut self.written) {
            match submitted.outcome(&secret) {
                None => self.written.push((ticket, secret, submitted)),
                Some(problems) => match problems.into_iter().next() {
                    Some(problem) => self.failed(ticket, false, problem.message, None, cx),
                    None => drop(self.rows.end(ticket)),
                },
            }
        }
    }

    pub(super) fn failed(
        &mut self,
        ticket: Ticket<IssuerKey>,
        key_usable: bool,
        message: String,
        not_before: Option<Instant>,
        cx: &mut Context<impl Platform>,
    ) {
        let Some(wanted) = self.rows.end(ticket) else { return };
        let earlier = cx.engine.get::<AccountState>(&wanted.key).filter(|state| state.wanted == *wanted);
        let attempts = earlier.and_then(|state| state.result.as_ref().err().map(|failure| failure.attempts));
        // As with orders: the embedded server has no limits, so only a time that comes soon is kept.
        let limited = wanted.at != AcmeServer::StandIn;
        let not_before = not_before.filter(|at| limited || at.0.saturating_sub(now().0) < 60_000);
        let failure = AccountFailure {
            key_usable,
            message,
            failed_at: now(),
            attempts: attempts.unwrap_or(0).saturating_add(1),
            not_before,
        };
        let (key, wanted) = (wanted.key.clone(), AccountWanted::clone(&wanted));
        cx.engine.put(AccountState { key, wanted, result: Err(failure) });
        cx.facts = true;
    }
}
