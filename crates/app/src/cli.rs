//! The verbs.

mod change;
mod run;
mod times;
mod tips;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum, error::ContextKind};

pub use run::{LogFormat, Run, capability};
pub use times::duration;

use crate::{ask, charts, client, complete, crds, driver, host, instance, objects, out, render, rights};

/// Runs the traffic edge of Kubernetes clusters from one Git repository.
#[derive(Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 ok, 1 findings or not live, 2 error"
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring up the edge that a Git checkout or a folder of YAML describes, and keep it as the files say
    Up(Box<Up>),
    /// Serve Gateways of a Kubernetes cluster: watch its API server, tell Envoys, write statuses
    Run(Box<Run>),
    /// Show what a repository wants in an environment, and what would be refused, without running anything
    Render(render::Render),
    /// Fetch charts that a repository names and does not hold
    Charts(charts::Charts),
    /// Show each hostname: URL, certificate, route, state and why
    Status(Status),
    /// Show stored objects of a kind with their conditions; values of Secrets as fingerprints
    Get(objects::Get),
    /// Show step by step why a hostname is as it is
    Explain(Explain),
    /// Ask the embedded DNS server what it answers for a name
    Dns(ask::Dns),
    /// Renew a certificate now
    Renew(change::Renew),
    /// Let go what stays live although the repository does not bring it any more, as a sync with prune does
    Prune(change::Prune),
    /// Print the definitions of the kinds that Portolan reads, or apply them to a cluster
    Crds(crds::Crds),
    /// Print the roles that `run` needs in a cluster, and their bindings to a ServiceAccount
    Rbac(rights::Rbac),
    /// Turn a Secret into a SealedSecret, as kubeseal does, without a cluster
    Seal(crate::seal::Seal),
    /// Stop the running instance and its Envoy, or the Envoy that a killed one left; the state stays and the next `up`
    /// resumes it
    Down(change::Down),
    /// Print what a shell needs to complete this command line
    Completion(complete::Completion),
    /// Print the manual page, or write those of all verbs into a folder
    Man(complete::Man),
}

/// Arguments of `up`.
#[derive(clap::Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Up {
    /// Git checkout or folder of YAML
    pub dir: PathBuf,
    /// Name of the environment; for a plain folder only a label
    #[arg(long, default_value = "default")]
    pub env: String,
    /// Where to start, relative to DIR. Default: argocd-bootstrap-apps/ENV.yaml, then charts/app-of-apps, then
    /// clusters/ENV, then what brings others and is brought by none, then DIR
    #[arg(long)]
    pub root: Option<String>,
    /// State directory (0700): store, keys, sockets. Default: a directory for DIR and ENV in the user's state folder
    #[arg(long)]
    pub state: Option<PathBuf>,
    /// Envoy program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_ENVOY", value_parser = crate::tools::path())]
    pub envoy: Option<PathBuf>,
    /// Helm program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_HELM", value_parser = crate::tools::path())]
    pub helm: Option<PathBuf>,
    /// Kustomize program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_KUSTOMIZE", value_parser = crate::tools::path())]
    pub kustomize: Option<PathBuf>,
    /// Folder of charts that `portolan charts lock` fetched. Default: beside the states of instances
    #[arg(long, value_name = "DIR", env = "PORTOLAN_CHARTS", value_parser = crate::tools::path())]
    pub charts: Option<PathBuf>,
    /// A label of the environment's cluster in Argo CD, for ApplicationSets whose clusters generator chooses by labels
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub cluster_label: Vec<(String, String)>,
    /// An annotation of its Secret, for ApplicationSets whose template takes metadata.annotations of the cluster
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub cluster_annotation: Vec<(String, String)>,
    /// Bind all Gateways to this address instead of one loopback address each
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub bind: Option<IpAddr>,
    /// Use ports below 1024 as written instead of adding 8000
    #[arg(long)]
    pub low_ports: bool,
    /// Dial endpoints of the repository that are not loopback too. Without it the built-in echo backend answers for them
    #[arg(long)]
    pub real_backends: bool,
    /// Write DNS records to the servers that external-dns is configured for (provider rfc2136) instead of the embedded zones:
    /// this changes real zones. Without it no record leaves this machine
    #[arg(long)]
    pub real_dns: bool,
    /// Order certificates of ACME issuers at the servers that they name, with challenges in the zones of their rfc2136 solvers:
    /// this asks real CAs. Without it the embedded development CA stands in for all of them
    #[arg(long)]
    pub real_acme: bool,
    /// Address of the read-only HTTP API and metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9470", value_parser = socket)]
    pub api_listen: std::net::SocketAddr,
    /// Address of the embedded DNS server (UDP and TCP); port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:10053", value_parser = socket)]
    pub dns_listen: std::net::SocketAddr,
    /// Address of the embedded development CA (ACME); port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:14443", value_parser = socket)]
    pub acme_listen: std::net::SocketAddr,
    /// Private key that SealedSecrets are opened with: PEM, or the controller's key Secrets as YAML or JSON.
    /// Repeatable; no key is ever taken from DIR by itself
    #[arg(long, value_name = "FILE")]
    pub sealing_key: Vec<PathBuf>,
    /// Namespace in which a ClusterIssuer's Secrets stand. Default: that of the cert-manager component, else
    /// cert-manager
    #[arg(long)]
    pub cluster_resource_namespace: Option<String>,
    /// End when nothing more can change: exit 0 if all is live without error findings, else 1
    #[arg(long)]
    pub once: bool,
    /// Longest time that a removed route is served on while its DNS records are being removed, such as 30s or 2m
    #[arg(long, default_value = "30s", value_parser = duration, allow_hyphen_values = true)]
    pub drain: Duration,
    /// Approve, for this run, that more than ten DNS record sets and more than 30 % of ours in a zone are deleted at once
    #[arg(long)]
    pub allow_mass_deletion: bool,
    /// Form of what --once shows at its end
    #[arg(long, short, value_enum, default_value = "table", requires = "once")]
    pub output: Output,
    /// Show also findings that are only for information in what --once shows at its end
    #[arg(long, requires = "once")]
    pub info: bool,
    /// Name all findings and objects of each cause in what --once shows at its end
    #[arg(long, requires = "once")]
    pub all: bool,
    /// Exit 0 of --once also where something was not looked at that may change an answer
    #[arg(long, requires = "once")]
    pub allow_incomplete: bool,
    /// Longest wait of --once, such as 120s or 5m
    #[arg(long, default_value = "120s", requires = "once", value_parser = duration, allow_hyphen_values = true)]
    pub timeout: Duration,
}

fn socket(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| {
        "write ADDRESS:PORT, such as 127.0.0.1:9470 or [::1]:9470; port 0 takes a free one".into()
    })
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an IP address of this machine, such as 127.0.0.1 or ::1".into())
}

/// `KEY=VALUE`.
///
/// # Errors
/// What is written wrong.
pub fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as environment=dev")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Which instance is meant.
#[derive(clap::Args)]
pub struct Instance {
    /// State directory of the instance. Default: the only one that runs
    #[arg(long)]
    pub state: Option<PathBuf>,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(clap::Args)]
struct Status {
    #[command(flatten)]
    instance: Instance,
    /// Show also findings that are only for information
    #[arg(long)]
    info: bool,
    /// Only the hostnames, listeners and findings of objects in this namespace
    #[arg(long, short)]
    namespace: Option<String>,
    /// Name all findings and objects of each cause
    #[arg(long)]
    all: bool,
    /// Exit 0 also where something was not looked at that may change an answer
    #[arg(long)]
    allow_incomplete: bool,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Args)]
struct Explain {
    /// Hostname, or an address such as https://HOST:8443/path; also a name under a wildcard that is served
    host: String,
    #[command(flatten)]
    instance: Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Begins the log. `run` is watched by machines, and says what it does; the others tell it otherwise.
fn log(of_run: Option<LogFormat>) {
    let usual = if of_run.is_some() { "warn,portolan=info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PORTOLAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    // Without colours, which could not be told from those of somebody's text.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    match of_run {
        Some(LogFormat::Json) => log.json().flatten_event(true).with_writer(out::JsonLog).init(),
        _ => log.with_writer(out::Log).init(),
    }
}

/// Parses the command line and runs it.
///
/// # Errors
/// What could not be done: exit code 2.
pub fn run() -> anyhow::Result<u8> {
    let mut words: Vec<_> = std::env::args_os().collect();
    // `help` takes verbs alone: its own help is that of all.
    if matches!(&words[..], [_, help, flag, ..] if help == "help" && (flag == "--help" || flag == "-h")) {
        words.remove(1);
    }
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(mut said) => {
            let code = out::usage(&mut said)?;
            // What its likeness to a verb of ours does not lead to.
            let word = said.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
            if let Some(tip) = word.as_deref().and_then(tips::of) {
                out::tip(tip);
            }
            return Ok(code);
        }
    };
    log(match &cli.verb {
        Verb::Run(args) => Some(args.log_format),
        _ => None,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        match cli.verb {
            Verb::Up(up) => Box::pin(driver::up(*up)).await,
            Verb::Run(args) => Box::pin(driver::run(*args)).await,
            Verb::Completion(args) => complete::completion(&args),
            Verb::Man(args) => complete::man(&args),
            Verb::Seal(args) => crate::seal::seal(&args),
            Verb::Crds(args) => crds::run(args).await,
            Verb::Rbac(args) => rights::run(&args),
            Verb::Render(args) => render::run(&args),
            Verb::Charts(args) => charts::run(&args),
            Verb::Status(args) => {
                let client = client::Client::new(&instance::find(args.instance.state.as_deref())?)?;
                let json = client.get(&["status"]).await?;
                if json["starting"] == true {
                    anyhow::bail!("the instance is still starting: it reads the repository; try again");
                }
                let json = match &args.namespace {
                    Some(namespace) => {
                        let (json, some) = crate::status::only(json, namespace);
                        if !some {
                            crate::status::exists(&client, namespace).await?;
                        }
                        json
                    }
                    None => json,
                };
                crate::status::print(&json, args.output, args.info, args.all)?;
                Ok(crate::status::code(&json, args.allow_incomplete))
            }
            Verb::Dns(args) => ask::run(args).await,
            Verb::Get(args) => objects::get(args).await,
            Verb::Explain(args) => {
                if host::is_object(&args.host) {
                    anyhow::bail!(
                        "{0} is an object, and explain takes a hostname; hostnames with their routes are listed by: portolan status; \
                         the object is shown by: portolan get {0}",
                        args.host
                    );
                }
                let client = client::Client::new(&instance::find(args.instance.state.as_deref())?)?;
                if host::is_name_of_object(&args.host) {
                    anyhow::bail!(host::of_object(&client.get(&["status"]).await?, args.host.trim()));
                }
                host::asked(&args.host).map_err(anyhow::Error::msg)?;
                let json = client.get(&["explain", args.host.trim()]).await?;
                if args.output == Output::Json {
                    out::json(&json)?;
                } else {
                    out::print(&crate::status::explanation(&out::Shown::of(&json)))?;
                }
                let steps = json["steps"].as_array().into_iter().flatten();
                Ok(u8::from(json["state"] != "live" || steps.into_iter().any(|step| step["ok"] != true)))
            }
            Verb::Renew(args) => change::renew(args).await,
            Verb::Prune(args) => change::prune(args).await,
            Verb::Down(args) => change::down(args).await,
        }
    })
}
