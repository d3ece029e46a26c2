//! What the fuzz targets (`fuzz/`) reach and nobody else: the doors in here that read strangers' bytes and are private. Each is
//! the function that runs in earnest. Compiled with `--cfg fuzzing` only, which `cargo fuzz` sets.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use domain::base::Message;
use portolan_core::{certificates::rows::Store, gitops::glob::Glob};
use portolan_model::{Instant, Name, Object, ObjectKey, Problem, Redacted};
use portolan_schema::Definitions;

use crate::{
    acme::AccountKey,
    acme_ca::{self, Clock, DevCa, Settings},
    charts::gate,
    dns::{
        embedded::{
            Contents,
            answer::{Transport, Zones, answer},
            zones_of,
        },
        query::{self, Answer},
    },
    keystore,
    render::{
        flux::substitute::{self, Failed, Variable},
        manifests,
        part::{Change, PartKey},
        place,
        sets::strict,
    },
    sealed::SealingKeys,
};

/// Zones of the embedded DNS server, without its sockets.
pub struct DnsServer(Zones);

impl DnsServer {
    /// Serves these, as if from loopback.
    ///
    /// # Errors
    /// Contents that are none.
    pub fn new(contents: &Contents) -> Result<Self, String> {
        zones_of(contents, std::net::Ipv4Addr::LOCALHOST.into()).map(Self).map_err(|why| why.to_string())
    }

    /// What it sends back.
    pub fn answer(&self, request: &[u8], tcp: bool) -> Option<Vec<u8>> {
        answer(&self.0, request, if tcp { Transport::Tcp } else { Transport::Udp })
    }
}

/// What a DNS server's message says to our question.
pub fn dns_answer(message: &[u8]) -> Option<Answer> {
    query::read(&Message::from_octets(message.to_vec()).ok()?)
}

/// Keys of a file's content.
///
/// # Errors
/// Why there are none.
pub fn sealing_keys(bytes: &[u8]) -> Result<SealingKeys, &'static str> {
    let mut keys = SealingKeys::default();
    keys.add(bytes)?;
    Ok(keys)
}

/// A keystore's entries of a Secret's.
///
/// # Errors
/// One sentence.
pub fn keystore(
    store: &Store,
    data: &BTreeMap<Name, Redacted>,
    now: Instant,
) -> Result<Vec<(Name, Redacted)>, String> {
    keystore::make(store, data, now)
}

/// The development CA without its sockets, and a client's signature for it. Validations are dropped with what it gives second.
pub fn acme_ca(ca: DevCa, settings: Settings, now: Clock) -> (axum::Router, impl Send) {
    acme_ca::unserved(ca, settings, now)
}

/// A JWS over `payload`; `header` gets the algorithm added.
pub fn jws(key: &AccountKey, header: serde_json::Value, payload: &[u8]) -> Option<serde_json::Value> {
    key.sign(header, payload).ok()
}

/// A text with the variables of a Flux Kustomization filled in; those that are called `secret…` are not known.
///
/// # Errors
/// Why it cannot be filled in.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let value = |name: &str| match variables.get(name) {
        _ if name.starts_with("secret") => Variable::Unknown,
        Some(value) => Variable::Is(value),
        None => Variable::Unset,
    };
    substitute::fill(text, &value).map_err(|failed| match failed {
        Failed::Unknown(name) => name,
        Failed::Wrong(why) => why.to_owned(),
        Failed::Missing(name) => format!("{name} is not set"),
    })
}

/// Whether a path matches a pattern of Argo CD, in the dialect of folders and in that of values files; `None` where it is no pattern.
pub fn glob(pattern: &str, path: &str) -> [Option<bool>; 2] {
    [Glob::loose(pattern), Glob::path(pattern)].map(|glob| glob.map(|glob| glob.matches(path)))
}

/// A template of an ApplicationSet as Helm is given it.
///
/// # Errors
/// What is not evaluated.
pub fn set_template(template: &str, strict: bool) -> Result<String, String> {
    strict::rewrite(template, strict)
}

/// The objects of what a chart printed, and what is wrong with it.
pub fn rendered(text: &str, definitions: &Definitions) -> (Vec<Object>, Vec<Problem>) {
    let application = ObjectKey::new("argoproj.io", "Application", "argocd", "app");
    let read = manifests::rendered(text, "charts/app", &"app".into(), None);
    let key = Arc::new(PartKey { chain: vec![0], application, source: 0, path: PathBuf::from("charts/app") });
    let placed = place::place(Change::read(key, "team-a".into(), false, read), definitions);
    (placed.objects, placed.problems)
}

/// What the gate before Helm makes of the head of a request: host, port, and what the server gets, if it is no tunnel.
pub fn gate(head: &str) -> Option<(String, u16, Option<String>)> {
    gate::asked(head).map(|asked| match asked {
        gate::Asked::Tunnel(host, port) => (host, port, None),
        gate::Asked::Plain(host, port, request) => (host, port, Some(request)),
    })
}
