//! The environment: standard CEL, the strings extension, and what Kubernetes adds
//! (`apiserver/pkg/cel/library/{regex,lists,urls,ip,cidr}.go`, cel-go's sets).

mod format;
mod lists;
mod net;
mod paid;
mod quantity;
mod text;
mod url;

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelString, Type},
        value::{CowVal, FromVal, Val},
    },
    extensions,
};

use super::{budget, patterns, value};

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Result<'b, 'v> = std::result::Result<CowVal<'b, 'v>, ExecutionError>;
type Function = for<'b, 'v> fn(Arguments<'b, 'v>) -> Result<'b, 'v>;

/// Makes the environment.
pub fn env() -> Env {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings).expect("the extension is added once");
    paid::add(&mut env);
    text::add(&mut env);
    lists::add(&mut env);
    net::add(&mut env);
    url::add(&mut env);
    format::add(&mut env);
    quantity::add(&mut env);
    env
}

fn global(env: &mut Env, name: &str, types: Vec<Type>, function: Function) {
    let id = format!("{name}/{}", names(&types));
    env.add_overload(name, &id, types, function).expect("each overload is added once");
}

fn member(env: &mut Env, name: &str, target: Type, types: Vec<Type>, function: Function) {
    let id = format!("{}.{name}/{}", target.name(), names(&types));
    env.add_member_overload(name, &id, target, types, function).expect("each overload is added once");
}

fn names(types: &[Type]) -> String {
    types.iter().map(Type::name).collect::<Vec<_>>().join(",")
}

/// An argument of a type that the overload was declared for.
fn arg<'a, 'v, T: FromVal<'a, 'v> + Val>(
    args: &'a [CowVal<'_, 'v>],
    at: usize,
) -> std::result::Result<&'a T, ExecutionError> {
    let value = args.get(at).ok_or_else(ExecutionError::missing_argument_or_target)?;
    value.as_ref().downcast_ref::<T>().ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: T::cel_type().name().to_owned(),
    })
}

fn text<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> std::result::Result<&'a str, ExecutionError> {
    Ok(arg::<CelString<'_>>(args, at)?.inner())
}

fn boolean<'b, 'v>(flag: bool) -> Result<'b, 'v> {
    const TRUE: CelBool = CelBool::TRUE;
    const FALSE: CelBool = CelBool::FALSE;
    Ok(CowVal::Borrowed(if flag { &TRUE } else { &FALSE }))
}

fn string<'b, 'v>(text: impl Into<String>) -> Result<'b, 'v> {
    Ok(CowVal::owned(CelString::from(text.into())))
}
