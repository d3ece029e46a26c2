//! Certificates as Secrets: the key, the signature of a `selfSigned` or `ca` issuer, and the Secret that holds both.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::certificates::{
    ASKED, ISSUED_AT, REVISION, formats, keystores,
    rows::{IssueWanted, Signer, TemplateWanted},
};
use portolan_model::{
    Instant, NamespacedName, Object, Origin, Redacted, certificate::CertificateRequestParams, input::Secret,
    intake::MANAGED_BY,
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    issue::{Authority, Issued, PrivateKey, certificate_request, self_signed, sign_with_ca, temporary},
    keystore,
};

/// A private key with the signing request for what is wanted.
#[derive(Debug)]
pub struct Prepared {
    /// The key.
    pub key: PrivateKey,
    /// The request, DER.
    pub request: Vec<u8>,
}

/// Makes, or takes over, the private key, and the request that it signs. Costly for RSA: call it off the driver.
///
/// # Errors
/// One sentence, without secret material.
pub fn prepare(wanted: &IssueWanted, present: Option<&Secret>) -> Result<Prepared, String> {
    let key = private_key(wanted, present)?;
    let request = certificate_request(&wanted.request, &key).map_err(|error| error.to_string())?;
    Ok(Prepared { key, request })
}

/// Makes the certificate of a `selfSigned` or `ca` issuer.
///
/// # Errors
/// One sentence, without secret material.
pub fn sign(
    wanted: &IssueWanted,
    ca: Option<&Secret>,
    key: &PrivateKey,
    now: Instant,
) -> Result<Issued, String> {
    match (&wanted.signer, ca) {
        (Signer::SelfSigned, _) => {
            self_signed(&wanted.request, key, &wanted.points, now).map_err(|e| e.to_string())
        }
        (Signer::Ca(name), None) => Err(format!("Secret {name} of the CA is gone")),
        (Signer::Ca(name), Some(ca)) => {
            let part = |k: &str| ca.data.get(k).ok_or_else(|| format!("Secret {name} of the CA has no {k}"));
            let authority = Authority {
                chain: part("tls.crt")?,
                key: part("tls.key")?,
                // The Secret may know a root above its own chain.
                root: ca.data.get("ca.crt").filter(|pem| !pem.is_empty()),
                points: &wanted.points,
            };
            sign_with_ca(authority, &wanted.request, key, now)
                .map_err(|e| format!("Secret {name} of the CA: {e}"))
        }
        (Signer::Temporary, _) => temporary(&wanted.request, key, now).map_err(|e| e.to_string()),
        (Signer::Acme(_), _) => Err("an ACME server signs this one".into()),
    }
}

/// The key of the present Secret where it is to be kept, else a new one.
///
/// # Errors
/// One sentence, without secret material.
fn private_key(wanted: &IssueWanted, present: Option<&Secret>) -> Result<PrivateKey, String> {
    match present.filter(|_| wanted.keep_key).and_then(|s| s.data.get("tls.key")) {
        Some(pem) => PrivateKey::from_pem(pem).map_err(|e| format!("the present key cannot be kept: {e}")),
        None => PrivateKey::generate(wanted.request.key).map_err(|e| e.to_string()),
    }
}

/// The Secret as cert-manager writes it (`secretsmanager`): type, keys, annotations; and when it was made.
///
/// # Errors
/// When the key cannot be written in the encoding that is asked for.
pub fn secret(
    wanted: &IssueWanted,
    issued: &Issued,
    key: &PrivateKey,
    now: Instant,
) -> Result<Object, String> {
    let ips = wanted.request.ip_addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut annotations: BTreeMap<String, String> =
        wanted.annotations.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
    for (name, value) in [
        ("alt-names", wanted.request.dns_names.join(",")),
        ("uri-sans", wanted.request.uris.join(",")),
        ("ip-sans", ips),
        ("common-name", wanted.request.common_name.clone()),
        ("certificate-name", wanted.key.name.to_string()),
    ] {
        annotations.insert(format!("cert-manager.io/{name}"), value);
    }
    for (name, values) in subject_of(&wanted.request) {
        annotations.insert(format!("cert-manager.io/{name}"), values);
    }
    if wanted.revision > 0 {
        annotations.insert(REVISION.into(), wanted.revision.to_string());
    }
    annotations.insert(ASKED.into(), wanted.asked.clone());
    // Of a temporary certificate neither is true.
    if wanted.signer != Signer::Temporary {
        for (name, value) in [
            ("issuer-name", wanted.issuer.0.name.to_string()),
            ("issuer-kind", wanted.issuer.kind().to_owned()),
            ("issuer-group", "cert-manager.io".to_owned()),
        ] {
            annotations.insert(format!("cert-manager.io/{name}"), value);
        }
        // To the millisecond: a request for renewal may come in the second of the last one.
        annotations.insert(ISSUED_AT.into(), now.timestamp().to_string());
    }
    let mut labels: BTreeMap<String, String> =
        wanted.labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    labels.insert("controller.cert-manager.io/fao".into(), "true".into());
    labels.insert(MANAGED_BY.0.into(), MANAGED_BY.1.into());
    let pem = key.to_pem(wanted.request.encoding).map_err(|e| e.to_string())?;
    let encoded = Zeroizing::new(STANDARD.encode(pem.expose()));
    let mut data = json!({"tls.crt": STANDARD.encode(&issued.chain), "tls.key": *encoded});
    for (key, value) in formats::of(wanted.formats, &pem, issued.chain.as_bytes()) {
        data[&*key] = STANDARD.encode(value.expose()).into();
    }
    if !issued.ca.is_empty() {
        data["ca.crt"] = STANDARD.encode(&issued.ca).into();
    }
    let mut parts =
        BTreeMap::from([("tls.crt".into(), issued.chain.as_str().into()), ("tls.key".into(), pem)]);
    if !issued.ca.is_empty() {
        parts.insert("ca.crt".into(), issued.ca.as_str().into());
    }
    for store in &wanted.keystores {
        for (entry, value) in keystore::make(store, &parts, now)? {
            data[&*entry] = STANDARD.encode(value.expose()).into();
        }
    }
    let note = keystores::note(&wanted.keystores, &parts);
    if !note.is_empty() {
        annotations.insert(keystores::KEYSTORES.into(), note);
    }
    let json = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": wanted.secret.name, "namespace": wanted.secret.namespace,
            "annotations": annotations, "labels": labels,
        },
        "type": "kubernetes.io/tls",
        "data": data,
    });
    Ok(Object::from_json(json, Origin::default()).expect("kind, name and namespace are set above"))
}

/// Annotations that cert-manager writes only where there is something to say.
fn subject_of(request: &CertificateRequestParams) -> Vec<(&'static str, String)> {
    const PARTS: [(&str, &str); 8] = [
        ("subject-countries", "2.5.4.6"),
        ("subject-organizations", "2.5.4.10"),
        ("subject-organizationalunits", "2.5.4.11"),
        ("subject-localities", "2.5.4.7"),
        ("subject-provinces", "2.5.4.8"),
        ("subject-streetaddresses", "2.5.4.9"),
        ("subject-postalcodes", "2.5.4.17"),
        ("subject-serialnumber", "2.5.4.5"),
    ];
    let all = |oid: &str| {
        let values = request.subject.iter().flatten().filter(|(id, _)| id == oid);
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",")
    };
    let parts = PARTS.into_iter().map(|(name, oid)| (name, all(oid)));
    let emails = [("email-sans", request.emails.join(","))];
    parts.chain(emails).filter(|(_, values)| !values.is_empty()).collect()
}

/// Brings an issued Secret to what its Certificate's template, output formats and keystores say by now.
///
/// # Errors
/// When a keystore cannot be made; nothing is changed then.
pub fn follow(
    json: &mut serde_json::Value,
    wanted: &TemplateWanted,
    present: &Secret,
    now: Instant,
) -> Result<(), String> {
    let mut made = Vec::new();
    for store in &wanted.keystores {
        made.extend(keystore::make(store, &present.data, now)?);
    }
    for (entry, value) in made {
        json["data"][&*entry] = STANDARD.encode(value.expose()).into();
    }
    json["metadata"]["annotations"] = json!(wanted.annotations);
    json["metadata"]["labels"] = json!(wanted.labels);
    for (key, value) in &wanted.data {
        match value {
            Some(value) => json["data"][&**key] = STANDARD.encode(value.expose()).into(),
            None => {
                json["data"].as_object_mut().map(|data| data.remove(&**key));
            }
        }
    }
    Ok(())
}

/// The Secret that keeps an ACME account key, as cert-manager writes it.
pub fn account_secret(key: &NamespacedName, entry: &str, pem: &Redacted) -> Object {
    let encoded = Zeroizing::new(STANDARD.encode(pem.expose()));
    let json = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": key.name, "namespace": key.namespace,
            "labels": {MANAGED_BY.0: MANAGED_BY.1},
        },
        "type": "Opaque",
        "data": {entry: *encoded},
    });
    Object::from_json(json, Origin::default()).expect("kind, name and namespace are set above")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_model::{
        IssuerKey,
        certificate::{KeyEncoding, KeyKind, Usage},
        input::{OutputFormats, Points},
        intake::{Fact, intake},
    };

    use super::*;

    fn wanted(key: KeyKind, encoding: KeyEncoding) -> IssueWanted {
        IssueWanted {
            key: NamespacedName::new("ns", "web"),
            revision: 7,
            signer: Signer::SelfSigned,
            issuer: IssuerKey(NamespacedName::new("ns", "own")),
            request: CertificateRequestParams {
                dns_names: vec!["a.example".into()],
                duration: 48 * 3_600_000,
                usages: vec![Usage::DigitalSignature],
                key,
                encoding,
                ..CertificateRequestParams::default()
            },
            points: Points::default(),
            formats: OutputFormats::default(),
            keystores: Vec::new(),
            asked: "{}".into(),
            secret: NamespacedName::new("ns", "web-tls"),
            replaces: String::new(),
            keep_key: false,
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Peers' reports, P13 (cert-manager/cert-manager#8177): RFC 5280 has no such name, and cert-manager signs it.
    #[test]
    fn a_name_with_a_dot_at_its_end_is_signed_as_it_is_written() {
        let now = Instant(1_795_000_000_000);
        let mut wanted = wanted(KeyKind::P256, KeyEncoding::Traditional);
        wanted.request.dns_names = vec!["c3.lab.test.".into(), "c3.lab.test".into()];
        let prepared = prepare(&wanted, None).unwrap();
        let issued = sign(&wanted, None, &prepared.key, now).unwrap();
        let object = secret(&wanted, &issued, &prepared.key, now).unwrap();
        let Some(Fact::Secret(read)) = intake(&object).fact else { panic!() };
        let names = read.tls.clone().unwrap().unwrap().dns_names;
        assert_eq!(names, ["c3.lab.test", "c3.lab.test."]);
    }

    #[test]
    fn a_temporary_certificate_has_the_names_is_known_as_such_and_names_no_issuer() {
        use x509_parser::prelude::FromDer as _;
        let now = Instant(1_795_000_000_000);
        let wanted = wanted(KeyKind::P256, KeyEncoding::Traditional);
        let wanted = IssueWanted { signer: Signer::Temporary, revision: 0, ..wanted };
        let prepared = prepare(&wanted, None).unwrap();
        let issued = sign(&wanted, None, &prepared.key, now).unwrap();
        assert_eq!(issued.ca, "", "nothing that anybody could trust");
        let object = secret(&wanted, &issued, &prepared.key, now).unwrap();
        let Some(Fact::Secret(read)) = intake(&object).fact else { panic!() };
        let pair = read.tls.clone().unwrap().unwrap();
        assert!(pair.temporary && pair.key_matches && !pair.is_ca);
        assert_eq!((&*pair.dns_names, &*pair.issuer), (&["a.example".into()][..], "cert-manager.local"));
        let told: Vec<_> = read.annotations.keys().map(|key| &**key).collect();
        assert!(told.contains(&"cert-manager.io/certificate-name") && told.contains(&ASKED), "{told:?}");
        for absent in ["cert-manager.io/issuer-name", ISSUED_AT, REVISION] {
            assert!(!told.contains(&absent), "{absent}");
        }
        // Its own key did not sign it, and whose key did is in no certificate.
        let der = x509_parser::pem::Pem::iter_from_buffer(issued.chain.as_bytes()).next().unwrap().unwrap();
        let (_, leaf) = x509_parser::prelude::X509Certificate::from_der(&der.contents).unwrap();
        assert!(leaf.verify_signature(None).is_err());
        // What an issuer signs is none.
        let own = IssueWanted { signer: Signer::SelfSigned, ..wanted };
        let issued = sign(&own, None, &prepared.key, now).unwrap();
        let object = secret(&own, &issued, &prepared.key, now).unwrap();
        let Some(Fact::Secret(read)) = intake(&object).fact else { panic!() };
        assert!(!read.tls.unwrap().unwrap().temporary);
    }

    #[test]
    fn the_secret_holds_the_key_in_the_encoding_that_is_asked_for_and_fits_its_certificate() {
        let now = Instant(1_795_000_000_000);
        for (kind, encoding, label, says) in [
            (KeyKind::Rsa2048, KeyEncoding::Traditional, "RSA PRIVATE KEY", "RSA 2048"),
            (KeyKind::Rsa2048, KeyEncoding::Pkcs8, "PRIVATE KEY", "RSA 2048"),
            (KeyKind::P256, KeyEncoding::Traditional, "EC PRIVATE KEY", "ECDSA 256"),
            (KeyKind::P384, KeyEncoding::Pkcs8, "PRIVATE KEY", "ECDSA 384"),
            (KeyKind::P521, KeyEncoding::Traditional, "EC PRIVATE KEY", "ECDSA 521"),
            (KeyKind::P521, KeyEncoding::Pkcs8, "PRIVATE KEY", "ECDSA 521"),
            (KeyKind::Ed25519, KeyEncoding::Traditional, "PRIVATE KEY", "Ed25519"),
        ] {
            let wanted = wanted(kind, encoding);
            let prepared = prepare(&wanted, None).unwrap();
            let issued = sign(&wanted, None, &prepared.key, now).unwrap();
            let object = secret(&wanted, &issued, &prepared.key, now).unwrap();
            let Some(Fact::Secret(read)) = intake(&object).fact else { panic!() };
            let pem = String::from_utf8(read.data["tls.key"].expose().to_vec()).unwrap();
            assert!(pem.starts_with(&format!("-----BEGIN {label}-----")), "{kind:?} {encoding:?}");
            let pair = read.tls.clone().unwrap().unwrap();
            assert!(pair.key_matches, "{kind:?} {encoding:?}: else it would be issued for ever");
            assert_eq!(pair.key, says);
            assert_eq!(
                portolan_model::intake::tls::unread(&read.data["tls.key"]),
                None,
                "{kind:?}: Envoy reads it"
            );
            assert_eq!(read.annotations["portolan.dev/certificate-revision"], "7");
            // Kept, it is the same key.
            let kept = prepare(&IssueWanted { keep_key: true, ..wanted }, Some(&read)).unwrap();
            assert_eq!(kept.key.pkcs8(), prepared.key.pkcs8());
        }
    }
}
