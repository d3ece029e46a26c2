//! What an expression surely gives, seen without its values. A checker with types would know more; this one only says what cannot be
//! otherwise, so nothing that an API server takes is refused for it.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, operators},
};

/// The type in CEL's words; `None`: it depends on values.
pub fn surely(node: &IdedExpr) -> Option<&'static str> {
    match &node.expr {
        Expr::Literal(literal) => Some(match literal {
            LiteralValue::Boolean(_) => "bool",
            LiteralValue::Int(_) => "int",
            LiteralValue::UInt(_) => "uint",
            LiteralValue::Double(_) => "double",
            LiteralValue::String(_) => "string",
            LiteralValue::Bytes(_) => "bytes",
            LiteralValue::Null => "null_type",
        }),
        Expr::List(_) => Some("list"),
        Expr::Map(_) => Some("map"),
        Expr::Select(select) if select.test => Some("bool"),
        Expr::Call(call) => called(call),
        _ => None,
    }
}

fn called(call: &CallExpr) -> Option<&'static str> {
    match (&*call.func_name, &call.args[..]) {
        (
            operators::LOGICAL_NOT
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::IN
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | "startsWith"
            | "endsWith"
            | "contains"
            | "matches",
            _,
        ) => Some("bool"),
        ("size" | "int" | "indexOf" | "lastIndexOf", _) => Some("int"),
        ("string" | "lowerAscii" | "upperAscii" | "trim" | "substring" | "charAt" | "join" | "format", _)
            if !(call.func_name == "format" && call.target.is_none()) =>
        {
            Some("string")
        }
        ("double", _) => Some("double"),
        (operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE, [left, right]) => {
            surely(left).filter(|kind| surely(right) == Some(kind))
        }
        (operators::CONDITIONAL, [_, then, otherwise]) => {
            surely(then).filter(|kind| surely(otherwise) == Some(kind))
        }
        _ => None,
    }
}
