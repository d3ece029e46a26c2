use std::collections::BTreeMap;

use portolan_model::{
    Name, Severity,
    dns::{InvalidName, RecordType},
};

use crate::dns::{
    DnsProblem, HostnameSource,
    annotations::{
        ALPHA, Annotations, Prefix, STABLE,
        family::{On, unused},
        read,
    },
    targets::record_sets,
};

fn of(pairs: &[(&str, &str, &str)]) -> (Annotations, Vec<DnsProblem>) {
    let map: BTreeMap<Name, String> = pairs
        .iter()
        .map(|(prefix, key, value)| (format!("{prefix}{key}").into(), (*value).to_owned()))
        .collect();
    read(&map, &Prefix::Both)
}

#[test]
fn both_prefixes_are_read() {
    for prefix in [STABLE, ALPHA] {
        let (found, problems) = of(&[
            (prefix, "hostname", "A.example.com., b.example.com,,a.example.com"),
            (prefix, "target", " 192.0.2.1 ,2001:DB8::1, LB.example.net."),
            (prefix, "ttl", "5m"),
            (prefix, "gateway-hostname-source", "Annotation-Only"),
            (prefix, "controller", "dns-controller"),
        ]);
        assert_eq!(problems, []);
        let expected = Annotations {
            hostnames: vec!["a.example.com".into(), "b.example.com".into()],
            targets: vec!["192.0.2.1".into(), "2001:db8::1".into(), "lb.example.net".into()],
            ttl: Some(300),
            ignored: false,
            hostname_source: HostnameSource::AnnotationOnly,
            ..Annotations::default()
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn what_cannot_be_a_target_is_none() {
    for (text, targets, wrong) in [
        (
            "https://lb.example.net, 10.0.0.300, lb.example.net:443, ok.example.net",
            &["ok.example.net"][..],
            3,
        ),
        ("_x1.acm-validations.example", &["_x1.acm-validations.example"][..], 0),
        ("10.0.0.300", &[][..], 1),
        ("", &[][..], 0),
    ] {
        let (found, problems) = of(&[(ALPHA, "target", text)]);
        assert_eq!(found.targets, targets, "{text}");
        assert_eq!(problems.len(), wrong, "{text}");
        assert_eq!(found.no_target, text == "10.0.0.300", "{text}: unset is not wrong");
    }
}

#[test]
fn the_stable_prefix_wins_and_a_difference_is_reported() {
    let (found, problems) = of(&[(STABLE, "ttl", "60"), (ALPHA, "ttl", "90")]);
    assert_eq!(found.ttl, Some(60));
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.code().to_string(), "PTL-0400");
    assert_eq!(problem.field(), "metadata.annotations[external-dns.alpha.kubernetes.io/ttl]");
    let (_, problems) = of(&[(STABLE, "ttl", "60"), (ALPHA, "ttl", "60")]);
    assert_eq!(problems, [], "equal values are no conflict");
}

#[test]
fn durations_are_gos() {
    for (text, seconds) in [
        ("300", Some(300)),
        ("1h30m", Some(5400)),
        ("1.5h", Some(5400)),
        ("90s", Some(90)),
        ("0.5m500ms", Some(30)),
        ("2147483647", Some(2_147_483_647)),
        ("2147483648", None),
        ("0", None),
        ("500ms", None),
        ("-5", None),
        ("-5s", None),
        ("5 m", None),
        ("5d", None),
        (".s", None),
        ("", None),
        ("99999999999999999999999h", None),
    ] {
        let (found, problems) = of(&[(ALPHA, "ttl", text)]);
        assert_eq!(found.ttl, seconds, "{text}");
        assert_eq!(problems.is_empty(), seconds.is_some(), "{text}");
    }
}

#[test]
fn other_controllers_objects_are_ignored() {
    let said = |value: &str| {
        let (found, problems) = of(&[(ALPHA, "controller", value)]);
        assert!(found.ignored, "{value}");
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!(problem.field(), "metadata.annotations[external-dns.alpha.kubernetes.io/controller]");
        (problem.code().0, problem.severity())
    };
    assert_eq!(said("cloud"), (405, Severity::Info));
    // Else its name is missing without a word.
    for misspelt in ["dns-controler", "dns-Controller", ""] {
        assert_eq!(said(misspelt), (405, Severity::Warning), "{misspelt}");
    }
    let (found, problems) = of(&[(ALPHA, "controller", "dns-controller")]);
    assert!(!found.ignored && problems.is_empty());
    assert!(!of(&[]).0.ignored);
}

#[test]
fn invalid_parts_are_reported_and_the_rest_counts() {
    let (found, problems) =
        of(&[(ALPHA, "hostname", "a..b,bücher.x,good.x"), (ALPHA, "gateway-hostname-source", "all")]);
    assert_eq!(found.hostnames, ["good.x"]);
    assert_eq!(found.hostname_source, HostnameSource::Both);
    let why: Vec<_> = problems
        .iter()
        .filter_map(|p| if let DnsProblem::InvalidName { why, .. } = p { Some(*why) } else { None })
        .collect();
    assert_eq!(why, [InvalidName::EmptyLabel, InvalidName::NotAscii]);
    assert!(matches!(problems[2], DnsProblem::UnknownHostnameSource { .. }));
}

#[test]
fn targets_choose_the_type() {
    let sets = record_sets(&"a.x".into(), &["192.0.2.2", "lb.y", "::1", "192.0.2.1"], Some(60));
    let shown: Vec<_> = sets.iter().map(|set| (set.r#type, set.values.join(" "))).collect();
    assert_eq!(
        shown,
        [
            (RecordType::A, "192.0.2.1 192.0.2.2".to_owned()),
            (RecordType::Aaaa, "::1".to_owned()),
            (RecordType::Cname, "lb.y".to_owned()),
        ]
    );
}

#[test]
fn what_is_no_host_is_left_out() {
    let text = "https://a.lab.example.net, my_app.x, ,10.0.0.5, B.LAB.example.net., -x.y, a.x/api, c.x:8443, *.w.x, a.*.x";
    let (found, problems) = of(&[(ALPHA, "hostname", text)]);
    assert_eq!(found.hostnames, ["b.lab.example.net", "*.w.x"]);
    let bad: Vec<_> = problems
        .iter()
        .filter_map(|p| match p {
            DnsProblem::InvalidName { value, why, .. } => Some((value.as_str(), *why)),
            _ => None,
        })
        .collect();
    assert_eq!(
        bad,
        [
            ("https://a.lab.example.net", InvalidName::NotHost),
            ("my_app.x", InvalidName::NotHost),
            ("10.0.0.5", InvalidName::Address),
            ("-x.y", InvalidName::NotHost),
            ("a.x/api", InvalidName::NotHost),
            ("c.x:8443", InvalidName::NotHost),
            ("a.*.x", InvalidName::NotHost),
        ]
    );
    assert!(problems.iter().all(|problem| problem.severity() == portolan_model::Severity::Warning));
}

#[test]
fn annotations_without_effect_are_named() {
    let said = |on, pairs: &[(&str, &str)]| -> Vec<String> {
        let map = pairs.iter().map(|(k, v)| (format!("{STABLE}{k}").into(), (*v).to_owned())).collect();
        let problems = unused(&map, &Prefix::Both, on);
        problems.iter().map(|problem| format!("{} {}", problem.message(), problem.hint())).collect()
    };
    let used = [("hostname", "a.x"), ("ttl", "5"), ("controller", "x"), ("gateway-hostname-source", "")];
    assert!(said(On::Route, &used).is_empty());
    assert!(said(On::Gateway, &[("target", "a.x"), ("controller", "x")]).is_empty());
    for (on, key, part) in [
        (On::Route, "target", "read on Gateways only"),
        (On::Route, "hostnames", "hostname may be meant"),
        (On::Route, "aws-weight", "no whole number from 0 to 255"),
        (On::Route, "set-identifier", "which are one here"),
        (On::Gateway, "set-identifier", "read on routes only"),
        (On::Route, "aws-region", "records of a cloud provider"),
        (On::Route, "cloudflare-proxied", "records of a cloud provider"),
        (On::Route, "cloudflare-proxed", "cloudflare-proxied may be meant"),
        (On::Route, "alias", "records of a cloud provider"),
        (On::Route, "internal-hostname", "Services, Pods or Ingresses"),
        (On::Route, "weight", "remove it"),
        (On::Gateway, "ttl", "read on routes only"),
        (On::Gateway, "aws-evaluate-target-health", "records of a cloud provider"),
    ] {
        let said = said(on, &[(key, "x")]);
        assert!(said.len() == 1 && said[0].contains(part), "{key}: {said:?}");
    }
    let own = Prefix::One("dns.example.com/".into());
    let map = [
        ("dns.example.com/targets".into(), String::new()),
        (format!("{STABLE}targets").into(), String::new()),
    ];
    assert_eq!(unused(&map.into(), &own, On::Route).len(), 1, "the prefix that is read");
}
