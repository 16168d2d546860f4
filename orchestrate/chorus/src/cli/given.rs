//! Forms of command lines that are read as others: old ones, and those of other programs.

use std::ffi::OsString;

const CONFIG: [&str; 7] = ["print", "list", "set", "unset", "reset", "test", "help"];
const SCHEDULE: [&str; 7] = ["start", "list", "add", "set", "remove", "run", "help"];
/// Flags before a command that take a value.
const WITH_VALUE: [&str; 6] =
    ["--project", "--cwd", "--environment", "-e", "--log-level", "--log-format"];

/// Flags of `invoke` that take a value.
const OF_INVOKE: [&str; 2] = ["--dump", "--print-var"];

/// The levels of the log, as Meltano has them.
pub(crate) const LEVELS: [&str; 6] = ["debug", "info", "warning", "error", "critical", "disabled"];
/// The forms of the log: all of Meltano's that are not `json` are `plain`.
pub(crate) const FORMATS: [&str; 5] = ["plain", "json", "colored", "uncolored", "key-value"];

/// Returns the level of the log that a command line names: the log begins before it is read.
pub(crate) fn log_level(words: Vec<OsString>) -> Option<String> {
    const FLAG: &str = "--log-level";
    let words = settled(words).into_iter().filter_map(|word| word.into_string().ok());
    let mut words = words.take_while(|word| word != "--");
    let word = words.find(|word| word == FLAG || word.starts_with("--log-level="))?;
    if word == FLAG { words.next() } else { word.strip_prefix("--log-level=").map(str::to_owned) }
}

/// Puts the words of a command line as the definition has them: `config PLUGIN set` as `config set
/// PLUGIN`, `schedule NAME` as `schedule start NAME`, and `el -e STREAM` as `el --exclude STREAM`.
/// What stands behind the plugin of `invoke` is the plugin's.
pub(crate) fn settled(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(at) = command(&words) else { return words };
    let text = |words: &[OsString], at: usize| -> Option<String> {
        words.get(at)?.to_str().filter(|word| !word.starts_with('-')).map(str::to_owned)
    };
    let first = text(&words, at + 1);
    match (words[at].to_str(), first) {
        (Some("config"), Some(plugin)) if !CONFIG.contains(&plugin.as_str()) => {
            match text(&words, at + 2).filter(|word| CONFIG.contains(&word.as_str())) {
                Some(_) => words.swap(at + 1, at + 2),
                None => words.insert(at + 1, "print".into()),
            }
        }
        // Before the command, `-e` names the environment.
        (Some("el" | "elt"), _) => {
            let short = words[at..].iter_mut().filter(|word| *word == "-e");
            short.for_each(|word| *word = "--exclude".into());
        }
        (Some("invoke"), _) => {
            if let Some(plugin) = word(&words, at + 1, &OF_INVOKE)
                && words.get(plugin + 1).is_some_and(|next| next != "--")
            {
                words.insert(plugin + 1, "--".into());
            }
        }
        (Some("schedule"), Some(name)) if !SCHEDULE.contains(&name.as_str()) => {
            words.splice(at + 1..=at, ["start".into(), "--old-form".into()]);
        }
        _ => {}
    }
    words
}

/// Finds the command: the first word that is no flag, and no value of one.
fn command(words: &[OsString]) -> Option<usize> {
    word(words, 1, &[])
}

/// Finds the first word from a place on that is no flag, and no value of one.
fn word(words: &[OsString], mut at: usize, with_value: &[&str]) -> Option<usize> {
    while let Some(word) = words.get(at)?.to_str() {
        if !word.starts_with('-') {
            return Some(at);
        }
        let has_value = WITH_VALUE.contains(&word) || with_value.contains(&word);
        at += if has_value { 2 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_forms_are_put_as_new_ones() {
        let check = |line: &str, expected: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            let settled: Vec<String> =
                settled(words).into_iter().map(|word| word.into_string().unwrap()).collect();
            assert_eq!(settled.join(" "), expected);
        };
        check("c --cwd x config tap-a set b 1", "c --cwd x config set tap-a b 1");
        check("c config tap-a", "c config print tap-a");
        check("c config tap-a --format env", "c config print tap-a --format env");
        check("c config set tap-a b 1", "c config set tap-a b 1");
        check("c config --unsafe print tap-a", "c config --unsafe print tap-a");
        check("c -e dev schedule daily x", "c -e dev schedule start --old-form daily x");
        check("c schedule", "c schedule");
        check("c schedule run daily", "c schedule run daily");
        check("c run config tap-a", "c run config tap-a");
        check("c -e dev el a b -e s", "c -e dev el a b --exclude s");
        check("c run a b -e dev", "c run a b -e dev");
        check("c -e dev invoke --dump config tap-a", "c -e dev invoke --dump config tap-a");
        check("c invoke dbt:run --help", "c invoke dbt:run -- --help");
        check("c invoke --print-var A dbt run -e x", "c invoke --print-var A dbt -- run -e x");
        check("c invoke dbt -- --help", "c invoke dbt -- --help");
        let level = |line: &str| log_level(line.split(' ').map(OsString::from).collect());
        assert_eq!(level("c --log-level debug invoke dbt").as_deref(), Some("debug"));
        assert_eq!(level("c invoke dbt --log-level debug"), None);
    }
}
