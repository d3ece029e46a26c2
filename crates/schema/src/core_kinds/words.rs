//! Names and ports that only Kubernetes' own kinds have, with its words for what is wrong.

pub(super) use crate::names::{dns_1035, label, label_key, label_value, subdomain};

/// `IsValidPortNum`.
pub fn port(number: i64) -> Vec<String> {
    if (1..=65_535).contains(&number) {
        vec![]
    } else {
        vec!["must be between 1 and 65535, inclusive".to_owned()]
    }
}

/// `IsValidPortName`.
pub fn port_name(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |wrong: bool, words: &str| {
        if wrong {
            out.push(words.to_owned());
        }
    };
    say(name.len() > 15, "must be no more than 15 characters");
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    say(
        name.is_empty() || !name.bytes().all(plain),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    say(!name.bytes().any(|b| b.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    say(name.contains("--"), "must not contain consecutive hyphens");
    say(name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen");
    out
}

/// `IsConfigMapKey`.
pub fn data_key(key: &str) -> Vec<String> {
    let mut out = Vec::new();
    if key.len() > 253 {
        out.push("must be no more than 253 characters".to_owned());
    }
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')) {
        out.push("a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')".to_owned());
    }
    match key {
        "." => out.push("must not be '.'".to_owned()),
        ".." => out.push("must not be '..'".to_owned()),
        key if key.starts_with("..") => out.push("must not start with '..'".to_owned()),
        _ => {}
    }
    out
}

/// `IsWildcardDNS1123Subdomain`.
pub fn wildcard(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    if name.len() > 253 {
        out.push("must be no more than 253 characters".to_owned());
    }
    let fits = name
        .strip_prefix("*.")
        .is_some_and(|rest| subdomain(rest).iter().all(|words| words.starts_with("must be no more")));
    if !fits {
        out.push("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".to_owned());
    }
    out
}

/// `IsPathSegmentName`.
pub fn path_segment(name: &str) -> Vec<String> {
    match name {
        "." => return vec!["may not be '.'".to_owned()],
        ".." => return vec!["may not be '..'".to_owned()],
        _ => {}
    }
    let parts = ["/", "%"].into_iter().filter(|part| name.contains(part));
    parts.map(|part| format!("may not contain '{part}'")).collect()
}

/// `IsDomainPrefixedPath`, of a path that is not empty: what is wrong, with the part that is.
pub fn domain_path(path: &str) -> Vec<(String, String)> {
    let halves = path.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty());
    let Some((host, rest)) = halves else {
        return vec![(
            path.to_owned(),
            "must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned(),
        )];
    };
    let mut out: Vec<_> = subdomain(host).into_iter().map(|words| (host.to_owned(), words)).collect();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(fits) {
        let words = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        out.push((rest.to_owned(), words.to_owned()));
    }
    out
}

/// `IsFullyQualifiedDomainName`, of a name that is not empty.
pub fn domain(name: &str) -> Vec<(String, String)> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let wrong = subdomain(name);
    if !wrong.is_empty() {
        return vec![(name.to_owned(), wrong.join(","))];
    }
    if !name.contains('.') {
        return vec![(
            name.to_owned(),
            "should be a domain with at least two segments separated by dots".to_owned(),
        )];
    }
    let parts = name.split('.').map(|part| (part, label(part)));
    parts
        .filter(|(_, wrong)| !wrong.is_empty())
        .map(|(part, wrong)| (part.to_owned(), wrong.join(",")))
        .take(1)
        .collect()
}
