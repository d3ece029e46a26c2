//! Makes the key, and signs.

use portolan_core::{World, certificates::rows::Signer};
use portolan_effects::{issue::request_pem, sign};
use portolan_engine::Engine;
use portolan_model::input::Secret;

use super::facts::Answer;
use crate::effects::{
    inbox::Answers,
    issuance::{Made, Wanted},
    now,
};

/// Signs on a thread of its own, with the CA and the Secret as they are now.
pub fn begin(work: Wanted, engine: &Engine<World>, answers: Answers<Answer>) {
    let (ticket, wanted) = (work.ticket, work.wanted);
    let ca = match &wanted.signer {
        Signer::Ca(secret) => engine.get::<Secret>(secret),
        Signer::SelfSigned | Signer::Acme(_) | Signer::Temporary => None,
    };
    let present = engine.get::<Secret>(&wanted.secret);
    tokio::task::spawn_blocking(move || {
        let result = sign::prepare(&wanted, present.as_deref()).and_then(|prepared| {
            answers.send(Answer::Requested(ticket.mark().clone(), request_pem(&prepared.request)));
            let issued = sign::sign(&wanted, ca.as_deref(), &prepared.key, now())?;
            Made::new(&wanted, issued, &prepared.key)
        });
        answers.send(Answer::Signed(ticket, result));
    });
}
