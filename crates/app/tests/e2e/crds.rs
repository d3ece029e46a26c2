//! `portolan crds` as a user calls it, without a cluster; the rig applies them to a real one (`crates/kubernetes/tests/rig`).

use std::process::Output;

use super::instance::portolan;

fn crds(arguments: &[&str], kubeconfig: Option<&str>) -> Output {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    std::fs::write(&file, kubeconfig.unwrap_or_default()).unwrap();
    let mut command = portolan();
    command.arg("crds").args(arguments).env("HOME", home.path()).env_remove("KUBERNETES_SERVICE_HOST");
    match kubeconfig {
        Some(_) => command.env("KUBECONFIG", &file),
        None => command.env_remove("KUBECONFIG"),
    };
    command.output().unwrap()
}

#[test]
fn what_is_printed_is_what_is_published_and_can_be_applied_by_anybody() {
    let output = crds(&["print", "--only", "gateway-api,external-dns", "--channel", "experimental"], None);
    assert!(output.status.success(), "{output:?}");
    let (documents, errors) = portolan_model::yaml::load(std::str::from_utf8(&output.stdout).unwrap());
    assert!(errors.is_empty(), "{errors:?}");
    let names: Vec<&str> = documents.iter().filter_map(|one| one.json["metadata"]["name"].as_str()).collect();
    assert!(names.contains(&"xbackends.gateway.networking.x-k8s.io"), "{names:?}");
    assert!(names.contains(&"dnsendpoints.externaldns.k8s.io"), "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with("cert-manager.io")), "{names:?}");
}

#[test]
fn what_cannot_be_done_is_said() {
    for (arguments, kubeconfig, said) in [
        (
            &["print", "--only", "istio"][..],
            None,
            "there are no definitions of istio; write one of: cert-manager",
        ),
        (&["apply"], None, "no cluster is named"),
        (&["apply", "--context", "other"], Some("apiVersion: v1\nkind: Config\n"), "it has no context other"),
    ] {
        let output = crds(arguments, kubeconfig);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && text.contains(said), "{arguments:?}: {output:?}");
    }
    // Nothing listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    );
    let output = crds(&["apply"], Some(&config));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("cannot be asked"), "{output:?}");
}
