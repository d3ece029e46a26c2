//! DNS-01 (RFC 8555 §8.4): asks the given resolvers, and nobody else.

use std::net::SocketAddr;

use domain::base::iana::Rcode;
use portolan_core::certificates::acme::{challenge_fqdn, dns01_value};
use portolan_model::dns::RecordType;

use super::problem::Problem;
use crate::dns::query;

/// Values of a wrong record set that a problem shows, and how much of each.
const SHOWN: (usize, usize) = (3, 64);

/// Whether every resolver that serves the name has the right TXT value. Resolvers are authoritative servers of
/// providers: one that REFUSES does not hold the zone, and at least one must. Referrals and aliases out of a server's own
/// data are not followed.
pub(super) async fn dns01(
    resolvers: &[SocketAddr],
    name: &str,
    token: &str,
    thumbprint: &str,
) -> Result<(), Problem> {
    let fqdn = challenge_fqdn(name);
    let expected = dns01_value(token, thumbprint);
    let ask = |server: &SocketAddr| query::ask(*server, &fqdn, RecordType::Txt);
    let answers = futures::future::join_all(resolvers.iter().map(ask)).await;
    let mut served = false;
    for (server, answer) in resolvers.iter().zip(answers) {
        let answer = answer
            .map_err(|error| Problem::dns(format!("looking up TXT for {fqdn} at {server}: {error}")))?;
        match answer.rcode {
            Rcode::REFUSED => continue,
            Rcode::NOERROR => {}
            other => return Err(Problem::dns(format!("{other} looking up TXT for {fqdn} at {server}"))),
        }
        served = true;
        let found: Vec<&str> = answer.values(RecordType::Txt).collect();
        if !found.contains(&expected.as_str()) {
            return Err(Problem::unauthorized(wrong(&fqdn, &found)));
        }
    }
    if served {
        return Ok(());
    }
    Err(Problem::dns(format!("no resolver of this CA serves {fqdn}: REFUSED looking up TXT")))
}

fn wrong(fqdn: &str, found: &[&str]) -> String {
    if found.is_empty() {
        return format!("no TXT record found at {fqdn}");
    }
    let shown = found.iter().take(SHOWN.0).map(|value| {
        let start: String = value.chars().take(SHOWN.1).collect();
        format!("{start:?}")
    });
    let more =
        if found.len() > SHOWN.0 { format!(" and {} more", found.len() - SHOWN.0) } else { String::new() };
    format!("incorrect TXT record {}{more} found at {fqdn}", shown.collect::<Vec<_>>().join(", "))
}
