//! Formats of texts and numbers that API servers check. Others are ignored, as they ignore those that they do not know.
//! Source: k8s.io/apiextensions-apiserver `pkg/apiserver/validation/formats.go`, k8s.io/kube-openapi `pkg/validation/strfmt`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::schema::Types;

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $text:literal $(, $check:expr)?;)*) => {
        /// A format that is checked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Format { $($(#[$doc])* $name,)* }

        impl Format {
            /// As it is written.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            fn of(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }

            /// Whether a text is of this format.
            pub fn fits(self, text: &str) -> bool {
                match self { $($(Self::$name => { let check: fn(&str) -> bool = $check; check(text) })?)* _ => true }
            }

            /// Whether it is about texts.
            pub fn is_of_text(self) -> bool {
                !matches!(self, Self::Int32 | Self::Int64 | Self::Float | Self::Double)
            }
        }
    };
}

formats! {
    /// A number of 32 bits.
    Int32 = "int32";
    /// A number of 64 bits.
    Int64 = "int64";
    /// A number of 32 bits.
    Float = "float";
    /// A number of 64 bits.
    Double = "double";
    /// RFC 3339.
    DateTime = "date-time", date_time;
    /// RFC 3339, the same.
    Datetime = "datetime", date_time;
    /// `full-date` of RFC 3339.
    Date = "date", date;
    /// Base 64.
    Byte = "byte", base64;
    /// An IPv4 address.
    Ipv4 = "ipv4", |text| sloppy_v4(text);
    /// An IPv6 address.
    Ipv6 = "ipv6", |text| text.parse::<Ipv6Addr>().is_ok();
    /// An address and a prefix.
    Cidr = "cidr", cidr;
    /// `url.ParseRequestURI`.
    Uri = "uri", uri;
    /// A UUID, in any case, with or without dashes.
    Uuid = "uuid", |text| uuid(text, None);
    /// A UUID of version 3.
    Uuid3 = "uuid3", |text| uuid(text, Some('3'));
    /// A UUID of version 4.
    Uuid4 = "uuid4", |text| uuid(text, Some('4'));
    /// A UUID of version 5.
    Uuid5 = "uuid5", |text| uuid(text, Some('5'));
    /// An EUI-48 or EUI-64.
    Mac = "mac", mac;
    /// `1h30m`.
    Duration = "duration", |text| duration(text).is_some();
    /// Any text.
    Password = "password";
    /// A label of DNS in lower case.
    ShortName = "k8s-short-name", |text| crate::names::is_label(text);
    /// A name of DNS in lower case.
    LongName = "k8s-long-name", |text| crate::names::is_subdomain(text);
}

impl Format {
    /// A schema's format, if it is one of its type and known.
    pub fn named(name: &str, types: Types) -> Option<Self> {
        let format = Self::of(name)?;
        let fits = match format {
            Self::Int32 | Self::Int64 => types == Types::INTEGER,
            Self::Float | Self::Double => types == Types::NUMBER,
            _ => types == Types::STRING || types.is_any(),
        };
        fits.then_some(format)
    }
}

/// `1h30m`, as Go reads it, in nanoseconds.
pub(crate) fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let mut sum = 0.0;
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let (unit, size) = UNITS.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        sum += number.parse::<f64>().ok()? * size;
        rest = &after[unit.len()..];
    }
    #[allow(clippy::cast_possible_truncation, reason = "it saturates")]
    Some((sign * sum) as i64)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn date(text: &str) -> bool {
    let mut parts = text.split('-');
    let part = |part: Option<&str>, length: usize| {
        part.filter(|part| part.len() == length && digits(part)).and_then(|part| part.parse::<u32>().ok())
    };
    let (Some(year), Some(month), Some(day), None) =
        (part(parts.next(), 4), part(parts.next(), 2), part(parts.next(), 2), parts.next())
    else {
        return false;
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn date_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((day, time)) = lower.split_once('t') else { return false };
    let Some(clock) = time.get(..8) else { return false };
    let two = |at: usize| clock.get(at..at + 2).filter(|part| digits(part));
    let (Some(hour), Some(minute), Some(second)) = (two(0), two(3), two(6)) else { return false };
    let colons = clock.as_bytes()[2] == b':' && clock.as_bytes()[5] == b':';
    let mut rest = &time[8..];
    // The point of the fraction is any character in the pattern.
    if let Some(c) = rest.chars().next().filter(|c| !matches!(c, 'z' | '+' | '-')) {
        let fraction = &rest[c.len_utf8()..];
        let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        if end == 0 {
            return false;
        }
        rest = &fraction[end..];
    }
    let zone = rest == "z"
        || (rest.len() == 6
            && rest.starts_with(['+', '-'])
            && rest.get(1..3).is_some_and(digits)
            && rest.get(3..4) == Some(":")
            && rest.get(4..6).is_some_and(digits));
    date(day) && colons && hour <= "23" && minute <= "59" && second <= "59" && zone
}

fn base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && padding <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// With leading zeros, as Go before 1.17 took them.
fn sloppy_v4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    text.parse::<Ipv4Addr>().is_ok()
        || (text.contains(':') && text.contains('.') && text.parse::<Ipv6Addr>().is_ok())
        || (parts.len() == 4
            && parts.iter().all(|part| digits(part) && part.parse::<u32>().is_ok_and(|n| n < 256)))
}

fn cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let bits = if sloppy_v4(address) && !address.contains(':') {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    digits(prefix) && prefix.parse::<u32>().is_ok_and(|prefix| prefix <= bits)
}

fn uri(text: &str) -> bool {
    let plain = !text.chars().any(|c| c == ' ' || c.is_control());
    let scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && !rest.is_empty()
    });
    plain && (text.starts_with('/') || scheme)
}

fn uuid(text: &str, version: Option<char>) -> bool {
    let bytes: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    // A dash may be left out at each place, and stand nowhere else.
    let mut at = 0;
    let dashes = text.chars().all(|c| {
        if c == '-' {
            [8, 12, 16, 20].contains(&at)
        } else {
            at += 1;
            true
        }
    }) && !text.contains("--");
    bytes.len() == 32
        && dashes
        && bytes.iter().all(char::is_ascii_hexdigit)
        && version.is_none_or(|version| bytes[12] == version)
        && (!matches!(version, Some('4' | '5')) || matches!(bytes[16], '8' | '9' | 'a' | 'b' | 'A' | 'B'))
}

fn mac(text: &str) -> bool {
    ['-', ':'].iter().any(|separator| {
        let parts: Vec<&str> = text.split(*separator).collect();
        matches!(parts.len(), 6 | 8 | 20)
            && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_what_go_takes() {
        use Format::{Byte, Cidr, Date, DateTime, Ipv4, Mac, Uri, Uuid, Uuid4};
        for (format, good, bad) in [
            (DateTime, "2026-11-29T08:00:00Z", "2026-11-29"),
            (DateTime, "2026-11-29t08:00:00.5+01:00", "2026-11-29T24:00:00Z"),
            (DateTime, "2024-02-29T08:00:00z", "2026-02-29T08:00:00Z"),
            (Date, "2026-11-29", "2026-13-01"),
            (Byte, "YQ==", ""),
            (Byte, "YWJj", "YQ="),
            (Ipv4, "010.0.0.1", "10.0.0.256"),
            (Cidr, "10.0.0.0/8", "10.0.0.0/33"),
            (Uri, "/a", "a b"),
            (Uuid, "123E4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400"),
            (Uuid4, "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            (Mac, "00:00:5e:00:53:01", "00:00:5e:00:53"),
        ] {
            assert!(format.fits(good), "{} takes {good}", format.name());
            assert!(!format.fits(bad), "{} refuses {bad}", format.name());
        }
        assert_eq!(Format::named("int32", Types::STRING), None, "a format of another type is ignored");
        assert_eq!(Format::named("quark", Types::STRING), None);
    }
}
