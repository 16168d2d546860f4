//! `chorus schema`: the tables of a job as a whole.

use std::fmt::Write;
use std::path::Path;

use disk::Datestamp;
use project::Project;
use runner::tables::{self, PlanOfTarget, TablesPlan};
use serde_json::{Value, to_value};
use singer::error::printable;
use singer::output::print;
use singer::{Aim, Error, ErrorKind, Result};

use crate::cli::edits::ListFormat;
use crate::cli::schema::{SchemaOf, SchemaPlanArgs};
use crate::commands::pretty;

/// Prints what the tables lack.
pub fn plan(project: &Project, args: &SchemaPlanArgs, day: Option<Datestamp>) -> Result<()> {
    let aim = if args.no_drop { Aim::Additions } else { Aim::Changes };
    let plan = planned(project, &args.of, (aim, day))?;
    let json = || pretty(&to_value(&plan).unwrap_or_default());
    if let Some(path) = &args.output {
        write(path, &json())?;
    }
    match args.format {
        ListFormat::Json if args.output.is_some() => Ok(()),
        ListFormat::Json => print(&json()),
        ListFormat::Text => print(&(text(&plan) + &next(&plan, args.output.as_deref()))),
    }
}

/// Does what a plan says.
pub fn apply(project: &Project, plan: &TablesPlan, allow_drop: bool) -> Result<()> {
    let changed = tables::apply(project, plan, allow_drop)?;
    print(&format!("changed tables: {changed}\n"))
}

/// Makes the tables that are missing.
pub fn build(project: &Project, of: &SchemaOf, day: Option<Datestamp>) -> Result<()> {
    let plan = planned(project, of, (Aim::Build, day))?;
    print(&text(&plan))?;
    if plan.is_empty() {
        return Ok(());
    }
    apply(project, &plan, false)
}

/// Drops the tables of a job, or lists them.
pub fn drop_all(
    project: &Project,
    of: &SchemaOf,
    (day, allow_drop): (Option<Datestamp>, bool),
) -> Result<()> {
    let plan = planned(project, of, (Aim::Drop, day))?;
    print(&text(&plan))?;
    if plan.is_empty() {
        return Ok(());
    }
    if !allow_drop {
        let tables = plan.delete.join(", ");
        return Err(Error::new(
            ErrorKind::Usage,
            "cannot drop the tables: their rows would be lost",
        )
        .with("tables", tables)
        .hint("nothing was changed: add `--allow-drop` to drop them"));
    }
    apply(project, &plan, true)
}

fn planned(
    project: &Project,
    of: &SchemaOf,
    asked: (Aim, Option<Datestamp>),
) -> Result<TablesPlan> {
    let (plan, warnings) = tables::plan(project, &of.words, asked)?;
    for text in warnings {
        tracing::warn!("{text}");
    }
    Ok(plan)
}

/// Writes a plan, in place of an older one.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut new = disk::NewFile::among_others(path, 0o666)?;
    new.write(text.as_bytes())?;
    new.place()
}

/// Shows a plan.
fn text(plan: &TablesPlan) -> String {
    let mut text = String::new();
    for part in &plan.plans {
        let _ = writeln!(text, "{}", part.step);
        text += &of_target(part);
    }
    let lost: Vec<&str> = plan.loses().collect();
    if !lost.is_empty() {
        let _ = writeln!(text, "lost: {}", printable(&lost.join("; ")));
    }
    if plan.is_empty() {
        text += "nothing to do\n";
    }
    text
}

/// Says what comes after a plan.
fn next(plan: &TablesPlan, output: Option<&Path>) -> String {
    let flag = if plan.loses().next().is_some() { " --allow-drop" } else { "" };
    match output {
        _ if plan.is_empty() => String::new(),
        None => "nothing was changed; `--output plan.json` writes the plan\n".to_owned(),
        Some(path) => {
            let path = path.display();
            format!("nothing was changed; next: chorus schema apply {path}{flag}\n")
        }
    }
}

fn of_target(part: &PlanOfTarget) -> String {
    let mut text = String::new();
    for table in part.tables() {
        let named = |key: &str| table[key].as_str().unwrap_or_default();
        let name = format!("{}.{}", named("schema"), named("table"));
        let verb = match named("action") {
            "create" => "create table",
            "change" => "change table",
            "drop" => "drop table",
            _ => "keep table",
        };
        let _ = writeln!(text, "  {verb} {}", printable(&name));
        for line in changes(table) {
            let _ = writeln!(text, "    {}", printable(&line));
        }
    }
    text
}

/// Says what happens to a table, a line each.
fn changes(table: &Value) -> Vec<String> {
    let list = |key: &str| -> Vec<&str> {
        table[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for (old, new) in table["renamed_fields"].as_object().into_iter().flatten() {
        lines.push(format!("rename column {old} to {}", word(new)));
    }
    let dropped = table["action"] == "drop";
    for (verb, names) in [("add", list("new_fields")), ("drop", list("deleted_fields"))] {
        if !names.is_empty() && !dropped {
            lines.push(format!("{verb} columns {}", names.join(", ")));
        }
    }
    for change in table["changed_types"].as_array().into_iter().flatten() {
        let [column, from, to] = ["column", "from", "to"].map(|key| word(&change[key]));
        lines.push(format!("change column {column} from {from} to {to}"));
    }
    if let Some([from, to]) = table["key"].as_array().map(Vec::as_slice) {
        let names = |key: &Value| {
            let names: Vec<String> = key.as_array().into_iter().flatten().map(word).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        lines.push(format!("change the key from {} to {}", names(from), names(to)));
    }
    let notes = [("refill", "fill again"), ("blocked", "blocked"), ("left", "left as it is")];
    for (key, note) in notes {
        lines.extend(list(key).into_iter().map(|text| format!("{note}: {text}")));
    }
    lines.extend(list("statements").into_iter().map(|sql| format!("{sql};")));
    lines
}
