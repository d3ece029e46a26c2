//! From policies, bindings and objects to denials.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_cel::{Inputs, Root};
use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey,
    input::{AdmissionBinding, AdmissionPolicy, Judged, MatchResources, Namespace, ParamRef},
};
use serde_json::{Value, json};

use super::{
    matching::{self, Matched, Operation},
    problems,
    program::Program,
    rows::{ActiveBinding, Case, CompiledPolicy, Denied, Effect, Judgement},
    verdict::{self, Complaint},
};
use crate::{
    Cx,
    world::{BindingsByPolicy, BindingsByResource, JudgedByKind},
};

/// A policy that does not compile denies nothing. Kubernetes refuses to store such a policy (its validation compiles
/// every expression), so the cluster goes on without it; and a typing error must not take a whole edge down. It is one
/// error, so `--once` fails on it. A policy that Kubernetes would take and that cannot be evaluated here is the other
/// case: it fails whenever it runs, and its `failurePolicy` decides.
pub(super) fn compiled_policies(cx: &mut Cx<'_>, policy: &Arc<AdmissionPolicy>) {
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
            if let Some((field, function)) = program.unserved() {
                problems::unserved(cx, &policy.name, &field, &function, policy.fail_closed);
            }
            if cx.count::<BindingsByPolicy>(&policy.name) == 0 {
                problems::unbound(cx, &policy.name);
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
    if !object.resource.is_empty() {
        for binding in cx.keys::<BindingsByResource>(&object.resource) {
            cx.emit(Case { key: (object.key.clone(), binding) });
        }
    }
}

pub(super) fn judgements(cx: &mut Cx<'_>, case: &Arc<Case>) {
    let (key, name) = &case.key;
    let Some(object) = cx.get::<Judged>(key) else { return };
    let Some(binding) = cx.get::<AdmissionBinding>(name) else { return };
    let Some(compiled) = cx.get::<CompiledPolicy>(&binding.policy) else { return };
    let policy = &compiled.policy;
    let constraints = [&policy.constraints, &binding.resources];
    let Some(matched) = matching::matched(&object, constraints[0], constraints[1]) else { return };
    if !selected(cx, &object, constraints) {
        return;
    }
    let mut complaints = Vec::new();
    match parameters(cx, &object, policy, &binding) {
        // A binding that cannot be configured denies under Fail, whatever its validationActions.
        Err(why) => {
            let effect = if policy.fail_closed { Effect::Denies } else { Effect::Ignored };
            complaints.push((effect, String::new(), format!("failed to configure binding: {why}")));
        }
        Ok(parameters) => {
            for parameter in parameters {
                for complaint in judge(cx, &compiled, &object, &matched, parameter.as_deref()) {
                    let Complaint { failed, message, field } = complaint;
                    complaints
                        .extend(effect(policy, &binding, failed).map(|effect| (effect, field, message)));
                }
            }
        }
    }
    if !complaints.is_empty() {
        cx.emit(Judgement { key: case.key.clone(), policy: policy.name.clone(), complaints });
    }
}

fn effect(policy: &AdmissionPolicy, binding: &AdmissionBinding, failed: bool) -> Option<Effect> {
    if failed && !policy.fail_closed {
        Some(Effect::Ignored)
    } else if binding.deny {
        Some(Effect::Denies)
    } else {
        binding.warn.then_some(Effect::Warns)
    }
}

/// All judgements of an object. Of several denials the first by binding is shown with its hosts; several bindings that
/// say the same give one finding.
pub(super) fn denied(cx: &mut Cx<'_>, object: &ObjectKey, judgements: &[Arc<Judgement>]) {
    let mut said = BTreeSet::new();
    let mut denied = None;
    for judgement in judgements {
        for (effect, field, message) in &judgement.complaints {
            if *effect == Effect::Denies {
                denied.get_or_insert((judgement.policy.clone(), message.clone()));
            }
            if said.insert((*effect, &judgement.policy, field, message)) {
                problems::complaint(cx, object.clone(), *effect, &judgement.policy, field, message);
            }
        }
    }
    if let Some((policy, message)) = denied {
        cx.emit(Denied { key: object.clone(), policy, message });
    }
}

fn selected(cx: &mut Cx<'_>, object: &Judged, constraints: [&MatchResources; 2]) -> bool {
    if !constraints.iter().all(|resources| resources.objects.matches(&object.labels)) {
        return false;
    }
    let open = |r: &&MatchResources| r.namespaces.labels.is_empty() && r.namespaces.expressions.is_empty();
    if constraints.iter().all(open) {
        return true;
    }
    let name = &object.key.name.namespace;
    let labels = match cx.get::<Namespace>(name) {
        Some(namespace) => namespace.labels.clone(),
        None => BTreeMap::from([(Name::new("kubernetes.io/metadata.name"), name.clone())]),
    };
    constraints.iter().all(|resources| resources.namespaces.matches(&labels))
}

/// The objects for each of which the policy is evaluated once; `None` stands for null.
fn parameters(
    cx: &mut Cx<'_>,
    object: &Judged,
    policy: &AdmissionPolicy,
    binding: &AdmissionBinding,
) -> Result<Vec<Option<Arc<Judged>>>, String> {
    let (Some(kind), Some(param)) = (&policy.param_kind, &binding.param) else { return Ok(vec![None]) };
    let own = &object.key.name.namespace;
    let namespace = if param.namespace.is_empty() { own } else { &param.namespace };
    let mut found = named(cx, kind, param, namespace);
    if found.is_empty() && param.namespace.is_empty() {
        found = named(cx, kind, param, &Name::default());
    }
    if found.is_empty() && param.deny_if_missing {
        return Err(format!("no {kind} found that paramRef names, and parameterNotFoundAction is Deny"));
    }
    Ok(found.into_iter().map(Some).collect())
}

fn named(cx: &mut Cx<'_>, kind: &Kind, param: &ParamRef, namespace: &Name) -> Vec<Arc<Judged>> {
    if let Some(name) = &param.name {
        let name = NamespacedName::new(namespace.clone(), name.clone());
        return cx.get::<Judged>(&ObjectKey { kind: kind.clone(), name }).into_iter().collect();
    }
    let mut all = cx.find::<JudgedByKind>(&(kind.clone(), namespace.clone()));
    all.retain(|object| param.selector.matches(&object.labels));
    all
}

fn judge(
    cx: &mut Cx<'_>,
    compiled: &CompiledPolicy,
    object: &Judged,
    matched: &Matched,
    parameter: Option<&Judged>,
) -> Vec<Complaint> {
    let reads = |root| compiled.program.reads.contains(&root);
    let json = in_version(object, &matched.version);
    let namespace = reads(Root::Namespace).then(|| namespace(cx, &object.key.name.namespace));
    let parameter = parameter.map(|parameter| parameter.json.unpack());
    let request = reads(Root::Request).then(|| verdict::request(object, matched));
    let inputs = Inputs {
        object: &json,
        old: (matched.operation == Operation::Update).then_some(&json),
        request: request.as_ref(),
        params: parameter.as_ref(),
        namespace: namespace.as_ref(),
    };
    verdict::complaints(&compiled.program, inputs)
}

/// The object as the API server would convert it for the policy: the served versions of the judged kinds have one schema.
fn in_version(object: &Judged, version: &str) -> Value {
    let mut json = object.json.unpack();
    if matching::own_version(object) != version {
        json["apiVersion"] = format!("{}/{version}", object.key.kind.group).into();
    }
    json
}

/// The Namespace as an object; one that is not written down has its name.
fn namespace(cx: &mut Cx<'_>, name: &Name) -> Value {
    match cx.get::<Judged>(&ObjectKey::new("", "Namespace", "", name.clone())) {
        Some(namespace) => namespace.json.unpack(),
        None => json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        }),
    }
}
