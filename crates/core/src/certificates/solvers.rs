//! The order that an ACME issuer is asked for, and by which solver each name is proven.
//! Source: cert-manager `pkg/acme/util` and `pkg/controller/acmeorders/selectors`.

use std::collections::BTreeMap;

use portolan_model::{
    IssuerKey, Name,
    input::{Certificate, Solver},
};

use super::{rows::Proof, signers::Refused};

/// Where a problem with the issuer shows on the Certificate.
const FIELD: &str = "spec.issuerRef";

/// The names that the ACME server is asked for, and how each is proven, by which solver.
pub(super) fn proofs<'s>(
    issuer: &IssuerKey,
    certificate: &Certificate,
    common_name: &str,
    solvers: &'s [Solver],
) -> Result<Vec<(Proof, &'s Solver)>, Refused> {
    let request = &certificate.request;
    if !request.ip_addresses.is_empty() {
        let hint = "leave ipAddresses out, or use a ca issuer";
        return Err((351, "spec.ipAddresses", format!("{issuer} proves DNS names only"), hint));
    }
    let others = [
        ("spec.uris", !request.uris.is_empty()),
        ("spec.emailAddresses", !request.emails.is_empty()),
        ("spec.otherNames", !request.other_names.is_empty()),
    ];
    if let Some((field, _)) = others.into_iter().find(|(_, asked)| *asked) {
        let hint = "leave it out, or use a ca issuer";
        return Err((351, field, format!("{issuer} proves DNS names only"), hint));
    }
    if request.is_ca {
        let hint = "leave isCA out, or use a ca or selfSigned issuer";
        return Err((351, "spec.isCA", format!("{issuer} is an ACME server: it signs no CA"), hint));
    }
    let mut names: Vec<Name> = request.dns_names.clone();
    // A common name is proven like the others (cert-manager adds it to the identifiers of the order).
    let common = Name::from(common_name.to_ascii_lowercase());
    if !common.is_empty() && !names.contains(&common) {
        names.push(common);
    }
    if names.is_empty() {
        let hint = "set dnsNames";
        return Err((351, "spec.dnsNames", "an ACME order needs a DNS name".into(), hint));
    }
    if let Some(name) = names.iter().find(|name| name.ends_with('.')) {
        let message =
            format!("{issuer} is an ACME server: it proves no name that ends with a dot, such as {name}");
        return Err((351, "spec.dnsNames", message, "write the name without the dot at its end"));
    }
    names.sort();
    names.dedup();
    names.iter().map(|name| proof(issuer, &certificate.labels, name, solvers)).collect()
}

/// By which solver a name is proven. All of a selector must fit; an exact `dnsNames` beats the longest `dnsZones`, which
/// beats the most `matchLabels`; the first of equals wins (cert-manager `pkg/util/solverpicker`).
fn proof<'s>(
    issuer: &IssuerKey,
    labels: &BTreeMap<Name, Name>,
    name: &Name,
    solvers: &'s [Solver],
) -> Result<(Proof, &'s Solver), Refused> {
    // No server offers HTTP-01 for a wildcard (RFC 8555 §7.1.4), so such a solver is no choice there.
    let offered = |solver: &&Solver| solver.dns01.is_some() || !name.starts_with("*.");
    let best = best(solvers.iter().filter(offered), labels, name);
    // One that is no choice is still the better explanation than none.
    let Some(solver) = best.or_else(|| self::best(solvers.iter(), labels, name)) else {
        let dotted = |zone: &Name| zone.starts_with('.') || zone.ends_with('.');
        let hint = if solvers.iter().flat_map(|solver| &solver.dns_zones).any(dotted) {
            "write dnsZones without a dot at the end or the beginning: with one they match no name"
        } else {
            "add a solver without selector, or one whose dnsNames or dnsZones cover the name"
        };
        return Err((352, FIELD, format!("no solver of {issuer} is for {name}"), hint));
    };
    match &solver.dns01 {
        Some(provider) => {
            Ok((Proof { name: name.clone(), provider: provider.clone(), update: None }, solver))
        }
        None => Err((
            353,
            FIELD,
            format!("the solver of {issuer} for {name} is HTTP-01, which is not served yet"),
            "use a dns01 solver for this name",
        )),
    }
}

fn best<'s>(
    solvers: impl Iterator<Item = &'s Solver>,
    labels: &BTreeMap<Name, Name>,
    name: &Name,
) -> Option<&'s Solver> {
    let mut best: Option<((bool, usize, usize), &Solver)> = None;
    for solver in solvers {
        if let Some(rank) = rank(solver, labels, name)
            && best.is_none_or(|(other, _)| rank > other)
        {
            best = Some((rank, solver));
        }
    }
    best.map(|(_, solver)| solver)
}

/// How well a solver's selector fits: exact name, labels of the longest zone, labels that must match. `None`: not at all.
fn rank(solver: &Solver, labels: &BTreeMap<Name, Name>, name: &Name) -> Option<(bool, usize, usize)> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let exact = solver.dns_names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let inside = |zone: &&str| {
        let at = bare.len().checked_sub(zone.len());
        at.is_some_and(|at| {
            (at == 0 || bare.as_bytes()[at - 1] == b'.')
                && bare.as_bytes()[at..].eq_ignore_ascii_case(zone.as_bytes())
        })
    };
    // Label by label, as written: a dot at an end is one more, and matches nothing.
    let zones = solver.dns_zones.iter().map(|zone| &**zone).filter(|zone| !zone.starts_with('.'));
    let zone = zones.filter(inside).map(|zone| zone.split('.').count()).max();
    let labelled = solver.labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    let fits =
        labelled && (exact || solver.dns_names.is_empty()) && (zone.is_some() || solver.dns_zones.is_empty());
    fits.then(|| (exact, zone.unwrap_or(0), solver.labels.len()))
}

#[cfg(test)]
mod tests {
    use portolan_model::NamespacedName;

    use super::*;

    fn solver(names: &[&str], zones: &[&str], provider: Option<&str>) -> Solver {
        let list = |items: &[&str]| items.iter().map(|i| Name::new(i)).collect();
        Solver {
            dns_names: list(names),
            dns_zones: list(zones),
            labels: BTreeMap::new(),
            dns01: provider.map(Name::new),
            credentials: Vec::new(),
            unserved: Vec::new(),
            update: None,
        }
    }

    fn chosen(name: &str, solvers: &[Solver]) -> Result<Name, u16> {
        let issuer = IssuerKey(NamespacedName::new("", "le"));
        let labels = BTreeMap::from([("team".into(), "a".into())]);
        proof(&issuer, &labels, &name.into(), solvers).map(|(p, _)| p.provider).map_err(|(code, ..)| code)
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
        // Zones are compared as they are written.
        let dotted = [solver(&[], &["example.com."], None), solver(&[], &[".example.com"], None)];
        assert_eq!(chosen("a.example.com", &dotted), Err(352));
        assert_eq!(chosen("example.org", &[solver(&[], &[], None)]), Err(353));
    }

    #[test]
    fn all_of_a_selector_must_fit_and_more_labels_win() {
        let labelled = |provider, labels: &[(&str, &str)]| Solver {
            labels: labels.iter().map(|(key, value)| (Name::new(key), Name::new(value))).collect(),
            ..solver(&[], &[], Some(provider))
        };
        let all = [
            solver(&[], &[], Some("any")),
            labelled("team", &[("team", "a")]),
            labelled("others", &[("team", "b")]),
            solver(&["a.example.com"], &["example.org"], Some("contradiction")),
        ];
        assert_eq!(chosen("a.example.com", &all).as_deref(), Ok("team"));
        let zone = [labelled("team", &[("team", "a")]), solver(&[], &["example.com"], Some("zone"))];
        assert_eq!(chosen("a.example.com", &zone).as_deref(), Ok("zone"), "a zone beats labels");
        assert_eq!(chosen("a.example.com", &all[2..]), Err(352));
    }

    #[test]
    fn http_01_is_no_choice_for_a_wildcard() {
        let both = [solver(&[], &[], None), solver(&[], &[], Some("dns"))];
        assert_eq!(chosen("*.example.com", &both).as_deref(), Ok("dns"));
        assert_eq!(chosen("example.com", &both), Err(353), "the first of equals, as the server offers both");
        assert_eq!(chosen("*.example.com", &both[..1]), Err(353));
    }
}
