//! Numbers for Prometheus.

use std::sync::atomic::AtomicU64;

use portolan_core::{
    certificates::rows::CertificateState,
    status::rows::{EntryPoint, State},
    world,
};
use portolan_model::{
    input::{Certificate, IssuerRef},
    shown,
};
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Driver, source::Source};

type Labels = Vec<(&'static str, String)>;

/// Adds a number.
pub(super) fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let made: Gauge = Gauge::default();
    made.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, made);
}

impl<S: Source> Driver<S> {
    /// The text of `/metrics`.
    pub(super) fn metrics(&self) -> String {
        let mut registry = Registry::with_prefix("portolan");
        let [mut live, mut pending, mut refused, mut unknown] = [0; 4];
        for entry in self.cx.engine.rows::<EntryPoint>() {
            match entry.state {
                State::Live => live += 1,
                State::Pending => pending += 1,
                State::Refused => refused += 1,
                State::Unknown => unknown += 1,
            }
        }
        gauge(&mut registry, "entry_points_live", "Hostnames that answer", live);
        gauge(&mut registry, "entry_points_pending", "Hostnames on their way", pending);
        gauge(&mut registry, "entry_points_refused", "Hostnames that need an edit", refused);
        gauge(
            &mut registry,
            "entry_points_unknown",
            "Hostnames that need what is made elsewhere or was not read",
            unknown,
        );
        gauge(&mut registry, "findings", "Problems", self.cx.engine.rows::<world::Finding>().count() as u64);
        gauge(&mut registry, "engine_steps", "Steps since start", self.steps);
        gauge(&mut registry, "engine_rule_runs", "Rule runs since start", self.runs);
        S::metrics(self, &mut registry);
        let [sent, bytes] = self.board.sent();
        gauge(&mut registry, "sent_resources", "Resources that Envoy was sent, since start", sent);
        gauge(&mut registry, "sent_bytes", "Size of the resources that Envoy was sent, since start", bytes);
        let waited = self.envoy.waited().map_or(0.0, |waited| waited.as_secs_f64());
        let connected: Gauge<f64, AtomicU64> = Gauge::default();
        connected.set(waited);
        let help = "How long it was waited for Envoy's last connection; 0 before the first";
        registry.register("envoy_connect_seconds", help, connected);
        self.reaction.register(&mut registry, self.cx.written);
        let mut theirs = Registry::with_prefix("certmanager");
        self.certificate_metrics(&mut registry, &mut theirs);
        let mut text = String::new();
        let _ = encode_registry(&mut text, &registry);
        let _ = encode_registry(&mut text, &theirs);
        let _ = encode_eof(&mut text);
        text
    }

    /// Certificates under our name, and under cert-manager's with its labels: dashboards and alerts of users ask for those.
    fn certificate_metrics(&self, ours: &mut Registry, theirs: &mut Registry) {
        let families: [Family<Labels, Gauge>; 4] = std::array::from_fn(|_| Family::default());
        let [expiration, renewal, ready, ready_status] = &families;
        for state in self.cx.engine.rows::<CertificateState>() {
            let Some(certificate) = self.cx.engine.get::<Certificate>(&state.key) else { continue };
            let labels = labels(&certificate);
            for (family, at) in [(expiration, state.not_after), (renewal, state.renewal)] {
                family.get_or_create(&labels).set(at.map_or(0, portolan_model::Instant::seconds));
            }
            ready.get_or_create(&labels).set(i64::from(state.ready));
            for (condition, holds) in [("True", state.ready), ("False", !state.ready), ("Unknown", false)] {
                let mut labels = labels.clone();
                labels.push(("condition", condition.to_owned()));
                ready_status.get_or_create(&labels).set(i64::from(holds));
            }
        }
        let (expires, renews) = (
            "When the certificate expires, in Unix seconds; 0 if there is none",
            "When the certificate is renewed, in Unix seconds; 0 if there is none",
        );
        for registry in [&mut *ours, &mut *theirs] {
            registry.register("certificate_expiration_timestamp_seconds", expires, expiration.clone());
            registry.register("certificate_renewal_timestamp_seconds", renews, renewal.clone());
        }
        ours.register("certificate_ready", "Whether a valid certificate is there", ready.clone());
        theirs.register("certificate_ready_status", "The Ready condition", ready_status.clone());
    }
}

/// cert-manager's labels.
fn labels(certificate: &Certificate) -> Labels {
    let (name, kind, group) = match &certificate.issuer {
        IssuerRef::Known(key) => {
            (key.0.name.to_string(), key.kind().to_owned(), "cert-manager.io".to_owned())
        }
        IssuerRef::External(kind) => {
            let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
            (String::new(), kind.to_owned(), group.to_owned())
        }
    };
    let labels = [
        ("name", certificate.key.name.to_string()),
        ("namespace", certificate.key.namespace.to_string()),
        ("issuer_name", name),
        ("issuer_kind", kind),
        ("issuer_group", group),
    ];
    // The format escapes quotes and line breaks; people look at it on terminals.
    labels.map(|(name, value)| (name, shown::text(&value).into_owned())).into()
}
