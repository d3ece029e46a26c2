//! What an object takes in memory, counted by the allocator. A process of its own, with one test: nothing else allocates.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeMap, fmt::Write as _, hint::black_box};

use portolan_effects::store::{Store, Write, Written};
use portolan_model::{Instant, Lines, Object, Origin, Source, intake::intake, yaml};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const ROUTES: usize = 1000;

/// What `make` allocates and keeps, in bytes for each route.
fn bytes<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let in_use = || HEAP.stats().bytes_allocated - HEAP.stats().bytes_deallocated;
    let before = in_use();
    let made = black_box(make());
    (made, in_use().saturating_sub(before) / ROUTES)
}

fn text() -> String {
    let mut text = String::new();
    for n in 0..ROUTES {
        write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: app-{n}\n  namespace: team\n\
             spec:\n  parentRefs:\n    - name: edge\n      namespace: gateway-system\n  hostnames:\n    - app-{n}.dev.example.com\n\
             \x20 rules:\n    - matches:\n        - path:\n            type: PathPrefix\n            value: /\n      backendRefs:\n\
             \x20       - name: app\n          port: 80\n"
        )
        .unwrap();
    }
    text
}

fn write(store: &mut Store, objects: &[Object]) -> Vec<Written> {
    let writes = objects.iter().map(|object| Write::Apply(Box::new(object.clone()), "git")).collect();
    store.write(writes, Instant(0)).unwrap()
}

#[test]
fn an_object_stands_once_in_memory_and_its_lines_are_small() {
    let text = text();
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    // The first time, what is made once for all is made: interned paths, buffers of the database.
    let read = || {
        let (documents, errors) = yaml::load(&text);
        assert_eq!(errors, []);
        documents
    };
    drop(read());
    let (documents, parsed) = bytes(read);
    let (_, tree) = bytes(|| documents.iter().map(|document| document.json.clone()).collect::<Vec<_>>());
    let paths: Vec<String> = (0..24).map(|n| format!("spec.rules[0].matches[{n}].path")).collect();
    let with = || paths.iter().map(String::as_str).zip(1..);
    let (_, map) = bytes(|| {
        let map = || with().map(|(path, line)| (path.to_owned(), line)).collect::<BTreeMap<String, u32>>();
        (0..ROUTES).map(|_| map()).collect::<Vec<_>>()
    });
    let (_, lines) = bytes(|| (0..ROUTES).map(|_| with().collect::<Lines>()).collect::<Vec<_>>());
    let objects: Vec<Object> = documents
        .into_iter()
        .map(|document| {
            let source = Some(Source { file: "routes.yaml".into(), line: document.line });
            let origin = Origin { source, lines: document.lines, ..Origin::default() };
            Object::from_json(document.json, origin).unwrap()
        })
        .collect();
    let (done, stored) = bytes(|| write(&mut store, &objects));
    assert!(done.iter().all(|done| matches!(done, Written::Created(_))));
    store.pack();
    let (_, judged) = bytes(|| {
        let judged: Vec<_> = store.list().map(|stored| intake(&stored.object).judged).collect();
        store.pack();
        judged
    });
    println!(
        "bytes a route: parsed {parsed} (of it the tree {tree}); in the store {stored} more; to be judged {judged} more; \
         24 lines take {lines}, and would take {map} as a map of texts"
    );
    assert!(parsed < tree + 1_000, "parsed, a route takes {parsed} bytes, of it the tree {tree}");
    assert!(lines < map / 2, "24 lines take {lines} bytes");
    assert!(stored < 2_000 && stored < tree / 2, "the store keeps no second tree: {stored} bytes");
    assert!(judged < 400, "nor does what policies judge: {judged} bytes");
    // What was looked into is let go of again when it is many.
    let in_use = || HEAP.stats().bytes_allocated - HEAP.stats().bytes_deallocated;
    let kinds =
        |store: &Store| store.list().filter(|stored| stored.object.json["kind"] == "HTTPRoute").count();
    let before = in_use();
    assert_eq!(kinds(&store), ROUTES);
    assert!(in_use() > before + tree * ROUTES / 2);
    store.pack();
    assert!(in_use() < before + 100_000);
    assert!(write(&mut store, &objects).iter().all(|done| *done == Written::Unchanged));
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert!(write(&mut store, &objects).iter().all(|done| *done == Written::Unchanged));
    let same = objects.iter().filter(|o| store.get(&o.key).unwrap().object.json == o.json);
    assert_eq!(same.count(), ROUTES, "an unchanged object is the one that was read");
}
