//! Windows of renewals: which expressions of cron are taken, and when they begin, held against a slow reading of the same text
//! minute by minute. In time zones what lies between two beginnings is no beginning.
#![no_main]

use portolan_fuzz::{parts, target};
use portolan_model::{Instant, schedule::Windows};

const MINUTE: i64 = 60_000;
/// How far ahead minutes are looked at one by one.
const FAR: i64 = 3 * 1440;
const ZONES: [&str; 8] = [
    "",
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Africa/Casablanca",
];

/// A field as robfig/cron has it: a bit for each value, and whether it is every one.
fn field(text: &str, least: u64, most: u64, names: &str) -> Option<(u64, bool)> {
    let number = |text: &str| {
        let lower = text.to_ascii_lowercase();
        match names.split(' ').position(|name| name == lower && !lower.is_empty()) {
            Some(at) => Some(least + at as u64),
            None => text.parse::<u64>().ok(),
        }
    };
    let (mut bits, mut every) = (0, false);
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let star = matches!(range.split('-').next(), Some("*" | "?"));
        let (from, to) = match range.split_once('-') {
            _ if star => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, if step.is_some() { most } else { number(range)? }),
        };
        let step = step.map_or(Some(1), |step| step.parse::<u32>().ok())?;
        if from < least || to > most || from > to || step == 0 {
            return None;
        }
        every |= star && step == 1;
        let mut at = from;
        while at <= to {
            bits |= 1 << at;
            at += u64::from(step);
        }
    }
    (bits != 0).then_some((bits, every))
}

const MONTHS: &str = "jan feb mar apr may jun jul aug sep oct nov dec";
const DAYS: &str = "sun mon tue wed thu fri sat";

/// All fields; `None` where it is no expression.
fn fields(text: &str) -> Option<[(u64, bool); 5]> {
    let [minute, hour, day, month, week] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    Some([
        field(minute, 0, 59, "")?,
        field(hour, 0, 23, "")?,
        field(day, 1, 31, "")?,
        field(month, 1, 12, MONTHS)?,
        field(week, 0, 6, DAYS)?,
    ])
}

/// Whether a minute of UTC, counted from 1970, is a beginning.
fn begins([minute, hour, day, month, week]: &[(u64, bool); 5], at: i64) -> bool {
    let days = at.div_euclid(1440);
    // Days to year, month and day, in the years that begin in March (Hinnant, `civil_from_days`).
    let shifted = days + 719_468;
    let era = shifted.rem_euclid(146_097);
    let year = (era - era / 1460 + era / 36_524 - era / 146_096) / 365;
    let rest = era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * rest + 2) / 153;
    let of_month = rest - (153 * from_march + 2) / 5 + 1;
    let of_year = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let has = |(bits, _): &(u64, bool), value: i64| bits >> value & 1 == 1;
    let (by_day, by_week) = (has(day, of_month), has(week, (days + 4).rem_euclid(7)));
    let today = if day.1 || week.1 { by_day && by_week } else { by_day || by_week };
    has(minute, at.rem_euclid(60)) && has(hour, at.rem_euclid(1440) / 60) && has(month, of_year) && today
}

target!(|bytes| {
    let Some(([a, b, c, d, which], rest)) = bytes.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut parts = parts(text);
    let (cron, zone) = (parts.next().unwrap_or_default(), parts.next());
    let zone = zone.unwrap_or(ZONES[usize::from(*which) % ZONES.len()]);
    let taken = Windows::schedule(cron);
    let slow = fields(cron);
    if !cron.trim_start().starts_with('@') {
        assert_eq!(taken.is_ok(), slow.is_some(), "{cron:?}: {taken:?}");
    }
    if let Err(why) = &taken {
        assert!(!why.is_empty());
    }
    let windows = Windows::new(cron, zone, 0);
    // A second of the years to 2106.
    let after = Instant(i64::from(u32::from_be_bytes([*a, *b, *c, *d])) * 1000);
    let next = windows.next(after);
    if taken.is_err() || Windows::time_zone(zone).is_err() {
        assert!(next.is_none() && !windows.hold(after), "what cannot be read never begins");
        return;
    }
    if let (Some(slow), "" | "UTC") = (&slow, zone) {
        let first = after.0.div_euclid(MINUTE) + 1;
        let found = (first..first + FAR).find(|minute| begins(slow, *minute));
        let told = next.map(|next| next.0).filter(|next| *next < (first + FAR) * MINUTE);
        assert_eq!(told, found.map(|minute| minute * MINUTE), "{cron:?} after {}", after.rfc3339());
        assert_eq!(windows.hold(after), after.0 % MINUTE == 0 && begins(slow, after.0 / MINUTE));
    }
    let Some(next) = next else { return };
    assert!(next > after, "{cron:?} in {zone:?}: {} is not after {}", next.rfc3339(), after.rfc3339());
    assert!(windows.hold(next), "{cron:?} in {zone:?}: {} begins a window and is not in it", next.rfc3339());
    let between = Instant(after.0 + (next.0 - after.0) / 2000 * 1000);
    if between > after && between < next {
        assert!(!windows.hold(between), "{cron:?} in {zone:?}: {} is between two", between.rfc3339());
        assert_eq!(windows.next(between), Some(next), "{cron:?} in {zone:?} after {}", between.rfc3339());
    }
    let long = Windows::new(cron, zone, next.0 - after.0);
    assert!(long.hold(Instant(next.0 + long.length)));
});
