//! From objects of the API server to facts.

use std::collections::BTreeMap;

use portolan_core::{
    capability::Capability,
    certificates::rows::NeededSecret,
    conditions::rows::ObjectStatus,
    door::{self, Door},
    gateway::rows::{GatewayAddress, LookInto, Unread},
    infrastructure, world,
};
use portolan_effects::store::{Cache as _, Sight, Stored};
use portolan_engine::Changes;
use portolan_model::{
    Kind, NamespacedName, Object, ObjectKey, Problem,
    input::{Secret, SourceProblems},
    intake::intake,
};
use portolan_schema::Definitions;

use super::{Cluster, kinds, range::Given};
use crate::{
    driver::Driver,
    effects::{OURS, now, records::may_show},
};

impl Driver<Cluster> {
    /// Takes up what is there of objects now.
    pub(super) fn take_objects(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        for key in keys {
            self.take_object(&key);
            self.cx.own.touched.insert(key);
        }
    }

    fn take_object(&mut self, key: &ObjectKey) {
        let is_gateway = key.kind.is("gateway.networking.k8s.io", "Gateway");
        let is_slice = key.kind.is("discovery.k8s.io", "EndpointSlice");
        let is_new = self.source.ready && self.is_new(key);
        let Some(stored) = self.cx.store.take(key) else {
            if is_slice {
                self.note_slice(key, None);
            }
            world::remove(&mut self.cx.engine, key);
            self.say(key, Vec::new());
            if is_gateway {
                self.take_address(&key.name);
            }
            return;
        };
        match stored.sight {
            // Not seen is not gone, nor is it other than it was.
            Sight::Unseen => return,
            // One that was made while somebody waited for it: its content comes in a moment, and until then it is as if it were not there.
            // Were it unread, what is said of whoever waits for it would be taken back for that moment.
            Sight::Metadata if is_new => return,
            Sight::Metadata => {
                world::put_unread(&mut self.cx.engine, key);
                return;
            }
            Sight::Whole => {}
        }
        let (taken, problems) = judged(&self.source.definitions, stored);
        if taken {
            let mut intake = intake(&stored.object).written_by(&stored.manager);
            if self.source.fleet.is_some() {
                // What an EnvoyProxy says is not looked at on one machine only.
                let parameters = kinds::is_parameters(&key.kind);
                intake.problems.retain(|problem| match problem.code.0 {
                    4 => !parameters,
                    7 => !is_gateway || &*problem.field != "spec.infrastructure.parametersRef",
                    _ => true,
                });
            }
            world::put(&mut self.cx.engine, key, intake);
        }
        self.cx.store.pack(key);
        self.source.touched.insert(key.clone());
        self.say(key, problems);
        if is_gateway {
            self.give_address(key);
            let name = infrastructure::names::name(&key.name);
            let name = NamespacedName::new(key.name.namespace.clone(), name.as_str());
            self.take_service(&ObjectKey { kind: Kind::new("", "Service"), name });
        }
        if key.kind.is("", "Service") {
            self.take_service(key);
        }
        if is_slice && self.source.fleet.is_some() {
            self.note_slice(key, self.fleet_of(key));
        }
    }

    /// Whether a Secret that somebody needs has just been made.
    fn is_new(&self, key: &ObjectKey) -> bool {
        key.kind.is("", "Secret")
            && self.source.looked_into.contains_key(key)
            && self.cx.engine.get::<Secret>(&key.name).is_none()
            && self.cx.engine.get::<Unread>(key).is_none()
    }

    /// The Gateway whose Envoys stand in a slice and are ready.
    fn fleet_of(&self, key: &ObjectKey) -> Option<NamespacedName> {
        let json = &self.cx.store.get(key)?.object.json;
        let endpoints = json["endpoints"].as_array().into_iter().flatten();
        // Without a word it is ready (discovery/v1, EndpointConditions).
        endpoints.into_iter().find(|endpoint| endpoint["conditions"]["ready"] != false)?;
        let service = json["metadata"]["labels"]["kubernetes.io/service-name"].as_str()?;
        let name = NamespacedName::new(key.name.namespace.clone(), service);
        let service = self.cx.store.get(&ObjectKey { kind: Kind::new("", "Service"), name })?;
        (service.manager == OURS).then(|| owner(&service.object)).flatten()
    }

    /// A slice has Envoys of this Gateway that are ready, or none.
    fn note_slice(&mut self, key: &ObjectKey, of: Option<NamespacedName>) {
        let slices = &mut self.source.ready_slices;
        let mut changed: Vec<NamespacedName> = of.iter().cloned().collect();
        for (gateway, all) in slices.iter_mut().filter(|(gateway, _)| of.as_ref() != Some(gateway)) {
            if all.remove(key) {
                changed.push(gateway.clone());
            }
        }
        if let Some(gateway) = of {
            slices.entry(gateway).or_default().insert(key.clone());
        }
        slices.retain(|_, all| !all.is_empty());
        for gateway in changed {
            let ready = self.source.ready_slices.contains_key(&gateway);
            self.wire.note_ready(&gateway, ready);
        }
    }

    /// Asks once more for the statuses of objects that were taken up: one may be another object under the same name, or somebody
    /// has written over its status, and no row is other than before.
    pub(super) fn assert_statuses(&mut self) {
        for key in std::mem::take(&mut self.source.touched) {
            if let Some(row) = self.cx.engine.get::<ObjectStatus>(&key)
                && self.cx.acts(Capability::of_kind(&key.kind))
                && may_show(&key, &self.cx)
            {
                self.cx.store.set_status(&key, Some(row.json()), now());
            }
        }
    }

    /// What is said of an object beside its intake.
    fn say(&mut self, key: &ObjectKey, problems: Vec<Problem>) {
        if !problems.is_empty() {
            self.source.said.insert(key.clone());
            self.cx.engine.put(SourceProblems { key: key.clone(), problems });
        } else if self.source.said.remove(key) {
            self.cx.engine.remove::<SourceProblems>(key);
        }
    }

    /// The address of a Gateway, where Gateways are given any here.
    fn give_address(&mut self, key: &ObjectKey) {
        let Some(given) = &mut self.source.given else { return };
        let Some(stored) = self.cx.store.get(key) else { return };
        let Some(address) = given.of(&key.name, &stored.object.json, self.source.lease.leads) else { return };
        let row = GatewayAddress {
            key: key.name.clone(),
            address: address.to_string().into(),
            // As they are written: where they are bound nobody else has them.
            ports: BTreeMap::new(),
            loopback: address.is_loopback(),
        };
        if self.cx.engine.get::<GatewayAddress>(&key.name).as_deref() != Some(&row) {
            self.cx.engine.put(row);
            self.cx.facts = true;
        }
        self.give_what_is_free();
    }

    /// Addresses that somebody gave up, to those that asked for them.
    fn give_what_is_free(&mut self) {
        let waiting = self.source.given.as_mut().map(Given::hopeful).unwrap_or_default();
        for name in waiting {
            self.give_address(&ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name });
        }
    }

    /// The address of all of them.
    pub(super) fn give_addresses(&mut self) {
        let gateway = Kind::new("gateway.networking.k8s.io", "Gateway");
        let of_kind = |stored: &&Stored| stored.object.key.kind == gateway;
        let keys: Vec<ObjectKey> =
            self.cx.store.list().filter(of_kind).map(|stored| stored.object.key.clone()).collect();
        for key in keys {
            self.give_address(&key);
        }
    }

    /// The address of a Gateway that has Envoys of its own, from the Service that was made for it. One that it loses it keeps: names point
    /// there, and it may come back.
    fn take_service(&mut self, key: &ObjectKey) {
        let Some(stored) = self.cx.store.get(key).filter(|_| self.source.fleet.is_some()) else { return };
        let Some(gateway) = (stored.manager == OURS).then(|| owner(&stored.object)).flatten() else { return };
        let given = infrastructure::address(&stored.object.json);
        // Nobody who ran before has given it up.
        let told = || {
            let key =
                ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name: gateway.clone() };
            let status =
                self.cx.store.get(&key)?.object.json.pointer("/status/addresses/0/value")?.as_str()?.into();
            self.cx.engine.get::<GatewayAddress>(&gateway).is_none().then_some(status)
        };
        let Some(address) = given.or_else(told) else { return };
        let row = GatewayAddress { address, ..GatewayAddress::none(&gateway) };
        if self.cx.engine.get::<GatewayAddress>(&gateway).as_deref() != Some(&row) {
            self.cx.engine.put(row);
            self.cx.facts = true;
        }
    }

    fn take_address(&mut self, gateway: &NamespacedName) {
        if self.source.fleet.is_some() {
            self.cx.engine.remove::<GatewayAddress>(gateway);
        }
        if let Some(given) = &mut self.source.given {
            given.forget(gateway);
            self.cx.engine.remove::<GatewayAddress>(gateway);
            self.give_what_is_free();
        }
    }

    /// Has the content of those Secrets and ConfigMaps read that somebody needs.
    pub(super) fn follow_contents(&mut self, step: &Changes) {
        let told = |before: bool, after: bool| (before != after).then_some(after);
        let gateways = step.of::<LookInto>().iter().filter_map(|change| {
            Some((change.key.0.clone(), told(change.before.is_some(), change.after.is_some())?))
        });
        let secret = |name: &NamespacedName| ObjectKey { kind: Kind::new("", "Secret"), name: name.clone() };
        let others = step.of::<NeededSecret>().iter().filter_map(|change| {
            Some((secret(&change.key.0), told(change.before.is_some(), change.after.is_some())?))
        });
        let changes: Vec<(ObjectKey, bool)> = gateways.chain(others).collect();
        if changes.is_empty() {
            return;
        }
        for (read, needed) in changes {
            let count = self.source.looked_into.entry(read.clone()).or_default();
            *count = if needed { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.source.looked_into.remove(&read);
            }
        }
        self.cx.store.store().look(self.source.looked_into.keys().cloned().collect());
    }
}

/// Whether an object is taken, and what is wrong with it. The API server has judged it by its own definitions. Of kinds that route
/// or restrict it is judged once more by those that are understood here: a field that is not known may narrow what is served, so
/// what stood before stays.
fn judged(definitions: &Definitions, stored: &Stored) -> (bool, Vec<Problem>) {
    let object = &stored.object;
    if !kinds::is_judged(&object.key.kind) {
        return (true, Vec::new());
    }
    match door::enter(definitions, spoken(object), object.origin.clone()) {
        Ok(Door::Taken(_)) | Err(_) => (true, Vec::new()),
        Ok(Door::Restricts(_, problem)) => (true, vec![problem]),
        Ok(Door::Refused(_, problem)) => (false, vec![problem]),
    }
}

/// The Gateway that owns an object.
fn owner(object: &Object) -> Option<NamespacedName> {
    let owners = object.json["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let mut gateways = owners.into_iter().filter(|owner| {
        owner["kind"] == "Gateway"
            && owner["apiVersion"]
                .as_str()
                .is_some_and(|version| version.starts_with("gateway.networking.k8s.io/"))
    });
    let name = gateways.next()?["name"].as_str()?.to_owned();
    Some(NamespacedName::new(object.key.name.namespace.clone(), name.as_str()))
}

/// What its owner said in an object: its status is written by many, and of later versions.
fn spoken(object: &Object) -> serde_json::Value {
    let mut json = (*object.json).clone();
    if let Some(map) = json.as_object_mut() {
        map.remove("status");
    }
    json
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_model::Origin;
    use serde_json::{Value, json};

    use super::*;

    fn stored(json: Value) -> Stored {
        Stored::found(Object::from_json(json, Origin::default()).unwrap(), "cluster".into(), Sight::Whole)
    }

    fn route(rule: &Value) -> Stored {
        stored(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {
                "name": "r", "namespace": "a", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-11-30T10:00:00Z", "ownerReferences": [],
            },
            "spec": {"parentRefs": [{"name": "gw"}], "rules": [rule]},
            "status": {"parents": [{"ofALaterVersion": true}]},
        }))
    }

    #[test]
    fn what_the_server_stores_is_taken_and_a_field_that_nobody_knows_is_not() {
        let definitions = Definitions::default();
        let (taken, problems) =
            judged(&definitions, &route(&json!({"backendRefs": [{"name": "s", "port": 80}]})));
        assert!(taken && problems.is_empty(), "{problems:?}");
        let narrowed =
            route(&json!({"onlyForClientsOf": "somebody", "backendRefs": [{"name": "s", "port": 80}]}));
        let (taken, problems) = judged(&definitions, &narrowed);
        assert!(!taken && problems.len() == 1, "{problems:?}");
        // What is Kubernetes' own is as the server has it, whatever fields a later version brings.
        let service = stored(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "a"},
            "spec": {"ofALaterVersion": 1, "ports": [{"port": 80}]},
        }));
        assert_eq!(judged(&definitions, &service), (true, Vec::new()));
    }
}
