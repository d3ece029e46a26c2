//! Applies the objects of a Gateway, in their order.

use portolan_effects::{
    converge::Work,
    store::{ObjectStore as _, Write, Written},
};
use portolan_kubernetes::KubernetesStore;
use portolan_model::{GatewayKey, Kind, NamespacedName, Object, ObjectKey, Origin};
use serde_json::{Value, json};

use super::{Wanted, facts::Answer};
use crate::effects::{OURS, inbox::Answers, now};

/// Begins, beside the driver.
pub fn begin(work: Work<GatewayKey, Wanted>, store: KubernetesStore, answers: Answers<Answer>) {
    let Work { ticket, wanted, .. } = work;
    tokio::spawn(async move {
        let writes = writes(&wanted);
        let outcome = match writes {
            Ok(writes) => store.write(writes, now()).await.map_err(|why| why.to_string()),
            Err(why) => Err(why),
        };
        let outcome = outcome.map(|written| written.into_iter().filter_map(trouble).collect());
        answers.send(Answer { ticket, outcome });
    });
}

/// What did not go as it should: the object, and who keeps it or why it failed.
#[derive(Debug)]
pub enum Trouble {
    /// Somebody else has an object of the name.
    Taken(ObjectKey),
    /// It could not be written.
    Failed(ObjectKey, String),
}

fn trouble(written: Written) -> Option<Trouble> {
    match written {
        Written::OwnedBy(key, _) => Some(Trouble::Taken(key)),
        Written::Failed(key, why) => Some(Trouble::Failed(key, why.to_string())),
        _ => None,
    }
}

fn writes(wanted: &Wanted) -> Result<Vec<Write>, String> {
    let row = &wanted.row;
    let mut out = Vec::new();
    for object in &row.objects {
        let owned = owned(object.clone(), &row.key, &wanted.uid);
        out.push(Write::Apply(Box::new(Object::from_json(owned, Origin::default())?), OURS));
    }
    let name = row.objects.first().and_then(|object| object["metadata"]["name"].as_str()).unwrap_or_default();
    let gone = |kind: &Kind| {
        let name = NamespacedName::new(row.key.namespace.clone(), name);
        Write::Delete(ObjectKey { kind: kind.clone(), name }, OURS)
    };
    out.extend(row.unwanted.iter().map(gone));
    Ok(out)
}

/// With its owner. It does not hold back the Gateway's own end: that would need a right on its finalizers.
fn owned(mut object: Value, gateway: &GatewayKey, uid: &str) -> Value {
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": gateway.name, "uid": uid,
        "controller": true,
    }]);
    object
}
