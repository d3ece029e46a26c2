//! The filter CORS.

use portolan_model::{Name, input::Cors, intake::hostname};

use super::{
    Wrong,
    matches::METHODS,
    text::{is_token, shown},
};

/// Judges what stands at `field`: what is no origin, method or header may be meant to restrict.
pub(super) fn judge(cors: &Cors, field: &str) -> Option<Wrong> {
    let list = |name: &str, all: &[Name], good: fn(&str) -> bool, message: &str, hint: &'static str| {
        let at = all.iter().position(|one| !good(one))?;
        Some(Wrong::new(format!("{field}.{name}[{at}]"), format!("{} {message}", shown(&all[at])), hint))
    };
    let origins = "write a scheme and a host, such as https://app.example.com or https://*.example.com:8443";
    let methods = "use GET, POST or another in capital letters, or * alone";
    let headers = "use the name of a header, or * alone";
    list("allowOrigins", &cors.origins, is_origin, "is no origin", origins)
        .or_else(|| list("allowMethods", &cors.methods, is_method, "is no method", methods))
        .or_else(|| list("allowHeaders", &cors.headers, is_token, "is no header name", headers))
        .or_else(|| list("exposeHeaders", &cors.expose, is_token, "is no header name", headers))
}

fn is_method(text: &str) -> bool {
    text == "*" || METHODS.contains(&text)
}

/// `CORSOrigin`: scheme, host and perhaps a port; the host may be `*` or begin with `*.`.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let port = port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let address = host.parse::<std::net::Ipv4Addr>().is_ok();
    matches!(scheme, "http" | "https") && port && (host == "*" || address || hostname(host).is_some())
}

/// How many of its origins are expressions to Envoy.
pub(super) fn expressions(cors: &Cors) -> usize {
    cors.origins.iter().filter(|origin| origin.contains("://*")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for text in [
            "*",
            "https://*",
            "https://*:8443",
            "http://*.example.com",
            "https://a.example.com:65535",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
        ] {
            assert!(is_origin(text), "{text}");
        }
        for text in [
            "a.example.com",
            "ftp://a.example.com",
            "https://a.example.com/",
            "https://a.example.com:0",
            "https://a.example.com:65536",
            "https://a.example.com:",
            "https://a*.example.com",
            "https://a.*.com",
            "https://",
            "null",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
