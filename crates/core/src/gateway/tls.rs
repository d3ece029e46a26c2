//! What certificate each listener serves.

use std::{collections::BTreeSet, sync::Arc};

use portolan_model::{
    Code, Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{Gateway, Maker, SealedSecret, Secret, SecretReference, SourceProblems, TlsSource},
    intake::tls::{too_weak, unread},
};

use super::{
    authorities,
    grants::granted,
    listeners::{object, place},
    rows::{
        ClientCertificate, GatewayListener, ListenerCertificate, ListenerKey, LookInto, MergedListeners,
        ServedCertificate, TlsReady, Unread, Usable,
    },
    takes,
};
use crate::{
    Cx,
    gitops::unseen::may_bring,
    policy::denial,
    problem,
    secrets::{
        REFLECTS,
        rows::{Mirror, MirrorKey, MirrorKind},
        source,
    },
    world::{CertificatesByTarget, CutsBySecret, MakersBySecret},
};

/// Code of an object whose values are not in the repository (`effects::render::place`).
const WITHHELD: Code = Code(671);

/// The narrow row between a Secret and all that asks "can it be served".
pub(super) fn tls_ready(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    let Some(tls) = &secret.tls else { return };
    let state = match tls {
        Err(why) => Err(why.clone()),
        // Weakness first: a weak key is not read far enough to compare it.
        Ok(pair) => match too_weak(&pair.key).or_else(|| secret.data.get("tls.key").and_then(unread)) {
            Some(why) => Err(why),
            None if !pair.key_matches => Err("tls.key does not belong to tls.crt".to_owned()),
            // Clients look at no common name (RFC 9525 §2).
            None => Ok(Usable {
                covers: pair.dns_names.clone(),
                not_after: pair.not_after,
                temporary: pair.temporary,
            }),
        },
    };
    let denied = denied(cx, secret);
    cx.emit(TlsReady { key: secret.key.clone(), state, denied });
}

/// Whether the Secret is denied, or the Certificate that it, or the source that it mirrors, was issued for is by now.
fn denied(cx: &mut Cx<'_>, secret: &Arc<Secret>) -> Option<String> {
    let key = ObjectKey { kind: Kind::new("", "Secret"), name: secret.key.clone() };
    if let Some(denied) = denial(cx, &key) {
        return Some(format!("it {}", denied.words(&key)));
    }
    let (source, issued) = match secret.annotations.get(REFLECTS).and_then(|text| source(text)) {
        None => (secret.key.clone(), Some(Arc::clone(secret))),
        Some(source) => (source, None),
    };
    for cut in cx.find::<CutsBySecret>(&source) {
        let issued = issued.clone().or_else(|| cx.get::<Secret>(&source));
        let by = |issued: &Arc<Secret>| {
            issued.maker == Maker::Issued
                && issued
                    .annotations
                    .get("cert-manager.io/certificate-name")
                    .is_some_and(|name| *name == *cut.key.1.name)
        };
        if issued.as_ref().is_some_and(by) {
            let (certificate, policy) = (&cut.key.1, &cut.policy);
            return Some(format!(
                "Certificate {certificate} is denied by ValidatingAdmissionPolicy {policy}"
            ));
        }
    }
    None
}

pub(super) fn listener_certificates(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    // Not those that it may not refer to.
    let mut needed: BTreeSet<NamespacedName> = BTreeSet::new();
    let mut trusted: BTreeSet<ObjectKey> = BTreeSet::new();
    for validation in gateway.frontend.all() {
        trusted.extend(authorities::needed(cx, "Gateway", &gateway.key.namespace, &validation.authorities));
    }
    if let Some(SecretReference { kind, name }) = &gateway.client_certificate
        && kind.is("", "Secret")
        && (name.namespace == gateway.key.namespace
            || granted(cx, "Gateway", &gateway.key.namespace, "Secret", name))
    {
        needed.insert(name.clone());
    }
    let merged = cx.get::<MergedListeners>(&gateway.key);
    for one in merged.iter().flat_map(|merged| &merged.all) {
        let listener = &one.listener;
        let key = ListenerKey { gateway: gateway.key.clone(), name: one.name.clone() };
        if cx
            .get::<GatewayListener>(&key)
            .is_none_or(|gateway_listener| !gateway_listener.accepted || !gateway_listener.speaks.ends_tls())
        {
            continue;
        }
        let Some(tls) = &listener.tls else { continue };
        let (written_in, field) = place(gateway, one);
        let field = format!("{field}.tls.certificateRefs");
        // What a Gateway is granted its ListenerSets are not, nor the other way round.
        let owner = Owner::of(written_in);
        let mut row = ListenerCertificate {
            key,
            secret: Err(("InvalidCertificateRef".into(), "no certificateRefs".into())),
            served: vec![],
            covers: vec![],
            broken: None,
            waiting: false,
            elsewhere: false,
        };
        let mut unusable: Vec<Unusable> = Vec::new();
        if let Some(kind) = tls.unsupported.first() {
            let message = format!("listener {} refers to a {kind}, not to a Secret", listener.name);
            let hint = "refer to a core Secret of type kubernetes.io/tls";
            problem(cx, owner.object.clone(), 214, Severity::Error, &field, message.clone(), hint);
            unusable.push(Unusable::to_mend("InvalidCertificateRef", message));
        } else if tls.certificates.is_empty() {
            let message = format!("listener {} names no certificate", listener.name);
            let hint = "set tls.certificateRefs";
            problem(cx, owner.object.clone(), 207, Severity::Error, &field, message, hint);
        }
        for secret in &tls.certificates {
            if row.served.iter().any(|known| known.secret == *secret) {
                continue;
            }
            match certificate(cx, &owner, secret, &field, &mut needed) {
                Ok(served) => row.served.push(served),
                Err(why) => unusable.push(why),
            }
        }
        if let Some(hostname) = &listener.hostname
            && let Some(first) = row.served.first()
            && !row
                .served
                .iter()
                .flat_map(|one| &one.covers)
                .any(|name| one_label(name, hostname) || name == hostname)
        {
            let names = told(row.served.iter().flat_map(|one| &one.covers));
            let message =
                format!("the certificate in Secret {} covers {names}, not {hostname}", first.secret);
            let hint = "add the name to the Certificate's dnsNames, or refer to another Secret";
            problem(cx, owner.object.clone(), 211, Severity::Error, &field, message, hint);
        }
        row.waiting = !unusable.is_empty() && unusable.iter().all(|why| why.waiting);
        row.elsewhere = row.waiting && unusable.iter().any(|why| why.elsewhere);
        // Of several that cannot be served, one that somebody has to mend says why.
        unusable.sort_by_key(|why| (why.waiting, why.reason == MADE));
        // Where others are served it is said with them.
        for secret in unusable.iter().filter_map(|why| why.nobody.as_ref()).filter(|_| row.served.is_empty())
        {
            nobody_brings(
                cx,
                &owner,
                secret,
                &field,
                &format!("handshakes for listener {} are refused", listener.name),
            );
        }
        let first = unusable.into_iter().next().map(|why| (Name::from(why.reason), why.message));
        if let Some(served) = row.served.first() {
            row.secret = Ok(served.secret.clone());
            if let Some((_, why)) = &first {
                let message =
                    format!("{why}; the other certificates of listener {} are served", listener.name);
                let hint = "mend the Secret, or take the reference away";
                problem(cx, owner.object.clone(), 208, Severity::Warning, &field, message, hint);
            }
            row.broken = first;
        } else if let Some(first) = first {
            row.secret = Err(first);
        }
        row.covers = row.served.iter().flat_map(|one| one.covers.iter().cloned()).collect();
        row.covers.sort();
        row.covers.dedup();
        cx.emit(row);
    }
    trusted.extend(needed.into_iter().map(|name| ObjectKey { kind: Kind::new("", "Secret"), name }));
    for read in trusted {
        cx.emit(LookInto { key: (read, object(gateway)) });
    }
}

/// The certificate that a Gateway shows to backends.
pub(super) fn client_certificates(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let Some(SecretReference { kind, name }) = &gateway.client_certificate else { return };
    let field = "spec.tls.backend.clientCertificateRef";
    let found = if kind.is("", "Secret") {
        // That it is needed says `listener_certificates`, for all that a Gateway names.
        let owner = Owner::of(object(gateway));
        certificate(cx, &owner, name, field, &mut BTreeSet::new()).map_err(|why| {
            if let Some(secret) = &why.nobody {
                nobody_brings(cx, &owner, secret, field, "no certificate can be shown to backends");
            }
            let reason = if why.reason == "RefNotPermitted" { why.reason } else { INVALID_CLIENT };
            (Name::from(reason), why.message.replace(ONLY_THIS, ""))
        })
    } else {
        let message = format!("the certificate for backends is a {kind}, not a Secret");
        let hint = "refer to a core Secret of type kubernetes.io/tls";
        problem(cx, object(gateway), 214, Severity::Error, field, message.clone(), hint);
        Err((Name::from(INVALID_CLIENT), message))
    };
    cx.emit(ClientCertificate { key: gateway.key.clone(), secret: found.map(|served| served.secret) });
}

/// Of a certificate that a listener waits for.
const ONLY_THIS: &str = "; only this listener waits for it";

/// Reason of a reference that cannot be used (`GatewayReasonInvalidClientCertificateRef`).
const INVALID_CLIENT: &str = "InvalidClientCertificateRef";

/// Whose reference it is.
struct Owner {
    object: ObjectKey,
}

impl Owner {
    const fn of(object: ObjectKey) -> Self {
        Self { object }
    }
}

/// Reason of a reference to a Secret that a Certificate or another maker fills: whether it resolves is not known yet, and
/// Argo CD says `Progressing` of it, not `Degraded`.
pub const MADE: &str = "Pending";

/// Why a reference to a certificate cannot be served.
struct Unusable {
    /// Of the specification (`ListenerReasonInvalidCertificateRef` and others).
    reason: &'static str,
    message: String,
    /// It is merely not there yet.
    waiting: bool,
    /// And nothing here makes it.
    elsewhere: bool,
    /// Nor does anything elsewhere, as far as was read.
    nobody: Option<NamespacedName>,
}

impl Unusable {
    /// Somebody has to mend it.
    fn to_mend(reason: &'static str, message: String) -> Self {
        Self { reason, message, waiting: false, elsewhere: false, nobody: None }
    }
}

/// A Secret that is waited for in vain: nothing of the repository brings it, and all of that was read.
fn nobody_brings(cx: &mut Cx<'_>, owner: &Owner, secret: &NamespacedName, field: &str, so: &str) {
    let message = format!("Secret {secret} is not there: nothing that was read brings it, and {so}");
    let hint =
        "correct the name, or bring the Secret: by a Certificate, a SealedSecret, or an issuer's annotation";
    problem(cx, owner.object.clone(), 218, Severity::Error, field, message, hint);
}

/// Whether something here makes a Secret, or is asked to.
fn is_made_here(cx: &mut Cx<'_>, owner: &Owner, secret: &NamespacedName) -> bool {
    if !cx.find::<CertificatesByTarget>(secret).is_empty()
        || cx.get::<SealedSecret>(secret).is_some()
        || cx.get::<Mirror>(&MirrorKey { kind: MirrorKind::Secret, name: secret.clone() }).is_some()
    {
        return true;
    }
    // What becomes of an annotation is said with it (`certificates/shim`).
    let asks = |source: &TlsSource| {
        ["cert-manager.io/issuer", "cert-manager.io/cluster-issuer"]
            .iter()
            .any(|name| source.annotations.contains_key(*name))
    };
    let Some(source) = cx.get::<TlsSource>(&owner.object) else { return false };
    let parent = source.parent.as_ref().map(|parent| ObjectKey {
        kind: Kind::new("gateway.networking.k8s.io", "Gateway"),
        name: parent.clone(),
    });
    asks(&source)
        || parent.and_then(|parent| cx.get::<TlsSource>(&parent)).is_some_and(|parent| asks(&parent))
}

/// Who makes a Secret that is not there and that nothing here makes: a controller from an object of the repository, or what was not
/// read.
fn elsewhere(cx: &mut Cx<'_>, secret: &NamespacedName) -> Option<String> {
    if let Some(maker) = cx.find::<MakersBySecret>(secret).first() {
        return Some(format!("Secret {secret} is made elsewhere, from {}", maker.key));
    }
    let withheld = ObjectKey::new("", "Secret", secret.namespace.clone(), secret.name.clone());
    if let Some(told) = cx.get::<SourceProblems>(&withheld)
        && told.problems.iter().any(|problem| problem.code == WITHHELD)
    {
        return Some(format!("Secret {secret} is made elsewhere: its values are not in the repository"));
    }
    let source = may_bring(cx, &secret.namespace)?;
    Some(format!("Secret {secret} is not in what was read: {source}, which was not read whole, may bring it"))
}

/// What a reference to a certificate comes to; what somebody has to mend is a finding.
fn certificate(
    cx: &mut Cx<'_>,
    owner: &Owner,
    secret: &NamespacedName,
    field: &str,
    needed: &mut BTreeSet<NamespacedName>,
) -> Result<ServedCertificate, Unusable> {
    let refused = |cx: &mut Cx<'_>, code, reason, message: String, hint| {
        problem(cx, owner.object.clone(), code, Severity::Error, field, message.clone(), hint);
        Err(Unusable::to_mend(reason, message))
    };
    let (kind, namespace) = (owner.object.kind.kind.clone(), owner.object.name.namespace.clone());
    if secret.namespace != namespace && !granted(cx, &kind, &namespace, "Secret", secret) {
        let message = format!("Secret {secret} is in another namespace and no ReferenceGrant allows it");
        let hint = "add a ReferenceGrant in the Secret's namespace, or mirror the Secret";
        return refused(cx, 209, "RefNotPermitted", message, hint);
    }
    needed.insert(secret.clone());
    let Some(ready) = cx.get::<TlsReady>(secret) else {
        let key = ObjectKey::new("", "Secret", secret.namespace.clone(), secret.name.clone());
        if cx.get::<Unread>(&key).is_some() {
            let message =
                format!("Secret {secret} is there and not read yet; only this listener waits for it");
            let (elsewhere, nobody) = (false, None);
            return Err(Unusable { reason: "Pending", message, waiting: true, elsewhere, nobody });
        }
        let here = is_made_here(cx, owner, secret);
        if !here && cx.get::<Secret>(secret).is_some() {
            let message = format!("Secret {secret} cannot be served: it has no tls.crt");
            let hint = "put a PEM chain into tls.crt and its key into tls.key";
            return refused(cx, 210, "InvalidCertificateRef", message, hint);
        }
        let by = if here { None } else { elsewhere(cx, secret) };
        let nobody = (!here && by.is_none()).then(|| secret.clone());
        let (elsewhere, why) =
            (by.is_some(), by.unwrap_or_else(|| format!("Secret {secret} is not there yet")));
        let message = format!("{why}{ONLY_THIS}");
        let made = !cx.find::<CertificatesByTarget>(secret).is_empty()
            || !cx.find::<MakersBySecret>(secret).is_empty();
        let reason = if made { MADE } else { "InvalidCertificateRef" };
        return Err(Unusable { reason, message, waiting: true, elsewhere, nobody });
    };
    if let Some(why) = &ready.denied {
        let message = format!("Secret {secret} is not served any longer: {why}");
        let hint = "change the Secret or its Certificate so that the policy admits it";
        return refused(cx, 217, "InvalidCertificateRef", message, hint);
    }
    match &ready.state {
        Err(why) => {
            let message = format!("Secret {secret} cannot be served: {why}");
            let hint = "put a PEM chain into tls.crt and its key into tls.key";
            refused(cx, 210, "InvalidCertificateRef", message, hint)
        }
        Ok(Usable { covers, not_after, temporary }) => Ok(ServedCertificate {
            secret: secret.clone(),
            covers: covers.clone(),
            not_after: *not_after,
            temporary: *temporary,
        }),
    }
}

/// Why a host that is served with a temporary certificate is not live.
pub fn temporary_in(secret: &NamespacedName) -> String {
    format!("Secret {secret} holds a temporary certificate until its issuer has signed")
}

/// The names of a certificate, told to a reader: one for an email address or a URI alone has none.
pub fn told<'a>(covers: impl IntoIterator<Item = &'a Name>) -> String {
    let names: Vec<&str> = covers.into_iter().map(|name| &**name).collect();
    if names.is_empty() { "no hostname".to_owned() } else { names.join(", ") }
}

/// Whether a certificate name covers a hostname: a wildcard stands for exactly one label (RFC 9525 §6.3).
pub fn one_label(pattern: &str, host: &str) -> bool {
    if pattern == host {
        return true;
    }
    takes(pattern, host)
        && pattern.strip_prefix("*.").is_some_and(|parent| {
            host.len() > parent.len() + 1 && !host[..host.len() - parent.len() - 1].contains('.')
        })
}
