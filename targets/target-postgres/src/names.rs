//! Names: from streams and properties to tables and columns (pure).

use std::collections::BTreeMap;
use std::fmt;

use pg::{quote_ident, shorten_ident};
use singer::{Error, ErrorKind, Result, Stream};

/// The columns that `add_record_metadata` adds, in the order of the table, with their types.
pub const METADATA: [(&str, &str); 7] = [
    (EXTRACTED_AT, "timestamp with time zone"),
    ("_sdc_received_at", "timestamp with time zone"),
    ("_sdc_batched_at", "timestamp with time zone"),
    (DELETED_AT, "timestamp with time zone"),
    ("_sdc_sequence", "bigint"),
    (TABLE_VERSION, "bigint"),
    ("_sdc_sync_started_at", "bigint"),
];
/// How the names of staging tables begin.
pub const STAGE_PREFIX: &str = "_sdc_stage_";
/// How many columns Postgres lets a table have.
const COLUMNS_MAX: usize = 1600;
/// When the tap read the row.
pub const EXTRACTED_AT: &str = "_sdc_extracted_at";
/// When the row was deleted in its source.
pub const DELETED_AT: &str = "_sdc_deleted_at";
/// The version its record came with.
pub const TABLE_VERSION: &str = "_sdc_table_version";
/// The source part of a partition.
pub const SOURCE: &str = "_sdc_source";
/// The day of a partition.
pub const DATESTAMP: &str = "_sdc_datestamp";
/// What the names of our own columns in a staging table begin with.
pub const STAGE: &str = "_sdc_stage_";

const SYSTEM: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// A table and its schema, as the server knows them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Returns the table of a stream: the one that its tap says, else the one of its name; `chosen`
    /// is its name where a setting says it.
    pub fn of(stream: &Stream, chosen: Option<&str>, naming: &Naming<'_>) -> Self {
        let (schema, table) = said(stream);
        let mut name = Self::named(schema, table, naming);
        if let Some(table) = chosen {
            name.table = shorten_ident(table);
        }
        name
    }

    /// Returns every table that may be that of a stream of this name, whatever its tap says of it.
    pub fn candidates(stream: &str, naming: &Naming<'_>) -> Vec<Self> {
        let parts = stream.match_indices('-').map(|(at, _)| (&stream[..at], &stream[at + 1..]));
        let parts = parts.filter(|(schema, table)| !schema.is_empty() && !table.is_empty());
        let named = parts.map(|(schema, table)| Self::named(Some(schema), table, naming));
        let (schema, table) = parts_of(stream);
        let whole = Self::named(None, stream, naming);
        named.chain([Self::named(schema, table, naming), whole]).collect()
    }

    fn named(schema: Option<&str>, table: &str, naming: &Naming<'_>) -> Self {
        Self {
            schema: shorten_ident(&(naming.schema)(schema)),
            table: shorten_ident(&(naming.case)(table)),
        }
    }

    /// Returns the quoted name for SQL.
    pub fn sql(&self) -> Result<String> {
        pg::quote_qualified(&self.schema, &self.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// How names of streams become those of tables.
pub struct Naming<'a> {
    /// Returns the schema of tables of a schema of the source, where the stream says one.
    pub schema: &'a dyn Fn(Option<&str>) -> String,
    /// Spells the name of a table.
    pub case: &'a dyn Fn(&str) -> String,
}

/// Returns the schema and the table that a stream is of: as its tap says, else by its name.
pub fn said(stream: &Stream) -> (Option<&str>, &str) {
    let said = stream.source_table();
    said.map_or_else(|| parts_of(&stream.name), |(schema, table)| (Some(schema), table))
}

/// Takes the table out of a name, its last part between dashes, and the schema, the part before. A
/// name that ends in a dash has no last part: all of it is the table's.
fn parts_of(stream: &str) -> (Option<&str>, &str) {
    let mut parts = stream.rsplit('-');
    match parts.next() {
        Some("") | None => (None, stream),
        Some(table) => (parts.next().filter(|part| !part.is_empty()), table),
    }
}

/// Returns the column of every property of a stream, `None` for those that we write ourselves or
/// that are to be left out. `keeps_deleted_at` keeps the mark of rows that are deleted; names are
/// spelled as `case` does.
pub fn column_names(
    stream: &Stream,
    (keeps_deleted_at, partitioned): (bool, bool),
    case: impl Fn(&str) -> String,
) -> Result<Vec<Option<String>>> {
    let mut names: Vec<Option<String>> = Vec::with_capacity(stream.columns.len());
    let mut places = BTreeMap::new();
    for (at, column) in stream.columns.iter().enumerate() {
        let property = case(&column.name);
        let property = property.as_str();
        let ours = METADATA.iter().any(|(name, _)| *name == property);
        if ours && !(keeps_deleted_at && property == DELETED_AT) {
            names.push(None);
            continue;
        }
        let partition = partitioned && [SOURCE, DATESTAMP].contains(&property);
        if SYSTEM.contains(&property) || property.starts_with(STAGE) || partition {
            return Err(Error::new(ErrorKind::Data, "cannot use a reserved name for a column")
                .with("stream", &stream.name)
                .with("column", property)
                .hint("rename the column in the tap, or deselect it"));
        }
        quote_ident(property).map_err(|failure| failure.with("stream", &stream.name))?;
        let name = shorten_ident(property);
        if let Some(at) = places.insert(name.clone(), at) {
            return Err(Error::new(
                ErrorKind::Data,
                "two columns of the stream have one name in the table",
            )
            .with("stream", &stream.name)
            .with("column", &column.name)
            .with("other column", &stream.columns[at].name)
            .hint(
                "their names are the same after they are shortened to 63 bytes (and changed to \
                      lower case by `name_case: lower`): rename one of them",
            ));
        }
        names.push(Some(name));
    }
    check_width(stream, places.len())?;
    Ok(names)
}

/// Refuses more columns than a table can have, before the table is touched.
pub fn check_width(stream: &Stream, columns: usize) -> Result<()> {
    if columns <= COLUMNS_MAX { Ok(()) } else { Err(too_wide(stream, columns)) }
}

/// Refuses more columns than a staging table can have, with so many that are not of the stream: a
/// first load might do without it, and later ones could not.
pub fn check_staged_width(stream: &Stream, columns: usize, further: usize) -> Result<()> {
    if columns + further <= COLUMNS_MAX {
        return Ok(());
    }
    let failure = too_wide(stream, columns).with("columns of the staging table", further);
    Err(failure.hint(format!("{WIDE}; or load by `append-only`, which does not stage rows")))
}

/// What to do about too many columns.
const WIDE: &str = "deselect columns in the tap, split the stream into several streams, or put \
                    properties whose names are data into one object, which becomes a jsonb column";

#[cold]
fn too_wide(stream: &Stream, columns: usize) -> Error {
    Error::new(ErrorKind::Data, "cannot put this many columns into one table")
        .with("stream", &stream.name)
        .with("columns", columns)
        .with("limit of Postgres", COLUMNS_MAX)
        .hint(WIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(name: &str) -> String {
        name.to_owned()
    }

    fn in_schema(
        chosen: Option<&str>,
        case: fn(&str) -> String,
        with: impl Fn(&Naming<'_>) -> String,
    ) -> String {
        let schema = |said: Option<&str>| match chosen {
            Some(schema) => schema.to_owned(),
            None => said.map_or_else(|| "public".to_owned(), case),
        };
        with(&Naming { schema: &schema, case: &case })
    }

    fn of(stream: &Stream, (schema, table): (Option<&str>, Option<&str>)) -> String {
        in_schema(schema, keep, |naming| TableName::of(stream, table, naming).to_string())
    }

    #[test]
    fn names_may_become_lower_case() {
        let mut stream = Stream::new("Sales-Orders", serde_json::Map::new(), Vec::new());
        let of = |stream: &Stream, schema, table| {
            in_schema(schema, str::to_lowercase, |naming| {
                TableName::of(stream, table, naming).to_string()
            })
        };
        assert_eq!(of(&stream, None, None), "sales.orders");
        assert_eq!(of(&stream, Some("Raw"), Some("Lines")), "Raw.Lines");
        stream.set_source_table("Sales", "Orders");
        assert_eq!(of(&stream, None, None), "sales.orders");
    }

    #[test]
    fn finds_the_table_of_a_stream() {
        let check = |stream: &str, schema: Option<&str>, expected: &str| {
            let stream = Stream::new(stream, serde_json::Map::new(), Vec::new());
            assert_eq!(of(&stream, (schema, None)), expected, "{}", stream.name);
        };
        check("orders", None, "public.orders");
        check("sales-orders", None, "sales.orders");
        check("db-sales-orders", None, "sales.orders");
        check("db-sales-orders", Some("raw"), "raw.orders");
        check("-orders", None, "public.orders");
        check("orders--", None, "public.orders--");
        check("Order Details", Some("x\"y"), "x\"y.Order Details");
        let long = Stream::new("é".repeat(60), serde_json::Map::new(), Vec::new());
        assert_eq!(of(&long, (None, None)).len(), "public.".len() + 63);
        let name = TableName { schema: "a".to_owned(), table: "b\"c".to_owned() };
        assert_eq!(name.sql().unwrap(), "\"a\".\"b\"\"c\"");
    }

    #[test]
    fn the_table_that_a_tap_says_is_that_of_its_stream() {
        let check = |stream: &str, said: Option<(&str, &str)>, chosen, expected: &str| {
            let mut stream = Stream::new(stream, serde_json::Map::new(), Vec::new());
            if let Some((schema, table)) = said {
                stream.set_source_table(schema, table);
            }
            assert_eq!(of(&stream, chosen), expected, "{}", stream.name);
        };
        let said = Some(("public", "order-items"));
        check("public-order-items", said, (None, None), "public.order-items");
        check("public-order-items", said, (Some("raw"), None), "raw.order-items");
        check("public-order-items", said, (Some("raw"), Some("lines-of")), "raw.lines-of");
        check("public-order-items", None, (None, None), "order.items");
        check("a-b", said, (None, None), "a.b");
        check("a-b", None, (None, Some("c")), "a.c");
        let found = in_schema(None, keep, |naming| {
            let found = TableName::candidates("s-a-b", naming);
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(found, "s.a-b s-a.b a.b public.s-a-b");
    }

    #[test]
    fn refuses_reserved_names_and_leaves_out_our_own() {
        let stream = |names: &[&str]| {
            let properties: Vec<String> =
                names.iter().map(|name| format!("{name:?}:{{}}")).collect();
            let schema = format!("{{\"properties\":{{{}}}}}", properties.join(","));
            Stream::new("s", serde_json::from_str(&schema).unwrap(), Vec::new())
        };
        assert!(column_names(&stream(&["ctid"]), (true, false), keep).is_err());
        assert!(column_names(&stream(&["_sdc_stage_line"]), (true, false), keep).is_err());
        assert!(column_names(&stream(&[SOURCE]), (true, true), keep).is_err());
        assert!(column_names(&stream(&[""]), (true, false), keep).is_err());
        let some = |name: &str| Some(name.to_owned());
        let names = ["Id", "id", "_sdc_sequence", DELETED_AT, "_sdc_lsn", SOURCE];
        assert_eq!(
            column_names(&stream(&names), (true, false), keep).unwrap(),
            [some("Id"), some("id"), None, some(DELETED_AT), some("_sdc_lsn"), some(SOURCE)]
        );
        assert_eq!(column_names(&stream(&names), (false, false), keep).unwrap()[3], None);
        // What we write ourselves, or leave out, does not count among those of the stream.
        let many: Vec<String> = (0..1600).map(|at| format!("c{at}")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.push("_sdc_sequence");
        assert_eq!(column_names(&stream(&many), (false, false), keep).unwrap().len(), 1601);
        many.push("one_more");
        let failure = column_names(&stream(&many), (false, false), keep).unwrap_err();
        assert_eq!(failure.context("columns"), Some("1601"));
    }
}
