//! The chart by the real Helm: installed, upgraded, uninstalled, as the guide says.

use std::process::Command;

use serde_json::Value;

use crate::place::{Place, eventually, holds};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart/portolan");

fn helm(place: &Place, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("helm")
        .args(args)
        .args(["--namespace", place.name])
        .envs(["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"].map(|name| (name, folder.path())))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "helm {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Replicas that are ready, of the generation that is wanted.
fn ready(place: &Place, count: u64) -> Option<()> {
    let deployment = place.get("deployment/portolan")?;
    let status = &deployment["status"];
    let current = status["observedGeneration"] == deployment["metadata"]["generation"];
    let all = ["readyReplicas", "updatedReplicas", "replicas"].iter().all(|field| status[*field] == count);
    (current && all).then_some(())
}

#[test]
fn the_chart_is_installed_upgraded_and_uninstalled_and_leaves_what_it_serves() {
    let Some(place) = Place::alone("chart") else { return };
    let values = [
        "--set",
        "gatewayClass.create=false",
        "--set",
        "controllerName=rig.portolan.dev/chart",
        "--set",
        "leaseTime=6s",
    ];
    let said = helm(&place, &[&["install", "portolan", CHART], &values[..]].concat());
    assert!(said.contains("rollout status deployment/portolan"), "{said}");
    eventually("two replicas are ready", || ready(&place, 2));
    place.gateway();
    let made = eventually("the Gateway gets its Envoys", || place.get("deployment/gw"));
    assert_eq!(
        made["spec"]["template"]["spec"]["containers"][0]["image"],
        "docker.io/envoyproxy/envoy:v1.40.0"
    );
    eventually("its status is written", || {
        let gateway = place.get("gateway/gw")?;
        holds(&gateway["status"]["conditions"], "Accepted", &gateway)
    });
    // One value changes the image of all Envoys.
    let image = "envoyImage=registry.example/envoyproxy/envoy:2";
    helm(
        &place,
        &[&["upgrade", "portolan", CHART, "--set", image, "--set", "replicas=3"], &values[..]].concat(),
    );
    eventually("three replicas are ready", || ready(&place, 3));
    eventually("Envoys are of the new image", || {
        let image = place.get("deployment/gw")?.pointer("/spec/template/spec/containers/0/image")?.clone();
        (image == "registry.example/envoyproxy/envoy:2").then_some(())
    });
    helm(&place, &["uninstall", "portolan"]);
    eventually("it is gone", || place.get("deployment/portolan").is_none().then_some(()));
    for left in ["deployment/gw", "service/gw", "gateway/gw", "secret/portolan-xds"] {
        assert!(place.get(left).is_some(), "{left} stays");
    }
    let definitions =
        place.kubectl(&["get", "crd", "gateways.gateway.networking.k8s.io", "-o", "json"], "").unwrap();
    let definitions: Value = serde_json::from_str(&definitions).unwrap();
    assert!(definitions["metadata"].get("deletionTimestamp").is_none());
}
