//! Label selectors as text (`app=a,tier in (x, y),!old`), as reflector reads them
//! (emberstack/kubernetes-reflector `MirroringPropertiesExtensions.cs`). A selector that cannot be read matches nothing.

use portolan_model::{
    LabelSelector,
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
    LabelExpression::new(key.trim(), operator, values)
}
