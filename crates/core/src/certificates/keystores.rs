//! `keystores` of a Certificate: which are wanted with which password, and whether the Secret holds them (cert-manager
//! `SecretKeystoreFormatMismatch`). They are made by an effect, since each is encrypted with a salt of its own; what tells
//! one from what is wanted now is a note beside it. cert-manager looks only whether one is there, so that a password
//! that changes reaches its keystore with the next renewal; here it does at once.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey, Redacted, Severity,
    input::{Certificate, Secret, StoreForm, StorePassword},
};

use super::{needed, rows::Store};
use crate::{Cx, policy::denial, problem};

/// Annotation of a Secret that Portolan issued: what its keystores were made of. Made with the private key, which stands in the
/// same Secret: who cannot read that can guess no password by it.
pub const KEYSTORES: &str = "portolan.dev/keystores";

/// Every key of a Secret that can hold one.
const ENTRIES: [&str; 4] = ["keystore.jks", "truststore.jks", "keystore.p12", "truststore.p12"];

/// The keystores with their passwords.
///
/// # Errors
/// Field and sentence, when a password is not there or cannot be one.
pub(super) fn stores(cx: &mut Cx<'_>, certificate: &Certificate) -> Result<Vec<Store>, (String, String)> {
    let mut stores = Vec::new();
    for keystore in &certificate.keystores {
        let (field, password) = match &keystore.password {
            StorePassword::Written(password) => ("password", Ok(password.clone())),
            StorePassword::Secret { name, key } => ("passwordSecretRef", secret(cx, certificate, name, key)),
        };
        let field = format!("{}.{field}", keystore.form.field());
        let password = match password {
            Ok(password) if password.is_empty() => Err("the password is empty".to_owned()),
            Ok(password) if std::str::from_utf8(password.expose()).is_err() => {
                Err("the password is no text (UTF-8)".to_owned())
            }
            password => password,
        };
        match password {
            Ok(password) => stores.push(Store { form: keystore.form.clone(), password }),
            Err(why) => return Err((field, why)),
        }
    }
    Ok(stores)
}

fn secret(cx: &mut Cx<'_>, certificate: &Certificate, name: &Name, key: &Name) -> Result<Redacted, String> {
    let secret = NamespacedName::new(certificate.key.namespace.clone(), name.clone());
    let object = ObjectKey { kind: Kind::new("", "Secret"), name: secret.clone() };
    if let Some(denied) = denial(cx, &object) {
        return Err(format!("Secret {secret} {}", denied.words(&object)));
    }
    if needed::unread(cx, &secret) {
        return Err(format!("password Secret {secret} is there and not read yet"));
    }
    let Some(found) = cx.get::<Secret>(&secret) else {
        return Err(format!("password Secret {secret} not found"));
    };
    let value = found.data.get(key).filter(|value| !value.is_empty());
    value.cloned().ok_or_else(|| format!("password Secret {secret} contains no data for key \"{key}\""))
}

/// The same, and a finding where it cannot be.
pub(super) fn told(cx: &mut Cx<'_>, certificate: &Certificate) -> Result<Vec<Store>, String> {
    stores(cx, certificate).map_err(|(field, why)| {
        let message = format!("no keystore can be made: {why}");
        let hint = "put the password into the Secret that the field names, under the key that it names";
        problem(cx, certificate.object(), 338, Severity::Error, &field, message.clone(), hint);
        message
    })
}

/// What the keystores are made of, for the annotation; empty if there are none.
pub fn note(stores: &[Store], data: &BTreeMap<Name, Redacted>) -> String {
    let part = |key: &str| data.get(key).map(Redacted::expose).unwrap_or_default();
    if stores.is_empty() {
        return String::new();
    }
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, part("tls.key")));
    let mut add = |bytes: &[u8]| {
        context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(bytes);
    };
    add(part("tls.crt"));
    add(part("ca.crt"));
    for store in stores {
        add(store.form.field().as_bytes());
        match &store.form {
            StoreForm::Jks { alias } => add(alias.as_bytes()),
            StoreForm::Pkcs12(profile) => add(format!("{profile:?}").as_bytes()),
        }
        add(store.password.expose());
    }
    URL_SAFE_NO_PAD.encode(&context.sign().as_ref()[..16])
}

/// What an issued Secret needs: keystores that are to be made anew, and keys that go.
pub(super) fn wanted(secret: &Secret, stores: Vec<Store>) -> (Vec<Store>, Vec<Name>) {
    let present = |entry: &Name| secret.data.get(entry).is_some_and(|value| !value.is_empty());
    let ca = secret.data.get("ca.crt").is_some_and(|ca| !ca.is_empty());
    let made: Vec<Name> = stores
        .iter()
        .flat_map(|store| store.form.entries().into_iter().take(if ca { 2 } else { 1 }))
        .collect();
    let gone = ENTRIES.map(Name::new).into_iter().filter(|entry| !made.contains(entry) && present(entry));
    let gone = gone.collect();
    let noted = secret.annotations.get(KEYSTORES).map(String::as_str).unwrap_or_default();
    if noted == note(&stores, &secret.data) && made.iter().all(present) {
        return (Vec::new(), gone);
    }
    (stores, gone)
}
