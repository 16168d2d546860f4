//! The tree of a YAML text with its places: what an edit is planned on and checked against.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};
use serde_json::Value;

use super::refused::Refused;
use super::style::Style;

/// All documents of a text.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root of each document.
    pub(super) documents: Vec<Node>,
    /// The comments in their order.
    pub(super) comments: Vec<Comment>,
    /// Where anything begins or ends that is no comment, in order.
    pub(super) stops: Vec<usize>,
}

/// A comment.
#[derive(Clone, Debug)]
pub(super) struct Comment {
    /// The text behind `#`.
    pub(super) text: String,
    /// Its bytes.
    pub(super) span: Range<usize>,
}

/// A value, with where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What makes its anchor different from others; 0 without one.
    pub(super) anchor: usize,
    /// The name of the anchor.
    pub(super) anchor_name: Option<String>,
    /// Its tag.
    pub(super) tag: Option<String>,
    /// The value.
    pub(super) form: Form,
    /// Where its anchor or tag begins, or else the value.
    pub(super) start: usize,
    /// Its bytes; without those of its anchor and tag.
    pub(super) span: Range<usize>,
    /// Whether it stands in brackets, or is a text in a block (`|`, `>`).
    pub(super) style: Style,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A scalar: its text, and whether quotes or a tag make it a text whatever it looks like.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping; keys may stand in it twice, and may be of any form.
    Map(Vec<(Node, Node)>),
    /// Another node by its anchor.
    Alias(usize),
    /// What an operation wants here.
    Wanted(Value),
}

impl Tree {
    /// Reads a text.
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let mut options = Options::default();
        options.emit_anchor_events = true;
        let mut reader = Reader {
            parser: Parser::new_from_str_with_options(text, options),
            text,
            comments: Vec::new(),
            stops: BTreeSet::new(),
            depth: 0,
        };
        let mut documents = Vec::new();
        while let Some((event, _)) = reader.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(..) => {
                    let (event, span) = reader.next()?.ok_or_else(|| reader.cut())?;
                    documents.push(reader.node(event, span)?);
                }
                _ => return Err(reader.cut()),
            }
        }
        let stops = reader.stops.into_iter().collect();
        Ok(Self { documents, comments: reader.comments, stops })
    }
}

const DEPTH_MAX: usize = 200;

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    text: &'a str,
    comments: Vec<Comment>,
    stops: BTreeSet<usize>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Refused> {
        loop {
            let Some(next) = self.parser.next() else { return Ok(None) };
            let (event, span) = next.map_err(|failure| {
                Refused::new("NOT_VALID", format!("cannot read the YAML: {}", failure.info()))
                    .at_line(failure.marker().line())
            })?;
            match event {
                Event::Comment(text, _) => {
                    let span = self.range(&span);
                    self.comments.push(Comment { text: text.into_owned(), span });
                }
                event => return Ok(Some((event, span))),
            }
        }
    }

    fn cut(&self) -> Refused {
        let lines = self.text.lines().count();
        Refused::new("NOT_VALID", "cannot read the YAML: it ends too early").at_line(lines)
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let end = self.text.len();
        let start = span.start.byte_offset().unwrap_or(end).min(end);
        start..span.end.byte_offset().unwrap_or(end).clamp(start, end)
    }

    /// Takes the anchor that may follow the event of a node, and returns where the node begins.
    fn anchor(&mut self, id: usize, node: &Span) -> Result<(Option<String>, usize), Refused> {
        let end = self.text.len();
        let tag = node.tag_start.and_then(|at| at.byte_offset());
        let start = self.range(node).start.min(tag.unwrap_or(end));
        self.stops.insert(start);
        if id == 0 {
            return Ok((None, start));
        }
        match self.next()? {
            Some((Event::Anchor(_, name), span)) => {
                let at = self.range(&span);
                self.stops.insert(at.start);
                Ok((Some(name.into_owned()), start.min(at.start)))
            }
            _ => Err(self.cut()),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Refused> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let refused = Refused::new("TOO_DEEP", "the YAML is nested too deep");
            return Err(refused.at_line(span.start.line()));
        }
        let node = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let (anchor_name, start) = self.anchor(anchor, &span)?;
                let scalar = self.scalar(text, style, &span);
                let start = start.min(scalar.span.start);
                Node { anchor, anchor_name, tag: tag_of(tag), start, ..scalar }
            }
            Event::SequenceStart(style, anchor, tag) => {
                let (anchor_name, start) = self.anchor(anchor, &span)?;
                let list = self.list(style, &span)?;
                Node { anchor, anchor_name, tag: tag_of(tag), start, ..list }
            }
            Event::MappingStart(style, anchor, tag) => {
                let (anchor_name, start) = self.anchor(anchor, &span)?;
                let map = self.map(style, &span)?;
                Node { anchor, anchor_name, tag: tag_of(tag), start, ..map }
            }
            Event::Alias(id) => {
                let span = self.range(&span);
                self.stop(&span);
                Node::bare(Form::Alias(id), Style::Plain, span)
            }
            _ => return Err(self.cut()),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn scalar(&mut self, text: Cow<'a, str>, style: ScalarStyle, span: &Span) -> Node {
        let mut span = self.range(span);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            _ => Style::Text,
        };
        if style == Style::Text {
            // The parser says where the content begins.
            self.stops.remove(&span.start);
            let before = self.stops.range(..span.start).next_back().copied();
            let start = header(self.text, before.unwrap_or(0), span.start);
            span = start..text_end(self.text, start, span.end);
        }
        self.stop(&span);
        let plain = style == Style::Plain;
        // The parser says `~` where nothing stands.
        let is_nothing = plain && text == "~" && !self.text[span.clone()].starts_with('~');
        let text = if is_nothing { String::new() } else { text.into_owned() };
        Node::bare(Form::Scalar { text, plain }, style, span)
    }

    fn list(&mut self, style: StructureStyle, span: &Span) -> Result<Node, Refused> {
        let start = self.range(span);
        let mut items = Vec::new();
        self.stop(&start);
        let end = loop {
            match self.next()?.ok_or_else(|| self.cut())? {
                (Event::SequenceEnd, end) => break self.range(&end),
                (event, span) => items.push(self.node(event, span)?),
            }
        };
        let style = style_of(style);
        let last = items.last().map(|node: &Node| node.span.end);
        let span = self.whole(start.start, style, last, &end);
        Ok(Node::bare(Form::List(items), style, span))
    }

    fn map(&mut self, style: StructureStyle, span: &Span) -> Result<Node, Refused> {
        let start = self.range(span);
        let mut entries: Vec<(Node, Node)> = Vec::new();
        self.stop(&start);
        let end = loop {
            let (event, span) = self.next()?.ok_or_else(|| self.cut())?;
            if event == Event::MappingEnd {
                break self.range(&span);
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?.ok_or_else(|| self.cut())?;
            let mut value = self.node(event, span)?;
            if value.is_nothing() {
                // Right behind the colon or its anchor, or behind a key without colon.
                let behind = self.text[key.span.end..].trim_start();
                let colon = behind.strip_prefix(':');
                let colon = colon.map_or(key.span.end, |rest| self.text.len() - rest.len());
                let has_more = value.anchor != 0 || value.tag.is_some();
                let at = if has_more { props_end(self.text, value.start) } else { colon };
                value.start = if has_more { value.start } else { at };
                value.span = at..at;
            }
            entries.push((key, value));
        };
        let style = style_of(style);
        let last = entries.last().map(|(key, value)| key.span.end.max(value.span.end));
        let span = self.whole(start.start, style, last, &end);
        Ok(Node::bare(Form::Map(entries), style, span))
    }

    fn whole(
        &mut self,
        start: usize,
        style: Style,
        last: Option<usize>,
        end: &Range<usize>,
    ) -> Range<usize> {
        if style == Style::Flow {
            self.stop(end);
            return start..end.end.max(start);
        }
        start..last.unwrap_or(end.start).max(start)
    }

    fn stop(&mut self, span: &Range<usize>) {
        if !span.is_empty() {
            self.stops.extend([span.start, span.end]);
        }
    }
}

fn tag_of(tag: Option<Cow<'_, Tag>>) -> Option<String> {
    tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()))
}

fn style_of(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Flow => Style::Flow,
        StructureStyle::Block => Style::Block,
    }
}

/// Returns where the anchor and tag end that begin at a place.
pub(super) fn props_end(text: &str, start: usize) -> usize {
    let mut end = start;
    loop {
        let behind = &text[end..];
        let rest = behind.trim_start_matches([' ', '\t']);
        if !rest.starts_with(['&', '!']) {
            return end;
        }
        let length = rest.find([' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        end = text.len() - rest.len() + length;
    }
}

/// Finds the `|` or `>` of a text in a block, whose content begins at a place.
fn header(text: &str, from: usize, at: usize) -> usize {
    let is_header = |rest: &str| {
        let line = rest.lines().next().unwrap_or_default();
        let behind = line[1..].trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
        behind.trim().is_empty()
            || behind.starts_with([' ', '\t']) && behind.trim().starts_with('#')
    };
    let mut signs = text[from..at].rmatch_indices(['|', '>']).map(|(sign, _)| from + sign);
    let mut found = at;
    // The first sign on its line: others may stand in its comment.
    for sign in signs.by_ref().filter(|sign| is_header(&text[*sign..])) {
        if found < at && text[sign..found].contains('\n') {
            break;
        }
        found = sign;
    }
    found
}

/// Returns where a text in a block ends: with the blank lines behind it where it keeps them.
fn text_end(text: &str, start: usize, end: usize) -> usize {
    let header = text[start..end].lines().next().unwrap_or_default();
    let body = &text[start..end];
    if header.split('#').next().is_some_and(|header| header.contains('+')) {
        let rest = &text[end..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\r', '\n']).len();
        let lines = rest[..blank].rfind('\n').map_or(end, |at| end + at);
        let kept = text[start..lines].strip_suffix('\n').map_or(lines, |kept| start + kept.len());
        return text[start..kept].strip_suffix('\r').map_or(kept, |kept| start + kept.len());
    }
    start + body.trim_end_matches([' ', '\r', '\n']).len()
}

impl Node {
    /// Makes the node that an operation wants.
    pub(super) fn wanted(value: Value) -> Self {
        Self::bare(Form::Wanted(value), Style::Plain, 0..0)
    }

    /// Makes one without anchor and tag.
    pub(super) fn bare(form: Form, style: Style, span: Range<usize>) -> Self {
        Self { anchor: 0, anchor_name: None, tag: None, form, start: span.start, span, style }
    }

    /// Tells whether nothing stands where a value could: `key:`.
    pub(super) fn is_nothing(&self) -> bool {
        self.style == Style::Plain
            && matches!(&self.form, Form::Scalar { text, .. } if text.is_empty())
    }

    /// Tells whether it is an empty value, which can become a collection: nothing, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.form {
            Form::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Form::Wanted(value) => value.is_null(),
            _ => false,
        }
    }

    /// Returns the text of a key that is a text.
    pub(super) fn key(&self) -> Option<&str> {
        match &self.form {
            Form::Scalar { text, plain } => {
                let is_text = !*plain || super::scalar::is_text(text);
                is_text.then_some(text.as_str())
            }
            Form::Wanted(value) => value.as_str(),
            _ => None,
        }
    }

    /// Returns the text of a key as it stands: `5`, `no`. A new key of this text needs quotes.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.form {
            Form::Scalar { text, .. } => Some(text.as_str()).filter(|_| !self.is_merge()),
            _ => self.key(),
        }
    }

    /// Tells whether it is the key `<<`, whose value has more entries of its mapping.
    pub(super) fn is_merge(&self) -> bool {
        matches!(&self.form, Form::Scalar { text, plain: true } if text == "<<")
    }

    /// Visits all nodes of it, keys before values.
    pub(super) fn visit<'a>(&'a self, seen: &mut dyn FnMut(&'a Self)) {
        seen(self);
        match &self.form {
            Form::List(items) => items.iter().for_each(|item| item.visit(seen)),
            Form::Map(entries) => entries.iter().for_each(|(key, value)| {
                key.visit(seen);
                value.visit(seen);
            }),
            _ => {}
        }
    }
}

/// Tells whether a node is what another one says: same values, keys in the same order, same tags,
/// same anchors and what they are used by.
pub(super) fn is_same(expected: &Node, actual: &Node) -> bool {
    let mut anchors = Vec::new();
    same(expected, actual, &mut anchors)
}

fn same(expected: &Node, actual: &Node, anchors: &mut Vec<(usize, usize)>) -> bool {
    if let Form::Wanted(value) = &expected.form {
        if (expected.anchor == 0) != (actual.anchor == 0) {
            return false;
        }
        anchors.push((expected.anchor, actual.anchor));
        return actual.tag == expected.tag && is_value(value, actual);
    }
    if expected.tag != actual.tag || expected.anchor_name != actual.anchor_name {
        return false;
    }
    if expected.anchor != 0 {
        anchors.push((expected.anchor, actual.anchor));
    }
    match (&expected.form, &actual.form) {
        (Form::Scalar { text, plain }, Form::Scalar { text: other, plain: is_plain }) => {
            text == other && plain == is_plain
        }
        (Form::List(items), Form::List(others)) => {
            items.len() == others.len()
                && items.iter().zip(others).all(|(one, other)| same(one, other, anchors))
        }
        (Form::Map(entries), Form::Map(others)) => {
            entries.len() == others.len()
                && entries.iter().zip(others).all(|(one, other)| {
                    same(&one.0, &other.0, anchors) && same(&one.1, &other.1, anchors)
                })
        }
        // The anchor has to stand before it in both, and to be the same one.
        (Form::Alias(one), Form::Alias(other)) => anchors.contains(&(*one, *other)),
        _ => false,
    }
}

/// Tells whether a node is a value, read by whichever version of YAML.
fn is_value(value: &Value, node: &Node) -> bool {
    match (value, &node.form) {
        (Value::Array(items), Form::List(nodes)) => {
            items.len() == nodes.len()
                && items.iter().zip(nodes).all(|(item, node)| is_value(item, node))
        }
        (Value::Object(members), Form::Map(entries)) => {
            members.len() == entries.len()
                && members.iter().zip(entries).all(|((name, value), (key, node))| {
                    key.key() == Some(name.as_str()) && is_value(value, node)
                })
        }
        (Value::String(wanted), Form::Scalar { text, plain }) => {
            wanted == text && (!*plain || super::scalar::is_text(text))
        }
        (Value::Null, Form::Scalar { .. }) => node.is_null(),
        (Value::Bool(_) | Value::Number(_), Form::Scalar { text, plain: true }) => {
            serde_json::from_str::<Value>(text).is_ok_and(|read| read == *value)
        }
        _ => false,
    }
}
