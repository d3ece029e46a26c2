//! The chart, rendered by the real Helm.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

use portolan_core::door::{self, Definitions, Door};
use portolan_model::{Origin, yaml};
use serde_json::Value;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart/portolan");

fn helm(args: &[&str]) -> Option<Output> {
    let Some(program) = portolan_testkit::program("helm") else {
        portolan_testkit::skip("chart", "no helm in .tools/bin or PATH");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    // It keeps folders of its own, and asks no cluster.
    let output = Command::new(program)
        .args(args)
        .envs(["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"].map(|name| (name, folder.path())))
        .env("KUBECONFIG", folder.path().join("none"))
        .output()
        .unwrap();
    Some(output)
}

fn rendered(more: &[&str]) -> Option<Result<Vec<Value>, String>> {
    let args = [&["template", "portolan", CHART, "--namespace", "portolan-system"], more].concat();
    let output = helm(&args)?;
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let (documents, errors) = yaml::load(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(errors, []);
    Some(Ok(documents.into_iter().map(|document| document.json).filter(Value::is_object).collect()))
}

fn of<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).expect(kind)
}

#[test]
fn an_api_server_would_take_all_of_it() {
    let Some(objects) = rendered(&[]) else { return };
    let objects = objects.unwrap();
    let definitions = Definitions::builtin();
    for object in &objects {
        let taken = door::enter(&definitions, object.clone(), Origin::default()).unwrap();
        let said = match &taken {
            Door::Taken(_) => None,
            Door::Refused(_, problem) | Door::Restricts(_, problem) => Some(problem.message.clone()),
        };
        assert_eq!(said, None, "{}", object["kind"]);
    }
    let deployment = of(&objects, "Deployment");
    assert_eq!(deployment["spec"]["replicas"], 2);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(of(&objects, "GatewayClass")["spec"]["controllerName"], "portolan.dev/gateway-controller");
    let (service, secret) = (of(&objects, "Service"), of(&objects, "Role"));
    assert_eq!(service["metadata"]["name"], "portolan-xds", "as the certificate says");
    assert!(secret["rules"].to_string().contains("secrets"));
}

#[test]
fn a_digest_comes_before_a_tag_and_what_is_not_a_value_is_refused() {
    let digest = format!("image.digest=sha256:{}", "0".repeat(64));
    let Some(objects) = rendered(&["--set", &digest, "--set", "image.tag=x"]) else { return };
    let objects = objects.unwrap();
    let image = &of(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert!(image.as_str().unwrap().starts_with("portolan/portolan@sha256:000"), "{image}");
    for (wrong, named) in
        [("replica=3", "replica"), ("image.digest=sha256:1", "digest"), ("replicas=0", "replicas")]
    {
        let said = rendered(&["--set", wrong]).unwrap().unwrap_err();
        assert!(said.contains(named), "{wrong}: {said}");
    }
}

#[test]
fn the_options_that_the_chart_names_are_known() {
    let Some(objects) = rendered(&[
        "--set",
        "watchNamespaces={shop}",
        "--set",
        "capabilities.gateway=observe",
        "--set",
        "extraArguments={--print-bootstrap}",
    ]) else {
        return;
    };
    let objects = objects.unwrap();
    let arguments = of(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    let arguments: Vec<String> =
        arguments.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    // As the kubelet fills them in.
    let arguments = arguments.iter().map(|one| one.replace("$(POD_NAMESPACE)", "portolan-system"));
    let output = Command::new(env!("CARGO_BIN_EXE_portolan")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let host = made.pointer("/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/address");
    assert_eq!(host, Some(&"portolan-xds.portolan-system.svc".into()), "{made}");
}
