#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;

use super::*;

/// A store whose MAC is to go: `SEQUENCE { 3, ContentInfo { data, [0] OCTET STRING "inner" }, MAC }`.
fn store() -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u32(3);
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 7, 1]));
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_bytes(b"inner"));
            });
            writer.next().write_sequence(|writer| writer.next().write_bytes(b"the older MAC"));
        });
    })
}

/// Read by its positions, as RFC 9579 has them: the salt of PBKDF2 and the MAC.
fn read(store: &[u8]) -> (Vec<u8>, Vec<u8>) {
    yasna::parse_der(store, |reader| {
        reader.read_sequence(|reader| {
            assert_eq!(reader.next().read_u32()?, 3);
            reader.next().read_der()?;
            reader.next().read_sequence(|reader| {
                let read = reader.next().read_sequence(|reader| {
                    let salt = reader.next().read_sequence(|reader| {
                        assert_eq!(reader.next().read_oid()?.to_string(), "1.2.840.113549.1.5.14");
                        reader.next().read_sequence(|reader| {
                            let salt = reader.next().read_sequence(|reader| {
                                assert_eq!(reader.next().read_oid()?.to_string(), "1.2.840.113549.1.5.12");
                                reader.next().read_sequence(|reader| {
                                    let salt = reader.next().read_bytes()?;
                                    assert_eq!(
                                        (reader.next().read_u32()?, reader.next().read_u32()?),
                                        (7, 32)
                                    );
                                    reader.next().read_der()?;
                                    Ok(salt)
                                })
                            })?;
                            reader.next().read_der()?;
                            Ok(salt)
                        })
                    })?;
                    Ok((salt, reader.next().read_bytes()?))
                })?;
                assert_eq!(reader.next().read_bytes()?, b"NOT USED");
                assert_eq!(reader.next().read_u32()?, 1);
                Ok(read)
            })
        })
    })
    .unwrap()
}

#[test]
fn the_mac_is_over_what_the_store_holds_and_by_its_password_as_utf_8() {
    let rounds = NonZeroU32::new(7).unwrap();
    let made = protected(&store(), "chängeit €", rounds).unwrap();
    let (salt, mac) = read(&made);
    assert_eq!(salt.len(), 16);
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, "chängeit €".as_bytes(), &mut key);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), b"inner", &mac).unwrap();
    assert_ne!(
        read(&protected(&store(), "chängeit €", rounds).unwrap()).0,
        salt,
        "a salt of its own each time"
    );
}

#[test]
fn what_is_no_store_is_one_sentence() {
    let rounds = NonZeroU32::new(7).unwrap();
    for bytes in [&b""[..], b"\x30\x00", b"no DER", &store()[..20]] {
        let error = protected(bytes, "p", rounds).unwrap_err();
        assert!(error.starts_with("it is no PKCS#12: "), "{error}");
    }
}
