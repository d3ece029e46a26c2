//! The cases of argo-cd's own tests (`types_test.go`: `TestAppProject_*`), and those that it has none of.
#![allow(clippy::unwrap_used)]

use portolan_model::Origin;
use serde_json::{Value, json};

use super::*;

const HERE: &str = "https://kubernetes.default.svc";

fn project(spec: &Value) -> Project {
    let json = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "team", "namespace": "argocd"}, "spec": spec});
    let object = Object::from_json(json, Origin::default()).unwrap();
    let by = ObjectKey::new("argoproj.io", "Application", "argocd", "root");
    Project::of(object.key.clone(), by, Some(&object))
}

/// Any repository, and these destinations as `server|name|namespace`.
fn to(destinations: &[&str]) -> Value {
    let destination = |text: &&str| {
        let part: Vec<&str> = text.split('|').collect();
        json!({"server": part[0], "name": part[1], "namespace": part[2]})
    };
    json!({"sourceRepos": ["*"], "destinations": destinations.iter().map(destination).collect::<Vec<_>>()})
}

fn judged(spec: &Value, cluster: &Cluster, into: &str, namespace: &str) -> Ruling {
    let name = Name::new("shop");
    let namespace = Name::new(namespace);
    let repositories = &["https://git.example.com/p/edge.git"][..];
    project(spec).judge(Asked { name: &name, namespace: Some(&namespace), repositories, cluster, into })
}

#[test]
fn sources_are_those_of_argo_cd() {
    let git = "https://github.com/argoproj/test.git";
    for (patterns, repository, wanted) in [
        (&["*"][..], git, true),
        (&[git], git, true),
        (&["ssh://git@GITHUB.com:argoproj/test"], "ssh://git@github.com:argoproj/test", true),
        (&["git@github.com:argoproj/*"], "ssh://git@github.com/argoproj/test.git", true),
        (&["https://github.com/argoproj/*"], "https://github.com/argoproj/argoproj.git", true),
        (&["https://github.com/argoproj/test1.git"], "https://github.com/argoproj/test2.git", false),
        (&["https://github.com/argoproj/*.git"], "https://github.com/argoproj1/test2.git", false),
        (&["https://github.com/argoproj/foo"], "https://github.com/argoproj/foo1", false),
        (&["https://gitlab.com/group/*"], "https://gitlab.com/group/repo/owner", false),
        (&["https://gitlab.com/group/*/*"], "https://gitlab.com/group/repo/owner", true),
        (&["https://gitlab.com/group/**"], "https://gitlab.com/group/sub/repo/owner", true),
        (&["!https://github.com/argoproj/test.git"], git, false),
        (&["!https://github.com/argoproj/*"], git, false),
        (
            &["https://github.com/test1/test.git", "!https://github.com/test2/test.git"],
            "https://github.com/test2/test.git",
            false,
        ),
        (&["https://github.com/argoproj/test1.git", "*"], "https://github.com/argoproj/test2.git", true),
        (&["!https://github.com/argoproj/*.git", "*"], "https://github.com/argoproj1/test2.git", true),
        (&["*", "!https://gitlab.com/group/**"], "https://gitlab.com/group/a/b", false),
        (&[], git, false),
        (&["https://github.com/[argoproj"], git, false),
    ] {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        assert_eq!(source_permitted(&patterns, repository), wanted, "{patterns:?} {repository}");
    }
}

#[test]
fn destinations_are_those_of_argo_cd() {
    let eks = "https://eks-cluster-endpoint.ap-southeast-1.eks.amazonaws.com";
    let host = format!("{HERE}|host-cluster|!{{kube-system,argocd}}");
    let other = format!("{eks}|destination-cluster-01|*");
    for (destinations, server, name, into, wanted) in [
        (&["https://kubernetes.default.svc||default"][..], HERE, "", "default", Some(true)),
        (&["https://kubernetes.default.svc||default"], HERE, "", "kube-system", Some(false)),
        (&["https://my-cluster||default"], HERE, "", "default", Some(false)),
        (&["https://*.default.svc||default"], HERE, "", "default", Some(true)),
        (&["https://team1-*||default"], "https://test2-dev-cluster", "", "default", Some(false)),
        (&["https://kubernetes.default.svc||test-*"], HERE, "", "test-foo", Some(true)),
        (&["https://kubernetes.default.svc||test-*"], HERE, "", "test", Some(false)),
        (&["*||*"], HERE, "", "test", Some(true)),
        (&["|test|*"], "", "test", "test", Some(true)),
        (&["|test2|*"], "", "test", "test", Some(false)),
        // The one that Argo CD runs in has a name and a server without being told.
        (&["|in-cluster|*"], "https://kubernetes.default.svc/", "", "test", Some(true)),
        (&["https://kubernetes.default.svc||*"], "", "in-cluster", "test", Some(true)),
        // Of others a Secret would have to say it.
        (&["https://prod||*"], "", "prod", "test", None),
        (&["|prod|*"], "https://prod", "", "test", None),
        (&["*||*"], "", "prod", "test", Some(true)),
        (&["https://prod||a"], "", "prod", "b", Some(false)),
        (&["*||*", "|!prod|*"], "https://prod", "", "test", None),
        // Negated.
        (&["!https://kubernetes.default.svc||default"], HERE, "", "default", Some(false)),
        (&["https://kubernetes.default.svc||!default"], HERE, "", "kube-system", Some(true)),
        (&["!https://my-cluster||default"], HERE, "", "default", Some(true)),
        (&["!https://*.default.svc||default"], HERE, "", "default", Some(false)),
        (&["https://kubernetes.default.svc||!test-*"], HERE, "", "test-foo", Some(false)),
        (&["https://kubernetes.default.svc||!test-*"], HERE, "", "test", Some(true)),
        (&["|!test|*"], "", "test", "test", Some(false)),
        (&["|!test2|*"], "", "test", "test", Some(true)),
        (&["*||kube-system", "*||!kube-system"], HERE, "", "kube-system", Some(false)),
        (&["*||*", "!https://kubernetes.default.svc||kube-system"], HERE, "", "kube-system", Some(false)),
        (
            &["*||*", "!https://kubernetes.default.svc||kube-system", "*||!kube-system"],
            HERE,
            "",
            "default",
            Some(true),
        ),
        (&["*||test", "!https://test-server||other"], "https://test-server", "", "test", Some(true)),
        (&["*||*", "https://test-server||!other"], "https://other-test-server", "", "other", Some(true)),
        (&[], HERE, "", "default", Some(false)),
        (&[&*host, &*other], eks, "", "kube-system", Some(true)),
    ] {
        let ruling = judged(&to(destinations), &Cluster::of(server, name), into, "argocd");
        let got = match ruling {
            Ruling::Permitted => Some(true),
            Ruling::Forbidden(_) => Some(false),
            Ruling::Unknown(_) => None,
        };
        assert_eq!(got, wanted, "{destinations:?} {server}{name} {into}");
    }
}

#[test]
fn words_are_those_of_argo_cd() {
    let here = Cluster::of(HERE, "");
    let forbidden = |spec: &Value, into: &str, namespace: &str| match judged(spec, &here, into, namespace) {
        Ruling::Forbidden(words) => words,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        forbidden(&to(&["*||shop"]), "edge", "argocd"),
        "application destination server 'https://kubernetes.default.svc' and namespace 'edge' do not match any of the allowed destinations in project 'team'"
    );
    assert_eq!(
        forbidden(&json!({"destinations": [{"server": "*", "namespace": "*"}]}), "edge", "argocd"),
        "application repo https://git.example.com/p/edge.git is not permitted in project 'team'"
    );
    let mut spec = to(&["*||*"]);
    for (patterns, permitted) in [
        (json!([]), false),
        (json!(["other"]), false),
        (json!(["team-*"]), true),
        (json!(["/^team-[ab]$/"]), true),
        (json!(["/^team-[cd]$/"]), false),
        (json!(["/(/"]), false),
    ] {
        spec["sourceNamespaces"] = patterns.clone();
        if permitted {
            assert_eq!(judged(&spec, &here, "edge", "team-a"), Ruling::Permitted, "{patterns}");
        } else {
            assert_eq!(
                forbidden(&spec, "edge", "team-a"),
                "application 'shop' in namespace 'team-a' is not allowed to use project team"
            );
        }
        assert_eq!(judged(&spec, &here, "edge", "argocd"), Ruling::Permitted);
    }
}

#[test]
fn clusters_of_a_project_alone_are_not_known() {
    let mut spec = to(&["*||*"]);
    spec["permitOnlyProjectScopedClusters"] = true.into();
    assert!(matches!(judged(&spec, &Cluster::of(HERE, ""), "edge", "argocd"), Ruling::Unknown(_)));
    let mut spec = to(&["*||shop"]);
    spec["permitOnlyProjectScopedClusters"] = true.into();
    assert!(matches!(judged(&spec, &Cluster::of(HERE, ""), "edge", "argocd"), Ruling::Forbidden(_)));
}

#[test]
fn kinds_are_those_of_the_lists() {
    let permitted = |spec: Value, key: ObjectKey| {
        let mut spec = spec;
        spec["destinations"] = json!([{"server": "*", "namespace": "!kube-*"}]);
        let namespaced = !key.name.namespace.is_empty();
        let permit = Permit { project: Arc::new(project(&spec)), cluster: Cluster::of(HERE, "") };
        match permit.object(&key, namespaced) {
            Ruling::Permitted => String::new(),
            Ruling::Forbidden(words) => words,
            Ruling::Unknown(words) => panic!("{words}"),
        }
    };
    let class = || ObjectKey::new("gateway.networking.k8s.io", "GatewayClass", "", "edge");
    let route = || ObjectKey::new("gateway.networking.k8s.io", "HTTPRoute", "shop", "web");
    let one = |group: &str, kind: &str| json!([{"group": group, "kind": kind}]);
    let refused = "resource gateway.networking.k8s.io:GatewayClass is not permitted in project team";
    assert_eq!(permitted(json!({}), class()), refused);
    assert_eq!(permitted(json!({"clusterResourceWhitelist": one("*", "*")}), class()), "");
    assert_eq!(permitted(json!({"clusterResourceWhitelist": one("*.k8s.io", "Gateway*")}), class()), "");
    assert_eq!(permitted(json!({"clusterResourceWhitelist": one("", "*")}), class()), refused);
    let named = |name: &str| json!([{"group": "*", "kind": "GatewayClass", "name": name}]);
    assert_eq!(permitted(json!({"clusterResourceWhitelist": named("ed*")}), class()), "");
    assert_eq!(permitted(json!({"clusterResourceWhitelist": named("other")}), class()), refused);
    let both = json!({"clusterResourceWhitelist": one("*", "*"), "clusterResourceBlacklist": named("edge")});
    assert_eq!(permitted(both, class()), refused);

    let refused = "resource gateway.networking.k8s.io:HTTPRoute is not permitted in project team";
    assert_eq!(permitted(json!({}), route()), "");
    assert_eq!(permitted(json!({"namespaceResourceWhitelist": []}), route()), refused);
    assert_eq!(permitted(json!({"namespaceResourceWhitelist": one("*", "HTTPRoute")}), route()), "");
    assert_eq!(permitted(json!({"namespaceResourceWhitelist": one("*", "{HTTPRoute}")}), route()), refused);
    assert_eq!(permitted(json!({"namespaceResourceBlacklist": one("*", "HTTP*")}), route()), refused);
    let elsewhere = ObjectKey::new("", "ConfigMap", "kube-system", "web");
    assert_eq!(permitted(json!({}), elsewhere), "namespace kube-system is not permitted in project 'team'");
}

#[test]
fn what_narrows_and_is_not_looked_at_is_named() {
    let spec = json!({"syncWindows": [{"kind": "deny"}], "signatureKeys": [], "roles": [{"name": "ci"}],
        "orphanedResources": {"warn": true}, "sourceIntegrity": {"git": {}}});
    assert_eq!(project(&spec).not_looked_at(), ["syncWindows", "sourceIntegrity"]);
    let lost = Project { spec: None, ..project(&spec) };
    assert!(lost.not_looked_at().is_empty());
    let name = Name::new("shop");
    let cluster = Cluster::of(HERE, "");
    let asked = Asked { name: &name, namespace: None, repositories: &[], cluster: &cluster, into: "" };
    assert!(matches!(lost.judge(asked), Ruling::Forbidden(_)));
}

#[test]
fn of_two_projects_of_one_name_the_own_namespace_says() {
    let mut projects = Projects::default();
    let place = |namespace: &str, project: Project| {
        let key = ObjectKey::new("argoproj.io", "AppProject", namespace, "team");
        Arc::new(Project { key, ..project })
    };
    let (first, second) = (place("argocd", project(&json!({}))), place("other", project(&to(&["*||*"]))));
    projects.add(Arc::clone(&first));
    assert_eq!(projects.find("team", &"shop".into()), Some(&first));
    projects.add(Arc::clone(&second));
    projects.add(place("argocd", project(&to(&[]))));
    assert_eq!(projects.find("team", &"argocd".into()), Some(&first));
    assert_eq!(projects.find("team", &"other".into()), Some(&second));
    assert_eq!(projects.find("team", &"shop".into()), None);
    assert_eq!(projects.find("none", &"shop".into()), None);
}
