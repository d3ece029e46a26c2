//! `portolan charts lock`: the one verb that fetches something. What it fetched is read by `render` and `up` by its digest.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Subcommand;
use portolan_effects::{
    charts::{
        FILE, Store,
        fetch::{Fetcher, MOST_BYTES},
        lock::{self, Ask, Entry, Report, State},
        system,
    },
    confined,
    render::{Program, Tools, environments},
};
use portolan_model::Severity;
use serde_json::{Value, json};

use crate::{
    cli::{Output, duration, label},
    columns::Columns,
    instance,
    out::{self, Shown},
    status, tools,
};

/// Arguments of `charts`.
#[derive(clap::Args)]
pub struct Charts {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Fetch the charts of other places that a repository names, and write what they are into portolan.lock
    Lock(Box<Lock>),
}

#[derive(clap::Args)]
struct Lock {
    /// Git checkout or folder; portolan.lock is written there
    dir: PathBuf,
    /// Environment whose charts are locked; repeatable. Default: all that DIR has
    #[arg(long)]
    env: Vec<String>,
    /// Where to start, relative to DIR. Default: argocd-bootstrap-apps/ENV.yaml, then charts/app-of-apps, then
    /// clusters/ENV, then what brings others and is brought by none, then DIR
    #[arg(long)]
    root: Option<String>,
    /// Resolve ranges anew, and take what is there now for versions that are locked to another content
    #[arg(long)]
    update: bool,
    /// Folder for the archives, by content. Default: beside the states of instances, in the user's state folder
    #[arg(long, value_name = "DIR", env = "PORTOLAN_CHARTS", value_parser = crate::tools::path())]
    charts: Option<PathBuf>,
    /// Helm's file of credentials of registries. Default: that of `helm`
    #[arg(long, value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// Helm's file of repositories, with their credentials. Default: that of `helm`
    #[arg(long, value_name = "FILE")]
    repository_config: Option<PathBuf>,
    /// Longest time that one run of Helm may take, such as 120s
    #[arg(long, default_value = "120s", value_parser = duration, allow_hyphen_values = true)]
    timeout: Duration,
    /// Let the repository ask this machine too, for tests
    #[arg(long)]
    allow_loopback: bool,
    /// Helm program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_HELM", value_parser = crate::tools::path())]
    helm: Option<PathBuf>,
    /// Kustomize program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_KUSTOMIZE", value_parser = crate::tools::path())]
    kustomize: Option<PathBuf>,
    /// A label of the environment's cluster in Argo CD, for ApplicationSets whose clusters generator chooses by labels
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    cluster_label: Vec<(String, String)>,
    /// An annotation of its Secret, for ApplicationSets whose template takes metadata.annotations of the cluster
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    cluster_annotation: Vec<(String, String)>,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Runs it.
///
/// # Errors
/// When there is no such folder, no Helm, or something cannot be written.
pub fn run(args: &Charts) -> anyhow::Result<u8> {
    let What::Lock(args) = &args.what;
    let dir = crate::folder::of(&args.dir)?;
    let cache = tempfile::tempdir().context("no folder for rendered charts can be made")?;
    let helm = tools::chosen(Program::Helm, args.helm.as_deref(), &dir)?.map_err(|why| {
        anyhow::anyhow!(
            "charts are fetched by Helm: {why}; install Helm 3.18 or newer, or name it with --helm PROGRAM"
        )
    })?;
    let kustomize = tools::chosen(Program::Kustomize, args.kustomize.as_deref(), &dir)?;
    let tools = Tools::found(Ok::<_, String>(helm.clone()), cache.path().join("charts")).kustomize(kustomize);
    let tools = tools.cluster_labels(args.cluster_label.iter().cloned().collect());
    let tools = tools.cluster_annotations(args.cluster_annotation.iter().cloned().collect());
    if let Some(weakness) = confined::weakness_of_connections() {
        tracing::warn!("{weakness}");
    }
    let fetcher = Fetcher {
        helm,
        through: tools.through.clone(),
        registry_config: config(
            args.registry_config.as_deref(),
            "HELM_REGISTRY_CONFIG",
            "registry/config.json",
        )?,
        repository_config: config(
            args.repository_config.as_deref(),
            "HELM_REPOSITORY_CONFIG",
            "repositories.yaml",
        )?,
        timeout: args.timeout,
        loopback: args.allow_loopback,
        resolve: system,
        most: MOST_BYTES,
    };
    let store = store(args.charts.as_deref())
        .context("HOME is not set: name a folder for the archives with --charts")?;
    let envs = if args.env.is_empty() { environments(&dir) } else { args.env.clone() };
    let ask = Ask {
        dir: &dir,
        envs: &envs,
        all: args.env.is_empty(),
        root: args.root.as_deref(),
        tools: &tools,
        fetcher: &fetcher,
        store: &store,
        update: args.update,
    };
    let report = lock::run(&ask, &mut |chart, done| {
        out::progress(&format!("fetching chart {chart} ({done} before it)"));
    });
    let report = report.with_context(|| {
        format!("charts cannot be locked in {} or kept in {}", dir.display(), store.folder().display())
    })?;
    let json = shown(&dir, &envs, &report);
    match args.output {
        Output::Json => out::json(&json)?,
        Output::Table => out::print(&table(&Shown::of(&json)))?,
    }
    let errors = report.problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if report.lost { 2 } else { u8::from(errors) })
}

/// The folder of archives: the one that is named, else that beside the states.
pub fn store(named: Option<&Path>) -> Option<Store> {
    let folder =
        tools::written(named).map(Path::to_owned).or_else(|| Some(instance::states().ok()?.join("charts")));
    folder.map(Store::new)
}

/// A file of Helm's configuration: the one that is named, else Helm's own where it is there (`pkg/cli/environment.go`).
fn config(named: Option<&Path>, variable: &str, below: &str) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = named {
        anyhow::ensure!(path.is_file(), "there is no file {}", path.display());
        return Ok(Some(path.to_owned()));
    }
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = var("HELM_CONFIG_HOME")
        .or_else(|| Some(var("XDG_CONFIG_HOME")?.join("helm")))
        .or_else(|| Some(var("HOME")?.join(".config/helm")));
    let path = var(variable).or_else(|| Some(home?.join(below)));
    Ok(path.filter(|path| path.is_file()))
}

fn state(state: State) -> &'static str {
    match state {
        State::New => "locked",
        State::Same => "same",
        State::Updated => "updated",
        State::Moved => "moved",
        State::Failed => "failed",
        State::Gone => "gone",
    }
}

/// Everything as JSON: docs/reference/cli.md, "charts lock".
fn shown(dir: &Path, envs: &[String], report: &Report) -> Value {
    let chart = |entry: &Entry| {
        let Entry { reference, by, locked, .. } = entry;
        json!({
            "state": state(entry.state), "chart": reference.chart, "repository": reference.repository,
            "asked": reference.asked, "version": locked.as_ref().map(|locked| locked.version.clone()),
            "digest": locked.as_ref().map(|locked| locked.digest.to_string()),
            "by": by.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    // What several environments say is said once.
    let findings: BTreeMap<String, Value> = report
        .problems
        .iter()
        .map(|problem| status::finding(problem, &problem.field, None, None))
        .map(|finding| (finding.to_string(), finding))
        .collect();
    json!({
        "lock": dir.join(FILE).display().to_string(),
        "environments": envs,
        "charts": report.charts.iter().map(chart).collect::<Vec<_>>(),
        "findings": findings.into_values().collect::<Vec<_>>(),
    })
}

fn table(json: &Shown) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let heads = ["STATE", "CHART", "ASKED", "VERSION", "REPOSITORY", "DIGEST"];
    let mut table = Columns::new(heads).optional(&["DIGEST", "REPOSITORY"]);
    let charts = json["charts"].as_array().map_or(&[][..], Vec::as_slice);
    for chart in charts {
        let digest = text(&chart["digest"]).chars().take("sha256:".len() + 12).collect();
        let [state, name, asked, version, repository] =
            ["state", "chart", "asked", "version", "repository"].map(|field| text(&chart[field]));
        table.row([state, name, asked, version, repository, digest]);
    }
    let mut out = if table.is_empty() { String::new() } else { table.lines() };
    status::findings(&mut out, &json["findings"], true, true);
    let (count, lock) =
        (charts.iter().filter(|chart| !chart["digest"].is_null()).count(), text(&json["lock"]));
    let many = if count == 1 { "chart" } else { "charts" };
    let totals = status::totals(&json["findings"]);
    let _ = match (charts.len(), count) {
        (0, _) if json["findings"].as_array().is_none_or(Vec::is_empty) => {
            writeln!(out, "no chart of another place is named: there is nothing to lock")
        }
        // What the lock has, if there is one, was not looked at.
        (0, _) => writeln!(out, "\nnothing was locked; {totals}"),
        (_, 0) => writeln!(out, "\nno chart is locked; {totals}"),
        _ => writeln!(out, "\n{count} {many} in {lock}; {totals}"),
    };
    out
}
