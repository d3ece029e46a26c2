//! Verbs that change what runs: `renew`, `prune` and `down`.

use serde_json::{Value, json};

use super::{Instance, Output};
use crate::{client::Client, instance, objects, out};

/// Arguments of `renew`.
#[derive(clap::Args)]
pub struct Renew {
    /// NAMESPACE/NAME of the Certificate; NAME alone with --namespace
    certificate: String,
    /// Namespace of the Certificate
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    instance: Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Arguments of `prune`.
#[derive(clap::Args)]
pub struct Prune {
    /// Objects as `portolan status` shows them, such as HTTPRoute/shop/shop
    objects: Vec<String>,
    /// All that stay
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    #[command(flatten)]
    instance: Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Arguments of `down`.
#[derive(clap::Args)]
pub struct Down {
    #[command(flatten)]
    instance: Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Tells what was done: lines for people, or JSON.
fn tell(output: Output, lines: &[String], json: &Value) -> anyhow::Result<()> {
    if output == Output::Json {
        return out::json(json);
    }
    lines.iter().try_for_each(|line| out::line(line))
}

fn message(json: &Value) -> String {
    json["message"].as_str().unwrap_or("asked for").to_owned()
}

/// `portolan renew`.
///
/// # Errors
/// When no Certificate is named, or the instance does not answer or says no.
pub async fn renew(args: Renew) -> anyhow::Result<u8> {
    let certificate = objects::of_certificate(&args.certificate)?;
    let (namespace, name) = objects::named(Some(certificate), args.namespace.as_deref())?.unwrap_or_default();
    anyhow::ensure!(
        !namespace.is_empty(),
        "write NAMESPACE/NAME of the Certificate; they are listed by: portolan get certificates"
    );
    let said = Client::new(&instance::find(args.instance.state.as_deref())?)?
        .post(&["renew", &namespace, &name])
        .await?;
    let message = message(&said);
    let json = json!({"certificate": format!("{namespace}/{name}"), "message": message});
    tell(args.output, &[message], &json)?;
    Ok(0)
}

/// `portolan prune`.
///
/// # Errors
/// When an object is named that does not stay, or the instance does not answer or says no.
pub async fn prune(args: Prune) -> anyhow::Result<u8> {
    anyhow::ensure!(
        args.all || !args.objects.is_empty(),
        "name the objects that are let go as `portolan status` shows them, such as HTTPRoute/shop/shop, or all that stay \
         with --all"
    );
    let client = Client::new(&instance::find(args.instance.state.as_deref())?)?;
    if let Some(object) = args.objects.iter().find(|object| !object.contains('/')) {
        anyhow::bail!(
            "{object} names no object: write it as `portolan status` shows it, such as HTTPRoute/shop/shop; \
             all that stay are let go with --all"
        );
    }
    // All or none: who misspells one looks again before anything is gone.
    let status = client.get(&["status"]).await?;
    anyhow::ensure!(status["starting"] != true, "it is still starting: it reads the repository; try again");
    let kept: Vec<&str> =
        status["kept"].as_array().into_iter().flatten().filter_map(|row| row["object"].as_str()).collect();
    if let Some(object) = args.objects.iter().find(|object| !kept.contains(&object.as_str())) {
        anyhow::bail!(
            "{object} is nothing that stays without the repository; `portolan status` lists what does. \
             Nothing is let go"
        );
    }
    let (mut lines, mut pruned) = (Vec::new(), Vec::new());
    if args.all && kept.is_empty() {
        lines.push("nothing stays without the repository".to_owned());
    } else if args.all {
        lines.push(message(&client.post(&["prune", "all"]).await?));
        pruned.extend(kept.iter().map(|object| (*object).to_owned()));
    }
    for object in args.objects {
        lines.push(message(&client.post(&["prune", &object]).await?));
        pruned.push(object);
    }
    tell(args.output, &lines, &json!({"pruned": pruned, "messages": lines}))?;
    Ok(0)
}

/// `portolan down`.
///
/// # Errors
/// When there is nothing to stop, or it does not stop.
pub async fn down(args: Down) -> anyhow::Result<u8> {
    let state = instance::find_to_stop(args.instance.state.as_deref())?;
    let shown = state.display().to_string();
    if let Ok(client) = Client::new(&state)
        && client.post(&["down"]).await.is_ok()
    {
        instance::wait_until_gone(&state).await?;
        let line = format!("stopped; the state is kept in {shown}");
        tell(args.output, &[line], &json!({"stopped": true, "endedEnvoy": null, "state": shown}))?;
        return Ok(0);
    }
    // Nobody answers: a killed instance, or one that is still starting; the latter holds the lock.
    let (line, envoy) = match instance::end(&state).await? {
        instance::Ended::Envoy(pid) => {
            (format!("ended Envoy (process {pid}), which a killed instance had left"), json!(pid))
        }
        instance::Ended::Files => ("no process was left of a killed instance".to_owned(), Value::Null),
    };
    let lines = [line, format!("the state is kept in {shown}")];
    tell(args.output, &lines, &json!({"stopped": false, "endedEnvoy": envoy, "state": shown}))?;
    Ok(0)
}
