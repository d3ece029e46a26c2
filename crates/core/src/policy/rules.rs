//! From policies, bindings and objects to denials.

use std::{collections::BTreeSet, sync::Arc};

use portolan_cel::{Inputs, Root};
use portolan_model::{
    Kind, Name, ObjectKey, Packed,
    input::{AdmissionBinding, AdmissionPolicy, Judged, MatchResources},
};
use serde_json::{Value, json};

use super::{
    defaults,
    matching::{self, Matched, Operation},
    params::parameters,
    problems,
    program::Program,
    rows::{ActiveBinding, Case, CompiledPolicy, Denied, Effect, Judgement},
    verdict::{self, Cause, Complaint},
};
use crate::{
    Cx,
    world::{BindingsByPolicy, BindingsByResource, DefinitionsByKind},
};

/// What of policies is not judged, and is said of each that says it.
const DELETIONS: &str = "it judges deletions, which are not judged here: what it would keep from being removed is removed when the \
                         repository does not bring it any more";
const WHO: &str = "it looks at who writes (request.userInfo), which is not known here: it is judged for a user \"portolan\" of the \
                   group system:authenticated";

/// A policy that does not compile denies nothing. Kubernetes refuses to store such a policy (its validation compiles
/// every expression), so the cluster goes on without it; and a typing error must not take a whole edge down. It is one
/// error, so `--once` fails on it. A policy that Kubernetes would take and that cannot be evaluated here is the other
/// case: it fails whenever it runs, and its `failurePolicy` decides.
pub(super) fn compiled_policies(cx: &mut Cx<'_>, policy: &Arc<AdmissionPolicy>) {
    if matching::names(&policy.constraints, "DELETE") && cx.count::<BindingsByPolicy>(&policy.name) > 0 {
        problems::unjudged(cx, &policy.name, "spec.matchConstraints.resourceRules", DELETIONS);
    }
    if !matching::concerns(&policy.constraints) {
        return;
    }
    match Program::compile(policy) {
        Err(misfits) => {
            if let Some((first, others)) = misfits.split_first() {
                problems::misfit(cx, &policy.name, first, others.len());
            }
        }
        Ok(program) => {
            if let Some((field, function)) =
                program.unserved().filter(|_| matching::concerns_ours(&policy.constraints))
            {
                problems::unserved(cx, &policy.name, &field, &function, policy.fail_closed);
            }
            if cx.count::<BindingsByPolicy>(&policy.name) == 0 {
                problems::unbound(cx, &policy.name);
            } else if program.asks_who {
                problems::unjudged(cx, &policy.name, "", WHO);
            }
            cx.emit(CompiledPolicy { policy: Arc::clone(policy), program: Arc::new(program) });
        }
    }
}

pub(super) fn active_bindings(cx: &mut Cx<'_>, binding: &Arc<AdmissionBinding>) {
    let Some(compiled) = cx.get::<CompiledPolicy>(&binding.policy) else {
        if cx.get::<AdmissionPolicy>(&binding.policy).is_none() {
            problems::no_policy(cx, &binding.name, &binding.policy);
        }
        return;
    };
    let resources = matching::resources(&compiled.policy.constraints, &binding.resources);
    if !resources.is_empty() {
        cx.emit(ActiveBinding { key: binding.name.clone(), policy: binding.policy.clone(), resources });
    }
}

/// Reads keys only: an edit of a policy makes no object look for its bindings again.
pub(super) fn cases(cx: &mut Cx<'_>, object: &Arc<Judged>) {
    let resource = resource(cx, object);
    for binding in bindings(cx, &resource) {
        cx.emit(Case { key: (object.key.clone(), binding) });
    }
}

/// Names of the bindings that may have something to say about a resource.
pub(super) fn bindings(cx: &mut Cx<'_>, resource: &Name) -> Vec<Name> {
    let mut bindings = cx.keys::<BindingsByResource>(resource);
    bindings.extend(cx.keys::<BindingsByResource>(&matching::EVERY.into()));
    bindings
}

pub(super) fn judgements(cx: &mut Cx<'_>, case: &Arc<Case>) {
    let (key, name) = &case.key;
    let Some(object) = cx.get::<Judged>(key) else { return };
    let Some(binding) = cx.get::<AdmissionBinding>(name) else { return };
    let Some(compiled) = cx.get::<CompiledPolicy>(&binding.policy) else { return };
    let complaints = complaints(cx, &object, &compiled, &binding);
    if !complaints.is_empty() {
        cx.emit(Judgement { key: case.key.clone(), policy: binding.policy.clone(), complaints });
    }
}

/// What a binding has to say against an object: effect, field and message, in the order of the policy.
pub(super) fn complaints(
    cx: &mut Cx<'_>,
    object: &Judged,
    compiled: &CompiledPolicy,
    binding: &AdmissionBinding,
) -> Vec<(Effect, String, String)> {
    let policy = &compiled.policy;
    let constraints = [&policy.constraints, &binding.resources];
    let resource = resource(cx, object);
    let Some(matched) = matching::matched(object, &resource, constraints[0], constraints[1]) else {
        return Vec::new();
    };
    if !selected(cx, object, constraints) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    match parameters(cx, object, policy, binding) {
        // A binding that cannot be configured denies under Fail, whatever its validationActions.
        Err(why) => {
            let effect = if policy.fail_closed { Effect::Denies } else { Effect::Ignored };
            complaints.push((effect, String::new(), why));
        }
        Ok(parameters) => {
            for parameter in parameters {
                for complaint in judge(cx, compiled, object, &matched, parameter.as_deref()) {
                    let Complaint { cause, message, field } = complaint;
                    complaints.extend(effect(policy, binding, cause).map(|effect| (effect, field, message)));
                }
            }
        }
    }
    complaints
}

/// The resource of an object: as the repository's own definition names it, else as those who define kinds form it.
pub(super) fn resource(cx: &mut Cx<'_>, object: &Judged) -> Name {
    let kind = Kind::new(object.group(), object.key.kind.kind.clone());
    let defined = cx.find::<DefinitionsByKind>(&kind);
    let plural = defined.first().and_then(|row| row.defines.as_ref()).map(|defines| defines.plural.clone());
    plural.unwrap_or_else(|| object.resource.clone())
}

fn effect(policy: &AdmissionPolicy, binding: &AdmissionBinding, cause: Cause) -> Option<Effect> {
    match cause {
        Cause::OddAnnotation => Some(Effect::Denies),
        Cause::NoAnnotation if policy.fail_closed => Some(Effect::Denies),
        Cause::NoValue | Cause::NoAnnotation if !policy.fail_closed => Some(Effect::Ignored),
        _ if binding.deny => Some(Effect::Denies),
        _ => binding.warn.then_some(Effect::Warns),
    }
}

/// All judgements of an object, or of an edit that is not stored. Of several denials the first by binding is shown with its hosts; several bindings that
/// say the same give one finding.
pub(super) fn denied(cx: &mut Cx<'_>, object: &ObjectKey, judgements: &[Arc<Judgement>]) {
    let (subject, edit) = Judged::subject(object);
    let mut said = BTreeSet::new();
    let mut denied = None;
    for judgement in judgements {
        for (effect, field, message) in &judgement.complaints {
            if *effect == Effect::Denies {
                denied.get_or_insert((judgement.policy.clone(), message.clone()));
            }
            let new = said.insert((*effect, &judgement.policy, field, message));
            if new && edit {
                problems::refused_edit(cx, subject.clone(), *effect, &judgement.policy, field, message);
            } else if new {
                problems::complaint(cx, subject.clone(), *effect, &judgement.policy, field, message);
            }
        }
    }
    if let Some((policy, message)) = denied {
        if subject.kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            problems::judged_by_denied(cx, subject, &policy);
        }
        cx.emit(Denied { key: object.clone(), policy, message });
    }
}

fn selected(cx: &mut Cx<'_>, object: &Judged, constraints: [&MatchResources; 2]) -> bool {
    // Of an edit one of both is enough (`ObjectSelector` of `matching.Matcher`): else who drops the label would get by.
    let before = object.before.as_ref().map(|before| &before.0);
    let labelled = |resources: &&MatchResources| {
        resources.objects.matches(&object.labels) || before.is_some_and(|old| resources.objects.matches(old))
    };
    if !constraints.iter().all(labelled) {
        return false;
    }
    let open = |r: &&MatchResources| r.namespaces.labels.is_empty() && r.namespaces.expressions.is_empty();
    if constraints.iter().all(open) {
        return true;
    }
    // "If the object itself is a namespace, the matching is performed on object.metadata.labels. If the object is another
    // cluster scoped resource, it never skips the policy" (`MatchResources.namespaceSelector`).
    let name = if is_namespace(object) { &object.key.name.name } else { &object.key.name.namespace };
    if name.is_empty() {
        return true;
    }
    // As it is written: whether it is let in is decided by such a judgement too. What is in one that is denied is denied with it.
    let written = cx.get::<Judged>(&ObjectKey::new("", "Namespace", "", name.clone()));
    let mut labels = written.map(|namespace| namespace.labels.clone()).unwrap_or_default();
    labels.insert(NAME_LABEL.into(), name.clone());
    constraints.iter().all(|resources| resources.namespaces.matches(&labels))
}

/// The label that every Namespace has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

fn is_namespace(object: &Judged) -> bool {
    object.group().is_empty() && &*object.key.kind.kind == "Namespace"
}

fn judge(
    cx: &mut Cx<'_>,
    compiled: &CompiledPolicy,
    object: &Judged,
    matched: &Matched,
    parameter: Option<&Judged>,
) -> Vec<Complaint> {
    let reads = |root| compiled.program.reads.contains(&root);
    let json = in_version(object, &object.json, &matched.version);
    // Null for what stands in no namespace, Namespaces themselves included.
    let within = &object.key.name.namespace;
    let namespace = (reads(Root::Namespace) && !within.is_empty()).then(|| namespace(cx, within));
    let parameter = parameter.map(|parameter| parameter.json.unpack());
    let request = reads(Root::Request).then(|| verdict::request(object, matched));
    let old = object.before.as_ref().filter(|_| matched.operation == Operation::Update);
    let old = old.map(|before| in_version(object, &before.1, &matched.version));
    let inputs = Inputs {
        object: &json,
        old: old.as_ref(),
        request: request.as_ref(),
        params: parameter.as_ref(),
        namespace: namespace.as_ref(),
    };
    verdict::complaints(&compiled.program, inputs)
}

/// The object as the API server has it when it asks its policies: converted to the version of the rule (those of the
/// judged kinds have one schema), and with the metadata of one that is created (`rest.BeforeCreate`).
fn in_version(object: &Judged, json: &Packed, version: &str) -> Value {
    let mut json = json.unpack();
    if matching::own_version(object) != version {
        json["apiVersion"] = format!("{}/{version}", object.group()).into();
    }
    defaults::fill(&mut json);
    // Of the core kinds none that is stored here counts its generations.
    created(&mut json, !object.group().is_empty());
    if is_namespace(object) {
        named(&mut json, &object.key.name.name);
    }
    json
}

/// What an API server writes into the metadata of a new object. Uid and time are of none that exists: no rule sees a clock.
fn created(json: &mut Value, counted: bool) {
    let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.entry("uid").or_insert_with(|| "00000000-0000-4000-8000-000000000000".into());
    metadata.entry("creationTimestamp").or_insert_with(|| "1970-01-01T00:00:00Z".into());
    if counted {
        metadata.entry("generation").or_insert_with(|| 1.into());
    }
}

/// A Namespace always has its name among its labels.
fn named(json: &mut Value, name: &Name) {
    if !json["metadata"]["labels"].is_object() {
        json["metadata"]["labels"] = json!({});
    }
    json["metadata"]["labels"][NAME_LABEL] = name.as_str().into();
}

/// The Namespace as an object; one that is not written down has its name.
fn namespace(cx: &mut Cx<'_>, name: &Name) -> Value {
    let written = cx.get::<Judged>(&ObjectKey::new("", "Namespace", "", name.clone()));
    let mut json = match written {
        Some(namespace) => namespace.json.unpack(),
        None => json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    };
    created(&mut json, false);
    named(&mut json, name);
    json["spec"] = json!({"finalizers": ["kubernetes"]});
    json["status"] = json!({"phase": "Active"});
    json
}
