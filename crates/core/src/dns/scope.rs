//! What an external-dns component looks at: which routes, which Gateways, which annotations, which targets
//! (external-dns `source/gateway.go`, `source/annotations`, `endpoint/target_filter.go`).

use std::{collections::BTreeMap, net::IpAddr};

use portolan_model::{
    LabelSelector, Name,
    input::{Gateway, Route},
};

use super::{annotations::Prefix, template::Templates};

/// Filters of a component; by default everything is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of external-dns")]
pub struct Scope {
    /// Only routes with these labels (`--label-filter`).
    pub labels: LabelSelector,
    /// Only routes with these annotations (`--annotation-filter`).
    pub annotations: LabelSelector,
    /// Only routes of these namespaces (`--namespace`); empty: all.
    pub namespaces: Vec<Name>,
    /// Only Gateways of this name (`--gateway-name`); empty: all.
    pub gateway_name: Name,
    /// Only Gateways of this namespace (`--gateway-namespace`); empty: all.
    pub gateway_namespace: Name,
    /// Only Gateways with these labels (`--gateway-label-filter`).
    pub gateway_labels: LabelSelector,
    /// Whether the `controller` annotation of a Gateway counts: since v0.23.
    pub gateway_controller: bool,
    /// Names of listeners of ListenerSets are published too (`--gateway-listener-sets`).
    pub listener_sets: bool,
    /// Only targets in these networks (`--target-net-filter`); empty: all.
    pub nets: Vec<Net>,
    /// No targets in these networks (`--exclude-target-net`).
    pub excluded_nets: Vec<Net>,
    /// Under which prefix annotations are read (`--annotation-prefix`).
    pub prefix: Prefix,
    /// The `hostname` annotation is not read (`--ignore-hostname-annotation`).
    pub ignore_hostnames: bool,
    /// Names made from the route (`--fqdn-template`).
    pub templates: Templates,
    /// Names of the templates are added to `spec.hostnames` (`--combine-fqdn-annotation`), not only used without any.
    pub combine: bool,
    /// A route without hostnames has its listener's also where an annotation or a template names one: before v0.24.
    pub always_listener: bool,
    /// Of several routes with one name the targets of one are published: before v0.21. Here those of all are, and it is said.
    pub one_route: bool,
    /// TTL where an object asks for none (`--min-ttl`).
    pub ttl: Option<u32>,
}

impl Scope {
    /// The filter of routes that leaves this one out.
    pub fn leaves_out(&self, route: &Route) -> Option<&'static str> {
        let annotation = |key: &Name| route.annotations.get(key).map(String::as_str);
        if !self.namespaces.is_empty() && !self.namespaces.contains(&route.key.name.namespace) {
            return Some("namespace");
        }
        if !self.labels.matches(&route.labels) {
            return Some("label");
        }
        (!self.annotations.matches_values(annotation)).then_some("annotation")
    }

    /// The filter of Gateways that leaves this one out.
    pub fn leaves_out_gateway(&self, gateway: &Gateway) -> Option<&'static str> {
        let other = |wanted: &Name, is: &Name| !wanted.is_empty() && wanted != is;
        if other(&self.gateway_namespace, &gateway.key.namespace) {
            return Some("Gateway namespace");
        }
        if other(&self.gateway_name, &gateway.key.name) {
            return Some("Gateway name");
        }
        (!self.gateway_labels.matches(&gateway.labels)).then_some("Gateway label")
    }

    /// Whether a target may stand in a record. A name is in no network.
    pub fn lets_in(&self, target: &str) -> bool {
        let address = target.parse::<IpAddr>().ok();
        let within = |nets: &[Net]| address.is_some_and(|ip| nets.iter().any(|net| net.holds(ip)));
        (self.nets.is_empty() || within(&self.nets)) && !within(&self.excluded_nets)
    }

    /// The annotations that the component reads, by their name without prefix.
    pub fn read(&self, annotations: &BTreeMap<Name, String>) -> super::annotations::Read {
        super::annotations::read(annotations, &self.prefix)
    }
}

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: u128,
    bits: u32,
}

impl Net {
    /// `10.0.0.0/8` or `2001:db8::/32`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/')?;
        let whole = !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
        let bits: u32 = bits.parse().ok().filter(|_| whole)?;
        let (address, most, offset) = match address.parse::<IpAddr>().ok()? {
            ip @ IpAddr::V4(_) => (wide(ip), 32, 96),
            ip @ IpAddr::V6(_) => (wide(ip), 128, 0),
        };
        (bits <= most).then(|| Self { address, bits: bits + offset })
    }

    fn holds(self, ip: IpAddr) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
        (wide(ip) ^ self.address) & mask == 0
    }
}

/// IPv4 addresses as the mapped ones of IPv6: they are the same to Go.
fn wide(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
