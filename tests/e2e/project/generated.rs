//! The parts of documents that are made from what the binaries say; `UPDATE=1` rewrites them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::sync::Mutex;

use serde_json::{Map, Value};

use crate::project::tidy::CONNECTORS;
use support::{root, run::ours};

/// Settings that several connectors have stand on one page of the book, by who has them.
const SHARED: [(&str, &[&str]); 6] = [
    ("settings-all", &CONNECTORS),
    (
        "settings-flattening",
        &[
            "tap-csv",
            "tap-lake",
            "tap-postgres",
            "tap-sftp",
            "map-streams",
            "target-csv",
            "target-postgres",
        ],
    ),
    ("settings-taps", &["tap-api", "tap-csv", "tap-lake", "tap-postgres", "tap-sftp"]),
    ("settings-input", &["map-streams", "target-csv", "target-postgres"]),
    ("settings-targets", &["target-csv", "target-postgres"]),
    ("settings-postgres", &["tap-postgres", "target-postgres"]),
];

#[test]
fn the_pages_of_connectors_are_what_the_binaries_say() {
    for connector in CONNECTORS {
        let page = format!("docs/connectors/{connector}.md");
        generated(&page, connector, &COMMENT, &settings_page(connector));
    }
    for (group, members) in SHARED {
        let shared = |name: &str| group_of(members[0], name) == Some(group);
        let table = settings_table(members[0], shared) + &entries(members[0], shared);
        generated("docs/reference/settings.md", group, &COMMENT, &table);
    }
}

/// How marks are written in Markdown.
pub const COMMENT: [&str; 2] = ["<!-- ", " -->"];

/// Returns what the page of a connector says of its settings.
pub fn settings_page(connector: &str) -> String {
    let own = |name: &str| group_of(connector, name).is_none();
    let table = settings_table(connector, own);
    // A connector may have no setting of its own.
    let table = if table.lines().count() > 2 { table } else { String::new() };
    let mut page = table + &entries(connector, own);
    let mut properties: Vec<String> = properties(connector).keys().cloned().collect();
    properties.retain(|name| group_of(connector, name).is_some());
    if !properties.is_empty() {
        let names = properties.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let link = "[common settings](../reference/settings.md)";
        write!(page, "\n\nOther connectors have these, too; see {link}: {}.", names.join(", "))
            .unwrap();
    }
    page.trim_start().to_owned()
}

/// Returns the settings of a connector by name.
fn properties(connector: &str) -> Map<String, Value> {
    let about: Value = serde_json::from_str(&about(connector, "json")).unwrap();
    about["settings"]["properties"].as_object().unwrap().clone()
}

/// Returns the first group of connectors that all have this very setting.
fn group_of(connector: &str, setting: &str) -> Option<&'static str> {
    let mine = properties(connector).get(setting).cloned();
    let same = |member: &&str| properties(member).get(setting) == mine.as_ref();
    let mut groups = SHARED.iter().filter(|(_, members)| members.contains(&connector));
    groups.find(|(_, members)| members.iter().all(same)).map(|(name, _)| *name)
}

/// Returns the table of those settings of a connector that a filter takes.
fn settings_table(connector: &str, taken: impl Fn(&str) -> bool) -> String {
    let markdown = about(connector, "markdown");
    let of_table = markdown.lines().filter(|line| line.starts_with('|')).enumerate();
    let lines = of_table.filter(|(at, line)| {
        let name = line.split('`').nth(1).unwrap_or_default();
        *at < 2 || taken(name)
    });
    lines.map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Tables of what the entries of list settings can say.
fn entries(connector: &str, taken: impl Fn(&str) -> bool) -> String {
    let about: Value = serde_json::from_str(&about(connector, "json")).unwrap();
    let mut text = String::new();
    let settings = about["settings"]["properties"].as_object().unwrap();
    for (name, setting) in settings.iter().filter(|(name, _)| taken(name)) {
        let Some(parts) = setting["items"]["properties"].as_object() else { continue };
        write!(text, "\n\nEach entry of `{name}`:\n\n| Name | Default | Meaning |\n|---|---|---|")
            .unwrap();
        // The settings that the top level has as well are in the table above.
        let same = |part: &String, schema: &Value| {
            about["settings"]["properties"][part]["description"] == schema["description"]
        };
        let own = parts.iter().filter(|(part, schema)| !same(part, schema));
        for (part, schema) in own.clone() {
            row(&mut text, part, schema, &setting["items"]);
        }
        // A map whose values say more than a word.
        for (part, schema) in own.clone() {
            members(&mut text, part, &schema["additionalProperties"]);
        }
        let shared = parts.keys().filter(|part| own.clone().all(|(o, _)| o != *part));
        let shared: Vec<&str> = shared.map(String::as_str).collect();
        if !shared.is_empty() {
            let names = name_list(&shared);
            write!(text, "\n\nAn entry can also set these, for itself:\n\n{names}").unwrap();
        }
    }
    text
}

/// Returns a list of names: those that begin with the same word on one line, others behind them.
fn name_list(names: &[&str]) -> String {
    let word = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in names {
        groups.entry(word(name)).or_default().push(name);
    }
    let (large, small): (Vec<_>, Vec<_>) = groups.into_values().partition(|all| all.len() > 2);
    let others: Vec<&str> = small.into_iter().flatten().collect();
    let lines = large.iter().map(Vec::as_slice).chain(others.chunks(6));
    let line = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("- {}", names.join(", "))
    };
    lines.map(line).collect::<Vec<_>>().join("\n")
}

/// Writes a row of such a table.
fn row(text: &mut String, name: &str, schema: &Value, of: &Value) {
    let mut required = of["required"].as_array().into_iter().flatten();
    let default = match &schema["default"] {
        _ if required.any(|required| required == name) => "required".to_owned(),
        Value::Null => String::new(),
        default => format!("`{default}`"),
    };
    let meaning = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    write!(text, "\n| `{name}` | {default} | {meaning} |").unwrap();
}

/// Writes the table of what the objects among the values of a map can say.
fn members(text: &mut String, name: &str, values: &Value) {
    let Some(members) = values["properties"].as_object() else { return };
    write!(text, "\n\nEach object in `{name}`:\n\n| Name | Default | Meaning |\n|---|---|---|")
        .unwrap();
    for (member, schema) in members {
        row(text, member, schema, values);
    }
}

#[test]
fn the_connector_tables_are_what_the_binaries_say() {
    let mut short = "| connector | what it does |\n|---|---|".to_owned();
    let mut long = "| connector | what it does | can also |\n|---|---|---|".to_owned();
    let capabilities = |connector: &str| -> Vec<String> {
        let about: Value = serde_json::from_str(&about(connector, "json")).unwrap();
        serde_json::from_value(about["capabilities"].clone()).unwrap()
    };
    let every = |members: &[&str], capability: &String| {
        members.iter().all(|member| capabilities(member).contains(capability))
    };
    let taps = SHARED[2].1;
    let mut of_all = capabilities(CONNECTORS[0]);
    let mut of_taps = of_all.clone();
    of_all.retain(|capability| every(&CONNECTORS, capability));
    of_taps.retain(|capability| every(taps, capability) && !of_all.contains(capability));
    for connector in CONNECTORS {
        let about: Value = serde_json::from_str(&about(connector, "json")).unwrap();
        let what = about["description"].as_str().unwrap();
        let mut capabilities = capabilities(connector);
        let is_common = |one: &String| of_all.contains(one) || of_taps.contains(one);
        capabilities.retain(|capability| !is_common(capability));
        let capabilities = capabilities.join(", ");
        let link = format!("[`{connector}`](docs/connectors/{connector}.md)");
        write!(short, "\n| {link} | {what} |").unwrap();
        write!(long, "\n| [`{connector}`]({connector}.md) | {what} | {capabilities} |").unwrap();
    }
    generated("README.md", "connectors", &COMMENT, &short);
    let common = format!(
        "The capabilities of all connectors are {}. Taps also have {}.",
        of_all.join(", "),
        of_taps.join(", ")
    );
    let long = format!("{long}\n\n{common}");
    generated("docs/connectors/overview.md", "connectors", &COMMENT, &long);
}

#[test]
fn the_meltano_plugins_are_what_the_binaries_say() {
    for connector in CONNECTORS {
        let path = format!("plugins/{connector}.meltano.yml");
        generated(&path, connector, &["    # ", ""], &plugin_lines(connector));
    }
}

/// Returns the definition of a connector for Meltano, as an entry of a list of plugins.
pub fn plugin(connector: &str) -> String {
    format!("  - name: {connector}\n{}", plugin_lines(connector))
}

/// Returns the lines of that entry below the name.
pub fn plugin_lines(connector: &str) -> String {
    let block = about(connector, "meltano");
    let lines = block.trim_end().lines().skip(1).map(|line| format!("    {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns what a connector says about itself; each is asked once.
pub fn about(connector: &str, format: &str) -> String {
    static SAID: Mutex<BTreeMap<(String, String), String>> = Mutex::new(BTreeMap::new());
    let ask = || ours(connector).args(["--about", "--format", format]).go().success().text();
    let mut said = SAID.lock().unwrap();
    said.entry((connector.to_owned(), format.to_owned())).or_insert_with(ask).clone()
}

/// Compares the block between `generated:NAME` and `end:NAME` with what it should be.
#[track_caller]
pub fn generated(file: &str, name: &str, comment: &[&str; 2], wanted: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let path = root().join(file);
    let text = fs::read_to_string(&path).unwrap();
    let Some(fresh) = filled(&text, name, comment, wanted) else { return };
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, fresh).unwrap();
        return;
    }
    panic!("{file} is stale at {name}: `make generate` rewrites it\nit should be:\n{wanted}");
}

/// Returns the text with another block between the marks of a name; none if it is there already.
#[track_caller]
pub fn filled(text: &str, name: &str, comment: &[&str; 2], wanted: &str) -> Option<String> {
    let [open, close] = comment;
    let start = format!("{open}generated:{name}{close}\n");
    let end = format!("\n{open}end:{name}{close}");
    let from = text.find(&start).unwrap_or_else(|| panic!("no {start}")) + start.len();
    // An empty block has one line end, which both marks claim.
    let to = from - 1 + text[from - 1..].find(&end).unwrap_or_else(|| panic!("no {end}"));
    let rest = &text[to.max(from - 1)..];
    let there = text.get(from..to).unwrap_or_default();
    (there != wanted).then(|| format!("{}{wanted}{rest}", &text[..from]))
}
