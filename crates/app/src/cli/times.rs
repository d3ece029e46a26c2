//! Lengths of time, as people write them.

use std::time::Duration;

/// `120`, `120s`, `5m`, `1h30m`: whole numbers with their units from the largest to the smallest, each once; a number alone is seconds.
///
/// # Errors
/// How they are written.
pub fn duration(text: &str) -> Result<Duration, String> {
    of(text).ok_or_else(|| "write a length of time, such as 120s, 5m or 1h30m".into())
}

fn of(text: &str) -> Option<Duration> {
    const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];
    if let Ok(seconds) = text.parse() {
        // `+5` is a number to Rust, and to nobody else.
        return text.starts_with(|c: char| c.is_ascii_digit()).then_some(Duration::from_secs(seconds));
    }
    let (mut rest, mut seconds, mut units) = (text, 0_u64, UNITS.iter());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let (_, worth) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.checked_mul(*worth)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, seconds) in [
            ("120", 120),
            ("120s", 120),
            ("0s", 0),
            ("5m", 300),
            ("1h", 3600),
            ("1h30m", 5400),
            ("1m30s", 90),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "s", "-5s", "+5", "5 m", "1.5m", "5d", "5ms", "30s1m", "1m1m", "99999999999999999h", "5µ"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
