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
    /// A row with a known key replaces the old row. Other rows are added.
    Upsert,
    /// After the load the table has exactly the rows of the run.
    Overwrite,
    /// After the load the partition (source, datestamp) has exactly the rows of the run.
    ReplacePartition,
}

/// What an upsert does with a column that a record lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The column becomes null.
    Null,
    /// The column keeps its value.
    #[default]
    Keep,
}

/// What happens when a table is missing into which rows were loaded before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissingTable {
    /// The run fails.
    #[default]
    Refuse,
    /// The target creates a table. It has only the rows since then.
    Make,
}

/// What happens when the type of a column in the table cannot hold the new values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTypeChange {
    /// The run fails.
    #[default]
    Refuse,
    /// The column gets a type that holds the old and the new values.
    Widen,
    /// The new values go into a column of their own.
    AddColumn,
}

/// How names of streams and properties become names of tables and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameCase {
    /// Unchanged.
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
    /// Schema of the tables. By default the schema that the tap names, else the part of the
    /// stream's name before the last `-`, else `public`.
    pub default_target_schema: Option<String>,
    /// Target schema by schema of the source, as `{"sales": {"target_schema": "raw_sales"}}`. An
    /// entry may also have `target_schema_select_permissions`, and `indices` for new tables
    /// (`{"orders": ["customer_id"]}`). `default_target_schema` applies to all other schemas.
    #[serde(default)]
    pub schema_mapping: BTreeMap<String, Place>,
    /// Roles that receive SELECT on new tables and USAGE on their schemas: a name, a list, or
    /// `{"users": [...], "groups": [...]}`.
    #[schemars(extend("x-aliases" = ["default_target_schema_select_permission"]))]
    pub default_target_schema_select_permissions: Option<Readers>,
    /// Table name by stream, as `{"public-orders": "orders_eu"}`. By default the name of the stream
    /// gives the name of its table.
    #[serde(default)]
    pub table_names: BTreeMap<String, String>,
    /// Rows to remove, as `{"customers": {"mail": ["ann@example.com"]}}`. With it, `--plan` prints
    /// only the statements that remove them, and a load is refused. `chorus forget` sets it.
    #[serde(default)]
    pub forget_rows: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// `--plan` prints, in place of what a load would do, SQL that grants the user the rights it
    /// lacks. A load is refused then. `chorus doctor --grants` sets it.
    #[serde(default)]
    pub plan_grants: bool,
    /// Case of the names of tables and columns: `keep` leaves it unchanged, `lower` changes it to
    /// lower case. Names from other settings are used as written. If a name already exists in
    /// another case only, the load is refused.
    #[serde(default)]
    pub name_case: NameCase,
    /// What happens to rows since a state when the table of their stream is missing, or is not the
    /// table of that state. `refuse` ends the run. `make` creates the table with only these rows,
    /// or uses the table that is there. If the tap does not say which rows it leaves out, `refuse`
    /// prints a warning instead.
    #[serde(default)]
    pub missing_table: MissingTable,
    /// Adds the `_sdc_*` columns, which say when a row was extracted and loaded. With `false` those
    /// of the source are left out too, except `_sdc_deleted_at` with `hard_delete`.
    #[serde(default = "yes")]
    #[schemars(extend("x-aliases" = ["add_metadata_columns"]))]
    pub add_record_metadata: bool,
    /// Which `_sdc_*` columns to add: `_sdc_extracted_at`, `_sdc_received_at`, `_sdc_batched_at`,
    /// `_sdc_deleted_at`, `_sdc_sequence`, `_sdc_table_version` and `_sdc_sync_started_at`. By
    /// default all of them. Other `_sdc_*` columns of an existing table stay, and are null in new
    /// rows. `hard_delete` needs `_sdc_deleted_at`; `activate_version` needs that and
    /// `_sdc_table_version`.
    pub metadata_columns: Option<Vec<String>>,
    /// How rows reach the table: `append-only`, `upsert`, `overwrite` or `replace-partition`. By
    /// default `upsert` for streams with keys, else `replace-partition` for days of the dated
    /// folders, else `append-only`. `overwrite` and `replace-partition` keep the last of several
    /// rows with one key and print a warning. They also warn if ON DELETE CASCADE removes rows of
    /// other tables.
    pub load_method: Option<LoadMethod>,
    /// Removes rows of older versions from the table. By default they are marked as deleted. An
    /// `upsert` then also removes a row when its record has a value in `_sdc_deleted_at`.
    #[serde(default)]
    pub hard_delete: bool,
    /// Acts on `ACTIVATE_VERSION` messages: rows of older versions are removed or marked as
    /// deleted. A message counts only if the run has read all rows of its version. The setting
    /// needs `add_record_metadata`.
    #[serde(default = "yes")]
    #[schemars(extend("x-aliases" = ["process_activate_version_messages"]))]
    pub activate_version: bool,
    /// Number of rows of a stream after which they are merged into its table (`append-only` and
    /// `upsert`). By default they are merged before a state is printed and at the end.
    pub batch_size_rows: Option<u64>,
    /// Replaces U+0000 by U+FFFD. Postgres cannot store U+0000, so by default such a row is
    /// rejected.
    #[serde(default)]
    pub sanitize_null_text_characters: bool,
    /// Stores strings with `contentEncoding: base16` as `bytea`. Columns that are `bytea` in their
    /// source are always stored so.
    #[serde(default)]
    pub interpret_content_encoding: bool,
    /// Source of the partition for `replace-partition`. By default the source that the stream's
    /// schema names in `x-partition`. A stream that names another source is refused.
    #[schemars(extend("x-role" = "source"))]
    pub source: Option<String>,
    /// Day of the partition for `replace-partition`, as `YYYY-MM-DD`. By default the day that the
    /// stream's schema names in `x-partition`. A stream that names another day is refused.
    #[schemars(extend("x-role" = "datestamp"))]
    pub datestamp: Option<String>,
    /// What an upsert does with a column that a record lacks: `keep` leaves its value, `null` sets
    /// it to null. A record that follows the deletion of its row starts a new row without the old
    /// values.
    #[serde(default)]
    pub missing: Missing,
    /// What happens when the type of a column cannot hold the new values. `refuse` ends the run.
    /// `widen` changes a column of numbers, booleans, dates, times or uuids to text. `add_column`
    /// puts the new values into a column `NAME__TYPE`, and NULL into the old one. Columns of a key
    /// are always refused. A column gets a wider type where the schema of the stream names larger
    /// numbers or longer text than it holds.
    #[serde(default)]
    pub on_type_change: OnTypeChange,
    /// Seconds to wait for a lock on a table. After that the run ends with exit code 75.
    #[serde(default = "a_minute")]
    pub lock_timeout_seconds: u64,
    /// Refuses streams without keys.
    #[serde(default)]
    pub primary_key_required: bool,
    /// SQL to run before the first row, as one text or a list. It runs in one transaction, in a
    /// session of its own with the settings of the role. If it fails, nothing is loaded.
    pub before_run_sql: Option<Texts>,
    /// SQL to run after the last row, in the same way as `before_run_sql`. At that time all tables
    /// are committed and the state is printed. If the SQL fails, the loaded rows stay.
    pub after_run_sql: Option<Texts>,
    /// Accepted for compatibility and not used. The connection is always plain `postgresql`.
    #[serde(rename = "dialect+driver")]
    pub dialect_driver: Option<String>,
    /// Accepted for compatibility and not used. Rows are always loaded by COPY.
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
