//! What the components of an environment settle for all rooms: one place for `up` and `render`.

use portolan_model::{Name, NamespacedName, Problem};

use super::{
    adapters::{Component, ComponentValues, ExternalDns, adapt},
    ledger::{self, Entry},
};
use crate::{
    certificates::rows::Settings,
    dns::rows::DnsSettings,
    secrets::rows::{ComponentCredential, Reach},
};

/// Where cert-manager looks for Secrets of ClusterIssuers where nobody says so.
const CLUSTER_RESOURCE_NAMESPACE: &str = "cert-manager";

/// An environment as it was read.
pub struct Environment<'a> {
    /// Its name.
    pub name: &'a str,
    /// Components that Portolan stands in for, in the order in which their Applications were read.
    pub components: &'a [Component],
    /// A plain folder is all that there is ([`super::known::Known::is_folder`]).
    pub is_folder: bool,
    /// `--cluster-resource-namespace`: wins over what the repository says.
    pub cluster_resource_namespace: Option<&'a Name>,
}

/// Facts and findings that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Of the certificates room.
    pub settings: Settings,
    /// Of the DNS room, one for each external-dns; never empty.
    pub dns: Vec<DnsSettings>,
    /// Of the secrets room.
    pub reach: Reach,
    /// Secrets that are there only for components.
    pub credentials: Vec<ComponentCredential>,
    /// What cannot be done as it was asked for.
    pub problems: Vec<Problem>,
}

/// What is known of all components.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components {
    /// Their settings.
    pub all: Vec<Component>,
    /// What is wrong with their values.
    pub problems: Vec<Problem>,
    /// What becomes of each key and flag.
    pub ledger: Vec<Entry>,
}

/// Reads the values of all components.
pub fn components(values: &[ComponentValues]) -> Components {
    let mut made = Components::default();
    let mut lines = Vec::new();
    for one in values {
        let adapted = adapt(one);
        let of = Name::from(format!("values of {} ({})", one.component, one.object));
        made.all.extend(adapted.component);
        made.problems.extend(adapted.problems);
        lines.extend(adapted.ledger.into_iter().map(|(fate, why, what)| (of.clone(), fate, why, what)));
    }
    made.ledger = ledger::gather(lines);
    made
}

/// Where Secrets are opened and mirrored. Of several of a kind each adds what it reaches.
fn reach(components: &[Component]) -> Reach {
    let mut reach = Reach::default();
    let sealed: Vec<_> = components
        .iter()
        .filter_map(|component| match component {
            Component::SealedSecrets(settings) => Some(&settings.namespaces),
            _ => None,
        })
        .collect();
    if !sealed.is_empty() && sealed.iter().all(|namespaces| namespaces.is_some()) {
        reach.unsealed = Some(sealed.into_iter().flatten().flatten().cloned().collect());
    }
    let mut excluded: Vec<&Vec<Name>> = components
        .iter()
        .filter_map(|component| match component {
            Component::Reflector(excluded) => Some(excluded),
            _ => None,
        })
        .collect();
    // What all of them leave alone; patterns are compared as they are written.
    if let Some(first) = excluded.pop() {
        let by_all = |pattern: &&Name| excluded.iter().all(|other| other.contains(pattern));
        reach.not_mirrored = first.iter().filter(by_all).cloned().collect();
    }
    reach
}

/// Of several cert-managers the first counts; every external-dns does.
pub fn configure(environment: &Environment<'_>) -> Configuration {
    let components = environment.components;
    let said = components.iter().find_map(|component| match component {
        Component::CertManager(settings) => Some(settings),
        _ => None,
    });
    let namespace = said.map(|settings| &settings.cluster_resource_namespace);
    let namespace = environment.cluster_resource_namespace.or(namespace).cloned();
    let external: Vec<&ExternalDns> = components
        .iter()
        .filter_map(|component| match component {
            Component::ExternalDns(settings) => Some(&**settings),
            _ => None,
        })
        .collect();
    let (dns, problems) = dns(environment, &external);
    let credential = |from: &ExternalDns, name: &Name| ComponentCredential {
        key: NamespacedName::new(from.namespace.clone(), name.clone()),
        component: "external-dns".into(),
    };
    Configuration {
        settings: Settings {
            key: Name::default(),
            cluster_resource_namespace: namespace.unwrap_or_else(|| CLUSTER_RESOURCE_NAMESPACE.into()),
            shim: said.map(|settings| settings.shim.clone()).unwrap_or_default(),
        },
        reach: reach(components),
        dns,
        credentials: external
            .iter()
            .flat_map(|from| from.credentials.iter().map(|name| credential(from, name)))
            .collect(),
        problems,
    }
}

fn dns(environment: &Environment<'_>, external: &[&ExternalDns]) -> (Vec<DnsSettings>, Vec<Problem>) {
    if external.is_empty() {
        let settings = if environment.is_folder {
            DnsSettings::of_folder(environment.name)
        } else {
            DnsSettings::unmanaged()
        };
        return (vec![settings], Vec::new());
    }
    let (mut all, mut found): (Vec<DnsSettings>, Vec<Problem>) = (Vec::new(), Vec::new());
    for from in external {
        let (mut settings, problems) = DnsSettings::of_external_dns(from);
        let earlier =
            external[..all.len()].iter().filter(|other| other.application == from.application).count();
        if earlier > 0 {
            // One Application may bring several.
            settings.key = format!("{}/{}", settings.key, earlier + 1).into();
        }
        found.extend(problems.into_iter().map(|problem| problem.on(from.object.clone())));
        all.push(settings);
    }
    (all, found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use portolan_model::ObjectKey;
    use serde_json::{Value, json};

    use super::*;
    use crate::gitops::adapters::Form;

    fn values(component: &str, application: &str, values: Value) -> ComponentValues {
        ComponentValues {
            form: Form::default(),
            component: component.into(),
            object: application_key(application),
            application: application.into(),
            namespace: format!("{application}-ns").into(),
            version: Name::default(),
            values,
        }
    }

    fn application_key(name: &str) -> ObjectKey {
        ObjectKey::new("argoproj.io", "Application", "argocd", name)
    }

    fn configured(values: &[ComponentValues], namespace: Option<&Name>) -> Configuration {
        let read = components(values);
        assert!(read.problems.iter().all(|problem| problem.code.0 >= 640), "{:?}", read.problems);
        let components = read.all;
        configure(&Environment {
            name: "dev-01",
            components: &components,
            is_folder: false,
            cluster_resource_namespace: namespace,
        })
    }

    #[test]
    fn the_first_cert_manager_counts_and_every_external_dns() {
        let made = configured(
            &[
                values("cert-manager", "certs", json!({})),
                values("cert-manager", "more-certs", json!({})),
                values(
                    "external-dns",
                    "public",
                    json!({"txtOwnerId": "a", "env": [{"valueFrom": {"secretKeyRef": {"name": "key"}}}]}),
                ),
                values("external-dns", "private", json!({"txtOwnerId": "b", "domainFilters": ["a..b"]})),
                values("external-dns", "private", json!({"txtOwnerId": "c"})),
            ],
            None,
        );
        assert_eq!(made.settings.cluster_resource_namespace, "certs-ns");
        let dns: Vec<(&str, &str)> = made.dns.iter().map(|d| (&*d.key, &*d.plan.owner)).collect();
        assert_eq!(dns, [("public", "a"), ("private", "b"), ("private/2", "c")]);
        assert_eq!(made.credentials.len(), 1);
        assert_eq!(made.credentials[0].key.to_string(), "public-ns/key");
        let problems: Vec<_> = made.problems.iter().map(|p| (p.code.0, p.object.to_string())).collect();
        assert_eq!(problems, [(402, "Application/argocd/private".to_owned())]);
    }

    #[test]
    fn the_flag_wins_and_problems_stand_on_the_application() {
        let namespace = Name::new("own");
        let broken = json!({"domainFilters": ["a..b"], "labelFilter": "a b"});
        let made = configured(
            &[values("cert-manager", "certs", json!({})), values("external-dns", "dns", broken)],
            Some(&namespace),
        );
        assert_eq!(made.settings.cluster_resource_namespace, "own");
        assert!(!made.dns[0].managed);
        let problems: Vec<_> = made.problems.iter().map(|p| (p.code.0, p.object.to_string())).collect();
        let dns = || "Application/argocd/dns".to_owned();
        assert_eq!(problems, [(436, dns()), (402, dns())]);
    }

    #[test]
    fn without_components_a_folder_is_managed_and_an_app_of_apps_is_not() {
        assert!(!configured(&[], None).dns[0].managed);
        let made = configure(&Environment {
            name: "dev-01",
            components: &[],
            is_folder: true,
            cluster_resource_namespace: None,
        });
        assert_eq!((made.dns[0].managed, &*made.dns[0].plan.owner), (true, "dev-01"));
        assert_eq!(made.settings.cluster_resource_namespace, "cert-manager");
    }
}
