//! Steps of reading a contract: names, custom properties, words, and members that nobody knows.

use singer::near::{ALIKE, nearest};
use singer::{Error, Result};

use super::yaml::{self, Inner, Node, Spot};

/// Returns `physicalName`, or `name`.
pub(super) fn name_of(node: &Node, what: &str) -> Result<String> {
    let name = node.get("physicalName").or_else(|| node.get("name"));
    let name =
        name.ok_or_else(|| node.spot.fault(&format!("{what} of a contract has no `name`")))?;
    if matches!(&name.inner, Inner::Scalar(value) if value.is_number()) {
        let fault = name.spot.fault(&format!("the name of {what} of a contract is a number"));
        return Err(fault.hint("write the name in quotes: YAML reads 1_000 and 0x10 as numbers"));
    }
    name.text("name")
}

/// The custom properties that have an effect on a property.
pub(super) const OF_PROPERTY: [&str; 9] = [
    "protect",
    "generalise",
    "decimal",
    "thousands",
    "trueValues",
    "falseValues",
    "centuryStart",
    "trim",
    "standardize",
];

/// The words of `protect`.
pub(super) const PROTECT: [&str; 8] =
    ["drop", "null", "hash", "token", "mask", "partial", "generalise", "keep"];

/// Returns the custom properties: name and value.
///
/// # Errors
/// One that is not whole, one of ours that stands twice, and one that was probably meant to
/// protect: values would pass as they are, and nobody would notice.
pub(super) fn custom<'a>(node: &'a Node, known: &[&str]) -> Result<Vec<(String, &'a Node)>> {
    for name in ["protect", "generalise"] {
        if let Some(found) = node.get(name) {
            let what = format!("`{name}` of a contract stands in the wrong place");
            return Err(found.spot.fault(&what).hint(format!(
                "write `customProperties: [{{property: {name}, value: ...}}]` below the property"
            )));
        }
    }
    let Some(list) = node.get("customProperties") else { return Ok(Vec::new()) };
    let mut found: Vec<(String, &Node)> = Vec::new();
    for item in list.list("customProperties")? {
        let (Some(property), Some(value)) = (item.get("property"), item.get("value")) else {
            return Err(item
                .spot
                .fault("a custom property of a contract needs `property` and `value`"));
        };
        let name = property.text("property")?;
        if OF_PROPERTY.contains(&name.as_str()) && found.iter().any(|(other, _)| *other == name) {
            let fault = property.spot.fault("a custom property of a contract stands twice");
            return Err(fault.with("property", name).hint("remove one of them"));
        }
        if !known.contains(&name.as_str()) && means_protection(&name, value) {
            let fault = property.spot.fault("a custom property of a contract has no effect");
            let hint = if known.contains(&"protect") {
                "did you mean `protect`? Values would pass as they are"
            } else {
                "`protect` stands below a property; values would pass as they are"
            };
            return Err(fault.with("name", name).hint(hint));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// Tells whether a custom property that has no effect was probably meant to protect values.
fn means_protection(name: &str, value: &Node) -> bool {
    let letters: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let letters = letters.to_lowercase();
    let is_word = value.is_null()
        || value
            .text("")
            .is_ok_and(|value| PROTECT.contains(&value.trim().to_lowercase().as_str()));
    letters == "protect" || is_word && nearest(&letters, ["protect", "protection"], 0.9).is_some()
}

/// Notes members that the standard does not have.
pub(super) fn note_unknown(
    members: &[yaml::Member],
    known: &[&str],
    of: &str,
    unused: &mut Vec<(String, u64)>,
) {
    for member in members.iter().filter(|member| !known.contains(&member.key.as_str())) {
        let what = match of {
            "" => format!("unknown part `{}`", member.key),
            of => format!("unknown part `{}` of {of}", member.key),
        };
        unused.push((what, member.spot.line));
    }
}

/// Refuses a word that is not one of these.
pub(super) fn unknown_word(spot: Spot, what: &str, word: &str, words: &[&str]) -> Error {
    let near = nearest(word, words.iter().copied(), ALIKE);
    let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
    spot.fault(&format!("cannot use this `{what}` of a contract"))
        .with(what, word)
        .hint(format!("{near}the words are {}", words.join(", ")))
}

/// Makes the failure of a range that holds no value.
pub(super) fn no_value_between(spot: Spot) -> Error {
    spot.fault("no value fits a range of the contract")
        .hint("the lower end is above the upper one: exchange them")
}
