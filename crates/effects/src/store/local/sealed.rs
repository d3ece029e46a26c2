//! A row with a sum of its own: the database checks its pages only when it was not closed in order.

use aws_lc_rs::digest;
use portolan_model::ObjectKey;

/// Length of a sum, in hexadecimal digits.
const SUM: usize = 16;

fn sum(json: &[u8]) -> String {
    let whole = digest::digest(&digest::SHA256, json);
    let digits = whole.as_ref()[..SUM / 2].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or_default()).collect()
}

/// JSON with its sum on a line of its own.
pub(super) fn seal(mut json: Vec<u8>) -> Vec<u8> {
    let sum = sum(&json);
    json.push(b'\n');
    json.extend_from_slice(sum.as_bytes());
    json
}

/// The JSON, if it is as it was written. Rows from before there were sums end with it.
pub(super) fn open(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.last() == Some(&b'}') {
        return Some(bytes);
    }
    let at = bytes.len().checked_sub(SUM + 1)?;
    let (json, rest) = bytes.split_at(at);
    (rest[0] == b'\n' && sum(json).as_bytes() == &rest[1..]).then_some(json)
}

/// The object that a row is named after.
pub(super) fn key_of(row: &str) -> ObjectKey {
    let mut parts = row.split('/');
    let (group, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kind = kind.strip_suffix(group).and_then(|kind| kind.strip_suffix('.')).unwrap_or(kind);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, None) => ObjectKey::new(group, kind, "", name),
        (Some(namespace), Some(name), None) => ObjectKey::new(group, kind, namespace, name),
        _ => ObjectKey::new("", "Row", "", row),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_row_is_noticed() {
        let row = seal(b"{\"a\":{\"b\":[1,2]}}".to_vec());
        assert_eq!(open(&row).unwrap(), b"{\"a\":{\"b\":[1,2]}}");
        for at in 0..row.len() {
            for bit in 0..8 {
                let mut flipped = row.clone();
                flipped[at] ^= 1 << bit;
                // A last digit that becomes a brace makes it a row without a sum, whose text is no JSON.
                let read =
                    open(&flipped).filter(|json| serde_json::from_slice::<serde_json::Value>(json).is_ok());
                assert_eq!(read, None, "byte {at}, bit {bit}");
            }
        }
        assert!(open(b"").is_none());
    }

    #[test]
    fn a_row_names_its_object() {
        for key in [
            ObjectKey::new("", "Secret", "a", "b"),
            ObjectKey::new("cert-manager.io", "ClusterIssuer", "", "b"),
            ObjectKey::new("serving.knative.dev", "Service", "a", "b"),
        ] {
            assert_eq!(key_of(&format!("{}/{key}", key.kind.group)), key);
        }
        assert_eq!(&*key_of("nonsense").kind.kind, "Row");
    }
}
