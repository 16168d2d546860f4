//! What a dbt command leaves behind: `run_results.json` in its target folder.

use std::path::{Path, PathBuf};

use project::Program;
use serde_json::Value;

use crate::record::ResultRecord;

/// The file of a dbt project.
const PROJECT: &str = "dbt_project.yml";
const RESULTS: &str = "run_results.json";
/// Larger ones are left alone: a project of ten thousand nodes has a few megabytes.
const BYTES_MAX: u64 = 256 << 20;
/// So many nodes that failed are named.
const FAILED_SHOWN: usize = 5;
/// The statuses of nodes that make dbt fail.
const FAILED: [&str; 3] = ["error", "fail", "runtime error"];

/// The results of a dbt command: they are its own when they were not there before.
pub(crate) struct Results {
    path: Option<PathBuf>,
    /// The name of the invocation whose results were there.
    before: Option<Value>,
}

impl Results {
    /// Finds the place where a program leaves its results, if it runs dbt. It has not begun.
    pub(crate) fn of(program: &Program) -> Self {
        let path = folder(program).map(|folder| folder.join(RESULTS));
        let before = path.as_deref().and_then(read).as_ref().map(invocation);
        Self { path, before }
    }

    /// Returns the results that the command has left, and what failed, in words.
    pub(crate) fn read(&self) -> (Vec<ResultRecord>, Option<String>) {
        let Some(results) = self.path.as_deref().and_then(read) else { return Default::default() };
        if self.before == Some(invocation(&results)) {
            return Default::default();
        }
        let nodes = results["results"].as_array().map_or(&[][..], Vec::as_slice);
        (nodes.iter().map(record).collect(), failed(nodes))
    }
}

fn invocation(results: &Value) -> Value {
    results["metadata"]["invocation_id"].clone()
}

fn read(path: &Path) -> Option<Value> {
    let size = path.metadata().ok()?.len();
    let text = (size <= BYTES_MAX).then(|| std::fs::read(path).ok())??;
    serde_json::from_slice(&text).ok()
}

/// Returns the target folder of a program that runs dbt. As in dbt, a flag wins over a variable,
/// and a variable over the project file.
fn folder(program: &Program) -> Option<PathBuf> {
    let name = program.executable.file_name()?.to_str()?;
    if !name.starts_with("dbt") {
        return None;
    }
    let flag = |flag: &str| {
        let words = &program.arguments;
        let at = words.iter().rposition(|word| word == flag);
        let joined = words.iter().rev().find_map(|word| word.strip_prefix(flag)?.strip_prefix('='));
        at.and_then(|at| words.get(at + 1)).map(String::as_str).or(joined)
    };
    let variable = |name: &str| {
        let found = program.variables.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let project = flag("--project-dir").or_else(|| variable("DBT_PROJECT_DIR")).unwrap_or(".");
    let project = program.folder.join(project);
    let text = std::fs::read_to_string(project.join(PROJECT)).ok()?;
    let target = flag("--target-path").or_else(|| variable("DBT_TARGET_PATH"));
    let written = || {
        let line = text.lines().find_map(|line| line.strip_prefix("target-path:"))?;
        let value = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
        Some(value).filter(|value| !value.is_empty() && !value.contains("{{"))
    };
    // dbt reads it from the folder of the project, whoever names it.
    Some(project.join(target.or_else(written).unwrap_or("target")))
}

/// `model.shop.orders` is the model `orders`; a test has a sum behind its name.
fn name(node: &Value) -> (&str, &str) {
    let id = node["unique_id"].as_str().unwrap_or_default();
    let mut parts = id.splitn(3, '.');
    let (kind, _, name) = (parts.next(), parts.next(), parts.next());
    let name = name.unwrap_or(id);
    let short = name.rsplit_once('.').filter(|(_, sum)| kind == Some("test") && is_sum(sum));
    (kind.unwrap_or_default(), short.map_or(name, |(name, _)| name))
}

fn is_sum(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|letter| letter.is_ascii_hexdigit())
}

fn record(node: &Value) -> ResultRecord {
    let (kind, name) = name(node);
    ResultRecord {
        node: name.to_owned(),
        kind: kind.to_owned(),
        status: node["status"].as_str().unwrap_or_default().to_owned(),
        // A view has -1.
        rows: node["adapter_response"]["rows_affected"].as_u64().filter(|_| kind != "test"),
        failures: node["failures"].as_u64(),
        seconds: node["execution_time"].as_f64().unwrap_or_default(),
    }
}

/// Names the nodes that failed, the first of them with what dbt says of it.
fn failed(nodes: &[Value]) -> Option<String> {
    let has_failed =
        |node: &&Value| node["status"].as_str().is_some_and(|status| FAILED.contains(&status));
    let failed: Vec<&Value> = nodes.iter().filter(has_failed).collect();
    let (first, count) = (failed.first()?, failed.len());
    let message = first["message"].as_str().unwrap_or_default().trim();
    let message = message.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    let mut names: Vec<&str> = failed.iter().take(FAILED_SHOWN).map(|node| name(node).1).collect();
    if count > FAILED_SHOWN {
        names.push("...");
    }
    let (of, names) = (nodes.len(), names.join(", "));
    Some(format!("{count} of {of} failed: {names}: {message}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_have_short_names_and_their_counts() {
        let node = |id: &str, status: &str, message: &str, rows: i64, failures: Value| {
            json!({"unique_id": id, "status": status, "message": message, "failures": failures,
                   "execution_time": 0.5, "adapter_response": {"rows_affected": rows}})
        };
        let nodes = [
            node("model.shop.orders", "success", "SELECT 5", 5, Value::Null),
            node("model.shop.seen", "success", "CREATE VIEW", -1, Value::Null),
            node("test.shop.unique_orders_id.fed79b3a6e", "fail", "Got 2 results", 2, json!(2)),
            node("test.shop.my.own", "pass", "", 0, json!(0)),
        ];
        let told: Vec<_> = nodes
            .iter()
            .map(record)
            .map(|one| (one.kind, one.node, one.rows, one.failures))
            .collect();
        let expected = [
            ("model", "orders", Some(5), None),
            ("model", "seen", None, None),
            ("test", "unique_orders_id", None, Some(2)),
            ("test", "my.own", None, Some(0)),
        ];
        let expected = expected
            .map(|(kind, node, rows, failures)| (kind.into(), node.into(), rows, failures))
            .to_vec();
        assert_eq!(told, expected);
        let words = failed(&nodes).unwrap();
        assert_eq!(words, "1 of 4 failed: unique_orders_id: Got 2 results");
        assert_eq!(failed(&nodes[..2]), None);
    }
}
