//! Where the time goes between a change of the work tree and Envoy, and how much is done on the way: counts for
//! `/metrics`.

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, Instant, SystemTime},
};

use portolan_effects::render::Work;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::ConstCounter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Reaction {
    /// First change that the next reading will take up.
    noticed: Option<Instant>,
    /// When the stage under way began.
    since: Option<Instant>,
    /// When the last change that was taken up was noticed, on the wall clock.
    at: Option<SystemTime>,
    spent: [Duration; STAGES.len()],
    /// Readings of the work tree.
    pub readings: u64,
    /// Files parsed and charts rendered.
    pub parts: u64,
    /// Objects handed from readings to the store.
    pub objects: u64,
    /// Documents judged as an API server would, each by itself.
    pub judged: u64,
    /// Objects judged beside what is stored in their place.
    pub judged_updates: u64,
    /// Resources handed to Envoy, removed ones included, and their size.
    pub resources: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// In order: the burst ends; the work tree is read; the store is written; rows and resources are made; Envoy judges.
const STAGES: [&str; 5] = ["wait", "read", "write", "derive", "envoy"];

#[derive(Clone, Copy)]
enum Stage {
    Wait,
    Read,
    Write,
    Derive,
    Envoy,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabel {
    stage: String,
}

impl Reaction {
    /// Something changed in the work tree.
    pub fn noticed(&mut self, at: Instant) {
        self.noticed.get_or_insert(at);
    }

    /// A reading begins.
    pub fn begin(&mut self) {
        let now = Instant::now();
        if let Some(noticed) = self.noticed.take() {
            self.spent[Stage::Wait as usize] += now - noticed;
            self.at = Some(SystemTime::now() - (now - noticed));
        }
        self.since = Some(now);
    }

    /// It has ended.
    pub fn read(&mut self, work: &Work) {
        self.readings += 1;
        self.parts += work.parts as u64;
        self.objects += work.objects as u64;
        self.judged += work.judged as u64;
        self.end(Stage::Read);
    }

    /// The store has taken it.
    pub fn written(&mut self) {
        self.end(Stage::Write);
    }

    /// Envoy is told.
    pub fn published(&mut self, resources: usize, bytes: usize) {
        self.resources += resources as u64;
        self.bytes += bytes as u64;
        self.end(Stage::Derive);
    }

    /// Envoy has judged all of it.
    pub fn settled(&mut self) {
        self.end(Stage::Envoy);
        self.since = None;
    }

    fn end(&mut self, stage: Stage) {
        if let Some(since) = self.since {
            let now = Instant::now();
            self.spent[stage as usize] += now - since;
            self.since = Some(now);
        }
    }

    /// Adds its counts, and how many objects the store has changed.
    pub fn register(&self, registry: &mut Registry, written: u64) {
        let mut counter = |name: &str, help: &str, value: u64| {
            registry.register(name, help, ConstCounter::new(value));
        };
        counter("readings", "Readings of the work tree", self.readings);
        counter("read_parts", "Files parsed and charts rendered", self.parts);
        counter("read_objects", "Objects handed from readings to the store", self.objects);
        counter("judged_objects", "Documents judged as an API server would, each by itself", self.judged);
        counter("judged_updates", "Objects judged beside what is stored in their place", self.judged_updates);
        counter("written_objects", "Objects that the store changed or removed", written);
        counter("published_resources", "Resources handed to Envoy, removed ones included", self.resources);
        counter("published_bytes", "Size of the resources handed to Envoy", self.bytes);
        let at = self.at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let gauge: Gauge<f64, AtomicU64> = Gauge::default();
        gauge.set(at.unwrap_or_default().as_secs_f64());
        registry.register(
            "reaction_noticed_timestamp_seconds",
            "When the last change of the work tree that was taken up was noticed",
            gauge,
        );
        let spent: Family<StageLabel, Gauge<f64, AtomicU64>> = Family::default();
        for (stage, spent_there) in STAGES.into_iter().zip(self.spent) {
            spent.get_or_create(&StageLabel { stage: stage.to_owned() }).set(spent_there.as_secs_f64());
        }
        registry.register(
            "reaction_spent_seconds",
            "Time since start between a change of the work tree and Envoy's verdict, by stage",
            spent,
        );
    }
}
