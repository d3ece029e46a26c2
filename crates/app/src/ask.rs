//! `portolan dns`: asks the embedded DNS server what it answers, as a resolver would.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use portolan_effects::dns::query;
use portolan_model::dns::RecordType;
use serde_json::{Value, json};

use crate::{
    cli::{self, Output},
    client::Client,
    columns, host, instance, out,
};

/// Arguments of `dns`.
#[derive(clap::Args)]
pub struct Dns {
    /// Name, or an address such as https://HOST/
    host: String,
    /// Types to ask for; all four if left out
    #[arg(value_enum, ignore_case = true)]
    types: Vec<Type>,
    #[command(flatten)]
    instance: cli::Instance,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Type {
    A,
    Aaaa,
    Cname,
    Txt,
}

impl Type {
    fn asked(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::Aaaa,
            Self::Cname => RecordType::Cname,
            Self::Txt => RecordType::Txt,
        }
    }
}

/// Exit code 1 when there is no record.
///
/// # Errors
/// When the server does not answer.
pub async fn run(args: Dns) -> anyhow::Result<u8> {
    // What was typed is looked at before who could answer it.
    let name = host::parse(&args.host).map_err(anyhow::Error::msg)?;
    let client = Client::new(&instance::find(args.instance.state.as_deref())?)?;
    let server: SocketAddr = client.run()["dns"]
        .as_str()
        .and_then(|address| address.parse().ok())
        .context("the instance names no DNS server")?;
    if name.contains('*') {
        bail!("a resolver asks for a name, not for a pattern: portolan dns {}", name.replace('*', "www"));
    }
    let types =
        if args.types.is_empty() { vec![Type::A, Type::Aaaa, Type::Cname, Type::Txt] } else { args.types };
    let mut table = columns::Columns::new(["NAME", "TTL", "TYPE", "VALUE"]);
    let asked_for: Vec<String> = types.iter().map(|asked| asked.asked().to_string()).collect();
    let (mut sets, mut said) = (Vec::new(), String::new());
    for asked in types {
        let answer = query::ask(server, &name, asked.asked()).await?;
        said = answer.rcode.to_string();
        for set in answer.sets {
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    if args.output == Output::Json {
        let records: Vec<Value> = sets
            .iter()
            .map(|set| {
                let (name, kind) = (set.name.to_string(), set.r#type.to_string());
                json!({"name": name, "type": kind, "ttl": set.ttl, "values": set.values})
            })
            .collect();
        out::json(&json!({
            "name": name, "server": server.to_string(), "types": asked_for, "code": said, "records": records,
        }))?;
        return Ok(u8::from(sets.is_empty()));
    }
    if sets.is_empty() {
        let why = if said != "NOERROR"
            && client.get(&["explain", &name]).await.is_ok_and(|said| said["state"] != "absent")
        {
            format!("; why is said by: portolan explain {name}")
        } else {
            String::new()
        };
        out::line(&format!("{name}: {} ({said} from {server}){why}", nothing(&said, &asked_for)))?;
        return Ok(1);
    }
    for set in &sets {
        for value in &set.values {
            let ttl = set.ttl.map_or_else(String::new, |ttl| ttl.to_string());
            table.row([set.name.to_string(), ttl, set.r#type.to_string(), value.clone()]);
        }
    }
    out::print(&table.lines())?;
    Ok(0)
}

/// What it means that no record came, by the answer's code (RFC 1035 §4.1.1).
fn nothing(said: &str, types: &[String]) -> String {
    match said {
        "NOERROR" => format!("it has no record of type {}", types.join(", ")),
        "NXDOMAIN" => "there is no such name in the zone".to_owned(),
        _ => "it is not answered".to_owned(),
    }
}
