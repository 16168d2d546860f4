//! Commands of a plugin: `commands` of its entry, which steps and `chorus invoke` run by name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::entry::Entry;

/// A command of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its arguments in one text, with variables by their names.
    pub arguments: String,
    /// What it does, if the project says it.
    pub description: Option<String>,
    /// The program, where it is another one than that of the plugin.
    pub executable: Option<PathBuf>,
}

/// Reads the commands of a plugin and of those it inherits from; `find` finds a program by its
/// name. `container_spec` has no effect, as in `meltano run`.
pub(super) fn commands(
    chain: &[Entry<'_>],
    find: impl Fn(&str) -> PathBuf,
) -> Result<BTreeMap<String, Command>> {
    let mut all = BTreeMap::new();
    for entry in chain.iter().rev() {
        for block in [&entry.own["commands"], &entry.of_environment["commands"]] {
            for (name, value) in block.as_object().into_iter().flatten() {
                let command = command(value, &find).ok_or_else(|| {
                    Error::new(ErrorKind::Config, "cannot read a command of the plugin")
                        .with("plugin", entry.name)
                        .with("command", name)
                        .hint(format!(
                            "write its arguments as a text, `{name}: ARGUMENTS`, or a mapping \
                             with `args` and `executable`"
                        ))
                })?;
                all.insert(name.clone(), command);
            }
        }
    }
    Ok(all)
}

fn command(value: &Value, find: impl Fn(&str) -> PathBuf) -> Option<Command> {
    let text = |name: &str| match &value[name] {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        _ => None,
    };
    if let Value::String(arguments) = value {
        let arguments = arguments.clone();
        return Some(Command { arguments, description: None, executable: None });
    }
    if !value.is_object() {
        return None;
    }
    Some(Command {
        arguments: text("args")?.unwrap_or_default(),
        description: text("description")?,
        executable: text("executable")?.filter(|name| !name.is_empty()).map(|name| find(&name)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry<'a>(name: &'a str, own: &'a Value) -> Entry<'a> {
        Entry { name, own, of_environment: &Value::Null, namespace: None, is_lock: false }
    }

    #[test]
    fn commands_have_all_forms_and_are_inherited() {
        let child = json!({"commands": {"run": {"args": "run -s a", "executable": "other"}}});
        let parent = json!({"commands": {"run": "run", "test": "test --x", "none": {}}});
        let chain = [entry("child", &child), entry("parent", &parent)];
        let all = commands(&chain, |name| PathBuf::from("bin").join(name)).unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|(name, one)| (name.as_str(), one.arguments.as_str(), one.executable.is_some()))
            .collect();
        assert_eq!(
            told,
            [("none", "", false), ("run", "run -s a", true), ("test", "test --x", false)]
        );
        for wrong in [json!(5), json!(["run"]), json!({"args": ["run"]})] {
            let own = json!({"commands": {"run": wrong}});
            assert!(commands(&[entry("a", &own)], |name| name.into()).is_err(), "{own}");
        }
    }
}
