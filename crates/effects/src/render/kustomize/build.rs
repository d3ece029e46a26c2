//! One run of the real `kustomize build`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use portolan_model::shown;

use super::{
    super::{
        Tools,
        cache::{self, Key},
        helm::{Failure, api_versions, tidy},
        jobs::Render,
        program::Program,
        schema,
    },
    files::Staged,
    options::Kustomize,
    veil,
};
use crate::confined::run::{self, Limits, Run};

/// Names the content that is to be built, and the programs that do it.
pub(in super::super) fn key(tools: &Tools, staged: &Staged, options: &Kustomize) -> String {
    let mut key = Key::new("portolan kustomize 2");
    key.program(tools.kustomize.as_deref());
    if staged.charts {
        key.program(tools.helm.as_deref());
    }
    let helm = tools.helm.as_deref().map(Path::to_owned).ok();
    for argument in arguments(helm.as_deref(), staged, options) {
        key.part(argument.as_bytes());
    }
    key.part(staged.top.display().to_string().as_bytes());
    for (path, content) in &staged.files {
        key.part(path.display().to_string().as_bytes());
        key.part(content);
    }
    key.text()
}

/// Builds, or takes the kept result of the same content.
pub(in super::super) fn build(
    tools: &Tools,
    key: &str,
    staged: &Staged,
    options: &Kustomize,
    subject: &str,
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let kustomize = tools.kustomize.as_deref().map_err(|why| Failure::Tool(why.clone()))?;
    if let Some(text) = cache::taken(&tools.cache, key) {
        return Ok(text);
    }
    let mut starts = None;
    if staged.charts {
        if let Some(why) = schema::leads_out(&staged.files, "") {
            return Err(Failure::Chart(why));
        }
        starts = Some(tools.helm.as_deref().map_err(|why| Failure::Tool(why.clone()))?.to_owned());
    }
    let built =
        tools.rendered(subject, key, patience, || prepared(kustomize, tools, starts, staged, options));
    built.map_err(|failure| match failure {
        Failure::Chart(said) => {
            Failure::Chart(shown::brief(&veil::of(&staged.files).cover(&said)).into_owned())
        }
        other => other,
    })
}

/// All that one build needs.
fn prepared(
    kustomize: &Path,
    tools: &Tools,
    starts: Option<PathBuf>,
    staged: &Staged,
    options: &Kustomize,
) -> Result<Render, Failure> {
    let files = staged.files.iter().map(|(path, content)| (&**path, &**content));
    let work = run::copy(files)
        .map_err(|why| Failure::Tool(format!("the kustomization cannot be copied: {why}")))?;
    let top = work.path().join(&staged.top);
    let mut args = vec!["build".to_owned(), top.display().to_string()];
    // It starts Helm by way of our own program. By its real path: what `/proc/self/exe` is depends on who asks.
    let own =
        match &starts {
            Some(_) => Some(tools.through.canonicalize().map_err(|why| {
                Failure::Tool(format!("{} cannot be found: {why}", tools.through.display()))
            })?),
            None => None,
        };
    args.extend(arguments(own.as_deref(), staged, options));
    let (through, kustomize, time) = (tools.through.clone(), kustomize.to_owned(), tools.timeout);
    let helm = starts.clone();
    Ok(Box::new(move |stop| {
        Program::Kustomize.is_itself(&kustomize, &through)?;
        if let Some(helm) = &helm {
            Program::Helm.is_itself(helm, &through)?;
            // What it prints for a chart is only a part of what comes out.
            Program::Helm.prove(helm, &through)?;
        }
        let run = Run {
            through: &through,
            program: &kustomize,
            starts,
            args: args.into_iter().map(Into::into).collect(),
            read: vec![work.path().to_owned()],
            write: None,
            connect: Vec::new(),
            folders: &[
                "HELM_CACHE_HOME",
                "HELM_CONFIG_HOME",
                "HELM_DATA_HOME",
                "HELM_PLUGINS",
                "XDG_CONFIG_HOME",
            ],
            env: ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
                .map(|name| (name, "http://127.0.0.1:9".into()))
                .into(),
            limits: Limits { time, ..Limits::default() },
        };
        let ended = run.ended_unless(stop);
        let ended = ended.map_err(|stopped| Failure::stopped(&kustomize, &stopped))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !ended.success {
            let raw = text(&ended.stderr);
            return Err(Failure::said(&kustomize, &raw, said(&raw, work.path())));
        }
        let built = text(&ended.stdout);
        if built.trim().is_empty() {
            Program::Kustomize.prove(&kustomize, &through)?;
        }
        Ok(built)
    }))
}

/// Everything but the folder; `helm` is what renders charts.
fn arguments(helm: Option<&Path>, staged: &Staged, options: &Kustomize) -> Vec<String> {
    let mut args = Vec::new();
    if staged.free {
        args.extend(["--load-restrictor", "LoadRestrictionsNone"].map(str::to_owned));
    }
    if staged.charts
        && let Some(helm) = helm
    {
        args.extend(["--enable-helm".to_owned(), "--helm-command".to_owned(), helm.display().to_string()]);
        if !options.kube_version.is_empty() {
            args.extend(["--helm-kube-version".to_owned(), options.kube_version.clone()]);
        }
        for version in api_versions().chain(options.api_versions.iter().cloned()) {
            args.extend(["--helm-api-versions".to_owned(), version]);
        }
    }
    args
}

/// Kustomize's message with the paths of the repository, without its warnings of old fields.
fn said(text: &str, work: &Path) -> String {
    let real = work.canonicalize().unwrap_or_else(|_| work.to_owned());
    let lines = text.lines().filter(|line| !line.starts_with("# Warning:"));
    let mut text = lines.collect::<Vec<_>>().join("\n");
    for folder in [&*real, work] {
        text = text.replace(&format!("{}/", folder.display()), "");
        text = text.replace(&*folder.display().to_string(), ".");
    }
    tidy(&text)
}
