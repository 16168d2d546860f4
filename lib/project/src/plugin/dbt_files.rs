//! Variables that a dbt project names: those of its database are often variables of a target.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::environment::Environment;

/// Where the settings of a plugin, or the variables that dbt reads, name its folders.
const FOLDERS: [(&str, &str); 2] =
    [("project_dir", "DBT_PROJECT_DIR"), ("profiles_dir", "DBT_PROFILES_DIR")];

/// The files that name the database and how to reach it.
const FILES: [&str; 2] = ["profiles.yml", "dbt_project.yml"];

/// How a dbt project names a variable.
const CALL: &str = "env_var(";

/// Returns the variables that the dbt project of a plugin names, if it has one.
pub(super) fn variables(
    root: &Path,
    config: &Map<String, Value>,
    environment: &Environment,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let folders: BTreeSet<PathBuf> = FOLDERS
        .iter()
        .filter_map(|(setting, variable)| {
            let set = config.get(*setting).and_then(Value::as_str);
            Some(root.join(set.or_else(|| environment.given.get(variable))?))
        })
        .collect();
    for folder in folders {
        for file in FILES {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            names.extend(called(&text));
        }
    }
    names
}

/// Returns the names in `env_var('NAME')`.
fn called(text: &str) -> impl Iterator<Item = String> {
    text.match_indices(CALL).filter_map(|(at, _)| {
        let inner = text[at + CALL.len()..].trim_start();
        let quote = inner.chars().next().filter(|letter| matches!(letter, '\'' | '"'))?;
        let (name, _) = inner[1..].split_once(quote)?;
        Some(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_both_quotes() {
        let text = "a: \"{{ env_var('PGPASSWORD') }}\"
                    b: '{{ env_var( \"PORT\", \"5\") | int }}'
                    c: \"{{ env_var(name) }}\"";
        assert_eq!(called(text).collect::<Vec<_>>(), ["PGPASSWORD", "PORT"]);
    }
}
