//! Service.

use serde_json::{Value, json};

use super::{
    METADATA, Out, SPEC, addresses, endpoints::PROTOCOLS, has, list, number, selectors, text, words,
};
use crate::{cause::Cause, path::Path};

pub fn check(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    let spec = &object["spec"];
    let annotations = &object["metadata"]["annotations"];
    let kind = text(spec, "type");
    let none = |spec: &Value| {
        text(spec, "clusterIP") == "None" || list(spec, "clusterIPs").first().is_some_and(|ip| ip == "None")
    };
    // An update that says nothing of addresses keeps those that are there.
    let says = !text(spec, "clusterIP").is_empty() || !list(spec, "clusterIPs").is_empty();
    let kept = !says && kind != "ExternalName" && old.is_some_and(|old| none(&old["spec"]));
    let headless = none(spec) || kept;
    let ports = list(spec, "ports");
    topology(annotations, out);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        out.required(&SPEC.field("ports"), "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let words = format!("may not be set to 'None' for {kind} services");
            out.invalid(&SPEC.field("clusterIPs").index(0), "None", words);
        }
        "ExternalName" => external_name(spec, out),
        _ => {}
    }
    self::ports(ports, out);
    selectors::labels(&spec["selector"], &SPEC.field("selector"), out);
    affinity(spec, out);
    if kind != "ExternalName" {
        families(spec, out);
    }
    for (at, ip) in list(spec, "externalIPs").iter().enumerate() {
        let path = SPEC.field("externalIPs");
        let path = path.index(at);
        let ip = ip.as_str().unwrap_or_default();
        if addresses::check(ip, &path, out).is_some() {
            addresses::check_endpoint(ip, &path, out);
        }
    }
    out.supported(&SPEC.field("type"), kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    same_ports(ports, kind, out);
    source_ranges(spec, annotations, kind, out);
    if has(spec, "allocateLoadBalancerNodePorts") && kind != "LoadBalancer" {
        out.forbidden(
            &SPEC.field("allocateLoadBalancerNodePorts"),
            "may only be used when `type` is 'LoadBalancer'",
        );
    }
    if let Some(old) = old {
        addresses_stay(spec, &old["spec"], out);
    }
    class(spec, old.map(|old| &old["spec"]), kind, out);
    traffic(spec, old.map(|old| &old["spec"]), kind, out);
}

fn topology(annotations: &Value, out: &mut Out<'_>) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    if has(annotations, HINTS) && has(annotations, MODE) && annotations[HINTS] != annotations[MODE] {
        let words = format!("must match annotations[{HINTS}] when both are specified");
        out.invalid(&METADATA.field("annotations").key(MODE), text(annotations, MODE), words);
    }
}

fn external_name(spec: &Value, out: &mut Out<'_>) {
    let words = "may not be set for ExternalName services";
    if has(spec, "clusterIP") && !text(spec, "clusterIP").is_empty() || !list(spec, "clusterIPs").is_empty() {
        out.forbidden(&SPEC.field("clusterIPs"), words);
    }
    if !list(spec, "ipFamilies").is_empty() {
        out.forbidden(&SPEC.field("ipFamilies"), words);
    }
    if has(spec, "ipFamilyPolicy") {
        out.forbidden(&SPEC.field("ipFamilyPolicy"), words);
    }
    let name = text(spec, "externalName");
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        out.required(&SPEC.field("externalName"), "");
    } else {
        out.each(&SPEC.field("externalName"), name, words::subdomain(name));
    }
}

fn ports(ports: &[Value], out: &mut Out<'_>) {
    let all = SPEC.field("ports");
    let mut names = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let path = all.index(at);
        let name = text(port, "name");
        if name.is_empty() && ports.len() > 1 {
            out.required(&path.field("name"), "");
        } else if !name.is_empty() {
            out.each(&path.field("name"), name, words::label(name));
            if names.contains(&name) {
                out.duplicate(&path.field("name"), name);
            }
            names.push(name);
        }
        let wanted = number(port, "port");
        out.each(&path.field("port"), wanted, words::port(wanted));
        out.supported(&path.field("protocol"), text(port, "protocol"), &PROTOCOLS);
        let target = &port["targetPort"];
        if let Some(name) = target.as_str() {
            out.each(&path.field("targetPort"), name, words::port_name(name));
        } else {
            let number = target.as_i64().unwrap_or_default();
            out.each(&path.field("targetPort"), number, words::port(number));
        }
        if let Some(protocol) = port["appProtocol"].as_str() {
            out.each(&path.field("appProtocol"), protocol, words::label_key(protocol));
        }
    }
}

fn same_ports(ports: &[Value], kind: &str, out: &mut Out<'_>) {
    let all = SPEC.field("ports");
    let (mut nodes, mut numbers) = (Vec::new(), Vec::new());
    for (at, port) in ports.iter().enumerate() {
        let path = all.index(at);
        let node = number(port, "nodePort");
        if node != 0 {
            if kind == "ClusterIP" {
                out.forbidden(&path.field("nodePort"), "may not be used when `type` is 'ClusterIP'");
            }
            let key = (text(port, "protocol"), node);
            if nodes.contains(&key) {
                out.duplicate(&path.field("nodePort"), node);
            }
            nodes.push(key);
        }
        let key = (text(port, "protocol"), number(port, "port"));
        if numbers.contains(&key) {
            // The struct that it prints has all fields of a port.
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":\"{}\",\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                key.0, key.1
            );
            out.0.push(Cause { value: None, detail: shown, ..Cause::duplicate(path.text(), Value::Null) });
        }
        numbers.push(key);
    }
}

fn affinity(spec: &Value, out: &mut Out<'_>) {
    let kind = text(spec, "sessionAffinity");
    out.supported(&SPEC.field("sessionAffinity"), kind, &["ClientIP", "None"]);
    if kind == "ClientIP" {
        let timeout =
            spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].as_i64().unwrap_or_default();
        if !(1..=86_400).contains(&timeout) {
            let path = SPEC.field("sessionAffinityConfig");
            let path = path.field("clientIP");
            out.invalid(&path.field("timeoutSeconds"), timeout, "must be greater than 0 and less than 86400");
        }
    }
}

fn families(spec: &Value, out: &mut Out<'_>) {
    let path = SPEC.field("ipFamilies");
    let families = list(spec, "ipFamilies");
    for (at, family) in families.iter().enumerate() {
        out.supported(&path.index(at), family.as_str().unwrap_or_default(), &["IPv4", "IPv6"]);
        if families[..at].contains(family) {
            out.duplicate(&path.index(at), family.clone());
        }
    }
    if let Some(policy) = spec["ipFamilyPolicy"].as_str() {
        out.supported(
            &SPEC.field("ipFamilyPolicy"),
            policy,
            &["PreferDualStack", "RequireDualStack", "SingleStack"],
        );
    }
    let (first, all) = (text(spec, "clusterIP"), list(spec, "clusterIPs"));
    let path = SPEC.field("clusterIPs");
    if !first.is_empty() && all.first().is_some_and(|ip| ip != first) {
        out.invalid(&path, all.to_vec(), "first value must match `clusterIP`");
    } else if first.is_empty() && !all.is_empty() {
        out.invalid(&path, all.to_vec(), "must be empty when `clusterIP` is not specified");
    }
    let single = [json!(first)];
    let ips = if all.is_empty() && !first.is_empty() { &single[..] } else { all };
    for (at, ip) in ips.iter().enumerate() {
        if at == 0 && ip == "None" {
            if ips.len() > 1 {
                out.invalid(&path, ips.to_vec(), "'None' must be the first and only value");
            }
            continue;
        }
        addresses::check(ip.as_str().unwrap_or_default(), &path.index(at), out);
    }
    if ips.len() > 2 {
        out.invalid(&path, ips.to_vec(), "may only hold up to 2 values");
    }
}

/// `validateUpgradeDowngradeClusterIPs`, and what is filled in before it (`patchAllocatedValues`, `NormalizeClusterIPs`): the first
/// address of a Service stays. One that says nothing keeps what it has; of one that said nothing the cluster has chosen an
/// address that nobody here knows, but it is one.
fn addresses_stay(spec: &Value, old: &Value, out: &mut Out<'_>) {
    if [spec, old].into_iter().any(|spec| text(spec, "type") == "ExternalName") {
        return;
    }
    let (was, is) = (cluster_ips(old), cluster_ips(spec));
    let Some(first) = is.first() else { return };
    let same = match was.first() {
        Some(was) => was == first,
        None => first != "None",
    };
    let path = SPEC.field("clusterIPs");
    if !same {
        out.invalid(&path.index(0), is, "may not change once set");
    } else if let [_, was] = &was[..]
        && is.get(1).is_some_and(|is| is != was)
    {
        out.invalid(&path.index(1), is, "may not change once set");
    }
}

/// All addresses, the first as `clusterIP` says it.
fn cluster_ips(spec: &Value) -> Vec<Value> {
    let mut all = list(spec, "clusterIPs").to_vec();
    match text(spec, "clusterIP") {
        "" => {}
        first if all.is_empty() => all.push(json!(first)),
        first => all[0] = json!(first),
    }
    all
}

fn source_ranges(spec: &Value, annotations: &Value, kind: &str, out: &mut Out<'_>) {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let only = "may only be used when `type` is 'LoadBalancer'";
    let ranges = list(spec, "loadBalancerSourceRanges");
    if !ranges.is_empty() {
        // Spelt so.
        let path = SPEC.field("LoadBalancerSourceRanges");
        if kind != "LoadBalancer" {
            out.forbidden(&path, only);
        }
        for (at, range) in ranges.iter().enumerate() {
            addresses::check_network(range.as_str().unwrap_or_default().trim(), &path.index(at), out);
        }
    } else if has(annotations, ANNOTATION) {
        let path = METADATA.field("annotations");
        let path = path.key(ANNOTATION);
        if kind != "LoadBalancer" {
            out.forbidden(&path, only);
        }
        let text = text(annotations, ANNOTATION).trim();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            addresses::check_network(range.trim(), &path, out);
        }
    }
}

fn class(spec: &Value, old: Option<&Value>, kind: &str, out: &mut Out<'_>) {
    let path = SPEC.field("loadBalancerClass");
    let both = old.filter(|old| text(old, "type") == "LoadBalancer" && kind == "LoadBalancer");
    if both.is_some_and(|old| old["loadBalancerClass"] != spec["loadBalancerClass"]) {
        out.invalid(&path, spec["loadBalancerClass"].clone(), "may not change once set");
    }
    let Some(class) = spec["loadBalancerClass"].as_str() else { return };
    if kind == "LoadBalancer" {
        out.each(&path, class, words::label_key(class));
    } else {
        out.forbidden(&path, "may only be used when `type` is 'LoadBalancer'");
    }
}

/// A Service that can be reached from outside of its cluster.
pub fn is_external(spec: &Value) -> bool {
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(spec, "externalIPs").is_empty(),
        _ => false,
    }
}

fn traffic(spec: &Value, old: Option<&Value>, kind: &str, out: &mut Out<'_>) {
    let policy = text(spec, "externalTrafficPolicy");
    let path: Path<'_> = SPEC.field("externalTrafficPolicy");
    if is_external(spec) {
        out.supported(&path, policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() && old.is_none_or(|old| text(old, "externalTrafficPolicy") != policy) {
        // What is left over of another type goes with it.
        out.invalid(&path, policy, "may only be set for externally-accessible services");
    }
    let port = number(spec, "healthCheckNodePort");
    let path = SPEC.field("healthCheckNodePort");
    if port != 0 {
        if kind == "LoadBalancer" && policy == "Local" {
            out.each(&path, port, words::port(port));
        } else {
            let words =
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            out.invalid(&path, port, words);
        }
    }
    if let Some(policy) = spec["internalTrafficPolicy"].as_str() {
        out.supported(&SPEC.field("internalTrafficPolicy"), policy, &["Cluster", "Local"]);
    }
    if let Some(wish) = spec["trafficDistribution"].as_str() {
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        out.supported(&SPEC.field("trafficDistribution"), wish, &known);
    }
}
