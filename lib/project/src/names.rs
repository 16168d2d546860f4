//! Entries by their names, and the names that were probably meant.

use serde_json::Value;

/// Finds the entry of a list by its name.
pub fn find_named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["name"] == name)
}

/// Returns the name that was probably meant.
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    singer::near::nearest(name, known.iter().map(String::as_str), singer::near::ALIKE)
}

/// Counts things in words: `1 state`, `2 states`.
pub fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Says which names there are.
pub fn listed(known: &[String]) -> String {
    if known.is_empty() {
        return "the project has none yet: check the keys `plugins`, `extractors`, `loaders` and \
                `jobs` of meltano.yml, or add a connector with `chorus add`"
            .to_owned();
    }
    format!("the project has: {}", known.join(", "))
}
