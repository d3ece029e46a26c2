//! What one ApplicationSet may come to. A matrix multiplies, and a template repeats what it is given: a few lines would fill any
//! memory. What Helm does of it is bounded by itself (`confined`).

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Params;

/// Most sets of parameters, those included of which others are made.
const MOST_SETS: usize = 10_000;
/// Most bytes of them, and of the texts that are filled in with them.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Bytes that a value takes beside its text.
const OF_VALUE: usize = 48;
/// Runs of Helm that one set may wait for as long as they may take: each entry of a matrix may be one.
const RUNS: u32 = 4;

/// What is left of it.
pub(super) struct Room {
    sets: usize,
    bytes: usize,
    begun: Instant,
    most: Duration,
}

impl Room {
    /// For one set, where one run of Helm may take so long.
    pub(super) fn new(run: Duration) -> Self {
        Self { sets: MOST_SETS, bytes: MOST_BYTES, begun: Instant::now(), most: run * RUNS }
    }

    /// Takes some of it.
    ///
    /// # Errors
    /// That there is no more.
    pub(super) fn take(&mut self, params: &Params) -> Result<(), String> {
        let size = params.iter().map(|(key, value)| key.len() + weight(value)).sum();
        let left = (self.sets.checked_sub(1), self.bytes.checked_sub(size));
        let (Some(sets), Some(bytes)) = left else {
            return Err(format!(
                "its generators give more than {MOST_SETS} sets of parameters, or {} MiB of them",
                MOST_BYTES >> 20
            ));
        };
        (self.sets, self.bytes) = (sets, bytes);
        Ok(())
    }

    /// Whether there is still time.
    ///
    /// # Errors
    /// That there is none.
    pub(super) fn in_time(&self) -> Result<(), String> {
        if self.begun.elapsed() <= self.most {
            return Ok(());
        }
        Err(format!("its generators took more than {} s", self.most.as_secs()))
    }
}

fn weight(value: &Value) -> usize {
    OF_VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn params(value: &Value) -> Params {
        Map::from_iter([("a".to_owned(), value.clone())])
    }

    #[test]
    fn a_set_is_bounded_in_number_and_in_bytes() {
        let mut room = Room::new(Duration::from_secs(30));
        let one = params(&json!("x"));
        assert_eq!((0..MOST_SETS).find(|_| room.take(&one).is_err()), None);
        assert!(room.take(&one).is_err_and(|why| why.contains("10000 sets")));
        let mut room = Room::new(Duration::from_secs(30));
        let large = params(&json!({"b": ["y".repeat(MOST_BYTES / 4)]}));
        assert_eq!((0..3).find(|_| room.take(&large).is_err()), None);
        assert!(room.take(&large).is_err());
        assert!(room.take(&one).is_ok() && room.in_time().is_ok());
        assert!(Room { most: Duration::ZERO, ..room }.in_time().is_err_and(|why| why.contains("0 s")));
    }
}
