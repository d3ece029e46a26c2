//! What the objects of a Gateway are called, and how they are found.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use portolan_model::GatewayKey;

/// Label of everything that serves a Gateway, with its name (Gateway API, GEP-1762).
pub const GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";
/// And with the name of its class.
pub const CLASS: &str = "gateway.networking.k8s.io/gateway-class-name";

/// Most characters of a Service's name, and of a label's value.
const MOST: usize = 63;
/// Hexadecimal digits of the hash in a name that had to be made another.
const HASH: usize = 12;

/// Name of the objects of a Gateway: its own where a Service may be called so (RFC 1035: begins with a letter, no dots, 63 characters), else
/// what is left of it with a hash, so that no two Gateways of a namespace share one.
pub fn name(gateway: &GatewayKey) -> String {
    let own = &*gateway.name;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let letter = own.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if letter && own.len() <= MOST && own.bytes().all(plain) {
        return own.to_owned();
    }
    let mut out = if letter { String::new() } else { "gw-".to_owned() };
    out.extend(own.bytes().map(|byte| if plain(byte) { char::from(byte) } else { '-' }));
    out.truncate(MOST - HASH - 1);
    format!("{}-{}", out.trim_end_matches('-'), hash(own))
}

/// Value of [`GATEWAY`]: the name of the Gateway, or its [`name`] where that is too long for a label.
pub fn label(gateway: &GatewayKey) -> String {
    if gateway.name.len() <= MOST { gateway.name.to_string() } else { name(gateway) }
}

/// The same for a class.
pub fn class_label(class: &str) -> String {
    if class.len() <= MOST {
        return class.to_owned();
    }
    let begin: String = class.chars().take(MOST - HASH - 1).collect();
    format!("{begin}-{}", hash(class))
}

/// First digits of the SHA-256 of a text.
pub fn hash(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(HASH / 2).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(gateway: &str) -> String {
        name(&GatewayKey::new("infra", gateway))
    }

    #[test]
    fn a_name_stays_where_a_service_may_have_it() {
        assert_eq!(of("edge"), "edge");
        assert_eq!(of(&"g".repeat(63)), "g".repeat(63));
        // SHA-256 of the whole name.
        assert_eq!(of("edge.example"), "edge-example-103ece1c5365");
        assert_eq!(of("1st"), format!("gw-1st-{}", hash("1st")));
        for long in ["g".repeat(64), format!("{}.{}", "a".repeat(50), "b".repeat(60)), "9".repeat(253)] {
            let made = of(&long);
            assert!(
                made.len() <= MOST && made.as_bytes()[0].is_ascii_lowercase() && !made.contains('.'),
                "{made}"
            );
            assert!(label(&GatewayKey::new("infra", long.as_str())).len() <= MOST);
        }
        assert_ne!(
            of(&format!("{}a", "g".repeat(63))),
            of(&format!("{}b", "g".repeat(63))),
            "no two share one"
        );
    }
}
