//! `--fqdn-template`.

use portolan_model::{Instant, NamespacedName, RouteKey, RouteKind, input::Route};

use crate::dns::template::Templates;

fn route() -> Route {
    Route {
        key: RouteKey { kind: RouteKind::Http, name: NamespacedName::new("team-a", "Shop-v1") },
        generation: 1,
        created: Instant(0),
        hostnames: vec![],
        parents: vec![],
        rules: vec![],
        labels: [("app".into(), "shop".into())].into(),
        annotations: [("x.example/host".into(), "h".to_owned())].into(),
    }
}

fn of(texts: &[&str]) -> Result<Vec<String>, String> {
    let mut templates = Templates::default();
    for text in texts {
        templates.add(text)?;
    }
    Ok(templates.names(&route()))
}

#[test]
fn names_are_made_of_fields_and_functions() {
    for (text, names) in [
        ("{{.Name}}.example.com", &["Shop-v1.example.com"][..]),
        ("{{ .Name }}.{{ .Namespace }}.example.com.", &["Shop-v1.team-a.example.com"]),
        ("{{.Labels.app}}.x, {{.Name}}.x,, a.x", &["Shop-v1.x", "a.x", "shop.x"]),
        ("{{ index .Annotations \"x.example/host\" }}.x", &["h.x"]),
        ("{{ index .Labels \"none\" }}.x", &[".x"]),
        ("{{ .Labels.none }}.x", &["<no value>.x"]),
        ("{{ toLower .Name }}.x", &["shop-v1.x"]),
        ("{{ trimSuffix (toLower .Name) \"-v1\" }}.x", &["shop.x"]),
        ("{{ .Name | toLower | replace \"-\" \"0\" }}.x", &["shop0v1.x"]),
        ("a.x{{/* none */}}", &["a.x"]),
        ("a {{- .Kind -}} .x", &["aHTTPRoute.x"]),
        ("", &[]),
    ] {
        assert_eq!(
            of(&[text]).as_deref(),
            Ok(names.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
            "{text}"
        );
    }
    assert_eq!(of(&["{{.Name}}.a", "{{.Name}}.b"]).unwrap(), ["Shop-v1.a", "Shop-v1.b"]);
}

#[test]
fn what_is_not_understood_is_said() {
    for text in [
        "{{ if .Labels.x }}a.x{{ end }}",
        "{{ range .Spec.Hostnames }}{{ . }}{{ end }}",
        "{{ .Spec.Hostnames }}",
        "{{ .Name",
        "{{ }}",
        "{{ upper .Name }}",
        "{{ toLower .Name .Namespace }}",
        "{{ .Name | .Namespace }}",
        "{{ .Name .Namespace }}",
        "{{ (.Name }}",
        "{{ index .Spec \"a\" }}",
        "{{ .Labels.my-app }}",
        "{{ \"open }}",
    ] {
        assert!(of(&[text]).is_err(), "{text}");
    }
}
