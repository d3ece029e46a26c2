//! One run of the real `helm template`: from a temporary copy, with nothing of our environment, empty Helm folders (so no
//! plugins), no kubeconfig and no way to the network (`confined`, `schema`); the result is kept by content.
//! Source of the arguments: argoproj/argo-cd `util/helm/cmd.go`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use portolan_model::{veil::Veil, yaml};
use serde_json::Value;

use super::{
    Tools,
    application::{Helm, Parameter},
    cache::{self, Key},
    jobs::Render,
    parameters::{self, Given},
    program::{CANNOT_START, Program, is_script},
    schema,
    stage::Staged,
    subcharts::Subcharts,
};
use crate::confined::{
    self,
    run::{self, Limits, Run, Stopped},
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

/// That the kernel cannot hold everything is said once.
static SAID: std::sync::Once = std::sync::Once::new();

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
    /// Helm could not do its work: absent, disk full.
    Tool(String),
    /// It is being rendered for so long.
    Later(Duration),
    /// Helm was ended, because the chart takes more time, memory or text than it may.
    Over(String),
}

impl Failure {
    /// Why `program` came to no end.
    pub(super) fn stopped(program: &Path, stopped: &Stopped) -> Self {
        let why = format!("{} {}", program.display(), stopped.why);
        if stopped.over { Self::Over(why) } else { Self::Tool(why) }
    }

    /// What it said when it ended with an error. A script that stands in for a program (as asdf and mise make them) cannot start what it
    /// calls, closed in as it is: that is not the fault of what is rendered.
    pub(super) fn said(program: &Path, raw: &str, tidied: String) -> Self {
        let shown = program.display().to_string();
        // Bash and dash name the script; dash, where it may not fork, says no more than that.
        let of_shell = ["Permission denied", "Operation not permitted", "Cannot fork", &*shown];
        if of_shell.iter().any(|words| raw.contains(words)) && is_script(program) {
            return Self::Tool(format!("{shown} {CANNOT_START} ({tidied})"));
        }
        Self::Chart(tidied)
    }
}

/// Names the content that is to be rendered, and the Helm that does it.
pub(super) fn key(tools: &Tools, request: &Request<'_>) -> String {
    let mut key = Key::new("portolan helm 2");
    key.program(tools.helm.as_deref());
    for argument in arguments(request) {
        key.part(argument.as_bytes());
    }
    for parameter in &request.helm.parameters {
        if let Given::Argument(flag, text) = parameters::argument(parameter) {
            key.part(flag.as_bytes());
            key.part(text.as_bytes());
        }
    }
    for (path, content) in &request.staged.files {
        key.part(path.display().to_string().as_bytes());
        key.part(content);
    }
    for (kind, files) in [("values", &request.values), ("files", &request.files)] {
        key.part(kind.as_bytes());
        for (name, content) in files {
            key.part(name.as_bytes());
            key.part(content);
        }
    }
    key.text()
}

/// Renders, or takes the kept result of the same content (`key`).
pub(super) fn template(tools: &Tools, key: &str, request: &Request<'_>) -> Result<String, Failure> {
    template_beside(tools, key, request, "", None)
}

/// The same, for a subject of the tree's renderings that is not waited for longer than that.
pub(super) fn template_beside(
    tools: &Tools,
    key: &str,
    request: &Request<'_>,
    subject: &str,
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let helm = tools.helm.as_deref().map_err(|why| Failure::Tool(why.clone()))?;
    if let Some(text) = cache::taken(&tools.cache, key) {
        return Ok(text);
    }
    if !request.helm.skip_schema_validation
        && let Some(why) = schema::leads_out(&request.staged.files, request.shown)
    {
        return Err(Failure::Chart(why));
    }
    SAID.call_once(|| {
        if let Some(weakness) = confined::weakness() {
            tracing::warn!("{weakness}");
        }
    });
    tools.rendered(subject, key, patience, || prepared(helm, tools, request))
}

impl Tools {
    /// Renders here, or beside what is read; what comes of it is kept.
    pub(super) fn rendered(
        &self,
        subject: &str,
        key: &str,
        patience: Option<Duration>,
        prepare: impl FnOnce() -> Result<Render, Failure>,
    ) -> Result<String, Failure> {
        let text = match &self.jobs {
            Some(jobs) if !subject.is_empty() => jobs.run(subject, key, patience, prepare)?,
            _ => prepare()?(&AtomicBool::new(false))?,
        };
        cache::keep(&self.cache, key, &text);
        Ok(text)
    }
}

/// All that one rendering needs.
fn prepared(helm: &Path, tools: &Tools, request: &Request<'_>) -> Result<Render, Failure> {
    let chart = Path::new("chart");
    let mut files: Vec<(PathBuf, &[u8])> =
        request.staged.files.iter().map(|(path, content)| (chart.join(path), &**content)).collect();
    let subcharts = request.staged.subcharts.clone();
    let asked = subcharts.iter().flat_map(|subcharts| &subcharts.files);
    files.extend(asked.map(|(path, content)| (path.clone(), &**content)));
    let names: Vec<&str> = request.files.iter().map(|(name, _)| &**name).collect();
    let mut args = arguments(request);
    let mut flags = Vec::new();
    for (n, given) in parameters::given(&request.helm.parameters, &names).into_iter().enumerate() {
        match given {
            Given::Argument(flag, text) => args.extend([flag.to_owned(), text]),
            Given::File(name, value) => {
                let path = PathBuf::from(format!("set-{n}"));
                files.push((path.clone(), value.as_bytes()));
                flags.push(("--set-file", name, path));
            }
        }
    }
    for (flag, given) in [("--values", &request.values), ("--set-file", &request.files)] {
        for (n, (name, content)) in given.iter().enumerate() {
            let path = PathBuf::from(format!("{}-{n}", &flag[2..]));
            files.push((path.clone(), content));
            flags.push((flag, &**name, path));
        }
    }
    let work = run::copy(files.iter().map(|(path, content)| (&**path, *content)))
        .map_err(|why| Failure::Tool(format!("the chart cannot be copied: {why}")))?;
    let real = |path: &Path| work.path().join(path).display().to_string();
    let mut shown = vec![(real(chart), request.shown.to_owned())];
    args.push(real(chart));
    for (flag, name, path) in flags {
        let path = real(&path);
        if flag == "--values" {
            shown.push((path.clone(), name.to_owned()));
            args.extend([flag.to_owned(), path]);
        } else {
            args.extend([flag.to_owned(), format!("{name}={path}")]);
        }
    }
    // Where sockets are not refused, every connection that is not to loopback goes to a port that nobody serves.
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:9".into()));
    let (through, helm, time) = (tools.through.clone(), helm.to_owned(), tools.timeout);
    // Charts whose templates are all empty print nothing too.
    let templates = request.staged.files.keys().any(|path| path.iter().any(|part| part == "templates"));
    Ok(Box::new(move |stop| {
        Program::Helm.is_itself(&helm, &through)?;
        let run = |args: Vec<OsString>, write: Option<PathBuf>| {
            let run = Run {
                through: &through,
                program: &helm,
                starts: None,
                args,
                read: vec![work.path().to_owned()],
                write,
                connect: Vec::new(),
                folders: &["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"],
                env: proxies.clone().into(),
                limits: Limits { time, ..Limits::default() },
            };
            run.ended_unless(stop).map_err(|stopped| Failure::stopped(&helm, &stopped))
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some(subcharts) = &subcharts {
            let built = run(Subcharts::arguments(work.path()), Some(work.path().to_owned()))?;
            if !built.success {
                let said = text(&built.stderr);
                return Err(Failure::said(&helm, &said, subcharts.said(&tidy(&said))));
            }
        }
        let ended = run(args.into_iter().map(Into::into).collect(), None)?;
        if ended.success {
            let rendered = text(&ended.stdout);
            if templates && rendered.trim().is_empty() {
                Program::Helm.prove(&helm, &through)?;
            }
            return Ok(rendered);
        }
        let mut said = text(&ended.stderr);
        for (real, name) in &shown {
            said = said.replace(real.as_str(), name);
        }
        let tidied = tidy(&said);
        Err(Failure::said(&helm, &said, tidied))
    }))
}

/// What of the values must not be said.
pub(super) fn veil(request: &Request<'_>) -> Veil {
    let charts = request.staged.files.iter();
    let charts = charts.filter(|(path, _)| path.file_name().is_some_and(|name| name == "values.yaml"));
    let values = charts.map(|(_, content)| content).chain(request.values.iter().map(|(_, content)| content));
    let documents: Vec<Value> = values
        .flat_map(|content| yaml::load(&String::from_utf8_lossy(content)).0)
        .map(|document| document.json)
        .collect();
    let mut veil = Veil::of_values(&documents);
    for Parameter { name, value, .. } in &request.helm.parameters {
        veil.add(name, value);
    }
    for (name, content) in &request.files {
        veil.add(name, &String::from_utf8_lossy(content));
    }
    veil
}

/// Everything but files and values.
fn arguments(request: &Request<'_>) -> Vec<String> {
    let helm = request.helm;
    let mut args: Vec<String> =
        ["template", "--name-template", request.release, "--namespace", request.namespace]
            .map(str::to_owned)
            .into();
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

/// Most characters that are kept of what was said. It is not for people: that is cut when what must not be said is covered, since
/// of a part nobody knows it.
const KEPT: usize = 64 << 10;

/// Helm's message without log decoration, bounded.
pub(crate) fn tidy(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with("Use --debug") && !line.starts_with("level="));
    let text: Vec<&str> = lines.collect();
    // What is said stands in one line of a table or a log.
    let text = text.join(" ");
    text.strip_prefix("Error: ").unwrap_or(&text).chars().take(KEPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `exec /real/helm "$@"`: Landlock refuses to run it.
    #[test]
    fn a_script_in_the_place_of_a_program_is_not_the_charts_fault() {
        let dir = tempfile::tempdir().expect("a folder");
        let script = dir.path().join("helm");
        std::fs::write(&script, "#!/bin/bash\nexec /opt/helm \"$@\"\n").expect("a script");
        let said = |words: &str| Failure::said(&script, words, words.to_owned());
        let of_shell = format!("{}: line 2: /opt/helm: Permission denied", script.display());
        assert!(matches!(said(&of_shell), Failure::Tool(why) if why.contains("is a script")));
        assert!(matches!(said("env: 'bash': Permission denied"), Failure::Tool(_)));
        assert!(matches!(said("/usr/bin/helm: 2: Cannot fork"), Failure::Tool(_)));
        assert_eq!(said("parse error at (a.yaml:1)"), Failure::Chart("parse error at (a.yaml:1)".into()));
        std::fs::write(&script, "\x7fELF").expect("a program");
        assert!(matches!(Failure::said(&script, &of_shell, String::new()), Failure::Chart(_)));
    }

    #[test]
    fn messages_are_tidy() {
        assert_eq!(
            tidy("level=WARN msg=x\nError: a: b\n\nUse --debug flag to render out invalid YAML\n"),
            "a: b"
        );
    }
}
