//! What a contract makes of the columns of a stream: decided once, at its SCHEMA.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Map, Value, json};
use singer::schema::{ABSENT_IS_NULL, COLUMN_ID, DELETED_AT};
use singer::{Column, Context as _, Error, ErrorKind, Kind, Result};

use super::checks;
use super::convert::{self, schema_of_missing};
use super::model::{Names, Property, Table};
use super::parts::{self, Part};
use super::row::{Judge, Out, Protect, Work};
use super::settings::{ExtraColumns, MissingColumns, OnViolation};
use crate::protect::{Extra, Generalise, Keys, Node, Protection, Protector, is_nullable};

/// How a stream is held to its contract.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub extra: ExtraColumns,
    pub missing: MissingColumns,
    pub on_violation: OnViolation,
    /// Exactly the columns of a contract: `extra` and `missing` follow from it.
    pub strict: bool,
    pub require_classification: bool,
    /// The column that `combine` has added.
    pub source_column: Option<String>,
    pub keys: Option<Rc<Keys>>,
}

/// The columns of a stream as they go out.
#[derive(Default)]
pub(crate) struct Compiled {
    pub columns: Vec<Out>,
    /// Their schemas.
    pub properties: Map<String, Value>,
    /// Columns of the stream that are left out.
    pub left_out: Vec<String>,
    /// Columns that the contract does not list, and which pass.
    pub unlisted: Vec<String>,
    /// Columns that a row must have: a stream without columns lacks them, and may have no row.
    pub lacking: Vec<String>,
}

impl Compiled {
    fn push(&mut self, out: Out, schema: Value) -> Result<()> {
        if self.properties.insert(out.name.clone(), schema).is_some() {
            return Err(Error::new(ErrorKind::Config, "two columns of a stream get one name")
                .with("column", &out.name)
                .hint("rename one of them by a stream map before the contract"));
        }
        self.columns.push(out);
        Ok(())
    }
}

/// Decides what becomes of each column. `discarded` are columns that came during the run and are
/// left out.
pub(crate) fn compile(
    columns: &[Column],
    schemas: &Map<String, Value>,
    table: &Table,
    terms: &Terms,
    discarded: &[String],
) -> Result<Compiled> {
    let mut compiled = Compiled::default();
    let properties = by_name(table);
    let (mut unlisted, mut unclassified) = (Vec::new(), Vec::new());
    for (at, column) in columns.iter().enumerate() {
        if discarded.contains(&column.name) {
            compiled.left_out.push(column.name.clone());
            continue;
        }
        let name = spelled(&column.name, table.names);
        let Some(property) = properties.get(name.as_str()).copied() else {
            let passes = terms.extra == ExtraColumns::Keep || column.name == DELETED_AT;
            if passes {
                if column.name != DELETED_AT {
                    compiled.unlisted.push(name.clone());
                    unclassified.push(name.clone());
                }
                let schema = schemas.get(&column.name).cloned().unwrap_or_default();
                let out = Out { name, from: Some(at), kind_before: column.kind, work: Work::Copy };
                compiled.push(out, schema)?;
            } else {
                unlisted.push(column.name.clone());
                compiled.left_out.push(column.name.clone());
            }
            continue;
        };
        unclassified.extend(without_class(property, None));
        if terms.extra == ExtraColumns::Keep {
            let parts = parts::unlisted(property, &column.schema);
            compiled.unlisted.extend(parts.iter().cloned());
            unclassified.extend(parts);
        }
        let made = work(column, property, terms);
        let (work, schema) = made.map_err(|failure| match &table.made_from {
            Some(file) => failure.hint(format!("correct its type in `schema` of {file}")),
            None => failure,
        })?;
        if property.protection == Some(Protection::Drop) {
            compiled.left_out.push(column.name.clone());
            // What rules count is judged before it is left out.
            compiled.columns.push(Out { name, from: Some(at), kind_before: column.kind, work });
            continue;
        }
        let mut schema = if schema == column.schema {
            schemas.get(&column.name).cloned().unwrap_or_default()
        } else {
            schema
        };
        identify(&mut schema, property);
        compiled.push(Out { name, from: Some(at), kind_before: column.kind, work }, schema)?;
    }
    if terms.extra == ExtraColumns::Fail && !unlisted.is_empty() {
        return Err(names(&unlisted, "a stream has columns that its contract does not list")
            .of_kind(ErrorKind::Data)
            .hint(unlisted_hint(table, terms.strict)));
    }
    if terms.require_classification && !unclassified.is_empty() {
        return Err(names(&unclassified, "columns of a stream have no classification").hint(
            "add `classification` to each of them in the contract, or set `extra_columns: drop` \
             for columns that it does not list",
        ));
    }
    missing(columns, table, terms, &mut compiled)?;
    Ok(compiled)
}

/// Says what to do about columns that a contract does not list.
fn unlisted_hint(table: &Table, strict: bool) -> String {
    match (&table.made_from, strict) {
        (Some(file), _) => {
            format!("add them to `schema` of {file}, or set `strict_mode` to false there")
        }
        (None, true) => "add them to the contract, or remove them by a stream map; without \
                         `strict`, `extra_columns: drop` leaves them out"
            .to_owned(),
        (None, false) => "add them to the contract, or set `extra_columns` to drop".to_owned(),
    }
}

/// Returns the properties of a contract by their names.
pub(super) fn by_name(table: &Table) -> BTreeMap<&str, &Property> {
    table.properties.iter().map(|property| (property.name.as_str(), property)).collect()
}

fn names(columns: &[String], what: &str) -> Error {
    Error::new(ErrorKind::Config, what).with("columns", columns.join(", "))
}

/// Writes the id of a property into its schema: a table knows its column again by it.
fn identify(schema: &mut Value, property: &Property) {
    if let (Some(id), Some(schema)) = (&property.id, schema.as_object_mut()) {
        schema.insert(COLUMN_ID.to_owned(), id.as_str().into());
    }
}

/// Adds columns that the stream lacks, or refuses it.
fn missing(
    columns: &[Column],
    table: &Table,
    terms: &Terms,
    compiled: &mut Compiled,
) -> Result<()> {
    let come: BTreeSet<String> =
        columns.iter().map(|column| spelled(&column.name, table.names)).collect();
    let has = |name: &str| come.contains(name);
    let lacking = |property: &&Property| {
        property.protection != Some(Protection::Drop) && !has(&property.name)
    };
    let lacking: Vec<&Property> = table.properties.iter().filter(lacking).collect();
    let needed = |property: &&&Property| {
        terms.missing == MissingColumns::Fail || property.required || property.key.is_some()
    };
    let refused: Vec<String> =
        lacking.iter().filter(needed).map(|property| property.name.clone()).collect();
    // No record came that could say which columns there are.
    if columns.iter().all(|column| Some(&column.name) == terms.source_column.as_ref()) {
        compiled.lacking = refused;
    } else if !refused.is_empty() {
        return Err(lacks(&refused, table, terms.strict));
    }
    for property in lacking {
        let protection = property.protection.unwrap_or(Protection::Keep);
        let mut schema = protection.schema_after(&schema_of_missing(property), true);
        identify(&mut schema, property);
        let kind_before = Column::new(&property.name, schema.clone()).kind;
        let out = Out { name: property.name.clone(), from: None, kind_before, work: Work::Null };
        compiled.push(out, schema)?;
    }
    Ok(())
}

/// Refuses a stream, or a row of it, without columns that it must have.
pub(super) fn lacks(columns: &[String], table: &Table, strict: bool) -> Error {
    names(columns, "a stream lacks columns of its contract").of_kind(ErrorKind::Data).hint(
        match (&table.made_from, strict) {
            (Some(file), _) => {
                format!("remove them from `schema` of {file}, or set `strict_mode` to false there")
            }
            (None, true) => "correct the selection of the tap or the contract; without `strict`, \
                             `missing_columns: null` adds columns that are not required"
                .to_owned(),
            (None, false) => "correct the selection of the tap or the contract; \
                              `missing_columns: null` adds columns that are not required"
                .to_owned(),
        },
    )
}

/// Spells the name of a column as the contract does.
pub(crate) fn spelled(name: &str, names: Option<Names>) -> String {
    match names {
        None => name.to_owned(),
        Some(Names::Lower) => name.to_lowercase(),
        Some(Names::Upper) => name.to_uppercase(),
        Some(Names::Snake) => {
            let mut snake = String::new();
            let mut before = ' ';
            for c in name.chars() {
                if c.is_alphanumeric() {
                    let starts_word =
                        c.is_uppercase() && (before.is_lowercase() || before.is_numeric());
                    let is_gap = !before.is_alphanumeric();
                    if (starts_word || is_gap) && !snake.is_empty() {
                        snake.push('_');
                    }
                    snake.extend(c.to_lowercase());
                }
                before = c;
            }
            snake
        }
    }
}

/// Returns the parts of a property that have no class: its own counts for all of them.
fn without_class(property: &Property, above: Option<&str>) -> Vec<String> {
    let path = match above {
        Some(above) => format!("{above}.{}", property.name),
        None => property.name.clone(),
    };
    if property.classification.is_some() {
        return Vec::new();
    }
    let parts: Vec<&Property> =
        property.properties.iter().chain(property.items.as_deref()).collect();
    if parts.is_empty() {
        return vec![path];
    }
    parts.into_iter().flat_map(|part| without_class(part, Some(&path))).collect()
}

/// Decides what becomes of the values of a column, and its schema.
fn work(column: &Column, property: &Property, terms: &Terms) -> Result<(Work, Value)> {
    let converted = convert::compile(column, property)?;
    let kind = converted.kind;
    let checks = checks::compile(kind, property.logical, &property.options)
        .with("column", &property.name)?;
    let checks = unproven(checks, column, kind);
    let as_converted = Column::new(&column.name, converted.schema.clone());
    let nullable = is_nullable(&as_converted);
    let parts = match kind {
        Kind::Json => Part::of_column(property).with("column", &property.name)?,
        _ => None,
    };
    let protect = protect(kind, property, terms)?;
    let mut schema = converted.schema;
    let judges =
        !converted.converter.copies() || !checks.is_empty() || property.unique || parts.is_some();
    let becomes_null = judges && terms.on_violation == OnViolation::Null && !property.required;
    if becomes_null && !nullable {
        schema = with_null(&schema);
    }
    let nullable = nullable || becomes_null;
    match &protect {
        Protect::Not | Protect::LeftOut => {}
        Protect::Value(_) => {
            let protection = property.protection.unwrap_or(Protection::Keep);
            schema = protection.schema_after(&schema, nullable && !property.required);
        }
        Protect::Parts(node) => {
            schema = node.schema_after(&schema).unwrap_or_else(|| bare(column));
        }
    }
    let nulls = matches!(&protect, Protect::Value(protector) if protector.is_null());
    let is_plain = !judges && !property.required;
    let work = match protect {
        Protect::Not if is_plain => Work::Copy,
        Protect::Value(_) if is_plain && nulls => Work::Null,
        protect => Work::Judge(Box::new(Judge {
            converter: converted.converter,
            kind,
            checks,
            parts,
            required: property.required,
            unique: property.unique,
            nullable: nullable || nulls,
            protect,
        })),
    };
    Ok((work, schema))
}

/// Leaves out what the schema of the stream proves, as each record was checked against it.
fn unproven(checks: Vec<checks::Check>, column: &Column, kind: Kind) -> Vec<checks::Check> {
    let is_proven = |check: &checks::Check| match check {
        checks::Check::Lengths { min: 0, max } => {
            column.kind == kind
                && column.schema["maxLength"].as_u64().is_some_and(|proven| proven <= *max)
        }
        _ => false,
    };
    checks.into_iter().filter(|check| !is_proven(check)).collect()
}

fn protect(kind: Kind, property: &Property, terms: &Terms) -> Result<Protect> {
    let refused = |reason: &str| {
        Error::new(ErrorKind::Config, "cannot protect a column as its contract says")
            .with("column", &property.name)
            .with("reason", reason)
            .with("line", property.spot.line)
    };
    match property.protection {
        None | Some(Protection::Keep) => {
            let node = node(property, terms);
            if property.protection.is_some() || node.keeps() {
                return Ok(Protect::Not);
            }
            if kind != Kind::Json {
                return Err(refused("the contract protects parts of it, and it is not an object")
                    .hint("protect the whole column"));
            }
            Ok(Protect::Parts(node))
        }
        Some(Protection::Drop) => Ok(Protect::LeftOut),
        Some(protection) => {
            if let Protection::Generalise(how) = protection
                && !fits(how, kind)
            {
                return Err(refused("its values cannot be made coarse in this way").hint(
                    "year and month are for dates, `range` for numbers, network and `first` for \
                     texts; `logicalType` converts a column before",
                ));
            }
            Ok(Protect::Value(Protector::new(protection, terms.keys.clone())))
        }
    }
}

fn fits(how: Generalise, kind: Kind) -> bool {
    match how {
        Generalise::Year | Generalise::Month => matches!(kind, Kind::Date | Kind::DateTime),
        Generalise::Range(_) => matches!(kind, Kind::Integer | Kind::Number),
        Generalise::Network | Generalise::First(_) => kind == Kind::String,
    }
}

/// Returns what happens to the parts of a value.
fn node(property: &Property, terms: &Terms) -> Node {
    match property.protection {
        Some(Protection::Drop) => return Node::Drop,
        Some(Protection::Keep) => return Node::Keep,
        Some(protection) => {
            return Node::Leaf(Protector::new(protection, terms.keys.clone()));
        }
        None => {}
    }
    if let Some(items) = &property.items {
        let node = node(items, terms);
        return if node.keeps() { Node::Keep } else { Node::Elements(Box::new(node)) };
    }
    if property.properties.is_empty() {
        return Node::Keep;
    }
    let extra = match terms.extra {
        // A member that no SCHEMA declares has no class.
        ExtraColumns::Keep if terms.require_classification => Extra::Fail,
        ExtraColumns::Keep => Extra::Keep,
        ExtraColumns::Drop => Extra::Drop,
        ExtraColumns::Fail => Extra::Fail,
    };
    let members = property.properties.iter();
    let members = members.map(|part| (part.name.clone().into_bytes(), node(part, terms)));
    Node::Members { members: members.collect(), extra }
}

/// Returns a schema that says nothing of the parts of a value.
fn bare(column: &Column) -> Value {
    let words = column.types.words();
    let words: Vec<&str> = words.split(" or ").collect();
    let mut schema = json!({ "type": words });
    if column.absent_is_null {
        schema[ABSENT_IS_NULL] = true.into();
    }
    schema
}

/// Returns a schema that allows null, too.
fn with_null(schema: &Value) -> Value {
    let mut after = schema.clone();
    match &mut after["type"] {
        Value::String(word) => after["type"] = json!([word, "null"]),
        Value::Array(words) => words.push("null".into()),
        _ => {
            for name in ["anyOf", "oneOf"] {
                if let Some(Value::Array(branches)) = after.get_mut(name) {
                    branches.push(json!({ "type": "null" }));
                }
            }
            if let Some(members) = after.as_object_mut() {
                members.remove("type");
            }
        }
    }
    if let Some(Value::Array(words)) = after.get_mut("enum") {
        words.push(Value::Null);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_the_contract_does() {
        for (name, expected) in [
            ("App ID", "app_id"),
            ("customerName", "customer_name"),
            ("HTTPStatus", "httpstatus"),
            ("a--b", "a_b"),
            ("_id", "id"),
            ("Größe (m)", "größe_m"),
            ("already_snake", "already_snake"),
            ("x2Y", "x2_y"),
        ] {
            assert_eq!(spelled(name, Some(Names::Snake)), expected, "{name}");
        }
        assert_eq!(spelled("App ID", Some(Names::Lower)), "app id");
        assert_eq!(spelled("App ID", None), "App ID");
    }
}
