//! Plans an operation as replacements of parts of a text.

use std::ops::Range;

use serde_json::Value;

use super::model::{line_of, node_at};
use super::operation::Operation;
use super::refused::Refused;
use super::render::{Layout, block, flow, indented, is_filled, json, member, replaced};
use super::scalar::{double, written};
use super::slots::{Places, Slot, last_leaf};
use super::style::Style;
use super::tree::{Form, Node};
use super::verify::{Change, Comments};

/// A part of a text with what is put in its place.
pub(super) type Splice = (Range<usize>, String);

/// What an operation does to a text.
pub(super) struct Plan {
    /// The replacements, in any order, apart from each other.
    pub(super) splices: Vec<Splice>,
    /// What they change.
    pub(super) change: Change,
}

/// Where an operation is planned.
pub(super) struct Planner<'a> {
    /// The text.
    pub(super) places: Places<'a>,
    /// The root of the document.
    pub(super) root: &'a Node,
    /// The way to what the operation names.
    pub(super) way: &'a [usize],
    /// How new lines are written.
    pub(super) layout: Layout,
}

impl<'a> Planner<'a> {
    /// Plans an operation.
    pub(super) fn plan(&self, operation: &Operation) -> Result<Plan, Refused> {
        let node = node_at(self.root, self.way);
        match operation {
            Operation::Set { value, .. } | Operation::Put { value, .. } => self.set(node, value),
            Operation::Insert { key, value, at, .. } => {
                let new = New { key: key.as_deref(), value };
                self.insert(node, &new, *at)
            }
            Operation::Remove { .. } => self.remove(),
            Operation::Rename { to, .. } => self.rename(to),
            Operation::Move { to, .. } => self.shift(*to),
        }
    }

    pub(super) fn refuse(&self, code: &'static str, at: usize, why: &str) -> Refused {
        Refused::new(code, why).at_line(line_of(self.places.text, at))
    }

    /// Tells whether a value on the way stands in brackets.
    pub(super) fn in_flow(&self, way: &[usize]) -> bool {
        (0..way.len()).any(|length| node_at(self.root, &way[..length]).style == Style::Flow)
    }

    /// Returns the entry that a way leads to: its collection, and its key in a mapping.
    pub(super) fn entry(&self, way: &[usize]) -> Option<(&'a Node, Option<&'a Node>, usize)> {
        let (last, above) = way.split_last()?;
        let parent = node_at(self.root, above);
        let key = match &parent.form {
            Form::Map(entries) => Some(&entries.get(*last)?.0),
            _ => None,
        };
        Some((parent, key, *last))
    }

    /// Returns the slots of the collection of an entry.
    pub(super) fn slots_of(&self, way: &[usize]) -> Vec<Slot> {
        let above = &way[..way.len().saturating_sub(1)];
        self.places.slots(node_at(self.root, above), above.is_empty())
    }

    fn set(&self, node: &Node, value: &Value) -> Result<Plan, Refused> {
        if node.tag.is_some() {
            let is_text = matches!(node.form, Form::Scalar { .. }) && value.is_string();
            if !is_text {
                let why = "a value with a tag can only be replaced text by text";
                return Err(self.refuse("TAGGED", node.start, why));
            }
        }
        let in_flow = self.in_flow(self.way);
        let mut comments = Comments::Inside;
        let mut end = node.span.end;
        let splices = if in_flow {
            let is_json = self.layout.is_json;
            let new = if is_json { json(value) } else { replaced(value, node, true) };
            vec![self.inline(node, new)]
        } else if node.style == Style::Block {
            let slot = self.way.last().and_then(|last| self.slots_of(self.way).get(*last).cloned());
            end = slot.map_or(self.places.line_stop(end), |slot| slot.bottom);
            self.set_block(node, value, end)?
        } else if node.style == Style::Text {
            self.set_text(node, value)?
        } else if is_filled(value) {
            self.below(node, value)?
        } else {
            if node.style != Style::Flow {
                comments = Comments::Stay;
            }
            let text = value.as_str().filter(|_| self.layout.has_blocks);
            match text.and_then(|text| block(text, "")) {
                Some((header, content)) => self.new_text(node, &header, &content)?,
                None => vec![self.inline(node, replaced(value, node, false))],
            }
        };
        let start =
            self.entry(self.way).and_then(|(_, key, _)| key).map_or(node.start, |key| key.start);
        Ok(Plan { splices, change: Change { span: start..end, comments } })
    }

    /// Puts a text of one line in place of a value that is not a block.
    fn inline(&self, node: &Node, new: String) -> Splice {
        let before = &self.places.text[..node.span.start];
        if !node.is_nothing() {
            // An alias or a value may stand right behind its colon in brackets.
            let space = before.ends_with(':') && !new.starts_with(' ');
            return (node.span.clone(), if space { format!(" {new}") } else { new });
        }
        let has_colon = before.trim_end().ends_with([':', '-']) || node.start < node.span.start;
        let head = if has_colon { " " } else { ": " };
        (node.span.clone(), format!("{head}{new}"))
    }

    /// Returns the column of the entry that holds a value, and the column of what is below it.
    fn columns(&self, value: &Value) -> Option<(usize, usize)> {
        let (_, key, last) = self.entry(self.way)?;
        let column = self.places.column(self.slots_of(self.way).get(last)?.start);
        let below = match key {
            Some(_) => self.layout.below(column, value),
            None => column + 2,
        };
        Some((column, below))
    }

    /// Puts a collection below the key of a value of one line, or in its place in a list.
    pub(super) fn below(&self, node: &Node, value: &Value) -> Result<Vec<Splice>, Refused> {
        let places = &self.places;
        let Some((_, column)) = self.columns(value) else {
            let lines = self.layout.lines(value, 0).join(self.layout.line_end);
            return Ok(vec![(node.span.clone(), lines)]);
        };
        let key = self.entry(self.way).and_then(|(_, key, _)| key);
        let mut lines = self.layout.lines(value, column);
        let stop = places.line_stop(node.span.end);
        let Some(key) = key else {
            let first = lines.remove(0).trim_start().to_owned();
            let mut splices = vec![self.inline(node, first)];
            splices.extend(self.lines_behind(stop, &lines));
            return Ok(splices);
        };
        let Some(head) = places.head_end(key, node) else {
            return Err(self.refuse("COMPLEX_KEY", key.start, "the key is not a plain one"));
        };
        if head > node.span.end {
            return Err(self.refuse("COMPLEX_KEY", key.start, "the key is not a plain one"));
        }
        let mut splices = vec![(head..node.span.end, String::new())];
        splices.extend(self.lines_behind(stop, &lines));
        Ok(splices)
    }

    /// Puts lines behind the line that ends at a place.
    pub(super) fn lines_behind(&self, stop: usize, lines: &[String]) -> Option<Splice> {
        let text: String =
            lines.iter().flat_map(|line| [self.layout.line_end, line.as_str()]).collect();
        (!lines.is_empty()).then_some((stop..stop, text))
    }

    /// Puts a block of text in place of a value of one line.
    fn new_text(
        &self,
        node: &Node,
        header: &str,
        content: &[&str],
    ) -> Result<Vec<Splice>, Refused> {
        let column = self.columns(&Value::Null).map_or(0, |(column, _)| column);
        let stop = self.places.line_stop(node.span.end);
        if stop == self.places.text.len() && header == "|" {
            let why = "readers disagree about a block of text at the end of a file";
            return Err(self.refuse("BLOCK_SCALAR_AT_EOF", node.start, why));
        }
        let lines = indented(content, column + self.layout.step);
        let mut splices = vec![self.inline(node, header.to_owned())];
        splices.extend(self.lines_behind(stop, &lines));
        Ok(splices)
    }

    /// Replaces a block of text.
    fn set_text(&self, node: &Node, value: &Value) -> Result<Vec<Splice>, Refused> {
        let (places, text) = (&self.places, self.places.text);
        let head = places.line_stop(node.span.start);
        let header = &text[node.span.start..head];
        let sign_end = header.find([' ', '\t', '#']).unwrap_or(header.len());
        let sign = &header[..sign_end];
        let sign_span = node.span.start..node.span.start + sign_end;
        let body = head..node.span.end.max(head);
        let new = value.as_str().filter(|_| self.layout.has_blocks);
        if let Some((new_sign, content)) = new.and_then(|new| block(new, &sign[..1])) {
            let first = text[body.clone()].lines().find(|line| !line.trim().is_empty());
            let column = first.map(|line| line.len() - line.trim_start_matches(' ').len());
            let column = column.filter(|column| *column > 0);
            let column =
                column.or_else(|| self.columns(&Value::Null).map(|(at, _)| at + self.layout.step));
            let lines = indented(&content, column.unwrap_or(self.layout.step));
            let end = self.layout.line_end;
            let lines: String = lines.iter().flat_map(|line| [end, line.as_str()]).collect();
            return Ok(vec![(sign_span, new_sign), (body, lines)]);
        }
        if is_filled(value) {
            let mut splices = self
                .below(&Node { span: node.span.start..node.span.start, ..node.clone() }, value)?;
            let lines = splices.pop().map_or(String::new(), |(_, lines)| lines);
            splices.extend([(sign_span, String::new()), (body, lines)]);
            splices.retain(|(range, new)| !range.is_empty() || !new.is_empty());
            return Ok(splices);
        }
        Ok(vec![(sign_span, replaced(value, node, false)), (body, String::new())])
    }

    /// Replaces a collection that is written by its indentation.
    fn set_block(&self, node: &Node, value: &Value, end: usize) -> Result<Vec<Splice>, Refused> {
        let places = &self.places;
        let (entry, key) = match self.entry(self.way) {
            Some((_, key, _)) => (true, key),
            None => (false, None),
        };
        let Some(key) = key else {
            let column = if entry { places.column(node.span.start) } else { 0 };
            let new = if is_filled(value) {
                let lines = self.layout.lines(value, column).join(self.layout.line_end);
                lines.trim_start().to_owned()
            } else {
                replaced(value, node, false)
            };
            return Ok(vec![(node.span.start..end, new)]);
        };
        let Some(head) = places.head_end(key, node) else {
            return Err(self.refuse("COMPLEX_KEY", key.start, "the key is not a plain one"));
        };
        let stop = places.line_stop(head);
        if node.span.start < stop {
            return Err(self.refuse("COMPLEX_KEY", key.start, "the key is not a plain one"));
        }
        if is_filled(value) {
            let column = places.column(key.start);
            let lines = self.layout.lines(value, self.layout.below(column, value));
            let (at, lines) = self.lines_behind(stop, &lines).unwrap_or_default();
            return Ok(vec![(at.start..end, lines)]);
        }
        let new = format!(" {}", replaced(value, node, false));
        Ok(vec![(head..head, new), (stop..end, String::new())])
    }

    fn rename(&self, to: &str) -> Result<Plan, Refused> {
        let Some((_, Some(key), _)) = self.entry(self.way) else {
            return Err(self.refuse("NOT_A_MAPPING", 0, "only entries of mappings have a key"));
        };
        let above = &self.way[..self.way.len() - 1];
        let in_flow = self.in_flow(self.way) || node_at(self.root, above).style == Style::Flow;
        let new = written(to, key.style, in_flow);
        let change = Change { span: key.span.clone(), comments: Comments::Stay };
        Ok(Plan { splices: vec![(key.span.clone(), new)], change })
    }

    /// Moves an entry: entries change their places, and what is between them stays.
    fn shift(&self, to: usize) -> Result<Plan, Refused> {
        let Some((_, _, from)) = self.entry(self.way) else {
            return Err(self.refuse("NOT_FOUND", 0, "the whole file cannot be moved"));
        };
        let slots = self.slots_of(self.way);
        let to = to.min(slots.len().saturating_sub(1));
        let part = |slot: &Slot| &self.places.text[slot.top..slot.bottom];
        let mut order: Vec<&Slot> = slots.iter().collect();
        let moved = order.remove(from);
        order.insert(to, moved);
        let splices = slots.iter().zip(order).filter(|(slot, other)| slot.top != other.top);
        let splices =
            splices.map(|(slot, other)| (slot.top..slot.bottom, part(other).to_owned())).collect();
        let (first, last) = (&slots[from.min(to)], &slots[from.max(to)]);
        let change = Change { span: first.top..last.bottom, comments: Comments::Move };
        Ok(Plan { splices, change })
    }
}

/// A new entry of a collection.
pub(super) struct New<'a> {
    /// Its key, in a mapping.
    pub(super) key: Option<&'a str>,
    /// Its value.
    pub(super) value: &'a Value,
}

impl New<'_> {
    /// Writes it on one line, for brackets.
    pub(super) fn flow(&self, layout: &Layout) -> String {
        match self.key {
            Some(key) if layout.is_json => format!("{}: {}", double(key), json(self.value)),
            Some(key) => member(key, self.value),
            None if layout.is_json => json(self.value),
            None => flow(self.value, true),
        }
    }

    /// Writes it as lines.
    pub(super) fn lines(&self, layout: &Layout, column: usize) -> Vec<String> {
        match self.key {
            Some(key) => layout.entry(key, self.value, column),
            None => layout.item(self.value, column),
        }
    }

    /// Returns a collection that has only this entry.
    pub(super) fn collection(&self) -> Value {
        match self.key {
            Some(key) => {
                Value::Object(serde_json::Map::from_iter([(key.to_owned(), self.value.clone())]))
            }
            None => Value::Array(vec![self.value.clone()]),
        }
    }
}

/// Says whether the value of a block of text is at the end of a file without a line end.
pub(super) fn ends_in_text(text: &str, node: &Node) -> bool {
    let leaf = last_leaf(node);
    leaf.style == Style::Text && leaf.span.end >= text.len() && !text.ends_with('\n')
}
