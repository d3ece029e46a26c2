//! `--fqdn-template`: names made from a route, in the part of Go's template language that such templates use.
//!
//! Fields (`.Name`, `.Namespace`, `.Kind`, `.Labels.x`, `.Annotations.x`), `index`, and the functions of external-dns that
//! give text (`source/template/functions.go`), nested in parentheses or piped. Everything else, conditions and loops above all,
//! is not understood.

use portolan_model::{Name, input::Route};

/// Templates whose results are put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates(Vec<Vec<Piece>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Value),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Literal(String),
    Name,
    Namespace,
    Kind,
    /// `.Labels.x`: a missing one prints as `<no value>`.
    Label {
        key: Name,
        index: bool,
    },
    Annotation {
        key: Name,
        index: bool,
    },
    Call {
        function: Function,
        arguments: Vec<Value>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    ToLower,
    Trim,
    TrimPrefix,
    TrimSuffix,
    Replace,
}

impl Function {
    fn parse(text: &str) -> Option<(Self, usize)> {
        Some(match text {
            "toLower" => (Self::ToLower, 1),
            "trim" => (Self::Trim, 1),
            "trimPrefix" => (Self::TrimPrefix, 2),
            "trimSuffix" => (Self::TrimSuffix, 2),
            "replace" => (Self::Replace, 3),
            _ => return None,
        })
    }
}

impl Templates {
    /// Adds a template; several are parts of one list.
    ///
    /// # Errors
    /// What is not understood in it.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        self.0.push(parse(text)?);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they make of a route: comma-separated items, blanks and trailing dots cut, sorted, as they come out.
    pub fn names(&self, route: &Route) -> Vec<String> {
        let made = self.0.iter().map(|pieces| {
            let part = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(value) => value.of(route),
            };
            pieces.iter().map(part).collect::<String>()
        });
        let text = made.collect::<Vec<_>>().join(",");
        let mut names: Vec<String> = text
            .split(',')
            .map(|name| {
                let name = name.trim();
                name.strip_suffix('.').unwrap_or(name).to_owned()
            })
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Value {
    fn of(&self, route: &Route) -> String {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Name => route.key.name.name.to_string(),
            Self::Namespace => route.key.name.namespace.to_string(),
            Self::Kind => route.key.object().kind.kind.to_string(),
            Self::Label { key, index } => missing(route.labels.get(key).map(|text| &**text), *index),
            Self::Annotation { key, index } => {
                missing(route.annotations.get(key).map(String::as_str), *index)
            }
            Self::Call { function, arguments } => {
                let texts: Vec<String> = arguments.iter().map(|argument| argument.of(route)).collect();
                let text = |at: usize| texts.get(at).map_or("", String::as_str);
                match function {
                    Function::ToLower => text(0).to_lowercase(),
                    Function::Trim => text(0).trim().to_owned(),
                    // strings.TrimPrefix takes the text first, also in a pipe.
                    Function::TrimPrefix => text(0).strip_prefix(text(1)).unwrap_or(text(0)).to_owned(),
                    Function::TrimSuffix => text(0).strip_suffix(text(1)).unwrap_or(text(0)).to_owned(),
                    Function::Replace => text(2).replace(text(0), text(1)),
                }
            }
        }
    }
}

fn missing(value: Option<&str>, index: bool) -> String {
    value.unwrap_or(if index { "" } else { "<no value>" }).to_owned()
}

fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, after) = rest.split_at(at);
        let end = close(after).ok_or("a {{ is not closed")?;
        let action = &after[2..end];
        let after = &after[end + 2..];
        let before = if action.starts_with("- ") { before.trim_end() } else { before };
        let after = if action.ends_with(" -") { after.trim_start() } else { after };
        pieces.push(Piece::Text(before.to_owned()));
        let action = action.strip_prefix("- ").unwrap_or(action);
        let action = action.strip_suffix(" -").unwrap_or(action).trim();
        if !action.starts_with("/*") {
            pieces.push(Piece::Value(pipeline(&mut words(action)?)?));
        }
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Ok(pieces)
}

/// Where the action that `text` begins with ends; braces within quotes do not count.
pub(crate) fn close(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if q == c => quote = None,
            None if c == '"' || c == '`' => quote = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            Some(_) | None => {}
        }
    }
    None
}

/// A word of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Text(String),
    Bare(String),
}

/// Words from the last to the first, to be taken with `pop`.
fn words(action: &str) -> Result<Vec<Word>, String> {
    let mut found = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '`' => rest[1..].find('`').map(|at| at + 2).ok_or("a quote is not closed")?,
            '"' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, c)| {
                    let ends = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                });
                end.map(|(at, _)| at + 1).ok_or("a quote is not closed")?
            }
            '(' | ')' | '|' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || "()|\"`".contains(c)).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(length);
        found.push(match first {
            '`' => Word::Text(word[1..word.len() - 1].to_owned()),
            // JSON's escapes are a part of Go's.
            '"' => Word::Text(serde_json::from_str(word).map_err(|_| format!("{word} is no text"))?),
            _ => Word::Bare(word.to_owned()),
        });
        rest = after.trim_start();
    }
    found.reverse();
    Ok(found)
}

fn pipeline(left: &mut Vec<Word>) -> Result<Value, String> {
    let mut value = command(left, None)?;
    while left.last() == Some(&Word::Bare("|".into())) {
        left.pop();
        value = command(left, Some(value))?;
    }
    match left.last() {
        None => Ok(value),
        Some(Word::Bare(word)) if word == ")" => Ok(value),
        Some(other) => Err(format!("{other:?} is not understood")),
    }
}

fn command(left: &mut Vec<Word>, piped: Option<Value>) -> Result<Value, String> {
    let first = left.pop().ok_or("an action is empty")?;
    let Word::Bare(word) = &first else {
        return operand(first, left).and_then(|value| alone(value, piped.as_ref()));
    };
    if word == "index" {
        let field = left.pop();
        let (Some(Word::Bare(field)), Some(Word::Text(key)), None) = (field, left.pop(), piped) else {
            return Err("index is understood with .Labels or .Annotations and a text".to_owned());
        };
        return match field.as_str() {
            ".Labels" => Ok(Value::Label { key: key.into(), index: true }),
            ".Annotations" => Ok(Value::Annotation { key: key.into(), index: true }),
            _ => Err(format!("index {field} is not understood")),
        };
    }
    let Some((function, count)) = Function::parse(word) else {
        return operand(first, left).and_then(|value| alone(value, piped.as_ref()));
    };
    let mut arguments = Vec::new();
    while left.last().is_some_and(|word| !matches!(word, Word::Bare(end) if end == "|" || end == ")")) {
        let word = left.pop().ok_or("an action is empty")?;
        arguments.push(operand(word, left)?);
    }
    arguments.extend(piped);
    if arguments.len() != count {
        return Err(format!("{word} takes {count} arguments, not {}", arguments.len()));
    }
    Ok(Value::Call { function, arguments })
}

/// A value takes nothing from a pipe.
fn alone(value: Value, piped: Option<&Value>) -> Result<Value, String> {
    if piped.is_some() {
        Err("a pipe leads into something that is no function".to_owned())
    } else {
        Ok(value)
    }
}

fn operand(word: Word, left: &mut Vec<Word>) -> Result<Value, String> {
    let word = match word {
        Word::Text(text) => return Ok(Value::Literal(text)),
        Word::Bare(word) => word,
    };
    if word == "(" {
        let value = pipeline(left)?;
        return match left.pop() {
            Some(Word::Bare(end)) if end == ")" => Ok(value),
            _ => Err("a parenthesis is not closed".to_owned()),
        };
    }
    let key = |key: &str| key.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| Name::new(key));
    let field =
        |path: &str, prefix: &str| path.strip_prefix(prefix).filter(|rest| !rest.is_empty()).and_then(key);
    match word.as_str() {
        ".Name" | ".ObjectMeta.Name" => Ok(Value::Name),
        ".Namespace" | ".ObjectMeta.Namespace" => Ok(Value::Namespace),
        ".Kind" => Ok(Value::Kind),
        path => {
            let plain = path.strip_prefix(".ObjectMeta").unwrap_or(path);
            if let Some(key) = field(plain, ".Labels.") {
                return Ok(Value::Label { key, index: false });
            }
            if let Some(key) = field(plain, ".Annotations.") {
                return Ok(Value::Annotation { key, index: false });
            }
            Err(format!("{path} is not understood"))
        }
    }
}
