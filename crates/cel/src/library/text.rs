//! Regular expressions, and strings.

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelInt, CelList, CelString, INT_TYPE, STRING_TYPE},
        value::{CowVal, Val},
    },
};

use super::{Arguments, Result, arg, boolean, budget, global, member, patterns, string, text};

pub(super) fn add(env: &mut Env) {
    let two = || vec![STRING_TYPE, STRING_TYPE];
    global(env, "@contains", two(), |args| boolean(text(&args, 0)?.contains(text(&args, 1)?)));
    global(env, "@starts_with", two(), |args| boolean(text(&args, 0)?.starts_with(text(&args, 1)?)));
    global(env, "@ends_with", two(), |args| boolean(text(&args, 0)?.ends_with(text(&args, 1)?)));
    global(env, "@matches", vec![STRING_TYPE, STRING_TYPE], matches);
    member(env, "@matches", STRING_TYPE, vec![STRING_TYPE], matches);
    member(env, "find", STRING_TYPE, vec![STRING_TYPE], find);
    member(env, "findAll", STRING_TYPE, vec![STRING_TYPE], find_all);
    member(env, "findAll", STRING_TYPE, vec![STRING_TYPE, INT_TYPE], find_all);
}

/// What compiling a pattern costs.
const COMPILING: u64 = 2_000;

fn pattern(text: &str, pattern: &str) -> std::result::Result<std::rc::Rc<regex::Regex>, ExecutionError> {
    let (regex, fresh) =
        patterns::compile(pattern).map_err(|why| ExecutionError::function_error("matches", why))?;
    budget::pay(if fresh { COMPILING } else { 1 } + (text.len() / 16) as u64)?;
    Ok(regex)
}

fn matches<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let this = text(&args, 0)?;
    boolean(pattern(this, text(&args, 1)?)?.is_match(this))
}

/// The first match, or the empty text.
fn find<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let this = text(&args, 0)?;
    string(pattern(this, text(&args, 1)?)?.find(this).map_or("", |found| found.as_str()))
}

/// All matches; with a limit that is not negative at most so many.
fn find_all<'b, 'v>(args: Arguments<'b, 'v>) -> Result<'b, 'v> {
    let this = text(&args, 0)?;
    let limit = if args.len() > 2 { *arg::<CelInt>(&args, 2)?.inner() } else { -1 };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let regex = pattern(this, text(&args, 1)?)?;
    let boxed =
        |found: regex::Match<'_>| Box::new(CelString::from(found.as_str().to_owned())) as Box<dyn Val>;
    let all: Vec<Box<dyn Val>> = regex.find_iter(this).take(limit).map(boxed).collect();
    Ok(CowVal::owned(CelList::from(all)))
}
