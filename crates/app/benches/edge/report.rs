//! What was measured, as a table.

use std::fmt::Write as _;

use crate::process;

/// One size and program.
pub struct Column {
    pub head: String,
    pub figures: Vec<(String, String)>,
}

/// Rows in the order of the longest column, with the value of each column.
fn rows(columns: &[Column]) -> Vec<(String, Vec<String>)> {
    let Some(longest) = columns.iter().max_by_key(|column| column.figures.len()) else { return vec![] };
    // A name may come twice below different heads: it is the how-many-th of its name that is looked for.
    let nth = |figures: &[(String, String)], at: usize| {
        figures[..at].iter().filter(|(name, _)| *name == figures[at].0).count()
    };
    (0..longest.figures.len())
        .map(|at| {
            let (name, place) = (&longest.figures[at].0, nth(&longest.figures, at));
            let of = |column: &Column| {
                let mut same = column.figures.iter().filter(|(other, _)| other == name);
                same.nth(place).map_or_else(String::new, |(_, value)| value.clone())
            };
            (name.clone(), columns.iter().map(of).collect())
        })
        .collect()
}

/// Prints it.
pub fn print(columns: &[Column], begun: &str) {
    let rows = rows(columns);
    let width = |column: usize| {
        let cells = rows.iter().map(|(_, values)| values[column].chars().count());
        cells.chain([columns[column].head.len()]).max().unwrap_or(0) + 2
    };
    let line = |name: &str, values: &mut dyn Iterator<Item = String>| {
        let mut line = format!("{name:56}");
        for (column, value) in values.enumerate() {
            let _ = write!(line, "{value:>0$}", width(column));
        }
        println!("{line}");
    };
    line("hosts", &mut columns.iter().map(|column| column.head.clone()));
    for (name, values) in &rows {
        line(name, &mut values.iter().cloned());
    }
    println!("load average: {begun} at the start, {} at the end", process::load());
}

/// The same as a document.
pub fn markdown(columns: &[Column], begun: &str) -> String {
    let command: Vec<String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("PORTOLAN_BENCH_") && name != "PORTOLAN_BENCH_RESULTS")
        .map(|(name, value)| {
            // A path of this machine says nothing; that there is an older program does.
            let value = if name == "PORTOLAN_BENCH_OLD" { "…".to_owned() } else { value };
            format!("{name}=\"{value}\"")
        })
        .collect();
    let mut text = format!(
        "# The edge, {}\n\n`{}`\n\nMachine: {}; load average {begun} at the start, {} at the end. Written by the benchmark.\n\n",
        jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC"),
        command.into_iter().chain(["make bench-edge".to_owned()]).collect::<Vec<_>>().join(" "),
        process::machine(),
        process::load(),
    );
    let heads: Vec<&str> = columns.iter().map(|column| column.head.as_str()).collect();
    let _ = writeln!(text, "| hosts | {} |\n|---|{}", heads.join(" | "), "---:|".repeat(heads.len()));
    for (name, values) in rows(columns) {
        let name = name.replace("    ", "&nbsp;&nbsp;&nbsp;&nbsp;");
        let _ = writeln!(text, "| {name} | {} |", values.join(" | "));
    }
    text
}
