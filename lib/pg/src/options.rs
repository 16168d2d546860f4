//! The setting `options`: settings of the server for the session, as command-line options (pure).

use crate::parameters::{PARAMETERS, Way};

/// Warns of options that have no effect, as sessions of ours pin the setting to another value.
/// Those that are given back while views and the like compute have one there.
pub(crate) fn warn_of_pinned(options: &str) {
    for (name, value) in settings(options) {
        if let Some((pinned, pin, reason)) = overruled(&name, &value) {
            singer::warn!(
                "W-SETTING-UNUSED",
                "the option {pinned}={value} has no effect: the connector sets it to {pin}, \
                 because {reason}"
            );
        }
    }
}

/// Returns the name, the value and the reason of the pin that overrules a setting.
fn overruled(name: &str, value: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let pinned = PARAMETERS.iter().find(|pinned| pinned.names.eq_ignore_ascii_case(name))?;
    match pinned.way {
        Way::Pin(pin) if !pin.eq_ignore_ascii_case(value) => {
            Some((pinned.names, pin, pinned.reason))
        }
        _ => None,
    }
}

/// Returns the settings that the options name: `-c name=value`, `-cname=value`, `--name=value`.
fn settings(options: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            continue;
        };
        if let Some((name, value)) = setting.split_once('=') {
            found.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    found
}

/// Splits options at blanks; a backslash keeps the character behind it, as in the server.
fn words(options: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => words.iter_mut().last().into_iter().for_each(|word| word.extend(chars.next())),
            c if c.is_ascii_whitespace() => words.push(String::new()),
            c => words.iter_mut().last().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_every_form() {
        let found = settings(
            "-c geqo=off  -cwork_mem=4MB --search-path=a\\ b -F -c\tx.y=1=2 -c statement_timeout",
        );
        let found: Vec<_> = found.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        assert_eq!(found, ["geqo:off", "work_mem:4MB", "search_path:a b", "x.y:1=2"]);
        assert!(settings("").is_empty());
    }

    #[test]
    fn what_is_pinned_to_another_value_is_overruled() {
        let names = |options: &str| {
            let found = settings(options).into_iter();
            let found = found.filter_map(|(name, value)| overruled(&name, &value));
            found.map(|(name, ..)| name).collect::<Vec<_>>()
        };
        assert_eq!(names("-c intervalstyle=postgres -c xmloption=CONTENT"), ["IntervalStyle"]);
        assert!(names("-c statement_timeout=5s -c timezone=Asia/Tokyo -c no.such=1").is_empty());
    }
}
