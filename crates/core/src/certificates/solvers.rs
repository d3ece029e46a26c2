//! The order that an ACME issuer is asked for, and by which solver each name is proven.
//! Source: cert-manager `pkg/acme/util` and `pkg/controller/acmeorders/selectors`.

use portolan_model::{
    IssuerKey, Name, NamespacedName,
    input::{Certificate, Solver},
};

use super::{
    rows::{AcmeOrder, Proof},
    signers::Refused,
};

/// What the ACME server is asked for.
pub(super) fn order(
    issuer: &IssuerKey,
    certificate: &Certificate,
    server: &Name,
    email: Option<&Name>,
    account_key: NamespacedName,
    solvers: &[Solver],
) -> Result<AcmeOrder, Refused> {
    let request = &certificate.request;
    if server.is_empty() || account_key.name.is_empty() {
        let hint = "set acme.server and acme.privateKeySecretRef.name";
        return Err((350, "InvalidConfig", format!("{issuer} names no ACME server or no account key"), hint));
    }
    if !request.ip_addresses.is_empty() {
        let hint = "leave ipAddresses out, or use a ca issuer";
        return Err((351, "InvalidRequest", format!("{issuer} proves DNS names only"), hint));
    }
    if request.is_ca {
        let hint = "leave isCA out, or use a ca or selfSigned issuer";
        return Err((351, "InvalidRequest", format!("{issuer} is an ACME server: it signs no CA"), hint));
    }
    let mut names: Vec<Name> = request.dns_names.clone();
    // A common name is proven like the others (cert-manager adds it to the identifiers of the order).
    let common = Name::from(request.common_name.to_ascii_lowercase());
    if !common.is_empty() && !names.contains(&common) {
        names.push(common);
    }
    if names.is_empty() {
        let hint = "set dnsNames";
        return Err((351, "InvalidRequest", "an ACME order needs a DNS name".into(), hint));
    }
    names.sort();
    names.dedup();
    let proofs: Result<Vec<Proof>, Refused> = names.iter().map(|name| proof(issuer, name, solvers)).collect();
    Ok(AcmeOrder {
        server: server.clone(),
        contact: email.map(|email| Name::from(format!("mailto:{email}"))).into_iter().collect(),
        account_key,
        proofs: proofs?,
    })
}

/// An exact `dnsNames` beats the longest `dnsZones`, which beats a solver without selector; the first of equals wins.
fn proof(issuer: &IssuerKey, name: &Name, solvers: &[Solver]) -> Result<Proof, Refused> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let rank = |solver: &Solver| {
        let exact = solver.dns_names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let inside = |zone: &&Name| {
            let zone = zone.trim_start_matches('.');
            bare.eq_ignore_ascii_case(zone)
                || bare.len() > zone.len()
                    && bare.as_bytes()[bare.len() - zone.len() - 1] == b'.'
                    && bare.as_bytes()[bare.len() - zone.len()..].eq_ignore_ascii_case(zone.as_bytes())
        };
        let zone = solver.dns_zones.iter().filter(inside).map(|zone| zone.len()).max();
        match (exact, zone) {
            (true, _) => Some((2, 0)),
            (false, Some(length)) => Some((1, length)),
            (false, None) if solver.dns_names.is_empty() && solver.dns_zones.is_empty() => Some((0, 0)),
            (false, None) => None,
        }
    };
    let mut best: Option<((u8, usize), &Solver)> = None;
    for solver in solvers {
        if let Some(rank) = rank(solver)
            && best.is_none_or(|(other, _)| rank > other)
        {
            best = Some((rank, solver));
        }
    }
    let Some((_, solver)) = best else {
        let hint = "add a solver without selector, or one whose dnsNames or dnsZones cover the name";
        return Err((352, "NoSolver", format!("no solver of {issuer} is for {name}"), hint));
    };
    match &solver.dns01 {
        Some(provider) => Ok(Proof { name: name.clone(), provider: provider.clone() }),
        None => Err((
            353,
            "SolverNotSupported",
            format!("the solver of {issuer} for {name} is HTTP-01, which is not served yet"),
            "use a dns01 solver for this name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solver(names: &[&str], zones: &[&str], provider: Option<&str>) -> Solver {
        let list = |items: &[&str]| items.iter().map(|i| Name::new(i)).collect();
        Solver {
            dns_names: list(names),
            dns_zones: list(zones),
            dns01: provider.map(Name::new),
            credentials: Vec::new(),
        }
    }

    fn chosen(name: &str, solvers: &[Solver]) -> Result<Name, u16> {
        let issuer = IssuerKey(NamespacedName::new("", "le"));
        proof(&issuer, &name.into(), solvers).map(|p| p.provider).map_err(|(code, ..)| code)
    }

    #[test]
    fn the_most_specific_solver_is_taken() {
        let all = [
            solver(&[], &[], Some("any")),
            solver(&[], &["example.com"], Some("zone")),
            solver(&[], &["dev.example.com"], Some("longer")),
            solver(&["*.dev.example.com"], &[], Some("exact")),
            solver(&["*.dev.example.com"], &[], Some("second")),
        ];
        let table = [
            ("example.org", "any"),
            ("notexample.com", "any"),
            ("example.com", "zone"),
            ("a.example.com", "zone"),
            ("dev.example.com", "longer"),
            ("A.DEV.example.com", "longer"),
            ("*.dev.example.com", "exact"),
        ];
        for (name, provider) in table {
            assert_eq!(chosen(name, &all).as_deref(), Ok(provider), "{name}");
        }
        assert_eq!(chosen("example.org", &all[1..]), Err(352));
        assert_eq!(chosen("example.org", &[solver(&[], &[], None)]), Err(353));
    }
}
