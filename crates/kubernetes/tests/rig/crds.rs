//! Definitions, applied to a real API server.

use portolan_kubernetes::{
    Api,
    client::MERGE,
    crds::{self, Outcome},
};
use serde_json::json;

use super::{DEFINITIONS, client, eventually};

#[tokio::test]
async fn definitions_are_applied_once_and_nothing_larger_is_replaced() {
    let Some(client) = client().await else { return };
    let api = Api::new(client);
    let all = crds::all("standard");
    for definition in &all {
        let pretended = crds::apply(&api, definition, true).await;
        let outcome = crds::apply(&api, definition, false).await;
        assert!(
            matches!(outcome, Outcome::Created | Outcome::Replaced | Outcome::Unchanged),
            "{}: {outcome:?}",
            definition.name()
        );
        assert_eq!(outcome, pretended, "{}", definition.name());
    }
    for definition in &all {
        assert_eq!(crds::apply(&api, definition, false).await, Outcome::Unchanged, "{}", definition.name());
    }
    let path = format!("{DEFINITIONS}/certificates.cert-manager.io");
    eventually("they are established", async || {
        let live = api.get(&path).await.expect("there");
        let conditions = live["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True")
    })
    .await;
    // A later version that does not say which: it has a field more.
    let mut versions = api.get(&path).await.expect("there")["spec"]["versions"].clone();
    let field = "/0/schema/openAPIV3Schema/properties/spec/properties";
    versions.pointer_mut(field).expect("fields")["later"] = json!({"type": "string"});
    let mark = json!({"portolan.dev/definition-version": null});
    let later = json!({"metadata": {"annotations": mark}, "spec": {"versions": versions}});
    api.patch(&path, MERGE, &later).await.expect("a later version");
    let of = |name: &str| {
        all.iter().find(|one| one.name() == format!("CustomResourceDefinition/{name}")).expect("packed")
    };
    let outcome = crds::apply(&api, of("certificates.cert-manager.io"), false).await;
    assert!(
        matches!(&outcome, Outcome::Kept(why) if why.contains("the field spec.later in v1")),
        "{outcome:?}"
    );
    let live = api.get(&path).await.expect("there");
    assert!(live.pointer(&format!("/spec/versions{field}/later")).is_some(), "it is there still");
}
