//! What `status` and `explain` show. The JSON is a contract: docs/reference/status-json.md.

pub mod applications;
mod backends;
mod causes;
mod certificates;
mod dns;
pub mod edits;
mod kept;
pub mod ledger;
mod maker;
mod meant;
mod namespace;
pub mod others;
mod port;
mod sources;
mod table;
mod unread;
pub mod verdict;
mod wildcard;

pub use causes::{findings, totals};
pub use maker::subject;
pub use meant::Meant;
pub use namespace::{exists, only};
pub use table::{explanation, line as finding_line};

use std::fmt::Write as _;

use portolan_core::{
    World,
    conditions::rows::ListenerStatus,
    dns::drain,
    gateway::backends::place,
    gateway::rows::{
        Endpoints, Force, GatewayListener, HostForce, ListenerCertificate, ListenerForce, ListenerKey,
        ParentVerdict, StandIn, VirtualHost,
    },
    status::rows::{EntryPoint, HostClaim, Probe},
    world::{ClaimsByHost, Finding},
};
use portolan_effects::{render::ApplicationInfo, store::Cache};
use portolan_engine::{Engine, ReadKind, ReadNote, Reason};
use portolan_model::{
    Name, ObjectKey, Origin, Placed, Problem,
    condition::Status,
    input::{Gateway, Protocol, Secret},
    shown,
};
use serde_json::{Value, json};

use crate::{
    cli::Output,
    host::Asked,
    out::{self, Shown},
};

/// The whole status.
pub fn status(
    engine: &Engine<World>,
    store: &dyn Cache,
    run: &Value,
    substitutions: &[String],
    known: &[ApplicationInfo],
    edits: &[edits::Edit],
) -> Value {
    let meant = Meant::new(engine);
    let findings: Vec<(ObjectKey, Value)> = engine
        .rows::<Finding>()
        .map(|f| (f.problem.object.clone(), placed(engine, store, &meant, &f.problem)))
        .collect();
    let entries: Vec<Value> =
        engine.rows::<EntryPoint>().map(|e| entry(engine, e, &findings, &meant)).collect();
    let listeners: Vec<Value> = engine
        .rows::<GatewayListener>()
        .map(|gateway_listener| {
            let status = engine.get::<ListenerStatus>(&gateway_listener.key);
            let conditions = status.as_ref().map_or(&[][..], |s| &s.conditions[..]);
            let holds = |kind: &str| conditions.iter().any(|c| c.r#type == kind && c.status == Status::True);
            let wrong = conditions.iter().find(|c| c.r#type != "Conflicted" && c.status != Status::True);
            json!({
                "gateway": gateway_listener.key.gateway.to_string(),
                "name": gateway_listener.key.name,
                "hostname": gateway_listener.hostname,
                "port": gateway_listener.port,
                "protocol": protocol(engine, gateway_listener),
                "attachedRoutes": status.as_ref().map_or(0, |s| s.attached),
                "accepted": holds("Accepted"),
                "resolvedRefs": holds("ResolvedRefs"),
                "programmed": holds("Programmed"),
                "message": wrong.map(|c| meant.told(&c.message)),
            })
        })
        .collect();
    let stand_ins = engine.rows::<Endpoints>().filter_map(|e| Some(stand_in(&e.key, e.stand_in.as_ref()?)));
    let substitutions: Vec<String> = substitutions.iter().cloned().chain(stand_ins).collect();
    json!({
        "entryPoints": entries,
        "listeners": listeners,
        "applications": applications::applications(engine, store, known, edits),
        "kept": kept::kept(engine),
        "otherGateways": others::gateways(engine),
        "substitutions": substitutions,
        "verdict": verdict::of(engine),
        "findings": findings.into_iter().map(|(_, f)| f).collect::<Vec<_>>(),
        "run": run,
    })
}

fn stand_in(cluster: &str, why: &StandIn) -> String {
    match why {
        StandIn::NoEndpoints => format!("{cluster} has no endpoints: the built-in echo backend answers"),
        StandIn::Absent(why) => format!("{cluster}: the Service {why}; the built-in echo backend answers"),
        StandIn::Instead(endpoints) => {
            let all: Vec<String> = endpoints.iter().map(|(address, port)| place(address, *port)).collect();
            let all = all.join(", ");
            format!("{cluster}: {all} not loopback, not dialled: the built-in echo backend answers")
        }
    }
}

/// The protocol of a listener as it is written; one that has left its Gateway is served as what it was.
pub fn protocol(engine: &Engine<World>, listener: &GatewayListener) -> Name {
    let gateway = engine.get::<Gateway>(&listener.key.gateway);
    let written = gateway.as_ref().and_then(|gateway| {
        gateway.listeners.iter().find(|one| one.name == listener.key.name).map(|one| one.protocol.clone())
    });
    match written {
        Some(Protocol::Other(name)) => name,
        _ => listener.speaks.protocol().into(),
    }
}

/// A finding with file and line, looked up from where its object, or what makes it, stands now.
pub fn placed(engine: &Engine<World>, store: &dyn Cache, meant: &Meant<'_>, problem: &Problem) -> Value {
    let (object, field) = subject(engine, problem, |key| store.origin(key));
    finding(problem, &field, store.origin(&object), Some(meant))
}

/// A finding with file and line: those of `field` in the object that stands there.
pub fn finding(problem: &Problem, field: &str, origin: Option<&Origin>, names: Option<&Meant<'_>>) -> Value {
    let is_file = problem.object.kind.is("", "File");
    let place = origin.and_then(|origin| origin.place_of(field));
    let file = if is_file { Some(&problem.object.name.name) } else { place.map(|place| place.file) };
    let (placed, line) = if is_file {
        let line = problem.field.strip_prefix("line ").and_then(|line| line.parse().ok());
        (Some(if line.is_some() { Placed::Exact } else { Placed::File }), line)
    } else {
        (place.map(|place| place.placed), place.and_then(|place| place.line))
    };
    let named = problem.object.to_string();
    let object = drain::spoken(&named);
    let leaving =
        if *object == *named { "" } else { " (of what is leaving, and served until its records are gone)" };
    let message = format!("{}{leaving}", shown::brief(&drain::spoken(&problem.message)));
    let hint = match names.and_then(|names| names.by(&problem.message)) {
        Some(meant) => format!("did you mean {meant}? {}", problem.hint),
        None => problem.hint.clone(),
    };
    json!({
        "code": problem.code, "severity": problem.severity, "object": object,
        "field": problem.field, "file": file, "line": line, "place": placed.map(Placed::word),
        "message": message, "hint": hint,
    })
}

fn entry(
    engine: &Engine<World>,
    row: &EntryPoint,
    findings: &[(ObjectKey, Value)],
    meant: &Meant<'_>,
) -> Value {
    let certificate = row.certificate.as_ref().map(|(secret, not_after)| {
        let pair = engine.get::<Secret>(secret).and_then(|s| s.tls.clone()).and_then(Result::ok);
        json!({
            "secret": secret.to_string(),
            "issuer": pair.as_ref().map(|p| p.issuer.clone()),
            "notAfter": not_after.map(portolan_model::Instant::rfc3339),
            "serial": pair.map(|p| p.serial),
        })
    });
    let mut routes: Vec<ObjectKey> =
        engine.find::<ClaimsByHost>(&row.key).iter().map(|claim| claim.key.route.object()).collect();
    routes.push(row.route.object());
    json!({
        "hostname": row.key, "url": row.url, "address": row.address, "port": row.port, "state": row.state,
        "message": meant.told(&drain::spoken(&row.why)), "route": row.route.to_string(), "certificate": certificate,
        "dns": dns::records(engine, &row.key),
        "broken": row.broken.iter().map(|one| drain::spoken(one)).collect::<Vec<_>>(),
        "unenforced": row.unenforced,
        "findings": findings.iter().filter(|(key, _)| routes.contains(key)).map(|(_, f)| f).collect::<Vec<_>>(),
    })
}

/// Each step from the file to the live probe, with evidence; of a name that nothing asks for what may (`unread`).
pub fn explain(engine: &Engine<World>, store: &dyn Cache, edits: &[edits::Edit], address: &Asked) -> Value {
    let asked = &*address.name;
    let entry = match wildcard::entry(engine, asked) {
        Ok(entry) => entry,
        Err(why) => {
            return edits::only(edits, asked).unwrap_or_else(|| unread::explain(engine, asked, &why));
        }
    };
    let name = entry.key.clone();
    let host = &*name;
    let mut steps = Vec::new();
    let mut step = |what: &str, ok: bool, evidence: String| {
        steps.push(json!({"step": what, "ok": ok, "evidence": drain::spoken(&evidence)}));
    };
    if host != asked {
        step("wildcard", true, format!("{host} takes every name below it that nothing nearer asks for"));
    }
    let route = entry.route.object();
    let place = store.get(&route).and_then(|s| s.object.origin.shown());
    step("declared", true, place.map_or_else(|| route.to_string(), |place| format!("{route} in {place}")));
    kept::explain(engine, &route, &mut step);
    sources::policy(engine, &route, &mut step);
    let claims: Vec<_> = engine.find::<ClaimsByHost>(&name);
    port::explain(engine, address, (&entry, &claims), &mut step);
    let gateway = |claim: &HostClaim| {
        let (namespace, name) = (claim.gateway.namespace.clone(), claim.gateway.name.clone());
        ObjectKey::new("gateway.networking.k8s.io", "Gateway", namespace, name)
    };
    let mut objects = vec![route];
    objects.extend(claims.iter().flat_map(|claim| [claim.key.route.object(), gateway(claim)]));
    edits::explain(edits, asked, &objects, &mut step);
    let claim = claims
        .iter()
        .min_by_key(|c: &&std::sync::Arc<HostClaim>| (c.refused.is_some(), !c.speaks.ends_tls()));
    if let Some(claim) = claim {
        let verdict = engine.get::<ParentVerdict>(&(claim.key.route.clone(), claim.key.parent));
        let verdict = verdict.and_then(|a| a.conditions.first().cloned());
        step(
            "attached",
            claim.refused.is_none(),
            verdict.map_or_else(String::new, |c| {
                format!("Gateway {}: {} ({})", claim.gateway, c.message, c.reason)
            }),
        );
        if claim.speaks.ends_tls()
            && let Some(row) = engine
                .rows::<ListenerCertificate>()
                .find(|l| l.key.gateway == claim.gateway && l.key.name == claim.key.listener)
        {
            match &row.secret {
                Ok(secret) => {
                    let one = row.shown_to(host);
                    let secret = one.map_or(secret, |one| &one.secret);
                    let until =
                        one.map_or_else(String::new, |one| format!(", valid until {}", one.not_after));
                    let names = portolan_core::gateway::told(one.iter().flat_map(|one| &one.covers));
                    let covered = row.covers.iter().any(|n| portolan_core::gateway::covers(n, host));
                    step("certificate", covered, format!("Secret {secret} covers {names}{until}"));
                    sources::secret(engine, secret, &mut step);
                }
                Err((reason, message)) => step("certificate", false, format!("{message} ({reason})")),
            }
            certificates::explain(engine, &row.key, &mut step);
        }
    }
    for broken in &entry.broken {
        step("also asked for", false, broken.clone());
    }
    let hosts: Vec<_> =
        engine.rows::<VirtualHost>().filter(|v| v.key.1 == name && !v.entries.is_empty()).collect();
    for host in &hosts {
        let rules = if host.entries.len() == 1 { "rule" } else { "rules" };
        step("routed", true, format!("{} {rules} in {}", host.entries.len(), host.key.0));
    }
    backends::explain(engine, &entry.route, &claims, &mut step);
    if let Some(claim) = claim {
        let key = ListenerKey { gateway: claim.gateway.clone(), name: claim.key.listener.clone() };
        let row = engine.get::<ListenerForce>(&key);
        let (ok, evidence) = row.map_or((false, entry.why.clone()), |row| force(&row.state));
        step("listener", ok, evidence);
    }
    for host in &hosts {
        let row = engine.get::<HostForce>(&host.key);
        let (ok, mut evidence) = row.as_ref().map_or((false, entry.why.clone()), |row| force(&row.state));
        let left_out: Vec<_> = row.iter().flat_map(|row| &row.left_out).collect();
        for rule in &left_out {
            let _ = write!(evidence, "; rule {} of {} is refused: {}", rule.rule, rule.route, rule.words);
        }
        step("acked by Envoy", ok && left_out.is_empty(), evidence);
    }
    match engine.get::<Probe>(&name).map(|p| p.state.clone()) {
        None => step("probe", false, "not made yet".into()),
        Some(Ok(status)) => {
            let chain = if entry.url.starts_with("https://") { " over a valid chain" } else { "" };
            step("probe", true, format!("{} answered {status}{chain}", entry.url));
        }
        Some(Err(text)) => step("probe", false, text),
    }
    let is_refused = claims.iter().all(|claim| claim.refused.is_some());
    dns::explain(engine, &name, is_refused, &mut step);
    let reasons: Vec<Value> = engine.reasons::<EntryPoint>(&name).into_iter().map(|r| reason(&r)).collect();
    json!({
        "hostname": asked, "entryPoint": host, "state": entry.state, "message": entry.why, "steps": steps,
        "reasons": reasons,
    })
}

/// A run of a rule that the state follows from, and what it read.
fn reason(reason: &Reason) -> Value {
    let read = |note: &ReadNote| {
        let kind = match note.kind {
            ReadKind::Get => "row",
            ReadKind::Find => "rows",
            ReadKind::Keys => "keys",
            ReadKind::Count => "count",
        };
        json!({"table": note.table, "index": note.index, "key": note.what, "read": kind, "count": note.count})
    };
    json!({
        "rule": reason.rule, "input": reason.input, "held": reason.held,
        "reads": reason.reads.iter().map(read).collect::<Vec<_>>(),
    })
}

/// Whether it is in force, and why not.
fn force(state: &Force) -> (bool, String) {
    match state {
        Force::InForce => (true, "in force".into()),
        Force::Pending(why) | Force::NotSent(why) => (false, why.clone()),
        Force::Refused(words) => (false, format!("Envoy refused {words}")),
    }
}

/// Shows the status.
///
/// # Errors
/// None that a status can cause.
pub fn print(status: &Value, output: Output, info: bool, all: bool) -> anyhow::Result<()> {
    match output {
        Output::Json => out::json(status)?,
        Output::Table => out::print(&table::table(&Shown::of(status), info, all))?,
    }
    Ok(())
}

/// The exit code that a status means: 0 when every host is live, no finding is an error, and the verdict is complete or need not
/// be.
pub fn code(status: &Value, allow_incomplete: bool) -> u8 {
    let any = |list: &Value, is: fn(&Value) -> bool| list.as_array().is_some_and(|all| all.iter().any(is));
    // What is not known is part of the verdict.
    let unknown: fn(&Value) -> bool = |host| host["state"] == "unknown";
    let host = |host: &Value| host["state"] != "live" && host["state"] != "unknown";
    let error = |finding: &Value| finding["severity"] == "error";
    u8::from(
        any(&status["entryPoints"], host)
            || any(&status["gateway"]["hosts"], host)
            || any(&status["findings"], error)
            || !allow_incomplete
                && (status["verdict"]["complete"] == false
                    || any(&status["entryPoints"], unknown)
                    || any(&status["gateway"]["hosts"], unknown)),
    )
}
