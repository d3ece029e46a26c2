//! Kubernetes' quantities (`apiserver/pkg/cel/library/quantity.go`): numbers with `Ki`, `M`, `m` behind them.

use std::{any::Any, cmp::Ordering};

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelDouble, CelInt, INT_TYPE, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};

use super::{Arguments, Result, arg, boolean, global, member, text};

static QUANTITY: Type = Type::new_unspecified_type("kubernetes.Quantity");

/// In units of 10⁻⁹: nothing smaller is told apart.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Quantity(i128);

const UNIT: i128 = 1_000_000_000;

impl Val for Quantity {
    fn get_type(&self) -> &Type {
        &QUANTITY
    }
    fn cel_type() -> &'static Type {
        &QUANTITY
    }
    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Quantity>() == Some(self)
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(*self)
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
impl StaticVal for Quantity {}

pub(super) fn add(env: &mut Env) {
    let quantity = || QUANTITY.to_owned();
    global(env, "quantity", vec![STRING_TYPE], |args| {
        let written = text(&args, 0)?;
        let fault = || {
            let words =
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
            ExecutionError::function_error("quantity", words)
        };
        Ok(CowVal::owned(parse(written).ok_or_else(fault)?))
    });
    global(env, "isQuantity", vec![STRING_TYPE], |args| boolean(parse(text(&args, 0)?).is_some()));
    member(env, "sign", quantity(), vec![], |args| int(one(&args, 0)?.0.signum()));
    member(env, "isGreaterThan", quantity(), vec![quantity()], |args| {
        boolean(one(&args, 0)?.0 > one(&args, 1)?.0)
    });
    member(env, "isLessThan", quantity(), vec![quantity()], |args| {
        boolean(one(&args, 0)?.0 < one(&args, 1)?.0)
    });
    member(env, "compareTo", quantity(), vec![quantity()], |args| {
        int(match one(&args, 0)?.0.cmp(&one(&args, 1)?.0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        })
    });
    member(env, "isInteger", quantity(), vec![], |args| boolean(whole(one(&args, 0)?).is_some()));
    member(env, "asInteger", quantity(), vec![], |args| match whole(one(&args, 0)?) {
        Some(number) => Ok(CowVal::owned(CelInt::from(number))),
        None => Err(ExecutionError::function_error("asInteger", "cannot convert value to integer")),
    });
    member(env, "asApproximateFloat", quantity(), vec![], |args: Arguments<'_, '_>| -> Result<'_, '_> {
        #[allow(clippy::cast_precision_loss, reason = "it is called approximate")]
        let float = one(&args, 0)?.0 as f64 / UNIT as f64;
        Ok(CowVal::owned(CelDouble::from(float)))
    });
    for (name, sign) in [("add", 1_i128), ("sub", -1)] {
        let both: super::Function = if sign > 0 {
            |args| sum(one(&args, 0)?.0, one(&args, 1)?.0)
        } else {
            |args| sum(one(&args, 0)?.0, -one(&args, 1)?.0)
        };
        let number: super::Function = if sign > 0 {
            |args| sum(one(&args, 0)?.0, i128::from(*arg::<CelInt>(&args, 1)?.inner()) * UNIT)
        } else {
            |args| sum(one(&args, 0)?.0, -i128::from(*arg::<CelInt>(&args, 1)?.inner()) * UNIT)
        };
        member(env, name, quantity(), vec![quantity()], both);
        member(env, name, quantity(), vec![INT_TYPE], number);
    }
}

fn one<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> std::result::Result<&'a Quantity, ExecutionError> {
    arg::<Quantity>(args, at)
}

fn int<'b, 'v>(number: i128) -> Result<'b, 'v> {
    Ok(CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX))))
}

fn sum<'b, 'v>(a: i128, b: i128) -> Result<'b, 'v> {
    Ok(CowVal::owned(Quantity(a.saturating_add(b))))
}

fn whole(quantity: &Quantity) -> Option<i64> {
    if quantity.0 % UNIT == 0 { i64::try_from(quantity.0 / UNIT).ok() } else { None }
}

fn parse(written: &str) -> Option<Quantity> {
    let (sign, rest) = match written.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, written.strip_prefix('+').unwrap_or(written)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    if before.is_empty() && after.is_empty() || after.contains('.') {
        return None;
    }
    let digits: i128 = format!("{before}{after}").parse().ok()?;
    let (power, factor) = scale(suffix)?;
    let exponent = power - i32::try_from(after.len()).ok()? + 9;
    let digits = digits.checked_mul(factor)?;
    let nano = if exponent >= 0 {
        digits.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?
    } else {
        // What is smaller is rounded up.
        let divisor = 10_i128.checked_pow(exponent.unsigned_abs()).unwrap_or(i128::MAX);
        digits / divisor + i128::from(digits % divisor != 0)
    };
    Some(Quantity(sign * nano))
}

/// Power of ten, and factor.
fn scale(suffix: &str) -> Option<(i32, i128)> {
    Some(match suffix {
        "n" => (-9, 1),
        "u" => (-6, 1),
        "m" => (-3, 1),
        "" => (0, 1),
        "k" => (3, 1),
        "M" => (6, 1),
        "G" => (9, 1),
        "T" => (12, 1),
        "P" => (15, 1),
        "E" => (18, 1),
        "Ki" => (0, 1 << 10),
        "Mi" => (0, 1 << 20),
        "Gi" => (0, 1 << 30),
        "Ti" => (0, 1 << 40),
        "Pi" => (0, 1 << 50),
        "Ei" => (0, 1 << 60),
        exponent => {
            (exponent.strip_prefix(['e', 'E'])?.parse().ok().filter(|power: &i32| power.abs() <= 18)?, 1)
        }
    })
}
