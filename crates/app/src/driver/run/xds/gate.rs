//! Lets in the Envoys of Gateways: whoever shows the token of a Pod that serves one.
//!
//! The token was made for us to read and for that Pod ([`tokens`]); the Pod carries the Gateway's label and runs under the
//! ServiceAccount that is made for that Gateway. So a Pod of somebody else's account gets nothing, whatever labels it has.

use std::time::{Duration, Instant};

use portolan_core::infrastructure::{AUDIENCE, names};
use portolan_envoy::gate::{Denied, Gate, Identity};
use portolan_kubernetes::{
    Api,
    client::Much,
    tokens::{self, Holder, Worthless},
};
use portolan_model::GatewayKey;
use serde_json::Value;
use tokio::sync::Semaphore;

/// Longest wait for the API server; Envoy asks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions to the API server at a time: whoever asks with rubbish keeps nobody else's from it.
const QUESTIONS: usize = 32;
/// A stream lasts so long at least: clocks differ, and the API server has just said that the token is good.
const LEAST: Duration = Duration::from_mins(1);

/// The gate of a cluster.
pub struct Doorkeeper {
    api: Api,
    questions: Semaphore,
}

impl Doorkeeper {
    /// Asks this API server.
    pub const fn new(api: Api) -> Self {
        Self { api, questions: Semaphore::const_new(QUESTIONS) }
    }

    async fn identity(&self, token: &str) -> Result<Identity, Denied> {
        let _permit = self.questions.acquire().await.map_err(|_| Denied::Later("it ends"))?;
        let unknown = |failure| {
            tracing::warn!(%failure, "an Envoy asks, and whose its token is cannot be found out");
            Denied::Later("the API server cannot be asked")
        };
        let holder = tokens::review(&self.api, token, AUDIENCE).await.map_err(unknown)?;
        let holder = holder.map_err(|worthless| match worthless {
            Worthless::Refused => Denied::Unproven("the token is not good"),
            Worthless::NoPod => Denied::Unproven("the token is no Pod's"),
        })?;
        let pod = self.api.find(&tokens::pod_path(&holder.namespace, &holder.pod), Much::Metadata).await;
        let gateway = gateway(&holder, pod.map_err(unknown)?.as_ref())?;
        let left = u64::try_from(holder.ends.saturating_sub(crate::effects::now().seconds())).unwrap_or(0);
        Ok(Identity {
            node: format!("{}.{}", holder.pod, holder.namespace).into(),
            gateway,
            until: Instant::now() + Duration::from_secs(left).max(LEAST),
        })
    }
}

/// The Gateway whose Envoys a token's holder is one of.
fn gateway(holder: &Holder, pod: Option<&Value>) -> Result<GatewayKey, Denied> {
    let pod = pod.filter(|pod| pod["metadata"]["uid"] == *holder.uid);
    let pod = pod.ok_or(Denied::Unproven("the token's Pod is gone"))?;
    let meta = &pod["metadata"];
    // A name that is too long for a label stands in an annotation.
    let named =
        meta["annotations"][names::GATEWAY].as_str().or_else(|| meta["labels"][names::GATEWAY].as_str());
    let gateway = named.map(|name| GatewayKey::new(holder.namespace.as_str(), name));
    gateway
        .filter(|gateway| {
            names::name(gateway) == holder.account && meta["labels"][names::GATEWAY] == *names::label(gateway)
        })
        .ok_or(Denied::Stranger("the token's Pod serves no Gateway"))
}

#[async_trait::async_trait]
impl Gate for Doorkeeper {
    async fn admit(&self, token: &str) -> Result<Identity, Denied> {
        match tokio::time::timeout(PATIENCE, self.identity(token)).await {
            Ok(found) => found,
            Err(_) => Err(Denied::Later("the API server does not answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holder() -> Holder {
        let [namespace, account, pod, uid] = ["infra", "edge", "edge-1", "u"].map(ToOwned::to_owned);
        Holder { namespace, account, pod, uid, ends: 0 }
    }

    fn pod(uid: &str, gateway: &str) -> Value {
        json!({"metadata": {"uid": uid, "labels": {names::GATEWAY: gateway}}})
    }

    #[test]
    fn a_pod_serves_the_gateway_of_its_label_under_that_ones_account() {
        assert_eq!(gateway(&holder(), Some(&pod("u", "edge"))), Ok(GatewayKey::new("infra", "edge")));
        let denied = |pod: Option<&Value>| gateway(&holder(), pod).err();
        let gone = Some(Denied::Unproven("the token's Pod is gone"));
        assert_eq!(denied(None), gone);
        assert_eq!(denied(Some(&pod("another", "edge"))), gone, "another Pod of the name");
        let stranger = Some(Denied::Stranger("the token's Pod serves no Gateway"));
        assert_eq!(denied(Some(&pod("u", "payments"))), stranger, "a label is written by whoever makes Pods");
        assert_eq!(denied(Some(&json!({"metadata": {"uid": "u"}}))), stranger);
    }

    #[test]
    fn a_gateway_with_a_long_name_is_found_by_an_annotation() {
        let long = "g".repeat(80);
        let key = GatewayKey::new("infra", long.as_str());
        let holder = Holder { account: names::name(&key), ..holder() };
        let mut pod = pod("u", &names::label(&key));
        assert_ne!(gateway(&holder, Some(&pod)), Ok(key.clone()), "a label is too short for it");
        pod["metadata"]["annotations"] = json!({names::GATEWAY: long});
        assert_eq!(gateway(&holder, Some(&pod)), Ok(key));
    }
}
