//! Windows in which something may be done: beginnings by a cron expression in a time zone, and how long each lasts. As
//! cert-manager has them for renewals (`pkg/util/util.go`, `CronParse`: five fields of robfig/cron, or a descriptor).

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{Instant, Name};

/// Windows that come again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Cron expression by which they begin.
    pub cron: Name,
    /// Name of the time zone; empty is UTC.
    pub zone: Name,
    /// How long each lasts, in milliseconds.
    pub length: i64,
}

/// Fields of an expression: their name, least and most, and names of values.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const DESCRIPTORS: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

impl Windows {
    /// The beginnings.
    ///
    /// # Errors
    /// Why the text is no such expression.
    pub fn schedule(cron: &str) -> Result<Cron, String> {
        let text = cron.trim();
        if text.starts_with('@') {
            if !DESCRIPTORS.contains(&text) {
                return Err(format!("unrecognized descriptor: {text}"));
            }
        } else {
            let fields: Vec<&str> = text.split_whitespace().collect();
            if fields.len() != FIELDS.len() {
                return Err(format!(
                    "expected exactly 5 fields, found {}: [{}]",
                    fields.len(),
                    fields.join(" ")
                ));
            }
            for (field, (name, least, most, names)) in fields.into_iter().zip(FIELDS) {
                check(field, (least, most), names).map_err(|why| format!("{name} {field:?}: {why}"))?;
            }
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(&text.replace('?', "*")).map_err(|error| error.to_string())
    }

    /// The time zone.
    ///
    /// # Errors
    /// There is none of the name.
    pub fn time_zone(zone: &str) -> Result<Tz, String> {
        let utc = zone.is_empty() || zone == "UTC";
        if utc { Ok(Tz::UTC) } else { zone.parse().map_err(|_| format!("unknown time zone {zone}")) }
    }

    fn parts(&self) -> Option<(Cron, Tz)> {
        Some((Self::schedule(&self.cron).ok()?, Self::time_zone(&self.zone).ok()?))
    }

    /// Whether an instant lies in one of them. Not if they cannot be read.
    pub fn hold(&self, at: Instant) -> bool {
        let latest = || {
            let (cron, zone) = self.parts()?;
            let begin = cron.find_previous_occurrence(&zoned(at, zone)?, true).ok()?;
            Some(begin.timestamp_millis())
        };
        latest().is_some_and(|begin| at.0 <= begin.saturating_add(self.length))
    }

    /// When the next one begins after an instant.
    pub fn next(&self, after: Instant) -> Option<Instant> {
        let (cron, zone) = self.parts()?;
        let begin = cron.find_next_occurrence(&zoned(after, zone)?, false).ok()?;
        Some(Instant(begin.timestamp_millis()))
    }
}

fn zoned(at: Instant, zone: Tz) -> Option<DateTime<Tz>> {
    Some(DateTime::<Utc>::from_timestamp_millis(at.0)?.with_timezone(&zone))
}

/// Items of a field: `*` or a value or a range, each with a step or without.
fn check(field: &str, (least, most): (u32, u32), names: &[&str]) -> Result<(), String> {
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = names.iter().position(|name| *name == lower) {
            return Ok(least + u32::try_from(at).unwrap_or_default());
        }
        text.parse().map_err(|_| format!("failed to parse int from {text:?}"))
    };
    for item in field.split(',') {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        if let Some(step) = step
            && step.parse::<u32>().map_err(|_| format!("failed to parse int from {step:?}"))? == 0
        {
            return Err("step of range should be a positive number".into());
        }
        if matches!(range, "*" | "?") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (number(from)?, number(to)?);
        if from < least {
            return Err(format!("beginning of range ({from}) below minimum ({least})"));
        }
        if to > most {
            return Err(format!("end of range ({to}) above maximum ({most})"));
        }
        if from > to {
            return Err(format!("beginning of range ({from}) beyond end of range ({to})"));
        }
    }
    Ok(())
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
        let nights =
            |zone: &str| Windows { cron: "0 2 * * sat,sun".into(), zone: zone.into(), length: 2 * 3_600_000 };
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
            ("@every 1h", "unrecognized descriptor: @every 1h"),
        ] {
            assert_eq!(Windows::schedule(text).unwrap_err(), why, "{text}");
        }
        assert!(Windows::time_zone("Mars/Olympus").is_err());
    }
}
