//! The contract of every store, kept by a real API server.

use portolan_effects::store::suite;
use portolan_kubernetes::{Api, Followed};

use super::{DEFINITIONS, client, definition, namespace, open, options};

#[tokio::test]
async fn the_contract_is_kept() {
    let Some(client) = client().await else { return };
    let api = Api::new(client.clone());
    namespace(&api, "suite").await;
    api.create(DEFINITIONS, &definition("suite.portolan.dev", "Thing", "things"))
        .await
        .expect("a definition");
    let follow = || {
        vec![
            Followed::whole("suite.portolan.dev", "Thing", &["v1"]),
            Followed::whole("", "Namespace", &["v1"]),
            Followed::whole("gateway.networking.k8s.io", "HTTPRoute", &["v1"]),
            Followed::on_demand("Secret"),
            Followed::on_demand("ConfigMap"),
        ]
    };
    // A definition that is new is served a moment later.
    super::eventually("the kind is served", async || {
        api.get("/apis/suite.portolan.dev/v1/things").await.is_ok()
    })
    .await;
    suite::check(async || open(&client, options(follow())).await).await;
}
