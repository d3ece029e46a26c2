//! EndpointSlice and Endpoints.

use serde_json::Value;

use super::{Out, addresses, has, list, number, selectors, text, words};
use crate::path::Path;

pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

static PORTS: Path<'static> = Path::top("ports");
static ENDPOINTS: Path<'static> = Path::top("endpoints");
static SUBSETS: Path<'static> = Path::top("subsets");

pub fn slice(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    let kind = text(object, "addressType");
    let path = Path::ROOT.field("addressType");
    if kind.is_empty() {
        out.required(&path, "");
    } else {
        out.supported(&path, kind, &["FQDN", "IPv4", "IPv6"]);
    }
    if old.is_some_and(|old| text(old, "addressType") != kind) {
        out.invalid(&path, kind, "field is immutable");
    }
    ports(list(object, "ports"), out);
    // Older versions took endpoints that are refused today: what is as it was stays.
    if old.is_some_and(|old| old["endpoints"] == object["endpoints"]) {
        return;
    }
    let endpoints = list(object, "endpoints");
    if endpoints.len() > 1_000 {
        return out.too_many(&ENDPOINTS, endpoints.len(), 1_000);
    }
    for (at, endpoint) in endpoints.iter().enumerate() {
        self::endpoint(endpoint, kind, &ENDPOINTS.index(at), out);
    }
}

fn ports(ports: &[Value], out: &mut Out<'_>) {
    if ports.len() > 20_000 {
        return out.too_many(&PORTS, ports.len(), 20_000);
    }
    let mut names = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let path = PORTS.index(at);
        let name = text(port, "name");
        if !name.is_empty() {
            out.each(&path.field("name"), name, words::label(name));
        }
        if names.contains(&name) {
            out.duplicate(&path.field("name"), name);
        }
        names.push(name);
        out.supported(&path.field("protocol"), text(port, "protocol"), &PROTOCOLS);
        if let Some(protocol) = port["appProtocol"].as_str() {
            out.each(&path.field("appProtocol"), protocol, words::label_key(protocol));
        }
    }
}

fn endpoint(endpoint: &Value, kind: &str, path: &Path<'_>, out: &mut Out<'_>) {
    let addresses_path = path.field("addresses");
    let addresses = list(endpoint, "addresses");
    if addresses.is_empty() {
        out.required(&addresses_path, "must contain at least 1 address");
    } else if addresses.len() > 100 {
        out.too_many(&addresses_path, addresses.len(), 100);
    }
    for (at, address) in addresses.iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        let path = addresses_path.index(at);
        match kind {
            "IPv4" => {
                let Some(ip) = addresses::check(address, &path, out) else { continue };
                if !ip.is_ipv4() {
                    out.invalid(&addresses_path, address, "must be an IPv4 address");
                }
                addresses::check_endpoint(address, &path, out);
            }
            "IPv6" => strict(address, &addresses_path, &path, out),
            "FQDN" if address.is_empty() => out.required(&path, ""),
            "FQDN" => {
                for (part, wrong) in words::domain(address) {
                    out.invalid(&path, part, wrong);
                }
            }
            _ => {}
        }
    }
    if let Some(name) = endpoint["nodeName"].as_str() {
        out.each(&path.field("nodeName"), name, words::subdomain(name));
    }
    let topology = &endpoint["deprecatedTopology"];
    if let Some(count) = topology.as_object().map(serde_json::Map::len).filter(|count| *count > 16) {
        out.too_many(&path.field("deprecatedTopology"), count, 16);
    }
    selectors::labels(topology, &path.field("deprecatedTopology"), out);
    if let Some(name) = endpoint["hostname"].as_str() {
        out.each(&path.field("hostname"), name, words::label(name));
    }
    if has(endpoint, "hints") {
        hints(&endpoint["hints"], &path.field("hints"), out);
    }
}

fn strict(address: &str, list: &Path<'_>, path: &Path<'_>, out: &mut Out<'_>) {
    let Some(ip) = addresses::check(address, path, out) else { return };
    match address.parse::<std::net::IpAddr>() {
        Err(_) => return out.invalid(path, address, "must not have leading 0s"),
        Ok(std::net::IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            return out.invalid(path, address, "must not be an IPv4-mapped IPv6 address");
        }
        Ok(_) => {}
    }
    if ip.to_string() != address {
        return out.invalid(path, address, format!("must be in canonical form (\"{ip}\")"));
    }
    if ip.is_ipv4() {
        out.invalid(list, address, "must be an IPv6 address");
    }
    addresses::check_endpoint(address, path, out);
}

fn hints(hints: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    for (field, judge) in
        [("forZones", words::label_value as fn(&str) -> Vec<String>), ("forNodes", words::subdomain)]
    {
        let path = path.field(field);
        let all = list(hints, field);
        if all.len() > 8 {
            return out.too_many(&path, all.len(), 8);
        }
        let mut names = Vec::new();
        for (at, hint) in all.iter().enumerate() {
            let path = path.index(at);
            let path = path.field("name");
            let name = text(hint, "name");
            if names.contains(&name) {
                out.duplicate(&path, name);
            }
            names.push(name);
            out.each(&path, name, judge(name));
        }
    }
}

pub fn endpoints(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    if old.is_some_and(|old| old["subsets"] == object["subsets"]) {
        return;
    }
    for (at, subset) in list(object, "subsets").iter().enumerate() {
        let path = SUBSETS.index(at);
        let (ready, other) = (list(subset, "addresses"), list(subset, "notReadyAddresses"));
        if ready.is_empty() && other.is_empty() {
            out.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for (field, all) in [("addresses", ready), ("notReadyAddresses", other)] {
            let path = path.field(field);
            for (at, address) in all.iter().enumerate() {
                let path = path.index(at);
                let ip = text(address, "ip");
                addresses::check(ip, &path.field("ip"), out);
                let name = text(address, "hostname");
                if !name.is_empty() {
                    out.each(&path.field("hostname"), name, words::label(name));
                }
                if let Some(name) = address["nodeName"].as_str() {
                    out.each(&path.field("nodeName"), name, words::subdomain(name));
                }
                addresses::check_endpoint(ip, &path.field("ip"), out);
            }
        }
        let ports = list(subset, "ports");
        for (at, port) in ports.iter().enumerate() {
            let path = path.field("ports");
            let path = path.index(at);
            let name = text(port, "name");
            if name.is_empty() && ports.len() > 1 {
                out.required(&path.field("name"), "");
            } else if !name.is_empty() {
                out.each(&path.field("name"), name, words::label(name));
            }
            let wanted = number(port, "port");
            out.each(&path.field("port"), wanted, words::port(wanted));
            out.supported(&path.field("protocol"), text(port, "protocol"), &PROTOCOLS);
            if let Some(protocol) = port["appProtocol"].as_str() {
                out.each(&path.field("appProtocol"), protocol, words::label_key(protocol));
            }
        }
    }
}
