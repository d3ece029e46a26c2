//! The same server asked by the real `dig`, which `scripts/setup test` brings. The client of crate `domain` asks the same
//! and more in `answers`.

use std::{net::SocketAddr, path::Path};

use portolan_model::dns::RecordType::{A, Cname, Txt};
use portolan_testkit::suites;
use tokio::process::Command;

use super::server;

async fn dig(program: &Path, server: SocketAddr, arguments: &str) -> String {
    let output = Command::new(program)
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+tries=1", "+time=3", "+noall", "+comments", "+answer"])
        .args(arguments.split_whitespace())
        .output()
        .await
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn dig_reads_what_is_served() {
    let Some(program) = suites::program("dig") else {
        return suites::skip("dns dig", "dig is missing; scripts/setup test brings it");
    };
    let long = "z".repeat(2000);
    let server = server(&[
        ("app.example.com", A, &["192.0.2.1"]),
        (
            "a-app.example.com",
            Txt,
            &["heritage=external-dns,external-dns/owner=me,external-dns/resource=httproute/a/app"],
        ),
        ("alias.example.com", Cname, &["app.example.com"]),
        ("long.example.com", Txt, &[&long]),
    ])
    .await;
    let at = server.address();
    for (question, parts) in [
        ("app.example.com A", vec!["status: NOERROR", "flags: qr aa rd", "\tA\t192.0.2.1"]),
        ("+tcp app.example.com A", vec!["status: NOERROR", "\tA\t192.0.2.1"]),
        (
            "a-app.example.com TXT",
            vec!["\"heritage=external-dns,external-dns/owner=me,external-dns/resource=httproute/a/app\""],
        ),
        ("alias.example.com A", vec!["CNAME\tapp.example.com.", "\tA\t192.0.2.1"]),
        ("none.example.com A", vec!["status: NXDOMAIN"]),
        ("example.org A", vec!["status: REFUSED"]),
        ("+ignore long.example.com TXT", vec!["tc"]),
        ("long.example.com TXT", vec!["zzzz\" \"zzzz"]),
        ("+edns=1 +noednsneg app.example.com A", vec!["status: BADVERS"]),
    ] {
        let output = dig(&program, at, question).await;
        for part in parts {
            assert!(output.contains(part), "dig {question}: no {part:?} in\n{output}");
        }
    }
}
