//! Mirrors of Secrets and ConfigMaps: who asks, who gets the name, what is to be written and removed.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{
    Name, NamespacedName, Severity,
    input::{ConfigMap, Maker, Namespace, Secret},
};

use super::{
    owner::Owner,
    problems,
    reflection::{self, AUTO_REFLECTS, REFLECTS, Reflection},
    rows::{
        Mirror, MirrorClaim, MirrorClaimKey, MirrorContent, MirrorKey, MirrorKind, MirrorUnwanted,
        MirrorWanted, Reach,
    },
};
use crate::{Cx, policy::denial, world::AllNamespaces};

/// A Secret or ConfigMap, as far as mirroring goes.
struct Seen {
    key: MirrorKey,
    maker: Maker,
    annotations: BTreeMap<Name, String>,
    content: Arc<MirrorContent>,
}

impl Seen {
    fn secret(secret: &Secret) -> Self {
        Self {
            key: MirrorKey { kind: MirrorKind::Secret, name: secret.key.clone() },
            maker: secret.maker,
            annotations: secret.annotations.clone(),
            content: Arc::new(MirrorContent::Secret {
                r#type: secret.r#type.clone(),
                data: secret.data.clone(),
            }),
        }
    }

    fn config_map(map: &ConfigMap) -> Self {
        Self {
            key: MirrorKey { kind: MirrorKind::ConfigMap, name: map.key.clone() },
            maker: map.maker,
            annotations: map.annotations.clone(),
            content: Arc::new(MirrorContent::ConfigMap {
                data: map.data.clone(),
                binary: map.binary.clone(),
            }),
        }
    }

    fn get(cx: &mut Cx<'_>, key: &MirrorKey) -> Option<Self> {
        match key.kind {
            MirrorKind::Secret => cx.get::<Secret>(&key.name).map(|secret| Self::secret(&secret)),
            MirrorKind::ConfigMap => cx.get::<ConfigMap>(&key.name).map(|map| Self::config_map(&map)),
        }
    }
}

pub(super) fn of_secret(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    if !secret.annotations.is_empty() {
        claims(cx, &Seen::secret(secret));
    }
}

pub(super) fn of_config_map(cx: &mut Cx<'_>, map: &Arc<ConfigMap>) {
    if !map.annotations.is_empty() {
        claims(cx, &Seen::config_map(map));
    }
}

fn claims(cx: &mut Cx<'_>, seen: &Seen) {
    if seen.maker == Maker::Mirrored {
        return;
    }
    if denial(cx, &seen.key.object()).is_some() {
        // In a cluster it is not there.
        return;
    }
    let Some(reflection) = Reflection::read(cx, &seen.key, &seen.annotations) else { return };
    let reach = cx.get::<Reach>(&Name::default());
    let is_reached = |namespace: &Name| reach.as_ref().is_none_or(|reach| reach.mirrors(namespace));
    if !is_reached(&seen.key.name.namespace) {
        return problems::excluded(cx, &seen.key);
    }
    if let Some(source) = &reflection.reflects {
        if let Err((refused, why)) = by_hand(cx, seen, source) {
            // What was filled in while it was allowed goes at once; it stays if its source is merely gone.
            if refused && seen.annotations.contains_key(super::REFLECTED_AT) {
                cx.emit(MirrorUnwanted { key: seen.key.clone() });
            }
            let hint = "name the source as namespace/name and let it allow this namespace; until then the object stays as it is";
            problems::annotation(cx, &seen.key, (162, Severity::Warning), REFLECTS, why, hint);
        }
        return;
    }
    if !reflection.has_auto() && !reflection.chooses() {
        return;
    }
    let namespaces = cx.find::<AllNamespaces>(&());
    reflection::check(cx, &seen.key, &reflection, &namespaces);
    for namespace in namespaces {
        let other = namespace.name != seen.key.name.namespace && is_reached(&namespace.name);
        if other && reflection.is_auto(&namespace) {
            let name = NamespacedName::new(namespace.name.clone(), seen.key.name.name.clone());
            claim(cx, seen, MirrorKey { kind: seen.key.kind, name }, true);
        }
    }
}

fn claim(cx: &mut Cx<'_>, source: &Seen, mirror: MirrorKey, auto: bool) {
    cx.emit(MirrorClaim {
        key: MirrorClaimKey { mirror, auto, source: source.key.name.clone() },
        content: Arc::clone(&source.content),
        volatile: source.maker == Maker::Unsealed,
    });
}

/// A mirror that a user wrote: it asks, and the source must allow it. Else: whether the source is there and does not, and
/// why.
fn by_hand(cx: &mut Cx<'_>, seen: &Seen, text: &str) -> Result<(), (bool, String)> {
    let other = |why: String| (false, why);
    if seen.maker != Maker::Repository {
        return Err(other(format!("the object {} and can be no mirror as well", problems::made(seen.maker))));
    }
    let name = reflection::source(text).ok_or_else(|| other(format!("{text:?} is not namespace/name")))?;
    if name == seen.key.name {
        return Err(other("the object names itself as its source".to_owned()));
    }
    let key = MirrorKey { kind: seen.key.kind, name };
    let object = key.object();
    if let Some(denied) = denial(cx, &object) {
        return Err((true, format!("the source {object} {}", denied.words(&object))));
    }
    let Some(source) = Seen::get(cx, &key) else {
        return Err(other(format!("the source {object} does not exist")));
    };
    if cx.get::<Reach>(&Name::default()).is_some_and(|reach| !reach.mirrors(&key.name.namespace)) {
        let namespace = &key.name.namespace;
        return Err((true, format!("reflector does not look at namespace {namespace} (excludedNamespaces)")));
    }
    // Whoever wants a mirror of a mirror means its source; a chain could be a circle.
    let allowed = Reflection::read(cx, &key, &source.annotations);
    if source.maker == Maker::Mirrored || allowed.as_ref().is_some_and(|r| r.reflects.is_some()) {
        return Err(other(format!("the source {} is itself a mirror", key.object())));
    }
    let namespace = seen.key.name.namespace.clone();
    let namespace = cx
        .get::<Namespace>(&namespace)
        .unwrap_or_else(|| Arc::new(Namespace { name: namespace, labels: BTreeMap::new() }));
    if !allowed.is_some_and(|reflection| reflection.allows(&namespace)) {
        let (source, namespace) = (key.object(), &namespace.name);
        return Err((true, format!("the source {source} does not allow mirrors in namespace {namespace}")));
    }
    claim(cx, &source, seen.key.clone(), false);
    Ok(())
}

/// One name, one mirror: what a user wrote is filled only from where it says; of several sources, the present one keeps
/// the name, else the first gets it.
pub(super) fn mirrors(cx: &mut Cx<'_>, key: &MirrorKey, claims: &[Arc<MirrorClaim>]) {
    let present = Seen::get(cx, key);
    let by_hand = claims.iter().find(|claim| !claim.key.auto);
    let chosen = if let Some(owner) = other_owner(cx, key, present.as_ref()) {
        if by_hand.is_none() {
            for claim in claims {
                let source = MirrorKey { kind: key.kind, name: claim.key.source.clone() };
                problems::in_the_way(cx, &source, key, &owner.words());
            }
        }
        by_hand
    } else {
        let kept =
            present.as_ref().and_then(|present| reflection::source(present.annotations.get(REFLECTS)?));
        claims.iter().find(|claim| Some(&claim.key.source) == kept.as_ref()).or(claims.first())
    };
    let Some(chosen) = chosen else { return };
    for loser in claims.iter().filter(|claim| claim.key.source != chosen.key.source) {
        let source = MirrorKey { kind: key.kind, name: loser.key.source.clone() };
        problems::in_the_way(cx, &source, key, &format!("is a mirror of {}", chosen.key.source));
    }
    cx.emit(Mirror {
        key: key.clone(),
        auto: chosen.key.auto,
        source: chosen.key.source.clone(),
        content: Arc::clone(&chosen.content),
        volatile: chosen.volatile,
    });
}

/// Who writes the object, if it is not the mirror.
fn other_owner(cx: &mut Cx<'_>, key: &MirrorKey, present: Option<&Seen>) -> Option<Owner> {
    let owner = match key.kind {
        MirrorKind::Secret => Owner::of(cx, &key.name),
        MirrorKind::ConfigMap if present.is_some_and(|seen| seen.maker != Maker::Mirrored) => {
            Owner::Repository
        }
        MirrorKind::ConfigMap => Owner::Nobody,
    };
    (owner != Owner::Nobody).then_some(owner)
}

/// What is not there, or has drifted.
pub(super) fn wanted(cx: &mut Cx<'_>, mirror: &Arc<Mirror>) {
    let as_wanted = Seen::get(cx, &mirror.key).is_some_and(|present| {
        let marks = !mirror.auto
            || (present.annotations.get(REFLECTS).is_some_and(|source| *source == mirror.source.to_string())
                && present.annotations.get(AUTO_REFLECTS).is_some_and(|auto| auto == "True"));
        marks && same(&present.content, mirror)
    });
    if !as_wanted {
        cx.emit(MirrorWanted { key: mirror.key.clone(), mirror: Arc::clone(mirror) });
    }
}

/// A mirror that a user wrote keeps its own type: it cannot be changed in a cluster either.
fn same(present: &MirrorContent, mirror: &Mirror) -> bool {
    match (present, &*mirror.content) {
        (MirrorContent::Secret { data, .. }, MirrorContent::Secret { data: wanted, .. }) if !mirror.auto => {
            data == wanted
        }
        (present, wanted) => present == wanted,
    }
}

pub(super) fn unwanted_secret(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    unwanted(cx, secret.maker, MirrorKey { kind: MirrorKind::Secret, name: secret.key.clone() });
}

pub(super) fn unwanted_config_map(cx: &mut Cx<'_>, map: &Arc<ConfigMap>) {
    unwanted(cx, map.maker, MirrorKey { kind: MirrorKind::ConfigMap, name: map.key.clone() });
}

fn unwanted(cx: &mut Cx<'_>, maker: Maker, key: MirrorKey) {
    if maker == Maker::Mirrored && cx.get::<Mirror>(&key).is_none() {
        cx.emit(MirrorUnwanted { key });
    }
}
