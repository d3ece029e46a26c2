//! ACME orders in Secrets of our namespace, one each, so that whoever leads next goes on with them.
//!
//! What is kept is bound to the version that was seen. Of two replicas that carry one order out, as may happen around the end of a Lease,
//! the one that took it in hand later has the next version: the other is refused, and stops. No private key is in them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::capability::Capability;
use portolan_core::certificates::{acme::OrderState, names};
use portolan_effects::acme::{KeptOrder, KeptOrders, Stored};
use portolan_kubernetes::{Api, Failure, backoff::Backoff};
use portolan_model::NamespacedName;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::leader::Place;
use crate::rights::Right;

/// Type of the Secrets.
const TYPE: &str = "portolan.dev/acme-order";
/// The key of their data.
const ENTRY: &str = "order";
/// Waits while the API server cannot be asked: nothing is done at the CA meanwhile that is not kept.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// Tries before it counts as somebody else's: no Lease lasts so long without an API server.
const TRIES: u32 = 30;

/// The orders of an installation.
pub struct OrderSecrets {
    api: Api,
    place: Place,
}

impl OrderSecrets {
    /// Those of the installation that has this Lease.
    pub const fn new(api: Api, place: Place) -> Self {
        Self { api, place }
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.place.namespace)
    }
}

/// What is done at the API server for it.
pub fn rights() -> Vec<Right> {
    vec![
        Right::own("", "secrets", &["get", "list", "create", "update", "delete"])
            .of(Capability::Certificates),
    ]
}

fn read(json: &Value) -> Option<(NamespacedName, OrderState)> {
    let bytes = STANDARD.decode(json["data"][ENTRY].as_str()?).ok()?;
    let stored: Stored = serde_json::from_slice(&bytes).ok()?;
    let (namespace, name) = stored.certificate.split_once('/')?;
    Some((NamespacedName::new(namespace, name), stored.state))
}

#[async_trait]
impl KeptOrders for OrderSecrets {
    async fn take(
        &self,
        certificate: &NamespacedName,
    ) -> Result<(Option<OrderState>, Arc<dyn KeptOrder>), String> {
        let name = names::kept_order(&self.place.name, certificate);
        let path = format!("{}/{name}", self.path());
        let found = match self.api.get(&path).await {
            Ok(json) => Some(json),
            Err(Failure::NotFound(_)) => None,
            Err(why) => return Err(format!("its order cannot be looked at: {why}")),
        };
        // One that cannot be read is as good as none: a new order is made.
        let state = found.as_ref().and_then(read).filter(|(of, _)| of == certificate).map(|(_, state)| state);
        let kept = OrderSecret {
            api: self.api.clone(),
            all: self.path(),
            name,
            namespace: self.place.namespace.to_string(),
            certificate: certificate.clone(),
            seen: Mutex::new(found.as_ref().map(|json| json["metadata"].clone())),
        };
        Ok((state, Arc::new(kept)))
    }

    async fn all(&self) -> Result<Vec<(NamespacedName, OrderState)>, String> {
        let path = format!("{}?fieldSelector=type%3D{}", self.path(), TYPE.replace('/', "%2F"));
        let list = self.api.get(&path).await.map_err(|why| why.to_string())?;
        let ours = |(certificate, _): &(NamespacedName, OrderState), json: &Value| {
            json["metadata"]["name"] == *names::kept_order(&self.place.name, certificate)
        };
        let items = list["items"].as_array().into_iter().flatten();
        Ok(items.filter_map(|json| read(json).filter(|order| ours(order, json))).collect())
    }
}

/// One order.
struct OrderSecret {
    api: Api,
    all: String,
    name: String,
    namespace: String,
    certificate: NamespacedName,
    /// `metadata` as it was seen last; `None` while it is not there.
    seen: Mutex<Option<Value>>,
}

impl OrderSecret {
    fn path(&self) -> String {
        format!("{}/{}", self.all, self.name)
    }

    fn body(&self, order: &str, seen: Option<&Value>) -> Value {
        let mut body = json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": {
                "name": self.name, "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "portolan", "app.kubernetes.io/component": "acme-order"},
                "annotations": {"portolan.dev/certificate": self.certificate.to_string()},
            },
            "data": {ENTRY: order},
        });
        if let Some(seen) = seen {
            body["metadata"]["resourceVersion"] = seen["resourceVersion"].clone();
        }
        body
    }

    /// Whether what is there is what was sent, whose answer was lost.
    async fn is_there(&self, order: &str) -> Result<Option<Value>, Failure> {
        let json = self.api.get(&self.path()).await?;
        Ok((json["data"][ENTRY] == *order).then(|| json["metadata"].clone()))
    }
}

#[async_trait]
impl KeptOrder for OrderSecret {
    async fn keep(&self, state: &OrderState) -> bool {
        let Ok(bytes) = serde_json::to_vec(&Stored::new(&self.certificate, state)) else { return false };
        let order = STANDARD.encode(bytes);
        let mut seen = self.seen.lock().await;
        let mut backoff = Backoff::new(WAITS[0], WAITS[1]);
        let mut sent = false;
        for _ in 0..TRIES {
            let body = self.body(&order, seen.as_ref());
            let written = match &*seen {
                Some(_) => self.api.replace(&self.path(), &body).await,
                None => self.api.create(&self.all, &body).await,
            };
            let failure = match written {
                Ok(answer) => {
                    *seen = Some(answer.json["metadata"].clone());
                    return true;
                }
                Err(Failure::Conflict(_) | Failure::NotFound(_)) if sent => {
                    match self.is_there(&order).await {
                        Ok(Some(metadata)) => {
                            *seen = Some(metadata);
                            return true;
                        }
                        Ok(None) | Err(Failure::NotFound(_)) => return false,
                        Err(failure) => failure,
                    }
                }
                Err(Failure::Conflict(_) | Failure::NotFound(_)) => return false,
                Err(failure) => {
                    sent |= matches!(failure, Failure::Unanswered(_));
                    failure
                }
            };
            tracing::warn!(certificate = %self.certificate, %failure, "how far its order is cannot be kept; it waits");
            backoff.wait(failure.after()).await;
        }
        false
    }

    async fn forget(&self) {
        let seen = self.seen.lock().await;
        let Some(metadata) = &*seen else { return };
        let uid = metadata["uid"].as_str().unwrap_or_default();
        let version = metadata["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        match self.api.delete(&self.path(), uid, version).await {
            // Of another state it is another's.
            Ok(_) | Err(Failure::NotFound(_) | Failure::Conflict(_)) => {}
            Err(error) => {
                tracing::warn!(certificate = %self.certificate, %error, "an order that has ended stays noted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_core::certificates::acme::{Limits, Wanted};

    use super::*;

    #[test]
    fn an_order_is_read_again_and_anything_else_is_none() {
        let certificate = NamespacedName::new("shop", "web.example.com");
        let wanted = Wanted {
            directory: "https://ca.example.com/dir".into(),
            contact: vec![],
            names: vec!["web.example.com".into()],
            thumbprint: "t".into(),
        };
        let state = OrderState::new(wanted, Limits::default());
        let order = STANDARD.encode(serde_json::to_vec(&Stored::new(&certificate, &state)).unwrap());
        assert_eq!(read(&json!({"data": {ENTRY: order}})), Some((certificate, state)));
        for damaged in [json!({}), json!({"data": {ENTRY: "!"}}), json!({"data": {ENTRY: "e30="}})] {
            assert_eq!(read(&damaged), None);
        }
    }
}
