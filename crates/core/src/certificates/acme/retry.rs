//! When to try again.

use jiff::{civil::DateTime, tz::TimeZone};
use portolan_model::Instant;

/// Longest time a server may ask us to stay away: a week, the longest window of known CAs.
const LONGEST: i64 = 7 * 24 * 3_600_000;

/// Shortest: a server that names the present or the past must not make a busy loop.
const SHORTEST: i64 = 1_000;

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or an HTTP date in any of the three forms of §5.6.7. `None` if it
/// is neither.
pub(super) fn retry_after(text: &str, now: Instant) -> Option<Instant> {
    let text = text.trim();
    let wanted = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds: i64 = text.parse().unwrap_or(i64::MAX);
        now.plus_millis(seconds.saturating_mul(1000))
    } else {
        http_date(text)?
    };
    Some(wanted.clamp(now.plus_millis(SHORTEST), now.plus_millis(LONGEST)))
}

fn http_date(text: &str) -> Option<Instant> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| DateTime::strptime(form, text).ok())
        .and_then(|date| TimeZone::UTC.to_timestamp(date).ok())
        .map(|time| Instant(time.as_millisecond()))
}

/// Pause before look number `looks` (0 is the first), growing by half up to `longest`. All in milliseconds.
pub(super) fn poll_pause(looks: u32, first: i64, longest: i64) -> i64 {
    let mut pause = first.max(1);
    for _ in 0..looks.min(64) {
        pause = (pause + pause / 2).min(longest.max(1));
    }
    pause.min(longest.max(1))
}

/// Pause after failure number `failures` (1 is the first): 1 s, doubled up to a minute. In milliseconds.
pub(super) fn failure_pause(failures: u32) -> i64 {
    (1_000_i64 << failures.saturating_sub(1).min(6)).min(60_000)
}

/// Pause after a rate limit without `Retry-After`: 10 s, doubled up to an hour. In milliseconds.
pub(super) fn limit_pause(times: u32) -> i64 {
    (10_000_i64 << times.min(9)).min(3_600_000)
}
