//! The parser: one pass, no recursion, so that no expression can exhaust the stack.

use super::{
    MAX_PROGRAM, MAX_REPEAT,
    classes::{ANY, FOLDED, NAMED},
    escapes::{class, escape, group, take},
};

/// What stands on the stack: most instructions, and the largest product of counts on one way down.
#[derive(Clone, Copy)]
struct Item {
    cost: u64,
    repeat: u64,
}

/// An open group: the flags before it, and what it holds so far.
struct Open {
    fold: bool,
    done: Item,
    last: Option<Item>,
}

impl Open {
    fn new(fold: bool) -> Self {
        Self { fold, done: Item { cost: 0, repeat: 1 }, last: None }
    }

    fn push(&mut self, item: Item) {
        self.settle();
        self.last = Some(item);
    }

    fn settle(&mut self) {
        if let Some(last) = self.last.take() {
            self.done.cost = self.done.cost.saturating_add(last.cost);
            self.done.repeat = self.done.repeat.max(last.repeat);
        }
    }
}

/// Reads an expression and says how many instructions it comes to at most.
///
/// # Errors
/// Why RE2 refuses it, in words like its own, or that its program is too large.
pub fn check(pattern: &str) -> Result<u64, String> {
    if pattern.is_empty() {
        return Err("it is empty".into());
    }
    // One character a byte; see the module.
    let bytes: String = pattern.bytes().map(char::from).collect();
    let mut rest = &*bytes;
    let mut fold = false;
    let mut stack = vec![Open::new(false)];
    let mut unary = false;
    while !rest.is_empty() {
        let before = rest;
        let Some(c) = take(&mut rest) else { break };
        let mut repeated = false;
        let top = stack.last_mut().ok_or("unexpected )")?;
        match c {
            '(' if rest.starts_with('?') => {
                if let Some(inner) = flags(&mut rest, &mut fold)? {
                    stack.push(Open::new(inner));
                }
            }
            '(' => stack.push(Open::new(fold)),
            ')' => {
                let mut group = stack.pop().ok_or("unexpected )")?;
                group.settle();
                let Some(outer) = stack.last_mut() else { return Err(format!("unexpected ): {before}")) };
                fold = group.fold;
                // A capture is two instructions, an alternative one.
                outer.push(Item { cost: group.done.cost.saturating_add(2), repeat: group.done.repeat });
            }
            '|' => {
                top.settle();
                top.done.cost = top.done.cost.saturating_add(2);
            }
            '*' | '+' | '?' => {
                suffix(&mut rest, unary)?;
                let item =
                    top.last.as_mut().ok_or_else(|| format!("no argument for repetition operator: {c}"))?;
                item.cost = item.cost.saturating_add(2);
                repeated = true;
            }
            '{' => match count(rest) {
                Some((low, high, after)) => {
                    rest = after;
                    suffix(&mut rest, unary)?;
                    let text = &before[..before.len() - rest.len()];
                    repeat(top, low, high, text)?;
                    repeated = true;
                }
                None => top.push(literal(fold)),
            },
            '.' => top.push(Item { cost: ANY, repeat: 1 }),
            '^' | '$' => top.push(Item { cost: 1, repeat: 1 }),
            '[' => {
                let cost = class(&mut rest, fold)?;
                top.push(Item { cost, repeat: 1 });
            }
            '\\' => backslash(&mut rest, top, fold)?,
            _ => top.push(literal(fold)),
        }
        unary = repeated;
    }
    let mut whole = stack.pop().ok_or("unexpected )")?;
    if !stack.is_empty() {
        return Err("missing closing )".into());
    }
    whole.settle();
    // The search for the beginning and the match itself.
    let cost = whole.done.cost.saturating_add(6);
    if cost > MAX_PROGRAM {
        return Err(format!(
            "it is too large: its program may take {cost} instructions, and {MAX_PROGRAM} are served"
        ));
    }
    Ok(cost)
}

const fn literal(fold: bool) -> Item {
    Item { cost: if fold { FOLDED } else { 1 }, repeat: 1 }
}

/// After a repetition: `?` makes it lazy; a second one is refused.
fn suffix(rest: &mut &str, unary: bool) -> Result<(), String> {
    if rest.starts_with('?') {
        *rest = &rest[1..];
    }
    if unary { Err("bad repetition operator: one stands after another".into()) } else { Ok(()) }
}

/// `{2}`, `{2,}` or `{2,4}`, without the brace; anything else is literal text.
fn count(rest: &str) -> Option<(u64, Option<u64>, &str)> {
    let end = rest.find('}')?;
    let number = |text: &str| {
        let ok = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'));
        // RE2 takes numbers of more than nine digits for text.
        if ok && text.len() <= 9 { text.parse::<u64>().ok() } else { None }
    };
    let inside = &rest[..end];
    let (low, high) = match inside.split_once(',') {
        None => (number(inside)?, Some(number(inside)?)),
        Some((low, "")) => (number(low)?, None),
        Some((low, high)) => (number(low)?, Some(number(high)?)),
    };
    Some((low, high, &rest[end + 1..]))
}

fn repeat(top: &mut Open, low: u64, high: Option<u64>, text: &str) -> Result<(), String> {
    let wrong = || format!("invalid repetition size: {text} (at most {MAX_REPEAT}, nested ones multiplied)");
    if low > MAX_REPEAT || high.is_some_and(|high| high > MAX_REPEAT || high < low) {
        return Err(wrong());
    }
    let item = top.last.as_mut().ok_or_else(|| format!("no argument for repetition operator: {text}"))?;
    let times = high.unwrap_or(low).max(1);
    let nested = item.repeat.saturating_mul(times);
    if nested > MAX_REPEAT && (low >= 2 || high.is_some_and(|high| high >= 2)) {
        return Err(wrong());
    }
    item.repeat = nested;
    // One more of each, and one for a star at the end.
    item.cost = item.cost.saturating_add(2).saturating_mul(times + u64::from(high.is_none()));
    Ok(())
}

fn backslash(rest: &mut &str, top: &mut Open, fold: bool) -> Result<(), String> {
    let next = rest.chars().next();
    let item = |cost| Item { cost, repeat: 1 };
    match next {
        Some('b' | 'B' | 'A' | 'z' | 'C') => {
            take(rest);
            top.push(item(1));
        }
        Some('Q') => {
            take(rest);
            while !rest.is_empty() {
                if let Some(after) = rest.strip_prefix("\\E") {
                    *rest = after;
                    break;
                }
                take(rest);
                top.push(literal(fold));
            }
        }
        Some('p' | 'P') => {
            take(rest);
            let cost = group(rest)?;
            top.push(item(if fold { 2 * cost } else { cost }));
        }
        Some('d' | 's' | 'w' | 'D' | 'S' | 'W') => {
            take(rest);
            top.push(item(NAMED));
        }
        _ => {
            escape(rest)?;
            top.push(literal(fold));
        }
    }
    Ok(())
}

/// After `(`: a group that does not capture, a named one, or flags. Gives the flag outside for a group that opens.
fn flags(rest: &mut &str, fold: &mut bool) -> Result<Option<bool>, String> {
    let begin = *rest;
    let bad = |rest: &str| Err(format!("invalid perl operator: ({}", &begin[..begin.len() - rest.len()]));
    take(rest);
    if rest.starts_with(['=', '!']) || rest.starts_with("<=") || rest.starts_with("<!") {
        return Err("look-around is not part of RE2".into());
    }
    if let Some(after) = rest.strip_prefix("P<").or_else(|| rest.strip_prefix('<')) {
        let Some(end) = after.find('>') else {
            return Err("invalid named capture group: its name has no end".into());
        };
        let name = &after[..end];
        if name.is_empty() || !name.chars().all(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_') {
            return Err(format!("invalid named capture group: {name}"));
        }
        *rest = &after[end + 1..];
        return Ok(Some(*fold));
    }
    let (mut negated, mut saw, mut next) = (false, false, *fold);
    loop {
        match take(rest) {
            Some('i') => (saw, next) = (true, !negated),
            Some('m' | 's' | 'U') => saw = true,
            Some('-') if !negated => (negated, saw) = (true, false),
            Some(end @ (':' | ')')) => {
                if negated && !saw {
                    return bad(rest);
                }
                let outside = std::mem::replace(fold, next);
                return Ok((end == ':').then_some(outside));
            }
            _ => return bad(rest),
        }
    }
}
