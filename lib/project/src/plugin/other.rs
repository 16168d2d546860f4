//! Plugins of a project that `chorus` does not run: of kinds that Meltano has for other things.

use singer::{Error, ErrorKind};

use crate::names::find_named;
use crate::project::Project;

/// A kind of plugin that has nothing to run here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Other {
    /// The key of `plugins`.
    key: &'static str,
    /// What such a plugin is.
    kind: &'static str,
    /// What to do in its place.
    instead: &'static str,
}

const ALL: [Other; 3] = [
    Other {
        key: "orchestrators",
        kind: "an orchestrator",
        instead: "`chorus schedule` runs the schedules of the project",
    },
    Other {
        key: "transforms",
        kind: "a transform",
        instead: "it is a dbt package: run the dbt project that has it",
    },
    Other {
        key: "files",
        kind: "a bundle of files",
        instead: "leave it out: its files are in the project",
    },
];

impl Other {
    /// Finds the kind of a plugin.
    pub(crate) fn find(project: &Project, name: &str) -> Option<Self> {
        let plugins = &project.file["plugins"];
        ALL.into_iter().find(|other| find_named(&plugins[other.key], name).is_some())
    }

    /// Returns why a command that needs a plugin to run cannot have this one.
    pub(crate) fn refusal(self, name: &str) -> Error {
        Error::new(ErrorKind::Config, format!("cannot run {}", self.kind))
            .with("plugin", name)
            .hint(self.instead)
    }

    /// Returns a sentence on each plugin of these kinds.
    pub(super) fn of_project(project: &Project) -> Vec<String> {
        let mut found = Vec::new();
        for other in ALL {
            let entries = project.file["plugins"][other.key].as_array().into_iter().flatten();
            found.extend(entries.filter_map(|entry| entry["name"].as_str()).map(|name| {
                format!("{name}: it is {}, which is not run: {}", other.kind, other.instead)
            }));
        }
        found
    }
}
