//! What a contract says: streams, properties, types.

use std::path::PathBuf;

use super::logical::Logical;
use super::options::Options;
use super::rules::Rule;
use super::yaml::Spot;
use crate::protect::Protection;

/// A file with contracts for streams.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its path, as the settings name it.
    pub path: PathBuf,
    /// Its `id`.
    pub id: String,
    /// Its `version`.
    pub version: String,
    /// What it says of streams.
    pub tables: Vec<Table>,
    /// Parts that are not judged here: what, and the line.
    pub unused: Vec<(String, u64)>,
}

/// What a contract says of one stream.
#[derive(Clone, Debug)]
pub struct Table {
    /// The name of the stream: `physicalName`, or `name`.
    pub name: String,
    /// Its properties.
    pub properties: Vec<Property>,
    /// Rules for all rows together.
    pub(crate) rules: Vec<Rule>,
    /// How names of columns are spelled before they are compared.
    pub(crate) names: Option<Names>,
    /// The file that the contract was made from, which people edit in its place.
    pub(crate) made_from: Option<String>,
    pub(crate) spot: Spot,
}

/// How names of columns are spelled anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// `App ID` becomes `app_id`.
    Snake,
    /// `App ID` becomes `app id`.
    Lower,
    /// `App ID` becomes `APP ID`.
    Upper,
}

/// What a contract says of one property.
#[derive(Clone, Debug)]
pub struct Property {
    /// The name of the column: `physicalName`, or `name`.
    pub name: String,
    /// Its `id`, which stays when it gets another name.
    pub id: Option<String>,
    /// Its type; without one, that of the stream.
    pub logical: Option<Logical>,
    /// `physicalType`: the type in a table, which nothing is held to here.
    pub physical: Option<String>,
    /// What its values must be, and how they are written.
    pub(crate) options: Options,
    /// Null is a violation.
    pub required: bool,
    /// A value that comes twice is a violation.
    pub unique: bool,
    /// Its place in the key, from 1.
    pub key: Option<u64>,
    /// How confidential it is, in words of who wrote the contract.
    pub classification: Option<String>,
    /// What becomes of its values.
    pub protection: Option<Protection>,
    /// Members of an object.
    pub properties: Vec<Property>,
    /// Elements of an array.
    pub items: Option<Box<Property>>,
    /// Rules for the values of all rows together.
    pub(crate) rules: Vec<Rule>,
    pub(crate) spot: Spot,
}

impl Property {
    /// Tells whether values of it, or of a part of it, are protected.
    pub(crate) fn is_protected(&self) -> bool {
        let own = self.protection.is_some_and(|protection| protection != Protection::Keep);
        own || self.properties.iter().chain(self.items.as_deref()).any(Self::is_protected)
    }
}
