//! Tables for people.

use comfy_table::{CellAlignment, Table, TableStyle};

/// Renders rows below their header, the columns at `right` set to the right.
pub fn render(header: &[&str], rows: Vec<Vec<String>>, right: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_header(header.iter().copied());
    let printable = |cell: String| singer::error::printable(&cell).into_owned();
    for row in rows {
        table.add_row(row.into_iter().map(printable));
    }
    for at in right {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}
