//! The address of a Gateway, from its Service.

use portolan_model::Name;
use serde_json::Value;

/// Where a Service is reached, as an address or a name; `None` while it has none. What was asked for comes before what a load balancer gave,
/// and without either there is the address inside of the cluster, unless a load balancer is still to come.
pub fn address(service: &Value) -> Option<Name> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Name::from);
    let spec = &service["spec"];
    if let Some(asked) = text(&spec["externalIPs"][0]) {
        return Some(asked);
    }
    if spec["type"] == "LoadBalancer" {
        let given = &service["status"]["loadBalancer"]["ingress"][0];
        return text(&given["ip"]).or_else(|| text(&given["hostname"]));
    }
    text(&spec["clusterIP"]).filter(|address| **address != *"None")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_of_service_has_its_address() {
        let of = |service: &Value| address(service).map(|name| name.to_string());
        let balanced = |ingress: Value| {
            let spec = json!({"type": "LoadBalancer", "clusterIP": "10.96.0.9"});
            json!({"spec": spec, "status": {"loadBalancer": {"ingress": ingress}}})
        };
        assert_eq!(of(&balanced(json!([{"ip": "203.0.113.7"}]))).as_deref(), Some("203.0.113.7"));
        assert_eq!(of(&balanced(json!([{"hostname": "lb.example.com"}]))).as_deref(), Some("lb.example.com"));
        assert_eq!(of(&balanced(json!([]))), None, "it is still to come");
        let inside = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9"}});
        assert_eq!(of(&inside).as_deref(), Some("10.96.0.9"));
        let asked = json!({"spec": {"type": "LoadBalancer", "externalIPs": ["198.51.100.4"]}});
        assert_eq!(of(&asked).as_deref(), Some("198.51.100.4"));
        assert_eq!(of(&json!({"spec": {"type": "ClusterIP", "clusterIP": "None"}})), None);
    }
}
