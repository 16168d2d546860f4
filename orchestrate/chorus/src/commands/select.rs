//! `chorus select`: which streams and properties a tap reads.

use std::fmt::Write;

use project::edit::{Operation, Part};
use project::{Plugin, Project, Role, Source};
use runner::prepare;
use serde_json::{Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::edits::SelectArgs;
use crate::commands::entry_path;
use crate::commands::pretty;

/// Does what the command says; `environment` is the one that the command line names.
pub fn select(project: &Project, args: &SelectArgs, environment: Option<&str>) -> Result<()> {
    let plugin = Plugin::find(project, &args.tap)?;
    if plugin.role != Role::Extractor {
        return Err(Error::new(ErrorKind::Usage, "cannot select streams of this plugin")
            .with("plugin", &args.tap)
            .hint("name a tap"));
    }
    if args.list || args.json {
        return list(project, &plugin, args);
    }
    let path = [entry_path(project, &args.tap, environment), vec!["select".into()]].concat();
    let mut source = Source::open(&project.root)?;
    if args.clear {
        source.remove(path)?;
        source.write(project.warnings())?;
        return print(&format!("Removed all patterns of `select` of {}\n", args.tap));
    }
    let sign = if args.exclude { "!" } else { "" };
    let pattern = format!("{sign}{}.{}", args.stream, args.property);
    let known = match source.value(&path) {
        Some(Value::Array(known)) => known,
        Some(Value::String(one)) => {
            source.put(path.clone(), json!([one]))?;
            vec![one.into()]
        }
        _ => Vec::new(),
    };
    let found = known.iter().position(|other| *other == pattern.as_str());
    let done = match (args.remove, found) {
        (true, _) => "Removed",
        (false, None) => "Added",
        (false, Some(_)) => "Kept",
    };
    match (args.remove, found) {
        (true, None) => {
            return Err(Error::new(ErrorKind::NoInput, "cannot find the pattern")
                .with("pattern", pattern)
                .hint(format!("`chorus select {} --list` shows the patterns", args.tap)));
        }
        (true, Some(_)) if known.len() == 1 => {
            source.remove(path)?;
        }
        (true, Some(at)) => {
            source.remove([path, vec![Part::At(at)]].concat())?;
        }
        // It is there: a second one would change nothing.
        (false, Some(_)) => {}
        (false, None) if known.is_empty() => source.put(path, json!([&pattern]))?,
        (false, None) => {
            let way = path.clone();
            let value = pattern.as_str().into();
            source.edit(&way, Operation::Insert { path, key: None, value, at: None })?;
        }
    }
    source.write(project.warnings())?;
    print(&format!("{done} '{pattern}' in `select` of {}\n", args.tap))
}

/// A property with what becomes of it.
struct Property {
    stream: String,
    name: String,
    mark: &'static str,
}

fn list(project: &Project, plugin: &Plugin, args: &SelectArgs) -> Result<()> {
    let (catalog, _) = prepare::catalog(project, plugin)?;
    let mut found = Vec::new();
    for stream in catalog["streams"].as_array().into_iter().flatten() {
        found.extend(properties(stream));
    }
    found.sort_by(|one, other| (&one.stream, &one.name).cmp(&(&other.stream, &other.name)));
    found.retain(|property| args.all || matches!(property.mark, "selected" | "automatic"));
    let patterns = plugin.rules.select.clone().unwrap_or_else(|| vec!["*.*".to_owned()]);
    if args.json {
        let streams: Vec<Value> = found
            .iter()
            .map(|one| json!({"stream": one.stream, "property": one.name, "selection": one.mark}))
            .collect();
        return print(&pretty(&json!({ "enabled_patterns": patterns, "streams": streams })));
    }
    let mut text = "Legend:\n\tselected\n\texcluded\n\tautomatic\n\tunsupported\n".to_owned();
    text += "\nEnabled patterns:\n";
    for pattern in &patterns {
        let _ = writeln!(text, "\t{pattern}");
    }
    text += "\nSelected properties:\n";
    for Property { stream, name, mark } in &found {
        let _ = writeln!(text, "\t[{mark:<11}] {stream}.{name}");
    }
    print(&text)
}

/// Returns the properties of a stream, those inside others by dotted names.
fn properties(stream: &Value) -> Vec<Property> {
    let id = stream["tap_stream_id"].as_str().or(stream["stream"].as_str()).unwrap_or_default();
    let mut is_read = stream["selected"].as_bool();
    let mut found = Vec::new();
    for entry in stream["metadata"].as_array().into_iter().flatten() {
        let parts = entry["breadcrumb"].as_array();
        let names: Vec<&str> = parts
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|part| *part != "properties")
            .collect();
        let metadata = &entry["metadata"];
        let mark = match (metadata["inclusion"].as_str(), metadata["selected"].as_bool()) {
            (Some("automatic"), _) => "automatic",
            (Some("unsupported"), _) => "unsupported",
            (_, Some(true)) => "selected",
            _ => "excluded",
        };
        if names.is_empty() {
            is_read = is_read.or(metadata["selected"].as_bool());
        } else {
            found.push(Property { stream: id.to_owned(), name: names.join("."), mark });
        }
    }
    if is_read == Some(false) {
        for property in &mut found {
            property.mark = "excluded";
        }
    }
    found
}
