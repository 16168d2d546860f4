//! Plans where a new entry goes, and what goes with one that is removed.

use super::model::node_at;
use super::refused::Refused;
use super::slots::{Slot, last_leaf};
use super::splice::{New, Plan, Planner, Splice, ends_in_text};
use super::style::Style;
use super::tree::{Form, Node};
use super::verify::{Change, Comments};

impl Planner<'_> {
    /// Plans a new entry of a collection, or of what can become one.
    pub(super) fn insert(
        &self,
        node: &Node,
        new: &New<'_>,
        at: Option<usize>,
    ) -> Result<Plan, Refused> {
        if let (Form::Map(entries), Some(key)) = (&node.form, new.key) {
            let twice = entries.iter().find(|(other, _)| other.name() == Some(key));
            if let Some((other, _)) = twice {
                let why = format!("the key `{key}` is there already");
                return Err(self.refuse("DUPLICATE_KEY", other.start, &why));
            }
        }
        let is_empty = match (&node.form, new.key) {
            (Form::Map(entries), Some(_)) => entries.is_empty(),
            (Form::List(items), None) => items.is_empty(),
            (Form::Alias(_), _) => {
                return Err(self.refuse("THROUGH_ALIAS", node.start, "it is an alias"));
            }
            _ if node.is_null() => true,
            (_, Some(_)) => {
                return Err(self.refuse("NOT_A_MAPPING", node.start, "it is not a mapping"));
            }
            _ => return Err(self.refuse("NOT_A_LIST", node.start, "it is not a list")),
        };
        if node.tag.is_some() && is_empty {
            let why = "a value with a tag can only be replaced text by text";
            return Err(self.refuse("TAGGED", node.start, why));
        }
        if is_empty {
            return self.first(node, new);
        }
        let slots = self.places.slots(node, self.way.is_empty());
        let at = at.filter(|at| *at < slots.len());
        let is_pair = matches!(node.form, Form::Map(_))
            && node.style == Style::Flow
            && slots.first().is_some_and(|slot| !self.places.text[..slot.start].ends_with('{'))
            && !self.places.text[node.span.start..].starts_with('{');
        let (splices, place) = if is_pair {
            // The pair of a list, as in `[name: dev]`, has no braces of its own.
            let (start, end) = (slots[0].start, slots[slots.len() - 1].end);
            let new = format!(", {}}}", new.flow(&self.layout));
            (vec![(start..start, "{".to_owned()), (end..end, new)], end)
        } else if node.style == Style::Flow {
            self.in_brackets(&slots, new, at)
        } else {
            self.in_lines(node, &slots, new, at)?
        };
        let change = Change { span: place..place, comments: Comments::Stay };
        Ok(Plan { splices, change })
    }

    /// Plans the first entry of a collection.
    fn first(&self, node: &Node, new: &New<'_>) -> Result<Plan, Refused> {
        let text = self.places.text;
        let has_comment = self.places.tree.comments.iter().any(|comment| {
            node.span.start < comment.span.start && comment.span.end < node.span.end
        });
        if has_comment {
            let why = "a comment stands in the empty brackets";
            return Err(self.refuse("COMMENT_IN_EMPTY", node.start, why));
        }
        let change = Change { span: node.start..node.span.end, comments: Comments::Stay };
        let value = new.collection();
        if self.way.is_empty() && node.is_nothing() {
            let lines = self.layout.lines(&value, 0).join(self.layout.line_end);
            let end = self.layout.line_end;
            let is_open = !text.is_empty() && !text.ends_with('\n');
            let new = if is_open { format!("{end}{lines}") } else { format!("{lines}{end}") };
            let change = Change { span: text.len()..text.len(), ..change };
            return Ok(Plan { splices: vec![(text.len()..text.len(), new)], change });
        }
        let splices = if self.in_flow(self.way) {
            let new = new.flow(&self.layout);
            let new = if matches!(value, serde_json::Value::Object(_)) {
                format!("{{{new}}}")
            } else {
                format!("[{new}]")
            };
            let space = if node.is_nothing() { " " } else { "" };
            vec![(node.span.clone(), format!("{space}{new}"))]
        } else {
            self.below(node, &value)?
        };
        Ok(Plan { splices, change })
    }

    /// Puts an entry into brackets.
    fn in_brackets(
        &self,
        slots: &[Slot],
        new: &New<'_>,
        at: Option<usize>,
    ) -> (Vec<Splice>, usize) {
        let (places, new, end) = (&self.places, new.flow(&self.layout), self.layout.line_end);
        if let Some(slot) = at.map(|at| &slots[at]) {
            let start = slot.start;
            let pad = " ".repeat(places.column(start));
            let new = if places.begins_line(start) {
                format!("{new},{end}{pad}")
            } else {
                format!("{new}, ")
            };
            return (vec![(start..start, new)], start);
        }
        let Some(last) = slots.last() else { return (Vec::new(), 0) };
        let behind = &places.text[last.end..places.line_stop(last.end)];
        let has_comma = behind.trim_start().starts_with(',');
        let comma = last.end + behind.find(',').map_or(0, |at| at + 1);
        let rest = behind.trim_start().trim_start_matches(',').trim_start();
        // What closes the brackets stands on a line of its own.
        if places.begins_line(last.start) && (rest.is_empty() || rest.starts_with('#')) {
            let pad = " ".repeat(places.column(last.start));
            let stop = places.line_stop(last.end);
            let more = if has_comma { "," } else { "" };
            // The comma first: both may belong at the same place.
            let mut splices = Vec::new();
            if !has_comma {
                splices.push((last.end..last.end, ",".to_owned()));
            }
            splices.push((stop..stop, format!("{end}{pad}{new}{more}")));
            return (splices, last.end);
        }
        let splice = if has_comma {
            (comma..comma, format!(" {new},"))
        } else {
            (last.end..last.end, format!(", {new}"))
        };
        (vec![splice], last.end)
    }

    /// Puts an entry between lines.
    fn in_lines(
        &self,
        node: &Node,
        slots: &[Slot],
        new: &New<'_>,
        at: Option<usize>,
    ) -> Result<(Vec<Splice>, usize), Refused> {
        let (places, end) = (&self.places, self.layout.line_end);
        let column = slots.first().map_or(0, |slot| places.column(slot.start));
        let lines = new.lines(&self.layout, column);
        let blank = if self.are_apart(slots) { end } else { "" };
        if let Some((at, slot)) = at.map(|at| (at, &slots[at])) {
            let text = lines.join(end);
            let start = if at == 0 { slot.start } else { slot.top };
            let pad = " ".repeat(column);
            let text = format!("{}{end}{blank}{pad}", text.trim_start());
            return Ok((vec![(start..start, text)], start));
        }
        if ends_in_text(places.text, node) {
            let why = "readers disagree about a block of text at the end of a file";
            return Err(self.refuse("BLOCK_SCALAR_AT_EOF", last_leaf(node).start, why));
        }
        let bottom = slots.last().map_or(node.span.end, |slot| slot.bottom);
        let before = if blank.is_empty() { "" } else { end };
        let text: String = lines.iter().flat_map(|line| [end, line.as_str()]).collect();
        Ok((vec![(bottom..bottom, format!("{before}{text}"))], bottom))
    }

    /// Tells whether a blank line stands before every entry but the first.
    fn are_apart(&self, slots: &[Slot]) -> bool {
        let is_apart = |pair: &[Slot]| {
            let line = self.places.line_start(pair[1].top);
            self.places.before_blank(line).max(self.places.next_line(pair[0].bottom)) < line
        };
        slots.len() > 1 && slots.windows(2).all(is_apart)
    }

    /// Plans to take an entry away.
    pub(super) fn remove(&self) -> Result<Plan, Refused> {
        let Some((parent, _, last)) = self.entry(self.way) else {
            return Err(self.refuse("NOT_FOUND", 0, "the whole file cannot be removed"));
        };
        let slots = self.slots_of(self.way);
        let slot = &slots[last];
        let splices = match (slots.len(), parent.style) {
            (1, Style::Flow) => {
                let (open, close) = (parent.span.start + 1, parent.span.end - 1);
                vec![(open..close, String::new())]
            }
            (1, _) => self.remove_only(parent, slot)?,
            (_, Style::Flow) => self.out_of_brackets(&slots, last),
            _ => self.out_of_lines(&slots, last),
        };
        let change = Change { span: slot.top..slot.bottom, comments: Comments::Owned };
        Ok(Plan { splices, change })
    }

    /// Takes away the only entry: empty brackets say that nothing is left.
    fn remove_only(&self, parent: &Node, slot: &Slot) -> Result<Vec<Splice>, Refused> {
        let empty = if matches!(parent.form, Form::Map(_)) { "{}" } else { "[]" };
        let above = &self.way[..self.way.len() - 1];
        let Some((_, Some(key), _)) = self.entry(above) else {
            let start = if above.is_empty() { slot.start } else { parent.span.start };
            let start = if parent.style == Style::Block { slot.start.min(start) } else { start };
            return Ok(vec![(start..slot.bottom, empty.to_owned())]);
        };
        let Some(head) = self.places.head_end(key, node_at(self.root, above)) else {
            return Err(self.refuse("COMPLEX_KEY", key.start, "the key is not a plain one"));
        };
        let stop = self.places.line_stop(head);
        if slot.start < stop {
            return Err(self.refuse("COMPLEX_KEY", key.start, "the key is not a plain one"));
        }
        // Blank lines and comments at another column stay.
        let line = self.places.line_start(slot.top);
        let cut = if self.places.before_blank(line) == self.places.next_line(stop) {
            stop
        } else {
            self.places.line_stop(self.places.line_start(line - 1))
        };
        Ok(vec![(head..head, format!(" {empty}")), (cut..slot.bottom, String::new())])
    }

    fn out_of_brackets(&self, slots: &[Slot], at: usize) -> Vec<Splice> {
        let (places, slot) = (&self.places, &slots[at]);
        if let Some(next) = slots.get(at + 1) {
            let own_lines = places.begins_line(slot.start) && places.begins_line(next.start);
            let cut = if own_lines {
                places.line_start(slot.start)..places.line_start(next.start)
            } else {
                slot.start..next.start
            };
            return vec![(cut, String::new())];
        }
        let before = &slots[at - 1];
        let stop = places.line_stop(slot.end);
        let behind = places.text[slot.end..stop].trim_start();
        let has_comma = behind.starts_with(',');
        let rest = behind.trim_start_matches(',').trim_start();
        if places.begins_line(slot.start) && (rest.is_empty() || rest.starts_with('#')) {
            let lines = places.line_start(slot.start)..places.next_line(slot.end);
            let mut splices = vec![(lines, String::new())];
            let comma = places.text[before.end..].find(',').map(|comma| before.end + comma);
            if let Some(comma) = comma.filter(|comma| !has_comma && *comma < slot.start) {
                splices.push((comma..comma + 1, String::new()));
            }
            return splices;
        }
        vec![(before.end..slot.end, String::new())]
    }

    fn out_of_lines(&self, slots: &[Slot], at: usize) -> Vec<Splice> {
        let (places, slot) = (&self.places, &slots[at]);
        let end = places.next_line(slot.bottom);
        if !places.begins_line(slot.start) {
            // It shares the line of a dash, which the next entry or its comment takes.
            let rest = &places.text[end..];
            let next = end + rest.len() - rest.trim_start().len();
            return vec![(slot.start..next, String::new())];
        }
        let start = places.line_start(slot.top);
        let (above, below) = (places.before_blank(start), places.past_blank(end));
        let is_last = below == places.text.len();
        let cut = match (above < start, end < below) {
            (true, true) if !is_last => start..below,
            (true, _) if is_last && end == below => above..end,
            _ => start..end,
        };
        let ends_open = cut.end == places.text.len() && !places.text.ends_with('\n');
        let start = if ends_open && cut.start > 0 {
            places.line_stop(places.line_start(cut.start - 1))
        } else {
            cut.start
        };
        vec![(start..cut.end, String::new())]
    }
}
