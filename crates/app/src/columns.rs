//! Tables as kubectl prints them: columns without lines, so that they can be cut and searched.

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table with these headings.
pub fn table<'a>(headings: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
}

/// The lines of a table, without blanks at their ends.
pub fn lines(table: &Table) -> String {
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
