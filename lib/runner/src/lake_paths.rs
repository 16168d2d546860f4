//! The day that a step writes: where, whether it is there, and whether it is the day of the run.

use std::path::{Path, PathBuf};

use lake::{DATED_SCHEME, DatedPath, Datestamp, Key, Lake};
use project::warning;
use project::{Plugin, Project, Step};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// The program that writes dated folders, where no setting tells that a target does.
const WRITER: &str = "target-csv";
/// Where it writes, and the other name of that setting.
const FOLDERS: [&str; 2] = ["output_path", "destination_path"];
/// The setting for the path below it.
const SCHEME: &str = "file_naming_scheme";
/// The setting of a tap that reads days, and its other names.
const READERS: [&str; 3] = ["output", "output_path", "lake"];
/// The folder it takes when neither is set.
pub const FOLDER: &str = "output";

/// Tells whether the day that a step writes is complete; `None` where it writes none.
pub fn day_is_there(project: &Project, step: &Step) -> Result<Option<bool>> {
    let Some((root, source, day)) = day_written(project, step) else { return Ok(None) };
    if !root.is_dir() {
        return Ok(Some(false));
    }
    let lake = Lake::open(root)?;
    let Some(record) = lake.run_record(&source, day)? else { return Ok(Some(false)) };
    let there = |table: &String| lake.has(&Key::table(&source, day, table)).unwrap_or(false);
    Ok(Some(!record.tables.is_empty() && record.tables.keys().all(there)))
}

/// Tells whether the day that a step writes has lost something: a table, or a file of one. What a
/// state says of such a day is not so any more.
pub fn day_is_damaged(project: &Project, step: &Step) -> Result<bool> {
    match day_is_there(project, step)? {
        None => return Ok(false),
        Some(false) => return Ok(true),
        Some(true) => {}
    }
    let Some((root, source, day)) = day_written(project, step) else { return Ok(false) };
    let lake = Lake::open(root)?;
    let Some(record) = lake.run_record(&source, day)? else { return Ok(true) };
    let whole = |table: &String| lake.read(&source, day, table).is_ok_and(|one| one.has_files());
    Ok(!record.tables.keys().all(whole))
}

/// Returns the output folder, source and day that a step writes, if its target writes days.
pub fn day_written(project: &Project, step: &Step) -> Option<(PathBuf, String, Datestamp)> {
    let Partition { root, source, day } = partition(step.target())?;
    Some((project.root.join(root), source, day?.parse().ok()?))
}

/// Tells whether the target of a step writes days, be it that of the run or today.
pub fn writes_days(step: &Step) -> bool {
    partition(step.target()).is_some()
}

/// Tells whether the target of a step writes the days of a source, and no setting names the day.
pub fn takes_today(step: &Step) -> bool {
    partition(step.target()).is_some_and(|it| it.day.is_none() && !it.source.is_empty())
}

/// Tells whether a tap may read what is written below a folder: it has a setting that reads days,
/// or one that names the folder, or a path below or above it.
pub fn reads_folder(project: &Project, tap: &Plugin, folder: &Path) -> bool {
    fn is_named(value: &Value, root: &Path, folder: &Path) -> bool {
        match value {
            Value::String(text) if !text.is_empty() => {
                let path = root.join(text);
                path.starts_with(folder) || folder.starts_with(&path)
            }
            Value::Array(items) => items.iter().any(|item| is_named(item, root, folder)),
            Value::Object(members) => members.values().any(|item| is_named(item, root, folder)),
            _ => false,
        }
    }
    let is_read = |(name, value): (&String, &Value)| {
        READERS.contains(&name.as_str()) || is_named(value, &project.root, folder)
    };
    tap.config.iter().any(is_read)
}

/// Tells whether a target writes files.
pub fn writes_files(target: &Plugin) -> bool {
    folder(target).is_some()
}

/// Tells whether a tap of ours reads a day of the dated folders.
pub fn reads_day(tap: &Plugin) -> bool {
    tap.is_ours() && READERS.iter().any(|name| text(tap, name).is_some())
}

/// Returns the tables of the day that a step reads which are not what its state says it has read.
pub fn tables_changed(project: &Project, step: &Step, state: &Value) -> Result<Vec<String>> {
    let tap = step.tap();
    let root = READERS.iter().find_map(|name| text(tap, name)).filter(|_| reads_day(tap));
    let day = text(tap, "datestamp").and_then(|day| day.parse::<Datestamp>().ok());
    let (Some(root), Some(day)) = (root.map(|root| project.root.join(root)), day) else {
        return Ok(Vec::new());
    };
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let lake = Lake::open(root)?;
    let sources = match text(tap, "source") {
        Some(source) => vec![source.to_owned()],
        None => lake.sources()?,
    };
    let mut changed = Vec::new();
    for source in sources {
        let Some(record) = lake.run_record(&source, day)? else { continue };
        for (table, now) in record.tables {
            // What has no mark was not read, or a target of others keeps none.
            let read = state["bookmarks"][&table]["manifest_sha256"].as_str();
            if read.is_some_and(|read| read != now.manifest_sha256) {
                changed.push(table);
            }
        }
    }
    Ok(changed)
}

/// Returns the folder that a target's settings name, if it writes files.
fn folder(target: &Plugin) -> Option<&str> {
    let is_writer = || target.executable.file_name().is_some_and(|name| name == WRITER);
    let set = FOLDERS.iter().find_map(|name| text(target, name));
    set.or_else(|| is_writer().then_some(FOLDER))
}

/// Tells whether a target is ours and writes files that hold one run each, in the place of the one
/// before: their path has no `{timestamp}`.
pub fn keeps_one_run(target: &Plugin) -> bool {
    let has_moment = |name: &&str| text(target, name).is_some_and(|t| t.contains("{timestamp}"));
    folder(target).is_some()
        && target.is_ours()
        && partition(target).is_none()
        && !FOLDERS.iter().chain(&[SCHEME]).any(has_moment)
}

/// Returns the folder that a target writes below, above the sources where it writes days.
pub fn output(target: &Plugin) -> Option<PathBuf> {
    let dated = partition(target).map(|partition| partition.root);
    dated.or_else(|| folder(target).map(PathBuf::from))
}

/// Tells whether a target writes each day to a place of its own: the path of its files, or the
/// schema of its tables, has the day in it.
pub fn is_of_day(target: &Plugin, day: Datestamp) -> bool {
    let day = day.to_string();
    let names = FOLDERS.iter().chain(&[SCHEME, "default_target_schema"]);
    let mut texts = names.filter_map(|name| text(target, name));
    texts.any(|text| text.contains("{datestamp}") || text.contains(&day))
}

/// Has a target write below another folder, if it writes files; tells whether it does.
pub fn write_below(target: &mut Plugin, folder: &Path) -> bool {
    if self::folder(target).is_none() {
        return false;
    }
    let scheme = dated(target).map(|dated| dated.below());
    target.config.retain(|name, _| !FOLDERS.contains(&name.as_str()));
    let folder = folder.to_string_lossy().into_owned();
    target.config.insert(FOLDERS[0].to_owned(), folder.into());
    if let Some(scheme) = scheme {
        target.config.insert(SCHEME.to_owned(), scheme.into());
    }
    true
}

/// Refuses a step that would write another day than that of its run, and tells of a tap that reads
/// another one.
pub fn check(project: &Project, step: &Step, day: Option<Datestamp>) -> Result<()> {
    let target = step.target();
    let refuse = |message: &str| {
        Error::new(ErrorKind::Config, message).with("step", &step.name).with("plugin", &target.name)
    };
    let partition = partition(target);
    if partition.as_ref().is_some_and(|partition| partition.source.is_empty()) {
        return Err(refuse("cannot write the days of a source without a name")
            .hint(format!("set `source` of {}: is its variable empty?", target.name)));
    }
    let Some(day) = day else {
        return match &partition {
            Some(Partition { day: None, .. }) => {
                Err(refuse("cannot write a day that nobody names: the target would take today")
                    .hint(
                        "write `datestamp: ${DATESTAMP}` in its settings, and name the day: \
                         `--datestamp YYYY-MM-DD`",
                    ))
            }
            _ => Ok(()),
        };
    };
    let hint = "write `datestamp: ${DATESTAMP}` in its settings, or run without a day";
    let given = match &partition {
        Some(partition) => partition.day.as_deref(),
        None => text(target, "datestamp"),
    };
    match given.map(str::parse::<Datestamp>) {
        Some(Ok(other)) if other != day => {
            return Err(refuse("cannot write another day than that of the run")
                .with("day of the run", day)
                .with("datestamp", other)
                .hint(hint));
        }
        None if partition.is_some() => {
            return Err(refuse("cannot write the day of the run: the target takes today")
                .with("day of the run", day)
                .hint(hint));
        }
        _ => {}
    }
    let tap = step.tap();
    if let Some(Ok(other)) = text(tap, "datestamp").map(str::parse::<Datestamp>)
        && other != day
    {
        project.warnings().warn_once(warning!(
            "W-PROJECT-UNUSED",
            "{} reads {other}, which is not the day of the run, {day}",
            tap.name
        ));
    }
    Ok(())
}

/// What a target that writes days is set to write.
struct Partition {
    /// The folder above the sources, below the project's.
    root: PathBuf,
    source: String,
    /// `None` where the target takes today.
    day: Option<String>,
}

/// Returns the dated path that a target's settings write; placeholders are still in it.
fn dated(target: &Plugin) -> Option<DatedPath> {
    let folder = folder(target)?;
    let scheme = match text(target, SCHEME) {
        Some(scheme) => scheme,
        None => text(target, "source").map(|_| DATED_SCHEME)?,
    };
    let dated = DatedPath::read(Path::new(folder), scheme)?;
    (dated.table == "{stream_name}").then_some(dated)
}

fn partition(target: &Plugin) -> Option<Partition> {
    let DatedPath { root, source, day, .. } = dated(target)?;
    let source = match source.as_str() {
        "{source}" => text(target, "source")?.to_owned(),
        part if part.contains('{') => return None,
        part => lake::name::decode(part).unwrap_or_else(|| part.to_owned()),
    };
    let day = match day.as_str() {
        "{datestamp}" => text(target, "datestamp").map(str::to_owned),
        day => Some(day.to_owned()),
    };
    let mut root = root.to_str()?.replace("{source}", &lake::name::encode(&source));
    if let Some(day) = &day {
        root = root.replace("{datestamp}", day);
    }
    (!root.contains('{')).then(|| Partition { root: root.into(), source, day })
}

fn text<'a>(plugin: &'a Plugin, name: &str) -> Option<&'a str> {
    plugin.config.get(name).and_then(Value::as_str)
}
