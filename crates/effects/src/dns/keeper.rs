//! The loop that keeps zones as they are wanted: take what is wanted now, read what stands, plan (pure), write, report what
//! stands and whether it is answered. Nothing is decided here.
//!
//! A changed name costs that name. Whole zones are compared at the interval, under new settings, after a failure, and
//! while something is wrong with a zone as a whole.

mod ask;
mod round;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use portolan_core::dns::rows::{DnsSettings, PublishedKey, PublishedRecord, WantedName};
use portolan_model::{Name, Problem};
use tokio::{sync::mpsc, time::Instant};

use super::DnsProvider;

/// First wait after something failed; it doubles up to [`LONGEST`]: a disk that has room again is used within ten seconds.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(8);

/// What changed in what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Number of these orders; reports name the last that they cover.
    pub number: u64,
    /// New settings of all components, with the published records as they are seen under them; reports start from these.
    pub settings: Option<(Vec<DnsSettings>, Vec<Arc<PublishedRecord>>)>,
    /// Wanted records of names; `None`: nothing is wanted any more.
    pub wanted: Vec<(Name, Option<Arc<WantedName>>)>,
}

/// What differs from the report before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The last orders that this covers.
    pub number: u64,
    /// How many settings there were: records are those under the settings of this generation.
    pub generation: u64,
    /// Records that stand, or (`None`) no longer do.
    pub published: Vec<(PublishedKey, Option<Arc<PublishedRecord>>)>,
    /// Whether each name is answered; `None`: it is not asked for any more.
    pub answers: Vec<(Name, Option<Result<(), String>>)>,
    /// All problems, if they differ: record name (empty for a zone as a whole) and problem.
    pub problems: Option<BTreeSet<(Name, Problem)>>,
    /// Something failed and is tried again by itself.
    pub unfinished: bool,
}

/// Starts the loop; it ends when the sender is dropped. `report` is called after every round that covers new orders or
/// sees something new; `planned` counts the names that were compared with what is wanted.
pub fn start(
    provider: Arc<dyn DnsProvider>,
    planned: Arc<AtomicU64>,
    report: impl Fn(Report) + Send + 'static,
) -> mpsc::UnboundedSender<Orders> {
    let (orders, received) = mpsc::unbounded_channel();
    let keeper = Keeper {
        provider,
        components: Vec::new(),
        generation: 0,
        wanted: BTreeMap::new(),
        seen: BTreeMap::new(),
        owned: BTreeMap::new(),
        answers: BTreeMap::new(),
        unasked: BTreeSet::new(),
        problems: BTreeMap::new(),
        told: BTreeSet::new(),
        planned,
    };
    tokio::spawn(keeper.run(received, report));
    orders
}

struct Keeper {
    provider: Arc<dyn DnsProvider>,
    /// Empty before the first settings.
    components: Vec<DnsSettings>,
    generation: u64,
    /// Rows of the engine, shared with it, as those that are seen.
    wanted: BTreeMap<Name, Arc<WantedName>>,
    seen: BTreeMap<PublishedKey, Arc<PublishedRecord>>,
    /// How many of `seen` are each component's, by zone and component.
    owned: BTreeMap<(Name, Name), usize>,
    answers: BTreeMap<Name, Result<(), String>>,
    /// Names of ours that are not known to be answered.
    unasked: BTreeSet<Name>,
    /// By zone; the empty name is for the provider as a whole.
    problems: BTreeMap<Name, BTreeSet<(Name, Problem)>>,
    told: BTreeSet<(Name, Problem)>,
    planned: Arc<AtomicU64>,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Orders>, report: impl Fn(Report)) {
        let mut number = 0;
        let mut wait = FIRST;
        let mut next: Option<Instant> = None;
        let mut was_unfinished = false;
        // Names that are due; `None`: all that the zones hold or should hold.
        let mut touched: Option<BTreeSet<Name>> = Some(BTreeSet::new());
        loop {
            let order = tokio::select! {
                order = orders.recv() => match order { Some(order) => Some(order), None => return },
                () = sleep_until(next) => None,
            };
            let mut asked = order.is_some();
            match order {
                Some(order) => self.take(order, &mut number, &mut touched),
                None => touched = None,
            }
            while let Ok(order) = orders.try_recv() {
                asked = true;
                self.take(order, &mut number, &mut touched);
            }
            let mut made = self.round(touched.take().as_ref()).await;
            touched = Some(BTreeSet::new());
            made.number = number;
            let unfinished = made.unfinished;
            let news =
                made != (Report { number, generation: self.generation, unfinished, ..Report::default() });
            if asked || news || unfinished != was_unfinished {
                report(made);
            }
            was_unfinished = unfinished;
            let shortest = self.components.iter().map(|component| component.interval_seconds.max(1)).min();
            let interval = shortest.map(Duration::from_secs);
            let pause = if unfinished { Some(wait) } else { interval };
            wait = if unfinished { (wait * 2).min(LONGEST) } else { FIRST };
            next = pause.map(|pause| Instant::now() + pause);
        }
    }

    fn take(&mut self, order: Orders, number: &mut u64, touched: &mut Option<BTreeSet<Name>>) {
        *number = order.number;
        if let Some((settings, known)) = order.settings {
            self.components = settings;
            self.generation += 1;
            (self.seen, self.owned) = Default::default();
            self.unasked.clear();
            for row in known {
                self.see(row);
            }
            *touched = None;
        }
        for (name, records) in order.wanted {
            // The same again: it need not be looked at.
            if self.wanted.get(&name) == records.as_ref() {
                continue;
            }
            if let Some(touched) = touched {
                touched.insert(name.clone());
            }
            match records {
                Some(records) => self.wanted.insert(name, records),
                None => self.wanted.remove(&name),
            };
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
