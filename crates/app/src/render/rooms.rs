//! What each room wants, as JSON. Names, never values.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::{
    World,
    certificates::rows::CertificateState,
    conditions::rows::ListenerStatus,
    dns::{
        passed_over,
        rows::{DesiredRecord, DnsSettings},
    },
    gateway::rows::{GatewayListener, ListenerCertificate, VirtualHost},
    policy::rows::Denied,
    secrets::rows::{Mirror, MirrorContent, UnsealFailure, UnsealWanted},
    simulate::ASSUMED_ADDRESS,
    status::rows::{EntryPoint, State},
    world::DesiredByName,
};
use portolan_engine::Engine;
use portolan_model::{
    Name,
    condition::Status,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec},
};
use serde_json::{Value, json};

use crate::status::Meant;

/// What no policy lets in, and how many objects are judged.
pub(super) fn policy(engine: &Engine<World>) -> Value {
    let denied: Vec<Value> = engine
        .rows::<Denied>()
        .map(|row| json!({"object": row.key.to_string(), "policy": row.policy, "message": row.message}))
        .collect();
    json!({"denied": denied})
}

/// Secrets that Portolan makes: opened, and mirrored.
pub(super) fn secrets(engine: &Engine<World>) -> Value {
    let opens = |row: &&Arc<UnsealWanted>| engine.get::<UnsealFailure>(&row.key).is_none();
    let opened = engine.rows::<UnsealWanted>().filter(opens).map(|row| {
        let keys: Vec<&Name> = row.sealed.encrypted.keys().chain(row.sealed.template.keys()).collect();
        json!({
            "object": format!("Secret/{}", row.key), "from": format!("SealedSecret/{}", row.key),
            "scope": row.sealed.scope.as_str(), "keys": keys,
        })
    });
    let mirrored = engine.rows::<Mirror>().map(|row| {
        let (kind, keys): (_, Vec<&Name>) = match &*row.content {
            MirrorContent::Secret { data, .. } => ("Secret", data.keys().collect()),
            MirrorContent::ConfigMap { data, binary } => {
                ("ConfigMap", data.keys().chain(binary.keys()).collect())
            }
        };
        json!({
            "object": row.key.object().to_string(), "from": format!("{kind}/{}", row.source), "keys": keys,
            "mirror": if row.auto { "made by Portolan" } else { "written by hand" },
        })
    });
    opened.chain(mirrored).collect()
}

/// Certificates with who signs them and how their names are proven.
pub(super) fn certificates(engine: &Engine<World>) -> Value {
    engine
        .rows::<Certificate>()
        .map(|row| {
            let state = engine.get::<CertificateState>(&row.key);
            let (issuer, by) = match &row.issuer {
                IssuerRef::Known(key) => {
                    let by = engine.get::<Issuer>(key).map_or(Value::Null, |issuer| signer(&issuer.spec));
                    (key.to_string(), by)
                }
                IssuerRef::External(text) => (text.to_string(), Value::Null),
            };
            json!({
                "certificate": row.key.to_string(),
                "secret": format!("{}/{}", row.key.namespace, row.secret),
                "names": row.request.dns_names, "issuer": issuer, "by": by,
                "issued": state.as_ref().is_some_and(|state| state.ready),
                "message": state.filter(|state| !state.ready).map(|state| state.message.clone()),
            })
        })
        .collect()
}

fn signer(spec: &IssuerSpec) -> Value {
    match spec {
        IssuerSpec::Acme { server, solvers, .. } => {
            let mut how: Vec<String> = solvers
                .iter()
                .map(|s| s.dns01.as_ref().map_or_else(|| "http-01".to_owned(), |p| format!("dns-01 {p}")))
                .collect();
            how.dedup();
            json!({"type": "acme", "server": server, "solvers": how})
        }
        IssuerSpec::Ca { secret, .. } => json!({"type": "ca", "secret": secret}),
        IssuerSpec::SelfSigned { .. } => json!({"type": "selfSigned"}),
        IssuerSpec::Unsupported(kind) => json!({"type": kind}),
    }
}

/// Listeners, and each hostname with its route.
pub(super) fn gateway(engine: &Engine<World>) -> Value {
    let meant = Meant::new(engine);
    let listeners: Vec<Value> = engine
        .rows::<GatewayListener>()
        .map(|gateway_listener| {
            let status = engine.get::<ListenerStatus>(&gateway_listener.key);
            let conditions = status.as_ref().map_or(&[][..], |status| &status.conditions[..]);
            let wrong = conditions.iter().find(|c| c.r#type != "Conflicted" && c.status != Status::True);
            let secret = engine.get::<ListenerCertificate>(&gateway_listener.key).and_then(|row| row.secret.clone().ok());
            json!({
                "gateway": gateway_listener.key.gateway.to_string(), "name": gateway_listener.key.name, "hostname": gateway_listener.hostname,
                "port": gateway_listener.port, "protocol": crate::status::protocol(engine, gateway_listener),
                "secret": secret.map(|secret| secret.to_string()),
                "attachedRoutes": status.as_ref().map_or(0, |status| status.attached),
                "message": wrong.map(|condition| meant.told(&condition.message)),
            })
        })
        .collect();
    let mut rules: BTreeMap<&Name, usize> = BTreeMap::new();
    let hosts: Vec<_> = engine.rows::<VirtualHost>().collect();
    for host in &hosts {
        *rules.entry(&host.key.1).or_default() += host.entries.len();
    }
    let entries: Vec<Value> = engine
        .rows::<EntryPoint>()
        .map(|row| {
            json!({
                "hostname": row.key, "url": row.url, "route": row.route.to_string(),
                "rules": rules.get(&row.key).copied().unwrap_or(0),
                "secret": row.certificate.as_ref().map(|(secret, _)| secret.to_string()),
                "state": row.state,
                // What was assumed is not worth a word.
                "message": (row.state != State::Live || !row.broken.is_empty()).then(|| meant.told(&row.why)),
                "unenforced": row.unenforced,
            })
        })
        .collect();
    json!({"listeners": listeners, "hosts": entries})
}

/// Names that routes ask for, with where they will point; a Gateway stands for the address that it is given.
pub(super) fn dns(engine: &Engine<World>) -> Value {
    let components: Vec<_> = engine.rows::<DnsSettings>().filter(|settings| settings.managed).collect();
    let names: Vec<Value> = engine
        .rows::<DesiredRecord>()
        // Of several record sets those of weight 0 are not answered: what is published does not have them.
        .filter(|row| {
            let mut of_its_name = engine.find::<DesiredByName>(&row.key.0);
            of_its_name.retain(|other| other.key.3 == row.key.3 && other.outside.is_none());
            row.outside.is_some() || !passed_over(row, &of_its_name)
        })
        .map(|row| {
            let (name, route, gateway, component) = &row.key;
            // The assumed address means nothing outside of this run.
            let targets: Vec<String> = row
                .targets
                .iter()
                .map(|target| {
                    if &**target == ASSUMED_ADDRESS {
                        format!("Gateway {gateway}")
                    } else {
                        target.to_string()
                    }
                })
                .collect();
            json!({
                "name": name, "route": route.to_string(),
                "targets": if row.outside.is_none() { targets } else { Vec::new() }, "ttl": row.ttl,
                "component": component, "outside": row.outside.as_ref().map(|outside| &outside.why), "gate": row.gate.as_ref().err(),
            })
        })
        .collect();
    json!({
        "managed": !components.is_empty(),
        "components": components
            .iter()
            .map(|settings| json!({
                "component": settings.key, "owner": settings.plan.owner, "domainFilters": settings.plan.domain_filter,
            }))
            .collect::<Vec<_>>(),
        "names": names,
    })
}
