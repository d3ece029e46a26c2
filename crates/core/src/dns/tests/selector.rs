//! Selectors as text: Kubernetes' grammar.

use std::collections::BTreeMap;

use portolan_model::Name;

use crate::dns::selector::{parse, parse_plain};

#[test]
fn a_selector_means_what_kubernetes_means_by_it() {
    let labels: BTreeMap<Name, Name> = [("team", "a"), ("empty", ""), ("n", "7"), ("x.example/in", "in")]
        .map(|(k, v)| (k.into(), v.into()))
        .into();
    for (text, matches) in [
        ("", true),
        ("  ", true),
        ("team", true),
        ("!team", false),
        ("! other", true),
        ("team=a", true),
        ("team == a , n", true),
        ("team=b", false),
        ("team!=b", true),
        ("team!=a", false),
        ("other!=a", true),
        ("other=", false),
        ("empty=", true),
        ("empty=,team=a", true),
        ("team=", false),
        ("team in (b,a)", true),
        ("team in(b)", false),
        ("other in (a)", false),
        ("team notin (b, c)", true),
        ("other notin (a)", true),
        ("team notin (a)", false),
        ("empty in (,a)", true),
        ("empty in (a,)", true),
        ("x.example/in=in", true),
        ("n>6,n<8", true),
        ("n>7", false),
        ("team>1", false),
    ] {
        let selector = parse(text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
        assert_eq!(selector.matches(&labels), matches, "{text:?}");
    }
}

#[test]
fn what_kubernetes_refuses_is_refused() {
    let long = format!("a={}", "b".repeat(64));
    for text in [
        ",",
        "a,",
        ",a",
        "a,,b",
        "a b",
        "a=b c",
        "a in",
        "a in b",
        "a in ()",
        "a in (b",
        "a notin (b))",
        "=a",
        "!",
        "!a=b",
        "a=!b",
        "a=b/c",
        "-a",
        "a/",
        "A.b/c",
        "/a",
        "a>b",
        "a>",
        "a in (b c)",
        "ä",
        &long,
    ] {
        assert!(parse(text).is_err(), "{text:?} is taken");
    }
    // An annotation filter is narrower: it passes through `metav1.LabelSelector`.
    for text in ["a!=b", "a>1", "a<1"] {
        assert!(parse(text).is_ok() && parse_plain(text).is_err(), "{text:?}");
    }
    assert!(parse_plain("a notin (b),!c,d=e").is_ok());
}
