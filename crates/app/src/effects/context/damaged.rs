//! What is not made anew in place of something that the disk has damaged: those who trust it would not know.

use portolan_core::certificates::rows::IssueWanted;
use portolan_model::{NamespacedName, ObjectKey};

use super::{Context, Platform};

/// The Secret of a name.
fn secret(name: &NamespacedName) -> ObjectKey {
    ObjectKey::new("", "Secret", name.namespace.clone(), name.name.clone())
}

impl<P: Platform> Context<P> {
    /// Why a certificate is not issued: it would be a new CA in place of one that is damaged.
    pub fn in_place_of_a_ca(&self, wanted: &IssueWanted) -> Option<String> {
        let key = secret(&wanted.secret);
        (wanted.request.is_ca && P::is_damaged(self, &key)).then(|| {
            format!(
                "Secret {} held a CA, and its row in the store is damaged: no other CA is made in its place before `portolan \
                 renew {}` says so",
                wanted.secret, wanted.key
            )
        })
    }

    /// Why an ACME account gets no key: it would be a new account in place of one whose key is damaged.
    pub fn in_place_of_an_account(&self, name: &NamespacedName) -> Option<String> {
        P::is_damaged(self, &secret(name)).then(|| {
            format!(
                "Secret {name} held the account's key, and its row in the store is damaged: no other account is registered in its \
                 place before somebody restores store.redb from a backup, brings the key as that Secret, or names another Secret in \
                 privateKeySecretRef"
            )
        })
    }
}
