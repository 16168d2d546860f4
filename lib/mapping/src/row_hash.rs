//! `_row_hash`: a key for rows that have none, made of their values.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use singer::near::{ALIKE, nearest};
use singer::{Cell, Column, Error, ErrorKind, Kind, Result};

use crate::normal::{is_always_normal, normal_into};

/// The column.
pub const ROW_HASH: &str = "_row_hash";
/// Says how rows are hashed: another way would give other keys.
const VERSION: &[u8] = b"row hash 1";
/// Columns whose names begin so say when and how a row was read, which differs in each run.
const OF_THE_READ: &str = "_sdc_";

/// Adds a key that is made of the values of a row.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowHashSettings {
    /// The columns whose values count: a list of names, or `all`. `all` leaves out columns whose
    /// names begin with `_sdc_`, which say when a row was read.
    #[serde(default)]
    pub columns: Columns,
    /// What becomes of equal rows: `keep` numbers them, so that each has a key of its own; `drop`
    /// leaves out all but the first.
    #[serde(default)]
    pub count_duplicates: Duplicates,
    /// Columns whose values do not count, such as one that names the source.
    #[serde(default)]
    pub except: Vec<String>,
    /// Column within whose values equal rows are counted: rows that are equal but for this column
    /// are one row, unless they stand several times under one value of it.
    pub count_by: Option<String>,
    /// How much memory the keys of a stream may take, in megabytes. With the default there can be
    /// some 58 million rows.
    #[serde(default = "memory")]
    pub memory_mb: u64,
    /// When two values are equal: `normal` where they mean the same in the type of their column, so
    /// that 1.5 is 1.50; `written` where they are written in the same way. Then a column may change
    /// its type, and no key changes.
    #[serde(default)]
    pub values: Values,
}

/// When two values are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// They mean the same.
    #[default]
    Normal,
    /// They are written in the same way.
    Written,
}

/// Columns of a stream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// These columns.
    These(Vec<String>),
    /// `all`
    All(All),
    /// All, as nothing is said.
    #[default]
    #[serde(skip)]
    Unsaid,
}

/// The word `all`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// Every column.
    All,
}

/// What becomes of equal rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// Each has a key of its own.
    #[default]
    Keep,
    /// The first one stays.
    Drop,
}

/// Makes the keys of a stream. It counts equal rows over the whole run.
pub(crate) struct RowHash {
    /// Places, kinds and names (with their lengths) of the columns, in the order of their names.
    columns: Vec<(usize, Kind, Vec<u8>)>,
    /// The place of the column within whose values equal rows are counted.
    count_by: Option<usize>,
    duplicates: Duplicates,
    values: Values,
    memory_bytes: u64,
    normal: Vec<u8>,
}

/// How often rows came, by the first half of their hash.
#[expect(clippy::disallowed_types, reason = "as large as the stream; nobody reads its order")]
pub(crate) type Counts = std::collections::HashMap<[u8; 16], u32>;

/// What a row takes in a table of counts: its half hash, its count and a mark.
const ROW_BYTES: u64 = 16 + 4 + 1;

/// Megabytes by default.
fn memory() -> u64 {
    2048
}

/// Returns how many bytes there are while a full table with so many rows doubles its places, of
/// which an eighth stays free.
fn bytes_to_grow(rows: usize) -> u64 {
    let places = (rows as u64 * 8 / 7).next_power_of_two();
    places * 3 * ROW_BYTES
}

impl RowHash {
    /// Prepares for the columns of a stream as they go out.
    pub(crate) fn new(settings: &RowHashSettings, columns: &[Column]) -> Result<Self> {
        if columns.iter().any(|column| column.name == ROW_HASH) {
            return Err(Error::new(ErrorKind::Config, "cannot add a row hash")
                .with("reason", format!("the stream has a column `{ROW_HASH}`"))
                .hint("rename the column in the source, or remove `row_hash` from the settings"));
        }
        let mut named: Vec<(&str, usize, Kind)> = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            named.push((&column.name, at, column.kind));
        }
        if let Columns::These(names) = &settings.columns {
            let has = |name: &&String| !named.iter().any(|(known, ..)| known == name);
            if let Some(name) = names.iter().find(has) {
                return Err(unknown(name, columns));
            }
            named.retain(|(name, ..)| names.iter().any(|known| known == name));
        }
        if !matches!(settings.columns, Columns::These(_)) {
            named.retain(|(name, ..)| !name.starts_with(OF_THE_READ));
        }
        named.retain(|(name, ..)| !settings.except.iter().any(|known| known == name));
        let place = |name: &String| columns.iter().position(|column| column.name == *name);
        let count_by = settings.count_by.as_ref().and_then(place);
        named.sort_unstable_by_key(|(name, ..)| *name);
        let columns = named.into_iter().map(|(name, at, kind)| {
            let mut label = (name.len() as u64).to_le_bytes().to_vec();
            label.extend_from_slice(name.as_bytes());
            (at, kind, label)
        });
        Ok(Self {
            columns: columns.collect(),
            count_by,
            duplicates: settings.count_duplicates,
            values: settings.values,
            memory_bytes: settings.memory_mb.saturating_mul(1 << 20),
            normal: Vec::new(),
        })
    }

    /// Refuses to remember more rows than fit into the memory that is allowed.
    fn check_memory(&self, rows: usize) -> Result<()> {
        if bytes_to_grow(rows) <= self.memory_bytes {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, "cannot remember more rows of a stream")
            .with("rows", rows)
            .with("setting", "row_hash")
            .with("memory_mb", self.memory_bytes >> 20)
            .with("memory_mb needed", bytes_to_grow(rows).div_ceil(1 << 20))
            .hint(
                "read the stream in parts, such as one day at a time; or raise `memory_mb` of \
                 `row_hash`, if the machine has the memory",
            ))
    }

    /// Returns the key of a row; `None` where the row is one that is left out.
    pub(crate) fn hash<'a>(
        &mut self,
        cell: impl Fn(usize) -> Cell<'a>,
        counts: &mut Counts,
    ) -> Result<Option<[u8; 32]>> {
        // Decided here, as a source without rows may have no columns, and is no fault.
        if self.columns.is_empty() {
            return Err(Error::new(ErrorKind::Config, "cannot hash a row without columns")
                .with("reason", "the stream has none whose values count")
                .hint(
                    "read a source whose records have values; `columns` and `except` of \
                     `row_hash` say which columns count",
                ));
        }
        self.normal.clear();
        self.normal.extend_from_slice(VERSION);
        for (at, kind, label) in &self.columns {
            match cell(*at) {
                // So that a new column without values changes no hash.
                Cell::Null | Cell::Absent => {}
                Cell::Text(text) => {
                    self.normal.extend_from_slice(label);
                    let length_at = self.normal.len();
                    self.normal.extend_from_slice(&[0; 8]);
                    // Members of objects have no order, and no column turns from objects to texts.
                    let is_written = self.values == Values::Written && *kind != Kind::Json;
                    if is_written || is_always_normal(*kind) {
                        self.normal.extend_from_slice(text);
                    } else {
                        normal_into(*kind, text, &mut self.normal);
                    }
                    let length = (self.normal.len() - length_at - 8) as u64;
                    self.normal[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
                }
            }
        }
        let mut sum: [u8; 32] = Sha256::digest(&self.normal).into();
        let first = |sum: &[u8; 32]| *sum.first_chunk().unwrap_or(&[0; 16]);
        let mut short = first(&sum);
        if let Some(Cell::Text(group)) = self.count_by.map(&cell) {
            self.normal.clear();
            self.normal.extend_from_slice(&sum);
            self.normal.extend_from_slice(group);
            short = first(&Sha256::digest(&self.normal).into());
        }
        if counts.len() == counts.capacity() && !counts.contains_key(&short) {
            self.check_memory(counts.len())?;
        }
        let count = counts.entry(short).or_default();
        *count += 1;
        if *count > 1 {
            if self.duplicates == Duplicates::Drop {
                return Ok(None);
            }
            self.normal.clear();
            self.normal.extend_from_slice(&sum);
            self.normal.extend_from_slice(&count.to_le_bytes());
            sum = Sha256::digest(&self.normal).into();
        }
        // One giant row must not keep its memory for the rest of the run.
        self.normal.shrink_to(1 << 20);
        Ok(Some(sum))
    }
}

fn unknown(name: &str, columns: &[Column]) -> Error {
    let known = || columns.iter().map(|column| column.name.as_str());
    let near = nearest(name, known(), ALIKE).map_or_else(
        || format!("there are {}", known().take(20).collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Error::new(ErrorKind::Config, "cannot find a column of `row_hash`")
        .with("column", name)
        .hint(format!("name columns as they are behind stream maps and contracts: {near}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn hash(kinds: &[&str], rows: &[Vec<Cell<'_>>], duplicates: Duplicates) -> Vec<Option<String>> {
        let name = |at: usize| format!("c{at}");
        let columns: Vec<Column> = kinds
            .iter()
            .enumerate()
            .map(|(at, kind)| Column::new(name(at), json!({ "type": kind })))
            .collect();
        let (columns_that_count, except, count_by) = (Columns::Unsaid, Vec::new(), None);
        let settings = RowHashSettings {
            columns: columns_that_count,
            count_duplicates: duplicates,
            except,
            count_by,
            values: Values::Normal,
            memory_mb: memory(),
        };
        let mut hasher = RowHash::new(&settings, &columns).unwrap();
        let mut counts = Counts::new();
        let mut one = |row: &Vec<Cell<'_>>| {
            let sum = hasher.hash(|at| row[at], &mut counts).unwrap();
            sum.map(|sum| singer::quote::hex(&sum))
        };
        rows.iter().map(&mut one).collect()
    }

    #[test]
    fn rows_that_differ_have_keys_that_differ() {
        let text = |text: &'static str| Cell::Text(text.as_bytes());
        let rows = [
            vec![text("ab"), text("c")],
            vec![text("a"), text("bc")],
            vec![text(""), text("abc")],
            vec![Cell::Null, text("abc")],
            vec![text("abc"), Cell::Null],
            vec![text("abc"), text("")],
            vec![Cell::Null, Cell::Null],
        ];
        let mut keys = hash(&["string", "string"], &rows, Duplicates::Drop);
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), rows.len());
        assert!(keys.iter().all(Option::is_some));
    }

    #[test]
    fn equal_rows_are_numbered_or_left_out() {
        let rows = [vec![Cell::Text(b"1")], vec![Cell::Text(b"2")], vec![Cell::Text(b"1")]];
        let kept = hash(&["integer"], &rows, Duplicates::Keep);
        assert_ne!(kept[0], kept[2]);
        let left = hash(&["integer"], &rows, Duplicates::Drop);
        assert_eq!((&left[0], &left[1], &left[2]), (&kept[0], &kept[1], &None));
        // Who reads them in another order makes the same keys.
        let turned = [rows[1].clone(), rows[2].clone(), rows[0].clone()];
        let mut again = hash(&["integer"], &turned, Duplicates::Keep);
        let mut kept = kept;
        again.sort();
        kept.sort();
        assert_eq!(again, kept);
        // And so does who has the value in another type.
        let other = hash(&["number"], &[vec![Cell::Text(b"1.0")]], Duplicates::Keep);
        assert_eq!(other[0], hash(&["string"], &rows[..1], Duplicates::Keep)[0]);
    }

    #[test]
    fn rows_keep_their_keys_in_a_wider_stream_and_are_counted_by_a_column() {
        let text = |text: &'static str| Cell::Text(text.as_bytes());
        let narrow = hash(&["string"], &[vec![text("a")]], Duplicates::Keep);
        let wide = hash(&["string", "string"], &[vec![text("a"), Cell::Null]], Duplicates::Keep);
        assert_eq!(narrow, wide);
        let columns = ["c0", "source"].map(|name| Column::new(name, json!({ "type": "string" })));
        let settings = RowHashSettings {
            columns: Columns::Unsaid,
            count_duplicates: Duplicates::Keep,
            except: vec!["source".to_owned()],
            count_by: Some("source".to_owned()),
            values: Values::Normal,
            memory_mb: memory(),
        };
        let mut hasher = RowHash::new(&settings, &columns).unwrap();
        let mut counts = Counts::new();
        let mut key = |source: &'static str| {
            let row = [text("a"), text(source)];
            hasher.hash(|at| row[at], &mut counts).unwrap().unwrap()
        };
        let keys = [key("x"), key("y"), key("y")];
        assert!(keys[0] == keys[1] && keys[1] != keys[2]);
        assert_eq!(singer::quote::hex(&keys[0]), narrow[0].clone().unwrap());
    }

    #[test]
    fn more_rows_than_the_memory_allows_end_the_run() {
        let column = Column::new("c", json!({ "type": "integer" }));
        let settings = serde_json::from_value(json!({ "memory_mb": 1 })).unwrap();
        let mut hasher = RowHash::new(&settings, &[column]).unwrap();
        let mut counts = Counts::new();
        let ended = (0..100_000).find_map(|row: u32| {
            let text = row.to_string();
            hasher.hash(|_| Cell::Text(text.as_bytes()), &mut counts).err()
        });
        let failure = ended.unwrap();
        assert_eq!(failure.context("memory_mb"), Some("1"), "{failure}");
        assert!((10_000..40_000).contains(&counts.len()), "{}", counts.len());
        // Rows that came before are still known.
        assert!(hasher.hash(|_| Cell::Text(b"1"), &mut counts).unwrap().is_some());
        assert!(bytes_to_grow(29_000_000) <= memory() << 20);
    }

    #[test]
    fn values_as_they_are_written_keep_their_keys_in_a_column_of_another_type() {
        let key = |values: Values, kind: &str, value: &'static str| {
            let column = Column::new("c", json!({ "type": kind }));
            let settings = RowHashSettings {
                columns: Columns::Unsaid,
                count_duplicates: Duplicates::Keep,
                except: Vec::new(),
                count_by: None,
                values,
                memory_mb: memory(),
            };
            let mut hasher = RowHash::new(&settings, &[column]).unwrap();
            let cell = Cell::Text(value.as_bytes());
            hasher.hash(|_| cell, &mut Counts::new()).unwrap().unwrap()
        };
        let written = |kind, value| key(Values::Written, kind, value);
        assert_eq!(written("number", "1.50"), written("string", "1.50"));
        assert_ne!(written("number", "1.50"), written("number", "1.5"));
        assert_ne!(key(Values::Normal, "number", "1.50"), key(Values::Normal, "string", "1.50"));
        assert_eq!(key(Values::Normal, "number", "1.50"), key(Values::Normal, "number", "1.5"));
    }

    fn cells(row: &[Option<String>]) -> Vec<Cell<'_>> {
        let mut cells = Vec::new();
        for cell in row {
            cells.push(cell.as_ref().map_or(Cell::Null, |text| Cell::Text(text.as_bytes())));
        }
        cells
    }

    #[test]
    fn no_two_rows_have_one_key() {
        let cell = prop_oneof![Just(None), "[ab]{0,3}".prop_map(Some)];
        let row = prop::collection::vec(cell, 3);
        testing::property::holds("row hashes", 2000, (row.clone(), row), |(one, other)| {
            let rows = [cells(&one), cells(&other)];
            let keys = hash(&["string"; 3], &rows, Duplicates::Drop);
            prop_assert_eq!(keys[1].is_none(), one == other);
            Ok(())
        });
    }
}
