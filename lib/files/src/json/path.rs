//! The part of `JSONPath` that says where the records of a document lie.

use std::fmt;
use std::str::FromStr;

use singer::{Error, ErrorKind, Result};

/// Where the records of a document lie: `$.data.items[*]`.
///
/// Names (`.name`, `['any name']`), positions in arrays from 0 (`[2]`), all elements of an array
/// (`[*]`), and all members (`.*`). As in the tools whose settings these are, `[*]` of what is no
/// array is the value itself, and an array where the path ends stands for its elements. Behind
/// `[*]` and `.*` the path goes on in each of them: every end that it comes to has a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsPath {
    pub(super) steps: Vec<Step>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(u64),
    Elements,
    Members,
}

impl Default for RecordsPath {
    fn default() -> Self {
        Self { steps: Vec::new(), text: "$".to_owned() }
    }
}

impl RecordsPath {
    /// Reads a path. Fails with `Config` for what `JSONPath` has beyond the forms above.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |at: usize| {
            Err(Error::new(ErrorKind::Config, "cannot read the path of the records")
                .with("path", text)
                .with("at", at + 1)
                .hint("use names, positions and `[*]`, like `$.data.items[*]`"))
        };
        let trimmed = text.trim();
        let Some(mut rest) = trimmed.strip_prefix('$') else { return refuse(0) };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let Some((step, behind)) = step(rest) else {
                return refuse(trimmed.len() - rest.len());
            };
            steps.push(step);
            rest = behind;
        }
        Ok(Self { steps, text: trimmed.to_owned() })
    }

    /// Returns the names that the path begins with.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map_while(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the names and positions of the path, each as a text; `None` is all of them.
    pub fn way(&self) -> Vec<Option<String>> {
        let text = |step: &Step| match step {
            Step::Name(name) => Some(name.clone()),
            Step::Index(position) => Some(position.to_string()),
            Step::Elements | Step::Members => None,
        };
        self.steps.iter().map(text).collect()
    }

    /// Tells whether the path leads to one list: names and positions, and `[*]` at its end or not.
    pub fn is_list(&self) -> bool {
        let is_one = |step: &Step| matches!(step, Step::Name(_) | Step::Index(_));
        match self.steps.split_last() {
            Some((Step::Name(_) | Step::Index(_) | Step::Elements, before)) => {
                before.iter().all(is_one)
            }
            Some((Step::Members, _)) => false,
            None => true,
        }
    }

    /// Tells whether the path is `$`, or `$[*]`: then an object is a record, all of it.
    pub fn is_root(&self) -> bool {
        self.steps.iter().all(|step| *step == Step::Elements)
    }
}

impl FromStr for RecordsPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for RecordsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads one step; returns it and what follows.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        if let Some(rest) = rest.strip_prefix('*') {
            return Some((Step::Members, rest));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let plain = !name.is_empty() && !name.contains(|c: char| "*?()@,'\" ".contains(c));
        return plain.then(|| (Step::Name(name.to_owned()), rest));
    }
    let inner = text.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            let rest = rest.strip_prefix(']')?;
            return (!name.contains('\\')).then(|| (Step::Name(name.to_owned()), rest));
        }
    }
    let (content, rest) = inner.split_once(']')?;
    match content {
        "*" => Some((Step::Elements, rest)),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((Step::Index(digits.parse().ok()?), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths_and_refuses_the_rest() {
        let name = |name: &str| Step::Name(name.to_owned());
        let check = |text: &str, steps: &[Step]| {
            assert_eq!(RecordsPath::parse(text).unwrap().steps, steps, "{text}");
        };
        check("$", &[]);
        check(" $[*] ", &[Step::Elements]);
        check("$.data.items[*]", &[name("data"), name("items"), Step::Elements]);
        check("$['a b'][\"c.d\"][2].*", &[name("a b"), name("c.d"), Step::Index(2), Step::Members]);
        check("$.größe-1[0]", &[name("größe-1"), Step::Index(0)]);
        for text in
            ["", "data", "$data", "$.", "$..a", "$[?(@.a>1)]", "$[-1]", "$[1:2]", "$['a", "$[0"]
        {
            let failure = RecordsPath::parse(text).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{text}");
        }
    }
}
