//! The policies chart of `examples/platform`: its templates with the values of an environment filled in by hand, since
//! this crate runs no programs. They use `.Values.domain` and `.Values.validationActions` only.

use super::{apply, edge, findings, step};
use crate::{status::rows::EntryPoint, world};

const TEMPLATES: [&str; 3] = [
    include_str!("../../../../../examples/platform/charts/policies/templates/certificate-names.yaml"),
    include_str!("../../../../../examples/platform/charts/policies/templates/gateway-hostnames.yaml"),
    include_str!("../../../../../examples/platform/charts/policies/templates/route-hostnames.yaml"),
];

fn chart(domain: &str, actions: &str) -> String {
    let text = TEMPLATES.join("\n---\n");
    let text = text.replace("{{ printf \"'.%s'\" .Values.domain | quote }}", &format!("\"'.{domain}'\""));
    let text = text.replace("{{ .Values.domain }}", domain);
    let text = text.replace("{{- toYaml .Values.validationActions | nindent 4 }}", actions);
    assert!(!text.contains("{{"), "{text}");
    text
}

#[test]
fn the_policies_chart_keeps_hosts_inside_the_domain() {
    let mut engine = edge(&chart("dev.example.com", "[Deny]"));
    assert_eq!(
        findings(&engine),
        [
            "501 HTTPRoute/team/bad spec.hostnames: denied by ValidatingAdmissionPolicy route-hostnames-inside-domain: hostnames of routes must end with .dev.example.com"
        ]
    );
    assert!(engine.get::<EntryPoint>(&"good.dev.example.com".into()).is_some());
    apply(&mut engine, &chart("prod.example.com", "[Warn, Audit]"));
    step(&mut engine);
    let all = findings(&engine);
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with("502 HTTPRoute/team/good spec.hostnames:"), "{all:#?}");

    let objects = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: team}\nspec: {secretName: s, dnsNames: [prod.example.com, '*.prod.example.com', x.org], issuerRef: {name: i}}\n";
    let mut engine = world::engine();
    apply(&mut engine, &chart("prod.example.com", "[Deny]"));
    apply(&mut engine, objects);
    step(&mut engine);
    assert_eq!(
        findings(&engine),
        [
            "501 Certificate/team/c spec.dnsNames: denied by ValidatingAdmissionPolicy certificate-names-inside-domain: names of certificates must be inside prod.example.com"
        ]
    );
}
