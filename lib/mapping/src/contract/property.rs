//! Reads what a contract says of one property.

use std::collections::BTreeSet;

use singer::{ErrorKind, Result};

use super::logical::Logical;
use super::model::Property;
use super::options::Options;
use super::rules;
use super::words::{OF_PROPERTY, PROTECT, custom, name_of, note_unknown, unknown_word};
use super::yaml::Node;
use crate::protect::{Generalise, Protection};

/// What the standard has in a property.
const KNOWN: [&str; 30] = [
    "id",
    "name",
    "physicalName",
    "physicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "primaryKey",
    "primaryKeyPosition",
    "logicalType",
    "logicalTypeOptions",
    "required",
    "unique",
    "partitioned",
    "partitionKeyPosition",
    "classification",
    "encryptedName",
    "transformSourceObjects",
    "transformLogic",
    "transformDescription",
    "examples",
    "criticalDataElement",
    "relationships",
    "quality",
    "properties",
    "items",
    "dataGranularityDescription",
    "transform",
];

/// Reads a property of a stream or of an object.
pub(super) fn read(node: &Node, table: &str, unused: &mut Vec<(String, u64)>) -> Result<Property> {
    let name = name_of(node, "a property")?;
    read_named(node, &name, table, unused).map_err(|failure| {
        if failure.context("property").is_some() {
            return failure;
        }
        failure.with("stream", table).with("property", &name)
    })
}

fn read_named(
    node: &Node,
    name: &str,
    table: &str,
    unused: &mut Vec<(String, u64)>,
) -> Result<Property> {
    note_unknown(node.mapping("property")?, &KNOWN, &format!("{table}.{name}"), unused);
    let logical = match node.get("logicalType") {
        Some(node) => {
            let word = node.text("logicalType")?;
            let found = Logical::WORDS.iter().find(|(known, _)| *known == word);
            let words = Logical::WORDS.map(|(word, _)| word);
            Some(found.ok_or_else(|| unknown_word(node.spot, "logicalType", &word, &words))?.1)
        }
        None => None,
    };
    let boolean = |key: &str| node.get(key).map(|node| node.boolean(key)).transpose();
    let is_key = boolean("primaryKey")?.unwrap_or_default();
    // Without a place in the key, or with -1, the order of the properties counts.
    let place = node.get("primaryKeyPosition").and_then(|node| node.count("position").ok());
    let mut properties = Vec::new();
    for item in node.get("properties").map(|n| n.list("properties")).transpose()?.unwrap_or(&[]) {
        properties.push(read(item, table, unused)?);
    }
    twice(&properties)?;
    let items = match node.get("items") {
        Some(node) => {
            let items = read_named(node, &format!("{name}[]"), table, unused)?;
            if items.protection == Some(Protection::Drop) {
                return Err(node
                    .spot
                    .fault("cannot leave out the elements of an array")
                    .hint("use `protect: drop` for the whole array, or another way for elements"));
            }
            Some(Box::new(items))
        }
        None => None,
    };
    for part in properties.iter().chain(items.as_deref()) {
        note_parts(part, &format!("{table}.{name}"), unused);
    }
    let options = Options::read(node, logical, &format!("{table}.{name}"), unused)?;
    let classification =
        node.get("classification").map(|node| node.text("classification")).transpose()?;
    Ok(Property {
        name: name.to_owned(),
        id: node.get("id").map(|node| node.text("id")).transpose()?,
        logical,
        physical: node.get("physicalType").map(|node| node.text("physicalType")).transpose()?,
        options,
        required: boolean("required")?.unwrap_or_default(),
        unique: boolean("unique")?.unwrap_or_default(),
        key: is_key.then_some(place.unwrap_or(u64::MAX)),
        classification,
        protection: protection(node, logical)?,
        properties,
        items,
        rules: rules::read(node, &format!("{table}.{name}"), unused)?,
        spot: node.spot,
    })
}

/// Notes what has no effect on values inside others.
fn note_parts(part: &Property, of: &str, unused: &mut Vec<(String, u64)>) {
    let is_time = matches!(part.logical, Some(Logical::Date | Logical::Timestamp | Logical::Time));
    let notes = [
        (part.unique, "unique"),
        (part.key.is_some(), "primaryKey"),
        (!part.rules.is_empty(), "quality"),
        (part.options.written.is_declared() || is_time && part.options.format.is_some(), "format"),
    ];
    for (_, what) in notes.iter().filter(|(has, _)| *has) {
        unused.push((format!("`{what}` of {of}.{}, a part of a value", part.name), part.spot.line));
    }
}

/// Reads the custom properties `protect` and `generalise`.
fn protection(node: &Node, logical: Option<Logical>) -> Result<Option<Protection>> {
    let (mut protect, mut how) = (None, None);
    for (property, value) in custom(node, &OF_PROPERTY)? {
        match property.as_str() {
            // YAML reads `null` without quotes as nothing.
            "protect" if value.is_null() => protect = Some(("null".to_owned(), value)),
            "protect" => protect = Some((value.text("protect")?, value)),
            "generalise" => how = Some((value.text("generalise")?, value)),
            _ => {}
        }
    }
    let Some((word, value)) = protect else {
        return match how {
            Some((_, node)) => Err(node
                .spot
                .fault("`generalise` of a contract has no effect")
                .hint("add the custom property `protect` with the value `generalise`")),
            None => Ok(None),
        };
    };
    Ok(Some(match word.as_str() {
        "drop" => Protection::Drop,
        "null" => Protection::Null,
        "hash" => Protection::Hash,
        "token" => Protection::Token,
        "mask" => Protection::Mask,
        "partial" => Protection::Partial,
        "keep" => Protection::Keep,
        "generalise" => Protection::Generalise(match how {
            Some((word, node)) => generalise(&word)
                .ok_or_else(|| unknown_word(node.spot, "generalise", &word, &HOW))?,
            None => default_of(node, logical)?,
        }),
        _ => return Err(unknown_word(value.spot, "protect", &word, &PROTECT)),
    }))
}

/// The words of `generalise`, for people.
const HOW: [&str; 5] = ["year", "month", "network", "range 10", "first 2"];

fn generalise(word: &str) -> Option<Generalise> {
    let (first, number) = word.split_once(' ').unwrap_or((word, ""));
    match (first, number) {
        ("year", "") => Some(Generalise::Year),
        ("month", "") => Some(Generalise::Month),
        ("network", "") => Some(Generalise::Network),
        ("range", width) => width.parse().ok().filter(|width| *width > 0).map(Generalise::Range),
        ("first", count) => count.parse().ok().filter(|count| *count > 0).map(Generalise::First),
        _ => None,
    }
}

/// Returns how a value of this type becomes coarse, where the contract does not say it.
fn default_of(node: &Node, logical: Option<Logical>) -> Result<Generalise> {
    let format = node.get("logicalTypeOptions").and_then(|options| options.get("format"));
    let format = format.and_then(|format| format.text("format").ok());
    match (logical, format.as_deref()) {
        (Some(Logical::Date | Logical::Timestamp), _) => Ok(Generalise::Year),
        (Some(Logical::Integer | Logical::Number), _) => Ok(Generalise::Range(10)),
        (Some(Logical::String), Some("ipv4" | "ipv6")) => Ok(Generalise::Network),
        _ => Err(node
            .spot
            .fault("cannot make the values of a property coarse")
            .of_kind(ErrorKind::Config)
            .hint(
                "add the custom property `generalise` with one of the values year, month, network, \
                 `range 10` (numbers) or `first 2` (characters)",
            )),
    }
}

/// Refuses two properties of one name.
pub(super) fn twice(properties: &[Property]) -> Result<()> {
    let mut names = BTreeSet::new();
    for property in properties {
        if !names.insert(&property.name) {
            let fault = property.spot.fault("a contract describes a property twice");
            return Err(fault.with("property", &property.name).hint("remove one of them"));
        }
    }
    Ok(())
}
