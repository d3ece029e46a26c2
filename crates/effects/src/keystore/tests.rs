#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use portolan_model::{
    certificate::{CertificateRequestParams, KeyEncoding, KeyKind, Usage},
    input::Points,
};
use portolan_testkit::{program, skip, skip_optional};

use super::*;
use crate::issue::{Authority, self_signed, sign_with_ca};

const NOW: Instant = Instant(1_795_000_000_000);
/// Not of ASCII alone: JKS and PKCS#12 have text in two bytes a character.
const PASSWORD: &str = "chängeit €";
/// Java itself opens no PKCS#12 with another (`PBEKey`: "Password is not ASCII").
const ASCII: &str = "change it";

/// What a CA issued, as a Secret holds it, and the key as PKCS#8.
fn issued(kind: KeyKind) -> (BTreeMap<Name, Redacted>, PrivateKey) {
    let params = |name: &str, is_ca| {
        let usages = if is_ca { vec![Usage::CertSign] } else { vec![Usage::ServerAuth] };
        let (duration, key) = (3_600_000 * 24 * 365, if is_ca { KeyKind::P256 } else { kind });
        CertificateRequestParams { duration, is_ca, usages, key, ..Default::default() }.named(name)
    };
    let (ca_key, key) = (PrivateKey::generate(KeyKind::P256).unwrap(), PrivateKey::generate(kind).unwrap());
    let ca = self_signed(&params("the CA", true), &ca_key, &Points::default(), NOW).unwrap();
    let (chain, pem) = (Redacted::from(&*ca.chain), ca_key.to_pem(KeyEncoding::Pkcs8).unwrap());
    let authority = Authority { chain: &chain, key: &pem, root: None, points: &Points::default() };
    let leaf = sign_with_ca(authority, &params("a.example", false), &key, NOW).unwrap();
    let data = [
        ("tls.crt", leaf.chain.as_str().into()),
        ("tls.key", key.to_pem(KeyEncoding::Traditional).unwrap()),
        ("ca.crt", leaf.ca.as_str().into()),
    ];
    (data.map(|(name, value)| (name.into(), value)).into(), key)
}

/// Runs a program over the stores in a folder of its own; its output.
fn run(program: &Path, folder: &Path, password: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .envs([("PASSWORD", password), ("LC_ALL", "C.UTF-8")])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn written(form: StoreForm, password: &str, kind: KeyKind) -> (tempfile::TempDir, PrivateKey) {
    let (data, key) = issued(kind);
    let folder = tempfile::tempdir().unwrap();
    let made = make(&Store { form, password: password.into() }, &data, NOW).unwrap();
    assert_eq!(made.len(), 2, "a keystore, and a store of the CA");
    for (name, value) in made {
        std::fs::write(folder.path().join(&*name), value.expose()).unwrap();
    }
    (folder, key)
}

#[test]
fn openssl_reads_the_key_and_the_chain_of_each_profile() {
    let Some(openssl) = program("openssl") else { return skip("keystores in openssl", "no openssl") };
    for (profile, kind) in [
        (Pkcs12Profile::Legacy, KeyKind::Rsa2048),
        (Pkcs12Profile::Modern2023, KeyKind::P384),
        (Pkcs12Profile::Modern2023, KeyKind::Ed25519),
    ] {
        let (folder, key) = written(StoreForm::Pkcs12(profile), PASSWORD, kind);
        // With the programs of today alone: no `-legacy`, which 40 bits of RC2 would need.
        let arguments = ["pkcs12", "-in", "keystore.p12", "-passin", "env:PASSWORD", "-nodes"];
        let all = run(&openssl, folder.path(), PASSWORD, &arguments);
        assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 2, "{profile:?}");
        let read = PrivateKey::from_pem(&all.as_str().into()).unwrap();
        assert_eq!(read.pkcs8(), key.pkcs8(), "{profile:?}");
        let arguments = ["pkcs12", "-in", "truststore.p12", "-passin", "env:PASSWORD", "-nokeys"];
        let trusted = run(&openssl, folder.path(), PASSWORD, &arguments);
        assert_eq!(trusted.matches("BEGIN CERTIFICATE").count(), 1, "{profile:?}");
        let wrong = ["pkcs12", "-in", "keystore.p12", "-passin", "pass:other", "-nokeys"];
        let refused = Command::new(&openssl).args(wrong).current_dir(folder.path()).output().unwrap();
        assert!(!refused.status.success(), "{profile:?}: any password would do");
    }
}

/// What reads a store with PBMAC1: `key.pem`, then `all` the names of its certificates. OpenSSL from 3.4 on, which the newer
/// `cryptography` of Python has where the machine's own is older; Java from 26 on.
const PYTHON: &str = "
import os, sys
from cryptography.hazmat.primitives.serialization import pkcs12, Encoding, PrivateFormat, NoEncryption
read = pkcs12.load_pkcs12(open(sys.argv[1], 'rb').read(), os.environ['PASSWORD'].encode())
if read.key:
    print(read.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
for one in ([read.cert] if read.cert else []) + list(read.additional_certs):
    print(one.certificate.public_bytes(Encoding.PEM).decode())
";

/// OpenSSL 3.4 or newer, as a program or in Python.
fn newer_openssl(python: &Path) -> Option<bool> {
    let said = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.strip_prefix("OpenSSL ")?.split(' ').next()?.to_owned();
        let mut parts = version.split('.').filter_map(|part| part.parse::<u32>().ok());
        Some((parts.next()?, parts.next()?) >= (3, 4))
    };
    if program("openssl").and_then(|openssl| said(&openssl, &["version"])) == Some(true) {
        return Some(true);
    }
    let ask =
        "from cryptography.hazmat.backends.openssl import backend; print(backend.openssl_version_text())";
    (said(python, &["-c", ask]) == Some(true)).then_some(false)
}

#[test]
fn a_newer_openssl_reads_the_newest_profile() {
    let python = program("python3").unwrap_or_default();
    let Some(own) = newer_openssl(&python) else {
        return skip_optional(
            "PBMAC1 in openssl",
            "neither openssl nor Python's cryptography has OpenSSL 3.4",
        );
    };
    for (kind, password) in [(KeyKind::Rsa2048, ASCII), (KeyKind::P256, PASSWORD)] {
        let (folder, key) = written(StoreForm::Pkcs12(Pkcs12Profile::Modern2026), password, kind);
        let read = |store: &str| {
            let of_program = ["pkcs12", "-in", store, "-passin", "env:PASSWORD", "-nodes"];
            match program("openssl").filter(|_| own) {
                Some(openssl) => run(&openssl, folder.path(), password, &of_program),
                None => run(&python, folder.path(), password, &["-c", PYTHON, store]),
            }
        };
        let all = read("keystore.p12");
        assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 2);
        assert_eq!(PrivateKey::from_pem(&all.as_str().into()).unwrap().pkcs8(), key.pkcs8());
        assert_eq!(read("truststore.p12").matches("BEGIN CERTIFICATE").count(), 1);
        let wrong = Command::new(&python)
            .args(["-c", PYTHON, "keystore.p12"])
            .current_dir(folder.path())
            .env("PASSWORD", "other")
            .output()
            .unwrap();
        assert!(own || !wrong.status.success(), "any password would do");
    }
}

#[test]
fn java_reads_the_key_and_the_ca_of_each_form() {
    let Some(keytool) = program("keytool") else {
        return skip_optional("keystores in Java", "no keytool");
    };
    let jks = |alias: &str| StoreForm::Jks { alias: alias.into() };
    for (form, kind, alias) in [
        (jks("certificate"), KeyKind::Rsa2048, "certificate"),
        (jks("Größe"), KeyKind::P256, "Größe"),
        (jks("ca"), KeyKind::P256, "ca"),
        (StoreForm::Pkcs12(Pkcs12Profile::Legacy), KeyKind::P256, "1"),
        (StoreForm::Pkcs12(Pkcs12Profile::Modern2023), KeyKind::Rsa2048, "1"),
    ] {
        let [own, trust] = form.entries();
        let password = if matches!(form, StoreForm::Jks { .. }) { PASSWORD } else { ASCII };
        let (folder, _) = written(form.clone(), password, kind);
        let list = |store: &str| {
            let arguments = ["-list", "-keystore", store, "-storepass:env", "PASSWORD"];
            run(
                &keytool,
                folder.path(),
                password,
                &[&["-J-Dfile.encoding=UTF-8", "-J-Dsun.jnu.encoding=UTF-8"], &arguments[..]].concat(),
            )
        };
        let listed = list(&own);
        assert_eq!(listed.matches("PrivateKeyEntry").count(), 1, "{form:?}: {listed}");
        assert_eq!(list(&trust).matches("trustedCertEntry").count(), 1, "{form:?}");
        // The key is opened, its certificate fits it, and both come out again in the other format.
        let arguments = [
            "-J-Dfile.encoding=UTF-8",
            "-J-Dsun.jnu.encoding=UTF-8",
            "-importkeystore",
            "-srckeystore",
            &*own,
            "-srcstorepass:env",
            "PASSWORD",
            "-srcalias",
            alias,
            "-destkeystore",
            "out.p12",
            "-deststoretype",
            "PKCS12",
            "-deststorepass",
            "changeit",
            "-destkeypass",
            "changeit",
            "-noprompt",
        ];
        run(&keytool, folder.path(), password, &arguments);
        let out = std::fs::read(folder.path().join("out.p12")).unwrap();
        let policy = p12_keystore::Pkcs12ImportPolicy::Strict;
        let read = KeyStore::from_pkcs12(&out, "changeit", policy).unwrap();
        assert_eq!(
            read.private_key_chain().unwrap().1.certs().len(),
            if own.ends_with("jks") { 1 } else { 2 }
        );
    }
}

#[test]
fn a_secret_without_what_it_needs_is_one_sentence() {
    let (mut data, _) = issued(KeyKind::P256);
    data.insert("tls.crt".into(), "no PEM".into());
    let form = StoreForm::Jks { alias: "certificate".into() };
    let store = Store { form, password: PASSWORD.into() };
    let error = make(&store, &data, NOW).unwrap_err();
    assert_eq!(error, "tls.crt holds no certificates as PEM");
    data.remove("tls.key");
    assert_eq!(make(&store, &data, NOW).unwrap_err(), "the Secret has no tls.key");
}
