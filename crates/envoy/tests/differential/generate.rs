//! Objects as a user may write them, from a seed.

use serde_json::{Value, json};

use super::{certificates, limits};

/// SplitMix64: the same objects from the same seed, everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A Gateway for every ten listeners, and of the rest seven routes for every two Services with endpoints.
pub fn objects(seed: u64, count: usize) -> Vec<Value> {
    let mut random = Random::new(seed);
    let mut made = vec![
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "c"},
            "spec": {"controllerName": "portolan.dev/gateway-controller"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}),
        // Takes every route, so that each one is encoded.
        gateway("all", &json!([{"name": "all", "port": 80, "protocol": "HTTP"}])),
        service("one"),
        service("two"),
    ];
    made.extend(certificates::secrets());
    // Each certificate is served somewhere.
    let each = certificates::NAMES.iter().enumerate().map(|(at, name)| {
        json!({"name": format!("l{at}"), "port": 443, "protocol": "HTTPS", "hostname": format!("h{at}.example.com"),
            "tls": {"certificateRefs": [{"name": name}]}})
    });
    made.push(gateway("certificates", &each.collect()));
    for at in 0..count {
        match random.below(10) {
            0 => made.push(gateway(&format!("g{at}"), &listeners(&mut random))),
            1 | 2 => {
                made.push(service(&format!("s{at}")));
                made.push(slice(&mut random, at));
                made.push(route(
                    at,
                    "HTTPRoute",
                    &json!([{"backendRefs": [{"name": format!("s{at}"), "port": 80}]}]),
                ));
            }
            3 => {
                let rules = rules(&mut random, grpc_rule);
                made.push(route(at, "GRPCRoute", &rules));
            }
            _ => {
                let rules = rules(&mut random, http_rule);
                made.push(route(at, "HTTPRoute", &rules));
            }
        }
    }
    made
}

fn gateway(name: &str, listeners: &Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name, "namespace": "a"},
        "spec": {"gatewayClassName": "c", "listeners": listeners}})
}

fn listeners(random: &mut Random) -> Value {
    let ports = [0, 1, 80, 443, 8080, 65_535, 65_536];
    (0..=random.below(6))
        .map(|at| {
            let mut made = json!({"name": format!("l{at}"), "port": random.of(&ports), "protocol": "HTTP"});
            if !random.one_in(4) {
                made["hostname"] = limits::hostname(random).into();
            }
            if random.one_in(2) {
                made["protocol"] = "HTTPS".into();
                let names = (0..random.below(3)).map(|_| json!({"name": random.of(&certificates::NAMES)}));
                made["tls"] = json!({"certificateRefs": names.collect::<Value>()});
            }
            made
        })
        .collect()
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "a"},
        "spec": {"ports": [{"name": "http", "port": 80}]}})
}

fn slice(random: &mut Random, at: usize) -> Value {
    let ports = [0, 1, 80, 65_535, 65_536];
    let points: Vec<Value> =
        (0..random.below(4)).map(|_| json!({"addresses": [limits::address(random)]})).collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": random.of(&["IPv4", "IPv6", "FQDN"]),
        "metadata": {"name": format!("s{at}-1"), "namespace": "a", "labels": {"kubernetes.io/service-name": format!("s{at}")}},
        "ports": [{"name": "http", "port": random.of(&ports)}], "endpoints": points})
}

/// A host of its own, so that what is refused is found by its name.
fn route(at: usize, kind: &str, rules: &Value) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
        "metadata": {"name": format!("r{at}"), "namespace": "a"},
        "spec": {"parentRefs": [{"name": "all"}], "hostnames": [format!("r{at}.example.com")], "rules": rules}})
}

fn rules(random: &mut Random, rule: fn(&mut Random) -> Value) -> Value {
    (0..=random.below(3)).map(|_| rule(random)).collect()
}

fn http_rule(random: &mut Random) -> Value {
    let matches: Vec<Value> = (0..random.below(3)).map(|_| http_match(random)).collect();
    let mut made = json!({"matches": matches, "backendRefs": backends(random)});
    filters(random, &mut made, true);
    if random.one_in(8) {
        made["timeouts"] =
            json!({"request": limits::duration(random), "backendRequest": limits::duration(random)});
    }
    made
}

fn grpc_rule(random: &mut Random) -> Value {
    let part = |random: &mut Random| {
        if random.one_in(2) {
            limits::expression(random)
        } else {
            (*random.of(&["s.S", "M", "", "a/b", "é"])).to_owned()
        }
    };
    let matches: Vec<Value> = (0..random.below(3))
        .map(|_| {
            let kind = random.of(&["Exact", "RegularExpression"]);
            let headers = values(random, limits::header_name);
            json!({"method": {"type": kind, "service": part(random), "method": part(random)}, "headers": headers})
        })
        .collect();
    let mut made = json!({"matches": matches, "backendRefs": backends(random)});
    filters(random, &mut made, false);
    made
}

fn http_match(random: &mut Random) -> Value {
    let mut made = json!({});
    match random.below(4) {
        0 => made["path"] = json!({"type": "RegularExpression", "value": limits::expression(random)}),
        1 => made["path"] = json!({"type": "Exact", "value": limits::path(random)}),
        2 => made["path"] = json!({"type": "PathPrefix", "value": limits::path(random)}),
        _ => {}
    }
    if random.one_in(4) {
        made["headers"] = values(random, limits::header_name);
    }
    if random.one_in(4) {
        made["queryParams"] = values(random, limits::query_name);
    }
    if random.one_in(6) {
        made["method"] = (*random.of(&["GET", "POST", "get", "", "PROPFIND", "G\nT"])).into();
    }
    made
}

fn values(random: &mut Random, name: fn(&mut Random) -> String) -> Value {
    (0..random.below(3))
        .map(|_| {
            let name = name(random);
            if random.one_in(3) {
                json!({"name": name, "type": "RegularExpression", "value": limits::expression(random)})
            } else {
                json!({"name": name, "value": limits::header_value(random)})
            }
        })
        .collect()
}

fn backends(random: &mut Random) -> Value {
    let weights = [0_u64, 1, 1, 1, 1_000_000, 2_147_483_647, 2_147_483_648, 4_294_967_295, 4_294_967_296];
    (0..random.below(4))
        .map(|_| {
            let mut made = json!({"name": random.of(&["one", "two", "missing"]), "port": 80, "weight": random.of(&weights)});
            if random.one_in(8) {
                made["filters"] = json!([modifier(random)]);
            }
            made
        })
        .collect()
}

fn filters(random: &mut Random, rule: &mut Value, http: bool) {
    let made: Vec<Value> = (0..random.below(3))
        .map(|_| match random.below(if http { 5 } else { 2 }) {
            0 | 1 => modifier(random),
            2 => redirect(random),
            3 => {
                let mut rewrite = json!({});
                maybe(random, &mut rewrite, "hostname", |r| limits::hostname(r).into());
                maybe(random, &mut rewrite, "path", path_change);
                json!({"type": "URLRewrite", "urlRewrite": rewrite})
            }
            _ => {
                let mut mirror = json!({"backendRef": {"name": "two", "port": 80}});
                maybe(random, &mut mirror, "percent", |r| (*r.of(&[0, 1, 100, 101, u32::MAX])).into());
                maybe(random, &mut mirror, "fraction", |r| {
                    json!({"numerator": r.of(&[0, 1, 100, u32::MAX]), "denominator": r.of(&[0, 1, 100, u32::MAX])})
                });
                json!({"type": "RequestMirror", "requestMirror": mirror})
            }
        })
        .collect();
    rule["filters"] = made.into();
}

fn maybe(random: &mut Random, object: &mut Value, field: &str, value: impl Fn(&mut Random) -> Value) {
    if random.one_in(2) {
        object[field] = value(random);
    }
}

fn modifier(random: &mut Random) -> Value {
    // Few are at the limit of what one route may add: such an object is large.
    let pairs = if random.one_in(300) { 999 + random.below(3) } else { random.below(3) };
    let pair = |random: &mut Random, at: usize| {
        if pairs > 3 {
            json!({"name": format!("x-{at}"), "value": "v"})
        } else {
            json!({"name": limits::header_name(random), "value": limits::header_value(random)})
        }
    };
    let list: Vec<Value> = (0..pairs).map(|at| pair(random, at)).collect();
    let mut change = json!({});
    change[*random.of(&["set", "add"])] = list.into();
    if random.one_in(3) {
        change["remove"] = json!([limits::header_name(random)]);
    }
    if random.one_in(2) {
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": change})
    } else {
        json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": change})
    }
}

fn redirect(random: &mut Random) -> Value {
    let mut made = json!({});
    maybe(random, &mut made, "hostname", |r| limits::hostname(r).into());
    maybe(random, &mut made, "scheme", |r| (*r.of(&["http", "https", "ftp", "", "h\nt", "HTTPS"])).into());
    maybe(random, &mut made, "port", |r| (*r.of(&[0, 1, 443, 65_535, 65_536, 70_000])).into());
    maybe(random, &mut made, "statusCode", |r| (*r.of(&[200, 301, 302, 303, 307, 308, 0, 99_999])).into());
    maybe(random, &mut made, "path", path_change);
    json!({"type": "RequestRedirect", "requestRedirect": made})
}

fn path_change(random: &mut Random) -> Value {
    let path = limits::path(random);
    if random.one_in(2) {
        json!({"type": "ReplaceFullPath", "replaceFullPath": path})
    } else {
        json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": path})
    }
}
