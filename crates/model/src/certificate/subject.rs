//! Distinguished names: of a Certificate's `subject`, and of its `literalSubject` (RFC 4514 as go-ldap's `ParseDN` reads it).

use crate::input::Subject;

/// Object identifiers in dotted form with their short names, as cert-manager has them (`pkg/util/pki/subject.go`).
const KNOWN: [(&str, &str); 10] = [
    ("C", "2.5.4.6"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("CN", COMMON_NAME),
    ("SERIALNUMBER", "2.5.4.5"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
];
const COMMON_NAME: &str = "2.5.4.3";

/// Attributes that stand side by side: object identifier and value.
pub type Rdn = Vec<(String, String)>;

/// The subject as Go writes it (`pkix.Name.ToRDNSequence`): one set for each attribute, in this order.
pub(super) fn sequence(subject: &Subject, common_name: &str) -> Vec<Rdn> {
    let lists: [(&str, &[String]); 9] = [
        ("C", &subject.countries),
        ("O", &subject.organizations),
        ("OU", &subject.organizational_units),
        ("L", &subject.localities),
        ("ST", &subject.provinces),
        ("STREET", &subject.street_addresses),
        ("2.5.4.17", &subject.postal_codes),
        ("CN", &[common_name.to_owned()]),
        ("SERIALNUMBER", std::slice::from_ref(&subject.serial_number)),
    ];
    let set = |(name, values): (&str, &[String])| {
        let id = oid(name).expect("the names above are known");
        let values = values.iter().filter(|value| !value.is_empty());
        values.map(|value| (id.clone(), value.clone())).collect::<Rdn>()
    };
    lists.into_iter().map(set).filter(|rdn| !rdn.is_empty()).collect()
}

/// The identifier of a short name, or the name itself if it is one.
fn oid(name: &str) -> Option<String> {
    let known = KNOWN.iter().find(|(short, _)| *short == name).map(|(_, oid)| (*oid).to_owned());
    known.or_else(|| is_oid(name).then(|| name.to_owned()))
}

/// Whether a text is an object identifier that can be written (X.660: the first arc is 0 to 2, the second below 40 under 0
/// and 1).
pub(super) fn is_oid(text: &str) -> bool {
    let arcs: Option<Vec<u32>> = text
        .split('.')
        .map(|arc| (arc.bytes().all(|b| b.is_ascii_digit())).then(|| arc.parse().ok()).flatten())
        .collect();
    arcs.is_some_and(|arcs| arcs.len() > 1 && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40))
}

/// Reads a literal subject; its first attribute is the last of the sequence.
///
/// # Errors
/// What is wrong, in a sentence.
pub(super) fn literal(text: &str) -> Result<Vec<Rdn>, String> {
    let mut sequence = Vec::new();
    for rdn in split(text, &[',', ';'])? {
        let mut attributes = Rdn::new();
        for attribute in split(rdn, &['+'])? {
            let (name, value) = attribute
                .split_once('=')
                .ok_or_else(|| format!("{} is no attribute: write it as NAME=value", attribute.trim()))?;
            let name = name.trim();
            let id = oid(name).ok_or_else(|| {
                format!("Literal subject contains unrecognized key with value [{}]: {name}", value.trim())
            })?;
            attributes.push((id, unescaped(value)?));
        }
        sequence.push(attributes);
    }
    sequence.reverse();
    Ok(sequence)
}

/// The common name of a sequence.
pub(super) fn common_name(sequence: &[Rdn]) -> Option<&str> {
    sequence.iter().flatten().find(|(id, _)| id == COMMON_NAME).map(|(_, value)| &**value)
}

/// Cuts at separators that are not escaped.
fn split<'t>(text: &'t str, separators: &[char]) -> Result<Vec<&'t str>, String> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if !escaped && separators.contains(&c) {
            parts.push(&text[from..at]);
            from = at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    if escaped {
        return Err("it ends in the middle of an escape".to_owned());
    }
    parts.push(&text[from..]);
    Ok(parts)
}

/// A value without its escapes (RFC 4514 §2.4): a backslash before a special character or two hexadecimal digits; spaces
/// around it are left out unless they are escaped.
fn unescaped(text: &str) -> Result<String, String> {
    let text = text.trim_start();
    if text.starts_with('#') {
        return Err("values in hexadecimal (#...) are not read".to_owned());
    }
    let mut bytes: Vec<u8> = Vec::new();
    let mut kept = 0;
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            if byte != b' ' {
                kept = bytes.len();
            }
            continue;
        }
        let next = rest.next().ok_or("it ends in the middle of an escape")?;
        if b" \"#+,;<=>\\".contains(&next) {
            bytes.push(next);
        } else {
            let pair = [Some(next), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
            let [Some(high), Some(low)] = pair else {
                return Err(format!("\\{} is no escape", char::from(next)));
            };
            bytes.push(u8::try_from(high * 16 + low).expect("two digits"));
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    if bytes.is_empty() {
        return Err("an attribute has no value".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "a value is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn literal_subjects_are_read_as_rfc_4514_says() {
        let read = |text: &str| {
            let sets: Vec<String> = literal(text)
                .unwrap()
                .iter()
                .map(|set| set.iter().map(|(id, v)| format!("{id}={v}")).collect::<Vec<_>>().join("+"))
                .collect();
            sets.join("/")
        };
        assert_eq!(
            read("CN=cart,OU=payments,O=Shop,DC=corp,DC=example"),
            "0.9.2342.19200300.100.1.25=example/0.9.2342.19200300.100.1.25=corp/2.5.4.10=Shop/2.5.4.11=payments/2.5.4.3=cart"
        );
        assert_eq!(
            read("CN=a+UID=7, O = Two Words "),
            "2.5.4.10=Two Words/2.5.4.3=a+0.9.2342.19200300.100.1.1=7"
        );
        assert_eq!(read("CN=Lu\\C4\\8Di\\C4\\87\\, Inc\\ "), "2.5.4.3=Lučić, Inc ");
        assert_eq!(read("1.2.3.4=x"), "1.2.3.4=x");
        for bad in ["CN", "cn=a", "CN=", "CN=a,", "CN=a\\", "CN=a\\zz", "CN=#0401", "5.1=x", "CN=\\ff"] {
            assert!(literal(bad).is_err(), "{bad}");
        }
        assert_eq!(common_name(&literal("OU=x,CN=y").unwrap()), Some("y"));
    }

    #[test]
    fn a_subject_has_gos_order() {
        let one = |text: &str| vec![text.to_owned()];
        let subject = Subject {
            organizations: vec!["A".into(), "B".into()],
            countries: one("NL"),
            serial_number: "42".into(),
            ..Subject::default()
        };
        let ids: Vec<String> =
            sequence(&subject, "cn").iter().map(|set| format!("{}x{}", set[0].0, set.len())).collect();
        assert_eq!(ids, ["2.5.4.6x1", "2.5.4.10x2", "2.5.4.3x1", "2.5.4.5x1"]);
        assert_eq!(sequence(&Subject::default(), ""), Vec::<Rdn>::new());
    }
}
