//! What a room makes of a case, as YAML in a stable order.

use std::{collections::BTreeMap, fmt::Write as _};

use portolan_core::{
    World,
    conditions::rows::ObjectStatus,
    dns::{
        Verb, WantedRecord,
        rows::{Departed, DnsSettings, DnsState, WantedName},
    },
    gateway::{
        backends::place,
        rows::{Clients, Endpoints, FilterChain, RouteEntry, Shares, StandIn, VirtualHost, WireListener},
    },
    infrastructure::rows::FleetWanted,
    policy::rows::{CutSecret, Denied},
    secrets::rows::{Mirror, Over, UnsealWanted},
    status::rows::EntryPoint,
    world::Finding,
};
use portolan_engine::Engine;
use portolan_model::{
    Condition, Name, RouteKind,
    condition::Status,
    dns::Snapshot,
    input::{Certificate, ConfigMap, Filter, Gateway, Maker, PathMatch, Route, RouteMatch, Secret},
};
use serde_json::Value;

use super::effects;

type Groups = BTreeMap<String, Vec<String>>;

/// Sections with groups of lines.
pub fn sections(
    engine: &Engine<World>,
    room: &str,
    dns: Option<(&[DnsSettings], &Snapshot)>,
) -> Vec<(&'static str, Groups)> {
    let mut made = match room {
        "policy" => policy(engine),
        "dns" => names(engine, dns),
        "secrets" => secrets(engine),
        "status" => vec![("entries", entries(engine))],
        "certificates" => {
            let mut made = vec![("statuses", statuses(engine)), ("hosts", hosts(engine))];
            made.extend(super::certificates::sections(engine));
            made
        }
        "gateway" => {
            let mut made =
                vec![("statuses", statuses(engine)), ("chains", chains(engine)), ("hosts", hosts(engine))];
            let endpoints = endpoints(engine);
            if !endpoints.is_empty() {
                made.push(("endpoints", endpoints));
            }
            made
        }
        "infrastructure" => {
            vec![("statuses", statuses(engine)), ("chains", chains(engine)), ("objects", objects(engine))]
        }
        _ => vec![("statuses", statuses(engine))],
    };
    made.push(("findings", findings(engine)));
    made
}

pub fn yaml(sections: &[(&'static str, Groups)]) -> String {
    let mut out = String::new();
    for (title, groups) in sections {
        writeln!(out, "{title}:").unwrap();
        for (name, lines) in groups {
            writeln!(out, "  {}:", Value::from(name.as_str())).unwrap();
            for line in lines {
                writeln!(out, "    - {}", Value::from(line.as_str())).unwrap();
            }
        }
    }
    out
}

fn one(lines: impl IntoIterator<Item = (String, String)>) -> Groups {
    let mut groups = Groups::new();
    for (name, line) in lines {
        groups.entry(name).or_default().push(line);
    }
    groups
}

/// Objects that are made, each value on a line with its path.
fn objects(engine: &Engine<World>) -> Groups {
    fn walk(value: &Value, path: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                map.iter().for_each(|(name, value)| walk(value, &format!("{path}.{name}"), out));
            }
            Value::Array(all) if all.iter().any(Value::is_object) => {
                all.iter().enumerate().for_each(|(at, value)| walk(value, &format!("{path}[{at}]"), out));
            }
            _ => out.push(format!("{} = {value}", path.trim_start_matches('.'))),
        }
    }
    let mut groups = Groups::new();
    for fleet in engine.rows::<FleetWanted>() {
        for object in &fleet.objects {
            let at = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let kind = object["kind"].as_str().unwrap_or_default();
            let lines = groups.entry(format!("{kind} {}/{}", at("namespace"), at("name"))).or_default();
            walk(object, "", lines);
        }
        let unwanted: Vec<String> = fleet.unwanted.iter().map(ToString::to_string).collect();
        groups.insert(format!("not wanted of {}", fleet.key), unwanted);
    }
    groups
}

fn findings(engine: &Engine<World>) -> Groups {
    one(engine.rows::<Finding>().map(|finding| {
        let problem = &finding.problem;
        let line = format!("{} {:?} {}: {}", problem.code, problem.severity, problem.field, problem.message);
        (problem.object.to_string(), line)
    }))
}

fn policy(engine: &Engine<World>) -> Vec<(&'static str, Groups)> {
    let routes = engine.rows::<Route>().map(|row| ("routes".to_owned(), row.key.to_string()));
    let gateways = engine.rows::<Gateway>().map(|row| ("gateways".to_owned(), row.key.to_string()));
    let certificates =
        engine.rows::<Certificate>().map(|row| ("certificates".to_owned(), row.key.to_string()));
    let denied = engine
        .rows::<Denied>()
        .map(|row| (row.key.to_string(), format!("by {}: {}", row.policy, row.message)));
    let cut = engine.rows::<CutSecret>().map(|row| {
        (format!("Secret/{}", row.key.0), format!("of Certificate {} by {}", row.key.1, row.policy))
    });
    vec![("admitted", one(routes.chain(gateways).chain(certificates))), ("denied", one(denied.chain(cut)))]
}

fn names(engine: &Engine<World>, dns: Option<(&[DnsSettings], &Snapshot)>) -> Vec<(&'static str, Groups)> {
    let states = engine
        .rows::<DnsState>()
        .map(|row| (row.key.to_string(), format!("{:?} of {:?}: {}", row.stage, row.hosts, row.why)));
    let wanted = engine.rows::<WantedName>().flat_map(|row| {
        let ttl = |ttl: Option<u32>| ttl.map_or_else(String::new, |ttl| format!(" ttl {ttl}"));
        let line = move |r: &WantedRecord| format!("{}{} of {}", r.set, ttl(r.set.ttl), r.resource);
        row.records.iter().map(move |record| (row.key.to_string(), line(record)))
    });
    let mut made = vec![("names", one(states)), ("wanted", one(wanted))];
    if let Some((settings, zone)) = dns {
        let plans = effects::planned(engine, zone, settings);
        let several = settings.len() > 1;
        let actions = settings.iter().zip(&plans).flat_map(|(component, plan)| {
            let by = if several { format!("{}: ", component.key) } else { String::new() };
            plan.actions.iter().map(move |action| (by.clone(), action))
        });
        let lines = actions.map(|(by, action)| {
            let verb = match &action.verb {
                Verb::Create => "create".to_owned(),
                Verb::Update { from } => {
                    let from: Vec<String> = from.iter().map(ToString::to_string).collect();
                    format!("update from [{}]", from.join("; "))
                }
                Verb::Delete => "delete".to_owned(),
                Verb::Leave { because } => format!("leave because {because:?}"),
            };
            (action.set.name.to_string(), format!("{by}{verb}: {}", action.set))
        });
        made.push(("plan", one(lines)));
        made.push((
            "zone",
            one(zone
                .sets
                .iter()
                .map(|set| (set.name.to_string(), format!("{set} ttl {}", set.ttl.unwrap_or_default())))),
        ));
    }
    let served = engine.rows::<VirtualHost>().filter(|row| !row.entries.is_empty()).map(|row| {
        let by: Vec<String> = row.entries.iter().map(|entry| entry.route.to_string()).collect();
        (format!("{} {}", row.key.0, row.key.1), format!("by {}", by.join(", ")))
    });
    made.push(("served", one(served)));
    let departed =
        engine.rows::<Departed>().map(|row| (row.key.to_string(), format!("departed, late: {}", row.late)));
    made.push(("leaving", one(departed)));
    made
}

fn secrets(engine: &Engine<World>) -> Vec<(&'static str, Groups)> {
    let open = engine.rows::<UnsealWanted>().map(|row| {
        let keys: Vec<&str> = row.sealed.encrypted.keys().map(|key| &**key).collect();
        let over = match row.over {
            Over::Nothing => String::new(),
            over => format!(" over the present Secret: {over:?}"),
        };
        let line = format!("{} {}: {}{over}", row.sealed.scope, row.sealed.r#type, keys.join(", "));
        (row.key.to_string(), line)
    });
    let mirrors = engine.rows::<Mirror>().map(|row| {
        let how = if row.auto { "made" } else { "filled" };
        let memory = if row.volatile { ", in memory only" } else { "" };
        (row.key.object().to_string(), format!("{how} from {}{memory}", row.source))
    });
    let maker = |maker: Maker| format!("{maker:?}").to_lowercase();
    let present = engine.rows::<Secret>().map(|row| {
        // Values print as fingerprints.
        let values: Vec<String> = row.data.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        (format!("Secret/{}", row.key), format!("{} {}: {}", maker(row.maker), row.r#type, values.join(", ")))
    });
    let maps = engine.rows::<ConfigMap>().map(|row| {
        let values: Vec<String> = row.data.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (format!("ConfigMap/{}", row.key), format!("{}: {}", maker(row.maker), values.join(", ")))
    });
    vec![("open", one(open)), ("mirrors", one(mirrors)), ("present", one(present.chain(maps)))]
}

fn entries(engine: &Engine<World>) -> Groups {
    one(engine.rows::<EntryPoint>().map(|row| {
        let unenforced: Vec<&str> = row.unenforced.iter().map(|name| &**name).collect();
        let unenforced = if unenforced.is_empty() {
            String::new()
        } else {
            format!(" unenforced [{}]", unenforced.join(", "))
        };
        let url = if row.url.is_empty() { "-" } else { &row.url };
        let mut shown = format!("{} {url} by {}{unenforced}: {}", row.state.word(), row.route, row.why);
        for broken in row.broken.iter().filter(|broken| !row.why.contains(&***broken)) {
            shown = format!("{shown}; broken: {broken}");
        }
        (row.key.to_string(), shown)
    }))
}

fn statuses(engine: &Engine<World>) -> Groups {
    let statuses = engine.rows::<ObjectStatus>().filter(|row| row.key.kind.kind != "GatewayClass");
    statuses.map(|row| (row.key.to_string(), status(row))).collect()
}

/// One line a condition, with its message where it is not simply good.
fn status(row: &ObjectStatus) -> Vec<String> {
    let line = |prefix: &str, c: &Condition| {
        let good = c.status == Status::True && c.r#type == c.reason.as_str() || c.reason == "NoConflicts";
        let message = if good { String::new() } else { format!(": {}", c.message) };
        format!("{prefix}{}={:?} {}{message}", c.r#type, c.status, c.reason)
    };
    let mut lines: Vec<String> = row.conditions.iter().map(|c| line("", c)).collect();
    for (at, part) in row.parts.iter().flat_map(|(_, parts)| parts).enumerate() {
        let fields = part.fields();
        let field = |name: &str| fields.get(name);
        let prefix = match (field("name"), field("parentRef")) {
            (Some(name), _) => {
                let kinds = field("supportedKinds").unwrap().as_array().unwrap();
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
                let (name, attached) = (name.as_str().unwrap(), field("attachedRoutes").unwrap());
                lines.push(format!("{name}: attachedRoutes {attached}, supportedKinds {kinds:?}"));
                format!("{name}: ")
            }
            (None, Some(_)) => format!("parent {at}: "),
            (None, None) => format!("ancestor {}: ", field("ancestorRef").unwrap()["name"].as_str().unwrap()),
        };
        lines.extend(part.conditions.iter().map(|c| line(&prefix, c)));
    }
    lines
}

/// Filter chains by port: which names get which route table with which certificates.
fn chains(engine: &Engine<World>) -> Groups {
    let line = |chain: &FilterChain| {
        let join = |names: &[Name]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        let names = if chain.server_names.is_empty() { "any".into() } else { join(&chain.server_names) };
        let stream = chain.stream.as_ref().map(shares).unwrap_or_default();
        match &chain.secrets {
            None => format!("{names}: {}{stream}", chain.routes),
            Some(_) if chain.refuses() => format!("{names}: refuses handshakes, as {}", chain.routes),
            Some(secrets) => {
                let clients = match &chain.clients {
                    None => String::new(),
                    Some(Clients { authorities, optional: false }) => {
                        format!(", clients of {authorities} only")
                    }
                    Some(Clients { authorities, optional: true }) => {
                        format!(", clients of {authorities} or others")
                    }
                };
                format!("{names}: {} with {}{clients}{stream}", chain.routes, join(secrets))
            }
        }
    };
    let listeners = engine.rows::<WireListener>();
    listeners
        .map(|l| (format!("{} at port {}", l.name, l.port), l.chains.iter().map(line).collect()))
        .collect()
}

/// Where what comes goes as it is.
fn shares(shares: &Shares) -> String {
    let lost = (shares.lost > 0).then(|| format!("nowhere x{}", shares.lost));
    let all = shares.clusters.iter().map(|(cluster, weight)| format!("{cluster} x{weight}"));
    format!(" -> [{}]", all.chain(lost).collect::<Vec<_>>().join(", "))
}

fn hosts(engine: &Engine<World>) -> Groups {
    let lines = |host: &VirtualHost| match host.entries.len() {
        0 if host.misdirected => vec!["421".to_owned()],
        0 => vec!["404".to_owned()],
        _ => host.entries.iter().map(|one| entry(one)).collect(),
    };
    engine.rows::<VirtualHost>().map(|h| (format!("{} {}", h.key.0, h.key.1), lines(h))).collect()
}

/// Those of Services that somebody listed endpoints of: for the others the echo backend answers.
fn endpoints(engine: &Engine<World>) -> Groups {
    let listed = engine.rows::<Endpoints>().filter(|row| row.stand_in != Some(StandIn::NoEndpoints));
    let name = |all: &[(Name, u16)]| {
        let all: Vec<String> = all.iter().map(|(address, port)| place(address, *port)).collect();
        if all.is_empty() { "nobody: 503".to_owned() } else { all.join(", ") }
    };
    let line = |row: &Endpoints| match &row.stand_in {
        Some(StandIn::Absent(why)) => format!("stand-in: the Service {why}"),
        Some(StandIn::Instead(replaced)) if row.addresses.is_empty() => {
            format!("stand-in for {}", name(replaced))
        }
        Some(StandIn::Instead(replaced)) => {
            format!("{}; stand-in for {}", name(&row.addresses), name(replaced))
        }
        _ => name(&row.addresses),
    };
    one(listed.map(|row| (row.key.to_string(), line(row))))
}

fn entry(entry: &RouteEntry) -> String {
    let mut to: Vec<String> = entry.clusters.iter().map(|c| format!("{} x{}", c.cluster, c.weight)).collect();
    if entry.invalid_weight > 0 {
        let error = if entry.route.kind == RouteKind::Grpc { "UNAVAILABLE" } else { "500" };
        to.push(format!("{error} x{}", entry.invalid_weight));
    }
    let filters: Vec<String> = entry
        .filters
        .iter()
        .map(|filter| match filter {
            Filter::Redirect(r) => format!(" redirect {:?} {:?} {}", r.scheme, r.path, r.status),
            Filter::Rewrite { hostname, path } => format!(" rewrite {hostname:?} {path:?}"),
            Filter::Unsupported(name) => format!(" unsupported {name}"),
            Filter::Mirror { .. } => format!(" mirror {:?}", entry.mirrors),
            Filter::RequestHeaders(_) => " request headers".into(),
            Filter::ResponseHeaders(_) => " response headers".into(),
            Filter::Cors(cors) => format!(" cors {:?}", cors.origins),
        })
        .collect();
    format!("{}{} -> [{}] of {}", wanted(&entry.r#match), filters.concat(), to.join(", "), entry.route)
}

fn wanted(wanted: &RouteMatch) -> String {
    let mut text = match &wanted.path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) => format!("{path}*"),
        PathMatch::Regex(path) => format!("~{path}"),
    };
    if let Some(method) = &wanted.method {
        write!(text, " {method}").unwrap();
    }
    for (mark, values) in [("header", &wanted.headers), ("query", &wanted.query)] {
        for value in values {
            write!(text, " {mark} {}={}", value.name, value.value).unwrap();
        }
    }
    text
}
