//! The stage that holds streams to their contracts, protects their values and adds row hashes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value, json};
use singer::mapper::{Route, RowMap};
use singer::schema::DELETED_AT;
use singer::{Column, Context as _, Error, ErrorKind, Kind, Result, Stream};

use super::compile::{Compiled, Terms, compile, lacks, spelled};
use super::differences;
use super::files::{files, report};
use super::model::{Contract, Property, Table};
use super::parts;
use super::row::{Out, Rows, Values, Watch, Work};
use super::rules::Counter;
use super::settings::{ColumnsChange, ContractSettings, ExtraColumns, MissingColumns, OnViolation};
use super::{told, unlike};
use crate::pipeline::Stage;
use crate::protect::{Keys, Protection, remove_samples};
use crate::row_hash::{ROW_HASH, RowHash, RowHashSettings};

/// Holds streams to their contracts.
pub struct Guard {
    tables: BTreeMap<String, (PathBuf, Table)>,
    terms: Terms,
    columns_change: ColumnsChange,
    row_hash: Option<RowHashSettings>,
    /// The streams of the run, by name.
    streams: BTreeMap<String, Held>,
    /// Streams of the tap whose sources have not changed: no row of them came.
    unchanged: BTreeSet<String>,
    /// A contract protects columns or leaves some out, so that no row may be shown as it came.
    hides_rows: bool,
}

/// A stream that is held to its contract.
struct Held {
    of_tap: String,
    /// The columns and members that it had first.
    first: BTreeMap<String, Kind>,
    /// The columns without a contract and those that are left out, as they were reported.
    told: Option<(Vec<String>, Vec<String>)>,
    /// What happens to it, for `--plan`.
    plan: Vec<String>,
    watch: Rc<RefCell<Watch>>,
}

impl Guard {
    /// Reads the contracts and derives the keys. `None`: the settings ask for nothing.
    ///
    /// # Errors
    /// What is wrong with the settings or with a contract, with file and line.
    pub fn new(settings: ContractSettings) -> Result<Option<Self>> {
        if settings.contracts.is_empty() && settings.row_hash.is_none() {
            return settings.check_without_contracts().map(|()| None);
        }
        let mut tables: BTreeMap<String, (PathBuf, Table)> = BTreeMap::new();
        let (mut unkeyed, mut protects) = (None, false);
        for path in files(&settings.contracts)? {
            let contract = read(&path, settings.already_protected)?;
            for table in contract.tables {
                protects |= table.properties.iter().any(Property::is_protected);
                unkeyed = unkeyed.or_else(|| {
                    let place = table.properties.iter().find_map(needs_key)?;
                    Some((path.clone(), table.name.clone(), place))
                });
                if let Some((other, known)) = tables.get(&table.name) {
                    return Err(Error::new(ErrorKind::Config, "two contracts describe one stream")
                        .with("stream", &known.name)
                        .with("contract", other.display())
                        .with("contract", path.display())
                        .hint("remove it from one of them"));
                }
                tables.insert(table.name.clone(), (path.clone(), table));
            }
        }
        settings.check_kept(protects)?;
        let keys = settings.protect_key.as_ref().map(Keys::new).transpose()?.map(Rc::new);
        if let (None, Some((path, stream, (property, line)))) = (&keys, unkeyed) {
            return Err(Error::new(ErrorKind::Config, "cannot protect a column without a key")
                .with("contract", path.display())
                .with("line", line)
                .with("stream", stream)
                .with("column", property)
                .hint(
                    "set `protect_key`: make a key with `openssl rand -base64 32`, and keep it \
                     where passwords are kept; `--config ENV` reads it from a variable, such as \
                     MAP_STREAMS_PROTECT_KEY",
                ));
        }
        let extra = if settings.strict { ExtraColumns::Fail } else { settings.extra_columns };
        let missing = if settings.strict { MissingColumns::Fail } else { settings.missing_columns };
        Ok(Some(Self {
            tables,
            terms: Terms {
                extra,
                missing,
                on_violation: settings.on_violation,
                strict: settings.strict,
                require_classification: settings.require_classification,
                source_column: None,
                keys,
            },
            columns_change: settings.columns_change,
            row_hash: settings.row_hash,
            streams: BTreeMap::new(),
            unchanged: BTreeSet::new(),
            hides_rows: protects
                || extra == ExtraColumns::Drop
                || settings.columns_change == ColumnsChange::Discard,
        }))
    }

    /// Takes note of the column that `combine` adds to streams before they come here.
    #[must_use]
    pub fn behind_combine(mut self, source_column: Option<String>) -> Self {
        self.terms.source_column = source_column;
        self
    }

    /// Returns the columns that came during the run and are left out.
    fn discarded(&mut self, stream: &Stream) -> Result<Vec<String>> {
        let paths = parts::paths(&stream.columns);
        let held = self.streams.entry(stream.name.clone()).or_insert_with(|| Held {
            of_tap: stream.of_tap().to_owned(),
            first: paths.clone(),
            told: None,
            plan: Vec::new(),
            watch: Rc::default(),
        });
        match self.columns_change {
            ColumnsChange::Evolve => Ok(Vec::new()),
            ColumnsChange::Freeze => {
                let new: Vec<&str> = paths
                    .iter()
                    .filter(|(path, kind)| held.first.get(*path) != Some(kind))
                    .map(|(path, _)| path.as_str())
                    .collect();
                if new.is_empty() {
                    return Ok(Vec::new());
                }
                Err(Error::new(ErrorKind::Data, "the columns of a stream changed during the run")
                    .with("columns", new.join(", "))
                    .hint("run again; or set `columns_change` to evolve or discard"))
            }
            ColumnsChange::Discard => {
                let names = stream.columns.iter().map(|column| &column.name);
                Ok(names.filter(|name| !held.first.contains_key(*name)).cloned().collect())
            }
        }
    }

    /// Returns what the contract says of this stream: values of its key are required, and the row
    /// hash is a column of ours.
    fn terms_of(&self, stream: &Stream, table: &Table) -> Table {
        let mut table = table.clone();
        if self.row_hash.is_some() {
            table.properties.retain(|property| property.name != ROW_HASH);
            return table;
        }
        let names_key = table.properties.iter().any(|property| property.key.is_some());
        for property in &mut table.properties {
            let is_of_tap =
                stream.keys.iter().any(|key| spelled(key, table.names) == property.name);
            property.required |= property.key.is_some() || !names_key && is_of_tap;
        }
        table
    }

    fn held(&mut self, stream: &Stream, table: &Table) -> Result<Route> {
        let discarded = self.discarded(stream)?;
        let table = &self.terms_of(stream, table);
        differences::check_protected(&stream.columns, table, &self.terms)?;
        let empty = Map::new();
        let schemas = stream.schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let compiled = compile(&stream.columns, schemas, table, &self.terms, &discarded)?;
        let found = Some((compiled.unlisted.clone(), compiled.left_out.clone()));
        if let Some(held) = self.streams.get_mut(&stream.name)
            && held.told != found
        {
            differences::tell(&stream.name, &compiled);
            held.told = found;
        }
        differences::check_bookmark(stream, table)?;
        let keys = self.keys(stream, table, &compiled)?;
        let plan = told::lines(table, &compiled, self.row_hash.is_some());
        if let Some(held) = self.streams.get_mut(&stream.name) {
            held.plan = plan;
        }
        let (columns, lacking) = (compiled.columns, compiled.lacking);
        let watch = Rc::clone(&self.streams[&stream.name].watch);
        let before = std::mem::take(&mut watch.borrow_mut().counters);
        watch.borrow_mut().counters = counters(table, &columns, before)?;
        for out in columns.iter().filter(|out| out.is_unique()) {
            watch.borrow_mut().known.entry(out.name.clone()).or_default();
        }
        let mut schema = stream.schema.clone();
        schema.insert("properties".to_owned(), Value::Object(compiled.properties));
        if table.properties.iter().any(Property::is_protected) {
            remove_samples(&mut schema);
        }
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            let goes_out = |out: &&Out| !matches!(out.work, Work::Null) && !out.is_left_out();
            let names: BTreeSet<&str> =
                columns.iter().filter(goes_out).map(|out| out.name.as_str()).collect();
            required.retain(|name| name.as_str().is_some_and(|name| names.contains(name)));
        }
        let rows = Rows {
            columns,
            on_violation: self.terms.on_violation,
            row_hash: None,
            watch,
            keys: keys.clone(),
            deleted: deleted_at(stream),
            values: Values::default(),
            made_from: table.made_from.clone(),
        };
        let mut route = self.route(stream, schema, keys, rows)?;
        if !lacking.is_empty() {
            let (table, strict) = (table.clone(), self.terms.strict);
            route.rows = Box::new(move |_, _| Err(lacks(&lacking, &table, strict).ending_run()));
        }
        Ok(route)
    }

    /// Adds the row hash, and makes the route.
    fn route(
        &self,
        stream: &Stream,
        mut schema: Map<String, Value>,
        mut keys: Vec<String>,
        mut rows: Rows,
    ) -> Result<Route> {
        if let Some(settings) = &self.row_hash {
            let columns = singer::schema::columns(&schema);
            rows.row_hash = Some(RowHash::new(settings, &columns)?);
            if let Some(Value::Object(properties)) = schema.get_mut("properties") {
                properties.insert(ROW_HASH.to_owned(), json!({ "type": "string" }));
            }
            keys = vec![ROW_HASH.to_owned()];
        }
        let map: RowMap = Box::new(move |row, out| rows.row(row, out));
        Ok(Route { stream: stream.mapped(&stream.name, schema, keys), rows: map })
    }

    /// Returns the key, and refuses one whose values do not stay apart.
    fn keys(&self, stream: &Stream, table: &Table, compiled: &Compiled) -> Result<Vec<String>> {
        if self.row_hash.is_some() {
            return Ok(Vec::new());
        }
        let mut named: Vec<&Property> =
            table.properties.iter().filter(|property| property.key.is_some()).collect();
        named.sort_by_key(|property| property.key);
        let mut keys: Vec<String> =
            named.into_iter().map(|property| property.name.clone()).collect();
        if keys.is_empty() {
            keys = stream.keys.iter().map(|key| spelled(key, table.names)).collect();
        }
        for key in &keys {
            let property = table.properties.iter().find(|property| property.name == *key);
            let protection = property.and_then(blurs);
            if let Some(protection) = protection {
                return Err(Error::new(ErrorKind::Config, "cannot protect a key in this way")
                    .with("column", key)
                    .with("protect", protection.word())
                    .hint(
                        "rows with different keys would get one key: use hash or token, or \
                         `row_hash` as the key",
                    ));
            }
            if !compiled.properties.contains_key(key) {
                return Err(Error::new(ErrorKind::Config, "cannot leave out a column of the key")
                    .with("column", key)
                    .hint("add it to the contract, or set `row_hash`"));
            }
        }
        Ok(keys)
    }

    /// Returns the streams of the contracts that did not come. Where a stream of the tap has not
    /// changed, and the contracts know its name not, a map may give it one of theirs.
    fn absent(&self) -> Vec<&String> {
        if self.unchanged.iter().any(|name| !self.tables.contains_key(name)) {
            return Vec::new();
        }
        let came =
            |name: &&String| self.streams.contains_key(*name) || self.unchanged.contains(*name);
        self.tables.keys().filter(|name| !came(name)).collect()
    }

    fn judge(&self, only: Option<&str>) -> Result<()> {
        let mut breach: Option<Error> = None;
        for (name, held) in &self.streams {
            let is_another = only.is_some_and(|stream| stream != held.of_tap);
            if is_another || self.unchanged.contains(&held.of_tap) {
                continue;
            }
            let watch = held.watch.borrow();
            for counter in &watch.counters {
                let Some(failure) = counter.judge(watch.rows) else { continue };
                let failure = failure.with("stream", name);
                if counter.is_advice() {
                    let rule = failure.context("rule").unwrap_or_default().to_owned();
                    let found = failure.context("found").unwrap_or_default().to_owned();
                    singer::warn!(
                        "W-CONTRACT-BREACH",
                        "stream {name}: {rule} is {found}, which breaches its contract"
                    );
                    continue;
                }
                breach = Some(match breach {
                    None => failure,
                    Some(first) => first.with("another breach", another(name, &failure)),
                });
            }
            for (column, count) in &watch.nulled {
                singer::warn!(
                    "W-CONTRACT-NULL",
                    "stream {name}: {count} values of {column} breach the contract and became null"
                );
            }
        }
        for held in self.streams.values() {
            if only.is_none_or(|stream| stream == held.of_tap) {
                held.watch.borrow_mut().nulled.clear();
            }
        }
        breach.map_or(Ok(()), Err)
    }
}

impl Stage for Guard {
    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>> {
        let known = self.tables.get(&stream.name).cloned();
        if let Some((_, table)) =
            known.as_ref().filter(|_| self.terms.on_violation == OnViolation::Keep)
        {
            unlike::warn(stream, table);
            self.discarded(stream)?;
        } else if let Some((path, table)) = known {
            let route = self.held(stream, &table).with("contract", path.display())?;
            return Ok(Some(vec![route]));
        } else if !differences::passes(stream, &self.tables, &self.terms)? {
            return Ok(Some(Vec::new()));
        }
        if self.row_hash.is_none() {
            return Ok(None);
        }
        self.discarded(stream)?;
        if let Some(held) = self.streams.get_mut(&stream.name) {
            held.plan = vec![told::ROW_HASH_LINE.to_owned()];
        }
        let copy = |(at, column): (usize, &Column)| Out {
            name: column.name.clone(),
            from: Some(at),
            kind_before: column.kind,
            work: Work::Copy,
        };
        let rows = Rows {
            columns: stream.columns.iter().enumerate().map(copy).collect(),
            on_violation: self.terms.on_violation,
            row_hash: None,
            watch: Rc::clone(&self.streams[&stream.name].watch),
            keys: Vec::new(),
            deleted: deleted_at(stream),
            values: Values::default(),
            made_from: None,
        };
        self.route(stream, stream.schema.clone(), Vec::new(), rows).map(|route| Some(vec![route]))
    }

    fn complete(&mut self, stream: &str) -> Result<()> {
        self.judge(Some(stream))
    }

    fn judges(&self, stream: &str) -> bool {
        self.streams.values().any(|held| {
            held.of_tap == stream
                && held.watch.borrow().counters.iter().any(|counter| !counter.is_advice())
        })
    }

    fn finish(&mut self) -> Result<()> {
        for name in self.absent() {
            if self.terms.strict {
                let (path, table) = &self.tables[name];
                return Err(Error::new(ErrorKind::Data, "a stream of a contract did not come")
                    .with("stream", name)
                    .with("contract", path.display())
                    .hint(match &table.made_from {
                        Some(file) => format!("correct the source of this name in {file}"),
                        None => "select it in the tap, or correct its name in the contract".into(),
                    }));
            }
            singer::warn!(
                "W-CONTRACT-DIFFERS",
                "stream {name} of {} did not come",
                self.tables[name].0.display()
            );
        }
        self.judge(None)
    }

    fn unchanged(&mut self, stream: &str) {
        self.unchanged.insert(stream.to_owned());
    }

    fn hides_rows(&self) -> bool {
        self.hides_rows
    }

    fn plan(&self, stream: &str) -> Vec<String> {
        if self.terms.on_violation == OnViolation::Keep && self.tables.contains_key(stream) {
            return vec!["contract: differences are reported, and all rows pass".to_owned()];
        }
        self.streams.get(stream).map(|held| held.plan.clone()).unwrap_or_default()
    }
}

/// Returns the place of the column that says that a row was deleted.
fn deleted_at(stream: &Stream) -> Option<usize> {
    stream.columns.iter().position(|column| column.name == DELETED_AT)
}

/// Reads a contract, and reports what has no effect in it.
fn read(path: &Path, already_protected: bool) -> Result<Contract> {
    let mut contract = Contract::from_path(path)?;
    report(&contract);
    if already_protected {
        contract.tables.iter_mut().for_each(Table::leave_protected);
    }
    Ok(contract)
}

/// Says in one line which rule is breached beside another one.
fn another(stream: &str, failure: &Error) -> String {
    let said = |name: &str| failure.context(name).unwrap_or_default();
    let (rule, found, bound) = (said("rule"), said("found"), said("must be"));
    format!("{stream}: {rule} is {found}, and must be {bound}")
}

/// Prepares the rules of a stream; what was counted before stays.
fn counters(table: &Table, columns: &[Out], mut before: Vec<Counter>) -> Result<Vec<Counter>> {
    let places: BTreeMap<&str, usize> =
        columns.iter().enumerate().map(|(at, out)| (out.name.as_str(), at)).collect();
    let find = |name: &str| {
        let at = *places.get(name)?;
        Some((at, columns[at].kind()))
    };
    let mut counters = Vec::new();
    for rule in &table.rules {
        counters.push(Counter::new(rule, None, find)?);
    }
    for property in &table.properties {
        let Some(at) = find(&property.name) else { continue };
        for rule in &property.rules {
            counters.push(Counter::new(rule, Some(at), find)?);
        }
    }
    for (counter, before) in counters.iter_mut().zip(&mut before) {
        counter.go_on_from(before);
    }
    Ok(counters)
}

/// Returns how a property or a part of it is protected, where values that differ become equal.
fn blurs(property: &Property) -> Option<Protection> {
    let own = property.protection.filter(|protection| !protection.keeps_apart());
    own.or_else(|| property.properties.iter().chain(property.items.as_deref()).find_map(blurs))
}

/// Returns the first part of a property that needs a key, and its line.
fn needs_key(property: &Property) -> Option<(String, u64)> {
    if property.protection.is_some_and(Protection::needs_key) {
        return Some((property.name.clone(), property.spot.line));
    }
    property.properties.iter().chain(property.items.as_deref()).find_map(needs_key)
}
