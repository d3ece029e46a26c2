//! PBMAC1 of PKCS#12 (RFC 9579), which the library that writes our stores does not have: its MAC is taken off and this one
//! stands in its place. What is encrypted under it stays as it was written.

use aws_lc_rs::{hmac, pbkdf2, rand};
use yasna::{ASN1Error, ASN1ErrorKind, Tag, models::ObjectIdentifier};

/// Bytes of salt, and of the key that is derived (as long as the digest, as RFC 9579 section 5 recommends), as cert-manager's
/// library has them (`go-pkcs12`, `Modern2026`).
const SALT: usize = 16;
const KEY: usize = 32;

fn pbmac1() -> ObjectIdentifier {
    ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 5, 14])
}

fn pbkdf2() -> ObjectIdentifier {
    ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 5, 12])
}

fn hmac_with_sha256() -> ObjectIdentifier {
    ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 2, 9])
}

/// The store with PBMAC1 (PBKDF2 and HMAC, both with SHA-256) in place of the MAC that it has.
///
/// # Errors
/// One sentence: what was given is no store with a password, or the machine gives no random bytes.
pub(super) fn protected(
    store: &[u8],
    password: &str,
    rounds: std::num::NonZeroU32,
) -> Result<Vec<u8>, String> {
    let mut salt = [0_u8; SALT];
    rand::fill(&mut salt).map_err(|_| "the machine gives no random bytes".to_owned())?;
    let (version, safe, content) = parts(store).map_err(|error| format!("it is no PKCS#12: {error}"))?;
    // The password as UTF-8, not as the two bytes a character of the older MAC (RFC 9579 section 4, erratum 7974).
    let mut key = [0_u8; KEY];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut key);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &content);
    zeroize::Zeroize::zeroize(&mut key);
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u32(version);
            writer.next().write_der(&safe);
            writer.next().write_sequence(|writer| {
                writer.next().write_sequence(|writer| {
                    writer.next().write_sequence(|writer| algorithm(writer, &salt, rounds.get()));
                    writer.next().write_bytes(mac.as_ref());
                });
                // Both are not looked at, and must be there for older readers (RFC 9579 section 5).
                writer.next().write_bytes(b"NOT USED");
                writer.next().write_u32(1);
            });
        });
    }))
}

/// `AlgorithmIdentifier` of PBMAC1 (RFC 8018 A.5).
fn algorithm(writer: &mut yasna::DERWriterSeq<'_>, salt: &[u8], rounds: u32) {
    let sha256 = |writer: &mut yasna::DERWriterSeq<'_>| {
        writer.next().write_oid(&hmac_with_sha256());
        writer.next().write_null();
    };
    writer.next().write_oid(&pbmac1());
    writer.next().write_sequence(|writer| {
        writer.next().write_sequence(|writer| {
            writer.next().write_oid(&pbkdf2());
            writer.next().write_sequence(|writer| {
                writer.next().write_bytes(salt);
                writer.next().write_u32(rounds);
                // Without it a reader must refuse the store.
                writer.next().write_u32(u32::try_from(KEY).unwrap_or(u32::MAX));
                writer.next().write_sequence(sha256);
            });
        });
        writer.next().write_sequence(sha256);
    });
}

/// Version, `authSafe`, and what of it the MAC is over: the content of its octet string (RFC 7292 section 4).
fn parts(store: &[u8]) -> Result<(u32, Vec<u8>, Vec<u8>), ASN1Error> {
    let (version, safe) = yasna::parse_der(store, |reader| {
        reader.read_sequence(|reader| {
            let version = reader.next().read_u32()?;
            let safe = reader.next().read_der()?;
            let _mac = reader.next().read_der()?;
            Ok((version, safe))
        })
    })?;
    let content = yasna::parse_der(&safe, |reader| {
        reader.read_sequence(|reader| {
            let data = ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 7, 1]);
            if reader.next().read_oid()? != data {
                return Err(ASN1Error::new(ASN1ErrorKind::Invalid));
            }
            #[allow(
                clippy::redundant_closure_for_method_calls,
                reason = "the method's name alone is not general enough in lifetimes"
            )]
            reader.next().read_tagged(Tag::context(0), |reader| reader.read_bytes())
        })
    })?;
    Ok((version, safe, content))
}

#[cfg(test)]
mod tests;
