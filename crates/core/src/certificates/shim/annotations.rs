//! What annotations say about the Certificate (cert-manager `certificate-shim/helper.go`, `translateAnnotations`), in its words.

use std::{collections::BTreeMap, net::IpAddr, str::FromStr as _};

use portolan_model::{
    Name,
    certificate::Usage,
    intake::{duration, wrong_duration},
};
use serde_json::{Map, Value, json};

use super::csv;

/// Annotation, and what is wrong with it.
type Wrong = (&'static str, String);

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// Lists of `subject`, by annotation and field.
const SUBJECT: [(&str, &str); 7] = [
    ("cert-manager.io/subject-organizations", "organizations"),
    ("cert-manager.io/subject-organizationalunits", "organizationalUnits"),
    ("cert-manager.io/subject-countries", "countries"),
    ("cert-manager.io/subject-provinces", "provinces"),
    ("cert-manager.io/subject-localities", "localities"),
    ("cert-manager.io/subject-postalcodes", "postalCodes"),
    ("cert-manager.io/subject-streetaddresses", "streetAddresses"),
];

/// Writes into `spec` what the annotations ask for.
///
/// # Errors
/// The first that cannot be used.
pub(super) fn translate(spec: &mut Value, annotations: &BTreeMap<Name, String>) -> Result<(), Wrong> {
    let get = |name: &str| annotations.get(name).map(String::as_str);
    names(spec, get)?;
    subject(spec, get)?;
    lifetime(spec, get)?;
    if let Some(text) = get("cert-manager.io/usages") {
        let mut usages = Vec::new();
        for usage in text.split(',') {
            let name = usage.trim_matches(' ');
            if Usage::from_str(name).is_err() {
                return Err(("cert-manager.io/usages", format!("invalid key usage name {usage:?}")));
            }
            usages.push(name);
        }
        spec["usages"] = json!(usages);
    }
    let name = "cert-manager.io/revision-history-limit";
    if let Some(text) = get(name) {
        let limit: i32 = number(name, text)?;
        if limit < 1 {
            return Err((name, format!("revision history limit must be a positive number {text:?}")));
        }
        spec["revisionHistoryLimit"] = limit.into();
    }
    key(spec, get)?;
    template(spec, get)
}

fn names<'a>(spec: &mut Value, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), Wrong> {
    let name = "cert-manager.io/common-name";
    if let Some(text) = get(name) {
        if text.len() > 64 {
            return Err((name, "common name may not be more than 64 bytes".into()));
        }
        spec["commonName"] = text.into();
    }
    let list = |name: &str| get(name).filter(|text| !text.is_empty()).map(|text| text.split(','));
    if let Some(items) = list("cert-manager.io/alt-names") {
        extend(spec, "dnsNames", items.map(Value::from));
    }
    let name = "cert-manager.io/ip-sans";
    if let Some(items) = list(name) {
        let items: Vec<&str> = items.map(str::trim).collect();
        if let Some(wrong) = items.iter().find(|item| item.parse::<IpAddr>().is_err()) {
            return Err((name, format!("{wrong:?} is not a valid IP address")));
        }
        extend(spec, "ipAddresses", items.into_iter().map(Value::from));
    }
    let name = "cert-manager.io/email-sans";
    if let Some(items) = list(name) {
        let items: Vec<&str> = items.map(str::trim).collect();
        if let Some(wrong) = items.iter().find(|item| !is_mailbox(item)) {
            return Err((name, format!("{wrong:?} is not a valid email address")));
        }
        spec["emailAddresses"] = json!(items);
    }
    Ok(())
}

fn extend(spec: &mut Value, field: &str, items: impl Iterator<Item = Value>) {
    let mut all = spec[field].as_array().cloned().unwrap_or_default();
    all.extend(items);
    spec[field] = all.into();
}

/// An address alone, without a name before it.
fn is_mailbox(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.contains(['@', '<', '>', ' ', '\t', ',', '(', ')']);
    text.rsplit_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain))
}

fn subject<'a>(spec: &mut Value, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), Wrong> {
    let mut subject = Map::new();
    for (name, field) in SUBJECT {
        if let Some(text) = get(name) {
            subject.insert(field.into(), json!(csv::values(text).map_err(|why| (name, why))?));
        }
    }
    if let Some(text) = get("cert-manager.io/subject-serialnumber") {
        subject.insert("serialNumber".into(), text.into());
    }
    if !subject.is_empty() {
        spec["subject"] = subject.into();
    }
    Ok(())
}

fn lifetime<'a>(spec: &mut Value, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), Wrong> {
    for (name, field, least, words) in [
        ("cert-manager.io/duration", "duration", HOUR, "duration must be greater than or equal to 1h0m0s"),
        (
            "cert-manager.io/renew-before",
            "renewBefore",
            5 * MINUTE,
            "renewBefore must be greater than or equal to 5m0s",
        ),
    ] {
        let Some(text) = get(name) else { continue };
        if let Some(why) = wrong_duration(text) {
            return Err((name, why));
        }
        if duration(text).is_none_or(|millis| millis < least) {
            return Err((name, words.to_owned()));
        }
        spec[field] = text.into();
    }
    let name = "cert-manager.io/renew-before-percentage";
    if let Some(text) = get(name) {
        spec["renewBeforePercentage"] = number::<i32>(name, text)?.into();
    }
    Ok(())
}

/// Go's `strconv.ParseInt`, with its words.
fn number<N: std::str::FromStr<Err = std::num::ParseIntError>>(
    name: &'static str,
    text: &str,
) -> Result<N, Wrong> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let why = if matches!(error.kind(), PosOverflow | NegOverflow) {
            "value out of range"
        } else {
            "invalid syntax"
        };
        (name, format!("strconv.ParseInt: parsing {text:?}: {why}"))
    })
}

fn key<'a>(spec: &mut Value, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), Wrong> {
    let mut key = Map::new();
    let words = [
        (
            "cert-manager.io/private-key-algorithm",
            "algorithm",
            &["RSA", "ECDSA", "Ed25519"][..],
            "private key algorithm",
        ),
        ("cert-manager.io/private-key-encoding", "encoding", &["PKCS1", "PKCS8"], "private key encoding"),
        (
            "cert-manager.io/private-key-rotation-policy",
            "rotationPolicy",
            &["Never", "Always"],
            "private key rotation policy",
        ),
    ];
    for (name, field, known, what) in words {
        let Some(text) = get(name) else { continue };
        if !known.contains(&text) {
            return Err((name, format!("invalid {what} {text:?}")));
        }
        key.insert(field.into(), text.into());
    }
    let name = "cert-manager.io/private-key-size";
    if let Some(text) = get(name) {
        let size: i64 = number(name, text)?;
        let algorithm = key.get("algorithm").and_then(Value::as_str).unwrap_or("RSA");
        let fits = match algorithm {
            "RSA" => (2048..=8192).contains(&size),
            "ECDSA" => [256, 384, 521].contains(&size),
            _ => true,
        };
        if !fits {
            return Err((name, format!("invalid private key size for {algorithm} algorithm {text:?}")));
        }
        key.insert("size".into(), size.into());
    }
    if !key.is_empty() {
        spec["privateKey"] = key.into();
    }
    Ok(())
}

fn template<'a>(spec: &mut Value, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), Wrong> {
    #[derive(serde::Deserialize, serde::Serialize)]
    #[serde(deny_unknown_fields)]
    struct Template {
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        annotations: BTreeMap<String, String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
    }
    let name = "cert-manager.io/secret-template";
    let Some(text) = get(name) else { return Ok(()) };
    // As Go's `Decoder.Decode`: one value is read, and what stands behind it is not looked at (`certificate-shim/helper.go`).
    let template: Template =
        serde::Deserialize::deserialize(&mut serde_json::Deserializer::from_str(text))
            .map_err(|error| (name, format!("error parsing secret template JSON: {error}")))?;
    if let Some(own) = template.annotations.keys().find(|key| key.starts_with("cert-manager.io/")) {
        return Err((name, format!("secretTemplate must not have cert-manager.io/ annotations: {own:?}")));
    }
    if !template.annotations.is_empty() || !template.labels.is_empty() {
        spec["secretTemplate"] = json!(template);
    }
    Ok(())
}
