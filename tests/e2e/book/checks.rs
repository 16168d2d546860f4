//! What holds of every page: how its blocks are tested, and what those that are not run may say.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::book::fixtures;
use crate::book::pages::{Block, Page, pages};
use crate::project::generated::about;
use crate::project::tidy::{CONNECTORS, none};
use support::project::Project;
use support::root;
use support::run::{file, ours};

/// Why a block is not run.
const REASONS: [&str; 5] =
    ["container-engine", "published-package", "internet", "own-system", "long"];

/// Languages of what a reader types or saves.
const USED: [&str; 8] = ["sh", "bash", "json", "yaml", "sql", "python", "toml", "ini"];

/// Calls a check with each block, and collects what it finds wrong.
fn each_block(check: impl Fn(&Page, &Block) -> Result<(), String>) {
    let mut faults = Vec::new();
    for page in &pages() {
        for block in &page.blocks {
            if let Err(fault) = check(page, block) {
                faults.push(format!("{}: {fault}", page.place(block)));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_block_says_how_it_is_tested() {
    each_block(|page, block| {
        if block.language.is_empty() {
            return Err("no language".to_owned());
        }
        let ways = ["run", "project", "shape", "output"];
        let valued = ["file", "config", "not-run"];
        let unknown = block.words.iter().find(|word| {
            let name = word.split_once('=').map(|(name, _)| name);
            !ways.contains(&word.as_str()) && !name.is_some_and(|name| valued.contains(&name))
        });
        if let Some(word) = unknown {
            return Err(format!("nobody knows `{word}`"));
        }
        if block.words.is_empty() && USED.contains(&block.language.as_str()) {
            return Err("it does not say how it is tested".to_owned());
        }
        if block.value("not-run").is_some_and(|reason| !REASONS.contains(&reason)) {
            return Err(format!("a reason is one of {}", REASONS.join(", ")));
        }
        let runs = block.has("run") || block.has("output") || block.value("file").is_some();
        let fixture = page.fixture().unwrap_or("none");
        if runs && !fixtures::NAMES.contains(&fixture) {
            return Err(format!("a page with such a block needs a fixture: {fixture}"));
        }
        Ok(())
    });
}

#[test]
fn forms_of_data_can_be_read() {
    each_block(|_, block| match block.language.as_str() {
        "json" if block.has("shape") => {
            let mut lines = serde_json::Deserializer::from_str(&block.text).into_iter::<Value>();
            lines.try_for_each(|value| value.map(drop).map_err(|e| e.to_string()))
        }
        _ => Ok(()),
    });
}

#[test]
fn configurations_are_those_of_their_connectors() {
    each_block(|_, block| {
        let Some(connector) = block.value("config") else { return Ok(()) };
        let settings: Value = serde_json::from_str(&block.text).map_err(|e| e.to_string())?;
        let about: Value = serde_json::from_str(&about(connector, "json")).unwrap();
        let schema = &about["settings"];
        let validator = jsonschema::validator_for(schema).map_err(|e| e.to_string())?;
        validator.validate(&settings).map_err(|e| format!("{e} at {}", e.instance_path()))?;
        known(&settings, schema)
    });
}

/// Asserts that settings, and those of the entries of lists, have names that are known.
fn known(settings: &Value, schema: &Value) -> Result<(), String> {
    let Some(members) = settings.as_object() else { return Ok(()) };
    let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
    for (name, value) in members {
        let alias = |property: &Value| {
            let aliases = property["x-aliases"].as_array().into_iter().flatten();
            aliases.into_iter().any(|alias| alias == name)
        };
        let found = properties.get(name).or_else(|| properties.values().find(|p| alias(p)));
        let property = found.ok_or_else(|| format!("nobody knows the setting `{name}`"))?;
        for entry in value.as_array().into_iter().flatten() {
            known(entry, &property["items"])?;
        }
    }
    Ok(())
}

#[test]
fn parts_of_projects_are_read_by_chorus() {
    each_block(|_, block| if block.has("project") { read_as_project(&block.text) } else { Ok(()) });
}

/// Has `chorus` read a project; it may not warn of anything.
fn read_as_project(text: &str) -> Result<(), String> {
    let project = Project::new("", &[]);
    file(&project.root, "meltano.yml", text);
    let read = project.chorus(&["runs"]).go();
    match read.code {
        0 if !read.stderr.contains("W-") => Ok(()),
        code => Err(format!("exit code {code}: {}", read.stderr)),
    }
}

#[test]
fn commands_that_are_not_run_have_flags_and_files_that_are_there() {
    let mut helps = BTreeMap::new();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut faults = Vec::new();
    for page in &pages() {
        let blocks = page.blocks.iter().filter(|block| block.value("not-run").is_some());
        for block in blocks.filter(|block| ["sh", "bash"].contains(&block.language.as_str())) {
            for words in commands(&block.text) {
                let mut found = flags_that_are_missing(&words, &mut helps);
                found.extend(files_that_are_missing(&words));
                if let [make, target, ..] = words.as_slice()
                    && make == "make"
                    && !makefile.contains(&format!("\n{target}:"))
                {
                    found.push(format!("make {target}"));
                }
                faults.extend(found.iter().map(|fault| {
                    format!("{}: {fault} is not there: {}", page.place(block), words.join(" "))
                }));
            }
        }
    }
    none(&faults);
}

/// Splits lines of a shell into the words of each command.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ").replace("&&", "\n").replace("||", "\n");
    let lines = text.lines().map(|line| line.split(" #").next().unwrap());
    let commands = lines.flat_map(|line| line.split(['|', ';']).map(str::to_owned));
    let words = commands.map(|command| {
        let words = command.split_whitespace().map(str::to_owned);
        let setting = |word: &String| {
            word.split_once('=').is_some_and(|(name, _)| {
                name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            })
        };
        words.skip_while(setting).collect::<Vec<String>>()
    });
    words.filter(|words| !words.is_empty()).collect()
}

/// Returns the flags that one of our programs does not have.
fn flags_that_are_missing(
    words: &[String],
    helps: &mut BTreeMap<Vec<String>, String>,
) -> Vec<String> {
    let [program, rest @ ..] = words else { return Vec::new() };
    if program != "chorus" && !CONNECTORS.contains(&program.as_str()) {
        return Vec::new();
    }
    let mut call = vec![program.clone()];
    // The commands of `chorus`, and those of its commands.
    let plain = |word: &&String| !word.starts_with('-') && word.chars().all(char::is_alphabetic);
    if program == "chorus" {
        let two = rest.iter().take_while(plain).take(2);
        call.extend(two.cloned());
    }
    let flags = rest.iter().filter(|word| word.starts_with("--") && word.len() > 2);
    let flags = flags.map(|flag| flag.split('=').next().unwrap());
    let help = loop {
        let ask = |call: &[String]| ours(&call[0]).args(&call[1..]).args(["--help"]).go();
        if let Some(help) = helps.get(&call) {
            break help.clone();
        }
        let asked = ask(&call);
        if asked.code == 0 {
            helps.insert(call.clone(), asked.text());
            break asked.text();
        }
        assert!(call.len() > 1, "{call:?}: {}", asked.stderr);
        call.pop();
    };
    let there: Vec<&str> = help.split(|c: char| c != '-' && !c.is_alphanumeric()).collect();
    let missing = flags.filter(|flag| !there.contains(flag));
    missing.map(str::to_owned).collect()
}

/// Returns paths of the source that are not there.
fn files_that_are_missing(words: &[String]) -> Vec<String> {
    let ours = ["demo", "docker", "docs", "lib", "orchestrate", "scripts", "tests"];
    let paths = words
        .iter()
        .filter(|word| word.split_once('/').is_some_and(|(first, _)| ours.contains(&first)));
    paths.filter(|path| !root().join(path).exists()).cloned().collect()
}

#[test]
fn the_summary_has_every_page() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let of_book = |page: &&Page| page.name.starts_with("docs/") && page.name != "docs/SUMMARY.md";
    let pages = pages();
    let missing = pages.iter().filter(of_book).filter(|page| {
        !summary.contains(&format!("]({})", page.name.strip_prefix("docs/").unwrap()))
    });
    none(&missing.map(|page| page.name.clone()).collect::<Vec<_>>());
}

#[test]
fn what_a_newcomer_opens_first_is_short() {
    let size = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    assert!(size("README.md").len() <= 6000, "README.md: {} bytes", size("README.md").len());
    let project = size("meltano.yml");
    assert!(project.lines().count() <= 70, "meltano.yml: {} lines", project.lines().count());
}

#[test]
fn the_checks_find_what_is_wrong() {
    let words = |text: &str| commands(text).remove(0);
    let mut helps = BTreeMap::new();
    assert_eq!(commands("A=1 x y | z \\\n --q # w\nv").len(), 3);
    let flags = ["tap-csv --catal", "chorus run --catal", "chorus state list --catal"];
    for line in flags {
        assert_eq!(flags_that_are_missing(&words(line), &mut helps), ["--catal"], "{line}");
    }
    let misspelt = "plugins:\n  extractors:\n  - {name: tap-csv, confg: {}}\n";
    assert!(read_as_project(misspelt).unwrap_err().contains("confg"));
    assert!(read_as_project(&misspelt.replace("confg", "config")).is_ok());
    let good = "chorus backfill elt --from 2026-01-01 --to 2026-01-31";
    assert_eq!(flags_that_are_missing(&words(good), &mut helps), Vec::<String>::new());
    assert_eq!(files_that_are_missing(&words("cat scripts/none.sh")), ["scripts/none.sh"]);
    let about: Value = serde_json::from_str(&about("tap-api", "json")).unwrap();
    let nested = json!({ "streams": [{ "name": "x", "nonsense": 1 }] });
    assert!(known(&nested, &about["settings"]).unwrap_err().contains("nonsense"));
}
