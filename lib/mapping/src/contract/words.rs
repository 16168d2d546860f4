//! Steps of reading a contract: names, custom properties, words, and members that nobody knows.

use singer::near::{ALIKE, nearest};
use singer::{Error, Result};

use super::yaml::{self, Node, Spot};

/// Returns `physicalName`, or `name`.
pub(super) fn name_of(node: &Node, what: &str) -> Result<String> {
    let name = node.get("physicalName").or_else(|| node.get("name"));
    name.ok_or_else(|| node.spot.fault(&format!("{what} of a contract has no `name`")))?
        .text("name")
}

/// Returns the custom properties: name and value.
pub(super) fn custom(node: &Node) -> Result<Vec<(String, &Node)>> {
    let Some(list) = node.get("customProperties") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for item in list.list("customProperties")? {
        let (Some(property), Some(value)) = (item.get("property"), item.get("value")) else {
            return Err(item
                .spot
                .fault("a custom property of a contract needs `property` and `value`"));
        };
        found.push((property.text("property")?, value));
    }
    Ok(found)
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
