//! Domain names as text: one normal form, so that names compare as text everywhere.
//!
//! The normal form is the presentation format of RFC 1035 section 5.1 in lower case without the trailing dot: a dot,
//! blank or backslash inside a label is written `\.`, `\ `, `\\`, other bytes outside printable ASCII `\DDD`. The root is `""`.

use std::fmt::Write as _;

use crate::Name;

/// Why a text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum InvalidName {
    /// Two dots in a row, or a leading dot.
    #[error("it has an empty label")]
    EmptyLabel,
    /// RFC 1035 section 2.3.4.
    #[error("a label is longer than 63 bytes")]
    LongLabel,
    /// RFC 1035 section 2.3.4: 255 bytes on the wire, length bytes and root included.
    #[error("it is longer than 253 characters")]
    LongName,
    /// A character that is not ASCII; such names are written in punycode (RFC 3492) in the DNS.
    #[error("it has a character outside ASCII; write the name in punycode (xn--…)")]
    NotAscii,
    /// A backslash that no character or byte value follows.
    #[error("a backslash is not followed by a character or by three digits up to 255")]
    Escape,
    /// An address where a name belongs.
    #[error("it is an address")]
    Address,
    /// RFC 1123 section 2.1.
    #[error("its labels are not of letters, digits and inner hyphens, as those of a host are")]
    NotHost,
}

/// Splits a name in presentation format into its labels as bytes, lower-cased, leftmost first. A trailing dot is
/// accepted; the root gives no labels.
///
/// # Errors
/// The first rule of RFC 1035 that the text breaks.
pub fn labels(text: &str) -> Result<Vec<Vec<u8>>, InvalidName> {
    if text.is_empty() || text == "." {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut label = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => {
                close(&mut found, &mut label)?;
                if bytes.peek().is_none() {
                    return fits(found);
                }
            }
            b'\\' => {
                let first = bytes.next().ok_or(InvalidName::Escape)?;
                let value = if first.is_ascii_digit() {
                    let mut number = u32::from(first - b'0');
                    for _ in 0..2 {
                        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(InvalidName::Escape)?;
                        number = number * 10 + u32::from(digit - b'0');
                    }
                    u8::try_from(number).map_err(|_| InvalidName::Escape)?
                } else if first.is_ascii() {
                    first
                } else {
                    return Err(InvalidName::NotAscii);
                };
                label.push(value.to_ascii_lowercase());
            }
            byte if byte.is_ascii() => label.push(byte.to_ascii_lowercase()),
            _ => return Err(InvalidName::NotAscii),
        }
    }
    close(&mut found, &mut label)?;
    fits(found)
}

fn close(found: &mut Vec<Vec<u8>>, label: &mut Vec<u8>) -> Result<(), InvalidName> {
    match label.len() {
        0 => Err(InvalidName::EmptyLabel),
        1..=63 => {
            found.push(std::mem::take(label));
            Ok(())
        }
        _ => Err(InvalidName::LongLabel),
    }
}

fn fits(found: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, InvalidName> {
    let wire: usize = 1 + found.iter().map(|label| label.len() + 1).sum::<usize>();
    if wire > 255 { Err(InvalidName::LongName) } else { Ok(found) }
}

/// The normal form of labels (leftmost first).
pub fn text_of<L: AsRef<[u8]>>(labels: impl IntoIterator<Item = L>) -> String {
    let mut text = String::new();
    for (at, label) in labels.into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        for byte in label.as_ref() {
            match byte {
                b' ' | b'.' | b'\\' => {
                    text.push('\\');
                    text.push(char::from(*byte));
                }
                0x21..=0x7e => text.push(char::from(byte.to_ascii_lowercase())),
                // Writing to a String cannot fail.
                _ => _ = write!(text, "\\{byte:03}"),
            }
        }
    }
    text
}

/// Brings a name into its normal form.
///
/// # Errors
/// As [`labels`].
pub fn normal_name(text: &str) -> Result<Name, InvalidName> {
    Ok(Name::new(&text_of(labels(text)?)))
}

/// Whether `name` is `zone` or stands below it, on label boundaries. Both in normal form.
pub fn in_zone(name: &str, zone: &str) -> bool {
    if zone.is_empty() || name == zone {
        return true;
    }
    let Some(rest) = name.strip_suffix(zone).and_then(|rest| rest.strip_suffix('.')) else { return false };
    // The dot is a boundary only if it is not itself escaped: an even number of backslashes before it.
    rest.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0
}

/// The longest of `zones` that holds `name`: where a record of that name belongs.
pub fn zone_for<'a>(name: &str, zones: impl IntoIterator<Item = &'a Name>) -> Option<&'a Name> {
    zones.into_iter().filter(|zone| in_zone(name, zone)).max_by_key(|zone| zone.len())
}
