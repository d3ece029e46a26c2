//! What effects would do and see: the DNS provider, the opener of SealedSecrets, reflector's writer.

use std::{collections::BTreeMap, sync::Arc};

use portolan_core::{
    World,
    certificates::rows::ShimCertificate,
    dns::{
        Ownership, Plan,
        observe::{finding_problem, published},
        plan_of,
        rows::{DnsAnswer, DnsSettings, PublishedRecord, RecordProblem, WantedName},
    },
    gitops::{
        adapters::{Component, ComponentValues, Form, adapt},
        rows::Unseen,
    },
    policy::rows::SubmittedCertificate,
    secrets::{
        AUTO_REFLECTS, REFLECTS,
        rows::{
            Mirror, MirrorContent, MirrorKey, MirrorKind, MirrorUnwanted, MirrorWanted, Over, Unopened,
            UnsealFailure, UnsealWanted,
        },
    },
    status::rows::Probe,
    world::{self, amend_config_map, amend_secret},
};
use portolan_engine::Engine;
use portolan_model::{
    Name, NamespacedName, Object, ObjectKey, Origin, Problem, Redacted, Severity,
    dns::{Content, RecordSet, RecordType, Snapshot},
    input::{ConfigMap, Maker, SealingScope, Secret},
    intake::intake,
};
use serde_json::Value;

/// Makes what cert-manager's shims would, and takes away what they do not ask for any more. Whether there was anything.
pub fn shim(engine: &mut Engine<World>) -> bool {
    let wanted: Vec<Arc<ShimCertificate>> = engine.rows::<ShimCertificate>().cloned().collect();
    let made = engine.rows::<SubmittedCertificate>().filter(|row| row.0.made_for.is_some());
    let made: Vec<ObjectKey> = made.map(|row| row.0.object()).collect();
    let any = !wanted.is_empty() || !made.is_empty();
    for key in made.into_iter().filter(|key| !wanted.iter().any(|row| row.object() == *key)) {
        world::remove(engine, &key);
    }
    for row in wanted {
        let Some(body) = &row.body else { continue };
        let object = Object::from_json(body.clone(), Origin::default()).unwrap();
        world::put(engine, &object.key, intake(&object).written_by(Maker::Shim.manager()));
    }
    any
}

fn texts(value: &Value) -> Vec<Name> {
    value.as_array().into_iter().flatten().map(|text| Name::new(text.as_str().unwrap())).collect()
}

/// `dns` of the facts as external-dns would be told it: one component, or those of `components` by name.
pub fn dns_settings(facts: &Value) -> Option<Vec<DnsSettings>> {
    let dns = facts.get("dns")?;
    Some(match dns["components"].as_object() {
        Some(all) => all.iter().map(|(name, dns)| component(name, dns)).collect(),
        None => vec![component("external-dns", dns)],
    })
}

/// As the chart's values say it; `owner`, `types` and `version` are short for the owner's id, the record types and the chart's
/// version; with `folder` there is no external-dns. What the facts say of the zone is none of its values.
fn component(name: &str, dns: &Value) -> DnsSettings {
    if let Some(folder) = dns["folder"].as_str() {
        return DnsSettings::of_folder(folder);
    }
    let mut values = serde_json::json!({
        "provider": {"name": "google"}, "sources": ["gateway-httproute", "gateway-grpcroute"], "policy": "sync",
        "txtOwnerId": "me",
    });
    for (field, value) in dns.as_object().into_iter().flatten() {
        let field = match field.as_str() {
            "owner" => "txtOwnerId",
            "types" => "managedRecordTypes",
            "zone" | "write" | "version" => continue,
            other => other,
        };
        values[field] = value.clone();
    }
    let made = adapt(&ComponentValues {
        form: Form::default(),
        component: "external-dns".into(),
        object: ObjectKey::new("argoproj.io", "Application", "argocd", name),
        application: name.into(),
        namespace: "external-dns".into(),
        version: Name::new(dns["version"].as_str().unwrap_or_default()),
        values,
    });
    let Some(Component::ExternalDns(told)) = &made.component else { panic!("{made:?}") };
    let serious = |problem: &Problem| problem.severity == Severity::Error;
    assert!(!made.problems.iter().any(serious), "{made:?}");
    let (settings, problems) = DnsSettings::of_external_dns(told);
    assert_eq!(problems, []);
    settings
}

/// A set written `name type ttl=n values…`. A TXT set has one value, which may hold blanks; `owned` stands for a registry
/// entry of ours, `owned by x` for one of another owner.
fn set(text: &str) -> RecordSet {
    let mut words = text.splitn(3, ' ');
    let (name, kind) = (words.next().unwrap(), words.next().unwrap());
    let kind = RecordType::ALL.into_iter().find(|t| t.as_str() == kind).unwrap();
    let values = words.next().unwrap();
    if kind != RecordType::Txt {
        return RecordSet::new(name, kind, Some(300), values.split(' '));
    }
    let owned = values.strip_prefix("owned by ").map(|rest| rest.split_once(" for ").unwrap());
    let value = owned.map_or_else(|| values.to_owned(), |(owner, of)| Ownership::new(owner, of).text());
    RecordSet::new(name, kind, Some(300), [value])
}

/// The zone that the facts begin with.
pub fn zone(facts: &Value) -> Option<Snapshot> {
    let zone = facts["dns"].get("zone")?;
    let mut sets: Vec<RecordSet> = texts(&zone["sets"]).iter().map(|text| set(text)).collect();
    sets.sort();
    Some(Snapshot { zone: zone["name"].as_str().unwrap().into(), serial: 1, complete: true, sets })
}

/// What the provider holds, as facts.
pub fn report(engine: &mut Engine<World>, zone: &Snapshot, settings: &[DnsSettings]) {
    let now = published(zone, settings);
    let old: Vec<_> = engine.rows::<PublishedRecord>().map(|row| row.key.clone()).collect();
    for key in old.iter().filter(|key| !now.iter().any(|row| row.key == **key)) {
        engine.remove::<PublishedRecord>(key);
    }
    for row in now {
        engine.put(DnsAnswer { key: row.key.name.clone(), state: Ok(()) });
        engine.put(row);
    }
}

/// What each component is to do about the zone now.
pub fn planned(engine: &Engine<World>, zone: &Snapshot, settings: &[DnsSettings]) -> Vec<Plan> {
    let wanted: Vec<WantedName> = engine.rows::<WantedName>().map(|row| (**row).clone()).collect();
    settings.iter().map(|component| plan_of(component, settings, &wanted, zone, None)).collect()
}

/// Does what is planned, and files what the plan complains of.
pub fn write(engine: &mut Engine<World>, zone: &mut Snapshot, settings: &[DnsSettings]) {
    let mut problems = Vec::new();
    // What one component gives up another takes in the next round.
    for _ in settings {
        problems.clear();
        for at in 0..settings.len() {
            let made = planned(engine, zone, settings).swap_remove(at);
            for change in made.change_set().groups.into_iter().flat_map(|group| group.changes) {
                let key = change.key();
                zone.sets.retain(|set| set.key() != key);
                if let Content::Set(set) = change.content {
                    zone.sets.push(RecordSet { ttl: Some(set.ttl.unwrap_or(300)), ..set });
                }
            }
            zone.sets.sort();
            problems.extend(made.problems);
        }
    }
    let again = planned(engine, zone, settings);
    assert!(again.iter().all(Plan::is_empty), "an applied plan leaves an empty plan: {again:?}");
    let old: Vec<_> = engine.rows::<RecordProblem>().map(|row| row.key.clone()).collect();
    for key in old {
        engine.remove::<RecordProblem>(&key);
    }
    for finding in &problems {
        engine.put(RecordProblem { key: finding_problem(&zone.zone, finding) });
    }
}

pub fn probes(engine: &mut Engine<World>, facts: &Value) {
    for (host, state) in facts["probes"].as_object().into_iter().flatten() {
        let state = match state.as_u64() {
            Some(status) => Ok(u16::try_from(status).unwrap()),
            None => Err(state.as_str().unwrap().to_owned()),
        };
        engine.put(Probe { key: host.as_str().into(), state });
    }
}

fn key(text: &str) -> NamespacedName {
    let (namespace, name) = text.split_once('/').unwrap();
    NamespacedName::new(namespace, name)
}

fn unopened(text: &str) -> Unopened {
    match text {
        "no keys" => Unopened::NoKeys,
        "not base64" => Unopened::NotBase64,
        "cluster-wide" => Unopened::Scope(SealingScope::Cluster),
        "namespace-wide" => Unopened::Scope(SealingScope::Namespace),
        "strict" => Unopened::Scope(SealingScope::Strict),
        "damaged" => Unopened::Damaged,
        _ => Unopened::NoKeyOpens(text.parse().unwrap()),
    }
}

fn bytes(values: &Value) -> BTreeMap<Name, Redacted> {
    let pair = |(key, value): (&String, &Value)| {
        (Name::new(key), Redacted::new(value.as_str().unwrap().as_bytes().to_vec()))
    };
    values.as_object().into_iter().flatten().map(pair).collect()
}

/// Opens what the facts have a value for; of others says why not.
pub fn open(engine: &mut Engine<World>, facts: &Value) {
    let wanted: Vec<Arc<UnsealWanted>> = engine.rows::<UnsealWanted>().cloned().collect();
    for row in wanted {
        let name = row.key.to_string();
        if let Some(values) = facts["opened"].get(&name) {
            let made = Secret {
                key: row.key.clone(),
                r#type: row.sealed.r#type.clone(),
                data: bytes(values),
                annotations: row.sealed.annotations.clone(),
                labels: row.sealed.labels.clone(),
                maker: Maker::Unsealed,
                tls: None,
            };
            let present = engine.get::<Secret>(&row.key).filter(|_| row.over != Over::Nothing);
            let made = match present {
                None => made,
                Some(present) => {
                    let own = if matches!(row.over, Over::Patched { .. }) {
                        present.data.clone()
                    } else {
                        BTreeMap::new()
                    };
                    Secret { data: own.into_iter().chain(made.data).collect(), ..(*present).clone() }
                }
            };
            amend_secret(engine, made);
        } else if let Some(why) = facts["unopened"].get(&name) {
            let failures = why.as_object().unwrap().iter();
            let failures = failures.map(|(k, why)| (Name::new(k), unopened(why.as_str().unwrap()))).collect();
            engine.put(UnsealFailure {
                key: row.key.clone(),
                sealed: row.sealed.clone(),
                failures,
                templates: BTreeMap::new(),
                refused: None,
            });
        }
    }
    // Of a SealedSecret that is gone, the Secret goes.
    let made: Vec<NamespacedName> = engine
        .rows::<Secret>()
        .filter(|secret| secret.maker == Maker::Unsealed)
        .map(|secret| secret.key.clone())
        .collect();
    for key in made {
        if engine.get::<UnsealWanted>(&key).is_none() {
            world::remove(engine, &MirrorKey { kind: MirrorKind::Secret, name: key }.object());
        }
    }
    for (name, values) in facts["drift"].as_object().into_iter().flatten() {
        if let Some(secret) = engine.get::<Secret>(&key(name)) {
            amend_secret(engine, Secret { data: bytes(values), ..(*secret).clone() });
        }
    }
}

/// Writes one round of mirrors; whether there was anything to do.
pub fn mirror(engine: &mut Engine<World>) -> bool {
    let wanted: Vec<Arc<Mirror>> = engine.rows::<MirrorWanted>().map(|row| Arc::clone(&row.mirror)).collect();
    let unwanted: Vec<Arc<MirrorUnwanted>> = engine.rows::<MirrorUnwanted>().cloned().collect();
    for mirror in &wanted {
        let marks = |mut annotations: BTreeMap<Name, String>| {
            annotations.insert(REFLECTS.into(), mirror.source.to_string());
            annotations.insert(AUTO_REFLECTS.into(), if mirror.auto { "True" } else { "False" }.into());
            annotations
        };
        let name = &mirror.key.name;
        match &*mirror.content {
            MirrorContent::Secret { r#type, data } => {
                let present = engine.get::<Secret>(name).filter(|_| !mirror.auto);
                let made = Secret {
                    key: name.clone(),
                    r#type: present.as_ref().map_or_else(|| r#type.clone(), |secret| secret.r#type.clone()),
                    data: data.clone(),
                    annotations: marks(
                        present.as_ref().map(|secret| secret.annotations.clone()).unwrap_or_default(),
                    ),
                    labels: BTreeMap::new(),
                    maker: if mirror.auto { Maker::Mirrored } else { Maker::Repository },
                    tls: None,
                };
                amend_secret(engine, made);
            }
            MirrorContent::ConfigMap { data, binary } => {
                let present = engine.get::<ConfigMap>(name).filter(|_| !mirror.auto);
                let made = ConfigMap {
                    key: name.clone(),
                    data: data.clone(),
                    binary: binary.clone(),
                    annotations: marks(
                        present.as_ref().map(|map| map.annotations.clone()).unwrap_or_default(),
                    ),
                    maker: if mirror.auto { Maker::Mirrored } else { Maker::Repository },
                };
                amend_config_map(engine, made);
            }
        }
    }
    for row in &unwanted {
        world::remove(engine, &row.key.object());
    }
    !wanted.is_empty() || !unwanted.is_empty()
}

/// Applications that were not read.
pub fn unseen(engine: &mut Engine<World>, facts: &Value) {
    for (name, namespace) in facts["unseen"].as_object().into_iter().flatten() {
        let key = ObjectKey::new("argoproj.io", "Application", "argocd", name.as_str());
        let namespace = namespace.as_str().filter(|namespace| *namespace != "any").unwrap_or_default();
        engine.put(Unseen { key, namespace: namespace.into() });
    }
}
