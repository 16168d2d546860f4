//! Random operations on odd texts: what is done is what was meant, and no other line changes.

use std::cell::Cell;

use proptest::prelude::any;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use testing::property::holds;

use super::super::model::node_at;
use super::super::style::Style;
use super::super::tree::{Form, Node, Tree};
use super::super::{Operation, Part, edit};

/// The texts, each also with other line ends, with a BOM, and without a line end at the end.
fn corpus() -> Vec<String> {
    let mut all = Vec::new();
    for text in include_str!("odd.txt").split("=====\n") {
        let crlf = text.replace('\n', "\r\n");
        all.extend([text.trim_end().to_owned(), format!("\u{feff}{text}"), crlf]);
        all.push(text.to_owned());
    }
    all
}

const HOSTILE: [&str; 24] = [
    "x",
    "a b",
    "no",
    "1.20",
    "it's",
    "say \"hi\"",
    "a: b",
    "a #b",
    "- a",
    "*p",
    "&p",
    "!t",
    "{a",
    "[",
    "x, y",
    "l1\nl2\n",
    "l1\n\n l2",
    " lead",
    "trail ",
    "",
    "\u{85}",
    "%d",
    "@daily",
    "é\t",
];

/// Numbers out of a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from((self.0 >> 33) % (count.max(1) as u64)).unwrap()
    }

    fn text(&mut self) -> &'static str {
        HOSTILE[self.roll(HOSTILE.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 5 } else { 8 }) {
            0 => json!(self.roll(1000)),
            1 => json!(self.roll(2) == 0),
            2 => Value::Null,
            3 | 4 => json!(self.text()),
            5 => Value::Array((0..self.roll(3)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let count = self.roll(3);
                let mut member = |at| (format!("k{at} {}", self.text()), self.value(depth - 1));
                Value::Object((0..count).map(&mut member).collect())
            }
        }
    }
}

/// Returns the paths of all values that paths lead to.
fn paths(node: &Node, path: &mut Vec<Part>, all: &mut Vec<Vec<Part>>) {
    all.push(path.clone());
    let mut below = |part: Part, node: &Node| {
        path.push(part);
        paths(node, path, all);
        path.pop();
    };
    match &node.form {
        Form::List(items) => {
            items.iter().enumerate().for_each(|(at, item)| below(Part::At(at), item));
        }
        Form::Map(entries) => {
            for (key, value) in entries {
                if let Some(key) = key.key() {
                    below(Part::Key(key.to_owned()), value);
                }
            }
        }
        _ => {}
    }
}

fn operation(text: &str, dice: &mut Dice) -> Operation {
    let tree = Tree::read(text.trim_start_matches('\u{feff}')).unwrap();
    let mut all = Vec::new();
    paths(&tree.documents[0], &mut Vec::new(), &mut all);
    let path = all[dice.roll(all.len())].clone();
    let document = super::super::model::Document { text, root: &tree.documents[0] };
    let way = document.way(&path).unwrap_or_default();
    let node = node_at(&tree.documents[0], &way);
    let at = |dice: &mut Dice| (dice.roll(2) == 0).then(|| dice.roll(4));
    match dice.roll(7) {
        0 => Operation::Remove { path },
        1 => Operation::Rename { path, to: dice.text().to_owned() },
        2 => Operation::Move { path, to: dice.roll(4) },
        3 | 4 => Operation::Set { path, value: dice.value(2) },
        _ => {
            let is_list = matches!(node.form, Form::List(_));
            let key = (!is_list).then(|| format!("new {}", dice.text()));
            Operation::Insert { path, key, value: dice.value(2), at: at(dice) }
        }
    }
}

#[test]
fn no_other_line_changes_and_hardly_an_edit_is_refused_by_the_check() {
    let corpus = corpus();
    let (done, unsure) = (Cell::new(0_u32), Cell::new(0_u32));
    holds("edits of YAML", 300, any::<u64>(), |seed| {
        let mut dice = Dice(seed);
        let mut text = corpus[dice.roll(corpus.len())].clone();
        for _ in 0..=dice.roll(4) {
            let operation = operation(&text, &mut dice);
            match edit(&text, None, std::slice::from_ref(&operation)) {
                Ok(edited) => {
                    done.set(done.get() + 1);
                    unchanged(&text, &edited.text, &operation)?;
                    text = edited.text;
                }
                Err(refused) if refused.code == "NOT_VERIFIED" => {
                    unsure.set(unsure.get() + 1);
                }
                Err(_) => {}
            }
        }
        Ok(())
    });
    let (done, unsure) = (done.get(), unsure.get());
    assert!(done > 0 && unsure * 50 <= done, "{done} done, {unsure} refused by the check");
}

/// Every line of the old text is there, apart from as many as the value that was edited has and
/// those beside it.
fn unchanged(before: &str, after: &str, operation: &Operation) -> Result<(), TestCaseError> {
    let tree = Tree::read(before.trim_start_matches('\u{feff}')).unwrap();
    let (Operation::Set { path, .. }
    | Operation::Insert { path, .. }
    | Operation::Remove { path }
    | Operation::Rename { path, .. }
    | Operation::Move { path, .. }
    | Operation::Put { path, .. }) = operation;
    let root = &tree.documents[0];
    let document = super::super::model::Document { text: before, root };
    let way = document.way(path).unwrap_or_default();
    let own = |way: &[usize]| {
        let node = node_at(root, way);
        1 + before.trim_start_matches('\u{feff}')[node.span.clone()].matches('\n').count()
    };
    let is_flow = (0..=way.len()).any(|at| node_at(root, &way[..at]).style == Style::Flow);
    let allowed = match operation {
        Operation::Insert { .. } if !is_flow => 1,
        Operation::Rename { .. } => 1,
        Operation::Move { .. } => own(&way[..way.len().saturating_sub(1)]),
        _ => own(&way) + 4,
    };
    let mut left: Vec<&str> = after.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    let mut lost = 0;
    for line in before.split('\n').map(|line| line.trim_end_matches('\r')) {
        match left.iter().position(|other| *other == line) {
            Some(at) => drop(left.remove(at)),
            None => lost += 1,
        }
    }
    if lost > allowed {
        let words =
            format!("{lost} lines changed of {allowed}: {operation:?}\n{before}\n=>\n{after}");
        return Err(TestCaseError::fail(words));
    }
    Ok(())
}
