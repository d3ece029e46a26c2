//! Reflector's annotations (emberstack/kubernetes-reflector `Annotations.cs`, `MirroringPropertiesExtensions.cs`).

use std::{collections::BTreeMap, sync::Arc};

use fancy_regex::{Regex, RegexBuilder};
use portolan_model::{
    LabelSelector, Name, NamespacedName, Severity, input::Namespace, intake::fates::Effect,
};

use super::{problems, rows::MirrorKey, selector};
use crate::Cx;

const PREFIX: &str = "reflector.v1.k8s.emberstack.com/";
const ALLOWED: &str = "reflector.v1.k8s.emberstack.com/reflection-allowed";
const ALLOWED_NAMESPACES: &str = "reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces";
const ALLOWED_SELECTOR: &str = "reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces-selector";
const AUTO: &str = "reflector.v1.k8s.emberstack.com/reflection-auto-enabled";
const AUTO_NAMESPACES: &str = "reflector.v1.k8s.emberstack.com/reflection-auto-namespaces";
const AUTO_SELECTOR: &str = "reflector.v1.k8s.emberstack.com/reflection-auto-namespaces-selector";
/// On a mirror: `namespace/name` of its source.
pub const REFLECTS: &str = "reflector.v1.k8s.emberstack.com/reflects";
/// On a mirror: whether reflector made it, `True` or `False`.
pub const AUTO_REFLECTS: &str = "reflector.v1.k8s.emberstack.com/auto-reflects";
/// On a mirror: the source's `resourceVersion` that was copied.
pub const REFLECTED_VERSION: &str = "reflector.v1.k8s.emberstack.com/reflected-version";
/// On a mirror: when it was copied.
pub const REFLECTED_AT: &str = "reflector.v1.k8s.emberstack.com/reflected-at";

const KNOWN: [&str; 10] = [
    ALLOWED,
    ALLOWED_NAMESPACES,
    ALLOWED_SELECTOR,
    AUTO,
    AUTO_NAMESPACES,
    AUTO_SELECTOR,
    REFLECTS,
    AUTO_REFLECTS,
    REFLECTED_VERSION,
    REFLECTED_AT,
];

/// What becomes of an annotation of reflector; `None` for one of another program.
pub fn effect(annotation: &str) -> Option<Effect> {
    annotation.starts_with(PREFIX).then(|| match annotation {
        REFLECTED_VERSION | REFLECTED_AT => Effect::Irrelevant("written by the program itself"),
        _ if KNOWN.contains(&annotation) => Effect::Used,
        _ => Effect::Unknown,
    })
}

/// Compiled patterns may take this many bytes each: a namespace pattern is short, and a larger one is a mistake.
const PATTERN_BYTES: usize = 1 << 18;

/// Steps back that a pattern with look-around may take on one name; one that needs more takes nothing.
const BACKTRACKS: usize = 10_000;

/// What an object's annotations say.
#[derive(Debug, Default)]
pub(super) struct Reflection {
    /// Where it may be mirrored; `None` is nowhere.
    allowed: Option<Namespaces>,
    /// Where it is mirrored by itself; `None` is nowhere.
    auto: Option<Namespaces>,
    /// Of what it is a mirror.
    pub reflects: Option<String>,
}

/// Namespaces by name patterns or labels. Without either: all.
#[derive(Debug, Default)]
struct Namespaces {
    /// Whether the annotation was written, though it may hold no pattern.
    by_name: bool,
    patterns: Vec<(String, Regex)>,
    by_labels: bool,
    selector: Option<LabelSelector>,
}

impl Namespaces {
    fn take(&self, namespace: &Namespace) -> bool {
        if !self.by_name && !self.by_labels {
            return true;
        }
        // The whole name must be what the pattern finds first, as upstream compares the lengths.
        self.patterns.iter().any(|(_, pattern)| whole(pattern, &namespace.name))
            || self.selector.as_ref().is_some_and(|selector| selector.matches(&namespace.labels))
    }
}

impl Reflection {
    /// Reads the annotations of `object`; `None` if there are none of reflector's.
    pub(super) fn read(
        cx: &mut Cx<'_>,
        object: &MirrorKey,
        annotations: &BTreeMap<Name, String>,
    ) -> Option<Self> {
        annotations.keys().find(|key| key.starts_with(PREFIX))?;
        for unknown in annotations.keys().filter(|key| key.starts_with(PREFIX) && !KNOWN.contains(&&***key)) {
            let message = format!("annotation {unknown} is not known and has no effect");
            let hint = "check its spelling; docs/reference/findings.md lists the annotations under PTL-0163";
            problems::annotation(cx, object, (163, Severity::Warning), unknown, message, hint);
        }
        let text = |key: &str| annotations.get(key).map(String::as_str).unwrap_or_default();
        let flag = |key: &str| text(key).trim().eq_ignore_ascii_case("true");
        let reflects = Some(text(REFLECTS).to_owned()).filter(|text| !text.is_empty());
        if flag(AUTO) && !flag(ALLOWED) && reflects.is_none() {
            let message = format!("{AUTO} has no effect without {ALLOWED}: \"true\"");
            problems::annotation(cx, object, (163, Severity::Warning), AUTO, message, "set both");
        }
        let mut namespaces =
            |patterns, selector| read_namespaces(cx, object, annotations, patterns, selector);
        Some(Self {
            allowed: flag(ALLOWED).then(|| namespaces(ALLOWED_NAMESPACES, ALLOWED_SELECTOR)),
            auto: (flag(ALLOWED) && flag(AUTO)).then(|| namespaces(AUTO_NAMESPACES, AUTO_SELECTOR)),
            reflects,
        })
    }

    /// Whether it may be mirrored into the namespace.
    pub(super) fn allows(&self, namespace: &Namespace) -> bool {
        self.allowed.as_ref().is_some_and(|allowed| allowed.take(namespace))
    }

    /// Whether it is mirrored into the namespace without anybody asking.
    pub(super) fn is_auto(&self, namespace: &Namespace) -> bool {
        self.allows(namespace) && self.auto.as_ref().is_some_and(|auto| auto.take(namespace))
    }

    /// Whether namespaces are chosen, by patterns or labels.
    pub(super) fn chooses(&self) -> bool {
        let chosen =
            |namespaces: &Namespaces| !namespaces.patterns.is_empty() || namespaces.selector.is_some();
        [&self.allowed, &self.auto].into_iter().flatten().any(chosen)
    }

    /// Whether any namespace may get a mirror without asking.
    pub(super) fn has_auto(&self) -> bool {
        self.auto.is_some()
    }
}

/// The whole name must be what the pattern finds first, as upstream compares the lengths.
fn whole(pattern: &Regex, name: &str) -> bool {
    pattern.find(name).ok().flatten().is_some_and(|found| found.as_str().len() == name.len())
}

/// Names what takes no namespace that there is: a slip that makes no mirror would else go unnoticed.
pub(super) fn check(cx: &mut Cx<'_>, object: &MirrorKey, reflection: &Reflection, all: &[Arc<Namespace>]) {
    let lists = [
        (ALLOWED_NAMESPACES, ALLOWED_SELECTOR, &reflection.allowed),
        (AUTO_NAMESPACES, AUTO_SELECTOR, &reflection.auto),
    ];
    for (annotation, by_labels, namespaces) in lists {
        let selector = namespaces.as_ref().and_then(|namespaces| namespaces.selector.as_ref());
        if selector.is_some_and(|selector| !all.iter().any(|namespace| selector.matches(&namespace.labels))) {
            let message = "no namespace that there is has these labels".to_owned();
            let hint = "correct the selector, or label the namespaces";
            problems::annotation(cx, object, (164, Severity::Warning), by_labels, message, hint);
        }
        for (text, pattern) in namespaces.iter().flat_map(|namespaces| &namespaces.patterns) {
            if all.iter().any(|namespace| whole(pattern, &namespace.name)) {
                continue;
            }
            let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let (message, hint) = if plain {
                (format!("there is no namespace {text}"), "correct the name, or create the namespace")
            } else if text.contains('*') && !text.contains(".*") {
                let message = format!("the pattern {text:?} takes no namespace that there is");
                (message, "patterns are regular expressions: write .* for anything, like web-.*")
            } else {
                let message = format!("the pattern {text:?} takes no namespace that there is");
                (message, "correct it: it is a regular expression that has to take the whole name")
            };
            problems::annotation(cx, object, (164, Severity::Warning), annotation, message, hint);
        }
    }
    let Some(auto) = &reflection.auto else { return };
    let here = |namespace: &&Arc<Namespace>| namespace.name != object.name.namespace;
    let mut wanted = all.iter().filter(here).filter(|namespace| auto.take(namespace)).peekable();
    if wanted.peek().is_some() && !wanted.any(|namespace| reflection.allows(namespace)) {
        let message = "nothing is mirrored: no namespace is both allowed and to be mirrored to".to_owned();
        let hint = "let reflection-allowed-namespaces take what reflection-auto-namespaces takes";
        problems::annotation(cx, object, (164, Severity::Warning), AUTO_NAMESPACES, message, hint);
    }
}

fn read_namespaces(
    cx: &mut Cx<'_>,
    object: &MirrorKey,
    annotations: &BTreeMap<Name, String>,
    patterns: &'static str,
    selector: &'static str,
) -> Namespaces {
    let mut made = Namespaces::default();
    if let Some(list) = annotations.get(patterns).filter(|list| !list.is_empty()) {
        made.by_name = true;
        for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            // Upstream's are .NET's, with look-around: `(?!kube-).*` is how namespaces are left out.
            let built = RegexBuilder::new(text)
                .backtrack_limit(BACKTRACKS)
                .delegate_size_limit(PATTERN_BYTES)
                .build();
            if let Ok(pattern) = built {
                made.patterns.push((text.to_owned(), pattern));
            } else {
                let message =
                    format!("{text:?} is no regular expression that can be used; it matches nothing");
                let hint = "correct it: it is a regular expression, and a short one";
                problems::annotation(cx, object, (161, Severity::Error), patterns, message, hint);
            }
        }
    }
    if let Some(text) = annotations.get(selector).filter(|text| !text.is_empty()) {
        made.by_labels = true;
        match selector::parse(text) {
            Ok(selector) => made.selector = Some(selector),
            Err(why) => {
                let message = format!("{text:?} is no label selector and matches nothing: {why}");
                let hint = "write it like team=a,stage in (dev, test)";
                problems::annotation(cx, object, (161, Severity::Error), selector, message, hint);
            }
        }
    }
    made
}

/// `namespace/name` as [`REFLECTS`] holds it.
pub(crate) fn source(text: &str) -> Option<NamespacedName> {
    let (namespace, name) = text.trim().split_once('/')?;
    let good = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
    good.then(|| NamespacedName::new(namespace, name))
}
