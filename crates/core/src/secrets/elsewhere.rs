//! Secrets that are made elsewhere: by a controller that does not run here, from an object that stands in the repository.

use portolan_model::{NamespacedName, ObjectKey, input::Judged};
use serde_json::Value;

/// Kinds that make a Secret in their namespace, and where its name stands; without it, it is called as they are.
/// Sources: external-secrets/external-secrets `apis/externalsecrets/v1`, hashicorp/vault-secrets-operator `api/v1beta1`,
/// 1Password/onepassword-operator, Infisical/kubernetes-operator, DopplerHQ/kubernetes-operator, ricoberger/vault-secrets-operator.
const MAKERS: [(&str, &str, &str); 10] = [
    ("external-secrets.io", "ExternalSecret", "/spec/target/name"),
    ("kubernetes-client.io", "ExternalSecret", "/metadata/name"),
    ("secrets.hashicorp.com", "VaultStaticSecret", "/spec/destination/name"),
    ("secrets.hashicorp.com", "VaultDynamicSecret", "/spec/destination/name"),
    ("secrets.hashicorp.com", "VaultPKISecret", "/spec/destination/name"),
    ("secrets.hashicorp.com", "HCPVaultSecretsApp", "/spec/destination/name"),
    ("onepassword.com", "OnePasswordItem", "/metadata/name"),
    ("secrets.infisical.com", "InfisicalSecret", "/spec/managedSecretReference/secretName"),
    ("secrets.doppler.com", "DopplerSecret", "/spec/managedSecret/name"),
    ("ricoberger.de", "VaultSecret", "/metadata/name"),
];
/// The same for those that make several.
const MAKERS_OF_MANY: [(&str, &str, &str, &str); 2] = [
    ("isindir.github.com", "SopsSecret", "/spec/secretTemplates", "name"),
    ("secrets-store.csi.x-k8s.io", "SecretProviderClass", "/spec/secretObjects", "secretName"),
];

/// The Secrets that an object has its controller make.
pub(crate) fn made(row: &Judged) -> Vec<NamespacedName> {
    let is = |key: &ObjectKey, group: &str, kind: &str| key.kind.is(group, kind);
    let in_own = |name: &str| NamespacedName::new(row.key.name.namespace.clone(), name);
    if let Some((.., field)) = MAKERS.iter().find(|(group, kind, _)| is(&row.key, group, kind)) {
        let json = row.json.unpack();
        let name = json.pointer(field).and_then(Value::as_str).filter(|name| !name.is_empty());
        return vec![in_own(name.unwrap_or(&row.key.name.name))];
    }
    let several = MAKERS_OF_MANY.iter().find(|(group, kind, ..)| is(&row.key, group, kind));
    let Some((_, _, list, field)) = several else { return Vec::new() };
    let json = row.json.unpack();
    let all = json.pointer(list).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(|one| one.get(field)?.as_str()).map(in_own).collect()
}
