//! The hostname that a user means: a name, or an address as it stands in a browser.

use serde_json::Value;

/// What somebody asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name, in lower case.
    pub name: String,
    /// The port, where one is written.
    pub port: Option<u16>,
    /// Whether `https` is written, or `http`; `None` where neither is.
    pub https: Option<bool>,
}

/// The name in a text such as `https://App1.dev.example.com:8443/path` or `app1.dev.example.com.`.
///
/// # Errors
/// A sentence when there is none.
pub fn parse(text: &str) -> Result<String, String> {
    asked(text).map(|asked| asked.name)
}

/// The same, with scheme and port.
///
/// # Errors
/// A sentence when there is no name, or the port is none.
pub fn asked(text: &str) -> Result<Asked, String> {
    let rest = text.trim();
    let (https, rest) = match rest.split_once("://") {
        Some((scheme, rest)) => {
            let known = [("https", true), ("http", false)];
            let known = known.into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
            (known.map(|(_, https)| https), rest)
        }
        None => (None, rest),
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let (name, port) = match rest.rsplit_once(':') {
        // A colon alone is how URLs may leave the port out (RFC 3986 section 3.2.3).
        Some((name, "")) => (name, None),
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => {
            let port = port.parse().ok().filter(|port| *port > 0);
            let wrong = || format!("{text:?} names no port; ports are 1 to 65535");
            (name, Some(port.ok_or_else(wrong)?))
        }
        _ => (rest, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let good = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
    };
    if name == "*" || labels.split('.').all(good) {
        return Ok(Asked { name, port, https });
    }
    Err(format!(
        "{text:?} names no host; write a name such as app1.example.com, or an address such as https://app1.example.com/"
    ))
}

/// Whether a text is an object as `status` shows it (`HTTPRoute/team-a/app1`), and no host with a path.
pub fn is_object(text: &str) -> bool {
    const KINDS: [&str; 8] =
        ["gateway", "service", "ingress", "ingresses", "certificate", "secret", "listenerset", "application"];
    let Some((kind, rest)) = text.trim().split_once('/') else { return false };
    if kind.contains(['.', ':']) || rest.is_empty() {
        return false;
    }
    // Nobody writes a host without a dot in capitals of that kind.
    let camel =
        kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.contains(|c: char| c.is_ascii_lowercase());
    let lower = kind.to_ascii_lowercase();
    let one = lower.strip_suffix('s').unwrap_or(&lower);
    camel || one.ends_with("route") || KINDS.contains(&one) || KINDS.contains(&&*lower)
}

/// Whether a text is NAMESPACE/NAME of an object, and no host with a path: a host has a dot, a port or a scheme.
pub fn is_name_of_object(text: &str) -> bool {
    let Some((namespace, name)) = text.trim().split_once('/') else { return false };
    let plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain(namespace) && plain(name) && namespace != "localhost"
}

/// What to say of it: the hostnames of the route that is called so.
pub fn of_object(status: &Value, name: &str) -> String {
    let entries = status["entryPoints"].as_array().into_iter().flatten();
    let own = entries.filter(|entry| {
        entry["route"].as_str().and_then(|route| route.split_once('/')).is_some_and(|(_, own)| own == name)
    });
    let hosts: Vec<&str> = own.filter_map(|entry| entry["hostname"].as_str()).collect();
    match &hosts[..] {
        [] => format!(
            "explain takes a hostname, and {name} is none, nor a route that has one; hostnames with their routes are listed by: portolan status"
        ),
        [host] => format!("{name} is a route, and explain takes a hostname; write: portolan explain {host}"),
        hosts => {
            format!("{name} is a route, and explain takes a hostname; its hostnames are {}", hosts.join(", "))
        }
    }
}

/// The served wildcard that takes a name, the nearest first.
pub fn wildcards(name: &str) -> impl Iterator<Item = String> {
    name.match_indices('.').map(|(at, _)| format!("*{}", &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_what_people_paste() {
        for text in [
            "app1.dev.example.com",
            "APP1.dev.Example.com.",
            "https://app1.dev.example.com:8443/path?x=1#y",
            "http://user@app1.dev.example.com/",
            " app1.dev.example.com:443 ",
            "app1.dev.example.com/x:y",
        ] {
            assert_eq!(parse(text).as_deref(), Ok("app1.dev.example.com"), "{text}");
        }
        assert_eq!(parse("*").as_deref(), Ok("*"));
        assert_eq!(parse("*.dev.example.com").as_deref(), Ok("*.dev.example.com"));
        assert_eq!(parse("127.0.0.1:80").as_deref(), Ok("127.0.0.1"));
        for text in ["", "https://", "../down", "a b", "a..b", "a,b", "%2e"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_object_is_no_host_with_a_path() {
        for text in
            ["HTTPRoute/team-a/app1", "httproutes/app1", "Gateway/edge/shared", "Ingress/a/b", "ingresses/a"]
        {
            assert!(is_object(text), "{text}");
        }
        for text in [
            "app1.dev.example.com/x",
            "localhost/x",
            "https://HTTPRoute/x",
            "app1",
            "HTTPRoute/",
            "App1.example.com/x",
        ] {
            assert!(!is_object(text), "{text}");
        }
    }

    #[test]
    fn scheme_and_port_are_kept() {
        let of = |text: &str| asked(text).map(|asked| (asked.port, asked.https));
        assert_eq!(of("HTTPS://a.example.com:8443/x"), Ok((Some(8443), Some(true))));
        assert_eq!(of("http://a.example.com/x:1"), Ok((None, Some(false))));
        assert_eq!(of("a.example.com:80"), Ok((Some(80), None)));
        assert_eq!(of("wss://a.example.com:/"), Ok((None, None)));
        for text in ["a.example.com:0", "a.example.com:65536", "https://a.example.com:99999999999/"] {
            assert!(of(text).is_err_and(|why| why.contains("names no port")), "{text}");
        }
    }

    #[test]
    fn wildcards_from_the_nearest() {
        let all: Vec<String> = wildcards("a.b.example.com").collect();
        assert_eq!(all, ["*.b.example.com", "*.example.com", "*.com"]);
    }
}
