//! What `up` says on its output.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::{
    certificates::rows::IssueWanted,
    status::rows::{EntryPoint, State},
    world,
};
use portolan_model::{Name, Problem, Severity};
use serde_json::Value;

use super::Driver;
use crate::status;

impl Driver {
    /// Nothing of this run can change any more: no work under way, and every host decided.
    pub(super) fn at_rest(&self) -> bool {
        !self.reading.is_running()
            && self.signing.is_empty()
            && self.wire.settled()
            && self.to_probe.is_empty()
            && self.probing.is_empty()
            && self.engine.rows::<IssueWanted>().next().is_none()
            && self.engine.rows::<EntryPoint>().all(|e| e.state != State::Pending || !e.probe)
    }

    pub(super) fn result(&self) -> u8 {
        let status = self.status();
        anstream::print!("{}", status::table(&status));
        let pending = self.engine.rows::<EntryPoint>().any(|e| e.state == State::Pending);
        let errors = self.engine.rows::<world::Finding>().any(|f| f.problem.severity == Severity::Error);
        u8::from(pending || errors)
    }

    /// Plain lines for what is new since the last ones.
    pub(super) fn tell(&self, shown: &mut BTreeMap<Name, (State, String)>, said: &mut BTreeSet<Problem>) {
        for entry in self.engine.rows::<EntryPoint>() {
            let now = (entry.state, entry.why.clone());
            if shown.get(&entry.key) != Some(&now) {
                let state = serde_json::to_value(entry.state).ok();
                let state = state.as_ref().and_then(Value::as_str).unwrap_or_default();
                anstream::println!("{state:8} {} {}: {}", entry.key, entry.url, entry.why);
                shown.insert(entry.key.clone(), now);
            }
        }
        shown.retain(|host, _| {
            let there = self.engine.get::<EntryPoint>(host).is_some();
            if !there {
                anstream::println!("gone     {host}");
            }
            there
        });
        let findings: BTreeSet<Problem> =
            self.engine.rows::<world::Finding>().map(|f| f.problem.clone()).collect();
        if findings != *said {
            let status = self.status();
            for (problem, json) in
                self.engine.rows::<world::Finding>().zip(status["findings"].as_array().into_iter().flatten())
            {
                if !said.contains(&problem.problem) {
                    anstream::println!("{}", status::finding_line(json));
                }
            }
            *said = findings;
        }
    }
}
