//! Selectors as text in Kubernetes' grammar (apimachinery `labels.Parse`), for external-dns' filters.
//!
//! `key`, `!key`, `key=a`, `key==a`, `key!=a`, `key in (a,b)`, `key notin (a,b)`, `key>1`, `key<1`, joined by commas; a
//! value may be empty. (The selectors of reflector are read otherwise: see the room `secrets`.)

use portolan_model::{
    LabelSelector,
    input::{LabelExpression, LabelOperator},
};

/// Reads a selector; the empty text selects everything.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut left = Words { words: words(text), at: 0 };
    let mut selector = LabelSelector::default();
    if left.look().is_none() {
        return Ok(selector);
    }
    loop {
        selector.expressions.push(requirement(&mut left)?);
        match left.take() {
            None => return Ok(selector),
            Some(",") => {}
            Some(other) => return Err(format!("{other:?} stands where a comma or the end should be")),
        }
    }
}

/// Reads a selector whose requirements must be such as a `metav1.LabelSelector` has: external-dns takes
/// `annotationFilter` through that type (`metav1.ParseToLabelSelector`), which knows neither `!=` nor `>` nor `<`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_plain(text: &str) -> Result<LabelSelector, String> {
    match words(text).into_iter().find(|word| ["!=", ">", "<"].contains(word)) {
        Some(operator) => Err(format!("{operator:?} is not supported in annotation filters")),
        None => parse(text),
    }
}

struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn look(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.look();
        self.at += 1;
        word
    }

    /// The next word if it is a key or value.
    fn text(&mut self) -> Result<&'a str, String> {
        match self.take() {
            Some(word) if !is_special(word) => Ok(word),
            Some(word) => Err(format!("{word:?} stands where a key or value should be")),
            None => Err("a key or value is missing at the end".to_owned()),
        }
    }
}

fn is_special(word: &str) -> bool {
    word.starts_with(SPECIAL)
}

const SPECIAL: [char; 7] = ['=', '!', '(', ')', ',', '>', '<'];

/// Cuts at white space and around operators; `==`, `!=` and the like are one word.
fn words(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if ["==", "!="].iter().any(|operator| rest.starts_with(operator)) {
            2
        } else if SPECIAL.contains(&first) {
            1
        } else {
            rest.find(|c: char| c.is_whitespace() || SPECIAL.contains(&c)).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(length);
        found.push(word);
        rest = after.trim_start();
    }
    found
}

fn requirement(left: &mut Words<'_>) -> Result<LabelExpression, String> {
    if left.look() == Some("!") {
        left.take();
        return LabelExpression::new(left.text()?, LabelOperator::DoesNotExist, &[]);
    }
    let key = left.text()?;
    let operator = match left.look() {
        None | Some(",") => return LabelExpression::new(key, LabelOperator::Exists, &[]),
        Some("=" | "==") => LabelOperator::In,
        Some("!=") => LabelOperator::NotIn,
        Some(">") => LabelOperator::GreaterThan,
        Some("<") => LabelOperator::LessThan,
        Some(word @ ("in" | "notin")) => {
            left.take();
            let operator = if word == "in" { LabelOperator::In } else { LabelOperator::NotIn };
            return LabelExpression::new(key, operator, &listed(left)?);
        }
        Some(other) => return Err(format!("{other:?} is no operator")),
    };
    left.take();
    let value = if matches!(left.look(), None | Some(",")) { "" } else { left.text()? };
    LabelExpression::new(key, operator, &[value])
}

/// `(a, b)`; between commas stands the empty value.
fn listed<'a>(left: &mut Words<'a>) -> Result<Vec<&'a str>, String> {
    if left.take() != Some("(") {
        return Err("in and notin need values in parentheses".to_owned());
    }
    if left.look() == Some(")") {
        return Err("in and notin need at least one value".to_owned());
    }
    let mut values = Vec::new();
    loop {
        values.push(if matches!(left.look(), Some("," | ")")) { "" } else { left.text()? });
        match left.take() {
            Some(")") => return Ok(values),
            Some(",") => {}
            Some(other) => return Err(format!("{other:?} stands where a comma or ) should be")),
            None => return Err("a closing parenthesis is missing".to_owned()),
        }
    }
}
