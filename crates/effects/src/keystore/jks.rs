//! Java's own keystore, version 2 (OpenJDK `sun.security.provider.JavaKeyStore`, `KeyProtector`). The format has been the same
//! since 1997 and is protected by SHA-1 alone: it keeps a key from a glance, not from an attacker.

use aws_lc_rs::{
    digest::{Context, SHA1_FOR_LEGACY_USE_ONLY},
    rand,
};
use portolan_model::Instant;
use rustls_pki_types::CertificateDer;
use yasna::models::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::issue::PrivateKey;

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
const KEY: u32 = 1;
const TRUSTED: u32 = 2;
/// `KeyProtector`'s algorithm.
const PROTECTOR: [u64; 11] = [1, 3, 6, 1, 4, 1, 42, 2, 17, 1, 1];
/// What the digest of the whole begins with, after the password.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// The key with its chain under `alias`, and what is trusted beside it.
pub(super) fn keystore(
    key: &PrivateKey,
    chain: &[CertificateDer<'_>],
    trusted: &[CertificateDer<'_>],
    (alias, password): (&str, &str),
    now: Instant,
) -> Result<Vec<u8>, String> {
    let password = characters(password);
    // Java looks aliases up in lower case.
    let alias = alias.to_lowercase();
    let mut entries = Vec::new();
    header(&mut entries, KEY, &alias, now)?;
    sized(&mut entries, &protected(key.pkcs8(), &password)?)?;
    entries.extend(length(chain.len())?);
    for der in chain {
        certificate(&mut entries, der)?;
    }
    // The key keeps its name, also where that is the one of a CA.
    trust(&mut entries, trusted, &alias, now)?;
    whole(1 + trusted.len(), &entries, &password)
}

/// What is trusted alone.
pub(super) fn truststore(
    trusted: &[CertificateDer<'_>],
    password: &str,
    now: Instant,
) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    trust(&mut entries, trusted, "", now)?;
    whole(trusted.len(), &entries, &characters(password))
}

/// Under `ca`, `ca-1`, `ca-2` and so on, but for the name that is taken.
fn trust(out: &mut Vec<u8>, trusted: &[CertificateDer<'_>], taken: &str, now: Instant) -> Result<(), String> {
    let names = (0_usize..).map(|at| if at == 0 { "ca".to_owned() } else { format!("ca-{at}") });
    for (name, der) in names.filter(|name| name != taken).zip(trusted) {
        header(out, TRUSTED, &name, now)?;
        certificate(out, der)?;
    }
    Ok(())
}

fn header(out: &mut Vec<u8>, tag: u32, alias: &str, now: Instant) -> Result<(), String> {
    out.extend(tag.to_be_bytes());
    text(out, alias)?;
    out.extend(now.0.to_be_bytes());
    Ok(())
}

fn certificate(out: &mut Vec<u8>, der: &[u8]) -> Result<(), String> {
    text(out, "X.509")?;
    sized(out, der)
}

/// Java's modified UTF-8, with its length before it: other than UTF-8 for NUL and beyond U+FFFF.
fn text(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let mut bytes = Vec::new();
    let byte = |mark: u16, bits: u16| (mark | bits).to_be_bytes()[1];
    let continued = |bits: u16| byte(0x80, bits & 0x3f);
    for unit in text.encode_utf16() {
        match unit {
            1..=0x7f => bytes.push(byte(0, unit)),
            0 | 0x80..=0x7ff => bytes.extend([byte(0xc0, unit >> 6), continued(unit)]),
            _ => bytes.extend([byte(0xe0, unit >> 12), continued(unit >> 6), continued(unit)]),
        }
    }
    let size = u16::try_from(bytes.len()).map_err(|_| "the alias is too long".to_owned())?;
    out.extend(size.to_be_bytes());
    out.extend(bytes);
    Ok(())
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    out.extend(length(bytes.len())?);
    out.extend(bytes);
    Ok(())
}

fn length(length: usize) -> Result<[u8; 4], String> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(|_| "the certificates are too long".to_owned())
}

/// As Java has text: two bytes each character.
fn characters(password: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.encode_utf16().flat_map(u16::to_be_bytes).collect())
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 20];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// An `EncryptedPrivateKeyInfo`: salt, the key under a stream of digests, and a digest of password and key.
fn protected(pkcs8: &[u8], password: &[u8]) -> Result<Vec<u8>, String> {
    let mut salt = [0; 20];
    rand::fill(&mut salt).map_err(|_| "no randomness is to be had".to_owned())?;
    let mut content = salt.to_vec();
    let mut stream = salt;
    for block in pkcs8.chunks(stream.len()) {
        stream = sha1(&[password, &stream]);
        content.extend(block.iter().zip(stream).map(|(byte, with)| byte ^ with));
    }
    content.extend(sha1(&[password, pkcs8]));
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(&PROTECTOR));
                writer.next().write_null();
            });
            writer.next().write_bytes(&content);
        });
    }))
}

fn whole(count: usize, entries: &[u8], password: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(entries.len() + 32);
    out.extend(MAGIC.to_be_bytes());
    out.extend(VERSION.to_be_bytes());
    out.extend(length(count)?);
    out.extend(entries);
    out.extend(sha1(&[password, WHITENER, &out]));
    Ok(out)
}
