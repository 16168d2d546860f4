//! The rights that the users of pipelines lack, as SQL: each plugin that can tell says its own.

use std::collections::BTreeSet;

use project::{Plugin, Project, Step};
use singer::plan::PLAN_GRANTS;
use singer::{Error, Result};

use crate::plugin_plan::{PluginPlan, of_tap, of_target, reach};
use crate::prepare;

/// What is lacking.
#[derive(Debug, Default)]
pub struct Lacking {
    /// By the places that it is lacking in.
    pub places: Vec<Place>,
    /// Plugins that could not say what they lack, and why.
    pub failures: Vec<(String, Error)>,
    /// Whether any plugin was asked.
    pub was_asked: bool,
}

/// A user in a database.
#[derive(Debug)]
pub struct Place {
    /// A comment in SQL that names both.
    pub of: String,
    /// The plugins that have it.
    pub plugins: BTreeSet<String>,
    /// Statements and comments, each once; none where nothing is lacking.
    pub statements: Vec<String>,
}

impl Lacking {
    /// Asks the tap and the target of a pipeline, or the one of them that is named.
    pub fn ask(&mut self, project: &Project, step: &Step, only: Option<&str>) {
        let is_asked =
            |one: &Plugin| one.tells_grants() && only.is_none_or(|name| name == one.name);
        let (of_both, of) = ([step.tap(), step.target()].map(is_asked), asking(step));
        if of_both == [false, false] {
            return;
        }
        self.was_asked = true;
        let names = [&step.tap().name, &step.target().name];
        let found = prepare::catalog(project, of.tap())
            .and_then(|(catalog, _)| of_tap(project, &of, None, Some(&catalog)));
        let schemas = self.take(names[0], of_both[0], found);
        match schemas {
            _ if !of_both[1] => {}
            Some(schemas) => {
                let found = of_target(project, &of, &schemas);
                self.take(names[1], true, found);
            }
            // Its streams are not known; whether it may connect is.
            None => {
                if let Err(failure) = reach(project, of.target()) {
                    self.fail(names[1], failure);
                }
            }
        }
    }

    /// Takes what a plugin says; returns the schemas that a tap would write.
    fn take(&mut self, plugin: &str, is_asked: bool, said: Result<PluginPlan>) -> Option<String> {
        let plan = match said {
            Ok(plan) => plan,
            Err(failure) => {
                self.fail(plugin, failure);
                return None;
            }
        };
        for stream in plan.streams.iter().filter(|_| is_asked) {
            let steps = stream["steps"].as_array().into_iter().flatten();
            let mut steps = steps.filter_map(|step| step.as_str()).filter(|step| is_sql(step));
            if let Some(of) = steps.next() {
                self.place(plugin, of).add(steps);
            }
        }
        Some(plan.schemas)
    }

    /// Takes a failure, once of each plugin: jobs share them.
    fn fail(&mut self, plugin: &str, failure: Error) {
        let is_same = |(of, known): &(String, Error)| {
            of == plugin && known.to_string() == failure.to_string()
        };
        if !self.failures.iter().any(is_same) {
            self.failures.push((plugin.to_owned(), failure));
        }
    }

    fn place(&mut self, plugin: &str, of: &str) -> &mut Place {
        let at = self.places.iter().position(|place| place.of == of).unwrap_or_else(|| {
            let (plugins, statements) = (BTreeSet::new(), Vec::new());
            self.places.push(Place { of: of.to_owned(), plugins, statements });
            self.places.len() - 1
        });
        let place = &mut self.places[at];
        place.plugins.insert(plugin.to_owned());
        place
    }
}

impl Place {
    fn add<'a>(&mut self, statements: impl Iterator<Item = &'a str>) {
        for statement in statements {
            if !self.statements.iter().any(|known| known == statement) {
                self.statements.push(statement.to_owned());
            }
        }
    }
}

/// Returns the pipeline with the setting by which plugins say what they lack.
fn asking(step: &Step) -> Step {
    let mut step = step.clone();
    for plugin in step.plugins.iter_mut().filter(|plugin| plugin.tells_grants()) {
        plugin.config.insert(PLAN_GRANTS.to_owned(), true.into());
    }
    step
}

/// Tells a statement, or a comment, from a line that says what becomes of a stream in a plugin.
fn is_sql(step: &str) -> bool {
    ["GRANT ", "ALTER ", "-- "].iter().any(|start| step.starts_with(start))
}

/// Returns why a plugin could not say what it lacks, in few words.
pub fn reason<'a>(plugin: &str, failure: &'a Error) -> &'a str {
    let mut own = failure.context_pairs().filter(|(key, _)| *key == plugin);
    let said = own.find_map(|(_, line)| line.strip_prefix("error: "));
    said.unwrap_or(failure.message())
}

/// Returns the statement that a plugin says has to be run before it can say more.
pub fn to_begin<'a>(plugin: &str, failure: &'a Error) -> Option<&'a str> {
    let own = failure.context_pairs().filter(|(key, _)| *key == plugin);
    own.filter_map(|(_, line)| line.strip_prefix("hint: run: "))
        .find(|statement| statement.starts_with("GRANT "))
}
