//! The plan of a job's tables, as a file has it.

use std::collections::BTreeSet;

use disk::Datestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use singer::{Error, ErrorKind, Result};

/// The form of the file.
const VERSION: u64 = 1;

/// What is to be done to the tables of a job: in short, and as its targets need it.
#[derive(Debug, Deserialize, Serialize)]
pub struct TablesPlan {
    version: u64,
    /// The words that name the job.
    pub words: Vec<String>,
    /// The environment of the project.
    pub environment: Option<String>,
    /// The day that the settings are of.
    pub datestamp: Option<Datestamp>,
    /// The schema of all tables, where they have one.
    pub schema: Option<String>,
    /// The tables that are made.
    pub create: Vec<String>,
    /// The tables that are dropped.
    pub delete: Vec<String>,
    /// What happens to the columns of every other table, and of new ones.
    pub changes_detail: Map<String, Value>,
    /// What the targets have planned.
    pub plans: Vec<PlanOfTarget>,
}

/// What one target has planned.
#[derive(Debug, Deserialize, Serialize)]
pub struct PlanOfTarget {
    /// The step.
    pub step: String,
    /// The target.
    pub target: String,
    /// The SCHEMA messages that it was asked with.
    pub messages: String,
    /// Its answer.
    pub plan: Value,
}

impl PlanOfTarget {
    /// Returns what is to be done to its tables, one by one.
    #[must_use]
    pub fn tables(&self) -> &[Value] {
        self.plan["tables"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

/// Returns the texts of a list.
pub(super) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

impl TablesPlan {
    pub(super) fn new(
        words: &[String],
        (environment, datestamp): (Option<String>, Option<Datestamp>),
        plans: Vec<PlanOfTarget>,
    ) -> Self {
        let all = || plans.iter().flat_map(|part| part.tables().iter().map(move |t| (part, t)));
        let schemas: BTreeSet<&str> =
            all().filter_map(|(_, table)| table["schema"].as_str()).collect();
        let schema = match Vec::from_iter(&schemas)[..] {
            [one] => Some((*one).to_owned()),
            _ => None,
        };
        // A name that says which table is meant, and no more.
        let named = |(part, table): (&PlanOfTarget, &Value)| {
            let [place, name] =
                ["schema", "table"].map(|key| table[key].as_str().unwrap_or_default());
            let same = |(other, one): &(&PlanOfTarget, &Value)| {
                other.target != part.target && one["schema"] == place && one["table"] == name
            };
            let name = if schema.is_some() { name.to_owned() } else { format!("{place}.{name}") };
            if all().any(|one| same(&one)) { format!("{}: {name}", part.target) } else { name }
        };
        let (mut create, mut delete, mut detail) = (Vec::new(), Vec::new(), Map::new());
        for (part, table) in all() {
            let name = named((part, table));
            match table["action"].as_str() {
                Some("create") => create.push(name.clone()),
                Some("drop") => delete.push(name.clone()),
                _ => {}
            }
            detail.insert(name, details(table));
        }
        let words = words.to_vec();
        let version = VERSION;
        let changes_detail = detail;
        Self {
            version,
            words,
            environment,
            datestamp,
            schema,
            create,
            delete,
            changes_detail,
            plans,
        }
    }

    pub(super) fn check_version(&self) -> Result<(), String> {
        if self.version == VERSION {
            return Ok(());
        }
        Err(format!("its version is {}, and this release reads {VERSION}", self.version))
    }

    /// Returns all tables, with those that stay as they are.
    pub fn tables(&self) -> impl Iterator<Item = &Value> {
        self.plans.iter().flat_map(PlanOfTarget::tables)
    }

    /// Tells whether there is anything to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables().all(|table| table["action"] == "none")
    }

    /// Returns what is lost by it.
    pub fn loses(&self) -> impl Iterator<Item = &str> {
        self.tables().flat_map(|table| texts(&table["loses"]))
    }

    /// Refuses what would lose data without the word for it, before any target is asked.
    pub(super) fn check(&self, allow_drop: bool) -> Result<()> {
        let lost: Vec<&str> = self.loses().collect();
        if allow_drop || lost.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Usage, "cannot change the tables: data would be lost")
            .with("lost", lost.join("; "))
            .hint(
                "nothing was changed: add `--allow-drop` if the data may go, or plan without the \
                 losses: chorus schema plan JOB --no-drop",
            ))
    }
}

/// Returns what happens to the columns of a table.
fn details(table: &Value) -> Value {
    let mut all = json!({ "has_changed": table["action"] != "none" });
    for key in [
        "new_fields",
        "deleted_fields",
        "intersect_fields",
        "renamed_fields",
        "changed_types",
        "key",
    ] {
        all[key] = table[key].clone();
    }
    all
}
