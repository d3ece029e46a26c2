//! All that is printed goes through here. What comes from a repository may hold what a terminal obeys: escape sequences,
//! line breaks, marks that turn the direction of writing. Here it is written out (`portolan_model::shown`), so nobody can
//! forget it; other macros that print are refused by a lint (`clippy.toml`).
//!
//! A line break that is part of a value is written out before the value becomes part of a text ([`Shown`], `columns`):
//! afterwards it could not be told from ours.
#![allow(clippy::disallowed_macros, reason = "the one place")]

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write},
};

use clap::error::{ContextKind, ContextValue};
use portolan_model::shown;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::columns;

/// JSON whose texts are fit for a terminal: each is one line of plain text. What makes tables and lists takes nothing else.
pub struct Shown(Value);

impl Shown {
    /// With all texts and keys written out.
    pub fn of(value: &Value) -> Self {
        Self(written_out(value))
    }
}

impl std::ops::Deref for Shown {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

fn written_out(value: &Value) -> Value {
    match value {
        Value::String(text) => shown::text(text).into(),
        Value::Array(items) => items.iter().map(written_out).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (shown::text(key).into_owned(), written_out(value))).collect()
        }
        other => other.clone(),
    }
}

/// Lines with their first words in colour, as they go to a terminal. `anstream` takes the colours out again where there is
/// no terminal or `NO_COLOR` is set.
pub fn coloured(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| columns::colour(&shown::text(line))).collect();
    lines.join("\n")
}

/// Lines for people.
///
/// # Errors
/// What keeps the output from taking them.
pub fn print(text: &str) -> anyhow::Result<()> {
    let colours = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    // To take colours out again costs more than all else of a line, and cuts the text: each line would be a write.
    if colours { put(coloured(text).as_bytes()) } else { put(shown::lines(text).as_bytes()) }
}

/// One line for people.
///
/// # Errors
/// What keeps the output from taking it.
pub fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{}\n", shown::text(text)))
}

/// Lines of what goes on, whether somebody takes them or not.
pub fn told(text: &str) {
    if let Err(why) = print(text) {
        tracing::debug!(why = format!("{why:#}"), "nobody takes what is told");
    }
}

/// JSON for programs.
///
/// # Errors
/// What keeps the output from taking it.
pub fn json(value: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    put(format!("{}\n", shown::quoted(&text)).as_bytes())
}

/// YAML for people and programs.
///
/// # Errors
/// What keeps the output from taking it.
pub fn yaml(value: &Value) -> anyhow::Result<()> {
    put(as_yaml(value)?.as_bytes())
}

/// All of it, to the end: what stays in a buffer would be lost without a word.
fn put(bytes: &[u8]) -> anyhow::Result<()> {
    let mut to = anstream::stdout().lock();
    ended(to.write_all(bytes).and_then(|()| to.flush()))
}

/// What came of writing. Who closed the pipe has read enough.
fn ended(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(why).context("the output cannot be written"))
        }
        Err(_) | Ok(()) => Ok(()),
    }
}

fn as_yaml(value: &Value) -> anyhow::Result<String> {
    let written = serde_saphyr::to_string(value)?;
    // JSON is YAML, and quotes keys too.
    Ok(match shown::lines(&written) {
        Cow::Borrowed(_) => written,
        Cow::Owned(_) => format!("{}\n", shown::quoted(&serde_json::to_string_pretty(value)?)),
    })
}

/// JSON or YAML that a serializer wrote, of which nothing may be lost unseen: a pipe that is closed is an error too.
///
/// # Errors
/// What keeps the output from taking it.
pub fn written(text: &str) -> io::Result<()> {
    let mut to = anstream::stdout().lock();
    to.write_all(shown::quoted(text).as_bytes()).and_then(|()| to.flush())
}

/// What our own libraries made of our own words: completions and manual pages.
///
/// # Errors
/// What keeps the output from taking it.
pub fn own(text: &[u8]) -> anyhow::Result<()> {
    put(text)
}

/// What the reader of the command line has to say: help, the version, or what is wrong. The exit code.
///
/// # Errors
/// What keeps the output from taking it.
pub fn usage(said: &mut clap::Error) -> anyhow::Result<u8> {
    // An option that another verb has is not meant as a file of that name.
    if let Some(ContextValue::StyledStrs(tips)) = said.get(ContextKind::Suggested) {
        let tips = tips.iter().filter(|tip| !tip.to_string().contains("as a value")).cloned().collect();
        said.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    ended(said.print().and_then(|()| io::stdout().flush()))?;
    Ok(u8::try_from(said.exit_code()).unwrap_or(2))
}

/// What else may be meant, below what is wrong.
pub fn tip(text: &str) {
    let _ = writeln!(io::stderr(), "\n  tip: {}", shown::text(text));
}

/// What is going on, for who looks on: a line on standard error where that is a terminal, and nothing elsewhere.
pub fn progress(text: &str) {
    let mut to = io::stderr();
    if to.is_terminal() {
        let _ = writeln!(to, "{}", shown::text(text));
    }
}

/// A sentence with a list below it.
#[derive(Debug)]
pub struct Listed {
    /// Without its colon.
    pub sentence: String,
    /// One a line.
    pub items: Vec<String>,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.sentence, self.items.join("; "))
    }
}

impl std::error::Error for Listed {}

/// Why nothing came of it.
pub fn error(why: &anyhow::Error) {
    // Nobody is left to be told of what standard error does not take.
    let _ = io::stderr().write_all(as_error(why).as_bytes());
}

fn as_error(why: &anyhow::Error) -> String {
    let Some(listed) = why.downcast_ref::<Listed>() else {
        return format!("portolan: {}\n", shown::text(&format!("{why:#}")));
    };
    let mut out = format!("portolan: {}:\n", shown::text(&listed.sentence));
    for item in &listed.items {
        out.extend(["  ", &*shown::text(item), "\n"]);
    }
    out
}

/// Lines of the log, on standard error.
pub struct Log;

impl<'a> MakeWriter<'a> for Log {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine(Vec::new())
    }
}

/// The same as JSON, which has escapes of its own.
pub struct JsonLog;

impl<'a> MakeWriter<'a> for JsonLog {
    type Writer = JsonLine;

    fn make_writer(&'a self) -> JsonLine {
        JsonLine(Vec::new())
    }
}

/// One line of the log as JSON.
pub struct JsonLine(Vec<u8>);

impl Write for JsonLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for JsonLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0);
        let _ = writeln!(io::stderr(), "{}", shown::quoted(text.trim_end_matches('\n')));
    }
}

/// One line of the log; written when it is whole.
pub struct LogLine(Vec<u8>);

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0);
        let line = shown::text(text.trim_end_matches('\n'));
        // A log that nobody takes harms nobody.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_ours_alone() {
        let text = coloured("live   a\u{1b}[31m\u{202e}b\n  error c\n");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "live   a\\u{1b}[31m\\u{202e}b\n  error c\n");
        assert!(text.starts_with("\u{1b}[") && text.matches('\u{1b}').count() == 2, "{text:?}");
    }

    #[test]
    fn a_list_stands_below_its_sentence() {
        let items = vec!["--state /a".to_owned(), "--state /b\nc\u{1b}".to_owned()];
        let listed = Listed { sentence: "several run; choose one".into(), items };
        let text = as_error(&listed.into());
        assert_eq!(text, "portolan: several run; choose one:\n  --state /a\n  --state /b\\nc\\u{1b}\n");
        assert_eq!(as_error(&anyhow::anyhow!("a\nb").context("c")), "portolan: c: a\\nb\n");
    }

    #[test]
    fn without_colours_it_says_the_same() {
        for text in ["live   a\nerror b\n    hint: c\n", "a\u{1b}[31mb\u{202e}\n\n", "", "pending  x"] {
            assert_eq!(anstream::adapter::strip_str(&coloured(text)).to_string(), shown::lines(text));
        }
    }

    #[test]
    fn yaml_with_what_is_not_plain_is_read_back() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}[2J", "b": ["x\u{9b}\u{200b}y", "two\nlines", "\u{feff}"]});
        let shown = as_yaml(&value).unwrap_or_default();
        assert!(shown.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{shown:?}");
        assert_eq!(
            portolan_model::yaml::load(&shown).0.first().map(|d| d.json.clone()),
            Some(value),
            "{shown}"
        );
    }
}
