//! The column names of a file: all different and none empty, or renamed, or refused.

use std::collections::BTreeSet;

use singer::{Error, ErrorKind, Result};

/// Checks names, or with `rename` gives empty ones a name by position and repeated ones a number.
///
/// Fails with `Data`, naming every bad one.
pub fn checked(names: Vec<String>, rename: bool) -> Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut empty = Vec::new();
    let mut repeated = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            empty.push((at + 1).to_string());
        } else if !seen.insert(name.as_str()) {
            repeated.push(name.as_str());
        }
    }
    if empty.is_empty() && repeated.is_empty() {
        return Ok(names);
    }
    if rename {
        return Ok(renamed(&names));
    }
    let mut failure = Error::new(ErrorKind::Data, "cannot use the column names of the file");
    if !empty.is_empty() {
        failure = failure.with("without a name", format!("column {}", empty.join(", ")));
    }
    if !repeated.is_empty() {
        failure = failure.with("more than once", repeated.join(", "));
    }
    Err(failure.hint("correct the header, or set `rename_headers` to true"))
}

/// Names columns without a header: c1, c2, ...
pub fn numbered(width: usize) -> Vec<String> {
    (1..=width).map(|at| format!("c{at}")).collect()
}

fn renamed(names: &[String]) -> Vec<String> {
    // A name that stands in the file once is never given to another column.
    let mut taken: BTreeSet<String> = names.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    let mut fresh = |base: String, first: bool| {
        if first {
            return base;
        }
        let mut name = base.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    };
    let name = |(at, name): (usize, &String)| {
        if name.trim().is_empty() {
            fresh(format!("c{}", at + 1), false)
        } else {
            fresh(name.clone(), seen.insert(name.clone()))
        }
    };
    names.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn refuses_bad_names_and_lists_them() {
        assert_eq!(checked(names("a, b ,A"), false).unwrap(), names("a, b ,A"));
        let failure = checked(names("a,,b,a, ,b,b"), false).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
        assert_eq!(failure.context("without a name"), Some("column 2, 5"));
        assert_eq!(failure.context("more than once"), Some("a, b, b"));
    }

    #[test]
    fn renames_without_taking_a_name_from_another_column() {
        let check = |text: &str, expected: &str| {
            assert_eq!(checked(names(text), true).unwrap(), names(expected), "{text}");
        };
        check("a,a,a", "a,a_2,a_3");
        check("a,,b", "a,c2,b");
        check("c2,,b", "c2,c2_2,b");
        check("a,a_2,a", "a,a_2,a_3");
        check("a,a,a_2", "a,a_3,a_2");
    }
}
