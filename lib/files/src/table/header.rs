//! The column names of a file: all different and none empty, or renamed, or refused.

use std::collections::BTreeSet;

use singer::{Error, ErrorKind, Kind, Result};

use crate::infer::Inference;

/// Checks names, or with `rename` gives empty ones a name by position and repeated ones a number.
///
/// Fails with `Data`, naming every bad one.
pub(super) fn checked(names: Vec<String>, rename: bool) -> Result<Vec<String>> {
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
    Err(failure.hint(
        "correct the header, or set `rename_headers` to true; if this line is a row, set `header` \
         to false",
    ))
}

/// Tells whether a header may be a row: some of its names are numbers, booleans or times, and each
/// name is a value of the kind that its column has; or all are numbers.
///
/// Years, days and other numbers in a row are names where a table is written crosswise, beside a
/// name that is none; and numbers in a row over text alone are places.
pub(super) fn may_be_row(names: &[String], columns: &Inference) -> bool {
    let mut alone = Inference::new(names.len());
    for (at, name) in names.iter().enumerate() {
        alone.see(at, name.as_bytes());
    }
    let values: Vec<usize> =
        (0..names.len()).filter(|at| alone.kind(*at) != Kind::String).collect();
    let mut both = columns.clone();
    (0..names.len()).for_each(|at| both.merge(at, &alone, at));
    let is_text = |of: &Inference, at: usize| of.kind(at) == Kind::String;
    let fits = |at: usize| is_text(columns, at) || !is_text(&both, at);
    let tells = |at: &usize| columns.is_unseen(*at) || !is_text(columns, *at);
    let numbers: Vec<i64> = values.iter().filter_map(|at| names[*at].parse().ok()).collect();
    let is_year = |number: &i64| (1900..=2100).contains(number);
    let is_sequence =
        numbers.len() > 1 && numbers.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    if !names.is_empty() && names.iter().all(|name| is_number(name)) {
        let is_over_text = |at: usize| !columns.is_unseen(at) && is_text(columns, at);
        return !is_sequence || !(0..names.len()).all(is_over_text);
    }
    let is_crosswise = numbers.len() == values.len()
        && (numbers.iter().all(is_year) || is_sequence)
        || values.len() > 1 && values.iter().all(|at| alone.kind(*at) == Kind::Date);
    !values.is_empty() && values.iter().all(tells) && !is_crosswise && (0..names.len()).all(fits)
}

/// Tells whether a name is a number in whatever form: `007`, `+1`, `1e5`, `1,5`.
fn is_number(name: &str) -> bool {
    let text = name.trim();
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    begins
        && text.ends_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.replace(',', ".").parse::<f64>().is_ok()
}

/// Names columns without a header: c1, c2, ...
pub(super) fn numbered(width: usize) -> Vec<String> {
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
    fn a_header_of_values_may_be_a_row() {
        let check = |header: &str, row: &str, expected: bool| {
            let header = names(header);
            let mut columns = Inference::new(header.len());
            for (at, value) in names(row).iter().enumerate() {
                if !value.is_empty() {
                    columns.see(at, value.as_bytes());
                }
            }
            assert_eq!(may_be_row(&header, &columns), expected, "{header:?} {row}");
        };
        check("1,anna", "2,bert", true);
        check("7.5,x,2026-01-02", "1,y,2026-01-03", true);
        check("true,a", "false,b", true);
        check("2026-01-02T10:00:00Z,a", ",b", true);
        check("1,anna", ",", true);
        check("1,2", "3,4", true);
        check("7,8", "2,6", true);
        check("2025,2026", "2027,2028", true);
        check("007,+49", "x,y", true);
        check("1,5", "a,7", true);
        check("0,1", "a,b", false);
        check("0,1", "a,7", true);
        check("inf,nan", "1,2", false);
        check("id,name", "1,anna", false);
        check("id,1.5", "1,2", false);
        check("id,name", ",", false);
        check("1,name", "x,anna", false);
        check("product,2025,2026", "pen,1,2", false);
        check("product,2026", "pen,1", false);
        check("name,1,2,3", "anna,0,7,8", false);
        check("name,2026-01-01,2026-01-02", "anna,2026-02-01,2026-02-02", false);
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
