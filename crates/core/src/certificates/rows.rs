//! Rows of the certificates room.

use std::sync::Arc;

use portolan_model::{
    Code, Condition, Instant, IssuerKey, Name, NamespacedName, ObjectKey, Redacted,
    certificate::CertificateRequestParams,
    input::{OutputFormats, Points, StoreForm},
    row,
};
use serde_json::Value;

use super::acme::OrderState;

/// Settings of one run, as a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Always the empty name: there is one row.
    pub key: Name,
    /// Namespace in which a ClusterIssuer's Secrets stand.
    pub cluster_resource_namespace: Name,
    /// What cert-manager's shims are told.
    pub shim: ShimSettings,
}
row!(Settings, Name, "settings");

/// What cert-manager's ingress-shim and gateway-shim are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShimSettings {
    /// Whether Gateways are looked at (`config.enableGatewayAPI`).
    pub gateways: bool,
    /// Whether ListenerSets are.
    pub listener_sets: bool,
    /// Protocols of listeners besides HTTPS and TLS.
    pub extra_protocols: Vec<Name>,
    /// Issuer of an Ingress that names none; empty if there is none.
    pub issuer: Name,
    /// Its kind.
    pub issuer_kind: Name,
    /// Its group.
    pub issuer_group: Name,
    /// Annotations of an Ingress that ask for a Certificate of that issuer.
    pub auto_annotations: Vec<Name>,
    /// Annotations that the Certificate is given too.
    pub extra_annotations: Vec<Name>,
}

/// Where no cert-manager is declared, whose values could say otherwise: whoever annotates a Gateway means it.
impl Default for ShimSettings {
    fn default() -> Self {
        Self {
            gateways: true,
            listener_sets: true,
            extra_protocols: Vec::new(),
            issuer: Name::default(),
            issuer_kind: "Issuer".into(),
            issuer_group: "cert-manager.io".into(),
            auto_annotations: vec!["kubernetes.io/tls-acme".into()],
            extra_annotations: Vec::new(),
        }
    }
}

/// A Certificate that an object asks for by annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShimClaim {
    /// The Certificate, and the object.
    pub key: (NamespacedName, ObjectKey),
    /// When the object was made.
    pub created: Instant,
    /// The Certificate with defaults; `None` if it is to stay as it is.
    pub body: Option<Value>,
}
row!(ShimClaim, (NamespacedName, ObjectKey), "shim_claims");

/// Wanted: a Certificate that nobody wrote. It goes when this does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShimCertificate {
    /// The Certificate.
    pub key: NamespacedName,
    /// For whose TLS it is.
    pub source: ObjectKey,
    /// The whole object but for the uid of its owner; `None` if it is to stay as it is.
    pub body: Option<Value>,
}
row!(ShimCertificate, NamespacedName, "shim_certificates");

impl ShimCertificate {
    /// As an object.
    pub fn object(&self) -> ObjectKey {
        ObjectKey::new("cert-manager.io", "Certificate", self.key.namespace.clone(), self.key.name.clone())
    }
}

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

/// Fact: how far the ACME order of an issuance is. It stays when the order has ended, as long as its [`Issuance`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderProgress {
    /// The Certificate and the revision that is made.
    pub key: IssuanceKey,
    /// The order.
    pub state: Arc<OrderState>,
}
row!(OrderProgress, IssuanceKey, "order_progress");

/// A Certificate and the revision that is made of it, from 1.
pub type IssuanceKey = (NamespacedName, u32);

/// Fact: a certificate that is being made, or was made, in this run: what the signer was asked and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// The Certificate and the revision.
    pub key: IssuanceKey,
    /// What is made.
    pub wanted: Arc<IssueWanted>,
    /// The signing request, PEM. It holds no secret.
    pub request: String,
    /// What came of it.
    pub outcome: Outcome,
}
row!(Issuance, IssuanceKey, "issuances");

/// What came of an [`Issuance`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Pending,
    /// A certificate.
    Issued {
        /// The chain, PEM.
        certificate: String,
        /// The CA, PEM; empty if the signer does not tell.
        ca: String,
    },
    /// A failure.
    Failed {
        /// Why, one sentence.
        message: String,
        /// When.
        at: Instant,
    },
}

/// Wanted: register the account of an ACME issuer. There only while it is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountWanted {
    /// The issuer.
    pub key: IssuerKey,
    /// Directory URL as the issuer names it.
    pub server: Name,
    /// Contact URLs.
    pub contact: Vec<Name>,
    /// Secret of the account key.
    pub account_key: NamespacedName,
    /// The key in that Secret: `tls.key`, unless the issuer says another.
    pub entry: Name,
    /// Fingerprint of the key; empty if the key is to be made first.
    pub fingerprint: Name,
    /// Which server is asked.
    pub at: AcmeServer,
}
row!(AccountWanted, IssuerKey, "accounts_wanted");

/// Fact: what came of the registration of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// The issuer.
    pub key: IssuerKey,
    /// What was registered; a changed request makes the rest void.
    pub wanted: AccountWanted,
    /// The account, or why there is none.
    pub result: Result<Account, AccountFailure>,
}
row!(AccountState, IssuerKey, "account_states");

/// A registered account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its URL.
    pub uri: Name,
    /// SHA-256 of the private key's DER, base64: cert-manager's `lastPrivateKeyHash`.
    pub key_hash: Name,
}

/// A registration that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFailure {
    /// Whether a key is there, and is one that can be used.
    pub key_usable: bool,
    /// Why, one sentence.
    pub message: String,
    /// When.
    pub failed_at: Instant,
    /// How often in a row this request has failed.
    pub attempts: u32,
    /// Not before this time, if the server said so.
    pub not_before: Option<Instant>,
}

/// State of an issuer as its Ready condition shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerState {
    /// The issuer.
    pub key: IssuerKey,
    /// The Ready condition; `None` while an account is being registered for the first time.
    pub ready: Option<Condition>,
    /// The ACME account with the address that was registered, once there is one.
    pub account: Option<(Account, Name)>,
}
row!(IssuerState, IssuerKey, "issuer_states");

impl IssuerState {
    /// Whether certificates can be asked for.
    pub fn is_ready(&self) -> bool {
        self.ready.as_ref().is_some_and(|c| c.status == portolan_model::condition::Status::True)
    }
}

/// State of a Certificate as its conditions show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// The Certificate.
    pub key: NamespacedName,
    /// Whether a valid certificate is there.
    pub ready: bool,
    /// Reason of the Ready condition, as cert-manager names it.
    pub reason: Name,
    /// Message of the Ready condition, as cert-manager words it.
    pub message: String,
    /// Why another certificate is wanted (reason and message of cert-manager's trigger); `None` if the present one will do.
    pub trigger: Option<(Name, String)>,
    /// Whether one is being made, or waits for its issuer.
    pub issuing: bool,
    /// What it waits for or why it is stuck, one sentence for people; empty if there is nothing to say.
    pub detail: String,
    /// The Secret it writes.
    pub secret: NamespacedName,
    /// Start of validity of the present one.
    pub not_before: Option<Instant>,
    /// End of validity of the present one.
    pub not_after: Option<Instant>,
    /// When it is renewed.
    pub renewal: Option<Instant>,
    /// Revision of the present one, if Portolan made it.
    pub revision: Option<u32>,
    /// Failures in a row of what is wanted now, and the time of the last.
    pub failures: Option<(u32, Instant)>,
}
row!(CertificateState, NamespacedName, "certificate_states");

/// Wanted: an object that records how a certificate comes about: a CertificateRequest, an Order or a Challenge. Nothing is
/// decided by these objects, and none of them holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordWanted {
    /// The object.
    pub key: ObjectKey,
    /// Which issuance it records.
    pub issuance: IssuanceKey,
    /// The object that controls it.
    pub owner: ObjectKey,
    /// The whole object but for its owner references, which need the owner's uid.
    pub body: Value,
}
row!(RecordWanted, ObjectKey, "records_wanted");

/// Wanted: make a certificate and write it into the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueWanted {
    /// The Certificate.
    pub key: NamespacedName,
    /// Which revision this makes, from 1.
    pub revision: u32,
    /// Who signs.
    pub signer: Signer,
    /// The issuer, for the Secret's annotations.
    pub issuer: IssuerKey,
    /// What it must say.
    pub request: CertificateRequestParams,
    /// The same as the user wrote it, for the Secret: see [`super::asked`].
    pub asked: String,
    /// The Secret.
    pub secret: NamespacedName,
    /// Fingerprint of what is replaced, so that each renewal is a request of its own; empty for the first.
    pub replaces: String,
    /// Keep the private key of the present Secret.
    pub keep_key: bool,
    /// What the issuer writes into what it signs.
    pub points: Points,
    /// What else the Secret holds.
    pub formats: OutputFormats,
    /// Keystores that the Secret holds.
    pub keystores: Vec<Store>,
    /// Annotations for the Secret (`secretTemplate`).
    pub annotations: std::collections::BTreeMap<Name, String>,
    /// Labels for the Secret.
    pub labels: std::collections::BTreeMap<Name, Name>,
}
row!(IssueWanted, NamespacedName, "issues_wanted");

/// Wanted: a certificate for the time until the issuer has signed, where nothing else can be served. Gone as soon as it, or
/// another, is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryWanted {
    /// The Certificate.
    pub key: NamespacedName,
    /// What is made, by [`Signer::Temporary`].
    pub wanted: IssueWanted,
}
row!(TemporaryWanted, NamespacedName, "temporary_wanted");

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The certificate's own key.
    SelfSigned,
    /// The key pair in this Secret.
    Ca(NamespacedName),
    /// An ACME server.
    Acme(Box<AcmeOrder>),
    /// A CA that signs once and is forgotten: nobody can verify it. Of a [`TemporaryWanted`] only.
    Temporary,
}

/// What an ACME server is asked for, besides the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeOrder {
    /// Directory URL as the issuer names it.
    pub server: Name,
    /// Contact URLs.
    pub contact: Vec<Name>,
    /// Secret of the account key.
    pub account_key: NamespacedName,
    /// The key in that Secret: `tls.key`, unless the issuer says another.
    pub entry: Name,
    /// The names, sorted, with how each is proven.
    pub proofs: Vec<Proof>,
    /// Which server is asked.
    pub at: AcmeServer,
}

/// How the common names of the embedded development CA begin.
pub const DEVELOPMENT_CA: &str = "Portolan development ";

/// Which server the requests of an ACME issuer go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcmeServer {
    /// The embedded one, whatever the issuer names, with embedded zones.
    StandIn,
    /// The one that the issuer names.
    Own {
        /// The authorities that may have signed its certificate, PEM; `None`: those that the machine believes.
        trusts: Option<Name>,
    },
}

/// Fact: ACME issuers are served by the servers that they name (`up --real-acme`), and not by the embedded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealAcme {
    /// Always the empty name: there is one row.
    pub key: Name,
}
row!(RealAcme, Name, "real_acme");

/// How a name is proven: by a TXT record (DNS-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The name, `*.` included.
    pub name: Name,
    /// DNS provider that the solver names (`cloudDNS`).
    pub provider: Name,
    /// Where the TXT record is written; `None`: the embedded zones.
    pub update: Option<TxtServer>,
}

/// A server of dynamic updates (RFC 2136) that takes the TXT records of a solver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxtServer {
    /// `host:port`.
    pub address: Name,
    /// What signs the updates; `None`: nothing does.
    pub key: Option<TsigKey>,
}

/// A key of transaction signatures (RFC 8945), by where its secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsigKey {
    /// Its name, as the server knows it.
    pub name: Name,
    /// Algorithm as it is written (`HMACSHA256`).
    pub algorithm: Name,
    /// The Secret, and the key in it.
    pub secret: (NamespacedName, Name),
}

/// A keystore with its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// What it is.
    pub form: StoreForm,
    /// What it is protected by; UTF-8.
    pub password: Redacted,
}

/// The content of a Secret is needed, in a cluster: a store that reads it only then has to read it. Until it has, what is in the Secret is
/// not known, and nothing is made in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededSecret {
    /// The Secret, and the Certificate or issuer that needs it.
    pub key: (NamespacedName, ObjectKey),
}
row!(NeededSecret, (NamespacedName, ObjectKey), "needed_secrets");

/// Wanted: an issued Secret follows the Certificate's `secretTemplate`, `additionalOutputFormats` and `keystores`. Gone as soon as it
/// does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateWanted {
    /// The Secret.
    pub key: NamespacedName,
    /// All annotations that it shall have.
    pub annotations: std::collections::BTreeMap<Name, String>,
    /// All labels that it shall have.
    pub labels: std::collections::BTreeMap<Name, Name>,
    /// Keys of `data` that it shall have besides, or with `None` not have.
    pub data: std::collections::BTreeMap<Name, Option<Redacted>>,
    /// Keystores that are to be made anew from what the Secret holds.
    pub keystores: Vec<Store>,
}
row!(TemplateWanted, NamespacedName, "template_wanted");
