//! ValidatingAdmissionPolicy (`admissionregistration.k8s.io/v1`) and the objects it judges.

use std::collections::BTreeMap;

use crate::{Kind, LabelSelector, Name, ObjectKey, Packed, row};

/// A ValidatingAdmissionPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionPolicy {
    /// Name.
    pub name: Name,
    /// `matchConstraints`.
    pub constraints: MatchResources,
    /// `matchConditions`: name and CEL expression.
    pub conditions: Vec<(Name, Name)>,
    /// `variables`: name and CEL expression.
    pub variables: Vec<(Name, Name)>,
    /// `validations`.
    pub validations: Vec<Validation>,
    /// `auditAnnotations`: key and CEL expression. Nothing is audited here; one that gives no text denies all the same.
    pub audits: Vec<(Name, Name)>,
    /// `failurePolicy` is `Fail` (the default): an expression that fails to run denies.
    pub fail_closed: bool,
    /// `paramKind`: group and kind, and the version.
    pub param_kind: Option<(Kind, Name)>,
}
row!(AdmissionPolicy, Name, "admission_policies", name);

/// `validations[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// CEL expression; true admits.
    pub expression: Name,
    /// Fixed message.
    pub message: Option<String>,
    /// CEL expression that makes the message.
    pub message_expression: Option<Name>,
    /// `reason`.
    pub reason: Option<Name>,
}

/// `matchConstraints` or `matchResources`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchResources {
    /// `resourceRules`; for a binding, empty means everything.
    pub rules: Vec<ResourceRule>,
    /// `excludeResourceRules`.
    pub exclude: Vec<ResourceRule>,
    /// `namespaceSelector`.
    pub namespaces: LabelSelector,
    /// `objectSelector`.
    pub objects: LabelSelector,
    /// `matchPolicy` is Exact: other versions of a resource that a rule names do not match.
    pub exact: bool,
}

/// One resource rule. `*` matches all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRule {
    /// `apiGroups`.
    pub groups: Vec<Name>,
    /// `apiVersions`.
    pub versions: Vec<Name>,
    /// `resources`, plural lower-case.
    pub resources: Vec<Name>,
    /// `operations`: judged if it names CREATE, UPDATE (of edits) or `*`.
    pub operations: Vec<Name>,
    /// `resourceNames`; empty means all.
    pub names: Vec<Name>,
    /// `scope`.
    pub scope: Scope,
}

/// `scope` of a resource rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `*`, and what cannot be read.
    All,
    /// Objects without a namespace.
    Cluster,
    /// Objects in a namespace.
    Namespaced,
}

/// A ValidatingAdmissionPolicyBinding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionBinding {
    /// Name.
    pub name: Name,
    /// `policyName`.
    pub policy: Name,
    /// `validationActions` has Deny.
    pub deny: bool,
    /// `validationActions` has Warn or Audit.
    pub warn: bool,
    /// `matchResources`.
    pub resources: MatchResources,
    /// `paramRef`: namespace (empty: the object's own) and name.
    pub param: Option<ParamRef>,
}
row!(AdmissionBinding, Name, "admission_bindings", name);

/// `paramRef`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamRef {
    /// Name of the parameter object; `None` if it is chosen by `selector`.
    pub name: Option<Name>,
    /// Labels of the parameter objects; the policy is evaluated once for each.
    pub selector: LabelSelector,
    /// Namespace; empty means that of the judged object, or cluster-scoped.
    pub namespace: Name,
    /// `parameterNotFoundAction` is Deny.
    pub deny_if_missing: bool,
}

/// An object that policies judge, and may read as a parameter: each one that is stored but for policies themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The object.
    pub key: ObjectKey,
    /// Plural resource name (`httproutes`).
    pub resource: Name,
    /// API version without the group, such as `v1`.
    pub version: Name,
    /// Labels.
    pub labels: BTreeMap<Name, Name>,
    /// The object without `status`, `managedFields` and `resourceVersion`; of a Secret without its values.
    pub json: Packed,
    /// Of an edit: labels and object as they stand.
    pub before: Option<Box<(BTreeMap<Name, Name>, Packed)>>,
    /// Of a CustomResourceDefinition: what it defines.
    pub defines: Option<Box<Defines>>,
}
row!(Judged, ObjectKey, "judged");

/// What a CustomResourceDefinition says of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defines {
    /// Group and kind.
    pub kind: Kind,
    /// `spec.names.plural`.
    pub plural: Name,
    /// `spec.scope` is not Cluster.
    pub namespaced: bool,
    /// Versions that are served.
    pub versions: Vec<Name>,
}

/// Before the group of an object that is not stored yet.
const EDIT: &str = "edit of ";

impl Judged {
    /// The row of an edit of `stored` that waits for its judgement, beside the row of the object as it is stored.
    #[must_use]
    pub fn as_edit(mut self, stored: &Self) -> Self {
        self.key = Self::edit_of(&self.key);
        self.before = Some(Box::new((stored.labels.clone(), stored.json.clone())));
        self
    }

    /// The key of the row of an edit.
    pub fn edit_of(key: &ObjectKey) -> ObjectKey {
        let kind = Kind::new(format!("{EDIT}{}", key.kind.group), key.kind.kind.clone());
        ObjectKey { kind, name: key.name.clone() }
    }

    /// The object that a row is about, and whether the row is an edit of it.
    pub fn subject(key: &ObjectKey) -> (ObjectKey, bool) {
        match key.kind.group.strip_prefix(EDIT) {
            Some(group) => {
                let kind = Kind::new(group, key.kind.kind.clone());
                (ObjectKey { kind, name: key.name.clone() }, true)
            }
            None => (key.clone(), false),
        }
    }

    /// The group of the object.
    pub fn group(&self) -> &str {
        self.key.kind.group.strip_prefix(EDIT).unwrap_or(&self.key.kind.group)
    }
}
