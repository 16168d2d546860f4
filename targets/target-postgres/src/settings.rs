//! The settings of target-postgres.

use std::collections::BTreeMap;

use pg::ConnectionSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use singer::{Error, ErrorKind, OtherSetting, Result, Stream};

use crate::names::{self, DELETED_AT, METADATA, Naming, TABLE_VERSION, TableName};
use crate::schemas::{Place, Readers, Texts};

/// How rows reach the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadMethod {
    /// Every row is added.
    AppendOnly,
    /// Rows with a known key replace the old row, others are added.
    Upsert,
    /// Afterwards the table has exactly the rows of the run.
    Overwrite,
    /// Afterwards the partition (source, datestamp) has exactly the rows of the run.
    ReplacePartition,
}

/// What an upsert does with a column that a record does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The column becomes null.
    Null,
    /// The column keeps the value it has.
    #[default]
    Keep,
}

/// What to do where a table is not there that rows were loaded into before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissingTable {
    /// The run fails.
    #[default]
    Refuse,
    /// A table is made, which has the rows since then.
    Make,
}

/// What to do with a column whose type in the table does not take what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTypeChange {
    /// The run fails.
    #[default]
    Refuse,
    /// The column becomes one that keeps the values of both.
    Widen,
    /// What comes goes into a column of its own.
    AddColumn,
}

/// How names of streams and properties become names of tables and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameCase {
    /// As they are.
    #[default]
    Keep,
    /// In lower case.
    Lower,
}

impl NameCase {
    /// Returns the name.
    pub fn of(self, name: &str) -> String {
        match self {
            Self::Keep => name.to_owned(),
            Self::Lower => name.to_lowercase(),
        }
    }
}

/// The settings, as `--about` shows them.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// Where and how to connect.
    #[serde(flatten)]
    pub connection: ConnectionSettings,
    /// Schema of the tables; without it the one that the tap says, or the part of the stream's name
    /// before the last `-`, else `public`.
    pub default_target_schema: Option<String>,
    /// Where tables of one schema of the source go, as `{"sales": {"target_schema": "raw_sales"}}`,
    /// with `target_schema_select_permissions` and `indices` (`{"orders": ["customer_id"]}`) of
    /// tables that are made; other schemas go where `default_target_schema` says.
    #[serde(default)]
    pub schema_mapping: BTreeMap<String, Place>,
    /// Roles that may read tables which a load makes, and use their schemas: a name, several, or
    /// `{"users": [...], "groups": [...]}`.
    #[schemars(extend("x-aliases" = ["default_target_schema_select_permission"]))]
    pub default_target_schema_select_permissions: Option<Readers>,
    /// Names of tables by stream, as in `{"public-orders": "orders_eu"}`, where a table is to have
    /// another name than its stream gives it.
    #[serde(default)]
    pub table_names: BTreeMap<String, String>,
    /// Whether names of tables and columns `keep` their case or become `lower`, as some programs
    /// make them; names that other settings give are taken as they are. A name that is there in
    /// another case only is refused.
    #[serde(default)]
    pub name_case: NameCase,
    /// What to do with rows since a state (or with a stream that is as its state says) whose table
    /// is not there, or is not the one that the state is of: `refuse`, or `make` the table with
    /// these rows alone, or take the one that is there. Of a tap that does not say where it leaves
    /// rows out, `refuse` warns.
    #[serde(default)]
    pub missing_table: MissingTable,
    /// Whether to add the `_sdc_*` columns that tell when a row was extracted and loaded; without
    /// it those of the source are left out, but for `_sdc_deleted_at` with `hard_delete`.
    #[serde(default = "yes")]
    #[schemars(extend("x-aliases" = ["add_metadata_columns"]))]
    pub add_record_metadata: bool,
    /// Which of the `_sdc_*` columns to add, by their names: `_sdc_extracted_at`,
    /// `_sdc_received_at`, `_sdc_batched_at`, `_sdc_deleted_at`, `_sdc_sequence`,
    /// `_sdc_table_version` and `_sdc_sync_started_at`; without it all of them. Those that are in a
    /// table already stay there, and rows that come get none. `hard_delete` needs
    /// `_sdc_deleted_at`, and `activate_version` that and `_sdc_table_version`.
    pub metadata_columns: Option<Vec<String>>,
    /// How rows reach the table: `append-only`, `upsert`, `overwrite` or `replace-partition` (of
    /// rows with one key the last stays; the two last warn of them, and of rows of other tables
    /// that go by ON DELETE CASCADE);
    /// without it `upsert` for streams with keys, else `replace-partition` for days of the dated
    /// folders, else `append-only`.
    pub load_method: Option<LoadMethod>,
    /// Whether rows of old versions leave the table, instead of being marked as deleted, and an
    /// `upsert` takes rows out of it whose record says `_sdc_deleted_at`.
    #[serde(default)]
    pub hard_delete: bool,
    /// Whether `ACTIVATE_VERSION` messages are acted on, where all rows of the version have come,
    /// and none of the run without it or with an older one; that needs `add_record_metadata`.
    #[serde(default = "yes")]
    #[schemars(extend("x-aliases" = ["process_activate_version_messages"]))]
    pub activate_version: bool,
    /// Rows of a stream after which they are merged into its table early (`append-only` and
    /// `upsert`); without it they are merged when state is due and at the end.
    pub batch_size_rows: Option<u64>,
    /// Whether U+0000, which Postgres cannot store, becomes U+FFFD; else such a value fails.
    #[serde(default)]
    pub sanitize_null_text_characters: bool,
    /// Whether strings with `contentEncoding: base16` become `bytea`; columns that are `bytea` in
    /// their source always do.
    #[serde(default)]
    pub interpret_content_encoding: bool,
    /// Source part of the partition for `replace-partition`; without it the one that the stream's
    /// schema names in `x-partition`. A stream that names another one is refused.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// Day of the partition for `replace-partition` as `YYYY-MM-DD`; without it the one that the
    /// stream's schema names in `x-partition`. A stream that names another one is refused.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: Option<String>,
    /// What an upsert does with a column that a record does not have: `keep` its value or write
    /// `null`. Behind the deletion of its row a record begins a new one, without old values.
    #[serde(default)]
    pub missing: Missing,
    /// What to do with a column that is part of no key, and whose type does not take what comes
    /// (larger numbers and longer text it always does): `refuse` it; `widen` the column to text,
    /// where it has numbers, booleans, dates, times or uuids, whose text is then as `tap-postgres`
    /// prints it; or `add_column`, which puts what comes into a column `NAME__TYPE`, and NULL into
    /// the other one.
    #[serde(default)]
    pub on_type_change: OnTypeChange,
    /// Seconds to wait for a lock on a table before giving up with exit code 75.
    #[serde(default = "a_minute")]
    pub lock_timeout_seconds: u64,
    /// Whether streams without keys are refused.
    #[serde(default)]
    pub primary_key_required: bool,
    /// SQL to run ahead of the first row: a text, or several. It is one transaction, in a session
    /// of its own with the settings of the role; nothing is loaded where it fails.
    pub before_run_sql: Option<Texts>,
    /// SQL to run in the same way behind the last row, when every table is committed and its state
    /// printed; that stays so where it fails.
    pub after_run_sql: Option<Texts>,
    /// Accepted for compatibility and not used: the connection is always plain `postgresql`.
    #[serde(rename = "dialect+driver")]
    pub dialect_driver: Option<String>,
    /// Accepted for compatibility and not used: rows always travel by COPY.
    pub use_copy: Option<bool>,
}

impl Settings {
    /// Tells whether a metadata column is added.
    pub fn adds(&self, column: &str) -> bool {
        singer::metadata::adds(self.add_record_metadata, self.metadata_columns.as_deref(), column)
    }

    /// Refuses metadata columns that nobody knows, and to leave out what another setting needs.
    pub fn check_metadata(&self) -> Result<()> {
        let chosen = self.metadata_columns.as_deref();
        singer::metadata::check_chosen(
            &METADATA.map(|(name, _)| name),
            self.add_record_metadata,
            chosen,
        )?;
        let replaces =
            matches!(self.load_method, Some(LoadMethod::Overwrite | LoadMethod::ReplacePartition));
        let activates = self.activate_version && !replaces;
        let needed = [
            ("hard_delete", self.hard_delete, DELETED_AT),
            ("activate_version", activates, TABLE_VERSION),
            ("activate_version", activates, DELETED_AT),
        ];
        let lacks = |(_, needs, column): &&(&str, bool, &str)| *needs && !self.adds(column);
        match needed.iter().find(lacks).filter(|_| chosen.is_some()) {
            None => Ok(()),
            Some((setting, _, column)) => {
                let message = "cannot leave out a metadata column that another setting needs";
                Err(Error::new(ErrorKind::Config, message)
                    .with("column", column)
                    .hint(format!("add it to `metadata_columns`, or set `{setting}` to false")))
            }
        }
    }

    /// Returns the table of a stream, with names in this case.
    pub fn table_of(&self, stream: &Stream, case: NameCase) -> TableName {
        let table = self.table_names.get(&stream.name).map(String::as_str);
        let schema = |said: Option<&str>| self.schema_of(said, case);
        TableName::of(stream, table, &Naming { schema: &schema, case: &|name| case.of(name) })
    }

    /// Returns every table that may be that of a stream of this name.
    pub fn tables_of(&self, stream: &str) -> Vec<TableName> {
        let case = self.name_case;
        let schema = |said: Option<&str>| self.schema_of(said, case);
        let naming = Naming { schema: &schema, case: &|name| case.of(name) };
        let mut names = TableName::candidates(stream, &naming);
        if let Some(table) = self.table_names.get(stream) {
            for name in &mut names {
                name.table = pg::shorten_ident(table);
            }
        }
        names
    }

    /// Returns the schema of the tables of a schema of the source, where the stream says one.
    fn schema_of(&self, said: Option<&str>, case: NameCase) -> String {
        let mapped = self.place_of(said).and_then(|place| place.target_schema.as_deref());
        match mapped.or(self.schema()) {
            Some(chosen) => chosen.to_owned(),
            None => said.map_or_else(|| "public".to_owned(), |said| case.of(said)),
        }
    }

    fn place_of(&self, said: Option<&str>) -> Option<&Place> {
        said.and_then(|said| self.schema_mapping.get(said))
    }

    /// Returns the roles that may read the table of a stream, if it is to be made.
    pub fn readers_of(&self, stream: &Stream) -> Vec<String> {
        let place = self.place_of(names::said(stream).0);
        let own = place.and_then(|place| place.target_schema_select_permissions.as_ref());
        let readers = own.or(self.default_target_schema_select_permissions.as_ref());
        readers.map(Readers::roles).unwrap_or_default()
    }

    /// Returns the columns of each index that the table of a stream gets, if it is to be made.
    pub fn indices_of(&self, stream: &Stream) -> Vec<Vec<String>> {
        let (schema, table) = names::said(stream);
        let place = self.place_of(schema);
        let indices = place.and_then(|place| place.indices.get(table)).into_iter().flatten();
        let name = |column: &str| pg::shorten_ident(&self.name_case.of(column.trim()));
        indices.map(|columns| columns.split(',').map(name).collect()).collect()
    }

    /// Returns the schema that all tables are in, if there is such a one.
    pub fn only_schema(&self) -> Option<&str> {
        self.schema().filter(|_| self.schema_mapping.is_empty())
    }

    /// Returns the schema of tables for which no other setting says one.
    fn schema(&self) -> Option<&str> {
        self.default_target_schema.as_deref().filter(|schema| !schema.is_empty())
    }
}

fn yes() -> bool {
    true
}

fn a_minute() -> u64 {
    60
}

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::without_effect("flush_all_streams"),
    OtherSetting::without_effect("parallelism"),
    OtherSetting::without_effect("max_parallelism"),
    OtherSetting::without_effect("temp_dir"),
    OtherSetting::without_effect("logging_level"),
    OtherSetting::without_effect("state_support"),
    OtherSetting::without_effect("max_batch_rows"),
    OtherSetting::without_effect("max_buffer_size"),
    OtherSetting::without_effect("batch_detection_threshold"),
    OtherSetting::without_effect("add_upsert_indexes"),
    OtherSetting::not_yet(
        "data_flattening_max_level",
        "0",
        "put a mapper between tap and target, or remove the setting",
    ),
    OtherSetting::not_yet("invalid_records_detect", "true", "set `max_rejects`"),
    OtherSetting::not_yet("invalid_records_threshold", "0", "set `max_rejects`"),
    OtherSetting::not_yet("persist_empty_tables", "false", "remove it"),
    OtherSetting::not_yet(
        "before_run_sql_file",
        "null",
        "put the SQL itself into `before_run_sql`",
    ),
    OtherSetting::not_yet("after_run_sql_file", "null", "put the SQL itself into `after_run_sql`"),
    OtherSetting::not_yet(
        "postgres_sslcrl",
        "null",
        "remove it: lists of revoked certificates are not read",
    ),
    OtherSetting::not_yet("postgres_host", "null", "set `host`"),
    OtherSetting::not_yet("postgres_port", "null", "set `port`"),
    OtherSetting::not_yet("postgres_database", "null", "set `database`"),
    OtherSetting::not_yet("postgres_username", "null", "set `user`"),
    OtherSetting::not_yet("postgres_password", "null", "set `password`"),
    OtherSetting::not_yet("postgres_schema", "null", "set `default_target_schema`"),
    OtherSetting::not_yet("postgres_sslmode", "null", "set `ssl_mode`"),
    OtherSetting::not_yet("postgres_sslcert", "null", "set `ssl_client_certificate`"),
    OtherSetting::not_yet("postgres_sslkey", "null", "set `ssl_client_private_key`"),
    OtherSetting::not_yet("postgres_sslrootcert", "null", "set `ssl_certificate_authority`"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_metadata_column_that_a_setting_needs_is_not_left_out() {
        let check = |more: serde_json::Value, refused: Option<[&str; 2]>| {
            let mut settings = json!({ "host": "h" });
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let settings: Settings = serde_json::from_value(settings).unwrap();
            let found = settings.check_metadata().map_err(|failure| failure.to_string());
            match refused {
                None => assert_eq!(found, Ok(()), "{more}"),
                Some(words) => {
                    let text = found.unwrap_err();
                    assert!(text.contains("`metadata_columns`"), "{text}");
                    assert!(words.iter().all(|word| text.contains(word)), "{more}: {text}");
                }
            }
        };
        let (all, none) = (["_sdc_deleted_at", "_sdc_table_version"], [""; 0]);
        check(json!({}), None);
        check(json!({ "add_record_metadata": false, "hard_delete": true }), None);
        check(json!({ "metadata_columns": all }), None);
        check(json!({ "metadata_columns": all, "hard_delete": true }), None);
        let lacks = Some(["`activate_version`", "_sdc_table_version"]);
        check(json!({ "metadata_columns": none }), lacks);
        check(json!({ "metadata_columns": [all[0]] }), lacks);
        check(json!({ "metadata_columns": [all[1]] }), Some(["`activate_version`", all[0]]));
        let off = json!({ "metadata_columns": none, "activate_version": false });
        check(off.clone(), None);
        check(json!({ "metadata_columns": none, "load_method": "overwrite" }), None);
        let mut hard = off;
        hard["hard_delete"] = true.into();
        check(hard, Some(["`hard_delete`", all[0]]));
        let unknown = json!({ "metadata_columns": ["_sdc_sequenc"], "activate_version": false });
        let refused = serde_json::from_value::<Settings>(unknown).unwrap().check_metadata();
        assert!(refused.unwrap_err().to_string().contains("did you mean `_sdc_sequence`?"));
    }
}
