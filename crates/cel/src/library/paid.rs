//! Functions that no expression can write: the rewritten tree pays with them, and fails where it would call what is not served.

use std::cmp::Ordering;

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelInt, CelList, CelMap, DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE},
        value::{CowVal, Val},
    },
};

use super::super::rewrite;
use super::{Arguments, Result, arg, boolean, budget, global, member, string, text, value};

pub(super) fn add(env: &mut Env) {
    global(env, "@made", vec![DYN_TYPE], made);
    global(env, "@equals", vec![DYN_TYPE, DYN_TYPE], |args| {
        boolean(equals(args[0].as_ref(), args[1].as_ref())?)
    });
    global(env, "@less", vec![DYN_TYPE, DYN_TYPE], |args| boolean(order(&args)? == Ordering::Less));
    global(env, "@less_or_equal", vec![DYN_TYPE, DYN_TYPE], |args| {
        boolean(order(&args)? != Ordering::Greater)
    });
    global(env, "@greater", vec![DYN_TYPE, DYN_TYPE], |args| boolean(order(&args)? == Ordering::Greater));
    global(env, "@greater_or_equal", vec![DYN_TYPE, DYN_TYPE], |args| {
        boolean(order(&args)? != Ordering::Less)
    });
    global(env, "@range", vec![DYN_TYPE, INT_TYPE], range);
    global(env, rewrite::UNSERVED, vec![STRING_TYPE], |args| {
        let why = format!("{} is not served by Portolan", text(&args, 0)?);
        Err(ExecutionError::function_error(rewrite::UNSERVED, why))
    });
    member(env, "@replace", STRING_TYPE, vec![STRING_TYPE, STRING_TYPE], replace);
    member(env, "@replace", STRING_TYPE, vec![STRING_TYPE, STRING_TYPE, INT_TYPE], replace);
    member(env, "@join", LIST_TYPE, vec![], join);
    member(env, "@join", LIST_TYPE, vec![STRING_TYPE], join);
}

fn made<'b, 'v>(mut args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let made = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    budget::pay(value::weight(made.as_ref()))?;
    Ok(made)
}

/// Equality of lists and maps that may be of this crate's types or of somebody else's.
fn equals(a: &dyn Val, b: &dyn Val) -> std::result::Result<bool, ExecutionError> {
    budget::pay(1)?;
    let kind = |value: &dyn Val| (value.as_iterable().is_some(), value.as_indexer().is_some());
    let builtin = a.downcast_ref::<CelList<'_>>().is_some() || a.downcast_ref::<CelMap<'_>>().is_some();
    if !builtin || kind(a) != kind(b) || a.get_type().name() != b.get_type().name() {
        return Ok(a.equals(b));
    }
    let (mine, theirs) = (value::items(a), value::items(b));
    if mine.len() != theirs.len() {
        return Ok(false);
    }
    if a.downcast_ref::<CelList<'_>>().is_some() {
        for (a, b) in mine.into_iter().zip(theirs) {
            if !equals(a, b)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let (Some(mine_at), Some(theirs_at)) = (a.as_indexer(), b.as_indexer()) else { return Ok(false) };
    for key in mine {
        let (Ok(a), Ok(b)) = (mine_at.get(key), theirs_at.get(key)) else { return Ok(false) };
        if !equals(a.as_ref(), b.as_ref())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How two values stand to each other, as the crate's own operators compare them.
fn order(args: &Arguments<'_, '_>) -> std::result::Result<Ordering, ExecutionError> {
    let (a, b) = (args[0].as_ref(), args[1].as_ref());
    let overload = || {
        let names = [a, b].map(|value| value.get_type().name().to_owned());
        ExecutionError::no_such_overload("_<_", names.to_vec())
    };
    match a.as_comparer().ok_or_else(overload)?.compare(b) {
        Err(ExecutionError::ValuesNotComparable(..)) => Err(overload()),
        compared => compared,
    }
}

/// Each element is copied for the loop and the body runs over it.
fn range<'b, 'v>(mut args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let body = u64::try_from(*arg::<CelInt>(&args, 1)?.inner()).unwrap_or(u64::MAX);
    args.truncate(1);
    let range = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let length = match range.as_sizer() {
        Some(sizer) => u64::try_from(*sizer.size().inner()).unwrap_or(u64::MAX),
        None => value::items(range.as_ref()).len() as u64,
    };
    budget::pay(length.saturating_mul(body).saturating_add(value::weight(range.as_ref())))?;
    let Some(map) = range.downcast_ref::<CelMap<'_>>() else { return Ok(range) };
    let mut keys: Vec<_> = map.inner().keys().cloned().collect();
    keys.sort();
    let keys: Vec<Box<dyn Val + 'v>> = keys.iter().map(|key| key.inner().clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn replace<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let (this, from, to) = (text(&args, 0)?, text(&args, 1)?, text(&args, 2)?);
    let limit = if args.len() > 3 { *arg::<CelInt>(&args, 3)?.inner() } else { -1 };
    let found = this.matches(from).count() as u64;
    let found = u64::try_from(limit).map_or(found, |limit| found.min(limit));
    budget::pay((found.saturating_mul(to.len() as u64) + this.len() as u64) / 16 + 1)?;
    match usize::try_from(limit) {
        Ok(limit) => string(this.replacen(from, to, limit)),
        Err(_) => string(this.replace(from, to)),
    }
}

fn join<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let separator = if args.len() > 1 { text(&args, 1)? } else { "" };
    let mut parts = Vec::new();
    let mut length = 0_u64;
    for item in value::items(args[0].as_ref()) {
        let Some(part) = item.downcast_ref::<cel::common::types::CelString<'_>>() else {
            return Err(ExecutionError::function_error("join", "the list has something else than strings"));
        };
        length += (part.inner().len() + separator.len()) as u64;
        parts.push(part.inner());
    }
    budget::pay(length / 16 + parts.len() as u64 + 1)?;
    string(parts.join(separator))
}
