//! `portolan seal`: a Secret becomes a SealedSecret, as `kubeseal` makes it. Nothing is asked of a cluster.

use std::{
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use portolan_effects::sealed::{Sealing, SealingCertificate, SealingKeys, label, read_secrets, seal_secret};
use portolan_model::{Instant, input::SealingScope};
use serde_json::Value;

use crate::out;

/// Arguments of `seal`.
#[derive(clap::Args)]
pub struct Seal {
    /// File with the Secret, YAML or JSON; several documents and Lists are sealed each. Default: standard input
    file: Option<PathBuf>,
    /// Certificate to seal for (PEM), such as `kubeseal --fetch-cert` prints
    #[arg(long)]
    cert: Option<PathBuf>,
    /// Private key to seal for instead of a certificate; with several, the newest
    #[arg(long, conflicts_with = "cert")]
    sealing_key: Vec<PathBuf>,
    /// Where it can be opened. Default: what the Secret's annotations say, else strict
    #[arg(long, value_enum)]
    scope: Option<Scope>,
    /// Name of the Secret, instead of its own
    #[arg(long, value_parser = crate::names::object)]
    name: Option<String>,
    /// Namespace of the Secret, instead of its own
    #[arg(long, short, value_parser = crate::names::namespace)]
    namespace: Option<String>,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "yaml")]
    output: Form,
    /// Seal the input as one value and print only that, for encryptedData; needs --name and --namespace as the scope does
    #[arg(long, conflicts_with = "output")]
    raw: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    Strict,
    NamespaceWide,
    ClusterWide,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Yaml,
    Json,
}

impl From<Scope> for SealingScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Strict => Self::Strict,
            Scope::NamespaceWide => Self::Namespace,
            Scope::ClusterWide => Self::Cluster,
        }
    }
}

/// Runs `seal`.
///
/// # Errors
/// What could not be read or sealed; nothing is printed then.
pub fn seal(args: &Seal) -> anyhow::Result<u8> {
    let to = certificate(args)?;
    let input = input(args.file.as_deref())?;
    let scope = args.scope.map(SealingScope::from);
    let mut text = String::new();
    if args.raw {
        let scope = scope.unwrap_or(SealingScope::Strict);
        let name = args.name.as_deref().unwrap_or_default();
        let namespace = args.namespace.as_deref().unwrap_or_default();
        if scope != SealingScope::Cluster && namespace.is_empty() {
            bail!("--raw with scope {scope} needs --namespace: the value can be opened only there");
        }
        if scope == SealingScope::Strict && name.is_empty() {
            bail!("--raw with scope strict needs --name: the value can be opened only under it");
        }
        text = to.seal(&input, &label(scope, namespace, name))?;
        text.push('\n');
    } else {
        let how = Sealing { scope, name: args.name.as_deref(), namespace: args.namespace.as_deref() };
        let input = std::str::from_utf8(&input).context("the input is not UTF-8 text")?;
        for secret in read_secrets(input)? {
            text.push_str(&print(&seal_secret(&secret, how, &to)?, args.output)?);
        }
    }
    out::written(&text).context("the output cannot be written")?;
    Ok(0)
}

fn certificate(args: &Seal) -> anyhow::Result<SealingCertificate> {
    if let Some(path) = &args.cert {
        let pem = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let now = Instant(jiff::Timestamp::now().as_millisecond());
        return SealingCertificate::from_pem(&pem, now)
            .with_context(|| format!("certificate {} cannot be used", path.display()));
    }
    if args.sealing_key.is_empty() {
        bail!(
            "name what to seal for: --cert CERT, or --sealing-key FILE with the private key; see: portolan seal --help"
        );
    }
    SealingKeys::load(&args.sealing_key)?.certificate().context("every key given is retired")
}

/// The input, zeroed when it goes.
fn input(file: Option<&Path>) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
    // Sized before, so that growing leaves no copies of an ordinary Secret behind.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(4 << 20));
    match file {
        Some(path) => std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .with_context(|| format!("{} cannot be read", path.display()))?,
        None => std::io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?,
    };
    Ok(bytes)
}

fn print(sealed: &Value, form: Form) -> anyhow::Result<String> {
    if form == Form::Json {
        return Ok(serde_json::to_string_pretty(sealed)? + "\n");
    }
    // A JSON string is a YAML string by every rule, so text that looks like something else keeps its quotes.
    let mut text = String::from("---\n");
    yaml(sealed, 0, &mut text);
    Ok(text)
}

/// Block YAML of mappings and scalars: all that a SealedSecret consists of.
fn yaml(value: &Value, depth: usize, out: &mut String) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        out.push_str(&"  ".repeat(depth));
        out.push_str(&scalar(key));
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                yaml(value, depth + 1, out);
            }
            Value::String(text) => {
                out.push(' ');
                out.push_str(&scalar(text));
                out.push('\n');
            }
            other => {
                out.push(' ');
                out.push_str(&other.to_string());
                out.push('\n');
            }
        }
    }
}

/// Plain where no YAML rule can read it as anything else, else in quotes.
fn scalar(text: &str) -> String {
    let plain = text.len() > 4
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+=".contains(c))
        && !text.eq_ignore_ascii_case("false");
    let key = matches!(text, "kind" | "spec" | "type" | "name" | "data");
    if plain || key {
        return text.to_owned();
    }
    // JSON leaves some characters as they are that YAML does not print (YAML 1.2 §5.1).
    let quoted = Value::String(text.to_owned()).to_string();
    quoted.chars().fold(String::with_capacity(quoted.len()), |mut out, c| {
        if matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}') {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_yaml_reads_back_as_it_was() {
        let texts = [
            "true",
            "false",
            "False",
            "yes",
            "no",
            "n",
            "null",
            "~",
            "",
            "1e3",
            "0x10",
            "2026-11-24",
            "a: b",
            "# x",
            "line\nline",
            "tab\t",
            "\u{e9}\u{1f600}",
            "\"q\"",
            "'",
            "-",
            "- a",
            "AgBG+/==",
            "kind",
            "infinity",
            ".inf",
            "{a}",
            "*x",
            "&x",
            "!x",
            "@x",
            "%x",
            "a\u{7f}\u{2028}b",
        ];
        let map: serde_json::Map<String, Value> = texts
            .iter()
            .map(|text| ((*text).to_owned(), serde_json::json!({"value": text, "flag": true, "empty": {}})))
            .collect();
        let text = print(&Value::Object(map.clone()), Form::Yaml).unwrap();
        let (documents, errors) = portolan_model::yaml::load(&text);
        assert_eq!(errors, [], "{text}");
        assert_eq!(documents[0].json, Value::Object(map), "{text}");
    }
}
