//! `additionalOutputFormats` (cert-manager `internal/controller/certificates/secrets.go`).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{
    Name, Redacted,
    input::{OutputFormats, Secret},
};

const DER: &str = "key.der";
const COMBINED: &str = "tls-combined.pem";

/// What the formats add to a Secret with this key and chain.
pub fn of(formats: OutputFormats, key: &Redacted, chain: &[u8]) -> BTreeMap<Name, Redacted> {
    let mut data = BTreeMap::new();
    if formats.der
        && let Some(der) = der(key)
    {
        data.insert(DER.into(), der);
    }
    if formats.combined {
        data.insert(COMBINED.into(), Redacted::new([key.expose(), b"\n", chain].concat()));
    }
    data
}

/// What an issued Secret lacks, or has too much.
pub(super) fn wanted(secret: &Secret, formats: OutputFormats) -> BTreeMap<Name, Option<Redacted>> {
    let (Some(key), Some(chain)) = (secret.data.get("tls.key"), secret.data.get("tls.crt")) else {
        return BTreeMap::new();
    };
    let all = of(formats, key, chain.expose());
    let gone = [DER, COMBINED].map(Name::new).into_iter().filter(|name| !all.contains_key(name));
    let gone: Vec<Name> = gone.filter(|name| secret.data.contains_key(name)).collect();
    let lacking = all.into_iter().filter(|(name, value)| secret.data.get(name) != Some(value));
    lacking
        .map(|(name, value)| (name, Some(value)))
        .chain(gone.into_iter().map(|name| (name, None)))
        .collect()
}

/// The content of the first PEM block.
fn der(pem: &Redacted) -> Option<Redacted> {
    let text = std::str::from_utf8(pem.expose()).ok()?;
    let lines = text.lines().skip_while(|line| !line.starts_with("-----BEGIN ")).skip(1);
    let body = zeroize::Zeroizing::new(
        lines.take_while(|line| !line.starts_with("-----END ")).map(str::trim).collect::<String>(),
    );
    STANDARD.decode(body.as_bytes()).ok().filter(|der| !der.is_empty()).map(Redacted::new)
}
