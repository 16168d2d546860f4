//! What a plugin needs for a run: its program, its settings, a connection, and rights.

use std::path::Path;
use std::time::Duration;

use lake::Lake;
use project::capture::{Limits, last_words, run, run_within};
use project::names::{counted, nearest};
use project::plugin::SettingRole;
use project::{Plugin, Project, Role};
use runner::lake_paths;
use runner::plan::one_line;
use runner::prepare;
use runner::selection::selected;
use serde_json::{Value, json};
use singer::schema::PARTITION;
use singer::{Error, ErrorKind};

use super::report::Report;

/// The stream that a target is shown.
const STREAM: &str = "chorus_doctor";

/// Looks at a plugin: runs it as far as it changes nothing.
pub fn look_at(project: &Project, plugin: &Plugin, report: &mut Report) {
    let name = &plugin.name;
    if !plugin.executable.is_file() {
        let text = format!("there is no program {}", plugin.executable.display());
        let mend = match &plugin.installation {
            Some(_) => format!("chorus install {name}"),
            None => format!("install it, or set `executable` of {name} to its path"),
        };
        return report.fault(name, &text, &mend);
    }
    if !plugin.role.is_of_pipeline() {
        // It may do anything when it is run.
        return command(plugin, report);
    }
    let version = version(project, plugin);
    if !plugin.missing.names().is_empty() {
        // Without them it would fail for their want alone.
        let names: Vec<&str> = plugin.missing.names().into_iter().collect();
        let names = names.join(", ");
        return report.note(&format!("{name}: {version}; not tried, for want of {names}"));
    }
    unknown_settings(project, plugin, report);
    match plugin.role {
        Role::Extractor => tap(project, plugin, &version, report),
        Role::Loader => target(project, plugin, &version, report),
        _ => report.good(&format!("{name}: {version}")),
    }
}

/// Tells of programs of the same name that are not run: another version may have been meant.
fn other_programs(project: &Project, plugin: &Plugin, report: &mut Report) {
    let others = plugin.other_programs(project);
    if others.is_empty() {
        return;
    }
    let others: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
    report.note(&format!(
        "{}: {} is run, and not {}; `executable` of the plugin names another one",
        plugin.name,
        plugin.executable.display(),
        others.join(", ")
    ));
}

/// Looks at a program with commands, and runs nothing of it.
fn command(plugin: &Plugin, report: &mut Report) {
    let name = &plugin.name;
    let programs = plugin.commands.values().filter_map(|command| command.executable.as_ref());
    if let Some(path) = programs.into_iter().find(|path| !path.is_file()) {
        let text = format!("there is no program {}", path.display());
        return report.fault(name, &text, &format!("install it, or correct `commands` of {name}"));
    }
    let lacking = plugin.missing.names().into_iter().collect::<Vec<_>>().join(", ");
    if !lacking.is_empty() {
        report.note(&format!("{name}: no value for {lacking}"));
    }
    let commands: Vec<&str> = plugin.commands.keys().map(String::as_str).collect();
    let commands = if commands.is_empty() { "none".to_owned() } else { commands.join(", ") };
    report.good(&format!(
        "{name}: {} of role {}, commands: {commands}",
        plugin.executable.display(),
        plugin.role
    ));
}

/// Asks a plugin for its version. One of others may not know the flag, and begin to run: it has no
/// input, and not much time, and what it prints is no version then.
fn version(project: &Project, plugin: &Plugin) -> String {
    let program = prepare::program(project, plugin, vec!["--version".to_owned()]);
    let limits = Limits { bytes: 64 << 10, time: Duration::from_secs(20), ..Limits::WORDS };
    let told = run_within(&program, "", &limits).map(|ended| ended.output).unwrap_or_default();
    let version = told.lines().next().map(str::trim).filter(|line| is_version(line));
    version.unwrap_or("no version").to_owned()
}

/// Tells whether a line looks like a version, alone or behind the name of its program.
fn is_version(line: &str) -> bool {
    const CHARS_MAX: usize = 100;
    let is_number = |word: &str| {
        let digits = word.trim_start_matches(['v', '(']);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    };
    let is_text = !line.starts_with(['{', '[', '"']) && line.chars().count() <= CHARS_MAX;
    is_text && line.split([' ', ',', '=', '@']).any(is_number)
}

/// Discovers the streams of a tap, and has one of ours read the first row of each.
fn tap(project: &Project, plugin: &Plugin, version: &str, report: &mut Report) {
    let name = &plugin.name;
    let (catalog, warnings) = match prepare::catalog(project, plugin) {
        Ok(found) => found,
        Err(failure) if failure.kind() == ErrorKind::NoInput && report.follows => {
            let text = format!("{name}: {version}; {}", one_line(&failure));
            return report.note(&(text + "; a step before it may make what it reads"));
        }
        Err(failure) => return refused(plugin, &failure, report),
    };
    for warning in warnings {
        report.note(&format!("{name}: {warning}"));
    }
    let all = catalog["streams"].as_array().map_or(0, Vec::len);
    let chosen = selected(&catalog).len();
    if chosen == 0 && all > 0 {
        let text = format!("none of its {all} streams is selected");
        return report.fault(name, &text, &format!("correct `select` of {name} in meltano.yml"));
    }
    if plugin.is_ours() {
        let tested = prepare::alone(project, plugin, None, Some(&catalog)).and_then(|mut alone| {
            alone.program.arguments.push("--test".to_owned());
            run(&alone.program, "")
        });
        match tested.map(|ended| (ended.failed, ended.log)) {
            Ok((None, _)) => {}
            Ok((Some(kind), log)) => {
                return broken(plugin, "it cannot read its streams", kind, &log, report);
            }
            Err(failure) => return refused(plugin, &failure, report),
        }
    }
    let of = if chosen == all { String::new() } else { format!("{chosen} of ") };
    report.good(&format!("{name}: {version}; {of}{}", counted(all, "stream", "streams")));
    other_programs(project, plugin, report);
}

/// Has a target connect, and one of ours that loads tables plan one.
fn target(project: &Project, plugin: &Plugin, version: &str, report: &mut Report) {
    let name = &plugin.name;
    let folder = lake_paths::output(plugin).map(|path| project.root.join(path));
    if let Some(Err(cause)) = folder.as_deref().map(writable) {
        let elsewhere = match plugin.setting_for(SettingRole::OutputFolder) {
            Some(setting) => format!("set `{setting}` of {name}"),
            None => format!("let {name} write elsewhere"),
        };
        let mend =
            format!("give the user of this command the right to write there, or {elsewhere}");
        let folder = folder.unwrap_or_default();
        let text = format!("cannot write to {}: {cause}", folder.display());
        return report.fault(name, &text, &mend);
    }
    let plans = folder.is_none() && plugin.plans();
    let ended = prepare::alone(project, plugin, None, None).and_then(|mut alone| {
        alone.program.arguments.extend(plans.then(|| "--plan".to_owned()));
        run(&alone.program, &if plans { schema(plugin) } else { state() })
    });
    let ended = match ended {
        Ok(ended) => ended,
        Err(failure) => return refused(plugin, &failure, report),
    };
    if let Some(kind) = ended.failed {
        return broken(plugin, "it cannot start", kind, &ended.log, report);
    }
    report.good(&format!("{name}: {version}{}", if plans { "; it may create tables" } else { "" }));
    if ended.output.contains("CREATE SCHEMA") {
        report.note(&format!("{name}: its database schema does not exist yet; a load creates it"));
    }
    if let Some(folder) = folder {
        days(&folder, report);
    }
}

fn state() -> String {
    let value = json!({"bookmarks": {}, "currently_syncing": null});
    json!({"type": "STATE", "value": value}).to_string() + "\n"
}

/// A stream as it is read from a day: a target takes its partition from there, unless its
/// settings name it.
fn schema(target: &Plugin) -> String {
    let set = |role: SettingRole, other: &str| {
        target.value_for(role).cloned().unwrap_or_else(|| other.into())
    };
    let source = set(SettingRole::Source, STREAM);
    let partition = json!({"source": source,
                           "extracted_at": set(SettingRole::Datestamp, "2000-01-01")});
    let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}},
                        PARTITION: partition});
    let keys = ["id"];
    json!({"type": "SCHEMA", "stream": STREAM, "schema": schema, "key_properties": keys})
        .to_string()
        + "\n"
}

/// Makes a file without a name where a folder is, or is to be made.
fn writable(folder: &Path) -> std::io::Result<()> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    tempfile::tempfile_in(there).map(drop)
}

fn refused(plugin: &Plugin, failure: &Error, report: &mut Report) {
    let own: Vec<&str> = failure
        .context_pairs()
        .filter(|(key, _)| *key == plugin.name)
        .map(|(_, line)| line)
        .collect();
    if own.is_empty() {
        let mend = format!("chorus plan shows what {} would read", plugin.name);
        return report.failure(&plugin.name, failure, &mend);
    }
    broken(plugin, failure.message(), failure.kind(), &own.join("\n"), report);
}

/// Tells why a plugin has failed, and what mends it: what the plugin says, and for a password which
/// variable to set.
fn broken(plugin: &Plugin, what: &str, kind: ErrorKind, log: &str, report: &mut Report) {
    let last = last_words(log);
    let hint = last.iter().find_map(|line| line.strip_prefix("hint: "));
    let about_login = last.iter().any(|line| line.contains("password"));
    let mend = match hint {
        _ if kind == ErrorKind::Denied && about_login => {
            let (user, password) = (plugin.variable_of("user"), plugin.variable_of("password"));
            format!("set {password} (and {user}) in .env to the values that the server accepts")
        }
        Some(hint) if plugin.tells_grants() && last.iter().any(|line| is_of_rights(line)) => {
            format!("{hint}; chorus doctor --grants prints the SQL")
        }
        Some(hint) => hint.to_owned(),
        None if kind == ErrorKind::Temporary => {
            "try again, or check whether the server runs".into()
        }
        None => format!("chorus run ... --verbose shows the whole log of {}", plugin.name),
    };
    let shown = last.iter().filter(|line| !line.starts_with("hint: "));
    let shown: Vec<String> = shown.map(|line| format!("\n        {line}")).collect();
    report.fault(&plugin.name, &format!("{what}:{}", shown.concat()), &mend);
}

/// Tells whether a line of a failure says that the user of a database lacks a right.
fn is_of_rights(line: &str) -> bool {
    line.starts_with("right: ") || line == "sqlstate: 42501"
}

/// Settings that the plugin itself does not know have no effect.
fn unknown_settings(project: &Project, plugin: &Plugin, report: &mut Report) {
    if !plugin.is_ours() && !plugin.declares("about") {
        return;
    }
    let flags = ["--about", "--format", "json"].map(str::to_owned).to_vec();
    let Ok(ended) = run(&prepare::program(project, plugin, flags), "") else { return };
    let about: Value = serde_json::from_str(&ended.output).unwrap_or_default();
    let known = about["settings"]["properties"].as_object().filter(|_| ended.failed.is_none());
    let Some(known) = known else { return };
    let names: Vec<String> = known.keys().cloned().collect();
    let aliases: Vec<&str> = known
        .values()
        .filter_map(|setting| setting["x-aliases"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for name in plugin.config.keys() {
        if names.contains(name) || aliases.contains(&name.as_str()) {
            continue;
        }
        let near = nearest(name, &names).map_or(String::new(), |near| format!(", but `{near}`"));
        report.note(&format!("{}: it has no setting `{name}`{near}", plugin.name));
    }
}

/// Tells which days a target's output folder has.
fn days(root: &Path, report: &mut Report) {
    if !root.is_dir() {
        return report.note(&format!("{} does not exist yet", root.display()));
    }
    report.room(root);
    let Ok(lake) = Lake::open(root) else { return };
    for source in lake.sources().unwrap_or_default() {
        let days = lake.days(&source).unwrap_or_default();
        let open =
            days.iter().filter(|day| !matches!(lake.run_record(&source, **day), Ok(Some(_))));
        let open: Vec<String> = open.map(ToString::to_string).collect();
        let range = match (days.first(), days.last()) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "none".to_owned(),
        };
        let count = counted(days.len(), "day", "days");
        report.good(&format!("source {source}: {count}, {range}"));
        if !open.is_empty() {
            report.note(&format!("source {source}: no run has finished {}", open.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_a_number_and_is_no_message() {
        for (line, expected) in [
            ("tap-csv 0.9.0", true),
            ("tap-x v1.2.3, Meltano SDK v0.40.0 (Python 3.11.2)", true),
            ("1.0", true),
            ("tap-x==2.1", true),
            (r#"{"type": "SCHEMA", "version": "1.0"}"#, false),
            ("usage: tap-x [-h] --config CONFIG", false),
            ("INFO reading 3 files", false),
            ("", false),
        ] {
            assert_eq!(is_version(line), expected, "{line}");
        }
        assert!(!is_version(&format!("{} 1.0", "x".repeat(100))));
    }
}
