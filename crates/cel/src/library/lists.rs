//! Kubernetes' list functions and cel-go's sets.

use std::cmp::Ordering;

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelInt, CelList, CelOptional, DYN_TYPE, INT_TYPE, LIST_TYPE},
        value::{CowVal, Val},
    },
};

use super::{Arguments, Result, arg, boolean, budget, global, member, value::items, value::weight};

pub(super) fn add(env: &mut Env) {
    member(env, "isSorted", LIST_TYPE, vec![], is_sorted);
    member(env, "sum", LIST_TYPE, vec![], sum);
    member(env, "min", LIST_TYPE, vec![], |args| extreme(args, "min", Ordering::Less));
    member(env, "max", LIST_TYPE, vec![], |args| extreme(args, "max", Ordering::Greater));
    member(env, "indexOf", LIST_TYPE, vec![DYN_TYPE], index_of);
    member(env, "lastIndexOf", LIST_TYPE, vec![DYN_TYPE], last_index_of);
    member(env, "distinct", LIST_TYPE, vec![], distinct);
    member(env, "flatten", LIST_TYPE, vec![], |args| flatten(&args, 1));
    member(env, "flatten", LIST_TYPE, vec![INT_TYPE], |args| {
        let depth = *arg::<CelInt>(&args, 1)?.inner();
        if depth < 0 {
            return Err(ExecutionError::function_error("flatten", "level must be non-negative"));
        }
        flatten(&args, depth)
    });
    member(env, "reverse", LIST_TYPE, vec![], |args| made(of_list(&args, "reverse")?.into_iter().rev()));
    member(env, "slice", LIST_TYPE, vec![INT_TYPE, INT_TYPE], slice);
    member(env, "sort", LIST_TYPE, vec![], sort);
    member(env, "first", LIST_TYPE, vec![], |args| optional(of_list(&args, "first")?.first()));
    member(env, "last", LIST_TYPE, vec![], |args| optional(of_list(&args, "last")?.last()));
    global(env, "lists.range", vec![INT_TYPE], range);
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

/// The items of a list; of anything else there are none, and the call has no meaning.
fn of_list<'a, 'v>(
    args: &'a [CowVal<'_, 'v>],
    function: &str,
) -> std::result::Result<Vec<&'a (dyn Val + 'v)>, ExecutionError> {
    let list = args[0].as_ref();
    if list.get_type() == &LIST_TYPE {
        Ok(items(list))
    } else {
        Err(ExecutionError::function_error(function, "no such overload"))
    }
}

/// A list of these.
fn made<'a, 'b, 'v: 'a>(all: impl Iterator<Item = &'a (dyn Val + 'v)>) -> Result<'b, 'v> {
    let mut list: Vec<Box<dyn Val + 'v>> = Vec::new();
    for item in all {
        budget::pay(weight(item))?;
        list.push(item.clone_as_boxed());
    }
    Ok(CowVal::owned(CelList::from(list)))
}

fn optional<'b, 'v>(item: Option<&&(dyn Val + 'v)>) -> Result<'b, 'v> {
    Ok(CowVal::owned(item.map_or_else(CelOptional::none, |item| CelOptional::of(item.clone_as_boxed()))))
}

fn distinct<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let mut seen: Vec<&dyn Val> = Vec::new();
    for item in of_list(&args, "distinct")? {
        budget::pay(seen.len() as u64)?;
        if !seen.iter().any(|known| known.equals(item)) {
            seen.push(item);
        }
    }
    made(seen.into_iter())
}

/// Lists in the list take the place of themselves, this many levels deep.
fn flatten<'b, 'v>(args: &[CowVal<'b, 'v>], depth: i64) -> Result<'b, 'v> {
    let mut all = of_list(args, "flatten")?;
    for _ in 0..depth {
        let nested = all.iter().any(|item| item.get_type() == &LIST_TYPE);
        if !nested {
            break;
        }
        budget::pay(all.len() as u64)?;
        let inner = |item: &'_ _| -> Vec<_> {
            let item: &dyn Val = *item;
            if item.get_type() == &LIST_TYPE { items(item) } else { vec![item] }
        };
        all = all.iter().flat_map(inner).collect();
    }
    made(all.into_iter())
}

fn slice<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let all = of_list(&args, "slice")?;
    let (start, end) = (*arg::<CelInt>(&args, 1)?.inner(), *arg::<CelInt>(&args, 2)?.inner());
    let wrong = |why: String| Err(ExecutionError::function_error("slice", why));
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return wrong(format!("cannot slice({start}, {end}), negative indexes not supported"));
    };
    if from > to {
        return wrong(format!(
            "cannot slice({start}, {end}), start index must be less than or equal to end index"
        ));
    }
    if to > all.len() {
        return wrong(format!("cannot slice({start}, {end}), list is length {}", all.len()));
    }
    made(all[from..to].iter().copied())
}

fn sort<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let mut all = of_list(&args, "sort")?;
    budget::pay((all.len() as u64).saturating_mul(16))?;
    let mut wrong = None;
    all.sort_by(|a, b| {
        compare("sort", *a, *b).unwrap_or_else(|error| {
            wrong.get_or_insert(error);
            Ordering::Equal
        })
    });
    match wrong {
        Some(error) => Err(error),
        None => made(all.into_iter()),
    }
}

fn range<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let most = *arg::<CelInt>(&args, 0)?.inner();
    budget::pay(u64::try_from(most).unwrap_or(0))?;
    let all: Vec<Box<dyn Val + 'v>> = (0..most).map(|n| Box::new(CelInt::from(n)) as Box<dyn Val>).collect();
    Ok(CowVal::owned(CelList::from(all)))
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
