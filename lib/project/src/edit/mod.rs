//! Edits of YAML that keep every line that they do not concern.
//!
//! A text is never written anew. An operation becomes a few replacements of parts of the text,
//! planned on the places that the parser says. The edited text is read again and compared with the
//! old tree on which the operation was done: where they differ the edit is refused.

mod entries;
mod merged;
mod model;
mod operation;
mod refused;
mod render;
mod scalar;
mod slots;
mod splice;
mod style;
mod tree;
mod verify;

pub use operation::{Operation, Part};
pub use refused::Refused;

use model::{Document, done, node_at};
use operation::shown;
use render::Layout;
use slots::Places;
use splice::{Planner, Splice};
use tree::{Form, Node, Tree};
use verify::Edit;

/// A text after an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text.
    pub text: String,
    /// What else changed: values that are aliases of what was edited.
    pub warnings: Vec<String>,
}

/// Writes a mapping as the text of a new file.
pub(crate) fn whole(value: &serde_json::Value) -> String {
    let layout =
        Layout { line_end: "\n", step: 2, indents_lists: false, has_blocks: true, is_json: false };
    layout.lines(value, 0).into_iter().map(|line| line + "\n").collect()
}

const BOM: char = '\u{feff}';

/// Does operations one after the other: all of them, or none.
///
/// `document` says which document of the text is edited; a text of several documents needs it.
///
/// # Errors
/// The first operation that cannot be done, or whose result is not what it has to be.
pub fn edit(
    text: &str,
    document: Option<usize>,
    operations: &[Operation],
) -> Result<Edited, Refused> {
    let bare = text.strip_prefix(BOM).unwrap_or(text);
    if bare.replace("\r\n", "").contains('\r') {
        return Err(Refused::new("NOT_VALID", "a line ends with a carriage return only"));
    }
    let mut edited = Edited { text: bare.to_owned(), warnings: Vec::new() };
    for operation in operations {
        edited.text = one(&edited.text, document, operation, &mut edited.warnings)?;
    }
    if bare.len() < text.len() {
        edited.text.insert(0, BOM);
    }
    Ok(edited)
}

fn one(
    text: &str,
    document: Option<usize>,
    operation: &Operation,
    warnings: &mut Vec<String>,
) -> Result<String, Refused> {
    let mut tree = Tree::read(text)?;
    if tree.documents.is_empty() {
        tree.documents.push(nothing());
    }
    let index = match (document, tree.documents.len()) {
        (None, 1) => 0,
        (Some(index), count) if index < count => index,
        _ => return Err(Refused::new("WHICH_DOCUMENT", "the file has several documents")),
    };
    let root = tree.documents[index].clone();
    let document = Document { text, root: &root };
    let operation = document.settled(operation, warnings)?;
    let (Operation::Set { path, .. }
    | Operation::Insert { path, .. }
    | Operation::Remove { path }
    | Operation::Rename { path, .. }
    | Operation::Move { path, .. }
    | Operation::Put { path, .. }) = &operation;
    let way = document.way(path)?;
    let node = node_at(&root, &way);
    match &operation {
        Operation::Set { .. } => document.check_unused(node, false)?,
        Operation::Remove { .. } => document.check_unused(node, true)?,
        Operation::Rename { to, path } => {
            let (last, above) = path.split_last().unwrap_or((&Part::At(0), &[]));
            let mut other = above.to_vec();
            other.push(Part::Key(to.clone()));
            if *last != Part::Key(to.clone()) && document.way(&other).is_ok() {
                let why = format!("the key `{to}` is there already");
                return Err(document.refuse("DUPLICATE_KEY", node.start, why));
            }
        }
        _ => {}
    }
    let Some(expected) = done(&root, &way, &operation) else {
        let why = format!("cannot do this at {}", shown(path));
        return Err(document.refuse("NOT_POSSIBLE", node.start, why));
    };
    let mut failure = None;
    for has_blocks in [true, false] {
        let places = Places { text, tree: &tree };
        let layout = Layout { has_blocks, ..Layout::of(places) };
        let planner = Planner { places, root: &root, way: &way, layout };
        let plan = planner.plan(&operation)?;
        let after = spliced(text, plan.splices);
        let edit =
            Edit { text, tree: &tree, document: index, expected: &expected, change: &plan.change };
        match edit.verify(&after) {
            Ok(()) => {
                warn(&root, &way, warnings);
                return Ok(after);
            }
            Err(refused) => failure = Some(refused),
        }
    }
    Err(failure.unwrap_or_else(|| Refused::new("NOT_VERIFIED", "cannot plan the edit")))
}

/// Warns of anchors above or at what was edited: their aliases change with it.
fn warn(root: &Node, way: &[usize], warnings: &mut Vec<String>) {
    for length in 0..=way.len() {
        let node = node_at(root, &way[..length]);
        let mut count = 0;
        root.visit(&mut |other| {
            let is_alias = matches!(other.form, Form::Alias(id) if id == node.anchor);
            count += usize::from(node.anchor != 0 && is_alias);
        });
        if let Some(name) = node.anchor_name.as_ref().filter(|_| count > 0) {
            let text = format!("`*{name}` changes with it, at {count} places");
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
}

fn nothing() -> Node {
    Node::bare(Form::Scalar { text: String::new(), plain: true }, style::Style::Plain, 0..0)
}

fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in splices {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&new);
        at = range.end.max(at);
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests;
