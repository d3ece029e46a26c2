use portolan_model::{ObjectKey, dns::RecordType};

use crate::dns::{DnsProblem, Ownership, Registry, registry::resource_label};

#[test]
fn names_follow_external_dns() {
    use RecordType::{A, Aaaa, Cname, Txt};
    for (prefix, suffix, wildcard, r#type, name, txt) in [
        ("", "", "", A, "app.example.com", "a-app.example.com"),
        ("", "", "", Aaaa, "app.example.com", "aaaa-app.example.com"),
        ("", "", "", Cname, "app.example.com", "cname-app.example.com"),
        ("", "", "", Txt, "app.example.com", "txt-app.example.com"),
        ("", "", "", A, "example.com", "a-example.com"),
        ("", "", "", A, "com", "a-com"),
        ("", "", "", A, "*.example.com", "a-*.example.com"),
        ("", "", "any", A, "*.example.com", "a-any.example.com"),
        ("", "", "any", A, "*-x.example.com", "a-*-x.example.com"),
        ("Foo-", "", "", A, "app.example.com", "foo-a-app.example.com"),
        ("foo.", "", "", A, "app.example.com", "foo.a-app.example.com"),
        ("", "-Foo", "", Cname, "app.example.com", "cname-app-foo.example.com"),
        ("%{record_type}-", "", "", A, "app.example.com", "a-app.example.com"),
        ("x-%{record_type}.", "", "", A, "example.com", "x-a.example.com"),
        ("p%{record_type}x", "", "any", Aaaa, "*.example.com", "paaaaxany.example.com"),
        ("", "-%{record_type}", "", A, "app.example.com", "app-a.example.com"),
        ("", "", "", A, "a\\.b.example.com", "a-a\\.b.example.com"),
    ] {
        let registry = Registry::new(prefix, suffix, wildcard).unwrap();
        assert_eq!(
            registry.txt_name(&name.into(), r#type).unwrap(),
            txt,
            "{prefix} {suffix} {wildcard} {name}"
        );
    }
}

#[test]
fn a_registry_name_is_of_the_name_that_it_was_made_of() {
    for (prefix, suffix, wildcard) in [
        ("", "", ""),
        ("p-%{record_type}.", "", "any"),
        ("", "-s", "any"),
        // Found by the fuzz target `registry`: written out in the name that stands in the zone.
        ("a b", "", "c d"),
        ("", "\t-", "\u{7f}"),
        ("", "-s", "any.of"),
        ("p-", "", ".any"),
        // An affix whose dot is cut at the end of the whole name.
        ("", "w.", ""),
        ("p-%{record_type}.", "", ""),
        ("", "", "any."),
        ("", "w.", "any."),
    ] {
        let registry = Registry::new(prefix, suffix, wildcard).unwrap();
        for name in ["app.example.com", "*.example.com", "s\\.p\\ \\200.example.com", "app", "*", "a\\.", ""]
        {
            for r#type in RecordType::ALL {
                // Below the root, a stand-in with a dot at its end makes a label of nothing.
                let Ok(txt) = registry.txt_name(&name.into(), r#type) else {
                    assert!(
                        suffix.ends_with('.') || wildcard.ends_with('.'),
                        "{prefix} {suffix} {wildcard} {name}"
                    );
                    continue;
                };
                assert!(registry.spoken_of(&txt).contains(&name.into()), "{txt}");
            }
        }
    }
}

#[test]
fn a_label_that_the_type_makes_too_long_is_a_problem() {
    let name = format!("{}.example.com", "a".repeat(60));
    let registry = Registry::default();
    assert!(registry.txt_name(&name.as_str().into(), RecordType::A).is_ok());
    let refused = registry.txt_name(&name.as_str().into(), RecordType::Aaaa);
    assert!(matches!(refused, Err(DnsProblem::RegistryNameInvalid { .. })), "{refused:?}");
}

#[test]
fn prefix_and_suffix_exclude_each_other() {
    assert_eq!(Registry::new("a", "b", ""), Err(DnsProblem::PrefixAndSuffix));
}

#[test]
fn values_are_written_as_external_dns_writes_them() {
    let route = ObjectKey::new("gateway.networking.k8s.io", "HTTPRoute", "team-a", "app1");
    let text = Ownership::new("dev-01", &resource_label(&route)).text();
    assert_eq!(
        text,
        "heritage=external-dns,external-dns/owner=dev-01,external-dns/resource=httproute/team-a/app1"
    );
    assert_eq!(Ownership::parse(&text).unwrap().text(), text);
}

#[test]
fn values_are_read_with_upstreams_tolerance() {
    let owner = |text: &str| Ownership::parse(text).map(|o| o.owner().unwrap_or_default().to_owned());
    for (text, expected) in [
        ("heritage=external-dns,external-dns/owner=me", Some("me")),
        ("\"heritage=external-dns,external-dns/owner=me\"", Some("me")),
        ("external-dns/owner=me,heritage=external-dns", Some("me")),
        ("heritage=external-dns,external-dns/owner=a=b", Some("a=b")),
        ("heritage=external-dns,nonsense,other=x,external-dns/owner=me", Some("me")),
        ("heritage=external-dns", Some("")),
        ("heritage=mate,external-dns/owner=me", None),
        ("external-dns/owner=me", None),
        ("v=spf1 -all", None),
        ("", None),
    ] {
        assert_eq!(owner(text).as_deref(), expected, "{text}");
    }
    let kept = "heritage=external-dns,external-dns/owner=me,external-dns/zz=1";
    assert_eq!(Ownership::parse(kept).unwrap().text(), kept, "labels of other tools survive");
}
