//! What an environment comes to once everything has worked: the facts that effects would report are assumed to be good.
//! `portolan render` shows it without running anything; what is refused even then needs an edit.
//!
//! Assumed: every SealedSecret opens whose values are such, every ACME account is registered, every certificate is issued whose issuer can sign, Envoy accepts
//! everything, every host answers, and the DNS zones hold nothing of others.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_engine::Engine;
use portolan_model::{
    Instant, IssuerKey, Name, NamespacedName, Object, ObjectKey, Origin, Redacted,
    certificate::{CertificateRequestParams, Names, Range},
    dns::{RecordType, Snapshot},
    input::{
        Authority, ConfigMap, ConstrainedNames, IssuerSpec, Maker, NameConstraints, SealedSecret, Secret,
        TlsPair,
    },
    intake::{Fact, Intake, MANAGED_BY, intake},
};
use serde_json::{Value, json};

use crate::{
    World,
    certificates::{
        ASKED,
        rows::{
            Account, AccountState, AccountWanted, IssueWanted, Settings, ShimCertificate, Signer,
            TemporaryWanted,
        },
    },
    dns::{
        WantedRecord,
        observe::{embedded_zone, finding_problem},
        plan,
        rows::{DnsAnswer, DnsSettings, PublishedKey, PublishedRecord, RecordProblem, WantedName},
    },
    gateway::rows::{
        GatewayAddress, ListenerInForce, MergedListeners, Refusal, Speaks, SystemRoots, VirtualHost, WireAck,
        WireKey, WireListener, WireType, virtual_host_name,
    },
    secrets::{
        self, AUTO_REFLECTS, REFLECTS,
        rows::{
            Mirror, MirrorContent, MirrorKind, MirrorWanted, Over, Unopened, UnsealFailure, UnsealWanted,
        },
    },
    status::rows::{CONNECTED, EntryPoint, HANDSHAKE, Probe},
    world::{GatewaysBySecret, IssuersBySecret, ListenerSetsBySecret, amend_config_map, amend_secret, put},
};

/// More than any chain of references needs (sealed CA, issuer, intermediate CA, certificate, mirror, listener, host, name);
/// the bound only guards against rows that never come to rest.
const ROUNDS: usize = 32;

/// Address that every Gateway is assumed to have; it means nothing outside of this.
pub const ASSUMED_ADDRESS: &str = "127.0.0.1";

/// Where the machine that serves is assumed to keep the authorities that it believes.
const ASSUMED_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Length of validity that is assumed for what comes out of a SealedSecret: nobody knows it before it is opened.
const VALID: i64 = 90 * 86_400_000;
/// The same of a CA.
const VALID_CA: i64 = 3650 * 86_400_000;

/// Steps, and assumes what effects would report, until nothing follows any more; `false` if it never came to rest.
pub fn simulate(engine: &mut Engine<World>, now: Instant) -> bool {
    engine.put(SystemRoots { key: Name::default(), path: ASSUMED_ROOTS.into() });
    for round in 0..ROUNDS {
        if engine.step(now.0).is_empty() && round > 0 {
            return true;
        }
        shim(engine);
        open(engine, now);
        register(engine);
        issue(engine, now);
        mirror(engine);
        serve(engine);
        publish(engine);
    }
    false
}

/// SealedSecrets give Secrets with the keys that they seal. A certificate in one covers whatever it is used for.
fn open(engine: &mut Engine<World>, now: Instant) {
    let wanted: Vec<Arc<UnsealWanted>> = engine.rows::<UnsealWanted>().cloned().collect();
    for row in wanted {
        let sealed = &row.sealed;
        let failures = cannot_open(sealed);
        if !failures.is_empty() {
            let (key, sealed) = (row.key.clone(), sealed.clone());
            engine.put(UnsealFailure { key, sealed, failures, templates: BTreeMap::new(), refused: None });
            continue;
        }
        let object = sealed_object(sealed);
        if row.over == Over::Nothing
            && let Some(words) = secrets::refused(None, &object, row.over)
        {
            let (key, sealed, failures) = (row.key.clone(), sealed.clone(), BTreeMap::new());
            let (templates, refused) = (BTreeMap::new(), Some(words));
            engine.put(UnsealFailure { key, sealed, failures, templates, refused });
            continue;
        }
        let names = sealed.encrypted.keys().chain(sealed.template.keys()).cloned();
        let data: BTreeMap<Name, Redacted> = names.map(|name| (name, Redacted::new(Vec::new()))).collect();
        let tls = data.contains_key("tls.crt").then(|| {
            let listeners = engine.find::<GatewaysBySecret>(&row.key);
            let sets = engine.find::<ListenerSetsBySecret>(&row.key);
            let listeners = listeners.iter().flat_map(|gateway| &gateway.listeners);
            let listeners = listeners.chain(sets.iter().flat_map(|set| &set.listeners));
            let names: BTreeSet<Name> = listeners.filter_map(|listener| listener.hostname.clone()).collect();
            let is_ca = signs(engine, &row.key);
            let until = now.plus_millis(if is_ca { VALID_CA } else { VALID });
            Ok(TlsPair { is_ca, ..pair(&row.key, names.into_iter().collect(), (now, until)) })
        });
        let made = Secret {
            key: row.key.clone(),
            r#type: sealed.r#type.clone(),
            data,
            annotations: sealed.annotations.clone(),
            labels: sealed.labels.clone(),
            maker: Maker::Unsealed,
            tls,
        };
        put_secret(engine, made);
    }
}

/// A Secret that was made, as policies judge it too. One of the repository keeps its own object.
fn put_secret(engine: &mut Engine<World>, made: Secret) {
    let key = ObjectKey::new("", "Secret", made.key.namespace.clone(), made.key.name.clone());
    let of_repository =
        engine.get::<Secret>(&made.key).is_some_and(|present| present.maker == Maker::Repository);
    if of_repository {
        return amend_secret(engine, made);
    }
    // Values are a placeholder to policies anyway.
    let data: BTreeMap<&Name, &str> = made.data.keys().map(|name| (name, "")).collect();
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "type": made.r#type, "data": data,
        "metadata": {"name": made.key.name, "namespace": made.key.namespace, "labels": made.labels,
            "annotations": made.annotations},
    });
    let Ok(object) = Object::from_json(object, Origin::default()) else { return amend_secret(engine, made) };
    let judged = intake(&object).judged;
    put(engine, &key, Intake { fact: Some(Fact::Secret(made)), judged, ours: true, ..Intake::default() });
}

/// What the controller would write, as far as it is known: values are any JSON, so that no rule about them fails.
fn sealed_object(sealed: &SealedSecret) -> Value {
    const ANY: &[u8] = b"{}";
    let values = sealed.encrypted.keys().map(|name| (name, ANY));
    let plain = sealed.template.iter().filter(|(name, _)| !sealed.encrypted.contains_key(*name));
    let plain = plain.map(|(name, text)| (name, if text.contains("{{") { ANY } else { text.as_bytes() }));
    let data: BTreeMap<&Name, String> =
        values.chain(plain).map(|(name, value)| (name, STANDARD.encode(value))).collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": sealed.r#type, "data": data,
        "metadata": {"name": sealed.key.name, "namespace": sealed.key.namespace, "labels": sealed.labels,
            "annotations": sealed.annotations},
    })
}

/// Values that no key opens, whatever it is. (Line breaks are taken out where they are read.)
fn cannot_open(sealed: &SealedSecret) -> BTreeMap<Name, Unopened> {
    let unreadable = |text: &Name| text.is_empty() || STANDARD.decode(text.as_bytes()).is_err();
    let wrong = sealed.encrypted.iter().filter(|(_, text)| unreadable(text));
    wrong.map(|(name, _)| (name.clone(), Unopened::NotBase64)).collect()
}

/// Whether a `ca` issuer signs with the Secret.
fn signs(engine: &Engine<World>, secret: &NamespacedName) -> bool {
    let cluster = engine
        .get::<Settings>(&Name::default())
        .is_some_and(|settings| settings.cluster_resource_namespace == secret.namespace)
        .then(|| NamespacedName::new("", secret.name.clone()));
    [Some(secret.clone()), cluster].into_iter().flatten().any(|key| {
        let issuers = engine.find::<IssuersBySecret>(&key);
        issuers.iter().any(|issuer| matches!(issuer.spec, IssuerSpec::Ca { .. }))
    })
}

/// What cert-manager's shims make is there.
fn shim(engine: &mut Engine<World>) {
    let wanted: Vec<Arc<ShimCertificate>> = engine.rows::<ShimCertificate>().cloned().collect();
    for row in wanted {
        let Some(body) = &row.body else { continue };
        if let Ok(object) = Object::from_json(body.clone(), Origin::default()) {
            put(engine, &object.key, intake(&object).written_by(Maker::Shim.manager()));
        }
    }
}

fn register(engine: &mut Engine<World>) {
    let wanted: Vec<Arc<AccountWanted>> = engine.rows::<AccountWanted>().cloned().collect();
    for row in wanted {
        // As its effect does: the key's Secret is made first, and policies judge it.
        if engine.get::<Secret>(&row.account_key).is_none() {
            put_secret(
                engine,
                Secret {
                    key: row.account_key.clone(),
                    r#type: "Opaque".into(),
                    data: [(row.entry.clone(), Redacted::new(Vec::new()))].into(),
                    annotations: BTreeMap::new(),
                    labels: [(MANAGED_BY.0.into(), MANAGED_BY.1.into())].into(),
                    maker: Maker::Account,
                    tls: None,
                },
            );
            continue;
        }
        let account = Account { uri: row.server.clone(), key_hash: Name::default() };
        engine.put(AccountState { key: row.key.clone(), wanted: (*row).clone(), result: Ok(account) });
    }
}

fn issue(engine: &mut Engine<World>, now: Instant) {
    let wanted: Vec<Arc<IssueWanted>> = engine.rows::<IssueWanted>().cloned().collect();
    let temporary: Vec<Arc<TemporaryWanted>> = engine.rows::<TemporaryWanted>().cloned().collect();
    // What is signed takes the place of what is temporary.
    let temporary = temporary.iter().map(|row| &row.wanted);
    for row in temporary.chain(wanted.iter().map(|row| &**row)) {
        let mut names: Vec<Name> = row.request.dns_names.iter().map(|name| name.as_str().into()).collect();
        names.sort();
        names.dedup();
        let pair = pair(&row.key, names, (now, now.plus_millis(row.request.duration)));
        let temporary = row.signer == Signer::Temporary;
        let pair = TlsPair {
            common_name: common_name(&row.request),
            issuer: row.issuer.to_string(),
            is_ca: row.request.is_ca,
            authority: row.request.is_ca.then(|| Box::new(authority(&row.request))),
            temporary,
            ..pair
        };
        let mut annotations = row.annotations.clone();
        if temporary {
            annotations.insert(ASKED.into(), row.asked.clone());
        } else {
            annotations.extend(issued_by(&row.issuer));
        }
        let made = Secret {
            key: row.secret.clone(),
            r#type: "kubernetes.io/tls".into(),
            data: ["tls.crt", "tls.key"].map(|key| (key.into(), Redacted::new(Vec::new()))).into(),
            annotations,
            labels: row.labels.clone(),
            maker: Maker::Issued,
            tls: Some(Ok(pair)),
        };
        put_secret(engine, made);
    }
}

/// As it stands in the certificate, also where `literalSubject` gives it.
fn common_name(request: &CertificateRequestParams) -> String {
    const COMMON_NAME: &str = "2.5.4.3";
    let mut parts = request.subject.iter().flatten();
    parts.find(|(id, _)| id == COMMON_NAME).map_or_else(String::new, |(_, value)| value.clone())
}

/// What a CA's certificate will say of what it may sign.
fn authority(request: &CertificateRequestParams) -> Authority {
    let texts = |list: &[String]| list.iter().map(|text| Name::new(text)).collect();
    let names = |names: &Names| ConstrainedNames {
        dns_domains: texts(&names.dns),
        ip_ranges: names.ranges.iter().filter_map(cidr).collect(),
        email_addresses: texts(&names.emails),
        uri_domains: texts(&names.uris),
    };
    let constraints = request.name_constraints.as_ref().map(|constraints| NameConstraints {
        critical: constraints.critical,
        permitted: names(&constraints.permitted),
        excluded: names(&constraints.excluded),
    });
    Authority {
        signs: true,
        path_length: None,
        constraints: constraints.unwrap_or_default(),
        loose: Name::default(),
    }
}

fn cidr(range: &Range) -> Option<Name> {
    let bits: u32 = range.mask.iter().map(|byte| byte.count_ones()).sum();
    let network = &range.network[..];
    let address = <[u8; 4]>::try_from(network)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(network).map(IpAddr::from))
        .ok()?;
    Some(format!("{address}/{bits}").into())
}

fn issued_by(issuer: &IssuerKey) -> [(Name, String); 2] {
    [
        ("cert-manager.io/issuer-name".into(), issuer.0.name.to_string()),
        ("cert-manager.io/issuer-kind".into(), issuer.kind().to_owned()),
    ]
}

/// A pair for a Secret; without bytes, so nothing secret is made up.
fn pair(
    secret: &NamespacedName,
    dns_names: Vec<Name>,
    (not_before, not_after): (Instant, Instant),
) -> TlsPair {
    TlsPair {
        dns_names,
        common_name: String::new(),
        not_before,
        not_after,
        serial: String::new(),
        issuer: String::new(),
        public_key: format!("of {secret}"),
        fingerprint: format!("of {secret}"),
        key_matches: true,
        is_ca: false,
        key: Name::default(),
        ..TlsPair::default()
    }
}

fn mirror(engine: &mut Engine<World>) {
    let wanted: Vec<Arc<Mirror>> = engine.rows::<MirrorWanted>().map(|row| Arc::clone(&row.mirror)).collect();
    for row in wanted {
        let marks = [
            (REFLECTS.into(), row.source.to_string()),
            (AUTO_REFLECTS.into(), if row.auto { "True" } else { "False" }.to_owned()),
        ];
        match &*row.content {
            MirrorContent::Secret { r#type, data } => {
                let present = engine.get::<Secret>(&row.key.name).filter(|_| !row.auto);
                let tls = engine.get::<Secret>(&row.source).and_then(|source| source.tls.clone());
                let mut made = present.as_deref().cloned().unwrap_or_else(|| Secret {
                    key: row.key.name.clone(),
                    r#type: r#type.clone(),
                    data: BTreeMap::new(),
                    annotations: BTreeMap::new(),
                    labels: BTreeMap::new(),
                    maker: Maker::Mirrored,
                    tls: None,
                });
                (made.data, made.tls) = (data.clone(), tls);
                made.annotations.extend(marks);
                put_secret(engine, made);
            }
            MirrorContent::ConfigMap { data, binary } => {
                debug_assert_eq!(row.key.kind, MirrorKind::ConfigMap);
                let present = engine.get::<ConfigMap>(&row.key.name).filter(|_| !row.auto);
                let mut made = present.as_deref().cloned().unwrap_or_else(|| ConfigMap {
                    key: row.key.name.clone(),
                    data: BTreeMap::new(),
                    binary: BTreeMap::new(),
                    annotations: BTreeMap::new(),
                    maker: Maker::Mirrored,
                });
                (made.data, made.binary) = (data.clone(), binary.clone());
                made.annotations.extend(marks);
                amend_config_map(engine, made);
            }
        }
    }
}

/// Gateways have an address with the ports as written, Envoy takes everything, and hosts answer.
fn serve(engine: &mut Engine<World>) {
    let gateways: Vec<Arc<MergedListeners>> = engine.rows::<MergedListeners>().cloned().collect();
    for gateway in gateways {
        engine.put(GatewayAddress {
            key: gateway.key.clone(),
            address: ASSUMED_ADDRESS.into(),
            ports: gateway.all.iter().map(|one| (one.listener.port, one.listener.port)).collect(),
            loopback: true,
        });
    }
    accept(engine, |_| None);
    let probed = engine.rows::<EntryPoint>().filter(|entry| entry.probe);
    let hosts: Vec<(Name, Speaks)> = probed.map(|entry| (entry.key.clone(), entry.speaks)).collect();
    for (key, speaks) in hosts {
        let seen = match speaks {
            Speaks::Http | Speaks::Https => 200,
            Speaks::TlsEnds | Speaks::TlsPasses => HANDSHAKE,
            Speaks::Tcp | Speaks::Udp => CONNECTED,
        };
        engine.put(Probe { key, state: Ok(seen) });
    }
}

/// Envoy has everything that is wanted in force, but for what it refuses.
pub fn accept(engine: &mut Engine<World>, refuse: impl Fn(&WireKey) -> Option<Refusal>) {
    let listeners: Vec<Arc<WireListener>> = engine.rows::<WireListener>().cloned().collect();
    let mut sent: BTreeSet<WireKey> = BTreeSet::new();
    for row in listeners {
        sent.extend(row.resources());
        let key = WireKey { r#type: WireType::Listener, name: row.name.clone() };
        if refuse(&key).is_none() {
            engine.put(ListenerInForce { key: row.key.clone(), row });
        } else if engine.get::<ListenerInForce>(&row.key).is_some_and(|is| is.row == row) {
            // What is refused is not in force.
            engine.remove::<ListenerInForce>(&row.key);
        }
    }
    sent.extend(engine.rows::<VirtualHost>().map(|row| WireKey {
        r#type: WireType::VirtualHost,
        name: virtual_host_name(&row.key.0, &row.key.1),
    }));
    for key in sent {
        let state = refuse(&key).map_or(Ok(()), Err);
        engine.put(WireAck { key, state });
    }
}

/// Wanted names stand in empty zones, unless the planner finds something wrong with them.
fn publish(engine: &mut Engine<World>) {
    let components: Vec<Arc<DnsSettings>> = engine.rows::<DnsSettings>().cloned().collect();
    let mut zones: BTreeMap<(Name, Name), Vec<WantedRecord>> = BTreeMap::new();
    for row in engine.rows::<WantedName>() {
        let Some(settings) = components.iter().find(|settings| settings.key == row.component) else {
            continue;
        };
        let wanted = |name: &Name| engine.get::<WantedName>(name).is_some();
        if let Some(zone) = embedded_zone(&row.key, &settings.plan, &[], wanted) {
            zones.entry((zone, row.component.clone())).or_default().extend(row.records.iter().cloned());
        }
    }
    for ((zone, component), wanted) in zones {
        let Some(settings) = components.iter().find(|settings| settings.key == component) else { continue };
        let empty = Snapshot { zone: zone.clone(), serial: 0, complete: true, sets: Vec::new() };
        // A record that is discarded leaves the others of its name.
        let mut refused: BTreeSet<(Name, RecordType)> = BTreeSet::new();
        for finding in &plan(&wanted, &empty, &settings.plan).problems {
            let (name, problem) = finding_problem(&zone, finding);
            refused.extend(finding.about.clone());
            engine.put(RecordProblem { key: (name, problem) });
        }
        for record in wanted.into_iter().filter(|record| !refused.contains(&record.set.key())) {
            engine.put(DnsAnswer { key: record.set.name.clone(), state: Ok(()) });
            engine.put(PublishedRecord {
                key: PublishedKey {
                    zone: zone.clone(),
                    name: record.set.name.clone(),
                    r#type: record.set.r#type,
                },
                set: record.set,
                registry: None,
                ours: true,
                components: vec![component.clone()],
            });
        }
    }
}

#[cfg(test)]
mod tests;
