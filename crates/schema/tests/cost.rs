//! What the door does for one object, counted: allocations are the same on every machine. Time is measured by
//! `cargo bench -p portolan-schema`.
#![allow(clippy::unwrap_used, missing_docs)]

use portolan_schema::{Definitions, admit, judges_updates, update};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Allocations for an object that is taken, once its rules are compiled.
fn allocations(object: &Value) -> usize {
    let definitions = Definitions::builtin();
    let mut least = usize::MAX;
    for _ in 0..4 {
        let object = object.clone();
        let before = HEAP.stats().allocations;
        admit(&definitions, object, None).unwrap();
        least = least.min(HEAP.stats().allocations - before);
    }
    least
}

fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

// One test: others would allocate meanwhile.
#[test]
fn an_object_is_judged_with_few_allocations() {
    let before = heap();
    for definition in Definitions::packed() {
        definition.schema();
    }
    let read = heap() - before;
    for definition in Definitions::packed() {
        definition.prepare();
    }
    let all = heap() - before;
    println!("bytes of all schemas: {read} read, {all} with all rules and patterns compiled");
    assert!(read < 1_000_000 && all < 3_000_000, "{read} {all}");
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
    let counted = [&route, &service, &certificate].map(allocations);
    println!("a small route, a Service, a Certificate: {counted:?}");
    let limits = [40, 45, 12];
    assert!(counted.iter().zip(limits).all(|(is, most)| *is <= most), "{counted:?}");
    // An update of a kind whose rules look at the older object nowhere costs nothing; of another the rules that do.
    let definitions = Definitions::builtin();
    assert!(!judges_updates(&definitions, "gateway.networking.k8s.io", "v1", "HTTPRoute"));
    update(&definitions, &route, &route);
    let before = HEAP.stats().allocations;
    assert_eq!(update(&definitions, &route, &route), []);
    assert!(HEAP.stats().allocations - before <= 2);
}
