//! Functions that no expression can write: the rewritten tree pays with them.

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelInt, CelList, CelMap, DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE},
        value::{CowVal, Val},
    },
};

use super::{Arguments, Result, arg, budget, global, member, string, text, value};

pub(super) fn add(env: &mut Env) {
    global(env, "@made", vec![DYN_TYPE], made);
    global(env, "@range", vec![DYN_TYPE, INT_TYPE], range);
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

/// Each element is copied for the loop and the body runs over it.
fn range<'b, 'v>(mut args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let body = u64::try_from(*arg::<CelInt>(&args, 1)?.inner()).unwrap_or(u64::MAX);
    args.truncate(1);
    let range = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let length = value::items(range.as_ref()).len() as u64;
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
