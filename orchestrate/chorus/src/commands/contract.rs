//! `chorus contract`: writes contracts, holds data to them, and compares their versions.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use disk::Datestamp;
use mapping::contract::diff::{Change, compare};
use mapping::contract::{Contract, Draft};
use project::{Project, Warnings, warning};
use runner::contract_check::{self, Checked, Checking};
use runner::contracts::{self, Source};
use serde_json::json;
use singer::error::printable;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::contract::ContractCheckArgs;
use crate::cli::edits::ListFormat;
use crate::commands::{pretty, table};
use crate::signals::Signals;

/// Writes a contract for each tap of a job that reads a source.
pub fn init(project: &Project, words: &[String]) -> Result<()> {
    let sources = Source::all_of(project, words)?;
    // No source is asked in vain.
    let is_there = |source: &Source| source.path(project).symlink_metadata().is_ok();
    let (there, missing): (Vec<_>, Vec<_>) = sources.into_iter().partition(is_there);
    if let (Some(first), true) = (there.first(), missing.is_empty()) {
        return Err(contracts::exists(&first.path(project)));
    }
    for source in &there {
        print(&format!("{} is there, and was not changed\n", shown(project, source)))?;
    }
    let mut drafts = Vec::new();
    for source in &missing {
        let (streams, warnings) = source.streams(project)?;
        for text in warnings {
            tracing::warn!("{}: {text}", source.tap.name);
        }
        if streams.is_empty() {
            return Err(Error::new(ErrorKind::NoInput, "cannot write a contract without streams")
                .with("tap", &source.tap.name)
                .hint(format!(
                    "chorus select {} --list --all shows its streams",
                    source.tap.name
                )));
        }
        let notes = vec![
            "What the tap has today. Correct it, and add `classification` to each column."
                .to_owned(),
        ];
        let draft = Draft { name: source.tap.name.clone(), notes, streams };
        drafts.push((source.path(project), draft));
    }
    for (path, draft) in drafts {
        contracts::write_new(&path, &draft)?;
        print(&written(project, &path, draft.streams.len()))?;
    }
    Ok(())
}

/// Returns the path of the contract of a tap, as it is shown.
fn shown(project: &Project, source: &Source) -> String {
    let path = source.path(project);
    path.strip_prefix(&project.root).unwrap_or(&path).display().to_string()
}

/// Says which file was written.
pub fn written(project: &Project, path: &Path, streams: usize) -> String {
    let shown = path.strip_prefix(&project.root).unwrap_or(path);
    format!("wrote {}, streams: {streams}\n", shown.display())
}

/// Holds data to contracts, and prints what breaks; fails where something does.
pub fn check(project: &Project, args: &ContractCheckArgs, day: Option<Datestamp>) -> Result<()> {
    let (words, files) = named(project, args)?;
    let sources = Source::all_of(project, &words)?;
    let files: Vec<Vec<PathBuf>> =
        sources.iter().map(|source| held_to(project, source, &files)).collect::<Result<_>>()?;
    let signals = Signals::note(project.warnings());
    let mut all = Vec::new();
    for (source, contracts) in sources.iter().zip(files) {
        let what = Checking { contracts, day };
        let checked = contract_check::check(project, source, &what, &signals)?;
        all.push((source.tap.name.clone(), what.contracts, checked));
    }
    print(&match args.format {
        ListFormat::Text => all.iter().map(|(tap, _, checked)| text(tap, checked)).collect(),
        ListFormat::Json => {
            let told = |(tap, files, checked): &(String, Vec<PathBuf>, Checked)| {
                let kept = checked.is_kept();
                json!({ "tap": tap, "contracts": files, "kept": kept, "found": checked })
            };
            pretty(&all.iter().map(told).collect())
        }
    })?;
    match all.iter().find(|(_, _, checked)| !checked.is_kept()) {
        None => Ok(()),
        Some((tap, _, checked)) => Err(failure(tap, checked)),
    }
}

/// Makes the failure of a check.
fn failure(tap: &str, checked: &Checked) -> Error {
    match checked.unjudged.first() {
        Some(unjudged) if checked.breaches.is_empty() => {
            Error::new(ErrorKind::Data, "no row was held to the contract")
                .with("tap", tap)
                .with("contract", unjudged.contract.display())
                .with("streams of the contract", unjudged.lists.join(", "))
                .hint(
                    "`physicalName` (or `name`) of a stream in the contract must be its name \
                     behind the mappers; a stream without rows proves nothing",
                )
        }
        _ => Error::new(ErrorKind::Data, "the rows breach their contract")
            .with("tap", tap)
            .hint("correct the source or the contract; what breaks it is listed above"),
    }
}

/// Returns the contracts that a tap is held to: those that are named, or those of its job, or the
/// one with its name.
fn held_to(project: &Project, source: &Source, named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let configured = source.configured(project);
    if !configured.is_empty() {
        return Ok(configured);
    }
    let path = source.path(project);
    if path.symlink_metadata().is_ok() {
        return Ok(vec![path]);
    }
    let tap = &source.tap.name;
    Err(Error::new(ErrorKind::NoInput, "cannot find a contract of the tap")
        .with("tap", tap)
        .with("path", path.display())
        .hint(format!("write one: chorus contract init {tap}; or name one by --contract")))
}

/// Returns the job that is named, and the contracts; a contract names the tap that it is of.
fn named(project: &Project, args: &ContractCheckArgs) -> Result<(Vec<String>, Vec<PathBuf>)> {
    let absolute = |path: &Path| {
        std::path::absolute(path)
            .map_err(|cause| disk::failure("cannot find the contract", path, cause))
    };
    let given: Vec<PathBuf> =
        args.contract.iter().map(|path| absolute(path)).collect::<Result<_>>()?;
    let [word] = &args.words[..] else { return Ok((args.words.clone(), given)) };
    let is_file = Path::new(word).extension().is_some_and(|end| end == "yaml" || end == "yml");
    if !is_file {
        return Ok((args.words.clone(), given));
    }
    let path = absolute(Path::new(word))?;
    if !path.is_file() {
        return Err(Error::new(ErrorKind::NoInput, "cannot find the contract")
            .with("path", path.display())
            .hint("name a file, a job or a tap"));
    }
    // The whole job, so that its days and its mappers count.
    for job in project.job_names() {
        let Ok(sources) = Source::all_of(project, std::slice::from_ref(&job)) else { continue };
        let is_of = |source: &Source| {
            let folder = path.parent().map(Path::to_owned);
            let configured = source.configured(project);
            source.path(project) == path
                || configured.iter().any(|one| *one == path || Some(one) == folder.as_ref())
        };
        if let Some(source) = sources.into_iter().find(is_of) {
            let step = source.step.map(|step| step.name).unwrap_or_default();
            let words = step.split_whitespace().map(str::to_owned).collect();
            return Ok((words, vec![path]));
        }
    }
    let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default().to_owned();
    if project.plugin_names().contains(&stem) {
        return Ok((vec![stem], vec![path]));
    }
    Err(Error::new(ErrorKind::Usage, "cannot find out which tap the contract is for")
        .with("contract", path.display())
        .hint(format!("name the job, too: chorus contract check JOB --contract {word}")))
}

fn text(tap: &str, checked: &Checked) -> String {
    let mut text = String::new();
    for warning in &checked.warnings {
        let _ = writeln!(text, "warning: {}", printable(warning));
    }
    if !checked.breaches.is_empty() {
        let rows = checked.breaches.iter().map(|breach| {
            let lines: Vec<String> = breach.lines.iter().map(ToString::to_string).collect();
            let rows = breach.rows.to_string();
            let (stream, column) = (breach.stream.clone(), breach.column.clone());
            vec![stream, column, rows, breach.reason.clone(), lines.join(", ")]
        });
        let header = ["stream", "column", "rows", "what breaks", "first lines"];
        text += &table::render(&header, rows.collect(), &[2]);
    }
    for line in &checked.ended {
        let _ = writeln!(text, "{}", printable(line));
    }
    for (stream, rows) in &checked.rows {
        let _ = writeln!(text, "{stream}: {rows} rows keep the contract");
    }
    for (stream, rows) in &checked.unlisted {
        let stream = printable(stream);
        let _ = writeln!(text, "{stream}: {rows} rows were not judged: no contract lists it");
    }
    for unjudged in &checked.unjudged {
        let _ = writeln!(text, "{}: no row was judged", unjudged.contract.display());
    }
    if checked.is_kept() {
        let _ = writeln!(text, "{tap} keeps its contract");
    }
    text
}

/// Prints what changed between two versions; fails where a change breaks readers or sources.
pub fn diff(old: &Path, new: &Path, format: ListFormat, warnings: &Warnings) -> Result<()> {
    let (before, after) = (Contract::from_path(old)?, Contract::from_path(new)?);
    for contract in [&before, &after] {
        if let Some((what, line)) = contract.unused.first() {
            let path = contract.path.display();
            warnings.warn(warning!(
                "W-CONTRACT-UNUSED",
                "parts of {path} are not compared: {what} (line {line})"
            ));
        }
    }
    let changes = compare(&before, &after);
    print(&match format {
        ListFormat::Text => changed(&changes),
        ListFormat::Json => pretty(&json!({
            "old": before.version,
            "new": after.version,
            "breaking": changes.iter().any(|change| change.breaking),
            "changes": changes,
        })),
    })?;
    let breaking = changes.iter().filter(|change| change.breaking).count();
    if breaking == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "the new version of the contract breaks the old one")
        .with("breaking changes", breaking)
        .with("old version", before.version)
        .with("new version", after.version)
        .hint("tell the readers of the data, and raise the first number of `version`"))
}

fn changed(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no changes\n".to_owned();
    }
    let row = |change: &Change| {
        let grade = if change.breaking { "breaking" } else { "-" };
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            grade.to_owned(),
            change.stream.clone(),
            said(&change.column),
            change.change.clone(),
            said(&change.before),
            said(&change.after),
            change.line.to_string(),
        ]
    };
    let header = ["grade", "stream", "column", "change", "old", "new", "line"];
    table::render(&header, changes.iter().map(row).collect(), &[6])
}
