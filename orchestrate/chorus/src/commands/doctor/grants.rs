//! `chorus doctor --grants`: the rights that users of databases lack, as SQL to copy.

use std::fmt::Write;

use project::{Job, Project};
use runner::grants::{Lacking, reason, to_begin};
use runner::schedule::Schedule;
use singer::error::printable;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

/// Prints what the users of a job lack, or of all jobs; of one plugin of these where it is named.
pub fn grants(project: &Project, words: &[String], only: &str) -> Result<()> {
    let only = Some(only).filter(|plugin| !plugin.is_empty());
    let mut lacking = Lacking::default();
    let jobs = if words.is_empty() { all(project)? } else { vec![words.to_vec()] };
    for words in &jobs {
        for step in Job::find(project, words)?.pipelines() {
            lacking.ask(project, step, only);
        }
    }
    if !lacking.was_asked {
        return Err(nobody(only));
    }
    print(&text(&lacking))?;
    let is_first = |(plugin, failure): &(String, Error)| to_begin(plugin, failure).is_some();
    let (first, others): (Vec<_>, Vec<_>) = lacking.failures.into_iter().partition(is_first);
    if let Some((_, failure)) = others.into_iter().next() {
        return Err(failure);
    }
    if first.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = first.iter().map(|(plugin, _)| plugin.as_str()).collect();
    Err(Error::new(
        ErrorKind::Denied,
        "cannot see all rights that are lacking: a user may not connect",
    )
    .with("plugins", names.join(", "))
    .hint("run this SQL, and then this command again, which prints the rest"))
}

/// Returns the pipelines of all jobs and schedules.
fn all(project: &Project) -> Result<Vec<Vec<String>>> {
    let mut all: Vec<Vec<String>> =
        project.job_names().into_iter().map(|name| vec![name]).collect();
    for entry in project.schedules() {
        let words = Schedule::read(&project.root, entry)?.words;
        if !all.contains(&words) {
            all.push(words);
        }
    }
    Ok(all)
}

fn nobody(only: Option<&str>) -> Error {
    let message = "cannot print rights: no plugin that tells of rights is used";
    let failure = Error::new(ErrorKind::Usage, message);
    let failure = match only {
        Some(plugin) => failure.with("plugin", plugin),
        None => failure,
    };
    failure.hint(
        "tap-postgres and target-postgres tell of theirs: name a job with one of them, or two \
         plugins: chorus doctor --grants TAP TARGET",
    )
}

fn is_comment(statement: &str) -> bool {
    statement.starts_with("--")
}

/// Writes it as SQL.
fn text(lacking: &Lacking) -> String {
    let mut text = String::new();
    for place in &lacking.places {
        let plugins = place.plugins.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "-- {}:\n{}", printable(&plugins), place.of);
        if place.statements.iter().all(|statement| is_comment(statement)) {
            text.push_str("-- nothing is lacking\n");
        }
        for statement in &place.statements {
            let end = if is_comment(statement) { "" } else { ";" };
            let _ = writeln!(text, "{statement}{end}");
        }
    }
    for (plugin, failure) in &lacking.failures {
        let _ = writeln!(text, "-- {}:", printable(plugin));
        if let Some(statement) = to_begin(plugin, failure) {
            let _ = writeln!(text, "-- it may not connect; what else it lacks is seen then");
            let _ = writeln!(text, "{statement};");
        } else {
            let reason = printable(reason(plugin, failure));
            let _ = writeln!(text, "-- what it lacks is not known: {reason}");
        }
    }
    if text.is_ascii() {
        return text;
    }
    format!("SET client_encoding = 'UTF8';\n{text}")
}
