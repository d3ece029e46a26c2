//! How long one that is to take over from another is waited for. What is edited meanwhile reaches neither: the one that serves is
//! not spoken to any more, and the other serves nothing yet.

use std::time::Duration;

use portolan_envoy::board::Board;
use tokio::time::Instant;

/// Longest without a word from it or to it: twice what Envoy itself waits for a resource that does not come before it goes on without
/// (Envoy, `initial_fetch_timeout`: 15 s), and a hundred times what one that works takes to connect.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest in all: one that is told of edits goes on talking, though something that it waits for may never come.
const LONGEST: Duration = Duration::from_mins(5);

/// What has been seen of it.
pub(super) struct Patience {
    begun: Instant,
    /// When something happened last, and how much had until then.
    last: Instant,
    said: u64,
}

impl Patience {
    /// With one that was started at this time.
    pub(super) fn new(begun: Instant) -> Self {
        Self { begun, last: begun, said: 0 }
    }

    /// Looks how far it is; an error says why it is given up.
    pub(super) fn look(&mut self, board: &Board, now: Instant) -> Result<(), String> {
        let said = board.heard() + board.sent()[0];
        // Nobody is answered before it is known what is wanted: that it waits then is not its fault.
        if said != self.said || !board.is_known() {
            (self.said, self.last) = (said, now);
        }
        let silent = now.saturating_duration_since(self.last) > SILENCE;
        if !silent && now.saturating_duration_since(self.begun) <= LONGEST {
            return Ok(());
        }
        Err(if silent {
            format!(
                "the next one has said nothing to Portolan and not taken over for {} s",
                SILENCE.as_secs()
            )
        } else {
            format!("the next one has not taken over for {} minutes", LONGEST.as_secs() / 60)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_that_says_nothing_is_given_up_and_one_that_goes_on_is_not() {
        let (board, begun) = (Board::default(), Instant::now());
        let mut patience = Patience::new(begun);
        let mut after = |seconds| patience.look(&board, begun + Duration::from_secs(seconds));
        // The state is being read.
        assert_eq!((after(1), after(100)), (Ok(()), Ok(())));
        board.publish(|_| ());
        assert_eq!((after(101), after(130)), (Ok(()), Ok(())));
        assert!(after(131).unwrap_err().contains("has said nothing"));
        // It has, and is sent much.
        board.note_heard();
        assert_eq!((after(132), after(160)), (Ok(()), Ok(())));
        board.note_sent(1, 10);
        assert_eq!((after(161), after(190)), (Ok(()), Ok(())));
        assert!(after(192).unwrap_err().contains("has said nothing"));
        // It never comes to an end.
        board.note_heard();
        assert_eq!((after(299), after(300)), (Ok(()), Ok(())));
        assert!(after(301).unwrap_err().contains("5 minutes"));
    }
}
