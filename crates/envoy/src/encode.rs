//! Pure encoding of wire rows. One function a resource type.

mod bytes;
mod clusters;
mod filters;
mod hosts;
mod index;
mod inside;
mod listeners;
mod manager;
mod replies;
mod routes;
mod scopes;
mod streams;

pub use clusters::{cluster, endpoints};
use envoy_types::pb::{
    envoy::{
        config::core::v3::{
            Address, AggregatedConfigSource, ApiVersion, ConfigSource, DataSource, Pipe, SocketAddress,
            address, config_source::ConfigSourceSpecifier, data_source, socket_address::PortSpecifier,
        },
        extensions::transport_sockets::tls::v3::{
            CertificateValidationContext, Secret, TlsCertificate,
            certificate_validation_context::TrustChainVerification, secret,
        },
    },
    google::protobuf::{BoolValue, Duration},
};
pub use listeners::listener;
use portolan_core::gateway::rows::{TlsSecret, TrustedCa};
pub use scopes::{Piece, closed, in_every_shard, mark, piece, scope, scope_name};

/// Everything arrives over the one ADS stream.
fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..Default::default()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "every such field of the messages is an option")]
const fn yes() -> Option<BoolValue> {
    Some(BoolValue { value: true })
}

#[allow(clippy::unnecessary_wraps, reason = "every such field of the messages is an option")]
const fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn socket(address: &str, port: u16) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: address.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(u32::from(port))),
            ..Default::default()
        })),
    }
}

fn pipe(path: &str) -> Address {
    Address { address: Some(address::Address::Pipe(Pipe { path: path.to_owned(), ..Default::default() })) }
}

/// Authorities whose clients are let in, for SDS: so that other ones drain no connection.
pub fn trusted_ca(row: &TrustedCa) -> Secret {
    let accept = if row.optional {
        TrustChainVerification::AcceptUntrusted
    } else {
        TrustChainVerification::VerifyTrustChain
    };
    let specifier = data_source::Specifier::InlineString(row.pem.to_string());
    Secret {
        name: row.key.to_string(),
        r#type: Some(secret::Type::ValidationContext(CertificateValidationContext {
            trusted_ca: Some(DataSource { specifier: Some(specifier), ..Default::default() }),
            trust_chain_verification: accept as i32,
            ..Default::default()
        })),
    }
}

/// A certificate with its key, for SDS.
pub fn tls_secret(row: &TlsSecret) -> Secret {
    let bytes = |value: &portolan_model::Redacted| {
        Some(DataSource {
            specifier: Some(data_source::Specifier::InlineBytes(value.expose().to_vec())),
            ..Default::default()
        })
    };
    Secret {
        name: row.key.to_string(),
        r#type: Some(secret::Type::TlsCertificate(TlsCertificate {
            certificate_chain: bytes(&row.chain),
            private_key: bytes(&row.private_key),
            ..Default::default()
        })),
    }
}
