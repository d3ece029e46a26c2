//! Wanted statuses go to the objects.

use portolan_core::{capability::Capability, conditions::rows::ObjectStatus};
use portolan_effects::store::Cache as _;
use portolan_engine::Changes;

use super::{Context, Effect, Platform, now, records::may_show};
use crate::rights::Right;

/// Sends changed statuses. The store keeps them in memory, beside the objects and without a new generation: a status causes no
/// step, so this cannot loop.
pub struct Statuses;

impl<P: Platform> Effect<P> for Statuses {
    fn rights(&self) -> Vec<Right> {
        const GATEWAY: &str = "gateway.networking.k8s.io";
        const RESOURCES: [&str; 9] = [
            "gatewayclasses",
            "gateways",
            "listenersets",
            "httproutes",
            "grpcroutes",
            "tlsroutes",
            "tcproutes",
            "udproutes",
            "backendtlspolicies",
        ];
        // A status has a path of its own; what a merge patch is bound to is read from the object.
        let of = |resource: &str| Right::anywhere(GATEWAY, &format!("{resource}/status"), &["patch"]);
        let mut all: Vec<Right> = RESOURCES.map(of).into();
        let others = [
            ("cert-manager.io", "certificates"),
            ("cert-manager.io", "issuers"),
            ("cert-manager.io", "clusterissuers"),
            ("cert-manager.io", "certificaterequests"),
            ("acme.cert-manager.io", "orders"),
            ("acme.cert-manager.io", "challenges"),
        ];
        let of = |(group, resource)| {
            Right::anywhere(group, &format!("{resource}/status"), &["patch"]).of(Capability::Certificates)
        };
        all.extend(others.map(of));
        all.push(Right::anywhere("events.k8s.io", "events", &["create", "patch"]));
        all
    }

    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        for change in step.of::<ObjectStatus>() {
            // Somebody else's object that has the name of a record of ours does not get its status.
            let status = change.after.as_ref().filter(|row| may_show(&row.key, cx)).map(|row| row.json());
            if !cx.acts(Capability::of_kind(&change.key.kind)) {
                continue;
            }
            cx.store.set_status(&change.key, status, now());
        }
    }
}
