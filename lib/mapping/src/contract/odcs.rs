//! The part of the Open Data Contract Standard 3.1 that is held: streams, properties, rules.

use std::path::Path;

use singer::{ErrorKind, Result, ResultExt as _};

use super::model::{Contract, Names, Table};
use super::property;
use super::rules;
use super::words::{custom, name_of, note_unknown, unknown_word};
use super::yaml::{self, Node};

/// The custom property of a contract that names the file which it was made from.
const MADE_FROM: &str = "madeFrom";

/// What the standard has at the top of a contract, beside what is read here.
const KNOWN: [&str; 23] = [
    "apiVersion",
    "kind",
    "id",
    "name",
    "version",
    "status",
    "tenant",
    "tags",
    "domain",
    "dataProduct",
    "authoritativeDefinitions",
    "description",
    "servers",
    "schema",
    "support",
    "price",
    "team",
    "roles",
    "slaDefaultElement",
    "slaProperties",
    "contractCreatedTs",
    "customProperties",
    "relationships",
];

/// What the standard has in a schema, beside what is read here.
const KNOWN_OF_TABLE: [&str; 15] = [
    "id",
    "name",
    "physicalName",
    "physicalType",
    "logicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "dataGranularityDescription",
    "properties",
    "relationships",
    "quality",
    "logicalTypeOptions",
];

impl Contract {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with its path, line and column.
    pub fn from_path(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .or_kind(ErrorKind::NoInput, "cannot read the contract")
            .map_err(|failure| {
                failure
                    .with("contract", path.display())
                    .hint("check `contracts`; relative paths start at the folder of the command")
            })?;
        let text = String::from_utf8(bytes)
            .or_kind(ErrorKind::Config, "cannot read the contract: it is not UTF-8")
            .map_err(|failure| {
                failure.with("contract", path.display()).hint("save the file as UTF-8")
            })?;
        Self::from_text(&text, path)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`Contract::from_path`].
    pub fn from_text(text: &str, path: &Path) -> Result<Self> {
        let read = yaml::parse(text).and_then(|node| Self::read(&node, path));
        read.map_err(|failure| failure.with("contract", path.display()))
    }

    fn read(node: &Node, path: &Path) -> Result<Self> {
        let members = node.mapping("contract")?;
        let kind = node.get("kind").map(|kind| kind.text("kind")).transpose()?;
        let version = node.get("apiVersion").map(|v| v.text("apiVersion")).transpose()?;
        let is_standard = kind.as_deref() == Some("DataContract")
            && version.as_ref().is_some_and(|version| {
                version.trim_start_matches('v').split('.').next() == Some("3")
            });
        if !is_standard {
            return Err(node
                .spot
                .fault("cannot use the file: it is not a data contract of version 3")
                .hint(
                    "write `apiVersion: v3.1.0` and `kind: DataContract` (Open Data Contract \
                       Standard)",
                ));
        }
        let mut made_from = None;
        for (property, value) in custom(node, &[MADE_FROM])? {
            if property == MADE_FROM {
                made_from = Some(value.text(MADE_FROM)?);
            }
        }
        let mut unused = Vec::new();
        note_unknown(members, &KNOWN, "", &mut unused);
        let text = |key: &str| node.get(key).map(|node| node.text(key)).transpose();
        let schema = node.get("schema").ok_or_else(|| {
            node.spot.fault("cannot use a contract without `schema`").hint("add the streams to it")
        })?;
        let mut tables: Vec<Table> = Vec::new();
        for item in schema.list("schema")? {
            let table = Table { made_from: made_from.clone(), ..table(item, &mut unused)? };
            if tables.iter().any(|known| known.name == table.name) {
                let fault = table.spot.fault("a contract describes a stream twice");
                return Err(fault.with("stream", &table.name).hint("remove one of them"));
            }
            tables.push(table);
        }
        Ok(Self {
            path: path.to_owned(),
            id: text("id")?.unwrap_or_default(),
            version: text("version")?.unwrap_or_default(),
            tables,
            unused,
        })
    }
}

fn table(node: &Node, unused: &mut Vec<(String, u64)>) -> Result<Table> {
    let members = node.mapping("schema")?;
    let name = name_of(node, "a schema")?;
    note_unknown(members, &KNOWN_OF_TABLE, &name, unused);
    let mut properties = Vec::new();
    for item in node.get("properties").map(|n| n.list("properties")).transpose()?.unwrap_or(&[]) {
        properties.push(property::read(item, &name, unused)?);
    }
    property::twice(&properties).map_err(|failure| failure.with("stream", &name))?;
    let mut names = None;
    for (property, value) in custom(node, &["standardize"])? {
        if property == "standardize" {
            let word = value.text("standardize")?;
            names = Some(match word.as_str() {
                "snake_case" => Names::Snake,
                "lower" => Names::Lower,
                "upper" => Names::Upper,
                _ => {
                    let words = ["snake_case", "lower", "upper"];
                    return Err(unknown_word(value.spot, "standardize", &word, &words));
                }
            });
        }
    }
    let rules = rules::read(node, &name, unused)?;
    Ok(Table { name, properties, rules, names, made_from: None, spot: node.spot })
}
