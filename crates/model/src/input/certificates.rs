//! cert-manager's kinds. Source: cert-manager v1.21 `pkg/apis/certmanager/v1`.

use std::collections::BTreeMap;

use crate::{Instant, IssuerKey, Name, NamespacedName, ObjectKey, Redacted, row, schedule::Windows};

/// An Issuer or ClusterIssuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Kind by namespace: empty is a ClusterIssuer.
    pub key: IssuerKey,
    /// `metadata.generation`.
    pub generation: i64,
    /// What it is.
    pub spec: IssuerSpec,
}
row!(Issuer, IssuerKey, "issuers");

/// The one kind of issuer that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerSpec {
    /// `acme`.
    Acme {
        /// Directory URL as written.
        server: Name,
        /// Contact.
        email: Option<Name>,
        /// `privateKeySecretRef.name`: holds the account key.
        account_key: Name,
        /// The key in that Secret (`privateKeySecretRef.key`).
        entry: Name,
        /// Whether the account's key is made where there is none (not `disableAccountKeyGeneration`).
        make_key: bool,
        /// Solvers in the order written.
        solvers: Vec<Solver>,
        /// What counts only at the server that it names.
        own: Box<OwnServer>,
    },
    /// `ca`: signs with the key pair of a Secret.
    Ca {
        /// `secretName`.
        secret: Name,
        /// What is written into what it signs.
        points: Points,
    },
    /// `selfSigned`: with the certificate's own key.
    SelfSigned {
        /// What is written into what it signs.
        points: Points,
    },
    /// Anything else, by its field name (vault, venafi).
    Unsupported(Name),
}

/// Where clients find more about what an issuer signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// `crlDistributionPoints`.
    pub crl: Vec<Name>,
    /// `ocspServers`.
    pub ocsp: Vec<Name>,
    /// `issuingCertificateURLs`.
    pub issuing: Vec<Name>,
}

/// What an ACME issuer says of its own server, which a stand-in makes no use of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnServer {
    /// `caBundle`: the authorities that may have signed the server's certificate, PEM; `None`: those that the machine believes. `Err` is why
    /// it cannot be read.
    pub trusts: Option<Result<Name, String>>,
    /// Fields that are written and that no stand-in honours, with whether orders at the own server can do without: of the others
    /// something else would come than was asked for.
    pub fields: Vec<(Name, bool)>,
}

/// `solvers[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solver {
    /// `selector.dnsNames`.
    pub dns_names: Vec<Name>,
    /// `selector.dnsZones`.
    pub dns_zones: Vec<Name>,
    /// `selector.matchLabels`: labels that the Certificate must have.
    pub labels: BTreeMap<Name, Name>,
    /// `dns01` provider field name (`cloudDNS`, `route53`, …); `None` for HTTP-01.
    pub dns01: Option<Name>,
    /// Secrets that the provider's credential stands in.
    pub credentials: Vec<Name>,
    /// Fields below that count at the issuer's own server only.
    pub unserved: Vec<Name>,
    /// `dns01.rfc2136`.
    pub update: Option<Box<UpdateSolver>>,
}

/// A server of dynamic updates that a solver names (cert-manager `ACMEIssuerDNS01ProviderRFC2136`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateSolver {
    /// `nameserver`: an address, with or without a port.
    pub nameserver: Name,
    /// `tsigKeyName`; empty: nothing is signed.
    pub key_name: Name,
    /// `tsigAlgorithm`, `HMACMD5` where it is not written.
    pub algorithm: Name,
    /// `tsigSecretSecretRef`: name of the Secret, and the key in it.
    pub secret: Option<(Name, Name)>,
    /// `protocol`, where it is written: `TCP` or `UDP`.
    pub protocol: Option<Name>,
}

/// A Certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `metadata.generation`.
    pub generation: i64,
    /// Labels and annotations that its request and order are given; marks of GitOps tools are left out, since tools
    /// would take the copies for objects of the repository.
    pub passed_on: Box<(BTreeMap<Name, Name>, BTreeMap<Name, String>)>,
    /// All labels, for the selectors of solvers.
    pub labels: BTreeMap<Name, Name>,
    /// `revisionHistoryLimit`: how many CertificateRequests are kept.
    pub revisions: u32,
    /// `spec.secretName`.
    pub secret: Name,
    /// `spec.issuerRef`, resolved by its kind.
    pub issuer: IssuerRef,
    /// What the certificate must say.
    pub request: CertificateSpec,
    /// `renewBefore` in milliseconds, if set.
    pub renew_before: Option<i64>,
    /// `renewBeforePercentage`, if set.
    pub renew_before_percentage: Option<u8>,
    /// `privateKey.rotationPolicy` is `Always`.
    pub rotate_key: bool,
    /// Why nothing is issued whatever the issuer is: a field that is not built, with its path. The finding is told where it
    /// is read.
    pub refused: Option<String>,
    /// `renewal.policy` is `Disabled`: it is never renewed for its age.
    pub renewal_disabled: bool,
    /// `renewal.windows`: it is renewed in one of them, if one comes in time.
    pub windows: Vec<Windows>,
    /// `additionalOutputFormats`.
    pub formats: OutputFormats,
    /// `keystores` with `create`.
    pub keystores: Vec<Keystore>,
    /// `secretTemplate.annotations`.
    pub secret_annotations: BTreeMap<Name, String>,
    /// `secretTemplate.labels`.
    pub secret_labels: BTreeMap<Name, Name>,
    /// Annotation `portolan.dev/renew-at`: certificates made before it are renewed once it is due.
    pub renew_at: Option<Instant>,
    /// Annotation `cert-manager.io/issue-temporary-certificate` is `true`: until the issuer has signed, the Secret holds a
    /// certificate that nobody can verify.
    pub temporary: bool,
    /// The object for whose TLS Portolan made it ([`TlsSource`]); `None` if somebody wrote it.
    pub made_for: Option<ObjectKey>,
}
row!(Certificate, NamespacedName, "certificates");

impl Certificate {
    /// As an object.
    pub fn object(&self) -> ObjectKey {
        ObjectKey::new("cert-manager.io", "Certificate", self.key.namespace.clone(), self.key.name.clone())
    }
}

/// What may ask for Certificates by annotations (cert-manager's ingress-shim and gateway-shim): the TLS of an Ingress, Gateway
/// or ListenerSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSource {
    /// The object.
    pub key: ObjectKey,
    /// All annotations: which are copied is a setting.
    pub annotations: BTreeMap<Name, String>,
    /// All labels: the Certificate is given them.
    pub labels: BTreeMap<Name, Name>,
    /// Gateway of a ListenerSet.
    pub parent: Option<NamespacedName>,
    /// `metadata.creationTimestamp`: of two that ask for one Certificate the older has it.
    pub created: Instant,
    /// Its listeners, or the entries of `spec.tls` of an Ingress, in the order written.
    pub blocks: Vec<TlsBlock>,
}
row!(TlsSource, ObjectKey, "tls_sources");

/// A listener of a Gateway or ListenerSet, or an entry of `spec.tls` of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsBlock {
    /// Its path in the object.
    pub path: Name,
    /// Name of the listener.
    pub listener: Name,
    /// Protocol of the listener.
    pub protocol: Name,
    /// `tls.mode` of the listener; empty without `tls`.
    pub mode: Name,
    /// Hostname of the listener, or `hosts`.
    pub hosts: Vec<Name>,
    /// What its certificates are to be kept in.
    pub secrets: Vec<TlsReference>,
}

/// An entry of `certificateRefs`, or `secretName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReference {
    /// Group; empty is the core group.
    pub group: Name,
    /// Kind.
    pub kind: Name,
    /// Namespace, if one is written.
    pub namespace: Option<Name>,
    /// Name.
    pub name: Name,
}

/// `additionalOutputFormats`: what the Secret holds besides `tls.crt` and `tls.key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputFormats {
    /// `DER`: the key under `key.der`.
    pub der: bool,
    /// `CombinedPEM`: key and chain under `tls-combined.pem`.
    pub combined: bool,
}

/// `keystores.jks` or `keystores.pkcs12`: key and chain as Java reads them, in the Secret as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keystore {
    /// What is made.
    pub form: StoreForm,
    /// What it is protected by.
    pub password: StorePassword,
}

/// A form of keystore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreForm {
    /// Java's own, with the alias of the key.
    Jks {
        /// `alias`, default applied.
        alias: Name,
    },
    /// PKCS#12.
    Pkcs12(Pkcs12Profile),
}

/// `pkcs12.profile`: what PKCS#12 is encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkcs12Profile {
    /// `LegacyRC2` and `LegacyDES`: 3DES and SHA-1.
    Legacy,
    /// `Modern2023`: AES-256 and SHA-256.
    Modern2023,
    /// `Modern2026`: the same, with PBMAC1 (RFC 9579).
    Modern2026,
}

/// The password of a keystore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePassword {
    /// `password`.
    Written(Redacted),
    /// `passwordSecretRef`.
    Secret {
        /// Name of a Secret in the Certificate's namespace.
        name: Name,
        /// Key in its data.
        key: Name,
    },
}

impl StoreForm {
    /// Keys of the Secret that hold the keystore and the store of the CA beside it.
    pub fn entries(&self) -> [Name; 2] {
        match self {
            Self::Jks { .. } => ["keystore.jks", "truststore.jks"],
            Self::Pkcs12(_) => ["keystore.p12", "truststore.p12"],
        }
        .map(Name::new)
    }

    /// The field of a Certificate that asks for it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Jks { .. } => "spec.keystores.jks",
            Self::Pkcs12(_) => "spec.keystores.pkcs12",
        }
    }
}

/// `issuerRef`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRef {
    /// Issuer or ClusterIssuer of cert-manager.io.
    Known(IssuerKey),
    /// Another group or kind, as written.
    External(Name),
}

/// What the certificate must say: the part that, when changed, needs a new certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSpec {
    /// `commonName`, empty if none.
    pub common_name: String,
    /// `dnsNames`, lower-case, in the order written.
    pub dns_names: Vec<Name>,
    /// `ipAddresses`.
    pub ip_addresses: Vec<Name>,
    /// `uris`.
    pub uris: Vec<Name>,
    /// `emailAddresses`.
    pub emails: Vec<Name>,
    /// `otherNames`: `oid` and `utf8Value`.
    pub other_names: Vec<(Name, String)>,
    /// `subject`.
    pub subject: Subject,
    /// `literalSubject`, empty if none.
    pub literal_subject: String,
    /// `duration` in milliseconds (default 2160h).
    pub duration: i64,
    /// `isCA`.
    pub is_ca: bool,
    /// `nameConstraints`.
    pub name_constraints: Option<NameConstraints>,
    /// `usages`.
    pub usages: Vec<Name>,
    /// `signatureAlgorithm`: of the request; empty is the key's usual one.
    pub signature_algorithm: Name,
    /// `encodeUsagesInRequest` is `false`.
    pub plain_request: bool,
    /// `privateKey.algorithm`: RSA, ECDSA or Ed25519.
    pub algorithm: Name,
    /// `privateKey.size`, default applied (RSA 2048, ECDSA 256).
    pub size: u32,
    /// `privateKey.encoding` is PKCS8.
    pub pkcs8: bool,
}

/// `subject`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "cert-manager's fields by their names")]
pub struct Subject {
    pub organizations: Vec<String>,
    pub countries: Vec<String>,
    pub organizational_units: Vec<String>,
    pub localities: Vec<String>,
    pub provinces: Vec<String>,
    pub street_addresses: Vec<String>,
    pub postal_codes: Vec<String>,
    pub serial_number: String,
}

/// `nameConstraints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct NameConstraints {
    /// `critical`.
    pub critical: bool,
    /// `permitted`.
    pub permitted: ConstrainedNames,
    /// `excluded`.
    pub excluded: ConstrainedNames,
}

/// Names that a CA may, or may not, sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConstrainedNames {
    /// `dnsDomains`.
    pub dns_domains: Vec<Name>,
    /// `ipRanges`, as CIDR.
    pub ip_ranges: Vec<Name>,
    /// `emailAddresses`.
    pub email_addresses: Vec<Name>,
    /// `uriDomains`.
    pub uri_domains: Vec<Name>,
}
