//! The day that a step writes: where, whether it is there, and whether it is the day of the run.

use std::path::{Path, PathBuf};

use disk::Datestamp;
use lake::{DATED_SCHEME, DatedPath, Key, Lake};
use project::plugin::SettingRole;
use project::warning;
use project::{Plugin, Project, Step};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::foreign;

/// The folder that a target of ours writes below where its settings name none.
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

/// Returns the output folder and the source that a step writes, whatever the day, if its target
/// writes days.
pub fn lake_written(project: &Project, step: &Step) -> Option<(PathBuf, String)> {
    let Partition { root, source, .. } = partition(step.target())?;
    (!source.is_empty()).then(|| (project.root.join(root), source))
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
    tap.value_for(SettingRole::LakeRoot).is_some()
        || tap.config.values().any(|value| is_named(value, &project.root, folder))
}

/// Tells whether a target writes files.
pub fn writes_files(target: &Plugin) -> bool {
    folder(target).is_some()
}

/// Tells whether a tap of ours reads a day of the dated folders.
pub fn reads_day(tap: &Plugin) -> bool {
    tap.text_for(SettingRole::LakeRoot).is_some()
}

/// Returns the tables of the day that a step reads which are not what its state says it has read.
pub fn tables_changed(project: &Project, step: &Step, state: &Value) -> Result<Vec<String>> {
    let tap = step.tap();
    let root = tap.text_for(SettingRole::LakeRoot);
    let day = tap.text_for(SettingRole::Datestamp).and_then(|day| day.parse::<Datestamp>().ok());
    let (Some(root), Some(day)) = (root.map(|root| project.root.join(root)), day) else {
        return Ok(Vec::new());
    };
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let lake = Lake::open(root)?;
    let sources = match tap.text_for(SettingRole::Source) {
        Some(source) => vec![source.to_owned()],
        None => lake.sources()?,
    };
    let mut changed = Vec::new();
    for source in sources {
        let Some(record) = lake.run_record(&source, day)? else { continue };
        for (table, now) in record.tables {
            // What has no mark was not read, or a target of another author keeps none.
            let read = lake::generation_read(&state["bookmarks"][&table]);
            if read.is_some_and(|read| read != now.manifest_sha256) {
                changed.push(table);
            }
        }
    }
    Ok(changed)
}

/// Returns the folder that a target's settings name, if it writes files.
fn folder(target: &Plugin) -> Option<&str> {
    if !target.is_ours() {
        return foreign::folder(target);
    }
    target.setting_for(SettingRole::OutputFolder)?;
    target.text_for(SettingRole::OutputFolder).or(Some(FOLDER))
}

/// Returns the path below its folder that a target's settings name.
fn scheme(target: &Plugin) -> Option<&str> {
    if target.is_ours() {
        target.text_for(SettingRole::NamingScheme)
    } else {
        foreign::scheme(target)
    }
}

/// Tells whether a target is ours and writes files that hold one run each, in the place of the one
/// before: their path has no `{timestamp}`.
pub fn keeps_one_run(target: &Plugin) -> bool {
    let has_moment = |text: Option<&str>| text.is_some_and(|text| text.contains("{timestamp}"));
    folder(target).is_some()
        && target.is_ours()
        && partition(target).is_none()
        && !has_moment(folder(target))
        && !has_moment(scheme(target))
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
    let schema = target.config.get("default_target_schema").and_then(Value::as_str);
    let mut texts = [folder(target), scheme(target), schema].into_iter().flatten();
    texts.any(|text| text.contains("{datestamp}") || text.contains(&day))
}

/// Has a target write below another folder, if it writes files; tells whether it does.
pub fn write_below(target: &mut Plugin, folder: &Path) -> bool {
    if self::folder(target).is_none() {
        return false;
    }
    let scheme = dated(target).map(|dated| dated.below());
    let folder = Value::from(folder.to_string_lossy());
    if target.is_ours() {
        target.set_for(SettingRole::OutputFolder, folder);
    } else {
        foreign::put_folder(target, folder);
    }
    if let Some(scheme) = scheme {
        target.set_for(SettingRole::NamingScheme, scheme.into());
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
    let name = |role: SettingRole| target.setting_for(role).unwrap_or(role.word());
    let partition = partition(target);
    if partition.as_ref().is_some_and(|partition| partition.source.is_empty()) {
        return Err(refuse("cannot write days without the name of their source").hint(format!(
            "set `{}` of {}; its variable may be empty",
            name(SettingRole::Source),
            target.name
        )));
    }
    let Some(day) = day else {
        return match &partition {
            Some(Partition { day: None, .. }) => {
                Err(refuse("cannot write a day without a datestamp: the target would use today")
                    .hint(format!(
                        "write `{}: \"${{DATESTAMP}}\"` in its settings, and give the day: \
                         `--datestamp YYYY-MM-DD`",
                        name(SettingRole::Datestamp)
                    )))
            }
            _ => Ok(()),
        };
    };
    let hint =
        format!("write `{}: \"${{DATESTAMP}}\"` in its settings", name(SettingRole::Datestamp));
    let given = match &partition {
        Some(partition) => partition.day.as_deref(),
        None => target.text_for(SettingRole::Datestamp),
    };
    match given.map(str::parse::<Datestamp>) {
        Some(Ok(other)) if other != day => {
            return Err(refuse("the target would write another day than that of the run")
                .with("day of the run", day)
                .with("datestamp", other)
                .hint(hint));
        }
        None if partition.is_some() => {
            return Err(refuse(
                "cannot write the day of the run: the target would write today's date",
            )
            .with("day of the run", day)
            .hint(hint));
        }
        _ => {}
    }
    let tap = step.tap();
    if let Some(Ok(other)) = tap.text_for(SettingRole::Datestamp).map(str::parse::<Datestamp>)
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

/// Returns the dated path that a target's settings write; placeholders are still in it. A target of
/// another author has no lake: it publishes no day.
fn dated(target: &Plugin) -> Option<DatedPath> {
    let folder = folder(target).filter(|_| target.is_ours())?;
    let scheme = match scheme(target) {
        Some(scheme) => scheme,
        None => target.text_for(SettingRole::Source).map(|_| DATED_SCHEME)?,
    };
    let dated = DatedPath::read(Path::new(folder), scheme)?;
    (dated.table == "{stream_name}").then_some(dated)
}

fn partition(target: &Plugin) -> Option<Partition> {
    let DatedPath { root, source, day, .. } = dated(target)?;
    let source = match source.as_str() {
        "{source}" => target.text_for(SettingRole::Source)?.to_owned(),
        part if part.contains('{') => return None,
        part => disk::name::decode(part).unwrap_or_else(|| part.to_owned()),
    };
    let day = match day.as_str() {
        "{datestamp}" => target.text_for(SettingRole::Datestamp).map(str::to_owned),
        day => Some(day.to_owned()),
    };
    let mut root = root.to_str()?.replace("{source}", &disk::name::encode(&source));
    if let Some(day) = &day {
        root = root.replace("{datestamp}", day);
    }
    (!root.contains('{')).then(|| Partition { root: root.into(), source, day })
}
