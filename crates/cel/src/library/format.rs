//! Kubernetes' named formats (`apiserver/pkg/cel/library/format.go`).

use std::any::Any;

use cel::{
    Env,
    common::{
        types::{CelList, CelOptional, CelString, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};

use super::{arg, global, member, text, url};

static FORMAT: Type = Type::new_unspecified_type("kubernetes.NamedFormat");

/// Name, and what is wrong with a text.
#[derive(Clone, Copy, Debug)]
struct Format(&'static str, fn(&str) -> Option<String>);

impl Val for Format {
    fn get_type(&self) -> &Type {
        &FORMAT
    }
    fn cel_type() -> &'static Type {
        &FORMAT
    }
    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Format>().is_some_and(|other| other.0 == self.0)
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(*self)
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
impl StaticVal for Format {}

const ALL: [Format; 13] = [
    Format("byte", |text| {
        let body = text.trim_end_matches('=');
        let fits = !text.is_empty()
            && text.len().is_multiple_of(4)
            && text.len() - body.len() <= 2
            && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        (!fits).then(|| "invalid base64".to_owned())
    }),
    Format("date", |text| {
        let fits = text.len() == 10 && time(&format!("{text}T00:00:00Z"));
        (!fits).then(|| "invalid date".to_owned())
    }),
    Format("datetime", |text| (!time(text)).then(|| "invalid datetime".to_owned())),
    Format("dns1035Label", label_1035),
    Format("dns1035LabelPrefix", |text| label_1035(&prefix(text))),
    Format("dns1123Label", label),
    Format("dns1123LabelPrefix", |text| label(&prefix(text))),
    Format("dns1123Subdomain", subdomain),
    Format("dns1123SubdomainPrefix", |text| subdomain(&prefix(text))),
    Format("labelValue", |text| {
        if text.is_empty() { None } else { qualified_part(text, "a valid label must be an empty string or") }
    }),
    Format("qualifiedName", qualified),
    Format("uri", |text| {
        url::parse(text).is_none().then(|| format!("parse {text:?}: invalid URI for request"))
    }),
    Format("uuid", |text| {
        let plain: Vec<char> = text.chars().filter(|c| *c != '-').collect();
        let fits = plain.len() == 32 && plain.iter().all(char::is_ascii_hexdigit);
        (!fits).then(|| "does not match the UUID format".to_owned())
    }),
];

pub(super) fn add(env: &mut Env) {
    macro_rules! each {
        ($($at:literal)*) => { $(
            global(env, &format!("format.{}", ALL[$at].0), vec![], |_| Ok(CowVal::owned(ALL[$at])));
        )* };
    }
    each!(0 1 2 3 4 5 6 7 8 9 10 11 12);
    global(env, "format.named", vec![STRING_TYPE], |args| {
        let name = text(&args, 0)?;
        let found = ALL.iter().find(|format| format.0 == name);
        Ok(CowVal::owned(found.map_or_else(CelOptional::none, |format| CelOptional::of(Box::new(*format)))))
    });
    member(env, "validate", FORMAT.to_owned(), vec![STRING_TYPE], |args| {
        let wrong = (arg::<Format>(&args, 0)?.1)(text(&args, 1)?);
        Ok(CowVal::owned(wrong.map_or_else(CelOptional::none, |why| {
            let why: Vec<Box<dyn Val>> = vec![Box::new(CelString::from(why))];
            CelOptional::of(Box::new(CelList::from(why)))
        })))
    });
}

/// A generated name gets an end, which hides a dash.
fn prefix(text: &str) -> String {
    text.strip_suffix('-')
        .filter(|rest| !rest.is_empty())
        .map_or_else(|| text.to_owned(), |rest| format!("{rest}a"))
}

/// RFC 3339.
fn time(text: &str) -> bool {
    let number = |from: usize, to: usize| {
        text.get(from..to)
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|part| part.parse().ok())
    };
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 13), number(14, 16), number(17, 19)) else {
        return false;
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let signs: Vec<u8> =
        [4, 7, 10, 13, 16].iter().filter_map(|at| text.as_bytes().get(*at).copied()).collect();
    let rest = text.get(19..).unwrap_or_default();
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':';
    (1..=days).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && matches!(&*signs, [b'-', b'-', b'T' | b't', b':', b':'])
        && (zone.eq_ignore_ascii_case("z") || offset)
}

fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
}

fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(too_long(63));
    }
    (!is_label(text)).then(|| {
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')".to_owned()
    })
}

fn subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some(too_long(253));
    }
    (!text.split('.').all(is_label)).then(|| {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".to_owned()
    })
}

fn label_1035(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(too_long(63));
    }
    (!(is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()))).then(|| {
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')".to_owned()
    })
}

fn qualified_part(text: &str, what: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(too_long(63));
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits = edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    (!fits).then(|| {
        format!("{what} consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character")
    })
}

fn qualified(text: &str) -> Option<String> {
    match text.split_once('/') {
        None => qualified_part(text, "name part must"),
        Some((prefix, name)) if !name.contains('/') => {
            subdomain(prefix).map(|why| format!("prefix part {why}")).or_else(|| qualified_part(name, "name part must"))
        }
        Some(_) => Some("a qualified name must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain prefix and '/'".to_owned()),
    }
}
