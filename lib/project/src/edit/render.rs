//! New values as YAML, laid out as the file is.

use serde_json::Value;

use super::scalar::{double, written};
use super::slots::Places;
use super::style::Style;
use super::tree::{Form, Node};

/// How a file is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// What ends a line.
    pub(super) line_end: &'static str,
    /// How many spaces a level adds.
    pub(super) step: usize,
    /// Whether lists stand deeper than their key.
    pub(super) indents_lists: bool,
    /// Whether a text of many lines may be written as a block (`|`).
    pub(super) has_blocks: bool,
    /// Whether the file is JSON, and stays so.
    pub(super) is_json: bool,
}

impl Layout {
    /// Finds the layout that most of a file has.
    pub(super) fn of(places: Places<'_>) -> Self {
        let (text, tree) = (places.text, places.tree);
        let (mut steps, mut deeper, mut level) = ([0_usize; 9], 0, 0);
        for root in &tree.documents {
            root.visit(&mut |node| {
                let Form::Map(entries) = &node.form else { return };
                for (key, value) in entries.iter().filter(|_| node.style == Style::Block) {
                    if value.style != Style::Block {
                        continue;
                    }
                    let is_list = matches!(value.form, Form::List(_));
                    let Some(first) = places.slots(value, false).into_iter().next() else {
                        continue;
                    };
                    let above = places.column(key.span.start);
                    let below = places.column(first.start);
                    match below.checked_sub(above) {
                        Some(0) if is_list => level += 1,
                        Some(step @ 1..9) => {
                            steps[step] += 1;
                            deeper += usize::from(is_list);
                        }
                        _ => {}
                    }
                }
            });
        }
        let most = (1..9).rev().max_by_key(|step| (steps[*step], *step == 2));
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let step = most.filter(|step| steps[*step] > 0).unwrap_or(2);
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        Self { line_end, step, indents_lists: deeper >= level, has_blocks: true, is_json }
    }

    /// Returns the column of a value below its key.
    pub(super) fn below(&self, column: usize, value: &Value) -> usize {
        let is_level =
            matches!(value, Value::Array(items) if !items.is_empty()) && !self.indents_lists;
        column + if is_level { 0 } else { self.step }
    }

    /// Writes a collection that is not empty as lines at a column.
    pub(super) fn lines(&self, value: &Value, column: usize) -> Vec<String> {
        let mut lines = Vec::new();
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    lines.extend(self.entry(key, value, column));
                }
            }
            Value::Array(items) => {
                for item in items {
                    lines.extend(self.item(item, column));
                }
            }
            scalar => lines.push(" ".repeat(column) + &flow(scalar, false)),
        }
        lines
    }

    /// Writes an entry of a mapping.
    pub(super) fn entry(&self, key: &str, value: &Value, column: usize) -> Vec<String> {
        let head = " ".repeat(column) + &written(key, Style::Plain, false) + ":";
        if is_filled(value) {
            let mut lines = vec![head];
            lines.extend(self.lines(value, self.below(column, value)));
            return lines;
        }
        self.scalar(&head, value, column)
    }

    /// Writes an entry of a list.
    pub(super) fn item(&self, value: &Value, column: usize) -> Vec<String> {
        let head = " ".repeat(column) + "-";
        if is_filled(value) {
            let mut lines = self.lines(value, column + 2);
            if let Some(first) = lines.first_mut() {
                *first = head + " " + first.trim_start();
            }
            return lines;
        }
        self.scalar(&head, value, column)
    }

    fn scalar(&self, head: &str, value: &Value, column: usize) -> Vec<String> {
        match value.as_str().filter(|_| self.has_blocks).and_then(|text| block(text, "")) {
            Some((header, content)) => {
                let mut lines = vec![format!("{head} {header}")];
                lines.extend(indented(&content, column + self.step));
                lines
            }
            None => vec![format!("{head} {}", flow(value, false))],
        }
    }
}

/// Indents the lines of a block; those that are empty stay so.
pub(super) fn indented(content: &[&str], column: usize) -> Vec<String> {
    let pad = " ".repeat(column);
    content
        .iter()
        .map(|line| if line.is_empty() { String::new() } else { format!("{pad}{line}") })
        .collect()
}

/// Tells whether a value is a collection with something in it.
pub(super) fn is_filled(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    }
}

/// Splits a text of many lines into the header and the lines of a block; `None` where it cannot be
/// one. `sign` is the one before: `>` folds, which new texts never do.
pub(super) fn block<'a>(text: &'a str, sign: &str) -> Option<(String, Vec<&'a str>)> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    let lines: Vec<&str> = body.split('\n').collect();
    let fits = text.contains('\n')
        && !body.is_empty()
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !lines.iter().any(|line| line.ends_with([' ', '\t']) || line.starts_with('\t'))
        && !text.contains(is_odd)
        && !text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'])
        && sign != ">";
    fits.then(|| (if text.ends_with('\n') { "|" } else { "|-" }.to_owned(), lines))
}

/// Writes a value on one line.
pub(super) fn flow(value: &Value, in_flow: bool) -> String {
    match value {
        Value::String(text) => written(text, Style::Plain, in_flow),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(item, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| member(key, value)).collect();
            format!("{{{}}}", members.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Writes a value on one line of a file of JSON.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{}: {}", double(key), json(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::String(text) => double(text),
        scalar => scalar.to_string(),
    }
}

/// Writes an entry of a mapping in brackets.
pub(super) fn member(key: &str, value: &Value) -> String {
    format!("{}: {}", written(key, Style::Plain, true), flow(value, true))
}

/// Writes a scalar in place of another one.
pub(super) fn replaced(value: &Value, before: &Node, in_flow: bool) -> String {
    match value {
        Value::String(text) if text.contains('\n') => double(text),
        Value::String(text) => written(text, before.style, in_flow),
        other => flow(other, in_flow),
    }
}
