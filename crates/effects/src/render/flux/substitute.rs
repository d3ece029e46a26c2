//! Variables in text, as Flux fills them in after a build: `${name}`, with defaults and the string functions of Bash.
//! Source: fluxcd/pkg `envsubst`.

use std::borrow::Cow;

/// A default in a default in a default…: nobody means more.
const DEEPEST: usize = 32;
/// Most bytes that a text, or a part of it, may come to: replacements in replacements multiply, so that a hundred bytes could
/// fill any memory.
const LONGEST: usize = 16 << 20;
/// Most steps of matching a pattern: its length times the value's.
const MATCHING: usize = 64 << 20;

/// What is known of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable<'a> {
    Is(&'a str),
    Unset,
    /// It is not set, and Flux does not take that for nothing (`StrictPostBuildSubstitutions`).
    Missing,
    /// Its value is made elsewhere.
    Unknown,
}

/// Why a text was not filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It needs a variable whose value is made elsewhere.
    Unknown(String),
    /// It needs a variable that is not set.
    Missing(String),
    /// In Flux's words.
    Wrong(&'static str),
}

const NAME: Failed = Failed::Wrong("unable to parse variable name");
const BRACE: Failed = Failed::Wrong("missing closing brace");
const BAD: Failed = Failed::Wrong("bad substitution");
const LONG: Failed = Failed::Wrong("the result is too long");
const PARAMETER: Failed = Failed::Wrong("unable to parse substitution within function");

/// Fills in all variables of `text`.
pub(crate) fn fill<'a>(text: &str, value: &dyn Fn(&str) -> Variable<'a>) -> Result<String, Failed> {
    let mut reader = Reader { rest: text, value };
    let mut out = String::with_capacity(text.len());
    loop {
        let Some(at) = reader.rest.find('$') else {
            out.push_str(reader.rest);
            return Ok(out);
        };
        out.push_str(&reader.rest[..at]);
        reader.rest = &reader.rest[at..];
        if reader.take("${") {
            join(&mut out, &reader.variable(0)?)?;
        } else if reader.take("$$") || reader.take("$") {
            // Two stand for one that begins nothing.
            out.push('$');
        }
    }
}

/// Adds to a text that may not grow without end.
fn join(text: &mut String, more: &str) -> Result<(), Failed> {
    if text.len() + more.len() > LONGEST {
        return Err(LONG);
    }
    text.push_str(more);
    Ok(())
}

struct Reader<'t, 'f, 'a> {
    rest: &'t str,
    value: &'f dyn Fn(&str) -> Variable<'a>,
}

impl<'t> Reader<'t, '_, '_> {
    fn take(&mut self, begin: &str) -> bool {
        let rest = self.rest.strip_prefix(begin);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn name(&mut self) -> &'t str {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }

    fn close(&mut self) -> Result<(), Failed> {
        if self.take("}") { Ok(()) } else { Err(BAD) }
    }

    /// What follows `${`.
    fn variable(&mut self, depth: usize) -> Result<String, Failed> {
        if depth > DEEPEST {
            return Err(BAD);
        }
        if self.take("#") {
            let name = self.name();
            if name.is_empty() {
                return Err(BAD);
            }
            self.close()?;
            return Ok(self.get(name)?.len().to_string());
        }
        let name = self.name();
        if name.is_empty() {
            return Err(NAME);
        }
        if self.take("}") {
            return self.get(name);
        }
        for operator in [":=", ":-", ":?", ":+", "="] {
            if self.take(operator) {
                return self.default(name, depth);
            }
        }
        if self.take(":") {
            return self.part(name, depth);
        }
        for (operator, change) in CASES {
            if self.take(operator) {
                self.close()?;
                return Ok(change(&self.get(name)?));
            }
        }
        if self.take("/") {
            let how = ["/", "#", "%"].into_iter().find(|how| self.take(how)).unwrap_or_default();
            return self.replaced(name, how, depth);
        }
        for operator in ["##", "#", "%%", "%"] {
            if self.take(operator) {
                let pattern = self.parameter(&['}'], false, depth)?;
                self.close()?;
                return trimmed(&self.get(name)?, operator, &pattern);
            }
        }
        Err(BRACE)
    }

    /// The value; nothing for what is not set.
    fn get(&self, name: &str) -> Result<String, Failed> {
        match (self.value)(name) {
            Variable::Is(value) => Ok(value.to_owned()),
            Variable::Unset => Ok(String::new()),
            Variable::Missing => Err(Failed::Missing(name.to_owned())),
            Variable::Unknown => Err(Failed::Unknown(name.to_owned())),
        }
    }

    fn default(&mut self, name: &str, depth: usize) -> Result<String, Failed> {
        let mut default = String::new();
        while !self.take("}") {
            join(&mut default, &self.parameter(&['}'], false, depth)?)?;
        }
        // Operators with a default are for what is not set.
        let value = match self.get(name) {
            Err(Failed::Missing(_)) => String::new(),
            value => value?,
        };
        Ok(if value.is_empty() { default } else { value })
    }

    /// `${name:offset}` and `${name:offset:length}`, in bytes.
    fn part(&mut self, name: &str, depth: usize) -> Result<String, Failed> {
        let offset = self.parameter(&[':', '}'], false, depth)?;
        let mut length = None;
        if !self.take("}") {
            if !self.take(":") {
                return Err(BAD);
            }
            while self.take(":") {}
            length = Some(self.parameter(&['}'], false, depth)?);
            self.close()?;
        }
        let value = self.get(name)?;
        let Ok(offset) = offset.parse::<i64>() else { return Ok(value) };
        let all = i64::try_from(value.len()).unwrap_or(i64::MAX);
        let from = if offset < 0 { (all + offset).max(0) } else { offset };
        let to = match length.map(|length| length.parse::<i64>()) {
            None => all,
            Some(Err(_)) => return Ok(value),
            Some(Ok(length)) => from.saturating_add(length).min(all),
        };
        if from >= all {
            return Ok(String::new());
        }
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        // A length that leads back before the offset Flux does not survive.
        let bytes = range.and_then(|(from, to)| value.as_bytes().get(from..to)).ok_or(BAD)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn replaced(&mut self, name: &str, how: &str, depth: usize) -> Result<String, Failed> {
        let old = self.parameter(&['/'], true, depth)?;
        if !self.take("/") {
            return Err(BAD);
        }
        while self.take("/") {}
        let mut new = String::new();
        if !self.take("}") {
            new = self.parameter(&['}'], true, depth)?;
            self.close()?;
        }
        let value = self.get(name)?;
        let times = if how == "/" { value.matches(&*old).count() } else { 1 };
        if times.saturating_mul(new.len()).saturating_add(value.len()) > LONGEST {
            return Err(LONG);
        }
        Ok(match how {
            "/" => value.replace(&old, &new),
            "#" if value.starts_with(&old) => value.replacen(&old, &new, 1),
            "%" => value.strip_suffix(&*old).map_or(value.clone(), |begin| format!("{begin}{new}")),
            "#" => value,
            _ => value.replacen(&old, &new, 1),
        })
    }

    /// One parameter of a function: another variable, or text up to one of `end` or to a variable.
    fn parameter(&mut self, end: &[char], escapes: bool, depth: usize) -> Result<String, Failed> {
        if self.take("${") {
            return self.variable(depth + 1);
        }
        let mut out = String::new();
        let mut any = false;
        while let Some(next) = self.rest.chars().next() {
            if escapes && ["$$", "\\/", "\\\\"].iter().any(|two| self.rest.starts_with(two)) {
                out.extend(self.rest.chars().nth(1));
                self.rest = &self.rest[2..];
            } else if end.contains(&next) || self.rest.starts_with("${") {
                break;
            } else {
                out.push(next);
                self.rest = &self.rest[next.len_utf8()..];
            }
            any = true;
        }
        if any { Ok(out) } else { Err(PARAMETER) }
    }
}

type Case = fn(&str) -> String;

const CASES: [(&str, Case); 4] = [
    (",,", |text| text.to_lowercase()),
    (",", |text| first(text, |c| c.to_lowercase().to_string())),
    ("^^", |text| text.to_uppercase()),
    ("^", |text| first(text, |c| c.to_uppercase().to_string())),
];

fn first(text: &str, change: impl Fn(char) -> String) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| change(first) + rest.as_str())
}

/// `#`, `##`, `%` and `%%`: without the shortest or longest beginning or end that the pattern matches.
fn trimmed(value: &str, operator: &str, pattern: &str) -> Result<String, Failed> {
    if value.len().saturating_mul(pattern.len()) > MATCHING {
        return Err(LONG);
    }
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let end = operator.starts_with('%');
    let (text, pattern) =
        if end { (reversed(value), reversed(pattern)) } else { (value.to_owned(), pattern.to_owned()) };
    let pattern: Vec<char> = pattern.chars().collect();
    let mut ends = ends(&pattern, &text);
    let found = if operator.len() == 1 { ends.next() } else { ends.last() };
    let rest: Cow<'_, str> = text[found.unwrap_or(0)..].into();
    Ok(if end { reversed(&rest) } else { rest.into_owned() })
}

/// Where the beginnings of a text end that match a shell pattern of `*`, `?`, `[…]` and `\`; `*` matches slashes too. All places
/// of the pattern that can be reached are kept side by side, so that no pattern takes more than its length for each character.
fn ends(pattern: &[char], text: &str) -> impl Iterator<Item = usize> {
    let mut reached = vec![false; pattern.len() + 1];
    let enter = |reached: &mut [bool], mut at: usize| {
        reached[at] = true;
        while pattern.get(at) == Some(&'*') {
            at += 1;
            reached[at] = true;
        }
    };
    enter(&mut reached, 0);
    text.char_indices().filter_map(move |(at, c)| {
        let before = std::mem::replace(&mut reached, vec![false; pattern.len() + 1]);
        for place in before.into_iter().enumerate().filter_map(|(place, is)| is.then_some(place)) {
            match pattern.get(place) {
                Some('*') => enter(&mut reached, place),
                Some(_) => {
                    if let Some(used) = one(&pattern[place..], c) {
                        enter(&mut reached, place + used);
                    }
                }
                None => {}
            }
        }
        reached[pattern.len()].then_some(at + c.len_utf8())
    })
}

/// How much of the pattern one character takes.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', wanted, ..] => (*wanted == c).then_some(2),
        ['[', class @ ..] => {
            let end = class.iter().skip(1).position(|c| *c == ']')? + 1;
            let (not, class) = match &class[..end] {
                ['^', rest @ ..] => (true, rest),
                class => (false, class),
            };
            let mut found = false;
            let mut at = 0;
            while at < class.len() {
                if let [low, '-', high, ..] = class[at..] {
                    found |= (low..=high).contains(&c);
                    at += 3;
                } else {
                    found |= class[at] == c;
                    at += 1;
                }
            }
            (found != not).then_some(end + 2)
        }
        [wanted, ..] => (*wanted == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, Failed> {
        fill(text, &|name| match name {
            "domain" => Variable::Is("dev.Example.com"),
            "path" => Variable::Is("a/b/c"),
            "secret" => Variable::Unknown,
            _ => Variable::Unset,
        })
    }

    /// Results of fluxcd/pkg `envsubst`'s own tests and documentation.
    #[test]
    fn as_flux_fills_them_in() {
        for (text, wanted) in [
            ("no $variable, 5$", "no $variable, 5$"),
            ("app.${domain}", "app.dev.Example.com"),
            ("${none}!", "!"),
            ("$${domain} and $$$${domain}", "${domain} and $${domain}"),
            ("${none:=a.${domain}}", "a.dev.Example.com"),
            ("${none:-x}${none=y}${domain:=z}", "xydev.Example.com"),
            ("${none:=}", ""),
            ("${domain,,}", "dev.example.com"),
            ("${domain^}", "Dev.Example.com"),
            ("${#domain}", "15"),
            ("${domain:0:3}", "dev"),
            ("${domain:4}", "Example.com"),
            ("${domain:99}", ""),
            ("${domain/e/E}", "dEv.Example.com"),
            ("${domain//e/E}", "dEv.ExamplE.com"),
            ("${domain/#dev/prod}", "prod.Example.com"),
            ("${domain/%com/org}", "dev.Example.org"),
            ("${path//\\//.}", "a.b.c"),
            ("${domain#*.}", "Example.com"),
            ("${domain##*.}", "com"),
            ("${domain%.*}", "dev.Example"),
            ("${domain%%.*}", "dev"),
        ] {
            assert_eq!(filled(text), Ok(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_flux_refuses_is_refused_and_what_is_not_known_is_said() {
        for (text, why) in [
            ("${{ github.sha }}", NAME),
            ("${}", NAME),
            ("${a", BRACE),
            ("${a-b}", BRACE),
            ("${a:=b", PARAMETER),
            ("${a:}", PARAMETER),
            ("${#}", BAD),
            ("${domain:5:-9}", BAD),
            ("${secret}", Failed::Unknown("secret".into())),
            ("${secret:=a}", Failed::Unknown("secret".into())),
        ] {
            assert_eq!(filled(text), Err(why), "{text}");
        }
        assert_eq!(filled(&"${a:=".repeat(10_000)), Err(BAD));
    }

    /// As kustomize-controller does since 1.9, where nobody says otherwise.
    #[test]
    fn what_is_not_set_fails_but_for_defaults() {
        let strict = |text: &str| {
            fill(text, &|name| match name {
                "set" => Variable::Is("value"),
                "empty" => Variable::Is(""),
                _ => Variable::Missing,
            })
        };
        for (text, wanted) in [
            ("${set}${empty}", "value"),
            ("${none:-a}${none:=b}${none=c}${none:+d}${none:?e}", "abcde"),
            ("$${none} $none", "${none} $none"),
        ] {
            assert_eq!(strict(text), Ok(wanted.to_owned()), "{text}");
        }
        for text in [
            "${none}",
            "${none,,}",
            "${#none}",
            "${none:0:1}",
            "${none/a/b}",
            "${none%%.*}",
            "${set:=${none}}",
        ] {
            assert_eq!(strict(text), Err(Failed::Missing("none".into())), "{text}");
        }
    }

    #[test]
    fn a_short_text_does_not_become_a_long_one() {
        // Each replacement makes ten of every `e`: 10^24 bytes of 220.
        let bomb = (0..24).fold("e".repeat(10), |new, _| format!("${{e//e/{new}}}"));
        let fill = |text: &str, e: &str| {
            fill(text, &|name| if name == "e" { Variable::Is(e) } else { Variable::Unset })
        };
        assert_eq!(fill(&bomb, &"e".repeat(10)), Err(LONG));
        let value = "x".repeat(1 << 20);
        assert_eq!(fill(&"${e}".repeat(17), &value), Err(LONG));
        assert_eq!(fill(&format!("${{none:={}}}", "${e}".repeat(17)), &value), Err(LONG));
        assert_eq!(fill(&"${e}".repeat(15), &value).map(|filled| filled.len()), Ok(15 << 20));
        // What matches nowhere is looked for at every place once.
        assert_eq!(fill("${e##*a*b*c}", &value), Ok(value.clone()));
        assert_eq!(fill(&format!("${{e%%{}}}", "*a".repeat(100)), &value), Err(LONG));
    }
}
