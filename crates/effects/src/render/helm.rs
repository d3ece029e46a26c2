//! One run of the real `helm template`: from a temporary copy, with nothing of our environment, empty Helm folders (so no
//! plugins), no kubeconfig and no way to the network (`confine`, `schema`); the result is kept by content.
//! Source of the arguments: argoproj/argo-cd `util/helm/cmd.go`.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;

use super::{
    Tools,
    application::{Helm, Parameter},
    confine, schema,
    stage::Staged,
};

/// Versions and kinds that charts may ask for with `.Capabilities.APIVersions.Has`: those of the components that Portolan stands
/// in for, beside those that Helm knows itself.
const API_VERSIONS: &[(&str, &str)] = &[
    (
        "gateway.networking.k8s.io/v1",
        "GatewayClass Gateway HTTPRoute GRPCRoute TLSRoute ReferenceGrant BackendTLSPolicy ListenerSet",
    ),
    ("gateway.networking.k8s.io/v1beta1", "GatewayClass Gateway HTTPRoute ReferenceGrant"),
    ("gateway.networking.k8s.io/v1alpha2", "TLSRoute TCPRoute UDPRoute GRPCRoute ReferenceGrant"),
    ("gateway.networking.k8s.io/v1alpha3", "TLSRoute BackendTLSPolicy"),
    (
        "gateway.envoyproxy.io/v1alpha1",
        "SecurityPolicy ClientTrafficPolicy BackendTrafficPolicy EnvoyProxy EnvoyExtensionPolicy EnvoyPatchPolicy Backend HTTPRouteFilter",
    ),
    ("cert-manager.io/v1", "Certificate CertificateRequest Issuer ClusterIssuer"),
    ("acme.cert-manager.io/v1", "Order Challenge"),
    ("bitnami.com/v1alpha1", "SealedSecret"),
    ("externaldns.k8s.io/v1alpha1", "DNSEndpoint"),
    ("argoproj.io/v1alpha1", "Application ApplicationSet AppProject"),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration MutatingWebhookConfiguration",
    ),
    ("kyverno.io/v1", "ClusterPolicy Policy"),
    ("policies.kyverno.io/v1alpha1", "ValidatingPolicy MutatingPolicy GeneratingPolicy"),
];

/// The same as Helm takes them: each version, and each of its kinds.
pub(super) fn api_versions() -> impl Iterator<Item = String> {
    API_VERSIONS.iter().flat_map(|(version, kinds)| {
        let kinds = kinds.split(' ').map(move |kind| format!("{version}/{kind}"));
        std::iter::once((*version).to_owned()).chain(kinds)
    })
}

const MOST_OUTPUT: u64 = 64 << 20;
/// Rendered charts that are kept; the oldest go first.
const MOST_KEPT: usize = 400;

/// What to render.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) staged: &'a Staged,
    pub(super) release: &'a str,
    pub(super) namespace: &'a str,
    /// Path as the user knows it, and content; later files win.
    pub(super) values: Vec<(String, Vec<u8>)>,
    /// Name and content of `--set-file`.
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) helm: &'a Helm,
    /// The chart's path as the user knows it, for messages.
    pub(super) shown: &'a str,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Helm's own words.
    Chart(String),
    /// Helm could not do its work: absent, too slow, disk full.
    Tool(String),
}

/// Names the content that is to be rendered, and the Helm that does it.
pub(super) fn key(tools: &Tools, request: &Request<'_>) -> String {
    hash(tools.helm.as_deref().unwrap_or_else(|_| Path::new("")), request)
}

/// Renders, or takes the kept result of the same content (`key`).
pub(super) fn template(tools: &Tools, key: &str, request: &Request<'_>) -> Result<String, Failure> {
    let helm = tools.helm.as_deref().map_err(|why| Failure::Tool(why.clone()))?;
    let kept = tools.cache.join(format!("{key}.yaml"));
    if let Ok(text) = fs::read_to_string(&kept) {
        return Ok(text);
    }
    if !request.helm.skip_schema_validation
        && let Some(why) = schema::leads_out(request.staged, request.shown)
    {
        return Err(Failure::Chart(why));
    }
    let text = run(helm, tools.timeout, request)?;
    // Secret values are kept in the store alone.
    if holds_secrets(&text) {
        return Ok(text);
    }
    // A cache that cannot be written costs time, not correctness.
    if let Err(why) = keep(&tools.cache, &kept, &text) {
        tracing::warn!(cache = %tools.cache.display(), %why, "a rendered chart could not be kept");
    }
    Ok(text)
}

/// Whether the text may hold a Secret with its values: rather too often than once too few.
fn holds_secrets(text: &str) -> bool {
    text.match_indices("Secret").any(|(at, _)| {
        let before = text[..at].trim_end_matches(['"', '\'', ' ', '\t', ':']);
        before.ends_with("kind") && !text[at + 6..].starts_with(|c: char| c.is_alphanumeric())
    })
}

fn run(helm: &Path, timeout: Duration, request: &Request<'_>) -> Result<String, Failure> {
    let tool = |what: &str, why: std::io::Error| Failure::Tool(format!("{what}: {why}"));
    let work = tempfile::Builder::new().prefix("portolan-helm").tempdir();
    let work = work.map_err(|why| tool("a temporary folder cannot be made", why))?;
    let chart = work.path().join("chart");
    let write = |path: &Path, content: &[u8]| {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)
    };
    for (path, content) in &request.staged.files {
        write(&chart.join(path), content).map_err(|why| tool("the chart cannot be copied", why))?;
    }
    let mut shown = vec![(chart.display().to_string(), request.shown.to_owned())];
    let mut command = Command::new(helm);
    command.args(arguments(request)).arg(&chart);
    for (flag, files) in [("--values", &request.values), ("--set-file", &request.files)] {
        for (n, (name, content)) in files.iter().enumerate() {
            let path = work.path().join(format!("{}-{n}", &flag[2..]));
            write(&path, content).map_err(|why| tool("a values file cannot be copied", why))?;
            let path = path.display().to_string();
            if flag == "--values" {
                command.arg(flag).arg(&path);
                shown.push((path, name.clone()));
            } else {
                command.arg(flag).arg(format!("{name}={path}"));
            }
        }
    }
    command.env_clear().current_dir(work.path()).stdin(Stdio::null());
    for name in ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS", "TMPDIR"] {
        let folder = work.path().join(name);
        fs::create_dir_all(&folder).map_err(|why| tool("a temporary folder cannot be made", why))?;
        command.env(name, folder);
    }
    // Where the kernel cannot hold it: every connection that is not to loopback goes to a port that nobody serves.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let streams = ["stdout", "stderr"].map(|name| work.path().join(name));
    for (n, path) in streams.iter().enumerate() {
        let file = File::create(path).map_err(|why| tool("a temporary file cannot be made", why))?;
        if n == 0 {
            command.stdout(file)
        } else {
            command.stderr(file)
        };
    }
    let mut child = confine::spawn(&mut command, helm, work.path())
        .map_err(|why| tool(&format!("{} cannot be run", helm.display()), why))?;
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(2);
    let status = loop {
        match child.try_wait().map_err(|why| tool("helm cannot be waited for", why))? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Failure::Tool(format!("helm template took longer than {} s", timeout.as_secs())));
            }
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let read = |path: &PathBuf| -> std::io::Result<String> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_OUTPUT + 1).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    if !status.success() {
        let mut said = read(&streams[1]).map_err(|why| tool("helm's message cannot be read", why))?;
        for (real, name) in &shown {
            said = said.replace(real.as_str(), name);
        }
        return Err(Failure::Chart(tidy(&said)));
    }
    let text = read(&streams[0]).map_err(|why| tool("helm's result cannot be read", why))?;
    if text.len() as u64 > MOST_OUTPUT {
        return Err(Failure::Tool(format!("the chart renders to more than {} MiB", MOST_OUTPUT >> 20)));
    }
    Ok(text)
}

/// Everything but files.
fn arguments(request: &Request<'_>) -> Vec<String> {
    let helm = request.helm;
    let mut args: Vec<String> =
        ["template", "--name-template", request.release, "--namespace", request.namespace]
            .map(str::to_owned)
            .into();
    for Parameter { name, value, force_string } in &helm.parameters {
        args.push(if *force_string { "--set-string" } else { "--set" }.into());
        args.push(format!("{name}={}", clean(value)));
    }
    for version in api_versions().chain(helm.api_versions.iter().cloned()) {
        args.extend(["--api-versions".to_owned(), version]);
    }
    if !helm.kube_version.is_empty() {
        args.extend(["--kube-version".to_owned(), helm.kube_version.clone()]);
    }
    args.push(if helm.skip_crds { "--skip-crds" } else { "--include-crds" }.into());
    if helm.skip_tests {
        args.push("--skip-tests".into());
    }
    if helm.skip_schema_validation {
        args.push("--skip-schema-validation".into());
    }
    args
}

/// Commas in a parameter's value are text, except in a list `{a,b}` (Argo CD, `cleanSetParameters`).
fn clean(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut before = ' ';
    for c in value.chars() {
        if c == ',' && before != '\\' {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// Helm's message without log decoration, bounded.
fn tidy(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with("Use --debug") && !line.starts_with("level="));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    text.strip_prefix("Error: ").unwrap_or(&text).chars().take(4000).collect()
}

fn hash(helm: &Path, request: &Request<'_>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    };
    part(b"portolan helm 1");
    // A link such as .tools/bin/helm names the version in the path that it leads to.
    let real = fs::canonicalize(helm).unwrap_or_else(|_| helm.to_owned());
    part(real.display().to_string().as_bytes());
    let stamp = fs::metadata(&real).map_or((0, 0), |m| (m.len(), m.mtime()));
    part(format!("{stamp:?}").as_bytes());
    for argument in arguments(request) {
        part(argument.as_bytes());
    }
    for (path, content) in &request.staged.files {
        part(path.display().to_string().as_bytes());
        part(content);
    }
    for (kind, files) in [("values", &request.values), ("files", &request.files)] {
        part(kind.as_bytes());
        for (name, content) in files {
            part(name.as_bytes());
            part(content);
        }
    }
    context.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

fn keep(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut temporary = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.persist(path).map_err(|error| error.error)?;
    let mut kept: Vec<(i64, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml"))
        .filter_map(|entry| Some((entry.metadata().ok()?.mtime(), entry.path())))
        .collect();
    if kept.len() > MOST_KEPT {
        kept.sort();
        for (_, path) in kept.iter().take(kept.len() - MOST_KEPT) {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_of_parameters() {
        assert_eq!(clean("a,b"), "a\\,b");
        assert_eq!(clean("a\\,b"), "a\\,b");
        assert_eq!(clean("{a,b}"), "{a,b}");
    }

    #[test]
    fn texts_with_secrets_are_known() {
        for text in
            ["kind: Secret\n", "a: 1\nkind: \"Secret\"", "{\"kind\":\"Secret\"}", "kind:  'Secret' # x"]
        {
            assert!(holds_secrets(text), "{text}");
        }
        for text in ["kind: SealedSecret\n", "kind: SecretStore\n", "name: Secret\n", ""] {
            assert!(!holds_secrets(text), "{text}");
        }
    }

    #[test]
    fn messages_are_tidy() {
        assert_eq!(
            tidy("level=WARN msg=x\nError: a: b\n\nUse --debug flag to render out invalid YAML\n"),
            "a: b"
        );
    }
}
