//! `up --once` whose time ran out: what is shown then is only part of the truth, and says so.

use std::time::Duration;

use portolan_core::status::rows::{EntryPoint, State};
use portolan_model::{Code, ObjectKey, Problem, Severity, input::SourceProblems};

use super::Driver;
use crate::cli::Up;

impl Driver {
    /// The outcome as far as it is known.
    pub(super) fn late(&mut self, args: &Up) -> anyhow::Result<u8> {
        let pending =
            self.cx.engine.rows::<EntryPoint>().filter(|entry| entry.state == State::Pending).count();
        let problem = problem(args.timeout, self.source.reading.done, pending);
        self.cx.engine.put(SourceProblems { key: problem.object.clone(), problems: vec![problem] });
        self.settle();
        self.result(args)
    }

    /// Of a first start nothing is known yet, and nothing is fine.
    pub(super) fn is_starting(&self) -> bool {
        !self.source.reading.done && self.cx.store.list().next().is_none()
    }
}

fn problem(given: Duration, is_read: bool, pending: usize) -> Problem {
    let seconds = given.as_secs_f64();
    let (severity, message) = if is_read {
        let left = match pending {
            0 => "something was still under way, so more may change".to_owned(),
            1 => "1 host was still pending".to_owned(),
            more => format!("{more} hosts were still pending"),
        };
        (Severity::Warning, format!("the {seconds} s of --timeout ran out: {left}"))
    } else {
        let message = format!(
            "the repository was not read within the {seconds} s of --timeout, so nothing of it is judged"
        );
        (Severity::Error, message)
    };
    Problem {
        object: ObjectKey::new("", "Program", "", "up"),
        code: Code(94),
        field: "".into(),
        severity,
        message,
        hint: "raise --timeout".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_was_no_time_for_is_said() {
        let said = |is_read, pending| {
            let problem = problem(Duration::from_secs(1), is_read, pending);
            (problem.severity, problem.message)
        };
        let (severity, message) = said(false, 0);
        assert_eq!(severity, Severity::Error);
        assert!(message.starts_with("the repository was not read within the 1 s of --timeout"), "{message}");
        assert_eq!(
            said(true, 1),
            (Severity::Warning, "the 1 s of --timeout ran out: 1 host was still pending".into())
        );
        assert!(said(true, 0).1.ends_with("more may change"));
    }
}
