//! Rows of the certificates room.

use std::sync::Arc;

use portolan_model::{
    Code, Instant, IssuerKey, Name, NamespacedName, certificate::CertificateRequestParams, row,
};

use super::acme::OrderState;

/// Settings of one run, as a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Always the empty name: there is one row.
    pub key: Name,
    /// Namespace in which a ClusterIssuer's Secrets stand.
    pub cluster_resource_namespace: Name,
}
row!(Settings, Name, "settings");

/// Fact: an issuance failed. Held against the request it was for; a changed request tries at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueFailure {
    /// The Certificate.
    pub key: NamespacedName,
    /// What was asked for.
    pub wanted: IssueWanted,
    /// Code of the finding.
    pub code: Code,
    /// Why, one sentence.
    pub message: String,
    /// When.
    pub failed_at: Instant,
    /// How often in a row this request has failed.
    pub attempts: u32,
    /// Not before this time, if the signer said so (`Retry-After`).
    pub not_before: Option<Instant>,
}
row!(IssueFailure, NamespacedName, "issue_failures");

/// Fact: how far an order is that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderProgress {
    /// The Certificate.
    pub key: NamespacedName,
    /// The order.
    pub state: Arc<OrderState>,
}
row!(OrderProgress, NamespacedName, "order_progress");

/// State of a Certificate as its conditions show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// The Certificate.
    pub key: NamespacedName,
    /// Whether a valid certificate is there.
    pub ready: bool,
    /// Reason of the Ready condition, as cert-manager names it.
    pub reason: Name,
    /// Message.
    pub message: String,
    /// Whether one is being made.
    pub issuing: bool,
    /// The Secret it writes.
    pub secret: NamespacedName,
    /// End of validity of the present one.
    pub not_after: Option<Instant>,
    /// When it is renewed.
    pub renewal: Option<Instant>,
}
row!(CertificateState, NamespacedName, "certificate_states");

/// Wanted: make a certificate and write it into the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueWanted {
    /// The Certificate.
    pub key: NamespacedName,
    /// Who signs.
    pub signer: Signer,
    /// The issuer, for the Secret's annotations.
    pub issuer: IssuerKey,
    /// What it must say.
    pub request: CertificateRequestParams,
    /// The Secret.
    pub secret: NamespacedName,
    /// Fingerprint of what is replaced, so that each renewal is a wish of its own; empty for the first.
    pub replaces: String,
    /// Keep the private key of the present Secret.
    pub keep_key: bool,
    /// Annotations for the Secret (`secretTemplate`).
    pub annotations: std::collections::BTreeMap<Name, String>,
    /// Labels for the Secret.
    pub labels: std::collections::BTreeMap<Name, Name>,
}
row!(IssueWanted, NamespacedName, "issues_wanted");

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The certificate's own key.
    SelfSigned,
    /// The key pair in this Secret.
    Ca(NamespacedName),
    /// An ACME server.
    Acme(Box<AcmeOrder>),
}

/// What an ACME server is asked for, besides the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeOrder {
    /// Directory URL as the issuer names it.
    pub server: Name,
    /// Contact URLs.
    pub contact: Vec<Name>,
    /// Secret of the account key (`tls.key`); made if it is not there.
    pub account_key: NamespacedName,
    /// The names, sorted, with how each is proven.
    pub proofs: Vec<Proof>,
}

/// How a name is proven: by a TXT record (DNS-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The name, `*.` included.
    pub name: Name,
    /// DNS provider that the solver names (`cloudDNS`).
    pub provider: Name,
}

/// Wanted: annotations and labels of an issued Secret follow the Certificate's `secretTemplate`. Gone as soon as they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateWanted {
    /// The Secret.
    pub key: NamespacedName,
    /// All annotations that it shall have.
    pub annotations: std::collections::BTreeMap<Name, String>,
    /// All labels that it shall have.
    pub labels: std::collections::BTreeMap<Name, Name>,
}
row!(TemplateWanted, NamespacedName, "template_wanted");
