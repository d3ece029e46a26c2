//! URLs, as far as Go's `url.ParseRequestURI` takes them: absolute, or an absolute path.

use std::{any::Any, collections::HashMap};

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelList, CelMap, CelMapKey, CelString, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};

use super::{arg, boolean, global, member, string, text};

static URL: Type = Type::new_unspecified_type("net.URL");

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl Val for Url {
    fn get_type(&self) -> &Type {
        &URL
    }
    fn cel_type() -> &'static Type {
        &URL
    }
    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Url>() == Some(self)
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
impl StaticVal for Url {}

pub(super) fn add(env: &mut Env) {
    let url = || URL.to_owned();
    global(env, "url", vec![STRING_TYPE], |args| {
        let written = text(&args, 0)?;
        let fault =
            || ExecutionError::function_error("url", format!("'{written}' is no absolute URL or path"));
        Ok(CowVal::owned(parse(written).ok_or_else(fault)?))
    });
    global(env, "isURL", vec![STRING_TYPE], |args| boolean(parse(text(&args, 0)?).is_some()));
    member(env, "getScheme", url(), vec![], |args| string(arg::<Url>(&args, 0)?.scheme.clone()));
    member(env, "getHost", url(), vec![], |args| string(arg::<Url>(&args, 0)?.host.clone()));
    member(env, "getHostname", url(), vec![], |args| string(split(&arg::<Url>(&args, 0)?.host).0));
    member(env, "getPort", url(), vec![], |args| string(split(&arg::<Url>(&args, 0)?.host).1));
    member(env, "getEscapedPath", url(), vec![], |args| string(arg::<Url>(&args, 0)?.path.clone()));
    member(env, "getQuery", url(), vec![], |args| Ok(CowVal::owned(query(&arg::<Url>(&args, 0)?.query))));
}

pub(super) fn parse(text: &str) -> Option<Url> {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control() || c == ' ') || broken_escape(text) {
        return None;
    }
    let (head, query) = text.split_once('?').unwrap_or((text, ""));
    let (scheme, rest) = match head.find(':') {
        Some(colon) if !head[..colon].contains('/') => (&head[..colon], &head[colon + 1..]),
        _ => ("", head),
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(letters);
    if !scheme.is_empty() && !named || scheme.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() => {
            let slash = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(slash);
            (authority.rsplit_once('@').map_or(authority, |(_, host)| host), path)
        }
        _ => ("", rest),
    };
    let port = split(host).1;
    let shape = host.strip_prefix('[').map_or(!host.contains(['[', ']']), |inner| inner.contains(']'));
    if !port.chars().all(|c| c.is_ascii_digit()) || !shape {
        return None;
    }
    Some(Url {
        scheme: scheme.to_ascii_lowercase(),
        host: host.into(),
        path: path.into(),
        query: query.into(),
    })
}

fn broken_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|rest| {
        let digits = rest.as_bytes();
        digits.len() < 2 || !digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

/// Host without brackets, and port.
fn split(host: &str) -> (&str, &str) {
    if let Some((inside, after)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inside, after.strip_prefix(':').unwrap_or(after));
    }
    host.rsplit_once(':').unwrap_or((host, ""))
}

fn query(text: &str) -> CelMap<'static> {
    let mut all: HashMap<String, Vec<Box<dyn Val>>> = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        all.entry(unescape(key)).or_default().push(Box::new(CelString::from(unescape(value))));
    }
    let entry = |(key, values): (String, Vec<Box<dyn Val>>)| {
        (CelMapKey::String(CelString::from(key)), Box::new(CelList::from(values)) as Box<dyn Val>)
    };
    CelMap::from(all.into_iter().map(entry).collect::<HashMap<_, _>>())
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
