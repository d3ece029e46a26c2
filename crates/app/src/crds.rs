//! `portolan crds`: the definitions of the kinds that Portolan reads, printed or applied to a cluster.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use portolan_kubernetes::{
    Api,
    cluster::{self, Cluster},
    crds::{self, Definition, Outcome},
};
use portolan_model::yaml;
use serde_json::{Value, json};

use crate::{cli::Output, out};

/// Arguments of `crds`.
#[derive(clap::Args)]
pub struct Crds {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print them as YAML, as their projects publish them
    Print(Print),
    /// Apply them to the cluster that the kubeconfig, or the Pod that this runs in, names. What is there is replaced only by
    /// what is known to be later or takes nothing away; nothing is removed
    Apply(Apply),
}

#[derive(clap::Args)]
struct Print {
    #[command(flatten)]
    which: Which,
    /// Form of the output: yaml is the published text, json a List
    #[arg(long, short, value_enum, default_value = "yaml")]
    output: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Yaml,
    Json,
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
    /// File that says how the API server is reached. Default: KUBECONFIG, then ~/.kube/config, then the Pod's own account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. Default: the current one
    #[arg(long)]
    context: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Runs `crds`. Exit code 1 where the API server refused one.
///
/// # Errors
/// When there is no such project, or no cluster can be reached.
pub async fn run(args: Crds) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Print(Print { which, output: Form::Json }) => {
            let all = chosen(&which)?;
            let items: Vec<Value> = all
                .iter()
                .flat_map(|definition| yaml::load(&definition.text).0)
                .map(|document| document.json)
                .filter(Value::is_object)
                .collect();
            out::json(&json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
            Ok(0)
        }
        Verb::Print(Print { which, .. }) => {
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
    let Cluster { server, client, .. } = cluster::named(args.kubeconfig.as_deref(), args.context.as_deref())
        .await
        .map_err(|why| anyhow::anyhow!("{why}"))?;
    let api = Api::new(client);
    api.get("/version").await.with_context(|| format!("the API server at {server} cannot be asked"))?;
    let (mut failed, mut told) = (false, Vec::new());
    for definition in definitions {
        let outcome = crds::apply(&api, &definition, args.dry_run).await;
        failed |= matches!(outcome, Outcome::Failed(_));
        let (name, set, version) = (definition.name(), &definition.set, &definition.version);
        let name = name.strip_prefix("CustomResourceDefinition/").unwrap_or(&name);
        let (word, why) = match outcome {
            Outcome::Created => ("created", None),
            Outcome::Replaced => ("replaced", None),
            Outcome::Unchanged => ("unchanged", None),
            Outcome::Kept(why) => ("kept", Some(why)),
            Outcome::Failed(why) => ("refused", Some(why)),
        };
        if args.output == Output::Json {
            told.push(
                json!({"name": name, "project": set, "version": version, "outcome": word, "message": why}),
            );
            continue;
        }
        out::line(&line(name, word, why.as_deref(), args.dry_run, &format!("{set} {version}")))?;
    }
    if args.output == Output::Json {
        out::json(&json!({"dryRun": args.dry_run, "definitions": told}))?;
    }
    Ok(u8::from(failed))
}

/// What became of a definition, for people.
fn line(name: &str, word: &str, why: Option<&str>, dry_run: bool, from: &str) -> String {
    match (word, why) {
        ("kept", Some(why)) => format!("{name}: kept, since {why}"),
        (word, Some(why)) => format!("{name}: {word}: {why}"),
        ("unchanged", None) => format!("{name}: unchanged ({from})"),
        (word, None) if dry_run => format!("{name}: would be {word} ({from})"),
        (word, None) => format!("{name}: {word} ({from})"),
    }
}
