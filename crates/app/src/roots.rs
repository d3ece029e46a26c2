//! The authorities that the machine believes.

use std::path::Path;

/// Where distributions keep them in one file: Debian, Fedora, openSUSE, RHEL, Alpine and the BSDs (the list of Go's
/// `crypto/x509`, `root_linux.go`).
const FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The first of them that is there.
pub fn system_roots() -> Option<&'static str> {
    FILES.into_iter().find(|path| Path::new(path).is_file())
}
