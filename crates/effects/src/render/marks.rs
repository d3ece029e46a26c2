//! Lines of a template, carried through Helm: a comment behind each line that can have one says which it was. The documents of
//! the marked text have to be those of the plain one, else the marks are dropped (`manifests`).

use std::{collections::BTreeMap, path::Path, sync::Arc};

use portolan_model::{Lines, yaml::Document};

use super::{
    Tools,
    helm::{self, Failure, Request},
    stage,
};

const MARK: &str = " #portolan:";
/// A marked chart that Helm refuses is tried again without the marks of the files that it names.
const TRIES: usize = 3;

/// What Helm makes of the chart with marks; `None` if it makes nothing of it.
pub(super) fn template(tools: &Tools, request: &Request<'_>) -> Option<String> {
    let mut files = request.staged.files.clone();
    let mut marked = Vec::new();
    for (path, content) in &mut files {
        let text = std::str::from_utf8(content).ok().filter(|_| is_template(path));
        if let Some(text) = text.and_then(of) {
            *content = text.into_bytes();
            marked.push(path.clone());
        }
    }
    for _ in 0..TRIES {
        if marked.is_empty() {
            return None;
        }
        let staged = stage::of(files.clone());
        let (values, given) = (request.values.clone(), request.files.clone());
        let request = Request { staged: &staged, values, files: given, ..*request };
        match helm::template(tools, &helm::key(tools, &request), &request) {
            Ok(text) => return Some(text),
            Err(Failure::Chart(said)) => {
                let (named, rest): (Vec<_>, Vec<_>) =
                    marked.into_iter().partition(|path| said.contains(&*path.to_string_lossy()));
                if named.is_empty() {
                    return None;
                }
                for path in &named {
                    files.insert(path.clone(), request.staged.files[path].clone());
                }
                marked = rest;
            }
            Err(_) => return None,
        }
    }
    None
}

/// Whether objects come of the file: what is included elsewhere may become part of a text.
fn is_template(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.parent().is_some_and(|above| above.iter().any(|part| part == "templates"))
        && !name.starts_with('_')
        && path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// The template with its marks; `None` if it defines what others include.
pub(crate) fn of(text: &str) -> Option<String> {
    if text.contains("define ") || text.contains(MARK) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    let (mut action, mut block) = (Action::default(), None);
    for (n, line) in (1..).zip(text.split_inclusive('\n')) {
        let content = line.trim_end_matches(['\n', '\r']);
        let was_open = action.open;
        let literal = action.literal(content);
        let (written, indent) = (literal.trim(), content.len() - content.trim_start_matches(' ').len());
        // Lines of actions alone neither end a text of several lines nor are part of it for certain.
        if !written.is_empty() && block.is_some_and(|of| indent <= of) {
            block = None;
        }
        let prints = !written.is_empty() || action.prints;
        out.push_str(content);
        if prints
            && !was_open
            && !action.open
            && !action.trims
            && block.is_none()
            && !written.starts_with('#')
            && !written.starts_with("---")
        {
            out.push_str(MARK);
            out.push_str(&n.to_string());
        }
        out.push_str(&line[content.len()..]);
        if block.is_none() && begins_text(written) {
            block = Some(indent);
        }
    }
    Some(out)
}

/// Whether a line begins a text of several lines: `key: |`, `- >-2`.
fn begins_text(line: &str) -> bool {
    let last = line.rsplit([' ', '\t']).next().unwrap_or_default();
    last.starts_with(['|', '>']) && last[1..].chars().all(|c| "+-0123456789".contains(c))
}

/// Actions that print nothing.
const CONTROL: [&str; 7] = ["if", "else", "end", "range", "with", "/*", "break"];

/// Where a line stands in the template's actions.
#[derive(Default)]
struct Action {
    /// The line ends in the middle of one.
    open: bool,
    /// An action of the line is one that prints.
    prints: bool,
    /// The last one takes away the space behind it, and nothing else follows.
    trims: bool,
}

impl Action {
    /// What of the line is no action.
    fn literal(&mut self, line: &str) -> String {
        (self.prints, self.trims) = (false, false);
        let (mut literal, mut rest) = (String::new(), line);
        loop {
            if self.open {
                let Some(end) = rest.find("}}") else { return literal };
                self.trims = rest[..end].ends_with('-');
                rest = &rest[end + 2..];
                self.open = false;
            }
            let Some(at) = rest.find("{{") else { break };
            literal.push_str(&rest[..at]);
            rest = &rest[at + 2..];
            let word = rest.trim_start_matches('-').trim_start();
            let is = |control: &&str| {
                word.strip_prefix(*control).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            };
            let control = CONTROL.iter().any(is) || assigns(word);
            self.prints |= !control;
            self.open = true;
        }
        self.trims &= rest.trim().is_empty();
        literal.push_str(rest);
        literal
    }
}

/// `$x := …` prints nothing.
fn assigns(action: &str) -> bool {
    action.starts_with('$')
        && action.split_once('=').is_some_and(|(name, _)| !name.contains(['(', '|', '"', '}']))
}

/// Lines of a marked document in its template, counted from the first of them, which is given too.
pub(super) fn lines(document: &Document, text: &[&str]) -> Option<(u32, Lines)> {
    let mark = |line: u32| {
        let rest = text.get(line.checked_sub(1)? as usize)?.split_once(MARK)?.1;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u32>().ok()
    };
    let marks: BTreeMap<Arc<str>, u32> =
        document.lines.iter().filter_map(|(path, line)| Some((path.into(), mark(line)?))).collect();
    let first = *marks.values().min()?;
    // The object as a whole stands where its first field does.
    let begins = marks.get("apiVersion").or_else(|| marks.get("kind")).copied().unwrap_or(first);
    let fields = marks.iter().map(|(path, line)| (&**path, line - first));
    Some((first, fields.chain([("", begins - first)]).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn marks(text: &str) -> Vec<usize> {
        let out = of(text).unwrap();
        (1..).zip(out.lines()).filter(|(_, line)| line.contains(MARK)).map(|(n, _)| n).collect()
    }

    #[test]
    fn lines_that_print_and_can_carry_a_comment_have_one() {
        let text =
            "{{- if .Values.on }}\nkind: A\nmetadata:\n  name: {{ .Values.name | quote }}\n{{- end }}\n";
        assert_eq!(marks(text), [2, 3, 4]);
        assert_eq!(of("a: b\r\n").unwrap(), "a: b #portolan:1\r\n");
        assert!(of("{{ define \"x\" }}a{{ end }}\n").is_none());
    }

    #[test]
    fn inside_of_texts_actions_and_before_what_trims_there_is_none() {
        let text = "data:\n  a: |\n    one\n{{ if x }}\n    two\n{{ end }}\n  b: 1\n";
        assert_eq!(marks(text), [1, 2, 7]);
        assert_eq!(marks("a: {{ include\n  \"x\"\n  . }}\nb: 1\n"), [4]);
        assert_eq!(marks("a: {{ if x -}}\n  b\n{{- end }}\n# c\n---\nd: >-\n  e\n"), [2, 6]);
        assert_eq!(marks("{{/* a\nb: c\n*/}}\n{{- $x := .Values.a -}}\n{{ $x }}\nd: 1\n"), [5, 6]);
    }
}
