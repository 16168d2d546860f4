//! Jobs: named lists of steps, each a pipeline from a tap to a target.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::names::{find_named, nearest};
use crate::plugin::Plugin;
use crate::project::Project;
use crate::role::Role;
use crate::warning;

/// What a run runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// The name in the project, or the plugins one after the other.
    pub name: String,
    /// What it was named by: a name may have spaces.
    pub words: Vec<String>,
    /// The steps in their order.
    pub steps: Vec<Step>,
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
    /// Reads what a command names: jobs, and plugins from a tap to a target.
    pub fn find(project: &Project, words: &[String]) -> Result<Self> {
        let mut steps = Vec::new();
        let mut pending: Vec<String> = Vec::new();
        for word in words {
            match find_named(&project.file["jobs"], word) {
                Some(job) if pending.is_empty() => {
                    if project.plugin_names().contains(word) {
                        project.warnings().warn_once(warning!(
                            "W-PROJECT-UNUSED",
                            "{word} is the name of a job and of a plugin: the job runs"
                        ));
                    }
                    let tasks = &job["tasks"];
                    let one = std::slice::from_ref(tasks);
                    let tasks = if tasks.is_string() {
                        Some(one)
                    } else {
                        tasks.as_array().map(Vec::as_slice)
                    };
                    let tasks = tasks.unwrap_or_default();
                    if tasks.is_empty() {
                        return Err(Error::new(
                            ErrorKind::Config,
                            "cannot run a job without tasks",
                        )
                        .with("job", word)
                        .hint("add `tasks: [tap-csv target-csv]` to it"));
                    }
                    for task in tasks {
                        steps.push(task_words(task, word)?);
                    }
                }
                _ => {
                    pending.push(word.clone());
                    if role(project, word)? == Role::Loader {
                        steps.push(std::mem::take(&mut pending));
                    }
                }
            }
        }
        if !pending.is_empty() {
            return Err(incomplete(&pending));
        }
        let steps: Vec<Step> =
            steps.iter().map(|words| Step::find(project, words)).collect::<Result<_>>()?;
        if steps.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the command names nothing to run")
                .hint("name a job, or a tap and a target: chorus run tap-csv target-csv"));
        }
        Ok(Self { name: words.join(" "), words: words.to_vec(), steps })
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

fn incomplete(words: &[String]) -> Error {
    Error::new(ErrorKind::Config, "cannot run these plugins as a pipeline")
        .with("plugins", words.join(" "))
        .hint("a pipeline is a tap, any mappers, and a target, in this order")
}

fn role(project: &Project, word: &str) -> Result<Role> {
    for role in Role::ALL {
        if find_named(&project.file["plugins"][role.key()], word).is_some() {
            return Ok(role);
        }
    }
    for mapper in project.file["plugins"]["mappers"].as_array().into_iter().flatten() {
        if find_named(&mapper["mappings"], word).is_some() {
            return Ok(Role::Mapper);
        }
    }
    let jobs = project.file["jobs"].as_array().into_iter().flatten();
    let jobs = jobs.filter_map(|job| job["name"].as_str()).map(str::to_owned);
    let known: Vec<String> = jobs.chain(project.plugin_names()).collect();
    Err(Error::new(ErrorKind::Config, "cannot find a job or plugin of this name")
        .with("name", word)
        .hint(match nearest(word, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the project has: {}", known.join(", ")),
        }))
}

/// Reads a task: the plugins of a pipeline as a text or a list.
fn task_words(task: &Value, job: &str) -> Result<Vec<String>> {
    let words: Option<Vec<String>> = match task {
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Value::Array(parts) => {
            let texts: Option<Vec<&str>> = parts.iter().map(Value::as_str).collect();
            texts.map(|texts| {
                texts.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
            })
        }
        _ => None,
    };
    words.ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot read a task of the job")
            .with("job", job)
            .hint("write a tap and a target: `tap-csv target-csv`")
    })
}
