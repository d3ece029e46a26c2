//! What may be meant where a name is missing: the nearest one of the namespace, else the same in another namespace. It is looked for
//! when a finding is shown and never by a rule, which would else run for every object of the kind.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

use portolan_core::World;
use portolan_engine::Engine;
use portolan_model::{
    NamespacedName,
    input::{Certificate, Gateway, GatewayClass, Issuer, SealedSecret, Secret, Service},
    nearest,
};

/// Names of one kind.
#[derive(Default)]
struct Names {
    by_namespace: BTreeMap<String, BTreeSet<String>>,
    /// A namespace of each name.
    places: BTreeMap<String, String>,
}

impl Names {
    fn of(all: impl Iterator<Item = NamespacedName>) -> Self {
        let mut names = Self::default();
        for name in all {
            let (namespace, name) = (name.namespace.to_string(), name.name.to_string());
            names.places.entry(name.clone()).or_insert_with(|| namespace.clone());
            names.by_namespace.entry(namespace).or_default().insert(name);
        }
        names
    }

    /// As it is to be written in place of `namespace/name`.
    fn near(&self, namespace: &str, name: &str) -> Option<String> {
        let own = self.by_namespace.get(namespace).into_iter().flatten().map(String::as_str);
        // It is there: something else is missing (`the GatewayClass of Gateway a/b does not exist`).
        if own.clone().any(|one| one == name) {
            return None;
        }
        let shown = |namespace: &str, name: &str| {
            if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
        };
        if let Some(near) = nearest(name, own.clone()) {
            return Some(shown(namespace, near));
        }
        // `letsencrypt` and `letsencrypt-prod`.
        let longer = |one: &&str| {
            let rest = one.strip_prefix(name).or_else(|| name.strip_prefix(*one));
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        let same = self.places.get(name).map(|place| shown(place, name));
        same.or_else(|| own.clone().find(longer).map(|near| shown(namespace, near)))
    }
}

/// What there is to be meant, by kind; each is gathered when it is first asked for.
pub struct Meant<'e> {
    engine: &'e Engine<World>,
    gateways: OnceCell<Names>,
    classes: OnceCell<Names>,
    services: OnceCell<Names>,
    secrets: OnceCell<Names>,
    issuers: OnceCell<Names>,
}

impl<'e> Meant<'e> {
    /// Of what the rooms know now.
    pub fn new(engine: &'e Engine<World>) -> Self {
        Self {
            engine,
            gateways: OnceCell::new(),
            classes: OnceCell::new(),
            services: OnceCell::new(),
            secrets: OnceCell::new(),
            issuers: OnceCell::new(),
        }
    }

    fn names(&self, kind: &str) -> Option<&Names> {
        let engine = self.engine;
        Some(match kind {
            "Gateway" => {
                self.gateways.get_or_init(|| Names::of(engine.rows::<Gateway>().map(|row| row.key.clone())))
            }
            "GatewayClass" => self.classes.get_or_init(|| {
                Names::of(engine.rows::<GatewayClass>().map(|row| NamespacedName::new("", row.name.clone())))
            }),
            "Service" => {
                self.services.get_or_init(|| Names::of(engine.rows::<Service>().map(|row| row.key.clone())))
            }
            "Secret" => self.secrets.get_or_init(|| {
                let made = engine
                    .rows::<Certificate>()
                    .map(|row| NamespacedName::new(row.key.namespace.clone(), row.secret.clone()));
                let sealed = engine.rows::<SealedSecret>().map(|row| row.key.clone());
                Names::of(engine.rows::<Secret>().map(|row| row.key.clone()).chain(made).chain(sealed))
            }),
            "Issuer" | "ClusterIssuer" => {
                self.issuers.get_or_init(|| Names::of(engine.rows::<Issuer>().map(|row| row.key.0.clone())))
            }
            _ => return None,
        })
    }

    /// What is meant by the first name that a text says to be missing.
    pub fn by(&self, text: &str) -> Option<String> {
        let missing = missing(text)?;
        let name = |kind: &str, namespace: &str, name: &str| self.names(kind)?.near(namespace, name);
        let (namespace, own) = missing.name.split_once('/').unwrap_or(("", missing.name));
        if let Some(listener) = missing.listener {
            let gateway = self.engine.get::<Gateway>(&NamespacedName::new(namespace, own))?;
            return nearest(listener, gateway.listeners.iter().map(|one| &*one.name)).map(str::to_owned);
        }
        let found = name(missing.kind, namespace, own)?;
        Some(match missing.kind {
            // The kind goes with the namespace.
            "Issuer" if !found.contains('/') => format!("ClusterIssuer {found}"),
            "ClusterIssuer" if found.contains('/') => format!("Issuer {found}"),
            _ => found,
        })
    }

    /// A text with what may be meant at its end.
    pub fn told(&self, text: &str) -> String {
        match self.by(text) {
            Some(meant) => format!("{text}; did you mean {meant}?"),
            None => text.to_owned(),
        }
    }
}

/// What a text says to be missing.
#[derive(Debug, PartialEq, Eq)]
struct Missing<'t> {
    kind: &'t str,
    /// NAMESPACE/NAME, or NAME of what has no namespace.
    name: &'t str,
    /// The listener of it.
    listener: Option<&'t str>,
}

/// The first name that a text says to be missing, in the words of the rules: `Service a/b does not exist`, `Secret a/b is not there`,
/// `Gateway a/b has no listener c`.
fn missing(text: &str) -> Option<Missing<'_>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let ends = |at: usize| -> Option<Option<&str>> {
        let word =
            |n: usize| words.get(at + n).map_or("", |word| word.trim_end_matches([';', ',', ':', '.']));
        match (word(0), word(1), word(2)) {
            ("does", "not", "exist") | ("is", "not", "there") => Some(None),
            ("has", "no", "listener") if !matches!(word(3), "" | "on") => Some(Some(word(3))),
            _ => None,
        }
    };
    (0..words.len()).find_map(|at| {
        // An issuer is written as one word.
        if let Some((kind @ ("Issuer" | "ClusterIssuer"), name)) = words[at].split_once('/') {
            return ends(at + 1).map(|listener| Missing { kind, name, listener });
        }
        let listener = ends(at + 2)?;
        Some(Missing { kind: words[at], name: words[at + 1], listener })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_stands_in_the_words_of_the_rules() {
        let found = |text: &'static str| missing(text).map(|one| (one.kind, one.name, one.listener));
        for (text, wanted) in [
            (
                "Service shop/web does not exist; this share of requests gets 500",
                ("Service", "shop/web", None),
            ),
            ("Gateway infra/edge has no listener htps", ("Gateway", "infra/edge", Some("htps"))),
            ("Gateway infra/edge has no listener htps on port 80", ("Gateway", "infra/edge", Some("htps"))),
            ("ClusterIssuer/le does not exist", ("ClusterIssuer", "le", None)),
            ("Issuer/shop/le does not exist", ("Issuer", "shop/le", None)),
            ("Secret infra/tls is not there yet; only this listener waits", ("Secret", "infra/tls", None)),
            ("GatewayClass eg does not exist", ("GatewayClass", "eg", None)),
        ] {
            assert_eq!(found(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "does not exist",
            "Gateway infra/edge has no listener",
            "Gateway a/b has no listener on port 80",
            "answers 200",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_near_name_of_the_namespace_is_before_the_same_of_another() {
        let names =
            [("shop", "web"), ("shop", "api"), ("other", "wbe"), ("other", "checkout"), ("", "le-prod")];
        let names =
            Names::of(names.into_iter().map(|(namespace, name)| NamespacedName::new(namespace, name)));
        assert_eq!(names.near("shop", "wbe").as_deref(), Some("other/wbe"));
        assert_eq!(names.near("shop", "checkout").as_deref(), Some("other/checkout"));
        assert_eq!(names.near("other", "chekout").as_deref(), Some("other/checkout"));
        assert_eq!(names.near("shop", "nothing"), None);
        assert_eq!(names.near("", "le-prd").as_deref(), Some("le-prod"));
        assert_eq!(names.near("", "le-prod-dns01").as_deref(), Some("le-prod"));
        assert_eq!(names.near("shop", "web-internal").as_deref(), Some("shop/web"));
    }
}
