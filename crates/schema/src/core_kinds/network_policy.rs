//! NetworkPolicy.

use serde_json::Value;

use super::{Out, SPEC, addresses, has, list, selectors, text, words};
use crate::path::Path;

pub fn check(object: &Value, out: &mut Out<'_>) {
    let spec = &object["spec"];
    selectors::selector(&spec["podSelector"], &SPEC.field("podSelector"), out);
    for (field, peers) in [("ingress", "from"), ("egress", "to")] {
        let path = SPEC.field(field);
        for (at, rule) in list(spec, field).iter().enumerate() {
            let path = path.index(at);
            for (at, port) in list(rule, "ports").iter().enumerate() {
                self::port(port, &path.field("ports").index(at), out);
            }
            for (at, peer) in list(rule, peers).iter().enumerate() {
                self::peer(peer, &path.field(peers).index(at), out);
            }
        }
    }
    let types = list(spec, "policyTypes");
    let path = SPEC.field("policyTypes");
    if types.len() > 2 {
        return out.invalid(&path, types.to_vec(), "may not specify more than two policyTypes");
    }
    for (at, kind) in types.iter().enumerate() {
        out.supported(&path.index(at), kind.as_str().unwrap_or_default(), &["Ingress", "Egress"]);
    }
}

fn port(port: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    out.supported(&path.field("protocol"), text(port, "protocol"), &["TCP", "UDP", "SCTP"]);
    let end = port["endPort"].as_i64();
    let end_path = path.field("endPort");
    match &port["port"] {
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or_default();
            out.each(&path.field("port"), number, words::port(number));
            if let Some(end) = end {
                if end < number {
                    out.invalid(&end_path, number, "must be greater than or equal to `port`");
                }
                out.each(&end_path, end, words::port(end));
            }
        }
        Value::String(name) => {
            if let Some(end) = end {
                out.invalid(&end_path, end, "may not be specified when `port` is non-numeric");
            }
            out.each(&path.field("port"), name.as_str(), words::port_name(name));
        }
        _ => {
            if let Some(end) = end {
                out.invalid(&end_path, end, "may not be specified when `port` is not specified");
            }
        }
    }
}

fn peer(peer: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let mut count = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if has(peer, field) {
            count += 1;
            selectors::selector(&peer[field], &path.field(field), out);
        }
    }
    let block = has(peer, "ipBlock");
    if block {
        count += 1;
        self::block(&peer["ipBlock"], &path.field("ipBlock"), out);
    }
    if count == 0 {
        out.required(path, "must specify a peer");
    } else if count > 1 && block {
        out.forbidden(path, "may not specify both ipBlock and another peer");
    }
}

fn block(block: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let whole = text(block, "cidr");
    if whole.is_empty() {
        return out.required(&path.field("cidr"), "");
    }
    let Some(whole) = addresses::check_network(whole, &path.field("cidr"), out) else { return };
    for (at, except) in list(block, "except").iter().enumerate() {
        let path = path.field("except");
        let path = path.index(at);
        let except = except.as_str().unwrap_or_default();
        let Some(part) = addresses::check_network(except, &path, out) else { continue };
        if !addresses::is_part(part, whole) {
            out.invalid(&path, except, "must be a strict subset of `cidr`");
        }
    }
}
