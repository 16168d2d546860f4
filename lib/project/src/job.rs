//! Jobs: named lists of steps, each a pipeline from a tap to a target, or a command of a plugin.

mod command_step;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::names::{find_named, nearest};
use crate::plugin::Plugin;
use crate::project::Project;
use crate::role::Role;
use crate::warning;
pub use command_step::CommandStep;

/// What a run runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// The name in the project, or the plugins one after the other.
    pub name: String,
    /// What it was named by: a name may have spaces.
    pub words: Vec<String>,
    /// The steps in their order.
    pub steps: Vec<Task>,
}

/// A step of a job.
#[derive(Clone, Debug)]
pub enum Task {
    /// A pipeline.
    Pipeline(Box<Step>),
    /// A command of a plugin.
    Command(Box<CommandStep>),
}

/// One pipeline.
#[derive(Clone, Debug)]
pub struct Step {
    /// The plugins' names: `tap-csv target-csv`.
    pub name: String,
    /// A tap, mappers, a target.
    pub plugins: Vec<Plugin>,
    /// Whether another day has it do something else; it has not where no day is known.
    pub is_of_day: bool,
}

impl Job {
    /// Reads what a command names: jobs, plugins from a tap to a target, and commands of plugins.
    pub fn find(project: &Project, words: &[String]) -> Result<Self> {
        let mut found = Found { project, steps: Vec::new(), pending: Vec::new() };
        for word in words {
            match find_named(&project.file["jobs"], word) {
                Some(job) if found.pending.is_empty() => {
                    if project.plugin_names().contains(word) {
                        project.warnings().warn_once(warning!(
                            "W-PROJECT-UNUSED",
                            "{word} is the name of a job and of a plugin: the job runs"
                        ));
                    }
                    found.take_job(word, &job["tasks"])?;
                }
                _ => found.take(word)?,
            }
        }
        found.end()?;
        let steps = found.steps;
        if steps.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the command names nothing to run")
                .hint("name a job, or a tap and a target: chorus run tap-csv target-csv"));
        }
        Ok(Self { name: words.join(" "), words: words.to_vec(), steps })
    }

    /// Refuses tasks that a job of this name could not run.
    pub fn check(project: &Project, name: &str, tasks: &Value) -> Result<()> {
        Found { project, steps: Vec::new(), pending: Vec::new() }.take_job(name, tasks)
    }

    /// Returns its pipelines in their order.
    pub fn pipelines(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter_map(Task::pipeline)
    }
}

impl Task {
    /// Returns the name: of a pipeline, its plugins.
    pub fn name(&self) -> &str {
        match self {
            Self::Pipeline(step) => &step.name,
            Self::Command(step) => &step.name,
        }
    }

    /// Returns the pipeline, if it is one.
    pub fn pipeline(&self) -> Option<&Step> {
        match self {
            Self::Pipeline(step) => Some(step),
            Self::Command(_) => None,
        }
    }

    /// Returns the plugins that it runs.
    pub fn plugins(&self) -> &[Plugin] {
        match self {
            Self::Pipeline(step) => &step.plugins,
            Self::Command(step) => std::slice::from_ref(&step.plugin),
        }
    }

    /// Tells whether another day has it do something else.
    pub fn is_of_day(&self) -> bool {
        match self {
            Self::Pipeline(step) => step.is_of_day,
            Self::Command(step) => step.is_of_day,
        }
    }
}

impl Step {
    fn find(project: &Project, words: &[String]) -> Result<Self> {
        let plugins = Plugin::find_all(project, words)?;
        let roles: Vec<Role> = plugins.iter().map(|plugin| plugin.role).collect();
        let whole = roles.len() >= 2
            && roles[0] == Role::Extractor
            && roles[roles.len() - 1] == Role::Loader
            && roles[1..roles.len() - 1].iter().all(|role| *role == Role::Mapper);
        if !whole {
            return Err(incomplete(words));
        }
        let is_of_day = match &project.other_day {
            Some(other) => {
                let others = Plugin::find_all(other, words)?;
                plugins.iter().zip(&others).any(|(one, other)| one.differs_from(other))
            }
            None => false,
        };
        Ok(Self { name: words.join(" "), plugins, is_of_day })
    }

    /// Returns the tap.
    pub fn tap(&self) -> &Plugin {
        &self.plugins[0]
    }

    /// Returns the target.
    pub fn target(&self) -> &Plugin {
        &self.plugins[self.plugins.len() - 1]
    }
}

/// The steps that are found, and the plugins of a pipeline whose target is still to come.
struct Found<'a> {
    project: &'a Project,
    steps: Vec<Task>,
    pending: Vec<String>,
}

impl Found<'_> {
    /// Takes the tasks of a job.
    fn take_job(&mut self, job: &str, tasks: &Value) -> Result<()> {
        let mut words = Vec::new();
        task_words(tasks, &mut words).map_err(|failure| failure.with("job", job))?;
        if words.is_empty() {
            return Err(Error::new(ErrorKind::Config, "cannot run a job without tasks")
                .with("job", job)
                .hint("add `tasks: [tap-csv target-csv]` to it"));
        }
        words.iter().try_for_each(|word| self.take(word))?;
        self.end()
    }

    /// Takes the next word: a plugin, or a command of one.
    fn take(&mut self, word: &str) -> Result<()> {
        let (role, _, command) = command_step::named(self.project, word)?;
        if role.is_of_pipeline() && command.is_none() {
            self.pending.push(word.to_owned());
            if role == Role::Loader {
                let words = std::mem::take(&mut self.pending);
                let step = Step::find(self.project, &words)?;
                self.steps.push(Task::Pipeline(Box::new(step)));
            }
            return Ok(());
        }
        self.end()?;
        if role.is_of_pipeline() {
            return Err(Error::new(ErrorKind::Config, "cannot run a command of it as a step")
                .with("command", word)
                .with("role", role)
                .hint(format!("run it by itself: chorus invoke {word}")));
        }
        let step = CommandStep::find(self.project, word)?;
        self.steps.push(Task::Command(Box::new(step)));
        Ok(())
    }

    fn end(&self) -> Result<()> {
        if self.pending.is_empty() { Ok(()) } else { Err(incomplete(&self.pending)) }
    }
}

fn incomplete(words: &[String]) -> Error {
    Error::new(ErrorKind::Config, "cannot run these plugins as a pipeline")
        .with("plugins", words.join(" "))
        .hint("a pipeline is a tap, any mappers, and a target, in this order")
}

/// Makes the failure of a word that names nothing in the project.
fn unknown(project: &Project, word: &str) -> Error {
    let jobs = project.file["jobs"].as_array().into_iter().flatten();
    let jobs = jobs.filter_map(|job| job["name"].as_str()).map(str::to_owned);
    let known: Vec<String> = jobs.chain(project.plugin_names()).collect();
    Error::new(ErrorKind::Config, "cannot find a job or plugin of this name")
        .with("name", word)
        .hint(match nearest(word, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => crate::names::listed(&known),
        })
}

/// Returns what tasks name, as far as they can be read: plugins, and behind a colon commands, these
/// with the colon and without.
pub fn names_in_tasks(tasks: &Value) -> Vec<String> {
    let mut words = Vec::new();
    // What cannot be read is refused when the job is run.
    let _ = task_words(tasks, &mut words);
    let plugins = words.iter().filter_map(|word| Some(word.split_once(':')?.0.to_owned()));
    let plugins: Vec<String> = plugins.collect();
    words.extend(plugins);
    words
}

/// Gathers the words of tasks: texts with blanks between words, and lists of them, however deep.
/// Meltano joins them, too, before it looks for pipelines.
fn task_words(tasks: &Value, words: &mut Vec<String>) -> Result<()> {
    match tasks {
        Value::Null => Ok(()),
        Value::String(text) => {
            words.extend(text.split_whitespace().map(str::to_owned));
            Ok(())
        }
        Value::Array(parts) => parts.iter().try_for_each(|part| task_words(part, words)),
        _ => Err(Error::new(ErrorKind::Config, "cannot read a task of the job")
            .hint("write a tap and a target: `tap-csv target-csv`")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tasks_name_plugins_and_commands_as_whole_words() {
        let mut names = names_in_tasks(&json!(["tap-ab target", ["dbt:run", ["x"]]]));
        names.sort();
        assert_eq!(names, ["dbt", "dbt:run", "tap-ab", "target", "x"]);
        assert_eq!(names_in_tasks(&json!("a b")), ["a", "b"]);
        assert!(names_in_tasks(&json!([5])).is_empty());
    }
}
