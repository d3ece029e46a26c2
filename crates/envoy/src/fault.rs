//! Faults of the encoder, planted on purpose: in builds with debug assertions, and only if `PORTOLAN_PLANT_FAULTS` is
//! set, marked rows are encoded as what Envoy refuses. So tests prove with a real Envoy what becomes of a refusal, however
//! well everything is judged before it is sent.

use std::sync::Arc;

use portolan_core::gateway::rows::{Endpoints, VirtualHost};

/// A virtual host as it is encoded: a header modifier that sets `x-planted-fault` sets `host` instead; a header match on
/// `x-planted-match` is a regular expression that is none.
pub(crate) fn planted_host(row: &Arc<VirtualHost>) -> Arc<VirtualHost> {
    #[cfg(debug_assertions)]
    if planted() {
        return Arc::new(host((**row).clone()));
    }
    Arc::clone(row)
}

/// Endpoints as they are encoded: an address on port 6 is no address.
pub(crate) fn planted_endpoints(row: &Arc<Endpoints>) -> Arc<Endpoints> {
    #[cfg(debug_assertions)]
    if planted() {
        let mut row = (**row).clone();
        for (address, _) in row.addresses.iter_mut().filter(|(_, port)| *port == 6) {
            *address = "no-address".into();
        }
        return Arc::new(row);
    }
    Arc::clone(row)
}

#[cfg(debug_assertions)]
fn planted() -> bool {
    static PLANTED: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("PORTOLAN_PLANT_FAULTS").is_some());
    *PLANTED
}

#[cfg(debug_assertions)]
fn host(mut row: VirtualHost) -> VirtualHost {
    use portolan_model::input::Filter;

    for entry in row.entries.iter_mut().map(std::sync::Arc::make_mut) {
        for filter in &mut entry.filters {
            if let Filter::RequestHeaders(change) = filter {
                for (name, _) in change.set.iter_mut().filter(|(name, _)| &**name == "x-planted-fault") {
                    *name = "host".into();
                }
            }
        }
        for header in entry.r#match.headers.iter_mut().filter(|header| &*header.name == "x-planted-match") {
            (header.value, header.regex) = ("(".into(), true);
        }
    }
    row
}
