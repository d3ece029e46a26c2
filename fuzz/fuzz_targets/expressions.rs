//! The small languages of fields: RE2, expressions of domain filters, templates of names, selectors, annotations, durations.
#![no_main]

use std::collections::BTreeMap;

use portolan_core::dns::{annotations, pattern::Pattern};
use portolan_fuzz::{parts, target};
use portolan_model::{Instant, dns::normal_name, re2, shown, veil::Veil};

target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let cost = re2::check(text);
    if let Err(why) = &cost {
        assert!(!why.is_empty());
    }
    let literal = re2::literal_prefix(text);
    assert!(literal == "/" || text.trim_start_matches('^').starts_with(literal), "{literal:?}");
    if let Ok(pattern) = Pattern::new(text) {
        assert!(cost.is_ok(), "RE2 takes what a filter takes");
        let _ = pattern.is_in("a.b.example.com");
    }
    if let Ok(host) = annotations::hostname(text) {
        assert_eq!(normal_name(&host).as_ref(), Ok(&host));
    }
    if let Some(instant) = Instant::parse(text) {
        assert_eq!(Instant::parse(&instant.rfc3339()).map(Instant::seconds), Some(instant.seconds()));
    }
    // What a terminal would obey is written out, once and for all.
    for plain in [shown::text(text), shown::lines(text)] {
        assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
    }
    assert_eq!(shown::text(&shown::text(text)), shown::text(text));
    let all: Vec<&str> = parts(text).collect();
    let read = annotations::STABLE;
    let keys = [
        "hostname",
        "target",
        "ttl",
        "controller",
        "gateway-hostname-source",
        "set-identifier",
        "aws-weight",
    ];
    let written: BTreeMap<_, _> = keys
        .iter()
        .zip(&all)
        .map(|(key, value)| (format!("{read}{key}").into(), (*value).to_owned()))
        .collect();
    let (made, _) = annotations::read(&written, &annotations::Prefix::default());
    for name in made.hostnames {
        assert_eq!(normal_name(&name).as_ref(), Ok(&name));
    }
    if let [name, value, rest @ ..] = &all[..] {
        let mut veil = Veil::default();
        veil.add(name, value);
        let _ = veil.cover(rest.first().unwrap_or(value));
    }
});
