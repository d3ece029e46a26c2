//! What the door costs: `cargo bench -p portolan-schema`. Processor time of a small route, and memory of all schemas. It
//! prints limits with ok or MISSED and asserts no time: these machines are shared.
#![allow(clippy::cast_precision_loss, clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, sync::Arc, time::Duration};

use portolan_schema::{Definitions, admit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const TIMES: usize = 2000;

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Median processor time of an object that is taken, and allocations.
fn measure(object: &Value, old: Option<&Value>) -> (f64, usize) {
    let definitions = Definitions::builtin();
    let mut all = Vec::with_capacity(TIMES);
    let mut allocations = 0;
    for _ in 0..TIMES {
        let object = object.clone();
        let before = HEAP.stats().allocations;
        let begun = processor_time();
        let admitted = black_box(admit(&definitions, object, old));
        all.push(processor_time().saturating_sub(begun));
        allocations = HEAP.stats().allocations - before;
        assert!(admitted.is_ok(), "{admitted:?}");
    }
    all.sort_unstable();
    (all[TIMES / 2].as_secs_f64() * 1e6, allocations)
}

fn row(what: &str, limit: &str, measured: &str, held: bool) {
    println!("{what:50} {limit:>8}  {measured:40} {}", if held { "ok" } else { "MISSED" });
}

fn main() {
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"team": "shop"}},
        "spec": {
            "parentRefs": [{"name": "gw", "namespace": "net", "sectionName": "https"}],
            "hostnames": ["web.shop.example.com"],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
                "backendRefs": [{"name": "web", "port": 80}],
            }],
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
    });
    let certificate = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"secretName": "web", "dnsNames": ["web.shop.example.com"], "issuerRef": {"name": "ca"}},
    });
    let before = heap();
    let mut roots = Vec::new();
    for definition in Definitions::packed() {
        roots.push(Arc::clone(definition.schema()));
    }
    let read = heap() - before;
    println!("{:50} {:>8}  measured", "limits of the door", "limit");
    row(
        "all schemas in memory, before any is used",
        "3 MB",
        &format!("{:.2} MB", read as f64 / 1e6),
        read < 3_000_000,
    );
    for (what, object) in
        [("a small route", &route), ("a Service", &service), ("a Certificate", &certificate)]
    {
        let before = heap();
        let (time, allocations) = measure(object, None);
        let kept = heap() - before;
        let shown = format!("{time:.1} us, {allocations} allocations, {:.0} kB kept", kept as f64 / 1e3);
        row(what, "60 us", &shown, time <= 60.0);
        let (time, allocations) = measure(object, Some(object));
        row(
            &format!("{what}, against itself"),
            "60 us",
            &format!("{time:.1} us, {allocations} allocations"),
            time <= 60.0,
        );
    }
}
