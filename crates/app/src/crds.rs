//! `portolan crds`: the definitions of the kinds that Portolan reads, printed or applied to a cluster.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use portolan_kubernetes::{
    Api,
    cluster::{self, Cluster},
    crds::{self, Definition, Outcome},
};

use crate::out;

/// Arguments of `crds`.
#[derive(clap::Args)]
pub struct Crds {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print them as YAML, as their projects publish them
    Print(Which),
    /// Apply them to the cluster that the kubeconfig, or the Pod that this runs in, names. What is there is replaced only by
    /// what is known to be later or takes nothing away; nothing is removed
    Apply(Apply),
}

#[derive(clap::Args)]
struct Which {
    /// Channel of the Gateway API
    #[arg(long, value_enum, default_value = "standard")]
    channel: Channel,
    /// Only the definitions of these projects: gateway-api, cert-manager, envoy-gateway, sealed-secrets, external-dns
    #[arg(long, value_name = "PROJECT", value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Channel {
    Standard,
    Experimental,
}

#[derive(clap::Args)]
struct Apply {
    #[command(flatten)]
    which: Which,
    /// Context of the kubeconfig. Default: the current one
    #[arg(long)]
    context: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `crds`. Exit code 1 where the API server refused one.
///
/// # Errors
/// When there is no such project, or no cluster can be reached.
pub async fn run(args: Crds) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Print(which) => {
            for definition in chosen(&which)? {
                let (set, version) = (&definition.set, &definition.version);
                out::print(&format!("---\n# {set} {version}\n{}", definition.text))?;
            }
            Ok(0)
        }
        Verb::Apply(args) => apply(args).await,
    }
}

fn chosen(which: &Which) -> anyhow::Result<Vec<Definition>> {
    let channel = match which.channel {
        Channel::Standard => "standard",
        Channel::Experimental => "experimental",
    };
    let mut all = crds::all(channel);
    let sets: BTreeSet<String> = all.iter().map(|definition| definition.set.to_string()).collect();
    if let Some(unknown) = which.only.iter().find(|only| !sets.contains(*only)) {
        let sets = sets.into_iter().collect::<Vec<_>>().join(", ");
        bail!("there are no definitions of {unknown}; write one of: {sets}");
    }
    all.retain(|definition| which.only.is_empty() || which.only.iter().any(|only| **only == *definition.set));
    Ok(all)
}

async fn apply(args: Apply) -> anyhow::Result<u8> {
    let definitions = chosen(&args.which)?;
    let Cluster { server, client, .. } =
        cluster::named(None, args.context.as_deref()).await.map_err(|why| anyhow::anyhow!("{why}"))?;
    let api = Api::new(client);
    api.get("/version").await.with_context(|| format!("the API server at {server} cannot be asked"))?;
    let mut failed = false;
    for definition in definitions {
        let outcome = crds::apply(&api, &definition, args.dry_run).await;
        failed |= matches!(outcome, Outcome::Failed(_));
        let would = if args.dry_run { "would be " } else { "" };
        let (name, set, version) = (definition.name(), &definition.set, &definition.version);
        let name = name.strip_prefix("CustomResourceDefinition/").unwrap_or(&name);
        out::line(&match outcome {
            Outcome::Created => format!("{name}: {would}created ({set} {version})"),
            Outcome::Replaced => format!("{name}: {would}replaced ({set} {version})"),
            Outcome::Unchanged => format!("{name}: unchanged ({set} {version})"),
            Outcome::Kept(why) => format!("{name}: kept, since {why}"),
            Outcome::Failed(why) => format!("{name}: refused: {why}"),
        })?;
    }
    Ok(u8::from(failed))
}
