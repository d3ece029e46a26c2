//! Facts and output of the certificates room.
//!
//! `facts.yaml` may hold: `secrets` (Secret to what its certificate says: `names`, `maker`, `annotations`, `notBefore`,
//! `notAfter`, `key`, `keyMatches`, `isCa`, `authority`, `subject`, `invalid`, `temporary`, `data`), `accounts` (issuer to `ok` or why
//! not), `failures` (Certificate to `message`, `at`, `attempts`), `orders` (Certificate to the order that is under way),
//! `clusterResourceNamespace`, `certManager` (values of a declared chart, with its `version`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::{
    World,
    certificates::{
        acme::OrderState,
        rows::{
            Account, AccountFailure, AccountState, AccountWanted, AcmeServer, Issuance, IssueFailure,
            IssueWanted, NeededSecret, OrderProgress, Outcome, RealAcme, RecordWanted, Settings,
            ShimCertificate, ShimSettings, Signer, TemplateWanted, TemporaryWanted,
        },
    },
    conditions::rows::ObjectStatus,
    gitops::{
        adapters::{ComponentValues, Form},
        configuration::{self, Environment},
    },
    world,
};
use portolan_engine::Engine;
use portolan_model::{
    Code, Instant, Name, NamespacedName, ObjectKey, Redacted, Severity,
    input::{Maker, Secret, TlsPair},
};
use serde_json::{Value, json};

fn key(text: &str) -> NamespacedName {
    let (namespace, name) = text.split_once('/').unwrap();
    NamespacedName::new(namespace, name)
}

fn instant(value: &Value, default: &str) -> Instant {
    Instant::parse(value.as_str().unwrap_or(default)).unwrap()
}

/// Before the first step.
pub fn put(engine: &mut Engine<World>, facts: &Value) {
    if let Some(namespace) = facts["clusterResourceNamespace"].as_str() {
        engine.put(Settings {
            key: Name::default(),
            cluster_resource_namespace: namespace.into(),
            shim: ShimSettings::default(),
        });
    }
    if facts["realAcme"] == true {
        engine.put(RealAcme { key: Name::default() });
    }
    if facts["certManager"].is_object() {
        engine.put(declared(&facts["certManager"]));
    }
    for (name, says) in facts["secrets"].as_object().into_iter().flatten() {
        world::amend_secret(engine, secret(key(name), says));
    }
}

/// What the values of a declared cert-manager, with its `version` among them, settle.
fn declared(values: &Value) -> Settings {
    let object = ObjectKey::new("argoproj.io", "Application", "argocd", "cert-manager");
    let read = configuration::components(&[ComponentValues {
        form: Form::default(),
        component: "cert-manager".into(),
        object,
        application: "cert-manager".into(),
        namespace: "cert-manager".into(),
        version: Name::new(values["version"].as_str().unwrap_or_default()),
        values: values.clone(),
    }]);
    let problems = &read.problems;
    assert!(problems.iter().all(|problem| problem.severity == Severity::Info), "{problems:?}");
    configuration::configure(&Environment {
        name: "golden",
        components: &read.all,
        is_folder: false,
        cluster_resource_namespace: None,
    })
    .settings
}

fn secret(key: NamespacedName, says: &Value) -> Secret {
    let texts = |field: &str| -> BTreeMap<Name, String> {
        let map = says[field].as_object().into_iter().flatten();
        map.map(|(key, value)| (Name::new(key), value.as_str().unwrap().to_owned())).collect()
    };
    let name = |field: &str, default: &str| Name::new(says[field].as_str().unwrap_or(default));
    let mut names: Vec<Name> = says["names"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| Name::new(name.as_str().unwrap()))
        .collect();
    names.sort();
    let pair = TlsPair {
        dns_names: names,
        common_name: name("commonName", "").to_string(),
        not_before: instant(&says["notBefore"], "2026-11-01T00:00:00Z"),
        not_after: instant(&says["notAfter"], "2027-01-30T00:00:00Z"),
        serial: "01".into(),
        issuer: says["issuer"].as_str().unwrap_or("Golden CA").into(),
        public_key: String::new(),
        fingerprint: key.to_string(),
        key_matches: says["keyMatches"] != false,
        is_ca: says["isCa"] == true,
        key: name("key", "RSA 2048"),
        subject_key_id: name("subject", ""),
        authority_key_id: name("authority", ""),
        authority: None,
        temporary: says["temporary"] == true,
    };
    let data: BTreeMap<Name, Redacted> =
        texts("data").into_iter().map(|(key, value)| (key, Redacted::from(&*value))).collect();
    let tls = match says["invalid"].as_str() {
        Some(why) => Some(Err(why.to_owned())),
        None => says["names"].is_array().then_some(Ok(pair)),
    };
    Secret {
        key,
        r#type: "kubernetes.io/tls".into(),
        data,
        annotations: texts("annotations"),
        labels: BTreeMap::new(),
        maker: if says["maker"] == "repository" { Maker::Repository } else { Maker::Issued },
        tls,
    }
}

/// After a step: answers to what is wanted.
pub fn answer(engine: &mut Engine<World>, facts: &Value) {
    let accounts: Vec<Arc<AccountWanted>> = engine.rows::<AccountWanted>().cloned().collect();
    for wanted in accounts {
        let result = match facts["accounts"][wanted.key.to_string()].as_str() {
            None => continue,
            Some("ok") => Ok(Account { uri: "https://ca.example/account/1".into(), key_hash: "hash".into() }),
            Some(why) => Err(AccountFailure {
                key_usable: true,
                message: why.to_owned(),
                failed_at: Instant::parse(super::NOW).unwrap(),
                attempts: 1,
                not_before: None,
            }),
        };
        engine.put(AccountState { key: wanted.key.clone(), wanted: (*wanted).clone(), result });
    }
    let all_wanted: Vec<Arc<IssueWanted>> = engine.rows::<IssueWanted>().cloned().collect();
    for wanted in all_wanted {
        let failure = &facts["failures"][wanted.key.to_string()];
        if failure.is_object() {
            engine.put(IssueFailure {
                key: wanted.key.clone(),
                wanted: (*wanted).clone(),
                code: Code(312),
                message: failure["message"].as_str().unwrap().to_owned(),
                failed_at: instant(&failure["at"], super::NOW),
                attempts: u32::try_from(failure["attempts"].as_u64().unwrap_or(1)).unwrap(),
                not_before: None,
            });
        }
        let order = &facts["orders"][wanted.key.to_string()];
        if order.is_object() {
            let issuance = (wanted.key.clone(), wanted.revision);
            engine.put(OrderProgress { key: issuance.clone(), state: Arc::new(order_state(order)) });
            engine.put(Issuance {
                key: issuance,
                wanted,
                request: "the request".into(),
                outcome: Outcome::Pending,
            });
        }
    }
}

/// An order in its stored form, its defaults filled in.
fn order_state(order: &Value) -> OrderState {
    let mut state = json!({
        "wanted": {"directory": "", "contact": [], "names": [], "thumbprint": ""},
        "limits": portolan_core::certificates::acme::Limits::default(),
        "directory": null, "account": null, "first": 0, "end": null, "tracked": [], "presented": [], "restarts": 0,
        "order": {"url": "https://ca.example/order/1", "status": "pending", "finalize": "https://ca.example/order/1/finalize", "expires": null, "certificate": null},
        "authorizations": [],
    });
    for one in order["authorizations"].as_array().into_iter().flatten() {
        let mut authorization = json!({
            "url": "https://ca.example/authorization/1", "status": "pending", "name": "", "challenge": "https://ca.example/challenge/1",
            "token": "a-token", "fqdn": "", "value": "the-txt-value", "presented": false, "visible": false, "answered": false, "waiting": "",
        });
        for (field, value) in one.as_object().unwrap() {
            authorization[field] = value.clone();
        }
        if authorization["presented"] == true {
            let pair = json!([authorization["fqdn"], authorization["value"]]);
            state["presented"].as_array_mut().unwrap().push(pair);
        }
        state["authorizations"].as_array_mut().unwrap().push(authorization);
    }
    serde_json::from_value(state).unwrap()
}

/// What the room wants: certificates, accounts, records; and the fields of its kinds' statuses.
pub fn sections(engine: &Engine<World>) -> Vec<(&'static str, BTreeMap<String, Vec<String>>)> {
    let mut issues: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for wanted in engine.rows::<IssueWanted>() {
        let signer = match &wanted.signer {
            Signer::SelfSigned => "its own key".to_owned(),
            Signer::Ca(secret) => format!("the CA in Secret {secret}"),
            Signer::Temporary => "nobody".to_owned(),
            Signer::Acme(acme) => format!("{} with the account in Secret {}", acme.server, acme.account_key),
        };
        let mut lines =
            vec![format!("revision {} into Secret {} by {signer}", wanted.revision, wanted.secret)];
        if let Signer::Acme(acme) = &wanted.signer {
            lines.extend(acme.proofs.iter().map(|proof| {
                let at = proof.update.as_ref().map_or_else(String::new, |server| {
                    let key = server.key.as_ref().map(|key| {
                        let (secret, entry) = &key.secret;
                        format!(
                            ", signed as {} ({}) with {entry} of Secret {secret}",
                            key.name, key.algorithm
                        )
                    });
                    format!(" at {}{}", server.address, key.unwrap_or_default())
                });
                format!("{} proven by {}{at}", proof.name, proof.provider)
            }));
            if let AcmeServer::Own { trusts } = &acme.at {
                let whom = if trusts.is_some() { "caBundle" } else { "the machine's authorities" };
                lines.push(format!("the issuer's own server is asked, by {whom}"));
            }
        }
        if wanted.keep_key {
            lines.push("the key is kept".into());
        }
        lines.extend(wanted.keystores.iter().map(|store| {
            format!("with {:?} under a password of {} bytes", store.form, store.password.len())
        }));
        issues.insert(wanted.key.to_string(), lines);
    }
    let temporary = engine.rows::<TemporaryWanted>().map(|row| {
        let names = row.wanted.request.dns_names.join(", ");
        (row.key.to_string(), vec![format!("{names} into Secret {}", row.wanted.secret)])
    });
    let accounts = engine.rows::<AccountWanted>().map(|wanted| {
        let contact: Vec<&str> = wanted.contact.iter().map(|name| &**name).collect();
        let line =
            format!("at {} for {contact:?} with the key in Secret {}", wanted.server, wanted.account_key);
        (wanted.key.to_string(), vec![line])
    });
    let records = engine.rows::<RecordWanted>().map(|row| {
        let line = |field: &str| format!("{field}: {}", row.body[field]);
        (row.key.to_string(), vec![format!("of {}", row.owner), line("metadata"), line("spec")])
    });
    let fields: BTreeMap<String, Vec<String>> = engine
        .rows::<ObjectStatus>()
        .filter(|row| row.key.kind.group.ends_with("cert-manager.io") && !row.fields.is_empty())
        .map(|row| {
            let lines: BTreeSet<String> =
                row.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            (row.key.to_string(), lines.into_iter().collect())
        })
        .collect();
    let follows = engine.rows::<TemplateWanted>().filter(|w| !w.data.is_empty() || !w.keystores.is_empty());
    let follows = follows.map(|wanted| {
        let data = wanted.data.iter().map(|(entry, value)| match value {
            Some(_) => format!("{entry} is written"),
            None => format!("{entry} is removed"),
        });
        let stores = wanted.keystores.iter().map(|store| {
            let [own, _] = store.form.entries();
            format!("{own} is made with a password of {} bytes", store.password.len())
        });
        (wanted.key.to_string(), data.chain(stores).collect())
    });
    let shims = engine.rows::<ShimCertificate>().map(|row| {
        let body = match &row.body {
            None => vec!["stays as it is".to_owned()],
            Some(body) => ["metadata", "spec"].map(|field| format!("{field}: {}", body[field])).into(),
        };
        let lines = [format!("for {}", row.source)].into_iter().chain(body).collect();
        (row.key.to_string(), lines)
    });
    let mut needed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for NeededSecret { key: (secret, by) } in engine.rows::<NeededSecret>().map(|row| &**row) {
        needed.entry(format!("Secret/{secret}")).or_default().push(format!("by {by}"));
    }
    let sections = vec![
        ("read", needed),
        ("made for TLS", shims.collect()),
        ("status fields", fields),
        ("secrets that follow", follows.collect()),
        ("certificates wanted", issues),
        ("temporary certificates wanted", temporary.collect()),
        ("accounts wanted", accounts.collect()),
        ("records", records.collect()),
    ];
    sections.into_iter().filter(|(_, groups)| !groups.is_empty()).collect()
}
