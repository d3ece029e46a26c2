#![allow(clippy::unwrap_used)]

use super::*;

const DAY: i64 = 86_400_000;
const NOW: Instant = Instant(1_790_000_000_000);

fn after(days: i64) -> Instant {
    NOW.plus_millis(days * DAY)
}

/// Whether who trusts a bundle takes a leaf at an instant.
fn takes(bundle: &str, leaf: &Leaf, at: Instant) -> bool {
    let (_, leaf) = parse_x509_certificate(&leaf.chain[0]).unwrap();
    CertificateDer::pem_slice_iter(bundle.as_bytes()).any(|ca| {
        let ca = ca.unwrap();
        let (_, parsed) = parse_x509_certificate(&ca).unwrap();
        ends(&ca) > at && leaf.verify_signature(Some(parsed.public_key())).is_ok()
    })
}

#[test]
fn what_is_written_is_read_again() {
    let kept = Kept::generate(NOW).unwrap();
    let data = kept.write().unwrap();
    let read = Kept::read(&data).unwrap();
    assert!(read.signs_as(&kept) && read.bundle() == kept.bundle() && read.next.is_none());
    let later = kept.due(after(250)).unwrap().unwrap();
    let read = Kept::read(&later.write().unwrap()).unwrap();
    assert!(read.next.is_some() && read.bundle() == later.bundle());
    assert!(!format!("{kept:?}").contains("PRIVATE"));
}

#[test]
fn what_is_damaged_is_named() {
    let (one, other) =
        (Kept::generate(NOW).unwrap().write().unwrap(), Kept::generate(NOW).unwrap().write().unwrap());
    for field in ["tls.crt", "tls.key", "ca.crt"] {
        let (mut without, mut broken) = (one.clone(), one.clone());
        without.remove(field);
        broken.insert(field.into(), Redacted::new(b"nonsense".to_vec()));
        for data in [without, broken] {
            let why = Kept::read(&data).unwrap_err().to_string();
            assert!(why.contains(field), "{field}: {why}");
        }
    }
    let mut mixed = one.clone();
    mixed.insert("tls.key".into(), other["tls.key"].clone());
    assert!(matches!(Kept::read(&mixed), Err(KeptError::Mismatch("tls.crt"))));
    let mut untrusted = one;
    untrusted.insert("ca.crt".into(), other["ca.crt"].clone());
    assert!(Kept::read(&untrusted).is_err(), "Envoys would refuse what it signs");
}

/// Three years, looked at each day: whoever has the bundle of the day before takes what is signed, and whoever has the one of now takes
/// a leaf of a week before that is still served.
#[test]
fn through_every_rotation_everybody_is_understood() {
    let mut kept = Kept::generate(NOW).unwrap();
    let mut bundles = vec![kept.bundle()];
    let mut leaves = vec![kept.leaf(&["xds.example".to_owned()], NOW).unwrap()];
    let mut rotations = 0;
    for day in 1..3 * 365 {
        let now = after(day);
        if let Some(other) = kept.due(now).unwrap() {
            rotations += usize::from(!other.signs_as(&kept));
            kept = other;
        }
        assert!(kept.due(now).unwrap().is_none(), "one thing at a time, and then it is done");
        let leaf = kept.leaf(&["xds.example".to_owned()], now).unwrap();
        assert!(leaf.renewal > now && leaf.renewal <= now.plus_millis(millis(LEAF)));
        assert!(takes(bundles.last().unwrap(), &leaf, now), "day {day}: an Envoy with yesterday's bundle");
        for old in leaves.iter().rev().take(7) {
            assert!(takes(&kept.bundle(), old, now), "day {day}: a leaf that is still served");
        }
        bundles.push(kept.bundle());
        leaves.push(leaf);
    }
    assert_eq!(rotations, 4, "a CA signs for 246 days");
    assert!(kept.trusted.len() <= 2, "what has ended is let go: {kept:?}");
}

#[test]
fn one_that_nobody_renewed_is_begun_anew() {
    let kept = Kept::generate(NOW).unwrap();
    let new = kept.due(after(400)).unwrap().unwrap();
    assert!(!new.signs_as(&kept) && new.trusted.len() == 1);
}
