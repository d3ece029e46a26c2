//! Private sealing keys from files: PEM, or the Secrets that the controller keeps them in.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    encoding::AsDer,
    rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{Instant, yaml};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::certificate::{self, SealingCertificate};
use crate::issue::to_pkcs8;

/// Larger files are not read: a backup of a hundred keys has less than a tenth of it.
const MOST_BYTES: u64 = 8 << 20;

/// Label that the controller finds its keys by; any other value than `active` retires a key.
const ACTIVE: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";

/// Why a key file cannot be used. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("sealing key {0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// It holds nothing of the kinds that are read.
    #[error(
        "sealing key {0}: {1}; give a PEM private key, or the key Secrets of the controller as YAML or JSON"
    )]
    Unusable(PathBuf, &'static str),
}

/// A key file that other users of this machine can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The file as it was named.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

struct SealingKey {
    private: OaepPrivateDecryptingKey,
    /// SubjectPublicKeyInfo in DER: two files may hold the same key.
    public: Vec<u8>,
    retired: bool,
}

/// Private sealing keys: the files in the order given, in a file the newest first. What they hold is zeroed when they
/// go, and never printed.
#[derive(Default)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
    exposed: Vec<Exposed>,
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKeys({} keys)", self.keys.len())
    }
}

impl SealingKeys {
    /// Reads key files. Only what is named is read, never a file that a repository brings.
    ///
    /// # Errors
    /// When a file cannot be read or holds no RSA private key.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, KeyFileError> {
        let mut made = Self::default();
        for path in paths.iter().map(AsRef::as_ref) {
            let unreadable = |error| KeyFileError::Unreadable(path.to_owned(), error);
            let file = File::open(path).map_err(unreadable)?;
            let meta = file.metadata().map_err(unreadable)?;
            let mode = meta.permissions().mode() & 0o777;
            // A pipe (`<(…)`) has no file that stays behind.
            if meta.is_file() && mode & 0o077 != 0 {
                made.exposed.push(Exposed { path: path.to_owned(), mode });
            }
            // Sized before, so that growing leaves no copies behind.
            let size = usize::try_from(meta.len().min(MOST_BYTES)).unwrap_or(0).max(1 << 16);
            let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
            file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
            let unusable = |why| KeyFileError::Unusable(path.to_owned(), why);
            if bytes.len() as u64 > MOST_BYTES {
                return Err(unusable("it is larger than 8 MiB"));
            }
            made.add(&bytes).map_err(unusable)?;
        }
        Ok(made)
    }

    /// Adds the keys of one file's content.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        // In YAML a PEM block is indented.
        let is_pem = bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"-----BEGIN "));
        let found = if is_pem { from_pem(bytes, false)? } else { from_secrets(bytes)? };
        if found.is_empty() {
            return Err("it holds no private key");
        }
        for key in found {
            if !self.keys.iter().any(|known| known.public == key.public) {
                self.keys.push(key);
            }
        }
        Ok(())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Files that other users can read.
    pub fn exposed(&self) -> &[Exposed] {
        &self.exposed
    }

    /// What to seal for: the first key that is not retired.
    pub fn certificate(&self) -> Option<SealingCertificate> {
        let key = self.keys.iter().find(|key| !key.retired)?;
        SealingCertificate::from_public(&key.public).ok()
    }

    pub(super) fn private(&self) -> impl Iterator<Item = &OaepPrivateDecryptingKey> {
        self.keys.iter().map(|key| &key.private)
    }
}

/// All private keys of a PEM file, in its order; certificates in it are left alone.
fn from_pem(bytes: &[u8], retired: bool) -> Result<Vec<SealingKey>, &'static str> {
    const WRONG: &str = "its private key is not RSA with 2048 to 8192 bits, is encrypted, or is damaged";
    let mut keys = Vec::new();
    for der in PrivateKeyDer::pem_slice_iter(bytes) {
        let mut der = der.map_err(|_| "it is not PEM")?;
        let pkcs8 = to_pkcs8(&der);
        der.zeroize();
        let private = PrivateDecryptingKey::from_pkcs8(&pkcs8.map_err(|_| WRONG)?).map_err(|_| WRONG)?;
        let public = private.public_key().as_der().map_err(|_| WRONG)?.as_ref().to_vec();
        let private = OaepPrivateDecryptingKey::new(private).map_err(|_| WRONG)?;
        keys.push(SealingKey { private, public, retired });
    }
    Ok(keys)
}

/// The keys of Secrets as `kubectl get secret -o yaml` (or json) prints the controller's, alone or as a List.
fn from_secrets(bytes: &[u8]) -> Result<Vec<SealingKey>, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is neither PEM nor text")?;
    let (documents, errors) = yaml::load(text);
    let mut documents: Vec<Value> = documents.into_iter().map(|document| document.json).collect();
    let mut found: Vec<(Option<Instant>, SealingKey)> = Vec::new();
    let mut wrong = (!errors.is_empty()).then_some("it is neither PEM nor YAML");
    for document in &documents {
        let alone = std::slice::from_ref(document);
        for secret in document.get("items").and_then(Value::as_array).map_or(alone, Vec::as_slice) {
            match from_secret(secret) {
                Ok(keys) => found.extend(keys),
                Err(why) => wrong = Some(why),
            }
        }
    }
    documents.iter_mut().for_each(wipe);
    if let Some(why) = wrong {
        return Err(why);
    }
    // Newest first; stable, so that keys without a date stay as they stand, behind the others.
    found.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
    Ok(found.into_iter().map(|(_, key)| key).collect())
}

/// The keys of one Secret with the time they are from: the certificate's, else the Secret's.
fn from_secret(secret: &Value) -> Result<Vec<(Option<Instant>, SealingKey)>, &'static str> {
    let is = |field: &str, text: &str| secret.get(field).and_then(Value::as_str) == Some(text);
    if !is("apiVersion", "v1") || !is("kind", "Secret") {
        return Err("it holds an object that is no Secret");
    }
    let value = |key: &str| -> Option<Zeroizing<Vec<u8>>> {
        let plain = secret.get("stringData").and_then(|data| data.get(key)).and_then(Value::as_str);
        if let Some(plain) = plain {
            return Some(Zeroizing::new(plain.as_bytes().to_vec()));
        }
        let text = secret.get("data")?.get(key)?.as_str()?;
        let text = Zeroizing::new(text.split_ascii_whitespace().collect::<String>());
        STANDARD.decode(text.as_bytes()).ok().map(Zeroizing::new)
    };
    let pem = value("tls.key").ok_or("a Secret in it has no readable tls.key")?;
    let label = secret.get("metadata").and_then(|m| m.get("labels")?.get(ACTIVE)?.as_str());
    let keys = from_pem(&pem, label.is_some_and(|label| label != "active"))?;
    if keys.is_empty() {
        return Err("tls.key of a Secret in it holds no private key");
    }
    let made = value("tls.crt")
        .and_then(|pem| certificate::begins(&pem))
        .or_else(|| Instant::parse(secret.pointer("/metadata/creationTimestamp").and_then(Value::as_str)?));
    Ok(keys.into_iter().map(|key| (made, key)).collect())
}

/// Overwrites all text in a value that held key material.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}
