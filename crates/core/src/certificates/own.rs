//! ACME issuers at the servers that they name, where a run asks for that (`up --real-acme`): what is honoured of them, and where their
//! challenges are written. Without it the embedded servers stand in, and what counts only at the issuer's own is said.

use std::sync::Arc;

use portolan_model::{
    IssuerKey, Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec, OwnServer, Secret, Solver, TlsPair, UpdateSolver},
};

use super::{
    rows::{AcmeServer, DEVELOPMENT_CA, Proof, RealAcme, TsigKey, TxtServer},
    signers::{Refused, secrets_of},
    trigger::Trigger,
};
use crate::{Cx, policy::denial, problem};

/// Where a problem with the issuer shows on the Certificate.
const FIELD: &str = "spec.issuerRef";
/// The port of name servers.
const PORT: u16 = 53;

/// Whether requests go to the issuers' own servers.
pub(super) fn is_asked(cx: &mut Cx<'_>) -> bool {
    cx.get::<RealAcme>(&Name::default()).is_some()
}

/// Where the own servers are asked now, what the embedded one issued before will not do: nobody else believes it.
pub(super) fn stood_in(
    cx: &mut Cx<'_>,
    pair: Option<&TlsPair>,
    certificate: &Certificate,
) -> Option<Trigger> {
    let IssuerRef::Known(issuer) = &certificate.issuer else { return None };
    let embedded = pair.is_some_and(|pair| pair.issuer.starts_with(DEVELOPMENT_CA));
    if !embedded || !is_asked(cx) {
        return None;
    }
    let acme = cx.get::<Issuer>(issuer).is_some_and(|issuer| matches!(issuer.spec, IssuerSpec::Acme { .. }));
    let message = "Issuing certificate as Secret holds one of the embedded development CA, which stood in for the issuer's server";
    acme.then(|| ("IncorrectIssuer".into(), message.to_owned()))
}

/// Which server an issuer's requests go to. A bundle that cannot be read is no reason to believe anybody else: see [`refused`].
pub(super) fn server(cx: &mut Cx<'_>, own: &OwnServer) -> AcmeServer {
    if !is_asked(cx) {
        return AcmeServer::StandIn;
    }
    AcmeServer::Own { trusts: own.trusts.as_ref().and_then(|bundle| bundle.as_ref().ok()).cloned() }
}

/// What of the issuer counts only at its own server: said where another stands in for it.
pub(super) fn listed(cx: &mut Cx<'_>, issuer: &Arc<Issuer>) {
    let IssuerSpec::Acme { own, solvers, .. } = &issuer.spec else { return };
    let asked = is_asked(cx);
    let hint = if asked {
        "leave it out, or nothing depends on it"
    } else {
        "nothing to do here; in the cluster it counts"
    };
    for (field, _) in own.fields.iter().filter(|(field, aside)| !asked || *aside && **field != *"caBundle") {
        let message = if asked {
            format!("{field} has no effect")
        } else {
            format!("{field} has no effect here: the embedded ACME server stands in for the issuer's")
        };
        problem(cx, issuer.key.object(), 356, Severity::Info, &format!("spec.acme.{field}"), message, hint);
    }
    for (at, solver) in solvers.iter().enumerate() {
        // Under the own server a solver that follows aliases proves nothing: its names are refused.
        for path in solver.unserved.iter().filter(|path| !asked || !follows(path)) {
            let field = path.rsplit('.').next().unwrap_or_default();
            let message = if asked {
                format!("{field} has no effect: each authoritative server is asked before the CA is")
            } else {
                format!(
                    "{field} has no effect here: challenges are answered by the embedded DNS server itself"
                )
            };
            let field = format!("spec.acme.solvers[{at}].{path}");
            problem(cx, issuer.key.object(), 356, Severity::Info, &field, message, hint);
        }
    }
}

fn follows(path: &Name) -> bool {
    path.ends_with("cnameStrategy")
}

/// Why the issuer's own server is not asked: reason and message of its Ready condition, the field below `spec.acme`, and what to do.
pub(super) fn refused(
    cx: &mut Cx<'_>,
    server: &Name,
    own: &OwnServer,
) -> Option<(String, String, &'static str)> {
    if !is_asked(cx) {
        return None;
    }
    if let Some(Err(why)) = &own.trusts {
        let hint = "write the PEM certificates of the server's authorities, in Base64";
        return Some((format!("caBundle cannot be used: {why}"), "caBundle".to_owned(), hint));
    }
    if !server.to_ascii_lowercase().starts_with("https://") {
        let message = format!("the server {server} is not asked: ACME is spoken over https only");
        return Some((message, "server".to_owned(), "write an https:// URL"));
    }
    let (field, _) = own.fields.iter().find(|(_, aside)| !aside)?;
    let (message, hint) = match &**field {
        "skipTLSVerify" => (
            "skipTLSVerify is not honoured: whoever answers would get the account".to_owned(),
            "give the server's authority in caBundle instead",
        ),
        _ => (
            format!("{field} is not built, and without it something else would be ordered than is asked for"),
            "leave it out, or use another issuer",
        ),
    };
    Some((message, field.to_string(), hint))
}

/// A name with how it is proven, and by which solver.
pub(super) type Solved<'s> = (Proof, &'s Solver);

/// Proofs with where their TXT records are written. The inner error is what is waited for.
pub(super) fn proofs<'s>(
    cx: &mut Cx<'_>,
    issuer: &IssuerKey,
    at: &AcmeServer,
    proofs: Vec<Solved<'s>>,
) -> Result<Result<Vec<Solved<'s>>, String>, Refused> {
    if *at == AcmeServer::StandIn {
        return Ok(Ok(proofs));
    }
    let mut placed = Vec::with_capacity(proofs.len());
    for (proof, solver) in proofs {
        if solver.unserved.iter().any(follows) {
            let hint =
                "let the solver's credential write the zone of the name itself, and leave cnameStrategy out";
            let message = format!(
                "the solver of {issuer} for {} follows aliases (cnameStrategy), which is not built",
                proof.name
            );
            return Err((353, FIELD, message, hint));
        }
        let Some(update) = &solver.update else {
            let hint = "use a solver with dns01.rfc2136 for this name; up without --real-acme stands in for the server";
            let message = format!(
                "the solver of {issuer} for {} is {}, which is not built; rfc2136 is",
                proof.name, proof.provider
            );
            return Err((353, FIELD, message, hint));
        };
        let server = txt_server(cx, issuer, update)?;
        if let Some(TsigKey { secret: (secret, _), .. }) = &server.key {
            let object = ObjectKey { kind: Kind::new("", "Secret"), name: secret.clone() };
            if let Some(denied) = denial(cx, &object) {
                let why = denied.words(&object);
                return Ok(Err(format!("Secret {secret} with the TSIG key of {issuer} {why}")));
            }
        }
        if let Some(TsigKey { secret: (secret, entry), .. }) = &server.key
            && cx.get::<Secret>(secret).is_none_or(|secret| !secret.data.contains_key(entry))
        {
            return Ok(Err(format!("waiting for Secret {secret} with the TSIG key of {issuer} ({entry})")));
        }
        placed.push((Proof { update: Some(server), ..proof }, solver));
    }
    Ok(Ok(placed))
}

fn txt_server(cx: &mut Cx<'_>, issuer: &IssuerKey, update: &UpdateSolver) -> Result<TxtServer, Refused> {
    let wrong =
        |message: String, hint| Err((353, FIELD, format!("the rfc2136 solver of {issuer}: {message}"), hint));
    if update.protocol.as_ref().is_some_and(|protocol| !["TCP", "UDP"].contains(&&**protocol)) {
        return wrong("its protocol is neither TCP nor UDP".to_owned(), "leave protocol out: TCP is spoken");
    }
    let Some(address) = with_port(&update.nameserver) else {
        let message = format!("{:?} is no name server", &*update.nameserver);
        return wrong(message, "write host:port; an IPv6 address stands in brackets");
    };
    let key = match (&update.secret, update.key_name.is_empty()) {
        (None, true) => None,
        (Some((secret, entry)), false) => {
            let secret = NamespacedName::new(secrets_of(cx, issuer), secret.clone());
            Some(TsigKey {
                name: update.key_name.clone(),
                algorithm: update.algorithm.clone(),
                secret: (secret, entry.clone()),
            })
        }
        // Unsigned updates where signed ones are meant would be refused at best.
        _ => {
            let message = "tsigKeyName and tsigSecretSecretRef belong together".to_owned();
            return wrong(message, "write both, or neither");
        }
    };
    Ok(TxtServer { address, key })
}

/// `host:port` of a name server as it is written: with a port or without one, IPv6 addresses in brackets.
fn with_port(text: &str) -> Option<Name> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (format!("[{host}]"), if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port > 0))?;
    let sound = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
    sound.then(|| Name::from(format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_taken_as_cert_manager_takes_them() {
        for (text, wanted) in [
            ("192.0.2.1", Some("192.0.2.1:53")),
            ("192.0.2.1:5353", Some("192.0.2.1:5353")),
            ("ns1.example.com", Some("ns1.example.com:53")),
            ("[2001:db8::1]", Some("[2001:db8::1]:53")),
            ("[2001:db8::1]:5353", Some("[2001:db8::1]:5353")),
            ("2001:db8::1", None),
            ("", None),
            (":53", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:0", None),
            ("192.0.2.1:99999", None),
            ("[x]:53", None),
            ("[::1]53", None),
        ] {
            assert_eq!(with_port(text).as_deref(), wanted, "{text}");
        }
    }
}
