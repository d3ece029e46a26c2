//! The store against a real API server: `make rig-test` runs this inside the rig. Anywhere else there is none, and this says so.

mod rig {
    pub mod crds;
    pub mod kinds;
    pub mod statuses;
    pub mod suite;

    use std::time::Duration;

    use portolan_kubernetes::{Api, Client, Followed, KubernetesStore, Options, config, connect};
    use serde_json::{Value, json};

    pub const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

    /// A client of the rig's API server, by the kubeconfig that the rig wrote; `None` outside of it.
    pub async fn client() -> Option<Client> {
        // `KUBECONFIG` alone may be a person's own cluster.
        if std::env::var_os("RIG_DIR").is_none() {
            portolan_testkit::suites::skip_optional("kubernetes store", "not inside the rig (make rig-test)");
            return None;
        }
        let options = config::KubeConfigOptions::default();
        let config =
            portolan_kubernetes::Config::from_kubeconfig(&options).await.expect("the rig's kubeconfig");
        Some(connect(config).expect("a client"))
    }

    /// Waits until something holds; it bounds a broken run and is no promise.
    pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), wait).await.unwrap_or_else(|_| panic!("{what}"));
    }

    pub fn options(follow: Vec<Followed>) -> Options {
        Options {
            least_wait: Duration::from_millis(50),
            refused_wait: Duration::from_secs(1),
            ..Options::new(follow)
        }
    }

    pub async fn open(client: &Client, options: Options) -> KubernetesStore {
        let store = KubernetesStore::open(client.clone(), options).await;
        store.lead(true);
        store
    }

    pub async fn namespace(api: &Api, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.create("/api/v1/namespaces", &object).await.expect("a namespace");
    }

    /// A definition that takes everything, as loosely as there is.
    pub fn definition(group: &str, kind: &str, plural: &str) -> Value {
        let loose =
            json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": loose, "subresources": {"status": {}}}],
            },
        })
    }
}
