//! An operation on the tree: what a text has to say after the edit.

use serde_json::{Map, Value};

use super::merged::{copied, merged, set_inside};
use super::operation::{Operation, Part, shown};
use super::refused::Refused;
use super::tree::{Form, Node};

/// The root of a document with the text that it was read from.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// Its root.
    pub(super) root: &'a Node,
}

impl Document<'_> {
    /// Refuses with the line of a node.
    pub(super) fn refuse(&self, code: &'static str, at: usize, why: String) -> Refused {
        Refused::new(code, why).at_line(line_of(self.text, at))
    }

    /// Finds the way to a value: positions in the mappings and lists on it.
    pub(super) fn way(&self, path: &[Part]) -> Result<Vec<usize>, Refused> {
        let (way, left) = self.way_into(path)?;
        match left.first() {
            None => Ok(way),
            Some(part) => {
                let before = &path[..path.len() - left.len()];
                let node = node_at(self.root, &way);
                if let Part::Key(key) = part
                    && merged(self.root, node, key).is_some()
                {
                    let why = format!("`{part}` of {} comes by its merge key `<<`", shown(before));
                    return Err(self.refuse("THROUGH_MERGE", node.span.start, why));
                }
                let why = format!("cannot find `{part}` in {}", shown(before));
                Err(self.refuse("NOT_FOUND", node.span.start, why))
            }
        }
    }

    /// Follows a path as far as it is there; returns also what is left of it.
    pub(super) fn way_into<'p>(
        &self,
        path: &'p [Part],
    ) -> Result<(Vec<usize>, &'p [Part]), Refused> {
        let mut way = Vec::new();
        let mut node = self.root;
        for (at, part) in path.iter().enumerate() {
            let Some(index) = self.step(node, part, &path[..at])? else {
                return Ok((way, &path[at..]));
            };
            way.push(index);
            node = child(node, index);
        }
        Ok((way, &[]))
    }

    fn step(&self, node: &Node, part: &Part, before: &[Part]) -> Result<Option<usize>, Refused> {
        let refuse = |code, why| Err(self.refuse(code, node.span.start, why));
        match (&node.form, part) {
            (Form::Alias(_), _) => {
                refuse("THROUGH_ALIAS", format!("{} is an alias of another value", shown(before)))
            }
            (Form::Map(entries), Part::Key(name)) => {
                let mut found = entries
                    .iter()
                    .enumerate()
                    .filter(|(_, (key, _))| key.name() == Some(name.as_str()));
                let first = found.next().map(|(index, _)| index);
                match found.next() {
                    Some((_, (key, _))) => {
                        let why = format!("the key `{name}` is there twice");
                        Err(self.refuse("DUPLICATE_KEY", key.span.start, why))
                    }
                    None => Ok(first),
                }
            }
            (Form::List(items), Part::At(index)) => {
                Ok(Some(*index).filter(|index| *index < items.len()))
            }
            (Form::List(items), Part::Named { name }) => {
                let mut found =
                    items.iter().enumerate().filter(|(_, item)| name_of(item) == Some(name));
                let first = found.next().map(|(index, _)| index);
                match found.next() {
                    Some((_, item)) => {
                        let why = format!("{} has two entries named {name}", shown(before));
                        Err(self.refuse("AMBIGUOUS", item.span.start, why))
                    }
                    None => Ok(first),
                }
            }
            _ if node.is_null() => Ok(None),
            (_, Part::Key(_)) => {
                refuse("NOT_A_MAPPING", format!("{} is not a mapping", shown(before)))
            }
            _ => refuse("NOT_A_LIST", format!("{} is not a list", shown(before))),
        }
    }

    /// Replaces `put` by the operation that does the same.
    pub(super) fn settled(
        &self,
        operation: &Operation,
        warnings: &mut Vec<String>,
    ) -> Result<Operation, Refused> {
        let Operation::Put { path, value } = operation else { return Ok(operation.clone()) };
        let (way, left) = self.way_into(path)?;
        let Some((part, rest)) = left.split_first() else {
            return Ok(Operation::Set { path: path.clone(), value: value.clone() });
        };
        let node = node_at(self.root, &way);
        let above = path[..path.len() - left.len()].to_vec();
        if let Part::Key(key) = part
            && !rest.is_empty()
            && let Some(other) = merged(self.root, node, key)
        {
            let value = self.beside(node, other, rest, value).map_err(|refused| {
                let why = format!("`{part}` of {} comes by its merge key `<<`", shown(&above));
                Refused { message: format!("{why}, {}", refused.message), ..refused }
            })?;
            warnings.push(format!(
                "`{part}` came by the merge key of {}; it is written out there now, so that what \
                 changes where it came from does not change it",
                shown(&above)
            ));
            return Ok(Operation::Insert { path: above, key: Some(key.clone()), value, at: None });
        }
        let nested = |rest: &[Part]| {
            nested(rest, value.clone()).ok_or_else(|| {
                let why = format!("cannot create {}: it has a position", shown(path));
                self.refuse("NOT_FOUND", node.span.start, why)
            })
        };
        match part {
            Part::Key(key) => Ok(Operation::Insert {
                path: above,
                key: Some(key.clone()),
                value: nested(rest)?,
                at: None,
            }),
            Part::Named { name } => {
                let value = named(name, nested(rest)?);
                Ok(Operation::Insert { path: above, key: None, value, at: None })
            }
            Part::At(_) => {
                let why = format!("cannot find {}", shown(path));
                Err(self.refuse("NOT_FOUND", node.span.start, why))
            }
        }
    }

    /// Returns what a merge key has, with a value set in it: an entry of its own hides the whole.
    fn beside(
        &self,
        node: &Node,
        merged: &Node,
        rest: &[Part],
        value: &Value,
    ) -> Result<Value, Refused> {
        let refuse = |why: &str| self.refuse("THROUGH_MERGE", node.span.start, why.to_owned());
        let mut whole = copied(self.root, merged)
            .ok_or_else(|| refuse("and has a value whose spelling a copy could lose"))?;
        if set_inside(&mut whole, rest, value.clone()) {
            Ok(whole)
        } else {
            Err(refuse("and has no place for the value"))
        }
    }

    /// Refuses to take a node away that others name; `own` with its own anchor.
    pub(super) fn check_unused(&self, node: &Node, own: bool) -> Result<(), Refused> {
        let mut gone = Vec::new();
        node.visit(&mut |inner| {
            if inner.anchor != 0 && (own || !std::ptr::eq(inner, node)) {
                gone.push(inner.anchor);
            }
        });
        let (mut inside, mut all) = (0, 0);
        let count = |count: &mut usize, inner: &Node| {
            *count += usize::from(matches!(&inner.form, Form::Alias(id) if gone.contains(id)));
        };
        node.visit(&mut |inner| count(&mut inside, inner));
        self.root.visit(&mut |inner| count(&mut all, inner));
        if all > inside {
            let why = "an alias elsewhere in the file names what this would take away";
            return Err(self.refuse("ANCHOR_IN_USE", node.span.start, why.to_owned()));
        }
        Ok(())
    }
}

/// Returns the text of a node's key `name`.
fn name_of(node: &Node) -> Option<&str> {
    let Form::Map(entries) = &node.form else { return None };
    let (_, value) = entries.iter().find(|(key, _)| key.name() == Some("name"))?;
    match &value.form {
        Form::Scalar { text, .. } => Some(text),
        Form::Wanted(value) => value.as_str(),
        _ => None,
    }
}

/// Puts a value below the rest of a path.
fn nested(rest: &[Part], value: Value) -> Option<Value> {
    let Some((part, rest)) = rest.split_first() else { return Some(value) };
    let inner = nested(rest, value)?;
    match part {
        Part::Key(key) => Some(Value::Object(Map::from_iter([(key.clone(), inner)]))),
        Part::Named { name } => Some(Value::Array(vec![named(name, inner)])),
        Part::At(_) => None,
    }
}

fn named(name: &str, inner: Value) -> Value {
    let mut item = Map::from_iter([("name".to_owned(), Value::from(name))]);
    if let Value::Object(members) = inner {
        item.extend(members);
    }
    Value::Object(item)
}

/// Returns the node at the end of a way.
pub(super) fn node_at<'a>(root: &'a Node, way: &[usize]) -> &'a Node {
    way.iter().fold(root, |node, index| child(node, *index))
}

fn child(node: &Node, index: usize) -> &Node {
    match &node.form {
        Form::List(items) => items.get(index).unwrap_or(node),
        Form::Map(entries) => entries.get(index).map_or(node, |(_, value)| value),
        _ => node,
    }
}

fn node_at_mut<'a>(root: &'a mut Node, way: &[usize]) -> Option<&'a mut Node> {
    way.iter().try_fold(root, |node, index| match &mut node.form {
        Form::List(items) => items.get_mut(*index),
        Form::Map(entries) => entries.get_mut(*index).map(|(_, value)| value),
        _ => None,
    })
}

/// Does an operation that was found possible; `way` leads to its path.
pub(super) fn done(root: &Node, way: &[usize], operation: &Operation) -> Option<Node> {
    let mut root = root.clone();
    let (last, above) = way.split_last().map_or((None, way), |(last, above)| (Some(*last), above));
    match operation {
        Operation::Set { value, .. } | Operation::Put { value, .. } => {
            let node = node_at_mut(&mut root, way)?;
            node.form = Form::Wanted(value.clone());
        }
        Operation::Insert { key, value, at, .. } => {
            let node = node_at_mut(&mut root, way)?;
            if node.is_null() {
                node.form = match key {
                    Some(_) => Form::Map(Vec::new()),
                    None => Form::List(Vec::new()),
                };
            }
            let value = Node::wanted(value.clone());
            match (&mut node.form, key) {
                (Form::Map(entries), Some(key)) => {
                    let key = Node::wanted(Value::from(key.as_str()));
                    entries.insert(at.unwrap_or(entries.len()).min(entries.len()), (key, value));
                }
                (Form::List(items), None) => {
                    items.insert(at.unwrap_or(items.len()).min(items.len()), value);
                }
                _ => return None,
            }
        }
        Operation::Remove { .. } => match (&mut node_at_mut(&mut root, above)?.form, last?) {
            (Form::Map(entries), last) => drop(entries.remove(last)),
            (Form::List(items), last) => drop(items.remove(last)),
            _ => return None,
        },
        Operation::Rename { to, .. } => {
            let Form::Map(entries) = &mut node_at_mut(&mut root, above)?.form else { return None };
            entries.get_mut(last?)?.0.form = Form::Wanted(Value::from(to.as_str()));
        }
        Operation::Move { to, .. } => match (&mut node_at_mut(&mut root, above)?.form, last?) {
            (Form::Map(entries), last) => {
                let entry = entries.remove(last);
                entries.insert((*to).min(entries.len()), entry);
            }
            (Form::List(items), last) => {
                let item = items.remove(last);
                items.insert((*to).min(items.len()), item);
            }
            _ => return None,
        },
    }
    Some(root)
}

/// Returns the number of a line, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.get(..at).unwrap_or(text).matches('\n').count()
}
