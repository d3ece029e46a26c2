//! The hostname that a user means: a name, or an address as it stands in a browser.

/// The name in a text such as `https://App1.dev.example.com:8443/path` or `app1.dev.example.com.`.
///
/// # Errors
/// A sentence when there is none.
pub fn parse(text: &str) -> Result<String, String> {
    let rest = text.trim();
    let rest = match rest.split_once("://") {
        Some((_, rest)) => rest,
        None => rest,
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let name = match rest.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => rest,
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let good = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
    };
    if name == "*" || labels.split('.').all(good) {
        return Ok(name);
    }
    Err(format!(
        "{text:?} names no host; write a name such as app1.example.com, or an address such as https://app1.example.com/"
    ))
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
    fn wildcards_from_the_nearest() {
        let all: Vec<String> = wildcards("a.b.example.com").collect();
        assert_eq!(all, ["*.b.example.com", "*.example.com", "*.com"]);
    }
}
