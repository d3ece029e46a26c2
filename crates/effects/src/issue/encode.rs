//! Certificates and requests as DER (RFC 5280, RFC 2986): what Go's `crypto/x509` writes for cert-manager, field by field.

use portolan_model::{
    Instant,
    certificate::{CertificateRequestParams, NameConstraints, Names, Rdn, Usage},
    input::Points,
};
use yasna::{DERWriter, DERWriterSet, Tag, models::ObjectIdentifier};

/// An extension: its last arc under 2.5.29 (or a whole identifier), whether it is critical, and its value.
struct Extension {
    id: ObjectIdentifier,
    critical: bool,
    value: Vec<u8>,
}

/// What the signer adds to what is asked for.
pub(super) struct Signing<'a> {
    /// Positive, at most 20 octets.
    pub serial: &'a [u8],
    /// The signer's name, DER.
    pub issuer: &'a [u8],
    /// Identifies the signer's key; `None` where it is the certificate's own.
    pub authority_key: Option<&'a [u8]>,
    /// Identifies the certificate's key.
    pub subject_key: &'a [u8],
    /// First and last second of validity.
    pub validity: (Instant, Instant),
    pub points: &'a Points,
}

/// The part of a certificate that is signed. `algorithm` and `key` are DER.
pub(super) fn to_be_signed(
    params: &CertificateRequestParams,
    signing: &Signing<'_>,
    (algorithm, key): (&[u8], &[u8]),
) -> Vec<u8> {
    let subject = name(&params.subject);
    let mut extensions = usages(params);
    let basic = |writer: DERWriter<'_>| {
        writer.write_sequence(|writer| {
            if params.is_ca {
                writer.next().write_bool(true);
            }
        });
    };
    extensions.push(extension(19, true, basic));
    extensions.push(extension(14, false, |writer| writer.write_bytes(signing.subject_key)));
    if let Some(id) = signing.authority_key {
        let value = |writer: DERWriter<'_>| {
            writer.write_sequence(|writer| implicit(writer.next(), 0, id));
        };
        extensions.push(extension(35, false, value));
    }
    extensions.extend(places(signing.points));
    extensions.extend(alternative_names(params, params.subject.is_empty()));
    extensions.extend(params.name_constraints.as_ref().map(name_constraints));
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_tagged(Tag::context(0), |writer| writer.write_u8(2));
            writer.next().write_bigint_bytes(signing.serial, true);
            writer.next().write_der(algorithm);
            writer.next().write_der(signing.issuer);
            writer.next().write_sequence(|writer| {
                for at in [signing.validity.0, signing.validity.1] {
                    writer.next().write_der(&time(at));
                }
            });
            writer.next().write_der(&subject);
            writer.next().write_der(key);
            writer.next().write_tagged(Tag::context(3), |writer| write_all(writer, &extensions));
        });
    })
}

/// The part of a request that is signed.
pub(super) fn request_info(params: &CertificateRequestParams, key: &[u8]) -> Vec<u8> {
    let mut extensions: Vec<Extension> =
        alternative_names(params, params.subject.is_empty()).into_iter().collect();
    if !params.plain_request {
        extensions.extend(usages(params));
    }
    extensions.extend(params.name_constraints.as_ref().map(name_constraints));
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            writer.next().write_der(&name(&params.subject));
            writer.next().write_der(key);
            writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                writer.write_set(|writer| {
                    if extensions.is_empty() {
                        return;
                    }
                    writer.next().write_sequence(|writer| {
                        // extensionRequest (PKCS #9)
                        writer
                            .next()
                            .write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 9, 14]));
                        writer.next().write_set(|writer| write_all(writer.next(), &extensions));
                    });
                });
            });
        });
    })
}

/// What was signed, how, and the signature.
pub(super) fn signed(content: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(content);
            writer.next().write_der(algorithm);
            writer.next().write_bitvec_bytes(signature, signature.len() * 8);
        });
    })
}

/// A distinguished name, DER.
pub(super) fn name(sequence: &[Rdn]) -> Vec<u8> {
    let attribute = |writer: &mut DERWriterSet<'_>, (id, value): &(String, String)| {
        writer.next().write_sequence(|writer| {
            writer.next().write_oid(&oid(id));
            // As Go: a printable string where one will do (X.680 §41.4).
            if value.bytes().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b)) {
                writer.next().write_printable_string(value);
            } else {
                writer.next().write_utf8_string(value);
            }
        });
    };
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for rdn in sequence {
                writer.next().write_set_of(|writer| rdn.iter().for_each(|one| attribute(writer, one)));
            }
        });
    })
}

fn extension(last: u64, critical: bool, value: impl FnOnce(DERWriter<'_>)) -> Extension {
    let id = ObjectIdentifier::from_slice(&[2, 5, 29, last]);
    Extension { id, critical, value: yasna::construct_der(value) }
}

fn write_all(writer: DERWriter<'_>, extensions: &[Extension]) {
    writer.write_sequence(|writer| {
        for extension in extensions {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&extension.id);
                if extension.critical {
                    writer.next().write_bool(true);
                }
                writer.next().write_bytes(&extension.value);
            });
        }
    });
}

/// Identifiers are checked when params are made.
fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(&text.split('.').filter_map(|arc| arc.parse().ok()).collect::<Vec<u64>>())
}

fn implicit(writer: DERWriter<'_>, tag: u64, bytes: &[u8]) {
    writer.write_tagged_implicit(Tag::context(tag), |writer| writer.write_bytes(bytes));
}

/// `UTCTime` up to 2049, `GeneralizedTime` after (RFC 5280 §4.1.2.5).
fn time(at: Instant) -> Vec<u8> {
    // Up to the year 9998: what four digits can hold, less a margin.
    let seconds = at.seconds().clamp(0, 253_370_764_800);
    let at = Instant(seconds * 1000).timestamp();
    let (tag, format) =
        if seconds < 2_524_608_000 { (0x17, "%y%m%d%H%M%SZ") } else { (0x18, "%Y%m%d%H%M%SZ") };
    let text = at.strftime(format).to_string();
    let length = u8::try_from(text.len()).expect("at most 15 characters");
    [&[tag, length][..], text.as_bytes()].concat()
}

fn alternative_names(params: &CertificateRequestParams, critical: bool) -> Option<Extension> {
    let texts = |writer: &mut yasna::DERWriterSeq<'_>, tag: u64, list: &[String]| {
        for text in list {
            implicit(writer.next(), tag, text.as_bytes());
        }
    };
    let empty = params.dns_names.is_empty()
        && params.ip_addresses.is_empty()
        && params.uris.is_empty()
        && params.emails.is_empty()
        && params.other_names.is_empty();
    (!empty).then(|| {
        extension(17, critical, |writer| {
            writer.write_sequence(|writer| {
                for (id, value) in &params.other_names {
                    writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                        writer.write_sequence(|writer| {
                            writer.next().write_oid(&oid(id));
                            writer.next().write_tagged(Tag::context(0), |w| w.write_utf8_string(value));
                        });
                    });
                }
                texts(writer, 1, &params.emails);
                texts(writer, 2, &params.dns_names);
                texts(writer, 6, &params.uris);
                for address in &params.ip_addresses {
                    match address {
                        std::net::IpAddr::V4(address) => implicit(writer.next(), 7, &address.octets()),
                        std::net::IpAddr::V6(address) => implicit(writer.next(), 7, &address.octets()),
                    }
                }
            });
        })
    })
}

fn name_constraints(constraints: &NameConstraints) -> Extension {
    fn subtrees(writer: DERWriter<'_>, names: &Names) {
        writer.write_sequence(|writer| {
            let mut one = |tag: u64, bytes: &[u8]| {
                writer.next().write_sequence(|writer| implicit(writer.next(), tag, bytes));
            };
            names.dns.iter().for_each(|name| one(2, name.as_bytes()));
            names.ranges.iter().for_each(|range| one(7, &[&range.network[..], &range.mask].concat()));
            names.emails.iter().for_each(|name| one(1, name.as_bytes()));
            names.uris.iter().for_each(|name| one(6, name.as_bytes()));
        });
    }
    extension(30, constraints.critical, |writer| {
        writer.write_sequence(|writer| {
            for (tag, names) in [(0, &constraints.permitted), (1, &constraints.excluded)] {
                if *names != Names::default() {
                    writer.next().write_tagged_implicit(Tag::context(tag), |writer| subtrees(writer, names));
                }
            }
        });
    })
}

/// Where revocation lists, OCSP and the issuer's own certificate are.
fn places(points: &Points) -> Vec<Extension> {
    let mut all = Vec::new();
    if !points.ocsp.is_empty() || !points.issuing.is_empty() {
        let access = |writer: DERWriter<'_>| {
            writer.write_sequence(|writer| {
                for (last, list) in [(1, &points.ocsp), (2, &points.issuing)] {
                    for url in list {
                        writer.next().write_sequence(|writer| {
                            let id = [1, 3, 6, 1, 5, 5, 7, 48, last];
                            writer.next().write_oid(&ObjectIdentifier::from_slice(&id));
                            implicit(writer.next(), 6, url.as_bytes());
                        });
                    }
                }
            });
        };
        let id = ObjectIdentifier::from_slice(&[1, 3, 6, 1, 5, 5, 7, 1, 1]);
        all.push(Extension { id, critical: false, value: yasna::construct_der(access) });
    }
    if !points.crl.is_empty() {
        all.push(extension(31, false, |writer| {
            writer.write_sequence(|writer| {
                for url in &points.crl {
                    writer.next().write_sequence(|writer| {
                        // distributionPoint [0] { fullName [0] { uniformResourceIdentifier [6] } }
                        writer.next().write_tagged(Tag::context(0), |writer| {
                            writer.write_tagged_implicit(Tag::context(0), |writer| {
                                writer.write_sequence(|writer| implicit(writer.next(), 6, url.as_bytes()));
                            });
                        });
                    });
                }
            });
        }));
    }
    all
}

fn usages(params: &CertificateRequestParams) -> Vec<Extension> {
    let mut bits = 0_u16;
    let mut extended: Vec<ObjectIdentifier> = Vec::new();
    for usage in &params.usages {
        match purpose(*usage) {
            Purpose::Bit(bit) => bits |= 0x8000 >> bit,
            Purpose::Extended(id) => extended.push(ObjectIdentifier::from_slice(id)),
        }
    }
    let mut all = Vec::new();
    if bits != 0 {
        // Named bits: no zeros at the end (X.690 §11.2.2).
        let length = 16 - usize::try_from(bits.trailing_zeros()).unwrap_or(0);
        let bytes = bits.to_be_bytes();
        let bytes = &bytes[..length.div_ceil(8)];
        all.push(extension(15, true, |writer| writer.write_bitvec_bytes(bytes, length)));
    }
    if !extended.is_empty() {
        all.push(extension(37, false, |writer| {
            writer.write_sequence(|writer| extended.iter().for_each(|id| writer.next().write_oid(id)));
        }));
    }
    all
}

enum Purpose {
    /// A bit of `keyUsage`, from 0.
    Bit(u8),
    Extended(&'static [u64]),
}

fn purpose(usage: Usage) -> Purpose {
    use Purpose::{Bit, Extended};
    match usage {
        Usage::DigitalSignature => Bit(0),
        Usage::ContentCommitment => Bit(1),
        Usage::KeyEncipherment => Bit(2),
        Usage::DataEncipherment => Bit(3),
        Usage::KeyAgreement => Bit(4),
        Usage::CertSign => Bit(5),
        Usage::CrlSign => Bit(6),
        Usage::EncipherOnly => Bit(7),
        Usage::DecipherOnly => Bit(8),
        Usage::Any => Extended(&[2, 5, 29, 37, 0]),
        Usage::ServerAuth => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 1]),
        Usage::ClientAuth => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 2]),
        Usage::CodeSigning => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 3]),
        Usage::EmailProtection => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 4]),
        Usage::IpsecEndSystem => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 5]),
        Usage::IpsecTunnel => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 6]),
        Usage::IpsecUser => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 7]),
        Usage::Timestamping => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 8]),
        Usage::OcspSigning => Extended(&[1, 3, 6, 1, 5, 5, 7, 3, 9]),
        Usage::MicrosoftSgc => Extended(&[1, 3, 6, 1, 4, 1, 311, 10, 3, 3]),
        Usage::NetscapeSgc => Extended(&[2, 16, 840, 1, 113_730, 4, 1]),
    }
}
