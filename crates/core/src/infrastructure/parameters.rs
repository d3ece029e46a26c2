//! What an EnvoyProxy asks for (Envoy Gateway 1.9, `gateway.envoyproxy.io/v1alpha1`).
//!
//! Each field is taken out of a copy as it is understood; what is left has no effect here, and is said.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What it asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Pods; with an autoscaler its least.
    pub replicas: u64,
    /// `strategy` of the Deployment.
    pub strategy: Option<Value>,
    /// Labels of Pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations of Pods.
    pub annotations: BTreeMap<String, String>,
    /// Fields of the Pod's spec as they are written: `nodeSelector`, `tolerations`, `affinity`, `topologySpreadConstraints`, `imagePullSecrets`,
    /// `priorityClassName`.
    pub pod: Map<String, Value>,
    /// `resources` of the container.
    pub resources: Value,
    /// Image.
    pub image: Option<String>,
    /// `type` of the Service.
    pub service: String,
    /// Its labels.
    pub service_labels: BTreeMap<String, String>,
    /// Its annotations.
    pub service_annotations: BTreeMap<String, String>,
    /// Fields of its spec as they are written: `loadBalancerClass`, `loadBalancerSourceRanges`, `allocateLoadBalancerNodePorts`,
    /// `loadBalancerIP`.
    pub service_fields: Map<String, Value>,
    /// `externalTrafficPolicy`.
    pub policy: String,
    /// `spec` of the autoscaler without its target.
    pub autoscaler: Option<Map<String, Value>>,
    /// `spec` of the budget without its selector.
    pub budget: Map<String, Value>,
    /// Seconds that connections have to end.
    pub drain: u64,
    /// `--log-level`.
    pub log: String,
    /// `--concurrency`.
    pub threads: Option<u64>,
    /// Fields that have no effect here.
    pub left: Vec<String>,
}

/// A document that gets smaller by what is taken from it.
struct Rest(Value);

impl Rest {
    fn take(&mut self, path: &str) -> Option<Value> {
        let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = &mut self.0;
        for name in parents.split('.').filter(|name| !name.is_empty()) {
            at = at.get_mut(name)?;
        }
        at.as_object_mut()?.remove(last).filter(|value| !value.is_null())
    }

    fn text(&mut self, path: &str) -> Option<String> {
        self.take(path)?.as_str().map(ToOwned::to_owned)
    }

    fn number(&mut self, path: &str) -> Option<u64> {
        self.take(path)?.as_u64()
    }

    fn texts(&mut self, path: &str) -> BTreeMap<String, String> {
        let map = self.take(path);
        let map = map.as_ref().and_then(Value::as_object).into_iter().flatten();
        map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    fn fields(&mut self, path: &str, names: &[&str]) -> Map<String, Value> {
        let field = |name: &&str| Some(((*name).to_owned(), self.take(&format!("{path}.{name}"))?));
        names.iter().filter_map(field).collect()
    }

    /// Paths of what is left.
    fn left(&self) -> Vec<String> {
        fn walk(value: &Value, path: &str, out: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    for (name, value) in map {
                        walk(value, &format!("{path}.{name}"), out);
                    }
                }
                Value::Null => {}
                _ => out.push(path.to_owned()),
            }
        }
        let mut out = Vec::new();
        walk(&self.0, "spec", &mut out);
        out
    }
}

/// Durations of Envoy Gateway: `60s`, `5m`, `1h30m`.
fn seconds(text: &str) -> Option<u64> {
    let (mut all, mut number) = (0, String::new());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let unit = match (letter, rest.peek()) {
            ('m', Some('s')) => {
                rest.next();
                number.clear();
                continue;
            }
            ('h', _) => 3600,
            ('m', _) => 60,
            ('s', _) => 1,
            _ => return None,
        };
        all += std::mem::take(&mut number).parse::<u64>().ok()?.checked_mul(unit)?;
    }
    number.is_empty().then_some(all)
}

impl Parameters {
    /// What `spec` asks for; what it does not say is as without any.
    pub fn of(spec: &Value) -> Self {
        let mut rest = Rest(spec.clone());
        rest.take("provider.type");
        let on = |path: &str| format!("provider.kubernetes.{path}");
        let resources = rest.take(&on("envoyDeployment.container.resources")).unwrap_or_else(
            || json!({"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}),
        );
        let repository = rest.text(&on("envoyDeployment.container.imageRepository"));
        let image = rest.text(&on("envoyDeployment.container.image")).or(repository);
        let mut autoscaler =
            rest.fields(&on("envoyHpa"), &["minReplicas", "maxReplicas", "metrics", "behavior"]);
        let replicas = rest.number(&on("envoyDeployment.replicas"));
        // Without a most it is none.
        let autoscaler = autoscaler.contains_key("maxReplicas").then(|| {
            autoscaler.entry("minReplicas").or_insert_with(|| json!(2));
            let cpu = json!({"type": "Utilization", "averageUtilization": 80});
            let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "target": cpu}}]);
            autoscaler.entry("metrics").or_insert(metric);
            autoscaler
        });
        let mut budget = rest.fields(&on("envoyPDB"), &["minAvailable", "maxUnavailable"]);
        if budget.is_empty() {
            budget.insert("maxUnavailable".into(), json!(1));
        }
        let drain = rest.text("shutdown.drainTimeout");
        let level = rest.text("logging.level.default");
        let made = Self {
            replicas: replicas.unwrap_or(2),
            strategy: rest.take(&on("envoyDeployment.strategy")),
            labels: rest.texts(&on("envoyDeployment.pod.labels")),
            annotations: rest.texts(&on("envoyDeployment.pod.annotations")),
            pod: rest.fields(
                &on("envoyDeployment.pod"),
                &[
                    "nodeSelector",
                    "tolerations",
                    "affinity",
                    "topologySpreadConstraints",
                    "imagePullSecrets",
                    "priorityClassName",
                ],
            ),
            resources,
            image,
            service: rest.text(&on("envoyService.type")).unwrap_or_else(|| "LoadBalancer".to_owned()),
            service_labels: rest.texts(&on("envoyService.labels")),
            service_annotations: rest.texts(&on("envoyService.annotations")),
            service_fields: rest.fields(
                &on("envoyService"),
                &[
                    "loadBalancerClass",
                    "loadBalancerSourceRanges",
                    "allocateLoadBalancerNodePorts",
                    "loadBalancerIP",
                ],
            ),
            policy: rest
                .text(&on("envoyService.externalTrafficPolicy"))
                .unwrap_or_else(|| "Local".to_owned()),
            autoscaler,
            budget,
            drain: drain.as_deref().and_then(seconds).unwrap_or(super::objects::DRAIN),
            log: level.unwrap_or_else(|| "warn".to_owned()),
            threads: rest.number("concurrency"),
            left: Vec::new(),
        };
        Self { left: rest.left(), ..made }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_taken_and_the_rest_is_named() {
        let asked = Parameters::of(&json!({
            "provider": {"type": "Kubernetes", "kubernetes": {
                "envoyDeployment": {"replicas": 5, "patch": {"value": {"spec": {}}}, "container": {"env": [{"name": "A"}]}},
                "envoyService": {"type": "NodePort", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
                "envoyHpa": {"maxReplicas": 9},
            }},
            "shutdown": {"drainTimeout": "1m30s"},
            "mergeGateways": true,
        }));
        assert_eq!((asked.replicas, &*asked.service, asked.drain), (5, "NodePort", 90));
        assert_eq!(asked.service_fields["loadBalancerSourceRanges"], json!(["10.0.0.0/8"]));
        let autoscaler = asked.autoscaler.expect("a most is named");
        assert_eq!((&autoscaler["minReplicas"], &autoscaler["maxReplicas"]), (&json!(2), &json!(9)));
        let left = ["spec.mergeGateways", "spec.provider.kubernetes.envoyDeployment.container.env"];
        assert_eq!(asked.left, left, "an empty patch says nothing");
        assert_eq!(
            Parameters::of(&json!({"provider": {"kubernetes": {"envoyHpa": {"minReplicas": 3}}}})).autoscaler,
            None
        );
        let none = Parameters::of(&Value::Null);
        assert_eq!((none.replicas, none.left.len(), &none.budget["maxUnavailable"]), (2, 0, &json!(1)));
    }

    #[test]
    fn durations_are_read() {
        for (text, is) in [("60s", Some(60)), ("5m", Some(300)), ("1h1m1s", Some(3661)), ("500ms", Some(0))] {
            assert_eq!(seconds(text), is, "{text}");
        }
        for wrong in ["60", "x", "5d", "99999999999999999999s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
