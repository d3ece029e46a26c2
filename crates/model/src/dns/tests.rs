#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn names_have_one_normal_form() {
    for (text, normal) in [
        ("", ""),
        (".", ""),
        ("Example.COM.", "example.com"),
        ("*.x", "*.x"),
        ("\\097.x", "a.x"),
        ("a\\.b.x", "a\\.b.x"),
        ("a\\046b.x", "a\\.b.x"),
        ("a\\032b.x", "a\\ b.x"),
        ("\\255.x", "\\255.x"),
        ("_acme-challenge.x", "_acme-challenge.x"),
    ] {
        assert_eq!(normal_name(text).unwrap(), normal, "{text}");
        assert_eq!(normal_name(normal).unwrap(), normal, "normal forms stay: {normal}");
    }
}

#[test]
fn names_that_break_the_rules_are_refused() {
    let long_label = "a".repeat(64);
    let long_name = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(62));
    for (text, why) in [
        ("a..b", InvalidName::EmptyLabel),
        (".a", InvalidName::EmptyLabel),
        (long_label.as_str(), InvalidName::LongLabel),
        (long_name.as_str(), InvalidName::LongName),
        ("bücher.x", InvalidName::NotAscii),
        ("a\\", InvalidName::Escape),
        ("a\\2", InvalidName::Escape),
        ("a\\300", InvalidName::Escape),
    ] {
        assert_eq!(labels(text), Err(why), "{text}");
    }
    assert!(labels(&long_name[1..]).is_ok(), "253 characters fit");
}

#[test]
fn zones_end_at_label_boundaries() {
    assert!(in_zone("example.com", "example.com"));
    assert!(in_zone("a.example.com", "example.com"));
    assert!(!in_zone("aexample.com", "example.com"));
    assert!(!in_zone("com", "example.com"));
    assert!(!in_zone("a\\.example.com", "example.com"), "an escaped dot is no boundary");
    assert!(in_zone("a\\\\.example.com", "example.com"), "an escaped backslash before the dot is");
    let zones = ["example.com".into(), "dev.example.com".into()];
    assert_eq!(zone_for("a.dev.example.com", &zones).unwrap(), "dev.example.com");
    assert_eq!(zone_for("a.example.com", &zones).unwrap(), "example.com");
    assert_eq!(zone_for("example.org", &zones), None);
}

#[test]
fn values_are_sorted_unique_and_canonical() {
    let set = RecordSet::new("a.x", RecordType::Aaaa, None, ["2001:DB8::0:1", "::2", "2001:db8::1"]);
    assert_eq!(set.values, ["2001:db8::1", "::2"]);
    assert_eq!(RecordSet::new("a.x", RecordType::Cname, None, ["B.X."]).values, ["b.x"]);
    assert_eq!(RecordSet::new("a.x", RecordType::Txt, None, ["B ", "B "]).values, ["B "]);
}
