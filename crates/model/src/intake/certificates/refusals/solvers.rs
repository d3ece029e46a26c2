//! What the webhook has against a solver of challenges (`ValidateACMEIssuerChallengeSolverConfig`). Where it names no reason, the
//! API server's own words stand: `Required value`.

use super::Wrong;
use crate::intake::node::Node;

/// Providers of DNS-01, in the order in which they are looked at.
const PROVIDERS: [&str; 9] = [
    "akamai",
    "azureDNS",
    "cloudDNS",
    "cloudflare",
    "route53",
    "acmeDNS",
    "digitalocean",
    "rfc2136",
    "webhook",
];
/// This one may stand beside one before it: the webhook does not look.
const BESIDE: &str = "acmeDNS";
/// Algorithms of TSIG, in any case.
const TSIG: [&str; 4] = ["HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512"];
const CLOUDS: [&str; 4] =
    ["AzurePublicCloud", "AzureChinaCloud", "AzureGermanCloud", "AzureUSGovernmentCloud"];

/// `Required` without a reason.
const REQUIRED: &str = "Required value";

pub(super) fn solver(wrong: &mut Wrong, solver: &Node<'_>) {
    let (http, dns) = (solver.get("http01"), solver.get("dns01"));
    if http.present() {
        http01(wrong, &http);
    }
    match (http.present(), dns.present()) {
        (true, true) => {
            let message = "may not specify more than one solver type in a single solver";
            wrong.say(solver, message, "make two solvers of it");
        }
        (false, true) => dns01(wrong, &dns),
        (true, false) => {}
        (false, false) => wrong.say(solver, "no solver type configured", "add dns01 with a provider"),
    }
    let wait = solver.get("waitInsteadOfSelfCheck");
    if wait.millis().is_some_and(|wait| wait < 0) {
        wrong.say(&wait, "waitInsteadOfSelfCheck must not be negative", "write a time such as 60s");
    }
}

/// `ValidateSecretKeySelector`.
pub(super) fn secret(wrong: &mut Wrong, reference: &Node<'_>) {
    for field in ["name", "key"] {
        let message = format!("secret {field} is required");
        wrong.filled(&reference.get(field), &message, "name the Secret, and the key in it");
    }
}

fn http01(wrong: &mut Wrong, http: &Node<'_>) {
    let (ingress, route) = (http.get("ingress"), http.get("gatewayHTTPRoute"));
    if ingress.present() {
        let class = ingress.get("ingressClassName");
        let names = [ingress.get("class").present(), class.present(), ingress.get("name").opt().is_some()];
        if names.into_iter().filter(|given| *given).count() > 1 {
            let message = "only one of 'ingressClassName', 'name' or 'class' should be specified";
            wrong.say(&ingress, message, "leave ingressClassName, and remove the others");
        }
        if class.text().is_some_and(|class| !is_subdomain(class)) {
            let message = "must be a valid IngressClass name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
            wrong.say(&class, message, "write the name of an IngressClass; another text belongs into class");
        }
        service_type(wrong, &ingress);
    }
    if route.present() {
        service_type(wrong, &route);
        for parent in route.get("parentRefs").items() {
            match (parent.get("kind").present(), parent.get("name").opt().is_some()) {
                (true, false) => {
                    let message = "name is required when kind is specified";
                    return wrong.say(&parent.get("name"), message, "name the Gateway");
                }
                (false, true) => {
                    let message = "kind is required when name is specified";
                    return wrong.say(&parent.get("kind"), message, "write kind: Gateway");
                }
                _ => {}
            }
        }
    }
    match (ingress.present(), route.present()) {
        (false, false) => {
            wrong.say(
                http,
                "no HTTP01 solver type configured",
                "add ingress or gatewayHTTPRoute, or use dns01",
            );
        }
        (true, true) => {
            wrong.say(http, "only 1 HTTP01 solver type may be configured", "make two solvers of it");
        }
        _ => {}
    }
}

fn service_type(wrong: &mut Wrong, of: &Node<'_>) {
    let kind = of.get("serviceType");
    if !matches!(kind.text(), None | Some("" | "ClusterIP" | "NodePort")) {
        let message = "must be empty, \"ClusterIP\" or \"NodePort\"";
        wrong.say(&kind, message, "write ClusterIP or NodePort");
    }
}

/// A lowercase RFC 1123 subdomain.
fn is_subdomain(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(inside) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

fn dns01(wrong: &mut Wrong, dns: &Node<'_>) {
    let strategy = dns.get("cnameStrategy");
    if !matches!(strategy.text(), None | Some("" | "None" | "Follow")) {
        wrong.say(&strategy, "must be one of \"None\" or \"Follow\"", "write None or Follow");
    }
    let mut any = false;
    for name in PROVIDERS {
        let settings = dns.get(name);
        if !settings.present() {
            continue;
        }
        if any && name != BESIDE {
            let message = "may not specify more than one provider type";
            wrong.say(&settings, message, "make two solvers of it");
            continue;
        }
        any = true;
        provider(wrong, name, &settings);
    }
    if !any {
        wrong.say(dns, "no DNS01 provider configured", "add a provider, such as rfc2136");
    }
}

fn provider(wrong: &mut Wrong, name: &str, settings: &Node<'_>) {
    let required = |wrong: &mut Wrong, field: &str| {
        wrong.filled(&settings.get(field), REQUIRED, "fill it in");
    };
    match name {
        "akamai" => {
            for field in ["accessTokenSecretRef", "clientSecretSecretRef", "clientTokenSecretRef"] {
                secret(wrong, &settings.get(field));
            }
            required(wrong, "serviceConsumerDomain");
        }
        "azureDNS" => azure(wrong, settings),
        "cloudDNS" => {
            written(wrong, &settings.get("serviceAccountSecretRef"));
            required(wrong, "project");
        }
        "cloudflare" => cloudflare(wrong, settings),
        "route53" => {
            let reference = settings.get("accessKeyIDSecretRef");
            if settings.get("accessKeyID").opt().is_some() && reference.present() {
                let message = "accessKeyID and accessKeyIDSecretRef cannot both be specified";
                wrong.say(settings, message, "leave one of them out");
            }
            written(wrong, &reference);
        }
        "acmeDNS" => {
            secret(wrong, &settings.get("accountSecretRef"));
            required(wrong, "host");
        }
        "digitalocean" => secret(wrong, &settings.get("tokenSecretRef")),
        "rfc2136" => rfc2136(wrong, settings),
        "webhook" => {
            let hint = "write the name that the webhook's program has for its solver";
            wrong.filled(&settings.get("solverName"), "solver name must be specified", hint);
        }
        _ => {}
    }
}

/// A reference that may be left out.
fn written(wrong: &mut Wrong, reference: &Node<'_>) {
    if reference.present() {
        secret(wrong, reference);
    }
}

fn cloudflare(wrong: &mut Wrong, settings: &Node<'_>) {
    let (key, token) = (settings.get("apiKeySecretRef"), settings.get("apiTokenSecretRef"));
    written(wrong, &key);
    written(wrong, &token);
    match (key.present(), token.present()) {
        (true, true) => {
            let message = "apiKeySecretRef and apiTokenSecretRef cannot both be specified";
            wrong.say(settings, message, "leave apiTokenSecretRef, and remove the other");
        }
        (false, false) => {
            let message = "apiKeySecretRef or apiTokenSecretRef is required";
            wrong.say(settings, message, "name the Secret with the token in apiTokenSecretRef");
        }
        _ => {}
    }
    if key.present() {
        wrong.filled(&settings.get("email"), REQUIRED, "write the account's address");
    }
}

fn azure(wrong: &mut Wrong, settings: &Node<'_>) {
    let set = |field: &str| settings.get(field).opt().is_some();
    let (client, identity) = (settings.get("clientSecretSecretRef"), settings.get("managedIdentity"));
    if set("clientID") || set("tenantID") || client.present() {
        wrong.filled(&settings.get("clientID"), REQUIRED, "fill it in");
        if client.present() {
            secret(wrong, &client);
        } else {
            wrong.say(&client, REQUIRED, "name the Secret with the client's secret");
        }
        wrong.filled(&settings.get("tenantID"), REQUIRED, "fill it in");
        if identity.present() {
            let message = "managed identity cannot be used at the same time as clientID, clientSecretSecretRef or tenantID";
            wrong.say(&identity, message, "leave one of them out");
        }
    } else if identity.present() {
        let set = |field: &str| identity.get(field).opt().is_some();
        let mut say = |message: &str| wrong.say(&identity, message, "leave one of them out");
        if set("clientID") && set("resourceID") {
            say("managedIdentityClientID and managedIdentityResourceID cannot both be specified");
        }
        if set("tenantID") && set("resourceID") {
            say("managedIdentityTenantID and managedIdentityResourceID cannot both be specified");
        }
        if set("tenantID") && !set("clientID") {
            say("managedIdentityClientID is required when using managedIdentityTenantID");
        }
    }
    for field in ["subscriptionID", "resourceGroupName"] {
        wrong.filled(&settings.get(field), REQUIRED, "fill it in");
    }
    let cloud = settings.get("environment");
    if cloud.opt().is_some_and(|cloud| !CLOUDS.contains(&&*cloud)) {
        let message = format!("must be either empty or one of {}", CLOUDS.join(", "));
        wrong.say(&cloud, message, "write AzurePublicCloud, or leave it out");
    }
}

fn rfc2136(wrong: &mut Wrong, settings: &Node<'_>) {
    let server = settings.get("nameserver");
    match server.opt() {
        None => wrong.say(&server, REQUIRED, "write the server's address, such as 192.0.2.53:53"),
        Some(text) if !is_nameserver(&text) => {
            let message = "nameserver must be set in the form host:port where host is an IPv4 address, an enclosed IPv6 address or a hostname and port is an optional port number.";
            wrong.say(&server, message, "write it like 192.0.2.53:53 or [2001:db8::53]:53");
        }
        Some(_) => {}
    }
    let algorithm = settings.get("tsigAlgorithm");
    if algorithm.opt().is_some_and(|text| !TSIG.contains(&&*text.to_ascii_uppercase())) {
        let message =
            format!("Unsupported value: supported values: {}", TSIG.map(|one| format!("{one:?}")).join(", "));
        wrong.say(&algorithm, message, "write one of these");
    }
    let reference = settings.get("tsigSecretSecretRef");
    let whole = ["name", "key"].into_iter().all(|field| reference.get(field).opt().is_some());
    let key = settings.get("tsigKeyName");
    if key.opt().is_some() {
        secret(wrong, &reference);
    } else if whole {
        wrong.say(&key, REQUIRED, "write the name that the key has at the server");
    }
}

/// `ValidNameserver` with Go's `net.SplitHostPort`: a port may be left out, an address of IPv6 stands in brackets.
fn is_nameserver(text: &str) -> bool {
    let text = text.trim();
    let Some(colon) = text.rfind(':') else { return !text.trim_matches(['[', ']']).is_empty() };
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else { return false };
        let brackets = |text: &str| text.contains(['[', ']']);
        return match after.strip_prefix(':') {
            _ if brackets(host) || brackets(after) => false,
            Some(port) => !host.is_empty() && !port.contains(':'),
            // Without a port the brackets alone are taken away.
            None => after.is_empty() && !host.is_empty(),
        };
    }
    let host = &text[..colon];
    !host.is_empty() && !host.contains([':', '[', ']']) && !text[colon..].contains(['[', ']'])
}
