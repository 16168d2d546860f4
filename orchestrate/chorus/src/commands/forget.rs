//! `chorus forget`: removes the rows of a person from what the project keeps.

use std::fmt::Write;
use std::io::BufRead as _;

use project::Project;
use runner::forget::{self, Forgetting, Forgotten};
use serde_json::to_value;
use singer::error::printable;
use singer::output::print;
use singer::{Error, ErrorKind, Result, Secret};

use crate::cli::contract::ForgetArgs;
use crate::cli::edits::ListFormat;
use crate::commands::{pretty, table};

/// Counts the rows of a person, or removes them; prints what was not reached.
pub fn forget(project: &Project, args: &ForgetArgs) -> Result<()> {
    let (column, value) = key(&args.key)?;
    let what = Forgetting {
        words: args.words.clone(),
        stream: args.stream.clone(),
        column,
        value,
        apply: args.apply,
        keep_targets: args.keep_targets,
    };
    let mut done = forget::forget(project, &what)?;
    print(&match args.format {
        ListFormat::Text => text(&what, &done),
        ListFormat::Json => pretty(&to_value(&done).unwrap_or_default()),
    })?;
    if done.failures.is_empty() {
        return Ok(());
    }
    let count = done.failures.len();
    let failure = done.failures.swap_remove(0);
    Err(failure.with("parts that failed", count))
}

/// Reads `COLUMN=VALUE`; without a value, it is the first line of standard input, so that it stands
/// on no command line.
fn key(text: &str) -> Result<(String, Secret)> {
    if let Some((column, value)) = text.split_once('=') {
        return named(column, value);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot read the value from standard input").caused_by(cause)
    })?;
    named(text, line.trim_end_matches(['\n', '\r']))
}

fn named(column: &str, value: &str) -> Result<(String, Secret)> {
    if column.is_empty() || value.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "cannot look for a person without a value").hint(
            "write `--key COLUMN=VALUE`, or `--key COLUMN` and the value on standard input",
        ));
    }
    Ok((column.to_owned(), Secret::new(value)))
}

fn text(what: &Forgetting, done: &Forgotten) -> String {
    let verb = if what.apply { "removed" } else { "would remove" };
    let mut text = String::new();
    let rows = done.days.iter().map(|day| {
        let counts = [day.found, day.rows].map(|count| count.to_string());
        let [found, all] = counts;
        vec![day.source.clone(), day.day.to_string(), found, all]
    });
    if !done.days.is_empty() {
        text += &table::render(&["source", "day", verb, "of rows"], rows.collect(), &[2, 3]);
    }
    for file in &done.files {
        let how = match (file.whole, what.apply) {
            (true, true) => "lines removed",
            (true, false) => "lines would be removed",
            (false, true) => "lines masked",
            (false, false) => "lines would be masked",
        };
        let _ = writeln!(text, "{}: {} {how}", file.path.display(), file.lines);
    }
    for statement in &done.statements {
        let mut state = if statement.done { "ran" } else { "to run" }.to_owned();
        if let Some(rows) = statement.rows {
            let _ = write!(state, ", {rows} rows");
        }
        let _ = writeln!(text, "{} ({state}): {};", statement.target, printable(&statement.sql));
    }
    let _ = writeln!(text, "not reached:");
    for one in &done.unreached {
        let _ = writeln!(text, "  {}", printable(one));
    }
    if !what.apply {
        let _ = writeln!(text, "nothing was changed; `--apply` removes the rows");
    }
    text
}
