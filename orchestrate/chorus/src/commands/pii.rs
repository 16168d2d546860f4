//! `chorus pii`: what may be personal in what a job reads, and a contract to start from.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use disk::Datestamp;
use mapping::contract::{Contract, Draft};
use project::Project;
use runner::contracts::{self, Source};
use runner::pii::{self, Found, Looked, Looking};
use serde_json::json;
use singer::output::print;
use singer::{ErrorKind, Result};

use crate::cli::contract::PiiArgs;
use crate::cli::edits::ListFormat;
use crate::commands::contract::written;
use crate::commands::{pretty, table};
use crate::signals::Signals;

/// Prints what may be personal, and writes a contract for each tap that has none.
pub fn pii(project: &Project, args: &PiiArgs, day: Option<Datestamp>) -> Result<()> {
    let signals = Signals::note(project.warnings());
    let mut all = Vec::new();
    let mut end = String::new();
    for source in Source::all_of(project, &args.words)? {
        let what = Looking { day, records: args.records };
        let streams = pii::look(project, &source, what, &signals)?;
        let path = source.path(project);
        let draft = Draft {
            name: source.tap.name.clone(),
            notes: vec![
                "What may be personal, by names and values. Look at each column: the search can \
                 miss some."
                    .to_owned(),
                "A column without `classification` ends a run with `require_classification`."
                    .to_owned(),
            ],
            streams: streams.iter().map(|stream| stream.draft.clone()).collect(),
        };
        end += &match contracts::write_new(&path, &draft) {
            Ok(()) => written(project, &path, streams.len()),
            Err(failure) if failure.kind() == ErrorKind::Config => kept(project, &path, &streams)?,
            Err(failure) => return Err(failure),
        };
        all.extend(streams);
    }
    let found: Vec<&Found> = all.iter().flat_map(|stream| &stream.found).collect();
    if args.format == ListFormat::Json {
        let looked =
            |stream: &Looked| json!({ "stream": stream.draft.name, "records": stream.records });
        let streams: Vec<_> = all.iter().map(looked).collect();
        return print(&pretty(&json!({ "streams": streams, "found": found })));
    }
    let rows = found.iter().map(|one| {
        let sure = format!("{:?}", one.finding.sure).to_lowercase();
        let kind = one.finding.kind.words().to_owned();
        vec![one.stream.clone(), one.column.clone(), kind, sure, one.finding.why.clone()]
    });
    let header = ["stream", "column", "may be", "sure", "why"];
    let mut text = String::new();
    if found.is_empty() {
        let _ = writeln!(text, "nothing was found that looks personal");
    } else {
        text += &table::render(&header, rows.collect(), &[]);
    }
    print(&(text + &end))
}

/// Says which findings have no class in a contract that is there, which stays as it is.
fn kept(project: &Project, path: &Path, streams: &[Looked]) -> Result<String> {
    let contract = Contract::from_path(path)?;
    let has_class = |found: &Found| {
        let table = contract.tables.iter().find(|table| table.name == found.stream);
        let top = found.column.split(['.', '[']).next().unwrap_or_default();
        let property = table.and_then(|table| {
            table.properties.iter().find(|one| one.name == found.column || one.name == top)
        });
        property.is_some_and(|property| {
            property.classification.is_some() || !property.properties.is_empty()
        })
    };
    let open: BTreeSet<String> = streams
        .iter()
        .flat_map(|stream| &stream.found)
        .filter(|found| !has_class(found))
        .map(|found| format!("{}.{}", found.stream, found.column))
        .collect();
    let shown = path.strip_prefix(&project.root).unwrap_or(path).display();
    let mut text = format!("{shown} is there, and was not changed\n");
    if !open.is_empty() {
        let names: Vec<String> = open.into_iter().collect();
        let _ = writeln!(text, "without a classification in it: {}", names.join(", "));
    }
    Ok(text)
}
