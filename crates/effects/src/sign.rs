//! Keys and signatures for `ca` and `selfSigned` issuers.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::certificates::rows::{IssueWanted, Signer};
use portolan_model::{
    Instant, Object, Origin, Redacted,
    input::{CertificateSpec, Secret},
    intake::MANAGED_BY,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    RsaKeySize, SanType, SerialNumber,
};
use serde_json::json;
use zeroize::Zeroizing;

/// Certificates begin a little before they are made, for clocks that are behind.
const BACKDATE_SECONDS: i64 = 60;

/// Makes the certificate and the Secret that holds it. Costly for RSA: call it off the driver.
///
/// # Errors
/// One sentence, without secret material.
pub fn sign(
    wanted: &IssueWanted,
    ca: Option<&Secret>,
    present: Option<&Secret>,
    now: Instant,
) -> Result<Object, String> {
    let key = match present.filter(|_| wanted.keep_key).and_then(|s| s.data.get("tls.key")) {
        Some(pem) => read_key(pem)?,
        None => make_key(&wanted.request)?,
    };
    let params = params(&wanted.request, now)?;
    let (chain, authority) = match (&wanted.signer, ca) {
        (Signer::SelfSigned, _) => {
            let own = params.self_signed(&key).map_err(|e| format!("signing failed: {e}"))?.pem();
            (own.clone(), own)
        }
        (Signer::Ca(name), None) => return Err(format!("Secret {name} of the CA is gone")),
        (Signer::Ca(name), Some(ca)) => {
            let part = |k: &str| ca.data.get(k).ok_or_else(|| format!("Secret {name} of the CA has no {k}"));
            let ca_chain = String::from_utf8(part("tls.crt")?.expose().to_vec())
                .map_err(|_| format!("tls.crt of Secret {name} is not PEM"))?;
            let issuer = Issuer::from_ca_cert_pem(&ca_chain, read_key(part("tls.key")?)?)
                .map_err(|e| format!("Secret {name} of the CA: {e}"))?;
            let leaf = params.signed_by(&key, &issuer).map_err(|e| format!("signing failed: {e}"))?.pem();
            let root = ca.data.get("ca.crt").and_then(|r| String::from_utf8(r.expose().to_vec()).ok());
            // The root itself stays out of the chain: peers have it or do not trust it.
            let root = root.unwrap_or_else(|| ca_chain.clone());
            let chain = if root == ca_chain { leaf } else { format!("{leaf}{ca_chain}") };
            (chain, root)
        }
    };
    Ok(secret(wanted, &chain, &authority, &key))
}

fn read_key(pem: &Redacted) -> Result<KeyPair, String> {
    let text = Zeroizing::new(
        String::from_utf8(pem.expose().to_vec()).map_err(|_| "the key is not PEM".to_owned())?,
    );
    KeyPair::from_pem(&text).map_err(|e| format!("the key cannot be used: {e}"))
}

fn make_key(request: &CertificateSpec) -> Result<KeyPair, String> {
    let made = match (&*request.algorithm, request.size) {
        ("RSA", 2048) => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        ("RSA", 3072) => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        ("RSA", 4096) => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
        ("ECDSA", 256) => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        ("ECDSA", 384) => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        ("Ed25519", _) => KeyPair::generate_for(&PKCS_ED25519),
        (algorithm, size) => {
            return Err(format!(
                "privateKey {algorithm} of size {size} is not made here: use RSA 2048, 3072, 4096, ECDSA 256, 384 or Ed25519"
            ));
        }
    };
    made.map_err(|e| format!("no key could be made: {e}"))
}

fn params(request: &CertificateSpec, now: Instant) -> Result<CertificateParams, String> {
    let names: Vec<String> = request.dns_names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(|e| format!("dnsNames: {e}"))?;
    for text in &request.ip_addresses {
        let address = text.parse().map_err(|_| format!("ipAddresses: {text} is not an address"))?;
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !request.common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
    }
    for organization in &request.organizations {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    let at = |seconds: i64| {
        time::OffsetDateTime::from_unix_timestamp(seconds)
            .map_err(|_| "the lifetime is out of range".to_owned())
    };
    params.not_before = at(now.seconds() - BACKDATE_SECONDS)?;
    params.not_after = at(now.seconds() + request.duration / 1000)?;
    params.is_ca = if request.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    let mut serial = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| "no randomness".to_owned())?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    usages(request, &mut params);
    Ok(params)
}

/// cert-manager's names of key usages; default digital signature and key encipherment.
fn usages(request: &CertificateSpec, params: &mut CertificateParams) {
    let mut names: Vec<&str> = request.usages.iter().map(|u| &**u).collect();
    if names.is_empty() {
        names = vec!["digital signature", "key encipherment"];
    }
    for name in names {
        let (usage, extended) = match name {
            "signing" | "digital signature" => (Some(KeyUsagePurpose::DigitalSignature), None),
            "content commitment" => (Some(KeyUsagePurpose::ContentCommitment), None),
            "key encipherment" => (Some(KeyUsagePurpose::KeyEncipherment), None),
            "key agreement" => (Some(KeyUsagePurpose::KeyAgreement), None),
            "data encipherment" => (Some(KeyUsagePurpose::DataEncipherment), None),
            "cert sign" => (Some(KeyUsagePurpose::KeyCertSign), None),
            "crl sign" => (Some(KeyUsagePurpose::CrlSign), None),
            "server auth" => (None, Some(ExtendedKeyUsagePurpose::ServerAuth)),
            "client auth" => (None, Some(ExtendedKeyUsagePurpose::ClientAuth)),
            _ => (None, None),
        };
        params.key_usages.extend(usage);
        params.extended_key_usages.extend(extended);
    }
    if request.is_ca {
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        params.key_usages.push(KeyUsagePurpose::CrlSign);
    }
}

/// The Secret as cert-manager writes it (`secretsmanager`): type, keys, annotations.
fn secret(wanted: &IssueWanted, chain: &str, authority: &str, key: &KeyPair) -> Object {
    let names = wanted.request.dns_names.iter().map(|n| &**n).collect::<Vec<_>>().join(",");
    let ips = wanted.request.ip_addresses.iter().map(|n| &**n).collect::<Vec<_>>().join(",");
    let mut annotations: BTreeMap<String, String> =
        wanted.annotations.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
    for (name, value) in [
        ("alt-names", names),
        ("ip-sans", ips),
        ("common-name", wanted.request.common_name.clone()),
        ("certificate-name", wanted.key.name.to_string()),
        ("issuer-name", wanted.issuer.0.name.to_string()),
        ("issuer-kind", wanted.issuer.kind().to_owned()),
        ("issuer-group", "cert-manager.io".to_owned()),
    ] {
        annotations.insert(format!("cert-manager.io/{name}"), value);
    }
    let mut labels: BTreeMap<String, String> =
        wanted.labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    labels.insert("controller.cert-manager.io/fao".into(), "true".into());
    labels.insert(MANAGED_BY.0.into(), MANAGED_BY.1.into());
    let key_pem = Zeroizing::new(key.serialize_pem());
    let json = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": wanted.secret.name, "namespace": wanted.secret.namespace,
            "annotations": annotations, "labels": labels,
        },
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": STANDARD.encode(chain), "tls.key": STANDARD.encode(key_pem.as_bytes()),
            "ca.crt": STANDARD.encode(authority),
        },
    });
    Object::from_json(json, Origin::default()).expect("kind, name and namespace are set above")
}
