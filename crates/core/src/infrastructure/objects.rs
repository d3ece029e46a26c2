//! The objects of a Gateway, from what is wanted of them.

use std::collections::BTreeMap;

use portolan_model::GatewayKey;
use serde_json::{Map, Value, json};

use super::{AUDIENCE, names, parameters::Parameters, rows::FleetSettings};

/// Port at which an Envoy says whether it is ready.
pub const READY: u16 = 19003;
/// Port of its numbers.
pub const STATS: u16 = 19001;
/// Port of its admin interface, on loopback of its Pod alone.
pub const ADMIN: u16 = 19000;
/// Seconds that connections have to end when an Envoy goes.
pub const DRAIN: u64 = 30;
/// Seconds between the last "not ready" and the first connection that is closed: load balancers look every few seconds.
const UNREADY: u64 = 10;
/// Seconds that are left for the process to end.
const END: u64 = 15;

/// Who runs as which user: nobody's, and not root.
const USER: u64 = 65532;

type Texts = BTreeMap<String, String>;

/// A port that listeners have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Number.
    pub number: u16,
    /// Whether it takes datagrams.
    pub udp: bool,
}

impl Port {
    fn name(self) -> String {
        format!("p{}{}", self.number, if self.udp { "-udp" } else { "" })
    }

    const fn protocol(self) -> &'static str {
        if self.udp { "UDP" } else { "TCP" }
    }
}

/// What the objects of a Gateway are made of.
pub struct Fleet<'a> {
    /// The Gateway.
    pub gateway: &'a GatewayKey,
    /// Its class.
    pub class: &'a str,
    /// Ports of its listeners.
    pub ports: &'a [Port],
    /// `spec.infrastructure.labels`.
    pub labels: &'a Texts,
    /// `spec.infrastructure.annotations`.
    pub annotations: &'a Texts,
    /// IP addresses of `spec.addresses`.
    pub addresses: &'a [String],
    /// What is asked for.
    pub asked: &'a Parameters,
    /// What all have in common.
    pub settings: &'a FleetSettings,
}

impl Fleet<'_> {
    /// All of them.
    pub fn objects(&self) -> Vec<Value> {
        let mut all = vec![self.account(), self.config(), self.deployment()];
        if !self.ports.is_empty() {
            all.push(self.service());
        }
        all.push(self.budget());
        all.extend(self.autoscaler());
        all
    }

    /// By what Pods are selected: never another of them, as a Deployment's selector cannot be changed.
    fn selector(&self) -> Texts {
        let name = names::name(self.gateway);
        let all = [
            ("app.kubernetes.io/name", "envoy".to_owned()),
            ("app.kubernetes.io/instance", name),
            (names::GATEWAY, names::label(self.gateway)),
        ];
        all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Labels with what users ask for beneath ours.
    fn labels(&self, more: &Texts) -> Texts {
        let mut all: Texts = self.labels.clone();
        all.extend(more.clone());
        all.extend(self.selector());
        for (key, value) in [
            ("app.kubernetes.io/component", "proxy".to_owned()),
            ("app.kubernetes.io/managed-by", "portolan".to_owned()),
            (names::CLASS, names::class_label(self.class)),
        ] {
            all.insert(key.to_owned(), value);
        }
        all
    }

    fn annotations(&self, more: &Texts) -> Texts {
        let mut all: Texts = self.annotations.clone();
        all.extend(more.clone());
        if names::label(self.gateway) != *self.gateway.name {
            // A label is too short for it.
            all.insert(names::GATEWAY.to_owned(), self.gateway.name.to_string());
        }
        all
    }

    fn metadata(&self, labels: &Texts, annotations: &Texts) -> Value {
        let mut made = json!({
            "name": names::name(self.gateway), "namespace": self.gateway.namespace, "labels": self.labels(labels),
        });
        let annotations = self.annotations(annotations);
        if !annotations.is_empty() {
            made["annotations"] = json!(annotations);
        }
        made
    }

    fn object(&self, version: &str, kind: &str, rest: Value) -> Value {
        let none = Texts::new();
        let mut made = rest;
        made["apiVersion"] = version.into();
        made["kind"] = kind.into();
        if made.get("metadata").is_none() {
            made["metadata"] = self.metadata(&none, &none);
        }
        made
    }

    fn account(&self) -> Value {
        // It may do nothing, and its Pods get no token but the one that we read.
        self.object("v1", "ServiceAccount", json!({"automountServiceAccountToken": false}))
    }

    fn bootstrap(&self) -> Value {
        let mut made = self.settings.bootstrap.clone();
        if let Some(memory) = self.asked.resources["limits"]["memory"].as_str().and_then(bytes) {
            made["overload_manager"] = overload(memory);
        }
        made
    }

    fn config(&self) -> Value {
        let mut data: Map<String, Value> = Map::new();
        data.insert("bootstrap.json".into(), self.bootstrap().to_string().into());
        for (name, content) in &self.settings.files {
            data.insert(name.to_string(), content.to_string().into());
        }
        self.object("v1", "ConfigMap", json!({"data": data}))
    }

    fn deployment(&self) -> Value {
        let none = Texts::new();
        let mut annotations = self.annotations(&self.asked.annotations);
        // Another start configuration needs another start; the other files are read again by a running one.
        let start = names::hash(&self.bootstrap().to_string());
        annotations.insert("portolan.dev/start-configuration".into(), start);
        let mut pod = json!({
            "serviceAccountName": names::name(self.gateway),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": UNREADY + self.asked.drain + END,
            "securityContext": self.pod_security(),
            "containers": [self.container()],
            "volumes": [
                {"name": "config", "configMap": {"name": names::name(self.gateway)}},
                {"name": "token", "projected": {"sources": [
                    {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 3600, "path": "token"}},
                ]}},
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            ],
            "topologySpreadConstraints": self.spread(),
        });
        if let Some(fields) = pod.as_object_mut() {
            fields.extend(self.asked.pod.clone());
        }
        let mut spec = json!({
            "selector": {"matchLabels": self.selector()},
            // None goes before another has come.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": self.labels(&self.asked.labels), "annotations": annotations},
                "spec": pod,
            },
        });
        if let Some(strategy) = &self.asked.strategy {
            spec["strategy"] = strategy.clone();
        }
        if self.asked.autoscaler.is_none() {
            // Whoever scales writes this field: named by two it would swing between them.
            spec["replicas"] = self.asked.replicas.into();
        }
        self.object("apps/v1", "Deployment", json!({"metadata": self.metadata(&none, &none), "spec": spec}))
    }

    fn pod_security(&self) -> Value {
        let mut made = json!({
            "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        if self.ports.iter().any(|port| port.number < 1024) {
            // Ports are bound as they are written, without a capability.
            made["sysctls"] = json!([{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]);
        }
        made
    }

    fn spread(&self) -> Value {
        let over = |key: &str| {
            json!({
                "topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": self.selector()},
            })
        };
        json!([over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")])
    }

    fn container(&self) -> Value {
        let image = self.asked.image.as_deref().unwrap_or(&self.settings.image);
        let mut arguments = vec![
            "--config-path".to_owned(),
            "/etc/portolan/bootstrap.json".into(),
            "--service-node".into(),
            "$(POD_NAME).$(POD_NAMESPACE)".into(),
            "--service-cluster".into(),
            self.gateway.to_string(),
            "--log-level".into(),
            self.asked.log.clone(),
            "--drain-time-s".into(),
            self.asked.drain.to_string(),
            "--drain-strategy".into(),
            "immediate".into(),
            "--disable-hot-restart".into(),
        ];
        match self.asked.threads {
            Some(threads) => arguments.extend(["--concurrency".to_owned(), threads.to_string()]),
            // As many as the container may use, and not as the machine has.
            None => arguments.push("--cpuset-threads".to_owned()),
        }
        let field =
            |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
        let mut ports = vec![
            json!({"name": "ready", "containerPort": READY, "protocol": "TCP"}),
            json!({"name": "metrics", "containerPort": STATS, "protocol": "TCP"}),
        ];
        ports.extend(self.ports.iter().map(
            |port| json!({"name": port.name(), "containerPort": port.number, "protocol": port.protocol()}),
        ));
        let ready = json!({"path": "/ready", "port": "ready", "scheme": "HTTP"});
        json!({
            "name": "envoy",
            "image": image,
            "command": ["envoy"],
            "args": arguments,
            "env": [field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace")],
            "ports": ports,
            "resources": self.asked.resources,
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "privileged": false,
                "capabilities": {"drop": ["ALL"]},
            },
            // It answers only once it has been told everything; its control plane may be away for a while.
            "startupProbe": {"httpGet": ready, "periodSeconds": 1, "failureThreshold": 300},
            "readinessProbe": {"httpGet": ready, "periodSeconds": 5, "failureThreshold": 1},
            "lifecycle": {"preStop": {"exec": {"command": ["/bin/bash", "-c", self.goodbye()]}}},
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/portolan", "readOnly": true},
                {"name": "token", "mountPath": "/var/run/secrets/portolan", "readOnly": true},
                {"name": "tmp", "mountPath": "/tmp"},
            ],
        })
    }

    /// First it is not ready any more, so that nobody new is sent to it; then who is there is asked to go. What is left at the end is cut.
    fn goodbye(&self) -> String {
        let post = |path: &str| {
            format!(
                "exec 3<>/dev/tcp/127.0.0.1/{ADMIN} && \
                 printf 'POST {path} HTTP/1.1\\r\\nhost: envoy\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n' >&3 && \
                 cat <&3 >/dev/null; exec 3>&-"
            )
        };
        format!(
            "{}; sleep {UNREADY}; {}; sleep {}",
            post("/healthcheck/fail"),
            post("/drain_listeners?graceful&skip_exit"),
            self.asked.drain
        )
    }

    fn service(&self) -> Value {
        let ports = self.ports.iter().map(|port| {
            let number = port.number;
            json!({"name": port.name(), "port": number, "targetPort": number, "protocol": port.protocol()})
        });
        let mut spec = json!({
            "type": self.asked.service,
            "selector": self.selector(),
            "ports": ports.collect::<Vec<_>>(),
        });
        if self.asked.service != "ClusterIP" {
            // Who sends is seen, and no node sends to another.
            spec["externalTrafficPolicy"] = self.asked.policy.as_str().into();
        }
        if let Some(fields) = spec.as_object_mut() {
            fields.extend(self.asked.service_fields.clone());
        }
        if !self.addresses.is_empty() {
            spec["externalIPs"] = json!(self.addresses);
        }
        let metadata = self.metadata(&self.asked.service_labels, &self.asked.service_annotations);
        self.object("v1", "Service", json!({"metadata": metadata, "spec": spec}))
    }

    fn budget(&self) -> Value {
        let mut spec = self.asked.budget.clone();
        spec.insert("selector".into(), json!({"matchLabels": self.selector()}));
        self.object("policy/v1", "PodDisruptionBudget", json!({"spec": spec}))
    }

    fn autoscaler(&self) -> Option<Value> {
        let mut spec = self.asked.autoscaler.clone()?;
        let target =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": names::name(self.gateway)});
        spec.insert("scaleTargetRef".into(), target);
        Some(self.object("autoscaling/v2", "HorizontalPodAutoscaler", json!({"spec": spec})))
    }
}

/// A quantity of memory in bytes: `512Mi`, `1G`, `1073741824`.
fn bytes(quantity: &str) -> Option<u64> {
    let end = quantity.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(quantity.len());
    let unit = match &quantity[end..] {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    quantity[..end].parse::<u64>().ok()?.checked_mul(unit)
}

/// What is done when memory runs short: first caches are given back, then nobody new is let in. What is no heap (stacks, code, buffers of
/// the kernel) has its tenth.
fn overload(memory: u64) -> Value {
    let trigger = |at: f64| json!([{"name": "heap", "threshold": {"value": at}}]);
    json!({
        "refresh_interval": "0.25s",
        "resource_monitors": [{"name": "heap", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
            "max_heap_size_bytes": memory / 10 * 9,
        }}],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": trigger(0.9)},
            {"name": "envoy.overload_actions.disable_http_keepalive", "triggers": trigger(0.95)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": trigger(0.98)},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_memory_are_read() {
        for (text, is) in [("512Mi", Some(536_870_912)), ("1G", Some(1_000_000_000)), ("100", Some(100))] {
            assert_eq!(bytes(text), is, "{text}");
        }
        for wrong in ["", "Mi", "1.5Gi", "1Ti x", "-1"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
