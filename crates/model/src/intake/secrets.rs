//! Secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{node::Root, tls};
use crate::{Redacted, input::Secret};

/// Label on every object that Portolan makes.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portolan");

pub(super) fn secret(root: &mut Root<'_>) -> Secret {
    let node = root.node();
    let mut data = std::collections::BTreeMap::new();
    for (key, text) in node.get("data").map() {
        let field = node.get("data").get(&key);
        match STANDARD.decode(text.trim().replace(['\n', '\r'], "")) {
            Ok(bytes) => {
                data.insert(key, Redacted::new(bytes));
            }
            Err(_) => {
                root.invalid(&field, format!("value of {key} is not base64"), "encode it, or use stringData");
            }
        }
    }
    for (key, text) in node.get("stringData").map() {
        data.insert(key, Redacted::new(text.into_bytes()));
    }
    let labels = root.labels();
    let tls = data.get("tls.crt").map(|chain| tls::read(chain, data.get("tls.key")));
    Secret {
        key: root.object.key.name.clone(),
        r#type: node.get("type").name_or("Opaque"),
        generated: labels.get(MANAGED_BY.0).is_some_and(|v| *v == MANAGED_BY.1),
        annotations: root.annotations(),
        labels,
        data,
        tls,
    }
}
