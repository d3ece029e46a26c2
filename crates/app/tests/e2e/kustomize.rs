//! Kustomize by the program itself, which starts Kustomize and, where that asks for charts, Helm. Needs both.

use std::path::Path;

use portolan_testkit::suites;
use serde_json::Value;

use crate::instance::portolan;

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Kustomize starts Helm through our own program: what that is called in our process means another program in its own.
#[test]
fn a_kustomization_with_charts_is_built() {
    let (Some(helm), Some(kustomize)) = (suites::program("helm"), suites::program("kustomize")) else {
        return suites::skip("e2e kustomize", "Helm or Kustomize is missing; run scripts/setup test");
    };
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("kustomization.yaml", "helmCharts:\n- {name: demo, releaseName: rel}\n"),
            ("charts/demo/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n"),
            ("charts/demo/values.yaml", "l: one\n"),
            (
                "charts/demo/templates/c.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\", namespace: d}\ndata: {l: \"{{ .Values.l }}\"}\n",
            ),
        ],
    );
    let output = portolan()
        .args(["render", "--output", "json"])
        .arg(dir.path())
        .arg("--helm")
        .arg(helm)
        .arg("--kustomize")
        .arg(kustomize)
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told["findings"]);
    assert_eq!(told["objects"][0]["object"], "ConfigMap/d/rel", "{}", told["objects"]);
}
