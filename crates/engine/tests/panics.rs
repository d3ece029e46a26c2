//! A bug that hits every row prints nothing, keeps the last good rows and says where it is. A file of its own, since the
//! panic hook belongs to the whole process.
#![allow(missing_docs)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use portolan_engine::{Cx, Engine, Row, quiet_rules, world};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    key: u32,
    broken: bool,
}
impl Row for Number {
    type Key = u32;
    const NAME: &'static str = "numbers";
    fn key(&self) -> &u32 {
        &self.key
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twice(u32, u32);
impl Row for Twice {
    type Key = u32;
    const NAME: &'static str = "twice";
    fn key(&self) -> &u32 {
        &self.0
    }
}
world! { pub struct World { numbers: Number [], twice: Twice [] } }

fn twice(cx: &mut Cx<'_, World>, number: &Arc<Number>) {
    assert!(!number.broken, "{} is broken", number.key);
    cx.emit(Twice(number.key, number.key * 2));
}

static PRINTED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_bug_in_thousands_of_runs_prints_nothing_and_is_told_with_its_place() {
    std::panic::set_hook(Box::new(|_| {
        PRINTED.fetch_add(1, Ordering::Relaxed);
    }));
    quiet_rules();
    quiet_rules();
    let mut e = Engine::<World>::new();
    e.map("twice", twice).writes::<(Twice,)>();
    for broken in [false, true] {
        (0..5_000).for_each(|key| e.put(Number { key, broken }));
        let changes = e.step(0);
        assert_eq!(changes.held.len(), if broken { 5_000 } else { 0 });
    }
    assert_eq!(PRINTED.load(Ordering::Relaxed), 0);
    let held = &e.held()[0];
    assert!(held.message.starts_with("0 is broken (") && held.message.contains("panics.rs:"), "{held}");
    assert_eq!(e.rows::<Twice>().len(), 5_000, "the last good rows are kept");
    assert!(std::panic::catch_unwind(|| panic!("elsewhere")).is_err());
    assert_eq!(PRINTED.load(Ordering::Relaxed), 1, "a panic elsewhere is printed");
}
