//! What a project has that is not the same here and for Meltano, by its own words.

use std::path::PathBuf;

use serde_json::Value;

use super::chain::chain;
use super::entry::{Entry, nearest_text};
use super::executable::executable;
use super::flat;
use super::other::Other;
use crate::project::Project;
use crate::role::Role;
use crate::spelled;
use crate::variables::names_in;

/// Returns what will differ from a run by Meltano, a sentence each.
pub fn differences(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    let of_project = Block { of: "the project", own: &project.file["env"], fed_by: None };
    of_block(project, &of_project, &mut found);
    let environment = project.environment_name().unwrap_or_default();
    let of_environment = &project.environment["env"];
    let block = Block { of: environment, own: of_environment, fed_by: Some(Feed::Others) };
    of_block(project, &block, &mut found);
    for role in Role::ALL {
        for entry in project.file["plugins"][role.key()].as_array().into_iter().flatten() {
            // What cannot be read is told where the plugin is looked at.
            let Ok(chain) = chain(project, role, entry) else { continue };
            if let Some(first) = chain.first() {
                let [own, there] = first.blocks("env");
                for (own, fed_by) in [(own, of_environment), (there, own)] {
                    let fed_by = Some(Feed::Block(fed_by));
                    of_block(project, &Block { of: first.name, own, fed_by }, &mut found);
                }
            }
            let program = executable(project, role, &chain);
            let context = &project.context;
            let described = context.programs.describe(&program, &context.warnings);
            let is_ours = matches!(described, Ok(Some(_)));
            if is_ours {
                of_nulls(&chain, &mut found);
            }
            if role == Role::Extractor && !is_ours && super::capabilities(&chain).is_empty() {
                found.push(format!(
                    "{}: it has no `capabilities`: it is given a catalog and a state where it \
                     answers `--discover`; Meltano gives it neither",
                    chain.first().map_or("", |entry| entry.name)
                ));
            }
            if chain.last().is_some_and(|last| last.name == "superset") {
                found.push(format!(
                    "{}: Meltano sets up its database and writes superset_config.py before each \
                     command; Chorus runs the command alone",
                    chain.first().map_or("", |entry| entry.name)
                ));
            }
            found.extend(of_definition(role, &chain, is_ours.then_some(&program)));
        }
    }
    found.extend(Other::of_project(project));
    found.extend(crate::shape::unknown_in_environments(&project.file, None));
    found
}

/// An `env` block.
struct Block<'a> {
    /// Whose it is.
    of: &'a str,
    own: &'a Value,
    /// From where Meltano replaces variables in it; nowhere for the project.
    fed_by: Option<Feed<'a>>,
}

enum Feed<'a> {
    /// Everything but the block.
    Others,
    /// This block alone.
    Block(&'a Value),
}

/// The variables of an `env` block: who wins over them, and what is replaced in them.
fn of_block(project: &Project, block: &Block<'_>, found: &mut Vec<String>) {
    let of = block.of;
    for (name, value) in block.own.as_object().into_iter().flatten() {
        let Some(text) = spelled::text(value) else { continue };
        if project.process.get(name).is_some_and(|other| other != text) {
            found.push(format!(
                "{name}: the shell or .env wins over `env` of {of}; for Meltano, `env` wins"
            ));
        }
        let is_left = |inner: &String| match block.fed_by {
            None => true,
            Some(Feed::Others) => !block.own[inner].is_null(),
            Some(Feed::Block(feed)) => feed[inner].is_null(),
        };
        let inner: Vec<String> = names_in(&text).into_iter().filter(is_left).collect();
        if !inner.is_empty() {
            let inner = inner.join(", ");
            let theirs =
                if block.fed_by.is_none() { "passes it on as text" } else { "leaves it empty" };
            found.push(format!("{name}: {inner} is replaced in `env` of {of}; Meltano {theirs}"));
        }
    }
}

/// The settings of a program of ours that a null takes away.
fn of_nulls(chain: &[Entry<'_>], found: &mut Vec<String>) {
    let Some(first) = chain.first() else { return };
    for (name, value) in first.blocks("config").into_iter().flat_map(flat::flatten) {
        if value.is_null() {
            found.push(format!(
                "{}: `{name}: null` takes the value away; for Meltano, an inherited value stays",
                first.name
            ));
        }
    }
}

/// The definition of a plugin: whether it is there, and whether the program is another one.
fn of_definition(role: Role, chain: &[Entry<'_>], ours: Option<&PathBuf>) -> Option<String> {
    let (first, last) = (chain.first()?, chain.last()?);
    let variant = nearest_text(chain, "variant").map(|(_, text)| text);
    if let Some(program) = ours {
        let theirs = variant.filter(|variant| last.is_lock && *variant != "chorus")?;
        return Some(format!(
            "{}: {} runs in place of the variant {theirs}; defaults of its lock file count where \
             {} has the setting",
            first.name,
            program.display(),
            last.name
        ));
    }
    let is_defined = last.is_lock || last.own["namespace"].is_string();
    let is_of_hub = variant.is_some() || nearest_text(chain, "pip_url").is_some();
    (is_of_hub && !is_defined).then(|| {
        let end = variant.map_or(String::new(), |variant| format!("--{variant}"));
        format!(
            "{}: there is no lock file plugins/{}/{}{end}.lock, so its defaults and kinds are \
             unknown; Meltano takes them from its hub: meltano lock --all",
            first.name,
            role.key(),
            last.name
        )
    })
}
