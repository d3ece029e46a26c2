//! What a CA may sign by its own certificate (RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.10). What it may not would be refused by
//! every client, so it is not made.

use std::net::IpAddr;

use portolan_model::{
    Name,
    certificate::{CertificateRequestParams, range},
    input::{Authority, ConstrainedNames},
};

/// Why a CA does not sign this, as a part of a sentence.
pub(super) fn forbidden(ca: &Authority, request: &CertificateRequestParams) -> Option<String> {
    if let Some(flaw) = ca.flaw() {
        return Some(format!("signs nothing: {flaw}"));
    }
    if request.is_ca && ca.path_length == Some(0) {
        return Some("may sign no other CA (path length 0)".to_owned());
    }
    let (permitted, excluded) = (&ca.constraints.permitted, &ca.constraints.excluded);
    let dns = request
        .dns_names
        .iter()
        .find(|name| !allowed(permitted, excluded, |c| &c.dns_domains, |domain| beneath(name, domain)));
    let ip = request
        .ip_addresses
        .iter()
        .find(|ip| !allowed(permitted, excluded, |c| &c.ip_ranges, |text| within(ip, text)));
    let email = request
        .emails
        .iter()
        .find(|mail| !allowed(permitted, excluded, |c| &c.email_addresses, |text| mailbox(mail, text)));
    let uri = request.uris.iter().find(|uri| {
        !allowed(
            permitted,
            excluded,
            |c| &c.uri_domains,
            |domain| host(uri).is_some_and(|host| of_host(host, domain)),
        )
    });
    let name = dns
        .cloned()
        .or_else(|| ip.map(ToString::to_string))
        .or_else(|| email.cloned())
        .or_else(|| uri.cloned());
    name.map(|name| format!("may not sign {name}, by its name constraints"))
}

fn allowed<'c>(
    permitted: &'c ConstrainedNames,
    excluded: &'c ConstrainedNames,
    list: impl Fn(&'c ConstrainedNames) -> &'c Vec<Name>,
    fits: impl Fn(&Name) -> bool,
) -> bool {
    let (permitted, excluded) = (list(permitted), list(excluded));
    (permitted.is_empty() || permitted.iter().any(&fits)) && !excluded.iter().any(&fits)
}

/// Whether a DNS name is a domain or stands beneath it; with a dot before the domain only beneath (Go, `matchDomainConstraint`). A wildcard stands
/// for all names beneath its own domain.
fn beneath(name: &str, domain: &str) -> bool {
    let (wildcard, name) = name.strip_prefix("*.").map_or((false, name), |parent| (true, parent));
    match domain.strip_prefix('.') {
        Some(above) if !above.is_empty() => {
            under(name, above) || wildcard && name.eq_ignore_ascii_case(above)
        }
        Some(_) => true,
        None => domain.is_empty() || name.eq_ignore_ascii_case(domain) || under(name, domain),
    }
}

fn under(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.as_bytes(), domain.as_bytes());
    name.len() > domain.len()
        && name[name.len() - domain.len() - 1] == b'.'
        && name[name.len() - domain.len()..].eq_ignore_ascii_case(domain)
}

/// A host, or with a dot before it all hosts beneath.
fn of_host(host: &str, domain: &str) -> bool {
    match domain.strip_prefix('.') {
        Some(above) => under(host, above),
        None => host.eq_ignore_ascii_case(domain),
    }
}

fn within(address: &IpAddr, text: &str) -> bool {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    range(text).is_some_and(|range| {
        range.network.len() == octets.len()
            && octets
                .iter()
                .zip(&range.mask)
                .map(|(byte, mask)| byte & mask)
                .eq(range.network.iter().copied())
    })
}

/// One mailbox, all of a host, or of all hosts beneath a domain.
fn mailbox(address: &str, constraint: &str) -> bool {
    if constraint.contains('@') {
        return address.eq_ignore_ascii_case(constraint);
    }
    address.rsplit_once('@').is_some_and(|(_, host)| of_host(host, constraint))
}

fn host(uri: &str) -> Option<&str> {
    let rest = uri.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(host.split_once(':').map_or(host, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_model::input::NameConstraints;

    use super::*;

    fn names(list: &[&str]) -> Vec<Name> {
        list.iter().map(|text| Name::new(text)).collect()
    }

    #[test]
    fn a_ca_signs_what_its_own_certificate_lets_it() {
        let permitted = ConstrainedNames {
            dns_domains: names(&["shop.example", ".below.example"]),
            ip_ranges: names(&["10.0.0.0/8"]),
            email_addresses: names(&["shop.example", ".corp.example", "one@other.example"]),
            uri_domains: names(&[".shop.example"]),
        };
        let excluded =
            ConstrainedNames { dns_domains: names(&[".pay.shop.example"]), ..ConstrainedNames::default() };
        let ca = Authority {
            signs: true,
            constraints: NameConstraints { critical: true, permitted, excluded },
            ..Authority::default()
        };
        let with = |dns: &[&str], ips: &[&str], emails: &[&str], uris: &[&str]| CertificateRequestParams {
            dns_names: dns.iter().map(ToString::to_string).collect(),
            ip_addresses: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
            emails: emails.iter().map(ToString::to_string).collect(),
            uris: uris.iter().map(ToString::to_string).collect(),
            ..CertificateRequestParams::default()
        };
        let emails = ["a@shop.example", "b@x.corp.example", "one@other.example"];
        let uris = ["spiffe://a.shop.example/x", "https://u@b.shop.example:1/?q"];
        let names_of =
            ["shop.example", "*.a.shop.example", "a.below.example", "*.below.example", "pay.shop.example"];
        let good = with(&names_of, &["10.1.2.3"], &emails, &uris);
        assert_eq!(forbidden(&ca, &good), None);
        for (bad, name) in [
            (with(&["notshop.example"], &[], &[], &[]), "notshop.example"),
            (with(&["*.example"], &[], &[], &[]), "*.example"),
            (with(&["below.example"], &[], &[], &[]), "below.example"),
            (with(&["abelow.example"], &[], &[], &[]), "abelow.example"),
            (with(&["*.pay.shop.example"], &[], &[], &[]), "*.pay.shop.example"),
            (with(&["a.pay.shop.example"], &[], &[], &[]), "a.pay.shop.example"),
            (with(&[], &["11.0.0.1"], &[], &[]), "11.0.0.1"),
            (with(&[], &["::1"], &[], &[]), "::1"),
            (with(&[], &[], &["b@corp.example"], &[]), "b@corp.example"),
            (with(&[], &[], &["two@other.example"], &[]), "two@other.example"),
            (with(&[], &[], &[], &["spiffe://shop.example/x"]), "spiffe://shop.example/x"),
        ] {
            assert_eq!(
                forbidden(&ca, &bad).unwrap(),
                format!("may not sign {name}, by its name constraints")
            );
        }
        let ca = Authority { signs: true, path_length: Some(0), ..Authority::default() };
        let inner = CertificateRequestParams { is_ca: true, ..good.clone() };
        assert!(forbidden(&ca, &inner).unwrap().contains("path length 0"));
        assert_eq!(forbidden(&ca, &good), None);
        assert!(forbidden(&Authority::default(), &good).unwrap().contains("keyCertSign"));
        let loose = Authority { signs: true, loose: "CN=old root".into(), ..Authority::default() };
        assert!(forbidden(&loose, &good).unwrap().contains("CN=old root"));
    }
}
