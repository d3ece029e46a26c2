//! Kubernetes' list functions and cel-go's sets.

use std::cmp::Ordering;

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelInt, DYN_TYPE, LIST_TYPE},
        value::{CowVal, Val},
    },
};

use super::{Arguments, Result, boolean, budget, global, member, value::items, value::weight};

pub(super) fn add(env: &mut Env) {
    member(env, "isSorted", LIST_TYPE, vec![], is_sorted);
    member(env, "sum", LIST_TYPE, vec![], sum);
    member(env, "min", LIST_TYPE, vec![], |args| extreme(args, "min", Ordering::Less));
    member(env, "max", LIST_TYPE, vec![], |args| extreme(args, "max", Ordering::Greater));
    member(env, "indexOf", LIST_TYPE, vec![DYN_TYPE], index_of);
    member(env, "lastIndexOf", LIST_TYPE, vec![DYN_TYPE], last_index_of);
    global(env, "sets.contains", vec![LIST_TYPE, LIST_TYPE], |args| {
        pairs(&args)?;
        boolean(subset(&items(args[1].as_ref()), &items(args[0].as_ref())))
    });
    global(env, "sets.equivalent", vec![LIST_TYPE, LIST_TYPE], |args| {
        pairs(&args)?;
        let (a, b) = (items(args[0].as_ref()), items(args[1].as_ref()));
        boolean(subset(&a, &b) && subset(&b, &a))
    });
    global(env, "sets.intersects", vec![LIST_TYPE, LIST_TYPE], |args| {
        pairs(&args)?;
        let (a, b) = (items(args[0].as_ref()), items(args[1].as_ref()));
        boolean(a.iter().any(|item| b.iter().any(|other| item.equals(*other))))
    });
}

fn pairs(args: &[CowVal<'_, '_>]) -> std::result::Result<(), ExecutionError> {
    let length = |at: usize| items(args[at].as_ref()).len() as u64;
    budget::pay(weight(args[0].as_ref()).saturating_mul(length(1)).saturating_add(length(0)))
}

fn subset(part: &[&dyn Val], whole: &[&dyn Val]) -> bool {
    part.iter().all(|item| whole.iter().any(|other| item.equals(*other)))
}

fn compare(function: &str, a: &dyn Val, b: &dyn Val) -> std::result::Result<Ordering, ExecutionError> {
    let comparer = a.as_comparer();
    let comparer = comparer.ok_or_else(|| ExecutionError::function_error(function, "no order is known"))?;
    comparer.compare(b).map_err(|_| ExecutionError::function_error(function, "the elements differ in type"))
}

fn is_sorted<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    for pair in items(args[0].as_ref()).windows(2) {
        if compare("isSorted", pair[0], pair[1])? == Ordering::Greater {
            return boolean(false);
        }
    }
    boolean(true)
}

fn sum<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let all = items(args[0].as_ref());
    let Some((first, rest)) = all.split_first() else { return Ok(CowVal::owned(CelInt::from(0))) };
    let mut sum = first.clone_as_boxed();
    for item in rest {
        if item.get_type() != sum.get_type() {
            return Err(ExecutionError::function_error("sum", "the elements differ in type"));
        }
        let next = match sum.as_adder() {
            Some(adder) => adder.add(*item)?.into_owned(),
            None => return Err(ExecutionError::function_error("sum", "no sum is known")),
        };
        budget::pay(weight(next.as_ref()))?;
        sum = next;
    }
    Ok(CowVal::Owned(sum))
}

fn extreme<'b, 'v>(args: Arguments<'b, 'v>, function: &str, wanted: Ordering) -> Result<'b, 'v> {
    let all = items(args[0].as_ref());
    let Some((first, rest)) = all.split_first() else {
        return Err(ExecutionError::function_error(function, "the list is empty"));
    };
    let mut best = *first;
    for item in rest {
        if compare(function, *item, best)? == wanted {
            best = *item;
        }
    }
    Ok(CowVal::Owned(best.clone_as_boxed()))
}

fn index_of<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    position(items(args[0].as_ref()).iter().position(|item| item.equals(args[1].as_ref())))
}

fn last_index_of<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    position(items(args[0].as_ref()).iter().rposition(|item| item.equals(args[1].as_ref())))
}

fn position<'b, 'v>(found: Option<usize>) -> Result<'b, 'v> {
    let index = found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(index)))
}
