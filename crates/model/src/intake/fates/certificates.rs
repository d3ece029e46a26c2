//! Kinds of cert-manager and sealed-secrets.
//! Sources: cert-manager 1.21 `pkg/apis`, sealed-secrets 0.36 `pkg/apis/sealedsecrets/v1alpha1`.

use super::{
    Effect::{Irrelevant, Refused, Used},
    Entry, Table,
};

const GROUP: &str = "cert-manager.io";

const STAND_IN: &str = "an embedded ACME server and an embedded zone stand in for those that are named";
const RECORDS: &str = "records of what was asked for; nothing is decided by them";

const CERTIFICATE: Table = &[(
    Used,
    "spec.additionalOutputFormats spec.commonName spec.dnsNames spec.duration spec.emailAddresses spec.encodeUsagesInRequest \
         spec.ipAddresses spec.isCA spec.issuerRef spec.keystores spec.literalSubject spec.nameConstraints spec.otherNames \
         spec.privateKey spec.renewBefore spec.renewBeforePercentage spec.renewal spec.revisionHistoryLimit spec.secretName \
         spec.secretTemplate spec.signatureAlgorithm spec.subject spec.uris spec.usages",
)];

const ISSUER: Table = &[
    (
        Used,
        "spec.acme.server spec.acme.email spec.acme.privateKeySecretRef spec.acme.disableAccountKeyGeneration \
         spec.acme.solvers.selector spec.ca spec.selfSigned",
    ),
    // By its name, and by the Secrets that it refers to.
    (
        Used,
        "spec.acme.solvers.dns01.acmeDNS spec.acme.solvers.dns01.akamai spec.acme.solvers.dns01.azureDNS \
         spec.acme.solvers.dns01.cloudDNS spec.acme.solvers.dns01.cloudflare spec.acme.solvers.dns01.digitalocean \
         spec.acme.solvers.dns01.rfc2136 spec.acme.solvers.dns01.route53 spec.acme.solvers.dns01.webhook",
    ),
    (
        Irrelevant(STAND_IN),
        "spec.acme.caBundle spec.acme.skipTLSVerify spec.acme.externalAccountBinding spec.acme.preferredChain spec.acme.profile \
         spec.acme.enableDurationFeature spec.acme.solvers.dns01.cnameStrategy spec.acme.solvers.waitInsteadOfSelfCheck",
    ),
    (
        Irrelevant(STAND_IN),
        "spec.acme.solvers.dns01.acmeDNS.accountSecretRef.key spec.acme.solvers.dns01.akamai.accessTokenSecretRef.key \
         spec.acme.solvers.dns01.akamai.clientSecretSecretRef.key spec.acme.solvers.dns01.akamai.clientTokenSecretRef.key \
         spec.acme.solvers.dns01.azureDNS.clientSecretSecretRef.key spec.acme.solvers.dns01.cloudDNS.serviceAccountSecretRef.key \
         spec.acme.solvers.dns01.cloudflare.apiKeySecretRef.key spec.acme.solvers.dns01.cloudflare.apiTokenSecretRef.key \
         spec.acme.solvers.dns01.digitalocean.tokenSecretRef.key spec.acme.solvers.dns01.rfc2136.tsigSecretSecretRef.key \
         spec.acme.solvers.dns01.route53.accessKeyIDSecretRef.key \
         spec.acme.solvers.dns01.route53.secretAccessKeySecretRef.key",
    ),
    (
        Refused("HTTP-01, which is not built: names that it would prove get no certificate"),
        "spec.acme.solvers.http01",
    ),
    (Refused("issuers that are not built"), "spec.vault spec.venafi"),
];

const RECORD: Table = &[(Irrelevant(RECORDS), "spec")];

const SEALED: Table = &[
    (
        Used,
        "spec.encryptedData spec.data spec.template.data spec.template.type spec.template.immutable \
         spec.template.metadata.annotations spec.template.metadata.labels",
    ),
    (
        Irrelevant("the controller writes its own name and namespace, and no finalizers"),
        "spec.template.metadata.name spec.template.metadata.namespace spec.template.metadata.finalizers",
    ),
];

pub(super) const KINDS: [Entry; 7] = [
    (GROUP, "Certificate", CERTIFICATE),
    (GROUP, "Issuer", ISSUER),
    (GROUP, "ClusterIssuer", ISSUER),
    (GROUP, "CertificateRequest", RECORD),
    ("acme.cert-manager.io", "Order", RECORD),
    ("acme.cert-manager.io", "Challenge", RECORD),
    ("bitnami.com", "SealedSecret", SEALED),
];
