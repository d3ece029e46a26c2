//! How the certificate of a hostname comes about: Certificate, request, order, challenges, each with what it says.

use std::sync::Arc;

use portolan_core::{
    World,
    certificates::rows::{CertificateState, Issuance, RecordWanted},
    conditions::rows::ObjectStatus,
    gateway::rows::{ListenerKey, MergedListeners},
    secrets::rows::{Mirror, MirrorKey, MirrorKind},
    world::{CertificatesByTarget, IssuancesByCertificate, RecordsByIssuance},
};
use portolan_engine::Engine;
use portolan_model::{NamespacedName, input::Certificate};

/// The Certificate steps of a listener's certificate.
pub fn explain(engine: &Engine<World>, listener: &ListenerKey, step: &mut impl FnMut(&str, bool, String)) {
    let Some(certificate) = of_listener(engine, listener) else { return };
    let Some(state) = engine.get::<CertificateState>(&certificate.key) else { return };
    let detail = if state.detail.is_empty() { String::new() } else { format!("; {}", state.detail) };
    step("issued", state.ready, format!("Certificate {}: {}{detail}", state.key, state.message));
    // The latest is what is under way, or what the present certificate came from.
    let latest: Option<Arc<Issuance>> =
        engine.find::<IssuancesByCertificate>(&state.key).into_iter().max_by_key(|issuance| issuance.key.1);
    let Some(latest) = latest else { return };
    let mut records: Vec<Arc<RecordWanted>> = engine.find::<RecordsByIssuance>(&latest.key);
    let rank = |row: &RecordWanted| match &*row.key.kind.kind {
        "CertificateRequest" => 0,
        "Order" => 1,
        _ => 2,
    };
    records.sort_by_key(|row| (rank(row), row.key.clone()));
    for row in records {
        let Some(status) = engine.get::<ObjectStatus>(&row.key) else { continue };
        let (name, (good, said)) = match rank(&row) {
            0 => ("request", request(&status)),
            1 => ("order", order(&status)),
            _ => ("challenge", order(&status)),
        };
        let about = row.body["spec"]["dnsName"].as_str().map_or(String::new(), |name| format!(" for {name}"));
        step(name, good, format!("{} {}{about}: {said}", row.key.kind.kind, row.key.name));
    }
}

/// The Certificate that writes the Secret of a listener, or the Secret of which that is a mirror.
fn of_listener(engine: &Engine<World>, listener: &ListenerKey) -> Option<Arc<Certificate>> {
    let gateway = engine.get::<MergedListeners>(&listener.gateway)?;
    let one = gateway.all.iter().find(|one| one.name == listener.name)?;
    let secrets = one.listener.tls.iter().flat_map(|tls| &tls.certificates);
    let writes = |secret: &NamespacedName| {
        engine.find::<CertificatesByTarget>(secret).into_iter().min_by_key(|c| c.key.clone())
    };
    secrets.into_iter().find_map(|secret| {
        let mirror = MirrorKey { kind: MirrorKind::Secret, name: secret.clone() };
        writes(secret).or_else(|| writes(&engine.get::<Mirror>(&mirror)?.source))
    })
}

fn request(status: &ObjectStatus) -> (bool, String) {
    let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
    ready.map_or((false, String::new()), |condition| {
        let good = condition.status == portolan_model::condition::Status::True;
        (good, format!("{}: {}", condition.reason, condition.message))
    })
}

fn order(status: &ObjectStatus) -> (bool, String) {
    let field = |name: &str| {
        let value =
            status.fields.iter().find(|(field, _)| field == name).and_then(|(_, value)| value.as_str());
        value.unwrap_or_default().to_owned()
    };
    let (state, reason) = (field("state"), field("reason"));
    let state = if state.is_empty() { "not created yet".to_owned() } else { state };
    (state == "valid", if reason.is_empty() { state } else { format!("{state}: {reason}") })
}
