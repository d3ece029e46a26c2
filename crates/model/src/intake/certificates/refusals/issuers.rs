//! What the webhook has against an Issuer or ClusterIssuer (`validation/issuer.go`), in its order.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_parser::pem::Pem;

use super::{Refusal, Wrong, solvers};
use crate::intake::node::Node;

/// The kinds, in the order in which the webhook looks at them: of two the first is the one that is meant.
const KINDS: [&str; 5] = ["acme", "ca", "selfSigned", "vault", "venafi"];

/// Everything that the webhook has against an issuer.
pub(in crate::intake::certificates) fn issuer(spec: &Node<'_>) -> Vec<Refusal> {
    let mut wrong = Wrong::default();
    let mut kinds = KINDS.into_iter().filter(|kind| spec.get(kind).present());
    match kinds.next() {
        None => {
            wrong.say(spec, "at least one issuer must be configured", "write one of acme, ca, selfSigned");
        }
        Some("acme") => acme(&mut wrong, &spec.get("acme")),
        Some("ca") => ca(&mut wrong, &spec.get("ca")),
        Some("vault") => vault(&mut wrong, &spec.get("vault")),
        Some("venafi") => venafi(&mut wrong, &spec.get("venafi")),
        Some(_) => {}
    }
    for second in kinds {
        let hint = "leave one of them, and make an issuer of its own for each other";
        wrong.say(&spec.get(second), "may not specify more than one issuer type", hint);
    }
    // The CA would refuse them.
    for kind in ["ca", "selfSigned"] {
        for field in ["crlDistributionPoints", "ocspServers", "issuingCertificateURLs"] {
            let not_ascii =
                |url: &&Node<'_>| url.text().is_some_and(|url| !url.bytes().all(|b| b.is_ascii_graphic()));
            for url in spec.get(kind).get(field).items().iter().filter(not_ascii) {
                wrong.say(url, "must be a valid URL", "write it in ASCII and without spaces");
            }
        }
    }
    wrong.0
}

fn ca(wrong: &mut Wrong, ca: &Node<'_>) {
    let hint = "name the Secret that holds the CA's tls.crt and tls.key";
    wrong.filled(&ca.get("secretName"), "ca.secretName is missing", hint);
    for field in ["ocspServers", "issuingCertificateURLs"] {
        for url in ca.get(field).items().iter().filter(|url| url.text() == Some("")) {
            wrong.say(url, "must be a valid URL", "write a URL, or leave the entry out");
        }
    }
}

fn acme(wrong: &mut Wrong, acme: &Node<'_>) {
    let bundle = acme.get("caBundle");
    if bundle.opt().is_some() && acme.get("skipTLSVerify").flag() {
        let message = "caBundle and skipTLSVerify are mutually exclusive and cannot both be set";
        wrong.say(&acme.get("skipTLSVerify"), message, "leave one of them out");
    }
    certificates(wrong, &bundle);
    let hint = "name the Secret for the account's key";
    let key = acme.get("privateKeySecretRef").get("name");
    wrong.filled(&key, "private key secret name is a required field", hint);
    let hint = "write the URL of the CA's directory";
    wrong.filled(&acme.get("server"), "acme server URL is a required field", hint);
    let eab = acme.get("externalAccountBinding");
    if eab.present() {
        let message = "the keyID field is required when using externalAccountBinding";
        wrong.filled(&eab.get("keyID"), message, "write the key's identifier that the CA gave");
        solvers::secret(wrong, &eab.get("keySecretRef"));
    }
    for solver in acme.get("solvers").items() {
        solvers::solver(wrong, &solver);
    }
}

/// `validateCABundleNotEmpty`: one certificate suffices, whatever else stands there.
fn certificates(wrong: &mut Wrong, bundle: &Node<'_>) {
    let Some(text) = bundle.opt() else { return };
    let text: String = text.split_ascii_whitespace().collect();
    let pem = STANDARD.decode(text).unwrap_or_default();
    let is_certificate = |pem: &Pem| pem.label == "CERTIFICATE" && pem.parse_x509().is_ok();
    if !Pem::iter_from_buffer(&pem).filter_map(Result::ok).any(|pem| is_certificate(&pem)) {
        let message = "cert bundle didn't contain any valid certificates";
        wrong.say(bundle, message, "write the CA's certificate there, as PEM in Base64");
    }
}

fn no_way_up(wrong: &mut Wrong, path: &Node<'_>) {
    if path.text().is_some_and(|path| path.split('/').any(|part| part == "..")) {
        wrong.say(path, "must not contain '..' path segments", "write the whole path");
    }
}

fn vault(wrong: &mut Wrong, vault: &Node<'_>) {
    wrong.filled(&vault.get("server"), "Required value", "write the URL of the Vault server");
    wrong.filled(&vault.get("path"), "Required value", "write the path of Vault's sign endpoint");
    no_way_up(wrong, &vault.get("path"));
    let bundle = vault.get("caBundle");
    certificates(wrong, &bundle);
    let reference = vault.get("caBundleSecretRef");
    if bundle.opt().is_some() && reference.present() {
        let message = "specified caBundle and caBundleSecretRef cannot be used together";
        wrong.say(&bundle, message, "leave one of them out");
    }
    for (field, other) in
        [("clientKeySecretRef", "clientCertSecretRef"), ("clientCertSecretRef", "clientKeySecretRef")]
    {
        if !vault.get(field).present() && vault.get(other).present() {
            let message = format!("{field} must be provided when defining the {other}");
            wrong.say(&vault.get(field), message, "write both, or neither");
        }
    }
    let auth = vault.get("auth");
    let ways = ["tokenSecretRef", "appRole", "clientCertificate", "kubernetes", "aws"];
    if !ways.into_iter().any(|way| auth.get(way).present()) {
        let message = "please supply one of: appRole, kubernetes, tokenSecretRef, clientCertificate, aws";
        wrong.say(&auth, message, "say how the issuer proves itself to Vault");
    }
    let required = |wrong: &mut Wrong, node: Node<'_>| wrong.filled(&node, "Required value", "fill it in");
    let role = auth.get("appRole");
    if role.present() {
        required(wrong, role.get("roleId"));
        required(wrong, role.get("secretRef").get("name"));
        no_way_up(wrong, &role.get("path"));
    }
    no_way_up(wrong, &auth.get("clientCertificate").get("mountPath"));
    let kubernetes = auth.get("kubernetes");
    if kubernetes.present() {
        required(wrong, kubernetes.get("role"));
        no_way_up(wrong, &kubernetes.get("mountPath"));
        let account = kubernetes.get("serviceAccountRef");
        if account.present() {
            required(wrong, account.get("name"));
        }
        if kubernetes.get("secretRef").get("name").opt().is_some() == account.present() {
            let message = "please supply one of: secretRef, serviceAccountRef";
            wrong.say(&kubernetes, message, "write one of the two");
        }
    }
    let aws = auth.get("aws");
    if aws.present() {
        required(wrong, aws.get("role"));
        no_way_up(wrong, &aws.get("mountPath"));
        let account = aws.get("serviceAccountRef");
        if account.present() {
            required(wrong, account.get("name"));
            let message = "iamRoleArn is required when using serviceAccountRef for IRSA";
            wrong.filled(&aws.get("iamRoleArn"), message, "write the role's ARN");
        }
    }
}

fn venafi(wrong: &mut Wrong, venafi: &Node<'_>) {
    let required = |wrong: &mut Wrong, node: Node<'_>| wrong.filled(&node, "Required value", "fill it in");
    required(wrong, venafi.get("zone"));
    let ways: Vec<Node<'_>> =
        ["tpp", "cloud", "ngts"].into_iter().map(|way| venafi.get(way)).filter(Node::present).collect();
    if ways.len() != 1 {
        wrong.say(venafi, "please supply one of: tpp, cloud, ngts", "write one of them");
    }
    let tpp = venafi.get("tpp");
    if tpp.present() {
        required(wrong, tpp.get("url"));
        if tpp.get("caBundle").opt().is_some() && tpp.get("caBundleSecretRef").present() {
            let message = "may not specify more than one of caBundle/caBundleSecretRef as TPP CA Bundle";
            wrong.say(&tpp, message, "leave one of them out");
        }
    }
    let ngts = venafi.get("ngts");
    if ngts.present() {
        required(wrong, ngts.get("tsgID"));
        required(wrong, ngts.get("credentialsRef").get("name"));
    }
}

#[cfg(test)]
mod tests;
