//! Defaults of common kinds whose schemas are not packed, as an API server fills them in before it asks its policies: a rule such as
//! `object.spec.replicas <= 5` is about them too. Source: Kubernetes 1.36 `pkg/apis/{core,apps,batch,autoscaling,networking}/v1/defaults.go`
//! (`v2` of autoscaling).

use serde_json::{Map, Value, json};

/// Fills in what is not written.
pub(super) fn fill(object: &mut Value) {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    match (&*version, &*kind) {
        ("v1", "Pod") => {
            at(object, "/spec", pod);
            at(object, "/spec", |spec| {
                put(spec, "enableServiceLinks", json!(true));
                for list in ["containers", "initContainers"] {
                    each(spec, list, requests);
                }
            });
        }
        ("v1", "Service") => put(object, "status", json!({"loadBalancer": {}})),
        ("v1", "Namespace") => {
            at(object, "/spec", |spec| put(spec, "finalizers", json!(["kubernetes"])));
            put(object, "spec", json!({"finalizers": ["kubernetes"]}));
            put(object, "status", json!({"phase": "Active"}));
        }
        ("v1", "PersistentVolumeClaim") => claim(object),
        ("v1", "PersistentVolume") => at(object, "/spec", |spec| {
            put(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
            put(spec, "volumeMode", json!("Filesystem"));
        }),
        ("v1", "ReplicationController") => {
            at(object, "/spec", |spec| put(spec, "replicas", json!(1)));
            at(object, "/spec/template/spec", pod);
        }
        ("apps/v1", "Deployment") => at(object, "/spec", |spec| {
            put(spec, "replicas", json!(1));
            put(spec, "revisionHistoryLimit", json!(10));
            put(spec, "progressDeadlineSeconds", json!(600));
            rolling(spec, "strategy", json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
            at(spec, "/template/spec", pod);
        }),
        ("apps/v1", "StatefulSet") => at(object, "/spec", |spec| {
            put(spec, "replicas", json!(1));
            put(spec, "revisionHistoryLimit", json!(10));
            put(spec, "podManagementPolicy", json!("OrderedReady"));
            rolling(spec, "updateStrategy", json!({"partition": 0}));
            put(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
            at(spec, "/persistentVolumeClaimRetentionPolicy", |policy| {
                put(policy, "whenDeleted", json!("Retain"));
                put(policy, "whenScaled", json!("Retain"));
            });
            at(spec, "/template/spec", pod);
            each(spec, "volumeClaimTemplates", claim);
        }),
        ("apps/v1", "DaemonSet") => at(object, "/spec", |spec| {
            put(spec, "revisionHistoryLimit", json!(10));
            rolling(spec, "updateStrategy", json!({"maxUnavailable": 1, "maxSurge": 0}));
            at(spec, "/template/spec", pod);
        }),
        ("apps/v1", "ReplicaSet") => at(object, "/spec", |spec| {
            put(spec, "replicas", json!(1));
            at(spec, "/template/spec", pod);
        }),
        ("batch/v1", "Job") => at(object, "/spec", job),
        ("batch/v1", "CronJob") => at(object, "/spec", |spec| {
            put(spec, "concurrencyPolicy", json!("Allow"));
            put(spec, "suspend", json!(false));
            put(spec, "successfulJobsHistoryLimit", json!(3));
            put(spec, "failedJobsHistoryLimit", json!(1));
            // A template of a Job has the defaults of its pods, and not those of a Job.
            at(spec, "/jobTemplate/spec/template/spec", pod);
        }),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => at(object, "/spec", |spec| {
            put(spec, "minReplicas", json!(1));
            let none = |metrics: &Value| metrics.as_array().is_none_or(Vec::is_empty);
            if spec.get("metrics").is_none_or(none) {
                let usual =
                    json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
                spec.insert("metrics".into(), json!([{"type": "Resource", "resource": usual}]));
            }
        }),
        ("autoscaling/v1", "HorizontalPodAutoscaler") => {
            at(object, "/spec", |spec| put(spec, "minReplicas", json!(1)));
        }
        ("storage.k8s.io/v1", "StorageClass") => {
            put(object, "reclaimPolicy", json!("Delete"));
            put(object, "volumeBindingMode", json!("Immediate"));
        }
        _ => {}
    }
}

/// What has fields.
trait Fields {
    fn fields(&mut self) -> Option<&mut Map<String, Value>>;
}

impl Fields for Value {
    fn fields(&mut self) -> Option<&mut Map<String, Value>> {
        self.as_object_mut()
    }
}

impl Fields for Map<String, Value> {
    fn fields(&mut self) -> Option<&mut Self> {
        Some(self)
    }
}

/// Puts a value where none is written; null is none.
fn put(of: &mut impl Fields, field: &str, value: Value) {
    let Some(map) = of.fields() else { return };
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.to_owned(), value);
    }
}

/// Does something with the mapping at a path below, if there is one.
fn at(of: &mut impl Fields, path: &str, with: impl FnOnce(&mut Map<String, Value>)) {
    let Some(mut map) = of.fields() else { return };
    for part in path.split('/').skip(1) {
        let Some(next) = map.get_mut(part).and_then(Value::as_object_mut) else { return };
        map = next;
    }
    with(map);
}

/// The same for each mapping of a list.
fn each(of: &mut Map<String, Value>, list: &str, mut with: impl FnMut(&mut Map<String, Value>)) {
    let items = of.get_mut(list).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut).for_each(&mut with);
}

/// A way to replace pods, and how it does so by turns.
fn rolling(spec: &mut Map<String, Value>, field: &str, turns: Value) {
    put(spec, field, json!({}));
    at(spec, &format!("/{field}"), |strategy| {
        put(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
            put(strategy, "rollingUpdate", json!({}));
            at(strategy, "/rollingUpdate", |rolling| {
                let turns = if let Value::Object(turns) = turns { turns } else { Map::new() };
                turns.into_iter().for_each(|(field, value)| put(rolling, &field, value));
            });
        }
    });
}

fn job(spec: &mut Map<String, Value>) {
    // Neither is written: one pod, once.
    let unset = |field: &str| spec.get(field).is_none_or(Value::is_null);
    let (completions, parallelism) = (unset("completions"), unset("parallelism"));
    if completions && parallelism {
        put(spec, "completions", json!(1));
    }
    put(spec, "parallelism", json!(1));
    put(spec, "backoffLimit", json!(6));
    put(spec, "completionMode", json!("NonIndexed"));
    put(spec, "suspend", json!(false));
    put(spec, "manualSelector", json!(false));
    let policy = if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    put(spec, "podReplacementPolicy", json!(policy));
    at(spec, "/template/spec", pod);
}

fn claim(claim: &mut impl Fields) {
    at(claim, "/spec", |spec| put(spec, "volumeMode", json!("Filesystem")));
    put(claim, "status", json!({"phase": "Pending"}));
}

/// `SetDefaults_PodSpec` and what it holds.
fn pod(spec: &mut Map<String, Value>) {
    for (field, value) in [
        ("dnsPolicy", json!("ClusterFirst")),
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
    ] {
        put(spec, field, value);
    }
    let host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, |one| container(one, host));
    }
    each(spec, "volumes", volume);
}

fn container(container: &mut Map<String, Value>, host: bool) {
    put(container, "terminationMessagePath", json!("/dev/termination-log"));
    put(container, "terminationMessagePolicy", json!("File"));
    put(container, "resources", json!({}));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
    put(container, "imagePullPolicy", json!(if is_latest(&image) { "Always" } else { "IfNotPresent" }));
    each(container, "ports", |port| {
        put(port, "protocol", json!("TCP"));
        if host && let Some(number) = port.get("containerPort").cloned() {
            put(port, "hostPort", number);
        }
    });
    each(container, "env", |variable| {
        at(variable, "/valueFrom/fieldRef", |from| put(from, "apiVersion", json!("v1")));
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        at(container, &format!("/{probe}"), |probe| {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                put(probe, field, json!(value));
            }
            at(probe, "/httpGet", get);
            at(probe, "/grpc", |grpc| put(grpc, "service", json!("")));
        });
    }
    for hook in ["postStart", "preStop"] {
        at(container, &format!("/lifecycle/{hook}/httpGet"), get);
    }
}

fn get(action: &mut Map<String, Value>) {
    put(action, "path", json!("/"));
    put(action, "scheme", json!("HTTP"));
}

/// `parsers.ParseImageName`: no tag and no digest stand for `latest`.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// What is limited and asks for nothing asks for its limits (`SetDefaults_Pod`).
fn requests(container: &mut Map<String, Value>) {
    let Some(limits) = container.get("resources").and_then(|resources| resources.get("limits")).cloned()
    else {
        return;
    };
    at(container, "/resources", |resources| {
        put(resources, "requests", json!({}));
        at(resources, "/requests", |requests| {
            for (name, value) in limits.as_object().into_iter().flatten() {
                put(requests, name, value.clone());
            }
        });
    });
}

fn volume(volume: &mut Map<String, Value>) {
    if volume.keys().all(|key| key == "name") {
        put(volume, "emptyDir", json!({}));
    }
    for (source, field) in [
        ("secret", "defaultMode"),
        ("configMap", "defaultMode"),
        ("projected", "defaultMode"),
        ("downwardAPI", "defaultMode"),
    ] {
        at(volume, &format!("/{source}"), |source| put(source, field, json!(420)));
    }
    at(volume, "/hostPath", |path| put(path, "type", json!("")));
    at(volume, "/projected", |projected| {
        each(projected, "sources", |source| {
            at(source, "/serviceAccountToken", |token| put(token, "expirationSeconds", json!(3600)));
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut object: Value) -> Value {
        fill(&mut object);
        object
    }

    #[test]
    fn a_deployment_has_what_an_api_server_fills_in() {
        let object = filled(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "registry:5000/a", "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3}}]}}}}),
        );
        let spec = json!({
            "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "template": {"spec": {
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                "schedulerName": "default-scheduler", "securityContext": {},
                "containers": [{"name": "a", "image": "registry:5000/a", "imagePullPolicy": "Always", "resources": {},
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "periodSeconds": 3,
                        "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}}]}},
        });
        assert_eq!(object["spec"], spec);
        let written = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "spec": {"replicas": 0, "strategy": {"type": "Recreate"}, "revisionHistoryLimit": null}});
        let object = filled(written);
        assert_eq!(
            (&object["spec"]["replicas"], &object["spec"]["strategy"]),
            (&json!(0), &json!({"type": "Recreate"}))
        );
        assert_eq!(object["spec"]["revisionHistoryLimit"], 10);
    }

    #[test]
    fn the_other_kinds() {
        let of = |version: &str, kind: &str, spec: Value| {
            filled(json!({"apiVersion": version, "kind": kind, "spec": spec}))
        };
        let pod = of(
            "v1",
            "Pod",
            json!({"hostNetwork": true, "volumes": [{"name": "x"}, {"name": "y", "secret": {}}],
            "containers": [{"image": "a:1", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}}]}),
        );
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["ports"][0]["hostPort"], 80);
        assert_eq!(container["resources"], json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}));
        assert_eq!(pod["spec"]["enableServiceLinks"], true);
        assert_eq!(
            pod["spec"]["volumes"],
            json!([{"name": "x", "emptyDir": {}}, {"name": "y", "secret": {"defaultMode": 420}}])
        );
        let job = of("batch/v1", "Job", json!({"parallelism": 2}));
        assert_eq!((&job["spec"]["completions"], &job["spec"]["backoffLimit"]), (&Value::Null, &json!(6)));
        let cron = of("batch/v1", "CronJob", json!({"jobTemplate": {"spec": {"template": {"spec": {}}}}}));
        assert_eq!(cron["spec"]["concurrencyPolicy"], "Allow");
        assert_eq!(cron["spec"]["jobTemplate"]["spec"]["backoffLimit"], Value::Null);
        assert_eq!(cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"], "Always");
        let set = of("apps/v1", "StatefulSet", json!({"volumeClaimTemplates": [{"spec": {}}]}));
        assert_eq!(set["spec"]["updateStrategy"]["rollingUpdate"]["partition"], 0);
        assert_eq!(set["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"], "Filesystem");
        let scaler = of("autoscaling/v2", "HorizontalPodAutoscaler", json!({"maxReplicas": 3}));
        assert_eq!(scaler["spec"]["minReplicas"], 1);
        assert_eq!(scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
        let service = of("v1", "Service", json!({}));
        assert_eq!(service["status"], json!({"loadBalancer": {}}));
        assert_eq!(filled(json!({"apiVersion": "v1", "kind": "Namespace"}))["status"]["phase"], "Active");
        let other = json!({"apiVersion": "example.com/v1", "kind": "Deployment", "spec": {}});
        assert_eq!(filled(other.clone()), other);
    }
}
