//! Keystores of a Certificate, as cert-manager makes them (`pkg/controller/certificates/issuing/internal/keystore.go`): the key
//! with its chain, and the CA alone as a store of what is trusted.

mod jks;
mod pbmac;

use std::{collections::BTreeMap, num::NonZeroU32};

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey as Pkcs8,
    PrivateKeyChain,
};
use portolan_core::certificates::rows::Store;
use portolan_model::{
    Instant, Name, Redacted,
    input::{Pkcs12Profile, StoreForm},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::issue::PrivateKey;

/// Rounds of the derivation of keys, as cert-manager has them.
const ROUNDS: NonZeroU32 = NonZeroU32::new(2048).unwrap();
/// What Java calls the first key without a name; cert-manager gives none.
const FIRST: &str = "1";

/// The entries of the Secret that hold the keystore, of what its `tls.key`, `tls.crt` and `ca.crt` hold.
///
/// # Errors
/// One sentence, without secret material.
pub fn make(
    store: &Store,
    data: &BTreeMap<Name, Redacted>,
    now: Instant,
) -> Result<Vec<(Name, Redacted)>, String> {
    let entry = |name: &str| data.get(name).ok_or_else(|| format!("the Secret has no {name}"));
    let key = PrivateKey::from_pem(entry("tls.key")?).map_err(|error| error.to_string())?;
    let chain = certificates(entry("tls.crt")?, "tls.crt")?;
    let trusted = match data.get("ca.crt").filter(|pem| !pem.is_empty()) {
        Some(pem) => certificates(pem, "ca.crt")?,
        None => Vec::new(),
    };
    let password = std::str::from_utf8(store.password.expose())
        .map_err(|_| "the password of the keystore is no text".to_owned())?;
    let (own, trust) = match &store.form {
        StoreForm::Jks { alias } => {
            let own = jks::keystore(&key, &chain, &trusted, (alias, password), now)?;
            (own, jks::truststore(&trusted, password, now)?)
        }
        StoreForm::Pkcs12(profile) => {
            let made = keystore(&key, &chain, &trusted);
            let failed = |error| format!("the keystore cannot be made: {error}");
            let write = |store: Result<KeyStore, p12_keystore::error::Error>| {
                let written = store.and_then(|store| write(&store, *profile, password)).map_err(failed)?;
                match profile {
                    Pkcs12Profile::Legacy | Pkcs12Profile::Modern2023 => Ok(written),
                    Pkcs12Profile::Modern2026 => pbmac::protected(&written, password, ROUNDS),
                }
            };
            (write(made)?, write(truststore(&trusted))?)
        }
    };
    let mut values = vec![Redacted::new(own)];
    if !trusted.is_empty() {
        values.push(Redacted::new(trust));
    }
    Ok(store.form.entries().into_iter().zip(values).collect())
}

fn certificates(pem: &Redacted, entry: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| format!("{entry} holds no certificates as PEM"))
}

fn keystore(
    key: &PrivateKey,
    chain: &[CertificateDer<'_>],
    trusted: &[CertificateDer<'_>],
) -> Result<KeyStore, p12_keystore::error::Error> {
    let all = chain.iter().chain(trusted.iter().filter(|ca| !chain.contains(ca)));
    let all: Result<Vec<_>, _> = all.map(|der| Certificate::from_der(der)).collect();
    let entry = PrivateKeyChain::new(FIRST, Pkcs8::from_der(key.pkcs8())?, all?);
    let mut store = KeyStore::new();
    store.add_entry(FIRST, KeyStoreEntry::PrivateKeyChain(entry));
    Ok(store)
}

/// Each under its subject, as cert-manager names them; the second of one name, and what such a name cannot hold, by number.
fn truststore(trusted: &[CertificateDer<'_>]) -> Result<KeyStore, p12_keystore::error::Error> {
    let mut store = KeyStore::new();
    for (at, der) in trusted.iter().enumerate() {
        let certificate = Certificate::from_der(der)?;
        let subject = certificate.subject();
        let plain = !subject.is_empty() && subject.chars().all(|c| u32::from(c) <= 0xffff);
        let alias =
            if plain && store.entry(subject).is_none() { subject.to_owned() } else { format!("ca-{at}") };
        store.add_entry(&alias, KeyStoreEntry::Certificate(certificate));
    }
    Ok(store)
}

fn write(
    store: &KeyStore,
    profile: Pkcs12Profile,
    password: &str,
) -> Result<Vec<u8>, p12_keystore::error::Error> {
    let (cipher, mac) = match profile {
        // Also for LegacyRC2, which has its certificates, and they are public, under 40 bits of RC2 and its key under 3DES:
        // who opens the one has what the other needs.
        Pkcs12Profile::Legacy => (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1),
        Pkcs12Profile::Modern2023 | Pkcs12Profile::Modern2026 => {
            (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256)
        }
    };
    let writer = store.writer(password).encryption_algorithm(cipher).encryption_iterations(ROUNDS.get());
    writer.mac_algorithm(mac).mac_iterations(ROUNDS.get()).write()
}

#[cfg(test)]
mod tests;
