//! Accounts of ACME issuers: the key is made if its Secret is missing, then the account is registered.

use std::sync::Arc;

use portolan_core::certificates::{
    acme::Failure,
    rows::{Account, AccountFailure, AccountState, AccountWanted, IssuerState},
};
use portolan_effects::{
    acme::{AccountKey, Bounds, register},
    sign,
    store::Write,
};
use portolan_engine::Changes;
use portolan_model::{Kind, ObjectKey, Redacted, certificate::KeyKind, input::Maker};

use super::{Driver, Event, OURS, now};

impl Driver {
    /// Does what is newly wanted.
    pub(super) fn follow_accounts(&mut self, step: &Changes) {
        let all_wanted: Vec<Arc<AccountWanted>> =
            step.of::<AccountWanted>().iter().filter_map(|change| change.after.clone()).collect();
        for wanted in all_wanted {
            self.register(wanted);
        }
        for gone in step.of::<IssuerState>().iter().filter(|change| change.after.is_none()) {
            self.engine.remove::<AccountState>(&gone.key);
        }
    }

    fn register(&mut self, wanted: Arc<AccountWanted>) {
        let events = self.events.clone();
        if wanted.fingerprint.is_empty() {
            if let Some(why) = self.in_place_of_an_account(&wanted.account_key) {
                return self.account_failed((*wanted).clone(), false, why, None);
            }
            // Once the key is there, the request comes again with its fingerprint.
            tokio::task::spawn_blocking(move || {
                let made = AccountKey::generate(KeyKind::Rsa2048).and_then(|key| key.to_pem());
                let made = made.map_err(|error| error.to_string());
                let _ = events.send(Event::AccountKey(Box::new((*wanted).clone()), made));
            });
            return;
        }
        let client = match self.client(&wanted.account_key, &wanted.entry) {
            Ok(client) => client,
            Err(why) => return self.account_failed((*wanted).clone(), false, why, None),
        };
        let (directory, challenges) = (self.acme.directory(), self.acme.challenges());
        tokio::spawn(async move {
            let contact = wanted.contact.iter().map(ToString::to_string).collect();
            let hash = client.key().hash().unwrap_or_default();
            let result = register(client, directory, contact, challenges, Bounds::default()).await;
            let result = result.map(|uri| Account { uri: uri.into(), key_hash: hash.into() });
            let _ = events.send(Event::Registered(Box::new((*wanted).clone()), result));
        });
    }

    pub(super) fn account_key_made(&mut self, wanted: &AccountWanted, made: Result<Redacted, String>) {
        // Another issuer with the same Secret may have been first: its key stays.
        let name = wanted.account_key.clone();
        // What a mirror left gives way.
        let key = ObjectKey { kind: Kind::new("", "Secret"), name };
        if self.store.get(&key).is_some_and(|stored| !Maker::takes_over(OURS, &stored.manager)) {
            return;
        }
        let problem = match made {
            Ok(pem) => {
                let object = sign::account_secret(&wanted.account_key, &wanted.entry, &pem);
                self.write(vec![Write::Apply(Box::new(object), OURS)]).into_iter().next().map(|p| p.message)
            }
            Err(why) => Some(why),
        };
        if let Some(why) = problem {
            self.account_failed(wanted.clone(), false, why, None);
        }
    }

    pub(super) fn registered(&mut self, wanted: AccountWanted, result: Result<Account, Failure>) {
        if self.engine.get::<AccountWanted>(&wanted.key).is_none_or(|latest| *latest != wanted) {
            return;
        }
        match result {
            Ok(account) => {
                let key = wanted.key.clone();
                self.engine.put(AccountState { key, wanted, result: Ok(account) });
                self.facts = true;
            }
            Err(failure) => self.account_failed(wanted, true, failure.detail, Some(failure.retry_at)),
        }
    }

    fn account_failed(
        &mut self,
        wanted: AccountWanted,
        key_usable: bool,
        message: String,
        not_before: Option<portolan_model::Instant>,
    ) {
        let earlier = self.engine.get::<AccountState>(&wanted.key).filter(|state| state.wanted == wanted);
        let attempts = earlier.and_then(|state| state.result.as_ref().err().map(|failure| failure.attempts));
        // As with orders: the embedded server has no limits, so only a time that comes soon is kept.
        let not_before = not_before.filter(|at| at.0.saturating_sub(now().0) < 60_000);
        let failure = AccountFailure {
            key_usable,
            message,
            failed_at: now(),
            attempts: attempts.unwrap_or(0).saturating_add(1),
            not_before,
        };
        self.engine.put(AccountState { key: wanted.key.clone(), wanted, result: Err(failure) });
        self.facts = true;
    }
}
