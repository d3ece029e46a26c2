//! What a CA's certificate says of what it may sign, and whether what stands beside it is its chain.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::{
    extensions::{GeneralName, GeneralSubtree},
    pem::Pem,
    prelude::X509Certificate,
};

use crate::{
    Name,
    input::{Authority, ConstrainedNames, NameConstraints},
};

pub(super) fn read(leaf: &X509Certificate<'_>, chain: &[u8]) -> Authority {
    let usage = leaf.key_usage().ok().flatten();
    let basic = leaf.basic_constraints().ok().flatten();
    let constraints = leaf.name_constraints().ok().flatten();
    Authority {
        signs: usage.is_none_or(|usage| usage.value.key_cert_sign()),
        path_length: basic.and_then(|basic| basic.value.path_len_constraint),
        constraints: constraints.map_or_else(NameConstraints::default, |extension| NameConstraints {
            critical: extension.critical,
            permitted: names(extension.value.permitted_subtrees.as_deref()),
            excluded: names(extension.value.excluded_subtrees.as_deref()),
        }),
        loose: loose(leaf, chain).into(),
    }
}

fn names(subtrees: Option<&[GeneralSubtree<'_>]>) -> ConstrainedNames {
    let mut names = ConstrainedNames::default();
    for subtree in subtrees.unwrap_or_default() {
        match &subtree.base {
            GeneralName::DNSName(name) => names.dns_domains.push(Name::new(name)),
            GeneralName::RFC822Name(name) => names.email_addresses.push(Name::new(name)),
            GeneralName::URI(name) => names.uri_domains.push(Name::new(name)),
            GeneralName::IPAddress(bytes) => names.ip_ranges.extend(range(bytes)),
            _ => {}
        }
    }
    names
}

/// Address and mask as CIDR.
fn range(bytes: &[u8]) -> Option<Name> {
    let (address, mask) = bytes.split_at(bytes.len() / 2);
    let bits: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let address = match address.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(),
        _ => return None,
    };
    Some(Name::from(format!("{address}/{bits}")))
}

/// Subjects of the certificates that are no part of the chain above `leaf`, in whatever order they stand.
fn loose(leaf: &X509Certificate<'_>, chain: &[u8]) -> String {
    let blocks: Vec<Pem> = Pem::iter_from_buffer(chain).skip(1).filter_map(Result::ok).collect();
    let mut rest: Vec<X509Certificate<'_>> =
        blocks.iter().filter_map(|block| super::certificate(&block.contents)).collect();
    rest.retain(|other| other.as_ref() != leaf.as_ref());
    let mut top = leaf.clone();
    loop {
        let above = rest.iter().position(|other| {
            other.subject() == top.issuer() && top.verify_signature(Some(other.public_key())).is_ok()
        });
        let Some(at) = above else { break };
        top = rest.remove(at);
        rest.retain(|other| other.as_ref() != top.as_ref());
    }
    let mut names: Vec<String> = rest.iter().map(|other| other.subject().to_string()).collect();
    names.sort();
    names.dedup();
    names.join("; ")
}
