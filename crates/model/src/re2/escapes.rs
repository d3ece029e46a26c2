//! What a backslash means, and character classes in brackets.

use super::classes::{FOLDED, NAMED, POSIX, RANGE, unicode};

/// Takes one character off.
pub(super) fn take(rest: &mut &str) -> Option<char> {
    let c = rest.chars().next()?;
    *rest = &rest[c.len_utf8()..];
    Some(c)
}

/// An escaped character; `rest` begins after the backslash.
pub(super) fn escape(rest: &mut &str) -> Result<u32, String> {
    let bad = |begin: &str, rest: &str| {
        let length = begin.len() - rest.len();
        format!("invalid escape sequence: \\{}", &begin[..length])
    };
    let begin = *rest;
    let Some(c) = take(rest) else { return Err("trailing \\ at the end".into()) };
    let octal = |rest: &str| rest.chars().next().and_then(|c| c.to_digit(8));
    match c {
        '1'..='7' if octal(rest).is_none() => Err(bad(begin, rest)),
        '0'..='7' => {
            let mut code = c.to_digit(8).unwrap_or(0);
            for _ in 0..2 {
                let Some(digit) = octal(rest) else { break };
                code = code * 8 + digit;
                *rest = &rest[1..];
            }
            if code <= 0xFF { Ok(code) } else { Err(bad(begin, rest)) }
        }
        'x' if rest.starts_with('{') => {
            let end = rest.find('}').ok_or_else(|| bad(begin, rest))?;
            let digits = &rest[1..end];
            let code = digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(digits);
            *rest = &rest[end + 1..];
            // Leading zeros may be many; what counts is the value.
            let code = code.filter(|d| !d.is_empty()).map(|d| d.trim_start_matches('0'));
            let code =
                code.and_then(|d| if d.is_empty() { Some(0) } else { u32::from_str_radix(d, 16).ok() });
            code.filter(|code| *code <= 0xFF).ok_or_else(|| bad(begin, rest))
        }
        'x' => {
            let digits = rest.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let code =
                digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(|| bad(begin, rest))?;
            *rest = &rest[2..];
            Ok(code)
        }
        'n' => Ok(10),
        'r' => Ok(13),
        't' => Ok(9),
        'a' => Ok(7),
        'f' => Ok(12),
        'v' => Ok(11),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
        _ => Err(bad(begin, rest)),
    }
}

/// `\pL`, `\p{Greek}`, `\P{^Lu}`; `rest` begins after the `p`.
pub(super) fn group(rest: &mut &str) -> Result<u64, String> {
    let bad = |name: &str| Err(format!("invalid character class range: \\p{{{name}}}"));
    let name = match take(rest) {
        None => return bad(""),
        Some('{') => {
            let Some(end) = rest.find('}') else { return bad(rest) };
            let name = &rest[..end];
            *rest = &rest[end + 1..];
            name.to_owned()
        }
        Some(c) => c.to_string(),
    };
    if unicode(name.strip_prefix('^').unwrap_or(&name)) { Ok(NAMED) } else { bad(&name) }
}

/// A class in brackets; `rest` begins after the `[`. Gives the most instructions that it comes to.
pub(super) fn class(rest: &mut &str, fold: bool) -> Result<u64, String> {
    let whole = *rest;
    let missing = || format!("missing closing ]: [{}", whole.chars().take(40).collect::<String>());
    let negated = rest.starts_with('^');
    if negated {
        take(rest);
    }
    let mut cost = if negated { RANGE } else { 0 };
    let mut first = true;
    loop {
        if rest.is_empty() {
            return Err(if whole.is_char_boundary(whole.len().min(40)) {
                missing()
            } else {
                "missing closing ]".into()
            });
        }
        if rest.starts_with(']') && !first {
            take(rest);
            return Ok(cost.max(1));
        }
        first = false;
        if rest.len() > 2
            && rest.starts_with("[:")
            && let Some(end) = rest[2..].find(":]")
        {
            let name = &rest[2..2 + end];
            if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(format!("invalid character class range: [:{name}:]"));
            }
            cost += NAMED;
            *rest = &rest[end + 4..];
            continue;
        }
        if rest.len() > 2 && (rest.starts_with("\\p") || rest.starts_with("\\P")) {
            *rest = &rest[2..];
            cost += group(rest)?;
            continue;
        }
        if rest.starts_with('\\') && rest[1..].starts_with(['d', 'D', 's', 'S', 'w', 'W']) {
            *rest = &rest[2..];
            cost += NAMED;
            continue;
        }
        let low = character(rest, &missing)?;
        if rest.len() >= 2 && rest.starts_with('-') && !rest[1..].starts_with(']') {
            take(rest);
            if character(rest, &missing)? < low {
                return Err("invalid character class range: its end is before its beginning".into());
            }
        }
        cost += if fold { FOLDED } else { RANGE };
    }
}

fn character(rest: &mut &str, missing: &dyn Fn() -> String) -> Result<u32, String> {
    match take(rest) {
        None => Err(missing()),
        Some('\\') => escape(rest),
        Some(c) => Ok(u32::from(c)),
    }
}
