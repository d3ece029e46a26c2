//! What `up` says while it runs: plain lines in a pipe; on a terminal also a live view of what waits for what.
//! Work is O(what changed).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::IsTerminal as _,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use portolan_core::{
    World,
    certificates::rows::{AccountWanted, IssueWanted},
    status::rows::{EntryPoint, State},
    world::Finding,
};
use portolan_engine::{Changes, Engine};
use portolan_model::{Name, Problem, Severity, shown};

use super::Driver;
use crate::{cli::Up, columns, out, status};

/// Hosts that the live view names; the rest is a number.
const NAMED: usize = 10;

/// What was said, and what is to be said next.
pub struct View {
    screen: Option<Screen>,
    /// Each host as it was last told.
    told: BTreeMap<Name, (State, String)>,
    changed: BTreeSet<Name>,
    found: BTreeSet<Problem>,
    /// Findings that were told, and those of them that have gone since.
    standing: BTreeSet<Problem>,
    gone: BTreeSet<Problem>,
    /// Whether lines are printed; `--once` prints a table at its end instead.
    lines: bool,
    /// Lines for no terminal, until all of them are known: many hosts change together, and each write costs more than its line.
    text: String,
}

/// The lower lines of a terminal.
struct Screen {
    all: MultiProgress,
    summary: ProgressBar,
    waiting: Vec<ProgressBar>,
}

impl View {
    /// Says nothing yet. `lines`: say what changes, line by line.
    pub fn new(lines: bool) -> Self {
        let screen = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let summary = all.add(ProgressBar::new_spinner());
            summary.enable_steady_tick(Duration::from_millis(120));
            Screen { all, summary, waiting: Vec::new() }
        });
        Self {
            screen,
            told: BTreeMap::new(),
            changed: BTreeSet::new(),
            found: BTreeSet::new(),
            standing: BTreeSet::new(),
            gone: BTreeSet::new(),
            lines,
            text: String::new(),
        }
    }

    /// Takes note of what a step changed.
    pub fn note(&mut self, step: &Changes) {
        self.changed.extend(step.of::<EntryPoint>().iter().map(|change| change.key.clone()));
        for change in step.of::<Finding>() {
            if change.after.is_some() {
                self.gone.remove(&change.key);
                if !self.standing.contains(&change.key) {
                    self.found.insert(change.key.clone());
                }
            } else {
                self.found.remove(&change.key);
                if self.standing.contains(&change.key) {
                    self.gone.insert(change.key.clone());
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        match &self.screen {
            // Above the live view, which is drawn on stderr.
            Some(screen) => {
                // Drawn by another library than what takes colours out elsewhere.
                let plain = anstream::AutoStream::choice(&std::io::stderr()) == anstream::ColorChoice::Never;
                for line in out::coloured(&columns::folded_text(line)).lines() {
                    let bare = plain.then(|| anstream::adapter::strip_str(line).to_string());
                    drop(screen.all.println(bare.as_deref().unwrap_or(line)));
                }
            }
            None => self.text.push_str(&columns::folded_text(line)),
        }
    }

    /// Says which objects a saved edit changed; none is said too, so that it is seen to have been taken.
    pub fn edited(&mut self, changed: &[String], removed: &[String]) {
        if !self.lines {
            return;
        }
        for (word, objects) in [("changed", changed), ("removed", removed)] {
            if !objects.is_empty() {
                self.line(&shown::text(&format!("{word:8} {}", some(objects))));
            }
        }
        if changed.is_empty() && removed.is_empty() {
            self.line("saved    no object is other than before");
        }
    }

    /// Says which objects go that an edit took away before, and that stayed for what had to go first.
    pub fn removed(&mut self, objects: &[String]) {
        if self.lines && !objects.is_empty() {
            self.line(&shown::text(&format!("removed  {}", some(objects))));
        }
    }

    /// Says what changed since the last call.
    pub fn tell(&mut self, engine: &Engine<World>, finding: impl Fn(&Problem) -> String) {
        for host in std::mem::take(&mut self.changed) {
            let Some(entry) = engine.get::<EntryPoint>(&host) else {
                if self.told.remove(&host).is_some() && self.lines {
                    self.line(&format!("gone     {}", shown::text(&host)));
                }
                continue;
            };
            let now = (entry.state, entry.why.clone());
            if self.told.get(&host) == Some(&now) {
                continue;
            }
            // On a terminal what is on its way stands in the live view.
            if self.lines && (entry.state != State::Pending || self.screen.is_none()) {
                // One that no listener takes has none.
                let url = if entry.url.is_empty() { String::new() } else { format!(" {}", entry.url) };
                let text = format!("{:8} {host}{url}: {}", entry.state.word(), entry.why);
                self.line(&shown::text(&text));
            }
            self.told.insert(host, now);
        }
        let found = std::mem::take(&mut self.found);
        for problem in std::mem::take(&mut self.gone) {
            self.standing.remove(&problem);
            // The same in other words is not resolved.
            let again = |new: &Problem| (&new.object, new.code) == (&problem.object, problem.code);
            if self.lines && problem.severity != Severity::Info && !found.iter().any(again) {
                let text = format!("resolved {} {}: {}", problem.code, problem.object, problem.message);
                self.line(&shown::text(&text));
            }
        }
        for problem in found {
            if self.lines && problem.severity != Severity::Info {
                self.line(&finding(&problem));
            }
            self.standing.insert(problem);
        }
        if !self.text.is_empty() {
            out::told(&self.text);
            self.text.clear();
        }
        self.draw();
    }

    fn draw(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let count = |state: State| self.told.values().filter(|(s, _)| *s == state).count();
        let pending = count(State::Pending);
        let mut summary =
            format!("{} live, {pending} pending, {} refused", count(State::Live), count(State::Refused));
        if count(State::Unknown) > 0 {
            let _ = write!(summary, ", {} unknown", count(State::Unknown));
        }
        screen.summary.set_message(summary);
        let waiting: Vec<String> = self
            .told
            .iter()
            .filter(|(_, (state, _))| *state == State::Pending)
            .take(NAMED)
            .map(|(host, (_, why))| shown::text(&format!("{host}: {why}")).into_owned())
            .chain((pending > NAMED).then(|| format!("and {} more", pending - NAMED)))
            .collect();
        while screen.waiting.len() > waiting.len() {
            if let Some(bar) = screen.waiting.pop() {
                bar.finish_and_clear();
                screen.all.remove(&bar);
            }
        }
        while screen.waiting.len() < waiting.len() {
            let bar = screen.all.add(ProgressBar::new_spinner());
            bar.set_style(ProgressStyle::with_template("  {wide_msg}").expect("the template is fixed"));
            screen.waiting.push(bar);
        }
        let width = terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0));
        for (bar, text) in screen.waiting.iter().zip(waiting) {
            // Two blanks stand before it.
            bar.set_message(cut(&text, width.map(|width| width.saturating_sub(2))));
            bar.tick();
        }
    }

    /// Takes the live view off the screen.
    pub fn clear(&mut self) {
        let Some(screen) = self.screen.take() else { return };
        for bar in screen.waiting.iter().chain([&screen.summary]) {
            bar.finish_and_clear();
        }
        let _ = screen.all.clear();
    }
}

/// Some names, and how many more.
fn some(names: &[String]) -> String {
    const MOST: usize = 4;
    let told = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// A text that fits into a line of the terminal: where something is cut off, it says so.
fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if text.chars().count() > width => {
            text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        }
        _ => text.to_owned(),
    }
}

impl Driver {
    /// Nothing of this run can change any more: no work under way, and every host decided.
    pub(super) fn at_rest(&self) -> bool {
        self.cx.patience.is_none()
            && !self.source.reading.is_running()
            && self.effects.iter().all(|effect| !effect.is_busy())
            && self.wire.settled()
            && !self.source.dns.busy()
            && self.cx.engine.rows::<AccountWanted>().next().is_none()
            && self.cx.engine.rows::<IssueWanted>().next().is_none()
            && self.cx.engine.rows::<EntryPoint>().all(|e| e.state != State::Pending || !e.probe)
    }

    /// Shows the outcome; the exit code.
    pub(super) fn result(&mut self, args: &Up) -> anyhow::Result<u8> {
        self.source.view.clear();
        self.place_now();
        let status = self.status();
        status::print(&status, args.output, args.info, args.all)?;
        Ok(status::code(&status, args.allow_incomplete))
    }

    /// Says what is new.
    pub(super) fn tell(&mut self) {
        let (store, engine) = (&self.cx.store, &self.cx.engine);
        let meant = status::Meant::new(engine);
        self.source
            .view
            .tell(engine, |problem| status::finding_line(&status::placed(engine, store, &meant, problem)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_says_so() {
        assert_eq!(cut("waiting for a certificate", Some(10)), "waiting f…");
        assert_eq!(cut("waiting", Some(7)), "waiting");
        assert_eq!(cut("waiting for a certificate", None), "waiting for a certificate");
        let names: Vec<String> = (1..7).map(|n| n.to_string()).collect();
        assert_eq!(
            (some(&names), some(&names[..2])),
            ("1, 2, 3, 4 and 2 more".to_owned(), "1, 2".to_owned())
        );
    }
}
