//! Windows in which something may be done: beginnings by a cron expression in a time zone, and how long each lasts. As
//! cert-manager has them for renewals (`pkg/util/util.go`, `CronParse`: five fields of robfig/cron, or a descriptor).

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::Instant;

/// How many of a Certificate's are looked at: each is looked up at every look at the certificate.
pub const MOST: usize = 64;
/// Nothing that begins later than so many years on is looked for (robfig/cron, `SpecSchedule.Next`).
const YEARS: i32 = 5;
/// Days of the months, in the longest year.
const LAST_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Windows that come again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How long each lasts, in milliseconds.
    pub length: i64,
    /// `None` where they cannot be read, or never begin: nobody searches the calendar for a 30 February.
    begins: Option<(Cron, Tz)>,
}

/// Fields of an expression: their name, least and most, and names of values.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// Words for whole expressions (`parseDescriptor`); `@every` begins at no time of a clock.
const DESCRIPTORS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Windows {
    /// By a cron expression, in a time zone (empty is UTC), each so many milliseconds long. Read here, once.
    pub fn new(cron: &str, zone: &str, length: i64) -> Self {
        let begins = || {
            let schedule = Self::schedule(cron).ok()?;
            let zone = Self::time_zone(zone).ok()?;
            comes(&schedule).then_some((schedule, zone))
        };
        Self { length, begins: begins() }
    }

    /// The beginnings.
    ///
    /// # Errors
    /// Why the text is no such expression.
    pub fn schedule(cron: &str) -> Result<Cron, String> {
        let text = cron.trim();
        let plain = if text.starts_with('@') {
            let known = DESCRIPTORS.iter().find(|(name, _)| *name == text);
            known.ok_or_else(|| format!("unrecognized descriptor: {text}"))?.1.to_owned()
        } else {
            let fields: Vec<&str> = text.split_whitespace().collect();
            if fields.len() != FIELDS.len() {
                return Err(format!(
                    "expected exactly 5 fields, found {}: [{}]",
                    fields.len(),
                    fields.join(" ")
                ));
            }
            let mut plain = Vec::new();
            for (field, (name, least, most, names)) in fields.into_iter().zip(FIELDS) {
                let values = values(field, (least, most), names);
                plain.push(values.map_err(|why| format!("{name} {field:?}: {why}"))?);
            }
            plain.join(" ")
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(&plain).map_err(|error| error.to_string())
    }

    /// The time zone.
    ///
    /// # Errors
    /// There is none of the name.
    pub fn time_zone(zone: &str) -> Result<Tz, String> {
        let utc = zone.is_empty() || zone == "UTC";
        if utc { Ok(Tz::UTC) } else { zone.parse().map_err(|_| format!("unknown time zone {zone}")) }
    }

    /// Whether an instant lies in one of them. Not if they cannot be read.
    pub fn hold(&self, at: Instant) -> bool {
        let latest = || {
            let (cron, zone) = self.begins.as_ref()?;
            let begin = cron.find_previous_occurrence(&zoned(at, *zone)?, true).ok()?;
            Some(begin.timestamp_millis())
        };
        latest().is_some_and(|begin| at.0 <= begin.saturating_add(self.length))
    }

    /// When the next one begins after an instant, if within five years.
    pub fn next(&self, after: Instant) -> Option<Instant> {
        let (cron, zone) = self.begins.as_ref()?;
        let after = zoned(after, *zone)?;
        let begin = cron.find_next_occurrence(&after, false).ok()?;
        (begin.year() <= after.year().saturating_add(YEARS)).then(|| Instant(begin.timestamp_millis()))
    }
}

/// Whether one of its days is in one of its months. Without this the calendar is searched to its end, for each look anew.
fn comes(schedule: &Cron) -> bool {
    let text = schedule.pattern.to_string();
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [_, _, days, months, "*"] = fields[..] else {
        // Some day of the week is in every month.
        return true;
    };
    // As `values` writes them: one by one.
    let first = days.split(',').filter_map(|day| day.parse::<u32>().ok()).min().unwrap_or(1);
    let last = |month: &str| LAST_DAYS.get(month.parse::<usize>().ok()?.checked_sub(1)?).copied();
    months == "*" || months.split(',').filter_map(last).any(|last| first <= last)
}

fn zoned(at: Instant, zone: Tz) -> Option<DateTime<Tz>> {
    Some(DateTime::<Utc>::from_timestamp_millis(at.0)?.with_timezone(&zone))
}

/// The values of a field one by one, or `*`: of steps, empty items and what counts as every day the parser has other opinions
/// than upstream (`getField`, `getRange`). Items are a value, a range or `*`, each with a step or without; a value with a step is
/// the range from there.
fn values(field: &str, (least, most): (u32, u32), names: &[&str]) -> Result<String, String> {
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = names.iter().position(|name| *name == lower) {
            return Ok(least + u32::try_from(at).unwrap_or_default());
        }
        text.parse().map_err(|_| format!("failed to parse int from {text:?}"))
    };
    let (mut found, mut every) = (BTreeSet::new(), false);
    for item in field.split(',').filter(|item| !item.is_empty()) {
        let parts: Vec<&str> = item.split('/').collect();
        let ends: Vec<&str> = parts[0].split('-').collect();
        let star = matches!(ends[0], "*" | "?");
        let (from, mut to) = match ends[..] {
            _ if star => (least, most),
            [one] => (number(one)?, number(one)?),
            [from, to] => (number(from)?, number(to)?),
            _ => return Err(format!("too many hyphens: {item}")),
        };
        let step = match parts[..] {
            [_] => 1,
            // An `int` of Go, which is narrower than what counts steps here.
            [_, step] => step
                .parse::<i64>()
                .ok()
                .and_then(|step| usize::try_from(step).ok())
                .ok_or_else(|| format!("failed to parse int from {step:?}"))?,
            _ => return Err(format!("too many slashes: {item}")),
        };
        if parts.len() == 2 && ends.len() == 1 {
            to = most;
        }
        if from < least {
            return Err(format!("beginning of range ({from}) below minimum ({least})"));
        }
        if to > most {
            return Err(format!("end of range ({to}) above maximum ({most})"));
        }
        if from > to {
            return Err(format!("beginning of range ({from}) beyond end of range ({to})"));
        }
        if step == 0 {
            return Err("step of range should be a positive number".into());
        }
        // Days of the month and of the week both count where either is every one, and one of them suffices where neither is.
        every |= star && step == 1;
        found.extend((from..=to).step_by(step));
    }
    if found.is_empty() {
        return Err("it has no value, and would never begin".into());
    }
    let list: Vec<String> = found.iter().map(u32::to_string).collect();
    Ok(if every { "*".to_owned() } else { list.join(",") })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        Instant::parse(text).unwrap()
    }

    #[test]
    fn windows_begin_by_the_clock_of_their_zone() {
        let nights = |zone: &str| Windows::new("0 2 * * sat,sun", zone, 2 * 3_600_000);
        // 2026-11-28 is a Saturday.
        for (zone, before, inside, last, after) in [
            (
                "",
                "2026-11-28T01:59:59Z",
                "2026-11-28T02:00:00Z",
                "2026-11-28T04:00:00Z",
                "2026-11-28T04:00:01Z",
            ),
            (
                "Europe/Berlin",
                "2026-11-28T00:59:59Z",
                "2026-11-28T01:00:00Z",
                "2026-11-28T03:00:00Z",
                "2026-11-28T03:00:01Z",
            ),
            // In summer the clock is two hours ahead.
            (
                "Europe/Berlin",
                "2026-07-03T23:59:59Z",
                "2026-07-04T00:00:00Z",
                "2026-07-04T02:00:00Z",
                "2026-07-04T02:00:01Z",
            ),
        ] {
            let windows = nights(zone);
            assert_eq!(
                [before, inside, last, after].map(|text| windows.hold(at(text))),
                [false, true, true, false],
                "{zone}"
            );
            assert_eq!(windows.next(at(before)), Some(at(inside)), "{zone}");
        }
        assert_eq!(nights("").next(at("2026-11-29T02:00:00Z")), Some(at("2026-12-05T02:00:00Z")));
    }

    #[test]
    fn fields_are_read_as_upstream_reads_them() {
        let begins = |cron: &str, after: &str| {
            let windows = Windows::new(cron, "", 0);
            windows.next(at(after)).map(Instant::rfc3339)
        };
        // 2026-11-29 is a Sunday.
        for (cron, next) in [
            ("40/15 * * * *", "2026-11-29T10:40:00Z"),
            ("0 1,,11 * * *", "2026-11-29T11:00:00Z"),
            // Every day of the month: only Tuesdays. Of every second day: those, and Tuesdays.
            ("0 0 */1 * 2", "2026-12-01T00:00:00Z"),
            ("0 0 *,5 * 2", "2026-12-01T00:00:00Z"),
            ("0 0 */3 * 3", "2026-12-01T00:00:00Z"),
            ("0 0 30 * 5", "2026-11-30T00:00:00Z"),
            ("0 0 1-31 * 5", "2026-11-30T00:00:00Z"),
            ("@midnight", "2026-11-30T00:00:00Z"),
            ("@annually", "2027-01-01T00:00:00Z"),
            ("@weekly", "2026-12-06T00:00:00Z"),
        ] {
            assert_eq!(begins(cron, "2026-11-29T10:30:00Z").as_deref(), Some(next), "{cron}");
        }
        assert_eq!(begins("0 0 31 2 *", "2026-11-29T10:30:00Z"), None);
    }

    #[test]
    fn what_never_comes_is_known_at_once_and_nothing_is_searched_for_beyond_five_years() {
        for cron in ["0 0 30 2 *", "0 0 30,31 feb ?", "* * 31 2,4,6,9,11 *", "0 0 */30 2 *,1", "0 0 31 4/5 *"]
        {
            let comes = Windows::new(cron, "Europe/Berlin", 60_000).begins.is_some();
            // 1 and 31 are every thirtieth day; 4/5 is April and September.
            assert_eq!(comes, cron.contains("*/30"), "{cron}");
        }
        for cron in
            ["0 0 29 2 *", "0 0 30 2 5", "0 0 31 2,3 *", "0 0 * 2 *", "0 0 30 * *", "0 0 */2 2 1", "@yearly"]
        {
            assert!(Windows::new(cron, "", 60_000).begins.is_some(), "{cron}");
        }
        // 2100 is no leap year.
        let leap = Windows::new("0 0 29 2 *", "", 60_000);
        assert_eq!(leap.next(at("2096-02-28T00:00:00Z")), Some(at("2096-02-29T00:00:00Z")));
        assert_eq!(leap.next(at("2097-01-01T00:00:00Z")), None);
        assert_eq!(leap.next(at("2099-01-01T00:00:00Z")), Some(at("2104-02-29T00:00:00Z")));
        // Told apart by what they say.
        assert_ne!(leap, Windows::new("0 0 28 2 *", "", 60_000));
        assert_ne!(leap, Windows::new("0 0 29 2 *", "Europe/Berlin", 60_000));
    }

    #[test]
    fn what_upstream_refuses_is_refused() {
        for text in ["* * * * *", "*/15 0-6,22 ? jan-mar 1-5", "@daily", "5 4 1 * 0"] {
            assert!(Windows::schedule(text).is_ok(), "{text}");
        }
        for (text, why) in [
            ("", "expected exactly 5 fields, found 0: []"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("0 0 * * 7", "day of week \"7\": end of range (7) above maximum (6)"),
            ("60 * * * *", "minute \"60\": end of range (60) above maximum (59)"),
            ("* 5-3 * * *", "hour \"5-3\": beginning of range (5) beyond end of range (3)"),
            ("* * 0 * *", "day of month \"0\": beginning of range (0) below minimum (1)"),
            ("* * L * *", "day of month \"L\": failed to parse int from \"L\""),
            ("*/0 * * * *", "minute \"*/0\": step of range should be a positive number"),
            (
                "*/12222222222222222222 * * * *",
                "minute \"*/12222222222222222222\": failed to parse int from \"12222222222222222222\"",
            ),
            ("1-2-3 * * * *", "minute \"1-2-3\": too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "minute \"1/2/3\": too many slashes: 1/2/3"),
            (", * * * *", "minute \",\": it has no value, and would never begin"),
            ("@every 1h", "unrecognized descriptor: @every 1h"),
        ] {
            assert_eq!(Windows::schedule(text).unwrap_err(), why, "{text}");
        }
        assert!(Windows::time_zone("Mars/Olympus").is_err());
    }
}
