//! Tables as kubectl prints them: columns without lines, so that they can be cut and searched. On a terminal they fit its
//! width; in a pipe they are as wide as what stands in them.

use std::io::IsTerminal as _;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use owo_colors::OwoColorize as _;
use portolan_model::shown;

/// Blanks between two columns.
const GAP: usize = 3;
/// A column is not made narrower than this.
const NARROWEST: usize = 12;

/// A table that is being filled.
pub struct Columns {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Columns that a narrow terminal does without, the first to go first.
    optional: Vec<&'static str>,
}

impl Columns {
    /// An empty table with these headings.
    pub fn new(heads: impl IntoIterator<Item = &'static str>) -> Self {
        Self { heads: heads.into_iter().collect(), rows: Vec::new(), optional: Vec::new() }
    }

    /// Says which columns a narrow terminal does without, the first to go first.
    pub fn optional(mut self, heads: &[&'static str]) -> Self {
        self.optional = heads.to_vec();
        self
    }

    /// Adds a row; `-` stands for nothing.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| match &*shown::text(&cell) {
            "" => "-".to_owned(),
            text => text.to_owned(),
        });
        self.rows.push(cells.collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines for where standard output goes.
    pub fn lines(&self) -> String {
        self.fit(width())
    }

    /// The lines, at most `width` wide.
    pub fn fit(&self, width: Option<usize>) -> String {
        let natural: Vec<usize> = (0..self.heads.len()).map(|n| self.natural(n)).collect();
        let mut shown: Vec<usize> = (0..self.heads.len()).collect();
        let total = |shown: &[usize]| -> usize {
            shown.iter().map(|n| natural[*n]).sum::<usize>() + GAP * shown.len().saturating_sub(1)
        };
        let Some(width) = width.filter(|width| total(&shown) > *width) else {
            return self.draw(&shown, &natural);
        };
        // What is the same in all rows is said once, and before anything is folded.
        let mut same: Vec<usize> = Vec::new();
        for n in 0..self.heads.len() {
            if shown.len() > 1 && self.rows.len() > 1 && total(&shown) > width && self.is_same(n) {
                shown.retain(|other| *other != n);
                same.push(n);
            }
        }
        for name in &self.optional {
            // What is left may be folded: a column goes only if the others would become too narrow for words.
            if folded(&shown, &natural, width).is_some_and(|widths| readable(&shown, &natural, &widths)) {
                break;
            }
            shown.retain(|n| self.heads[*n] != *name);
        }
        let widths = folded(&shown, &natural, width).unwrap_or(natural);
        let mut out = self.draw(&shown, &widths);
        let left_out: Vec<&str> = (0..self.heads.len())
            .filter(|n| !shown.contains(n) && !same.contains(n))
            .map(|n| self.heads[n])
            .collect();
        if !same.is_empty() {
            let cells = same.iter().map(|n| format!("{} {}", self.heads[*n], self.rows[0][*n]));
            let told = format!("(the same in all: {})", cells.collect::<Vec<_>>().join(", "));
            out.push_str(&fold(&told, Some(width)));
        }
        if !left_out.is_empty() {
            let told = format!("(no room for {}; --output json has all)", left_out.join(", "));
            out.push_str(&fold(&told, Some(width)));
        }
        out
    }

    /// Whether all rows have the same in a column that a narrow terminal does without.
    fn is_same(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row.get(column));
        let first = cells.next();
        self.optional.contains(&self.heads[column]) && cells.all(|cell| Some(cell) == first)
    }

    fn natural(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(self.heads[column].len())
    }

    fn draw(&self, shown: &[usize], widths: &[usize]) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        let total: usize = shown.iter().map(|n| widths[*n] + GAP).sum();
        table.set_width(u16::try_from(total).unwrap_or(u16::MAX));
        table.set_header(shown.iter().map(|n| self.heads[*n]));
        for row in &self.rows {
            table.add_row(shown.iter().map(|n| row.get(*n).map_or("-", String::as_str)));
        }
        for (column, n) in table.column_iter_mut().zip(shown) {
            let gap = u16::try_from(GAP).unwrap_or_default();
            column.set_padding((0, gap));
            let width = u16::try_from(widths[*n]).unwrap_or(u16::MAX - gap).saturating_add(gap);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
        let mut out = String::new();
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Widths with which the columns fit: what is widest gives first. `None` if they cannot.
fn folded(shown: &[usize], natural: &[usize], width: usize) -> Option<Vec<usize>> {
    let mut widths = natural.to_vec();
    let room = width.checked_sub(GAP * shown.len().saturating_sub(1))?;
    loop {
        let sum: usize = shown.iter().map(|n| widths[*n]).sum();
        if sum <= room {
            return Some(widths);
        }
        let widest = *shown.iter().max_by_key(|n| widths[**n])?;
        if widths[widest] <= NARROWEST {
            return None;
        }
        let next = shown.iter().map(|n| widths[*n]).filter(|w| *w < widths[widest]).max().unwrap_or(0);
        widths[widest] = next.max(widths[widest].saturating_sub(sum - room)).max(NARROWEST);
    }
}

/// Whether nothing is folded into more lines than people read.
fn readable(shown: &[usize], natural: &[usize], widths: &[usize]) -> bool {
    shown.iter().all(|n| natural[*n] <= widths[*n] * 3)
}

/// Columns of the terminal that standard output is; `None` for a pipe or a file.
pub fn width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(stdout).map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

/// A line whose first word says how something is, with that word in colour. Only `out` calls it, with what is plain text.
pub fn colour(line: &str) -> String {
    let (word, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
    match word {
        "live" | "Healthy" | "ok" | "resolved" => format!("{}{rest}", word.green()),
        "pending" | "unknown" | "Progressing" | "Suspended" | "warning" => format!("{}{rest}", word.yellow()),
        "refused" | "Degraded" | "Missing" | "Unknown" | "error" | "NO" => format!("{}{rest}", word.red()),
        "info" | "gone" => format!("{}{rest}", word.dimmed()),
        _ => line.to_owned(),
    }
}

/// Lines of free text, folded at the width of the terminal; what is folded stands below its beginning.
pub fn folded_text(text: &str) -> String {
    fold(text, width())
}

fn fold(text: &str, width: Option<usize>) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let Some(width) = width.filter(|width| line.chars().count() > *width) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let indent = line.len() - line.trim_start().len() + 4;
        let (mut at, mut made) = (0, String::new());
        for word in line.split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            if at > indent && at + length > width {
                made.truncate(made.trim_end().len());
                made.push('\n');
                made.push_str(&" ".repeat(indent));
                at = indent;
            }
            made.push_str(word);
            at += word.chars().count();
        }
        out.push_str(made.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table() -> Columns {
        let heads = ["STATE", "HOSTNAME", "WHY", "URL", "CERTIFICATE", "EXPIRES", "DNS", "ROUTE"];
        let mut table = Columns::new(heads).optional(&["ROUTE", "DNS", "EXPIRES", "CERTIFICATE", "URL"]);
        for (state, host, why) in [
            ("live", "app1.dev.example.com", "answers 200"),
            (
                "refused",
                "reports.internal.dev.example.com",
                "Service payments/reports does not exist, so its requests get 500 until an edit names one that does",
            ),
            ("pending", "app2.dev.example.com", "waiting for the first probe"),
        ] {
            let url = format!("https://{host}:8443/");
            let route = format!("HTTPRoute/payments/{}", &host[..4]);
            let cells = [
                state,
                host,
                why,
                &url,
                if state == "live" { "Portolan development intermediate 3b14d6ef" } else { "" },
                if state == "live" { "89d" } else { "" },
                if state == "refused" { "" } else { "127.77.2.1" },
                &route,
            ];
            table.row(cells.map(str::to_owned));
        }
        table
    }

    #[test]
    fn it_fits_and_keeps_state_and_why() {
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        for width in [80, 120, 200] {
            let text = plain(&table().fit(Some(width)));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
            let head = text.lines().next().unwrap();
            assert!(head.starts_with("STATE     HOSTNAME"), "{text}");
            assert!(head.contains("WHY"), "{text}");
            assert!(text.contains("app2.dev.example.com"), "{text}");
            assert_eq!(head.contains("ROUTE"), width >= 200, "{width}\n{text}");
            assert_eq!(text.contains("(no room for"), width < 200, "{width}\n{text}");
        }
        let wide = plain(&table().fit(None));
        assert_eq!(wide.lines().count(), 4, "{wide}");
        assert!(wide.contains("until an edit names one that does"), "{wide}");
    }

    #[test]
    fn what_is_the_same_in_all_rows_is_said_once_where_there_is_no_room() {
        let mut table =
            Columns::new(["APPLICATION", "OBJECTS", "DROPS", "NOTE"]).optional(&["DROPS", "NOTE", "OBJECTS"]);
        for (name, objects) in [("argocd/dev-01-envoy-gateway", "11"), ("argocd/dev-01-cert-manager", "8")] {
            table.row([name, objects, "goes", ""].map(str::to_owned));
        }
        let wide = table.fit(Some(80));
        assert!(wide.starts_with("APPLICATION                   OBJECTS   DROPS   NOTE\n"), "{wide}");
        assert_eq!(
            table.fit(Some(40)),
            "APPLICATION                   OBJECTS\nargocd/dev-01-envoy-gateway   11\nargocd/dev-01-cert-manager    8\n\
             (the same in all: DROPS goes, NOTE -)\n"
        );
    }

    #[test]
    fn free_text_is_folded_below_its_beginning() {
        let text = fold("error PTL-0001 something is wrong here\n    hint: mend it", Some(24));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "error PTL-0001 something\n    is wrong here\n    hint: mend it\n"
        );
        assert_eq!(anstream::adapter::strip_str(&fold("a b", None)).to_string(), "a b\n");
    }

    #[test]
    fn the_first_word_says_the_colour() {
        assert_ne!(colour("live   a"), "live   a");
        assert_eq!(colour("alive a"), "alive a");
    }
}
