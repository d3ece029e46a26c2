//! Who writes a Secret, of all that would: one rule, asked by everybody who writes one.
//!
//! The repository before a SealedSecret, before a Certificate, before the account key of an ACME issuer, before a mirror
//! ([`Maker`] has the same order, and by it the store lets one take over what another made). Who came first does not
//! count. Only among equals does the one that has the Secret keep it, since whoever comes later could otherwise take what
//! is served away: of two Certificates, and of two sources of a mirror; where none has it, the first by name gets it.

use portolan_model::{
    IssuerKey, Name, NamespacedName,
    input::{Issuer, IssuerSpec, Maker, SealedSecret, Secret},
};

use crate::{
    Cx,
    certificates::rows::Settings,
    world::{CertificatesByTarget, IssuersBySecret},
};

/// Who writes a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It stands in the repository.
    Repository,
    /// The SealedSecret of the same name, whether it can be opened or not.
    Sealed,
    /// A Certificate.
    Certificate(NamespacedName),
    /// An issuer, whose account key it is to be.
    Account(IssuerKey),
    /// It was made for a Certificate or an issuer that is gone: cert-manager leaves such Secrets.
    Left,
    /// Nobody but a mirror.
    Nobody,
}

impl Owner {
    /// Of the Secret with this key.
    pub(crate) fn of(cx: &mut Cx<'_>, key: &NamespacedName) -> Self {
        let present = cx.get::<Secret>(key).map(|secret| secret.maker);
        if present == Some(Maker::Repository) {
            return Self::Repository;
        }
        if cx.get::<SealedSecret>(key).is_some_and(|sealed| sealed.refused.is_none()) {
            return Self::Sealed;
        }
        if let Some(certificate) = certificate(cx, key) {
            return Self::Certificate(certificate);
        }
        match account(cx, key) {
            Some(issuer) => Self::Account(issuer),
            None if matches!(present, Some(Maker::Issued | Maker::Account)) => Self::Left,
            None => Self::Nobody,
        }
    }

    /// What it does with the Secret, as a part of a sentence.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Repository => "comes from the repository".to_owned(),
            Self::Sealed => "is made from a SealedSecret".to_owned(),
            Self::Certificate(certificate) => format!("is made for Certificate {certificate}"),
            Self::Account(issuer) => format!("holds the account key of {issuer}"),
            Self::Left => "was made for a Certificate or issuer that is gone".to_owned(),
            Self::Nobody => "is a mirror".to_owned(),
        }
    }
}

/// Which of the Certificates that name a Secret writes it: the one that it was made for, else the first by name. (cert-manager
/// takes the oldest; in a repository all are of one age.)
pub(crate) fn certificate(cx: &mut Cx<'_>, key: &NamespacedName) -> Option<NamespacedName> {
    let rivals = cx.keys::<CertificatesByTarget>(key);
    if rivals.len() > 1
        && let Some(secret) = cx.get::<Secret>(key).filter(|secret| secret.maker == Maker::Issued)
        && let Some(name) = secret.annotations.get("cert-manager.io/certificate-name")
        && let Some(keeper) = rivals.iter().find(|rival| rival.name == **name)
    {
        return Some(keeper.clone());
    }
    rivals.into_iter().min()
}

/// The issuer that keeps the key of its account in the Secret, and makes it if there is none.
fn account(cx: &mut Cx<'_>, key: &NamespacedName) -> Option<IssuerKey> {
    let mut issuers = cx.find::<IssuersBySecret>(key);
    if key.namespace == cluster_namespace(cx) {
        issuers.extend(cx.find::<IssuersBySecret>(&NamespacedName::new("", key.name.clone())));
    }
    let makes = |issuer: &Issuer| match &issuer.spec {
        IssuerSpec::Acme { account_key, make_key, .. } => *make_key && *account_key == key.name,
        _ => false,
    };
    issuers.iter().filter(|issuer| makes(issuer)).map(|issuer| issuer.key.clone()).min()
}

/// Namespace in which a ClusterIssuer's Secrets stand.
pub(crate) fn cluster_namespace(cx: &mut Cx<'_>) -> Name {
    cx.get::<Settings>(&Name::default())
        .map_or_else(|| "cert-manager".into(), |settings| settings.cluster_resource_namespace.clone())
}
