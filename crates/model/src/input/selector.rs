//! Selectors over labels, as Kubernetes has them.

use std::collections::BTreeMap;

use crate::Name;

/// `metav1.LabelSelector`. Empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// `matchLabels`.
    pub labels: BTreeMap<Name, Name>,
    /// `matchExpressions`.
    pub expressions: Vec<LabelExpression>,
}

/// One `matchExpressions` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelExpression {
    /// Label key.
    pub key: Name,
    /// Operator.
    pub operator: LabelOperator,
    /// Values for `In` and `NotIn`; one whole number for `GreaterThan` and `LessThan`.
    pub values: Vec<Name>,
}

/// Operator of a label expression. An unknown one matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelOperator {
    /// Value is one of the list.
    In,
    /// Value is absent or none of the list.
    NotIn,
    /// Key is present.
    Exists,
    /// Key is absent.
    DoesNotExist,
    /// Value is a whole number above the one given; only in selectors written as text.
    GreaterThan,
    /// Value is a whole number below the one given; only in selectors written as text.
    LessThan,
    /// Not a known operator.
    Unknown,
}

impl LabelSelector {
    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &BTreeMap<Name, Name>) -> bool {
        self.matches_values(|key| labels.get(key).map(|value| &**value))
    }

    /// The same for anything that has values under keys, such as annotations.
    pub fn matches_values<'a>(&self, value: impl Fn(&Name) -> Option<&'a str>) -> bool {
        self.labels.iter().all(|(key, wanted)| value(key) == Some(&**wanted))
            && self.expressions.iter().all(|expression| expression.matches(value(&expression.key)))
    }
}

impl LabelExpression {
    /// With key and values checked as Kubernetes checks them (apimachinery `labels.NewRequirement`).
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(key: &str, operator: LabelOperator, values: &[&str]) -> Result<Self, String> {
        let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
        let good_prefix = prefix.is_none_or(|prefix| {
            let label = |part: &str| {
                part_of(part, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                    && !part.is_empty()
            };
            prefix.len() <= 253 && prefix.split('.').all(label)
        });
        if name.is_empty() || !part_of(name, word) || !good_prefix {
            return Err(format!("{key:?} is no label key"));
        }
        if let Some(bad) = values.iter().find(|value| !part_of(value, word)) {
            return Err(format!("{bad:?} is no label value"));
        }
        if matches!(operator, LabelOperator::GreaterThan | LabelOperator::LessThan)
            && let Some(bad) = values.iter().find(|value| value.parse::<i64>().is_err())
        {
            return Err(format!("{bad:?} is no whole number"));
        }
        let values = values.iter().map(|value| Name::new(value)).collect();
        Ok(Self { key: key.into(), operator, values })
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|wanted| **wanted == *value);
        let number = |text: &str| text.parse::<i64>().ok();
        let compare = |holds: fn(i64, i64) -> bool| {
            let wanted = self.values.first().and_then(|wanted| number(wanted));
            value.and_then(number).zip(wanted).is_some_and(|(value, wanted)| holds(value, wanted))
        };
        match self.operator {
            LabelOperator::In => value.is_some_and(listed),
            LabelOperator::NotIn => !value.is_some_and(listed),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
            LabelOperator::GreaterThan => compare(|value, wanted| value > wanted),
            LabelOperator::LessThan => compare(|value, wanted| value < wanted),
            LabelOperator::Unknown => false,
        }
    }
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
