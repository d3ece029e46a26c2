//! What cert-manager's webhook refuses (`internal/apis/certmanager/validation`), in its words: the door asks it, so that such
//! an object is none, as in a cluster.

mod issuers;
mod solvers;

pub(super) use issuers::issuer;

use super::time;
use crate::{
    certificate::{CertificateRequestParams, range},
    intake::node::{Node, wrong_duration},
    schedule::Windows,
};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// A field that the webhook refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its path.
    pub field: String,
    /// Why, in the webhook's words.
    pub words: String,
    /// What to do.
    pub hint: String,
}

#[derive(Default)]
struct Wrong(Vec<Refusal>);

impl Wrong {
    fn say(&mut self, node: &Node<'_>, words: impl Into<String>, hint: &str) {
        self.0.push(Refusal { field: node.path.clone(), words: words.into(), hint: hint.to_owned() });
    }

    /// A text that has to be there.
    fn filled(&mut self, node: &Node<'_>, words: &str, hint: &str) {
        if node.opt().is_none() {
            self.say(node, words, hint);
        }
    }
}

/// Everything that the webhook has against a Certificate.
pub(super) fn certificate(spec: &Node<'_>) -> Vec<Refusal> {
    let mut wrong = Wrong::default();
    let name = spec.get("secretName");
    if name.opt().is_none() {
        wrong.say(&name, "secretName is missing", "name the Secret that receives the certificate");
    }
    issuer_reference(&mut wrong, &spec.get("issuerRef"));
    subject(&mut wrong, spec);
    lifetime(&mut wrong, spec);
    constraints(&mut wrong, spec);
    let limit = spec.get("revisionHistoryLimit");
    if limit.value.as_i64().is_some_and(|limit| limit < 1) {
        wrong.say(&limit, "must not be less than 1", "leave it out, or write 1 or more");
    }
    let annotations = spec.get("secretTemplate").get("annotations");
    for key in annotations.map().into_keys() {
        if key.starts_with("cert-manager.io/") && &*key != "cert-manager.io/allow-direct-injection" {
            let message = "cert-manager.io/* annotations are not allowed";
            wrong.say(&annotations.get(&key), message, "leave it out of the template");
        }
    }
    let mut seen = Vec::new();
    for format in spec.get("additionalOutputFormats").items() {
        let kind = format.get("type").name();
        if seen.contains(&kind) {
            wrong.say(&format.get("type"), format!("Duplicate value: \"{kind}\""), "name each format once");
        }
        seen.push(kind);
    }
    keystores(&mut wrong, &spec.get("keystores"));
    renewal(&mut wrong, &spec.get("renewal"));
    // Told apart from what is only not built here: see there.
    if let Err(unfit) = CertificateRequestParams::try_from(&super::request(spec))
        && unfit.upstream
        && !wrong.0.iter().any(|told| told.field.starts_with(unfit.field))
    {
        wrong.say(&spec.at(unfit.field), unfit.message, unfit.hint);
    }
    wrong.0
}

fn issuer_reference(wrong: &mut Wrong, reference: &Node<'_>) {
    if reference.get("name").opt().is_none() {
        wrong.say(&reference.get("name"), "must be specified", "name the issuer");
    }
    let group = reference.get("group");
    let kind = reference.get("kind").name_or("Issuer");
    let group_is_ours = group.opt().is_none_or(|group| &*group == "cert-manager.io");
    if group_is_ours && !matches!(&*kind, "Issuer" | "ClusterIssuer") {
        let forgot =
            if group.opt().is_none() { " (did you forget to set spec.issuerRef.kind.group?)" } else { "" };
        let message = format!("must be one of Issuer or ClusterIssuer{forgot}");
        wrong.say(&reference.get("kind"), message, "write Issuer or ClusterIssuer");
    }
}

fn subject(wrong: &mut Wrong, spec: &Node<'_>) {
    let literal = spec.get("literalSubject");
    if literal.opt().is_some() {
        if spec.get("commonName").opt().is_some() {
            let message = "When providing a `LiteralSubject` no `commonName` may be provided.";
            wrong.say(&spec.get("commonName"), message, "write it into literalSubject as CN=");
        }
        let subject = spec.get("subject");
        if subject.value.as_object().is_some_and(|map| map.values().any(|value| !is_empty(value))) {
            let message = "When providing a `LiteralSubject` no `Subject` properties may be provided.";
            wrong.say(&subject, message, "write them into literalSubject");
        }
    }
    let names = ["dnsNames", "uris", "emailAddresses", "ipAddresses", "otherNames"];
    let lists = names.into_iter().any(|field| !spec.get(field).items().is_empty());
    let common = spec.get("commonName").opt().is_some() || literal.text().is_some_and(|l| l.contains("CN="));
    if !lists && !common {
        let message = "at least one of commonName (from the commonName field or from a literalSubject), dnsNames, emailSANs, ipAddresses, otherNames, or uriSANs must be set";
        wrong.say(spec, message, "set dnsNames, or one of the others");
    }
}

fn is_empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn lifetime(wrong: &mut Wrong, spec: &Node<'_>) {
    for field in ["duration", "renewBefore"] {
        let node = spec.get(field);
        if let Some(words) = node.text().and_then(wrong_duration) {
            wrong.say(&node, words, "write it like 2160h or 30m; days are not a unit");
        }
    }
    let (written, before) = (time(spec, "duration"), time(spec, "renewBefore"));
    let percentage = spec.get("renewBeforePercentage");
    let duration = written.unwrap_or(2160 * HOUR);
    let words = |millis: i64| {
        let seconds = millis / 1000;
        format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
    };
    if duration < HOUR {
        let message = "certificate duration must be greater than 1h0m0s";
        wrong.say(&spec.get("duration"), message, "ask for an hour or more");
    }
    let node = spec.get("renewBefore");
    if before.is_some() && percentage.present() {
        let message = "renewBefore and renewBeforePercentage are mutually exclusive and cannot both be set";
        wrong.say(&node, message, "leave one of them out");
    }
    if before.is_some_and(|before| before < 5 * MINUTE) {
        wrong.say(
            &node,
            "certificate renewBefore must be greater than 5m0s",
            "leave it out, or write 5m or more",
        );
    }
    if let Some(before) = before.filter(|before| *before >= duration) {
        let message = format!(
            "certificate duration {} must be greater than renewBefore {}",
            words(duration),
            words(before)
        );
        wrong.say(&node, message, "leave renewBefore out, or set it to about a third of the duration");
    }
    // It is looked at beside one of these only (`ValidateCertificateSpec`).
    let looked_at = spec.get("duration").present() || node.present();
    if let Some(percent) = percentage.value.as_i64().filter(|_| looked_at) {
        // What the webhook computes: the part that is not named, though the named part is what is used.
        let left = i128::from(duration) * (100 - i128::from(percent)) / 100;
        if left < i128::from(5 * MINUTE) {
            let message = "certificate renewBeforePercentage must result in a renewBefore greater than 5m0s";
            wrong.say(&percentage, message, "write a number from 1 to 99 that leaves more");
        } else if left >= i128::from(duration) {
            let message = "certificate renewBeforePercentage must result in a renewBefore less than duration";
            wrong.say(&percentage, message, "write a number from 1 to 99");
        }
    }
}

fn constraints(wrong: &mut Wrong, spec: &Node<'_>) {
    let node = spec.get("nameConstraints");
    if !node.present() {
        return;
    }
    if !spec.get("isCA").flag() {
        let message = "isCA should be true when nameConstraints is set";
        wrong.say(&node, message, "set isCA, or leave nameConstraints out");
    }
    if !node.get("permitted").present() && !node.get("excluded").present() {
        wrong.say(
            &node,
            "either permitted or excluded must be set",
            "say which names are permitted or excluded",
        );
    }
    for part in ["permitted", "excluded"] {
        for text in node.get(part).get("ipRanges").items() {
            if text.text().is_none_or(|text| range(text).is_none()) {
                wrong.say(&text, "invalid CIDR address", "write it like 192.0.2.0/24");
            }
        }
    }
}

fn keystores(wrong: &mut Wrong, keystores: &Node<'_>) {
    for (field, name) in [("jks", "JKS"), ("pkcs12", "PKCS#12")] {
        let store = keystores.get(field);
        if !store.present() {
            continue;
        }
        let reference = store.get("passwordSecretRef").get("name").opt().is_some();
        let hint = "name the password's Secret in passwordSecretRef";
        match (store.get("password").text(), reference) {
            (Some(_), true) => {
                let message = format!(
                    "exactly one of passwordSecretRef and password must be provided for {name} keystores; cannot set both"
                );
                wrong.say(&store, message, hint);
            }
            (None, false) => {
                let message = format!(
                    "must set exactly one of passwordSecretRef and password must for {name} keystores"
                );
                wrong.say(&store, message, hint);
            }
            (Some(""), false) => {
                let message = format!("literal password cannot be empty if set on {name} keystores");
                wrong.say(&store.get("password"), message, hint);
            }
            _ => {}
        }
    }
}

fn renewal(wrong: &mut Wrong, renewal: &Node<'_>) {
    if !renewal.present() {
        return;
    }
    let windows = renewal.get("windows");
    match renewal.get("policy").text() {
        Some("Disabled") if !windows.items().is_empty() => {
            let message = "windows cannot be set when `renewal.policy` is set to Disabled";
            wrong.say(&windows, message, "leave the windows out, or set the policy to RenewBefore");
        }
        Some("Disabled") => {}
        Some("RenewBefore") => windows.items().iter().for_each(|window| renewal_window(wrong, window)),
        _ => wrong.say(
            &renewal.get("policy"),
            "Unsupported value: supported values: \"Disabled\", \"RenewBefore\"",
            "write Disabled or RenewBefore",
        ),
    }
}

/// `validateCertificateRenewalWindows`.
fn renewal_window(wrong: &mut Wrong, window: &Node<'_>) {
    let length = window.get("windowDuration");
    if length.value.is_null() || length.millis().is_some_and(|millis| millis <= 0) {
        let message = "windowDuration must be specified and should be greater than 0";
        wrong.say(&length, message, "write how long the window lasts, such as 4h");
    }
    let zone = window.get("timezone");
    if Windows::time_zone(zone.text().unwrap_or_default()).is_err() {
        let message = "invalid value for timezone. timezone must be IANA compliant";
        wrong.say(&zone, message, "write a name such as Europe/Berlin, or leave it out for UTC");
    }
    let cron = window.get("cron");
    let text = cron.text().unwrap_or_default();
    if let Err(why) = Windows::schedule(text) {
        let message = format!(
            "invalid cron syntax: failed to parse cron spec '{text}': {why}. cron needs to follow: cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow"
        );
        wrong.say(
            &cron,
            message,
            "write minute, hour, day of month, month and day of week, such as 0 2 * * sat",
        );
    }
}
