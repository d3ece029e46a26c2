//! Label selectors as text (`app=a,tier in (x, y),!old`), as reflector reads them
//! (emberstack/kubernetes-reflector `MirroringPropertiesExtensions.cs`). A selector that cannot be read matches nothing.

use portolan_model::{
    LabelSelector, Name,
    input::{LabelExpression, LabelOperator},
};

/// Reads a selector.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut selector = LabelSelector::default();
    let requirements = split(text);
    if requirements.is_empty() && !text.trim().is_empty() {
        return Err("it holds no requirement".to_owned());
    }
    for requirement in requirements {
        selector.expressions.push(expression(requirement)?);
    }
    Ok(selector)
}

/// Cuts at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let outside = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    text.split(outside).map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn expression(text: &str) -> Result<LabelExpression, String> {
    if let Some((head, values)) = text.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        let mut words = head.split_whitespace();
        let operator = match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Some((key, LabelOperator::In)),
            (Some(key), Some("notin"), None) => Some((key, LabelOperator::NotIn)),
            _ => None,
        };
        let (key, operator) = operator.ok_or_else(|| format!("{text} is no requirement"))?;
        let values: Vec<&str> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        if values.is_empty() {
            return Err(format!("{text} names no value"));
        }
        return made(key, operator, &values);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return made(key, LabelOperator::NotIn, &[value.trim()]);
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return made(key, LabelOperator::In, &[value.trim()]);
    }
    match text.strip_prefix('!') {
        Some(key) => made(key, LabelOperator::DoesNotExist, &[]),
        None => made(text, LabelOperator::Exists, &[]),
    }
}

fn made(key: &str, operator: LabelOperator, values: &[&str]) -> Result<LabelExpression, String> {
    let key = key.trim();
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let good_prefix = prefix.is_none_or(|prefix| {
        let label = |part: &str| {
            part_of(part, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') && !part.is_empty()
        };
        prefix.len() <= 253 && prefix.split('.').all(label)
    });
    if name.is_empty() || !part_of(name, word) || !good_prefix {
        return Err(format!("{key:?} is no label key"));
    }
    if let Some(bad) = values.iter().find(|value| !part_of(value, word)) {
        return Err(format!("{bad:?} is no label value"));
    }
    let values = values.iter().map(|value| Name::new(value)).collect();
    Ok(LabelExpression { key: key.into(), operator, values })
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// At most 63 of the characters, the first and last alphanumeric.
fn part_of(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    text.len() <= 63
        && text.chars().all(allowed)
        && ends.into_iter().flatten().all(|end| end.is_ascii_alphanumeric())
}
