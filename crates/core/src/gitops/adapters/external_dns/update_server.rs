//! The server of dynamic updates that external-dns is told of (`--rfc2136-…`).

use portolan_model::{Name, Redacted, dns::normal_name};
use serde_json::Value;

use super::{super::Reader, given::Given};

/// The variable that stands for `--rfc2136-tsig-secret`.
const VARIABLE: &str = "EXTERNAL_DNS_RFC2136_TSIG_SECRET";
/// Where no port is given.
const PORT: u16 = 53;

/// Where an external-dns of provider `rfc2136` sends its updates. It is asked only by who runs with `--real-dns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateServer {
    /// `--rfc2136-host`, in the order given.
    pub hosts: Vec<Name>,
    /// `--rfc2136-port`.
    pub port: u16,
    /// `--rfc2136-zone`, in normal form; one that is no name is left out and said in `refused`.
    pub zones: Vec<Name>,
    /// `--rfc2136-tsig-keyname`; empty with `--rfc2136-insecure`.
    pub key: Name,
    /// `--rfc2136-tsig-secret-alg`, as written.
    pub algorithm: Name,
    /// `--rfc2136-tsig-secret`.
    pub secret: TsigSecret,
    /// What it is told and cannot be done, one sentence; then nothing is sent to it.
    pub refused: Option<String>,
}

/// Where the secret of the key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TsigSecret {
    /// Nowhere.
    Missing,
    /// In the values, Base64.
    Value(Redacted),
    /// In a Secret of external-dns' namespace.
    Secret {
        /// Its name.
        name: Name,
        /// The key in it.
        key: Name,
    },
}

pub(super) fn read(reader: &Reader<'_>, given: &Given) -> UpdateServer {
    let names = |flag: &str| -> Vec<Name> {
        let texts = given.list(flag);
        texts
            .iter()
            .map(|text| text.trim().trim_end_matches('.'))
            .filter(|t| !t.is_empty())
            .map(Name::new)
            .collect()
    };
    let (zones, no_zone) = normal(names("rfc2136-zone"));
    let insecure = given.on("rfc2136-insecure");
    let port = given.text("rfc2136-port");
    let mut server = UpdateServer {
        hosts: names("rfc2136-host"),
        port: port.parse().ok().filter(|port| *port != 0).unwrap_or(PORT),
        zones,
        key: if insecure { Name::default() } else { Name::from(given.text("rfc2136-tsig-keyname")) },
        algorithm: Name::from(given.text("rfc2136-tsig-secret-alg")),
        secret: secret(&reader.values.values, &given.text("rfc2136-tsig-secret")),
        refused: None,
    };
    let no_port = !port.is_empty() && port != "0" && port.parse::<u16>().is_err();
    let refusals = [
        (given.on("rfc2136-gss-tsig"), "--rfc2136-gss-tsig (Kerberos) is not built; use a TSIG key"),
        (given.on("rfc2136-use-tls"), "--rfc2136-use-tls is not built; use a TSIG key over TCP"),
        (server.hosts.is_empty(), "--rfc2136-host is not set"),
        (server.zones.is_empty(), "--rfc2136-zone is not set; name each zone that may be changed"),
        (no_port, "--rfc2136-port is no port"),
        (
            !insecure && server.key.is_empty(),
            "--rfc2136-tsig-keyname is not set; with --rfc2136-insecure nothing is signed",
        ),
        (
            !insecure && server.secret == TsigSecret::Missing,
            "--rfc2136-tsig-secret is not set, nor EXTERNAL_DNS_RFC2136_TSIG_SECRET in env",
        ),
    ];
    let refused = refusals.into_iter().find(|(is, _)| *is).map(|(_, why)| why.to_owned());
    server.refused = no_zone.or(refused);
    server
}

/// The zones as all names are compared, and what is wrong with the first that is none. Records of a zone in another form would count as
/// outside of it, and be removed.
fn normal(written: Vec<Name>) -> (Vec<Name>, Option<String>) {
    let mut zones: Vec<Name> = Vec::new();
    let mut refused = None;
    for text in written {
        match normal_name(&text) {
            Ok(zone) if zones.contains(&zone) => {}
            Ok(zone) => zones.push(zone),
            Err(error) => {
                refused.get_or_insert_with(|| format!("--rfc2136-zone {text} is no zone: {error}"));
            }
        }
    }
    (zones, refused)
}

/// The secret: in the flag, in a variable that the flag names (`$(NAME)`, as Kubernetes fills it in), or in external-dns' own.
fn secret(values: &Value, flag: &str) -> TsigSecret {
    let named = flag.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')'));
    if named.is_none() && !flag.is_empty() {
        return TsigSecret::Value(Redacted::from(flag));
    }
    let wanted = named.unwrap_or(VARIABLE);
    let items = values.get("env").and_then(Value::as_array).into_iter().flatten();
    let Some(item) = items.into_iter().find(|item| item["name"] == wanted) else {
        return TsigSecret::Missing;
    };
    let from = &item["valueFrom"]["secretKeyRef"];
    match (item["value"].as_str(), from["name"].as_str(), from["key"].as_str()) {
        (Some(value), ..) if !value.is_empty() => TsigSecret::Value(Redacted::from(value)),
        (_, Some(name), Some(key)) => TsigSecret::Secret { name: name.into(), key: key.into() },
        _ => TsigSecret::Missing,
    }
}
