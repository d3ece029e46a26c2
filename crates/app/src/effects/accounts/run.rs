//! Makes keys, and asks the ACME server.

use std::sync::Arc;

use portolan_core::certificates::rows::{Account, AccountWanted};
use portolan_effects::{
    acme::{AccountKey, Bounds, Client, PlacedChallenges, register},
    converge::{Ticket, Work},
};
use portolan_model::{IssuerKey, certificate::KeyKind};

use super::facts::Answer;
use crate::effects::inbox::Answers;

/// Makes the key of an account.
pub fn make_key(ticket: Ticket<IssuerKey>, answers: Answers<Answer>) {
    tokio::task::spawn_blocking(move || {
        let made = AccountKey::generate(KeyKind::Rsa2048).and_then(|key| key.to_pem());
        answers.send(Answer::Key(ticket, made.map_err(|error| error.to_string())));
    });
}

/// Registers an account.
pub fn register_account(
    work: Work<IssuerKey, Arc<AccountWanted>>,
    client: Arc<Client>,
    directory: String,
    answers: Answers<Answer>,
) {
    let Work { ticket, wanted, .. } = work;
    // A registration proves no name.
    let challenges = Arc::new(PlacedChallenges::default());
    tokio::spawn(async move {
        let contact = wanted.contact.iter().map(ToString::to_string).collect();
        let hash = client.key().hash().unwrap_or_default();
        let result = register(client, directory, contact, challenges, Bounds::default()).await;
        let result = result.map(|uri| Account { uri: uri.into(), key_hash: hash.into() });
        answers.send(Answer::Registered(ticket, result));
    });
}
