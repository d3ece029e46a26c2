//! Kinds that come, go and may not be read; and what is read of Secrets.

use std::collections::BTreeSet;

use portolan_effects::store::{ObjectStore as _, Sight, View, Write, Written};
use portolan_kubernetes::{Api, Followed, Options, client::APPLY, config, connect, door};
use portolan_model::{Instant, Kind, Object, ObjectKey, Origin};
use serde_json::{Value, json};

use super::{DEFINITIONS, client, definition, eventually, namespace, open, options};

const NOW: Instant = Instant(1_700_000_000_000);

async fn apply(api: &Api, path: &str, object: &Value) {
    api.patch(&format!("{path}?fieldManager=somebody"), APPLY, object).await.expect("it is applied");
}

#[tokio::test]
async fn a_kind_is_followed_when_its_definition_comes_and_its_objects_are_not_gone_when_it_goes() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "coming").await;
    let (group, kind) = ("coming.portolan.dev", Kind::new("coming.portolan.dev", "Tide"));
    let store = open(&client, options(vec![Followed::whole(group, "Tide", &["v2", "v1"])])).await;
    assert_eq!(store.views().await[&kind], View::Absent);
    let defined = definition(group, "Tide", "tides");
    let made = async || {
        api.create(DEFINITIONS, &defined).await.expect("a definition");
        eventually("it is followed", async || store.views().await[&kind] == View::Whole).await;
    };
    let object = |name: &str| json!({"apiVersion": "coming.portolan.dev/v1", "kind": "Tide", "metadata": {"name": name, "namespace": "coming"}, "spec": {"n": 1}});
    let path = "/apis/coming.portolan.dev/v1/namespaces/coming/tides";
    let key = |name: &str| ObjectKey::new(group, "Tide", "coming", name);
    let sight = async |name: &str| store.get(&key(name)).await.expect("read").map(|stored| stored.sight);
    made().await;
    for name in ["a", "b"] {
        apply(&api, &format!("{path}/{name}"), &object(name)).await;
    }
    eventually("both are seen", async || sight("b").await.is_some() && sight("a").await.is_some()).await;
    let (_, place) = store.list(None).await.expect("listed");
    let mut watch = store.watch(place).await.expect("watched");
    // One goes by hand, and is told.
    let live = api.get(&format!("{path}/b")).await.expect("there");
    let uid = live["metadata"]["uid"].as_str().expect("a uid");
    api.delete(&format!("{path}/b"), uid, door::version(&live)).await.expect("removed");
    let told = watch.next().await.expect("told");
    assert!(told.deleted && told.key == key("b"), "{told:?}");
    // The other goes with its definition, and is not.
    let name = format!("{DEFINITIONS}/tides.coming.portolan.dev");
    let live = api.get(&name).await.expect("there");
    api.delete(&name, live["metadata"]["uid"].as_str().expect("a uid"), door::version(&live))
        .await
        .expect("removed");
    eventually("it is not followed", async || store.views().await[&kind] == View::Absent).await;
    eventually("its definition is gone", async || api.get(&name).await.is_err()).await;
    assert_eq!(sight("a").await, Some(Sight::Unseen), "not seen is not gone");
    let silence = tokio::time::timeout(std::time::Duration::from_millis(500), watch.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    // It comes back, and so does the object.
    made().await;
    assert_eq!(sight("a").await, Some(Sight::Unseen), "it may still come");
    apply(&api, &format!("{path}/a"), &object("a")).await;
    eventually("it is seen again", async || sight("a").await == Some(Sight::Whole)).await;
}

#[tokio::test]
async fn what_does_not_come_back_is_gone_after_a_while() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "ebbing").await;
    let group = "ebbing.portolan.dev";
    let defined = definition(group, "Ebb", "ebbs");
    api.create(DEFINITIONS, &defined).await.expect("a definition");
    let short = Options {
        mourning: std::time::Duration::from_secs(2),
        ..options(vec![Followed::whole(group, "Ebb", &["v1"])])
    };
    let store = open(&client, short).await;
    let kind = Kind::new(group, "Ebb");
    eventually("it is followed", async || store.views().await[&kind] == View::Whole).await;
    let object = json!({"apiVersion": "ebbing.portolan.dev/v1", "kind": "Ebb", "metadata": {"name": "a", "namespace": "ebbing"}});
    apply(&api, "/apis/ebbing.portolan.dev/v1/namespaces/ebbing/ebbs/a", &object).await;
    let key = ObjectKey::new(group, "Ebb", "ebbing", "a");
    eventually("it is seen", async || store.get(&key).await.expect("read").is_some()).await;
    let name = format!("{DEFINITIONS}/ebbs.ebbing.portolan.dev");
    let live = api.get(&name).await.expect("there");
    api.delete(&name, live["metadata"]["uid"].as_str().expect("a uid"), door::version(&live))
        .await
        .expect("removed");
    eventually("its definition is gone", async || api.get(&name).await.is_err()).await;
    eventually("it is not seen", async || store.views().await[&kind] == View::Absent).await;
    let (_, place) = store.list(None).await.expect("listed");
    let mut watch = store.watch(place).await.expect("watched");
    api.create(DEFINITIONS, &defined).await.expect("a definition");
    let told = tokio::time::timeout(std::time::Duration::from_mins(2), watch.next())
        .await
        .expect("told")
        .expect("told");
    assert!(told.deleted && told.key == key, "{told:?}");
}

#[tokio::test]
async fn contents_are_read_of_what_is_looked_into_only() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "contents").await;
    let store = open(&client, options(vec![Followed::on_demand("Secret")])).await;
    let path = "/api/v1/namespaces/contents/secrets";
    let secret = |name: &str, value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "contents"}, "data": {"k": value}});
    for name in ["one", "two"] {
        apply(&api, &format!("{path}/{name}"), &secret(name, "bw==")).await;
    }
    let key = |name: &str| ObjectKey::new("", "Secret", "contents", name);
    let data = async |name: &str| {
        let stored = store.get(&key(name)).await.expect("read");
        stored.map(|stored| (stored.sight, stored.object.json["data"]["k"].as_str().map(str::to_owned)))
    };
    eventually("both are seen", async || data("one").await.is_some() && data("two").await.is_some()).await;
    assert_eq!(data("one").await, Some((Sight::Metadata, None)));
    store.look_into(BTreeSet::from([key("one")])).await;
    let whole = |value: &str| Some((Sight::Whole, Some(value.to_owned())));
    eventually("it is read", async || data("one").await == whole("bw==")).await;
    apply(&api, &format!("{path}/one"), &secret("one", "bmV3")).await;
    eventually("it is read anew", async || data("one").await == whole("bmV3")).await;
    assert_eq!(data("two").await, Some((Sight::Metadata, None)), "nobody looks into it");
    store.look_into(BTreeSet::new()).await;
    assert_eq!(data("one").await, Some((Sight::Metadata, None)), "and it is let go of");
}

/// A client that is a service account to the API server, as an administrator may be.
async fn account(namespace: &str, name: &str) -> portolan_kubernetes::Client {
    let options = config::KubeConfigOptions::default();
    let config = portolan_kubernetes::Config::from_kubeconfig(&options).await;
    let mut config = config.expect("the rig's kubeconfig");
    let user = format!("system:serviceaccount:{namespace}:{name}").parse().expect("a header");
    config.headers.push((http::HeaderName::from_static("impersonate-user"), user));
    connect(config).expect("a client")
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_the_rest_goes_on() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "limits").await;
    namespace(&api, "beyond").await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reads", "namespace": "limits"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reads", "namespace": "limits"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"},
        "subjects": [{"kind": "ServiceAccount", "name": "edge", "namespace": "limits"}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/limits";
    api.create(&format!("{rbac}/roles"), &role).await.expect("a role");
    api.create(&format!("{rbac}/rolebindings"), &binding).await.expect("a binding");
    for namespace in ["limits", "beyond"] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}});
        apply(&api, &format!("/api/v1/namespaces/{namespace}/configmaps/c"), &object).await;
    }
    let follow = vec![Followed::whole("", "ConfigMap", &["v1"]), Followed::whole("", "Service", &["v1"])];
    let limited = Options { namespaces: ["limits".into()].into(), ..options(follow) };
    let store = open(&account("limits", "edge").await, limited).await;
    let view = async |kind: &str| store.views().await[&Kind::new("", kind)].clone();
    let refused = view("Service").await;
    assert!(matches!(&refused, View::Refused(why) if why.contains("services is forbidden")), "{refused:?}");
    eventually("the other goes on", async || view("ConfigMap").await == View::Whole).await;
    let (all, _) = store.list(None).await.expect("listed");
    let namespaces: BTreeSet<_> =
        all.iter().map(|stored| stored.object.key.name.namespace.to_string()).collect();
    assert_eq!(namespaces, ["limits".to_owned()].into(), "only the namespaces that it is limited to");
    // Nor may it write: one outcome, and a sentence that says why.
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own", "namespace": "limits"}});
    let object = Object::from_json(object, Origin::default()).expect("an object");
    let done = store.write(vec![Write::Apply(Box::new(object), "portolan")], NOW).await.expect("told");
    assert!(matches!(&done[..], [Written::Failed(_, why)] if why.contains("forbidden")), "{done:?}");
    // Once it is allowed, it is read without a restart.
    let mut more = role.clone();
    more["rules"][0]["resources"] = json!(["configmaps", "services"]);
    api.replace(&format!("{rbac}/roles/reads"), &more).await.expect("a wider role");
    eventually("it is read", async || view("Service").await == View::Whole).await;
}

#[tokio::test]
async fn objects_of_users_are_never_written() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "users").await;
    let store = open(&client, options(vec![Followed::whole("", "ConfigMap", &["v1"])])).await;
    let path = "/api/v1/namespaces/users/configmaps";
    let object = |name: &str, value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "users"}, "data": {"k": value}});
    let ours = |name: &str, value: &str| {
        let object = Object::from_json(object(name, value), Origin::default()).expect("an object");
        Write::Apply(Box::new(object), "portolan")
    };
    let key = |name: &str| ObjectKey::new("", "ConfigMap", "users", name);
    apply(&api, &format!("{path}/theirs"), &object("theirs", "1")).await;
    let before = api.get(&format!("{path}/theirs")).await.expect("there");
    eventually("it is seen", async || store.get(&key("theirs")).await.expect("read").is_some()).await;
    let done = store
        .write(vec![ours("theirs", "2"), Write::Delete(key("theirs"), "portolan")], NOW)
        .await
        .expect("told");
    assert!(matches!(&done[..], [Written::OwnedBy(..), Written::OwnedBy(..)]), "{done:?}");
    assert_eq!(api.get(&format!("{path}/theirs")).await.expect("there"), before, "to the last field");
    // What we make has our field manager, and neither labels nor marks of others.
    let done = store.write(vec![ours("own", "1")], NOW).await.expect("told");
    assert_eq!(done, [Written::Created(key("own"))]);
    let live = api.get(&format!("{path}/own")).await.expect("there");
    assert_eq!(live["metadata"].get("labels"), None);
    assert_eq!(live["metadata"]["annotations"], json!({door::MANAGER: "portolan"}));
    let managers = live["metadata"]["managedFields"].as_array().expect("managers");
    assert!(
        managers.iter().all(|entry| entry["manager"] == door::FIELD_MANAGER && entry["operation"] == "Apply")
    );
    // Fields that somebody else has on it are kept, those of ours go when they are not applied any more.
    let mut more = object("own", "1");
    more["data"] = json!({"theirs": "x"});
    apply(&api, &format!("{path}/own"), &more).await;
    let without = Object::from_json(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own", "namespace": "users"}}),
        Origin::default(),
    );
    let done = store
        .write(vec![Write::Apply(Box::new(without.expect("an object")), "portolan")], NOW)
        .await
        .expect("told");
    assert_eq!(done, [Written::Changed(key("own"))]);
    let live = api.get(&format!("{path}/own")).await.expect("there");
    assert_eq!(live["data"], json!({"theirs": "x"}));
}
