//! Sealed values: opened with the private keys that the user names, sealed for a certificate.
//!
//! The format is Bitnami's (bitnami/sealed-secrets `pkg/crypto/crypto.go`), proven against an unmodified `kubeseal`:
//! two bytes with the length of the RSA ciphertext, the RSA-OAEP ciphertext (SHA-256, the scope as label) of a fresh
//! session key, the AES-256-GCM ciphertext of the value. The nonce is zero, since a session key is used once.

mod certificate;
mod cipher;
mod document;
mod dot;
mod keys;
mod secret;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::secrets::rows::Unopened;
use portolan_model::{
    Name, Redacted,
    input::{SealedSecret, SealingScope},
};

pub use certificate::{CertificateError, SealingCertificate};
pub use document::{SealError, Sealing, read_secrets, seal_secret};
pub use keys::{Exposed, KeyFileError, SealingKeys};
pub use secret::{fill, secret_object, unfill};
pub use template::{Executed, Templates, Unexecuted, is_templated};

/// The values of a SealedSecret, or why for each that no key opens.
pub type Unsealed = Result<BTreeMap<Name, Redacted>, BTreeMap<Name, Unopened>>;

/// What a sealed value is bound to: the label of the encryption (`EncryptionLabel` in bitnami/sealed-secrets
/// `sealedsecret_expansion.go`).
pub fn label(scope: SealingScope, namespace: &str, name: &str) -> Vec<u8> {
    match scope {
        SealingScope::Strict => format!("{namespace}/{name}").into_bytes(),
        SealingScope::Namespace => namespace.as_bytes().to_vec(),
        SealingScope::Cluster => Vec::new(),
    }
}

impl SealingKeys {
    /// Opens all values of a SealedSecret. Costs some milliseconds a value and key.
    ///
    /// # Errors
    /// Why, for each value that no key opens; none of the values are given then.
    pub fn unseal(&self, sealed: &SealedSecret) -> Unsealed {
        let (mut opened, mut failures) = (BTreeMap::new(), BTreeMap::new());
        for (name, text) in &sealed.encrypted {
            match self.open(sealed, text) {
                Ok(value) => drop(opened.insert(name.clone(), value)),
                Err(why) => drop(failures.insert(name.clone(), why)),
            }
        }
        if failures.is_empty() { Ok(opened) } else { Err(failures) }
    }

    /// Opens many, side by side on the processors that there are; the answers stand as the questions do.
    pub fn unseal_all(&self, all: &[&SealedSecret]) -> Vec<Unsealed> {
        let each = |part: &[&SealedSecret]| part.iter().map(|sealed| self.unseal(sealed)).collect::<Vec<_>>();
        if all.len() <= 1 {
            return each(all);
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let parts = all.chunks(all.len().div_ceil(processors));
            let parts: Vec<_> = parts.map(|part| scope.spawn(move || each(part))).collect();
            parts.into_iter().flat_map(|part| part.join().expect("opening does not panic")).collect()
        })
    }

    fn open(&self, sealed: &SealedSecret, text: &str) -> Result<Redacted, Unopened> {
        if self.is_empty() {
            return Err(Unopened::NoKeys);
        }
        let bytes = STANDARD.decode(text.trim()).map_err(|_| Unopened::NotBase64)?;
        let parts = cipher::split(&bytes).ok_or(Unopened::TooShort)?;
        let label_of = |scope| label(scope, &sealed.key.namespace, &sealed.key.name);
        let right = label_of(sealed.scope);
        let mut damaged = false;
        for key in self.private() {
            match cipher::open(key, &parts, &right) {
                Ok(value) => return Ok(value),
                Err(cipher::Failed::Session) => {}
                Err(cipher::Failed::Value) => damaged = true,
            }
        }
        if damaged {
            return Err(Unopened::Damaged);
        }
        // The most common mistake is a lost annotation: say so. The value stays closed.
        let others = [SealingScope::Cluster, SealingScope::Namespace, SealingScope::Strict];
        let other = others.into_iter().filter(|scope| *scope != sealed.scope).find(|scope| {
            let label = label_of(*scope);
            self.private().any(|key| cipher::open(key, &parts, &label).is_ok())
        });
        Err(other.map_or(Unopened::NoKeyOpens(self.len()), Unopened::Scope))
    }
}
