//! Go templates of an ApplicationSet as Helm runs them. Helm is an engine of Go templates with sprig, as Argo CD's is; what
//! Argo CD adds and Helm lacks is written out here: `normalize`, `slugify`, and `missingkey=error`, with which a field that is not there
//! is an error. Helm knows no such option, so each field `.a.b` becomes an expression that fails in its place.

use std::fmt::Write as _;

/// Functions of Helm that Argo CD's engine does not have.
const UNKNOWN: [&str; 8] =
    ["include", "tpl", "required", "lookup", "toToml", "fromToml", "fromJsonArray", "getHostByName"];
/// Fields below one another in one expression; each doubles its length.
const DEEPEST: usize = 8;
/// Most bytes of one expression, as those in parentheses stand in one another, and of a template.
const EXPRESSION: usize = 128 << 10;
const LONGEST: usize = 16 << 20;

/// Name of the template that stands for `normalize` (Argo CD's `SanitizeName`), and its text.
pub(super) const NORMALIZE: &str = "{{- define \"portolan.normalize\" -}}{{ regexReplaceAll \"[^-a-z0-9.]\" (lower .) \"-\" | \
                                    trunc 253 | trimAll \"-.\" }}{{- end -}}";

/// The same for `slugify` (`SlugifyName`), of a list of its arguments: gosimple/slug of what `normalize` gives, which has no letters
/// that it would spell otherwise.
pub(super) const SLUGIFY: &str = "{{- define \"portolan.slugify\" -}}{{- $max := 50 }}{{ $smart := true }}\
{{- if gt (len .) 1 }}{{ $max = int (index . 0) }}{{ end }}{{ if gt (len .) 2 }}{{ $smart = index . 1 }}{{ end }}\
{{- $slug := include \"portolan.normalize\" (last .) }}\
{{- if not $smart }}{{ $slug = trunc $max $slug }}{{ end }}\
{{- $slug = regexReplaceAll \"[^a-z0-9_]+\" $slug \"-\" | trimAll \"-_\" }}\
{{- if and $smart (gt $max 0) (gt (len $slug) $max) }}{{ $cut := trunc (int (add1 $max)) $slug }}\
{{- if contains \"-\" $cut }}{{ $slug = regexReplaceAll \"-[^-]*$\" $cut \"\" }}{{ else }}{{ $slug = trunc $max $slug }}{{ end }}{{ end }}\
{{- $slug }}{{- end -}}";

/// What stands for `slugify` until its arguments are known: the list of them, and after them [`SLUG`].
const SLUGIFIED: &str = "list ";
const SLUG: &str = " | include \"portolan.slugify\"";

/// The template with the actions that Helm runs the same. `strict`: `missingkey=error`.
///
/// # Errors
/// What Argo CD would refuse, or what is not evaluated here.
pub(crate) fn rewrite(template: &str, strict: bool) -> Result<String, String> {
    rewrite_for(template, strict, &|name| match name {
        "normalize" => Ok("include \"portolan.normalize\""),
        "slugify" => Ok(SLUGIFIED),
        name if UNKNOWN.contains(&name) => Err(format!("function \"{name}\" not defined")),
        name => Ok(name),
    })
}

/// The same for another engine of Go templates with sprig: `known` says what stands in Helm's for a function of its own, or why there
/// is none of the name.
///
/// # Errors
/// What `known` refuses, and what is no template.
pub(crate) fn rewrite_for(
    template: &str,
    strict: bool,
    known: &dyn Fn(&str) -> Result<&str, String>,
) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        out.push_str(&rest[..at + 2]);
        let (action, end) = action(&rest[at + 2..], strict, known)?;
        out.push_str(&action);
        if out.len() > LONGEST {
            return Err("a template of that length is not evaluated here".to_owned());
        }
        rest = &rest[at + 2 + end..];
    }
    out.push_str(rest);
    Ok(out)
}

/// An action up to and with its `}}`, and how much text it took.
fn action(
    text: &str,
    strict: bool,
    known: &dyn Fn(&str) -> Result<&str, String>,
) -> Result<(String, usize), String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    // Where each open parenthesis stands in `out`, and where the last closed one did.
    let (mut open, mut closed): (Vec<usize>, Option<usize>) = (Vec::new(), None);
    // At which depth of parentheses a list of arguments stands that `slugify` takes.
    let mut slugs: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let ends = rest.starts_with(['|', ')']) || rest.starts_with("}}") || rest.starts_with("-}}");
        if ends && slugs.last() == Some(&open.len()) {
            slugs.pop();
            out.truncate(out.trim_end().len());
            out.push_str(SLUG);
            out.push(' ');
        }
        if rest.starts_with("}}") {
            return Ok((out + "}}", at + 2));
        }
        let before = closed.take();
        let c = rest.chars().next().unwrap_or_default();
        match c {
            '"' | '`' | '\'' => {
                let end = literal(rest, c).ok_or("unterminated quoted string")?;
                out.push_str(&rest[..end]);
                at += end;
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").ok_or("unclosed comment")? + 2;
                out.push_str(&rest[..end]);
                at += end;
            }
            '(' => {
                open.push(out.len());
                out.push('(');
                at += 1;
            }
            ')' => {
                closed = open.pop();
                out.push(')');
                at += 1;
            }
            '.' if rest[1..].starts_with(is_letter) => {
                let (fields, end) = fields(rest);
                let root = match before {
                    Some(start) => out.split_off(start),
                    None => ".".to_owned(),
                };
                out.push_str(&chain(&root, &fields, strict)?);
                at += end;
            }
            '$' => {
                let end = 1 + rest[1..].find(|c| !is_part(c)).unwrap_or(rest.len() - 1);
                let root = &rest[..end];
                let (fields, more) = fields(&rest[end..]);
                out.push_str(&chain(root, &fields, strict)?);
                at += end + more;
            }
            c if c.is_ascii_digit() => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
                    .unwrap_or(rest.len());
                out.push_str(&rest[..end]);
                at += end;
            }
            c if is_letter(c) => {
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let name = known(&rest[..end])?;
                if name == SLUGIFIED {
                    slugs.push(open.len());
                }
                out.push_str(name.trim_end());
                at += end;
            }
            c => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    Err("unclosed action".to_owned())
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_part(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit()
}

/// Length of a quoted string.
pub(crate) fn literal(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if quote != '`' && !escaped => escaped = true,
            c if c == quote && !escaped => return Some(at + c.len_utf8()),
            _ => escaped = false,
        }
    }
    None
}

/// The fields of `.a.b`, and their length.
fn fields(text: &str) -> (Vec<&str>, usize) {
    let (mut all, mut at) = (Vec::new(), 0);
    while text[at..].starts_with('.') && text[at + 1..].starts_with(is_letter) {
        let name = &text[at + 1..];
        let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
        all.push(&name[..end]);
        at += 1 + end;
    }
    (all, at)
}

/// `root.a.b`; with `strict` an expression that fails where a key is not there. `and` and `or` evaluate no further than they
/// must, and a list is never empty, whatever the value in it is.
fn chain(root: &str, fields: &[&str], strict: bool) -> Result<String, String> {
    if !strict || fields.is_empty() {
        let dot = if root == "." { "" } else { root };
        return Ok(fields
            .iter()
            .fold(if fields.is_empty() { root.to_owned() } else { dot.to_owned() }, |text, field| {
                text + "." + field
            }));
    }
    if fields.len() > DEEPEST {
        return Err(format!("{} fields below one another are not evaluated here", fields.len()));
    }
    let mut value = root.to_owned();
    for field in fields {
        let mut next = String::new();
        let _ = write!(
            next,
            "(index (or (and (hasKey {value} \"{field}\") (list (get {value} \"{field}\"))) \
             (fail \"map has no entry for key \\\"{field}\\\"\")) 0)"
        );
        if next.len() > EXPRESSION {
            return Err(format!("an expression of {} bytes is not evaluated here", root.len()));
        }
        value = next;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn without_the_option_only_names_change() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("{{ .a.b }}-{{.c}}", "{{ .a.b }}-{{.c}}"),
            ("{{ $x := .a }}{{ $x.b }} {{ $.c }}", "{{ $x := .a }}{{ $x.b }} {{ $.c }}"),
            ("{{- (index .l 0).x | normalize -}}", "{{- (index .l 0).x | include \"portolan.normalize\" -}}"),
            ("{{ slugify 23 .a | quote }}", "{{ list 23 .a | include \"portolan.slugify\" | quote }}"),
            ("{{- .a | slugify 9 false -}}", "{{- .a | list 9 false | include \"portolan.slugify\" -}}"),
            ("{{ print (slugify .a) .b }}", "{{ print (list .a | include \"portolan.slugify\" ) .b }}"),
            ("{{ \"}} .a\" }}{{ `{{` }}{{ 1.5 }}", "{{ \"}} .a\" }}{{ `{{` }}{{ 1.5 }}"),
            ("{{/* a .b */}}", "{{/* a .b */}}"),
            ("{{ range . }}{{ . }}{{ end }}", "{{ range . }}{{ . }}{{ end }}"),
        ] {
            assert_eq!(rewrite(text, false).unwrap(), wanted, "{text}");
        }
        assert!(rewrite("{{ include \"x\" . }}", false).unwrap_err().contains("not defined"));
        assert!(rewrite("{{ .a ", false).is_err() && rewrite("{{ \"a }}", false).is_err());
    }

    #[test]
    fn with_it_each_field_is_looked_for() {
        let one = rewrite("{{ .a }}", true).unwrap();
        assert_eq!(
            one,
            "{{ (index (or (and (hasKey . \"a\") (list (get . \"a\"))) (fail \"map has no entry for key \\\"a\\\"\")) 0) }}"
        );
        assert_eq!(rewrite("{{ . }}{{ $x }}{{ 1.5 }}", true).unwrap(), "{{ . }}{{ $x }}{{ 1.5 }}");
        assert!(rewrite("{{ (first .l).name }}", true).unwrap().contains("hasKey (first (index "));
        assert!(rewrite("{{ .a.b.c.d.e.f.g.h.i }}", true).is_err());
        assert!(rewrite("{{ .a.b.c.d.e.f.g.h }}", true).is_ok());
    }

    #[test]
    fn a_short_template_does_not_become_a_long_one() {
        // Each pair of parentheses doubles what stands in it: 2^60 bytes of 250.
        let bomb = (0..60).fold(".a".to_owned(), |inner, _| format!("({inner}).a"));
        let error = rewrite(&format!("{{{{ {bomb} }}}}"), true).unwrap_err();
        assert!(error.contains("not evaluated"), "{error}");
        assert!(rewrite(&"{{ .a.b.c.d.e.f.g.h }}".repeat(20_000), true).unwrap_err().contains("length"));
    }
}
