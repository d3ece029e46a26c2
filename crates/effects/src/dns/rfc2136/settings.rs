//! What a server of dynamic updates has to be known of, and the algorithms of its key.

use std::{net::SocketAddr, time::Duration};

use domain::{base::Name as WireName, tsig};
use portolan_model::{Name, Redacted};

use super::super::embedded::wire_name;

/// Where dynamic updates go, and how they are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The servers, in the order in which they were named: the first takes updates and transfers, all are asked whether they
    /// answer.
    pub servers: Vec<SocketAddr>,
    /// The zones that may be changed, in normal form. No other zone is, whatever the server holds.
    pub zones: Vec<Name>,
    /// Signs every request, and must sign every answer; without one nothing is signed.
    pub key: Option<Key>,
    /// Longest wait for one message of the server; a transfer may take [`TRANSFER`] of these.
    pub patience: Duration,
    /// TTL of sets that ask for none, in seconds.
    pub default_ttl: u32,
}

/// How many times [`Settings::patience`] a whole transfer may take.
pub(super) const TRANSFER: u32 = 12;

impl Settings {
    /// Settings with the usual patience (10 s) and TTL (300 s).
    pub fn new(servers: Vec<SocketAddr>, zones: Vec<Name>, key: Option<Key>) -> Self {
        Self { servers, zones, key, patience: Duration::from_secs(10), default_ttl: 300 }
    }
}

/// A shared secret of transaction signatures (RFC 8945).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, as the server knows it.
    pub name: Name,
    /// What is computed with it.
    pub algorithm: Algorithm,
    /// The decoded secret.
    pub secret: Redacted,
}

/// An algorithm of transaction signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha1`.
    Sha1,
    /// `hmac-sha256`.
    Sha256,
    /// `hmac-sha384`.
    Sha384,
    /// `hmac-sha512`.
    Sha512,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// external-dns or cert-manager take it, and it is not built here.
    #[error(
        "{0} is not built here; make a key of hmac-sha256 or hmac-sha512 on the server (tsig-keygen -a hmac-sha256)"
    )]
    NotBuilt(&'static str),
    /// Nobody knows it.
    #[error(
        "{0:?} is no algorithm of transaction signatures; hmac-sha1, -sha256, -sha384 and -sha512 are taken"
    )]
    Unknown(String),
    /// The secret is not Base64, which both programs want it in.
    #[error("the secret of TSIG key {0} is not Base64")]
    NotBase64(Name),
    /// There is nothing in it.
    #[error("the secret of TSIG key {0} is empty")]
    Empty(Name),
    /// The name is no domain name.
    #[error("{0:?} is no name of a TSIG key")]
    Name(Name),
}

impl Algorithm {
    /// Reads an algorithm as external-dns (`--rfc2136-tsig-secret-alg`) or cert-manager (`tsigAlgorithm`) name it: `hmac-sha256`,
    /// `HMACSHA256`, a dot at the end allowed.
    ///
    /// # Errors
    /// [`KeyError::NotBuilt`], [`KeyError::Unknown`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let short: String = text
            .trim_end_matches('.')
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        match short.as_str() {
            "hmacsha1" => Ok(Self::Sha1),
            "hmacsha256" => Ok(Self::Sha256),
            "hmacsha384" => Ok(Self::Sha384),
            "hmacsha512" => Ok(Self::Sha512),
            "hmacmd5" | "hmacmd5.sigalg.reg.int" => Err(KeyError::NotBuilt("hmac-md5")),
            "hmacsha224" => Err(KeyError::NotBuilt("hmac-sha224")),
            "gsstsig" => Err(KeyError::NotBuilt("gss-tsig")),
            _ => Err(KeyError::Unknown(text.to_owned())),
        }
    }

    const fn of_library(self) -> tsig::Algorithm {
        match self {
            Self::Sha1 => tsig::Algorithm::Sha1,
            Self::Sha256 => tsig::Algorithm::Sha256,
            Self::Sha384 => tsig::Algorithm::Sha384,
            Self::Sha512 => tsig::Algorithm::Sha512,
        }
    }
}

impl Key {
    /// Takes a key as it stands in a Secret: the secret in Base64, blanks around it allowed.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(name: &str, algorithm: Algorithm, base64: &Redacted) -> Result<Self, KeyError> {
        use base64::Engine as _;
        let own = portolan_model::dns::normal_name(name).ok().filter(|name| !name.is_empty());
        let name = own.ok_or_else(|| KeyError::Name(name.into()))?;
        let text = base64.expose().trim_ascii();
        let secret = base64::engine::general_purpose::STANDARD.decode(text);
        let secret = Redacted::new(secret.map_err(|_| KeyError::NotBase64(name.clone()))?);
        if secret.is_empty() {
            return Err(KeyError::Empty(name));
        }
        Ok(Self { name, algorithm, secret })
    }

    /// The key as the library wants it.
    pub(super) fn of_library(&self) -> Result<tsig::Key, String> {
        let name = wire_name(&self.name)?;
        let name: tsig::KeyName =
            WireName::from_octets(name.as_slice().try_into().map_err(|_| "the name is too long".to_owned())?)
                .map_err(|error| error.to_string())?;
        tsig::Key::new(self.algorithm.of_library(), self.secret.expose(), name, None, None)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_read_as_both_programs_name_them() {
        for (text, algorithm) in [
            ("hmac-sha1", Algorithm::Sha1),
            ("hmac-sha256.", Algorithm::Sha256),
            ("HMACSHA256", Algorithm::Sha256),
            ("hmac-sha384", Algorithm::Sha384),
            ("HMACSHA512", Algorithm::Sha512),
        ] {
            assert_eq!(Algorithm::parse(text), Ok(algorithm), "{text}");
        }
        for (text, name) in [
            ("HMACMD5", "hmac-md5"),
            ("hmac-md5.sig-alg.reg.int.", "hmac-md5"),
            ("hmac-sha224", "hmac-sha224"),
        ] {
            let error = Algorithm::parse(text).unwrap_err();
            assert_eq!(error, KeyError::NotBuilt(name), "{text}");
            assert!(error.to_string().starts_with(name), "{error}");
        }
        assert_eq!(Algorithm::parse("sha256"), Err(KeyError::Unknown("sha256".into())));
    }

    #[test]
    fn keys_are_base64_and_are_not_shown() {
        let key = Key::new("Own.", Algorithm::Sha256, &Redacted::from(" c2VjcmV0\n")).unwrap();
        assert_eq!((&*key.name, key.secret.expose()), ("own", b"secret".as_slice()));
        let shown = format!("{key:?} {:?}", Settings::new(vec![], vec![], Some(key.clone())));
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("[115, 101"), "{shown}");
        for (name, secret, error) in [
            ("own", "c2VjcmV0!", KeyError::NotBase64("own".into())),
            ("own", " ", KeyError::Empty("own".into())),
            ("a..b", "c2VjcmV0", KeyError::Name("a..b".into())),
        ] {
            let refused = Key::new(name, Algorithm::Sha1, &Redacted::from(secret)).unwrap_err();
            assert_eq!(refused, error);
            assert!(!refused.to_string().contains("c2Vj"), "{refused}");
        }
    }
}
