//! The verbs.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{client, driver, instance, objects, render};

/// Runs the traffic edge of Kubernetes clusters from one Git repository.
#[derive(Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 ok, 1 findings or not live, 2 error"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring up the edge that a Git checkout or a folder of YAML describes, and keep it as the files say
    Up(Up),
    /// Show what a repository wants in an environment, room by room, without running anything
    Render(render::Render),
    /// Show each hostname: URL, certificate, route, state and why
    Status(Status),
    /// Show stored objects of a kind with their conditions; values of Secrets as fingerprints
    Get(objects::Get),
    /// Show step by step why a hostname is as it is
    Explain(Explain),
    /// Renew a certificate now (NAMESPACE/NAME of the Certificate)
    Renew(Renew),
    /// Turn a Secret into a SealedSecret, as kubeseal does, without a cluster
    Seal(crate::seal::Seal),
    /// Stop the running instance and its Envoy; the state stays and the next `up` resumes it
    Down(Instance),
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
    /// Where to start, relative to DIR. Default: argocd-bootstrap-apps/ENV.yaml, then charts/app-of-apps, then DIR
    #[arg(long)]
    pub root: Option<String>,
    /// State directory (0700): store, keys, sockets. Default: a directory for DIR and ENV in the user's state folder
    #[arg(long)]
    pub state: Option<PathBuf>,
    /// Envoy program. Default: PORTOLAN_ENVOY, .tools/bin/envoy, then PATH
    #[arg(long, env = "PORTOLAN_ENVOY")]
    pub envoy: Option<PathBuf>,
    /// Bind all Gateways to this address instead of one loopback address each
    #[arg(long)]
    pub bind: Option<IpAddr>,
    /// Use ports below 1024 as written instead of adding 8000
    #[arg(long)]
    pub low_ports: bool,
    /// Dial endpoints of the repository that are not loopback too. Without it the built-in echo backend answers for them
    #[arg(long)]
    pub real_backends: bool,
    /// Address of the read-only HTTP API and metrics; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9470")]
    pub api_listen: std::net::SocketAddr,
    /// Address of the embedded DNS server (UDP and TCP); port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:10053")]
    pub dns_listen: std::net::SocketAddr,
    /// Address of the embedded development CA (ACME); port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:14443")]
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
    /// Longest time that a removed route is served on while its DNS records are being removed, such as 30s
    #[arg(long, default_value = "30s", value_parser = seconds)]
    pub drain: Duration,
    /// Approve, for this run, that more than ten DNS record sets and more than 30 % of ours in a zone are deleted at once
    #[arg(long)]
    pub allow_mass_deletion: bool,
    /// Longest wait of --once, such as 120s
    #[arg(long, default_value = "120s", value_parser = seconds)]
    pub timeout: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    digits.parse().map(Duration::from_secs).map_err(|_| "write seconds, such as 120s".into())
}

#[derive(clap::Args)]
struct Instance {
    /// State directory of the instance. Default: the only one that runs
    #[arg(long)]
    state: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(clap::Args)]
struct Status {
    #[command(flatten)]
    instance: Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Args)]
struct Explain {
    /// Hostname
    host: String,
    #[command(flatten)]
    instance: Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Args)]
struct Renew {
    /// NAMESPACE/NAME of the Certificate
    certificate: String,
    #[command(flatten)]
    instance: Instance,
}

/// Parses the command line and runs it.
///
/// # Errors
/// What could not be done: exit code 2.
pub fn run() -> anyhow::Result<u8> {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("PORTOLAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        match cli.verb {
            Verb::Up(up) => Box::pin(driver::up(up)).await,
            Verb::Seal(args) => crate::seal::seal(&args),
            Verb::Render(args) => render::run(&args),
            Verb::Status(args) => {
                let json =
                    client::Client::new(&instance::find(args.instance.state)?)?.get("/v1/status").await?;
                if args.output == Output::Json {
                    anstream::println!("{}", serde_json::to_string_pretty(&json)?);
                } else {
                    anstream::print!("{}", crate::status::table(&json));
                }
                Ok(0)
            }
            Verb::Get(args) => objects::get(args).await,
            Verb::Explain(args) => {
                let path = format!("/v1/explain/{}", args.host);
                let json = client::Client::new(&instance::find(args.instance.state)?)?.get(&path).await?;
                if args.output == Output::Json {
                    anstream::println!("{}", serde_json::to_string_pretty(&json)?);
                } else {
                    anstream::print!("{}", crate::status::explanation(&json));
                }
                Ok(u8::from(json["state"] != "live"))
            }
            Verb::Renew(args) => {
                let path = format!("/v1/renew/{}", args.certificate);
                let json = client::Client::new(&instance::find(args.instance.state)?)?.post(&path).await?;
                anstream::println!("{}", json["message"].as_str().unwrap_or("asked for"));
                Ok(0)
            }
            Verb::Down(args) => {
                let state = instance::find(args.state)?;
                client::Client::new(&state)?.post("/v1/down").await?;
                instance::wait_until_gone(&state).await?;
                anstream::println!("stopped; the state is kept in {}", state.display());
                Ok(0)
            }
        }
    })
}
