//! One change, a rotation and a rebuild at three sizes. `cargo bench -p portolan-engine`. Heap is counted: for
//! `rebuild`, `max alloc` is what all rows, indexes and reads hold.

use divan::{AllocProfiler, Bencher};

mod routes;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];

fn main() {
    divan::main();
}

/// A route's filter changes: limit 0.2 ms at 50,000.
#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1)]
fn route_changed(bencher: Bencher<'_, '_>, routes: usize) {
    let mut e = routes::filled(routes);
    let mut filter = 0;
    bencher.bench_local(|| {
        filter += 1;
        e.put(routes::route(routes / 2, filter));
        e.step(0)
    });
}

/// A route goes and comes back: two steps.
#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1)]
fn route_removed_and_added(bencher: Bencher<'_, '_>, routes: usize) {
    let mut e = routes::filled(routes);
    let route = routes::route(routes / 2, 0);
    bencher.bench_local(|| {
        e.remove::<routes::Route>(&route.key);
        let gone = e.step(0);
        e.put(route.clone());
        (gone, e.step(0))
    });
}

/// The Secret that serves every route is rotated: three runs, however many routes.
#[divan::bench(args = SIZES, sample_count = 200, sample_size = 1)]
fn secret_rotated(bencher: Bencher<'_, '_>, routes: usize) {
    let mut e = routes::filled(routes);
    let mut version = 1;
    bencher.bench_local(|| {
        version += 1;
        e.put(routes::secret(version));
        e.step(0)
    });
}

/// Everything from nothing.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn rebuild(bencher: Bencher<'_, '_>, routes: usize) {
    bencher.bench_local(|| routes::filled(routes));
}
