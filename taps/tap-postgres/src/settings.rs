//! The settings of tap-postgres.

use std::collections::BTreeMap;
use std::time::Duration;

use pg::ConnectionSettings;
use pg::convert::NanPolicy;
use pg::types::Choices;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use singer::catalog::ReplicationMethod;
use singer::{Error, ErrorKind, OtherSetting, Result};

/// The settings of tap-postgres.
#[expect(dead_code, reason = "the settings of LOG_BASED are accepted by name only")]
#[expect(clippy::struct_excessive_bools, reason = "one field a setting")]
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The connection.
    #[serde(flatten)]
    pub connection: ConnectionSettings,
    /// Schemas to discover, as a list or separated by commas. By default all schemas except those
    /// of the system, and also by an empty list, as in Meltano.
    #[serde(default)]
    pub filter_schemas: Option<Names>,
    /// Tables to read, as a list or separated by commas. A name is `schema.table`, and `*` stands
    /// for any text: `[public.orders, "sales.*"]`. By default all tables; an empty list is refused.
    /// With a catalog, a table must also be selected there.
    #[serde(default)]
    pub tables: Option<Names>,
    /// Replication method and key by table, with names as in `tables`: `{"public.orders":
    /// {"method": "INCREMENTAL", "key": "updated_at"}}`. The setting wins over the catalog. An
    /// exact name wins over a pattern.
    #[serde(default)]
    pub replication: BTreeMap<String, Replication>,
    /// Replication method of streams that have none. With `FULL_TABLE` they are all read in full.
    /// With `INCREMENTAL`, as without this setting, those with a replication key are read from
    /// their bookmark. `LOG_BASED` is not supported yet and ends the run.
    #[serde(default)]
    pub default_replication_method: Option<Method>,
    /// Largest number of records that a run reads of each stream, 1 or more. By default there is no
    /// limit. A `FULL_TABLE` run leaves out the rest. An `INCREMENTAL` run also reads the other
    /// rows with the last key, and the next run continues after them.
    #[serde(default)]
    pub max_record_count: Option<u64>,
    /// Declares dates and timestamps as strings without a format. The values are as Postgres prints
    /// them.
    #[serde(default)]
    pub dates_as_string: bool,
    /// Declares json and jsonb columns as objects. By default they may hold any JSON value.
    #[serde(default)]
    pub json_as_object: bool,
    /// What happens to NaN and infinite numbers: `string` keeps them as text ("NaN"), `null`
    /// replaces them by null, `fail` rejects the row.
    #[serde(default)]
    pub nan_policy: Nan,
    /// Form of arrays: `json` for JSON arrays, `text` for the notation of Postgres (`{1,2}`).
    #[serde(default)]
    pub arrays_as: Arrays,
    /// How far before its bookmark an INCREMENTAL stream starts: in seconds if the replication key
    /// is a date or time, else in units of the key. Set it if rows can appear later than their key
    /// says, for example when a job writes times of the past, or when they come from a foreign
    /// server, a subscription or a materialized view. Targets that only append rows append those of
    /// this range again.
    #[serde(default)]
    pub lookback_window: u64,
    /// Seconds to wait, before INCREMENTAL streams are read, for open transactions that write their
    /// tables. Such a transaction may still add rows before those that the run reads. If it stays
    /// open longer, the tap prints a warning and does not move the bookmark, and the next run reads
    /// the rows again.
    #[serde(default = "five")]
    pub writers_wait_seconds: u64,
    /// Options by stream: `lookback_window`, and `custom_where_clauses`. These clauses are
    /// conditions in SQL, and a row is read only if all of them are true: `{"public-orders":
    /// {"custom_where_clauses": ["status = 'paid'"]}}`. Targets do not treat rows that the clauses
    /// leave out as deleted.
    #[serde(default)]
    #[schemars(extend("x-role" = "where-clauses"))]
    pub stream_options: BTreeMap<String, StreamOptions>,
    /// `--plan` prints, in place of what it would read, SQL that grants the user the rights it
    /// lacks. Discovery then also lists tables that the user may not read yet, and a run is
    /// refused. `chorus doctor --grants` sets it.
    #[serde(default)]
    pub plan_grants: bool,
    /// Accepted for compatibility, for `LOG_BASED` only: name of the replication slot.
    #[serde(default)]
    pub replication_slot_name: Option<String>,
    /// Accepted for compatibility, for `LOG_BASED` only: longest time of a run, in seconds.
    #[serde(default)]
    pub replication_max_run_seconds: Option<u64>,
    /// Accepted for compatibility, for `LOG_BASED` only: idle seconds after which a run ends.
    #[serde(default)]
    pub replication_idle_exit_seconds: Option<u64>,
    /// Accepted for compatibility, for `LOG_BASED` only.
    #[serde(default)]
    pub log_based_single_connection: bool,
    /// Accepted for compatibility, for `LOG_BASED` only.
    #[serde(default)]
    pub auto_bootstrap_log_based: bool,
}

/// Names as a list or in one string.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Names {
    /// A list.
    List(Vec<String>),
    /// Separated by commas.
    Text(String),
}

impl Names {
    /// Returns the names.
    pub fn list(&self) -> Vec<String> {
        match self {
            Self::List(names) => names.clone(),
            Self::Text(text) => serde_json::from_str(text).unwrap_or_else(|_| {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                names.map(str::to_owned).collect()
            }),
        }
    }
}

/// Options of one stream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamOptions {
    /// Replaces the setting `lookback_window` for this stream.
    pub lookback_window: Option<u64>,
    /// Conditions in SQL, as in WHERE. A row is read only if all of them are true.
    pub custom_where_clauses: Option<Clauses>,
}

/// Conditions as a list, or one alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Clauses {
    /// All of them.
    List(Vec<String>),
    /// The only one.
    One(String),
}

impl Clauses {
    /// Returns the conditions.
    pub fn list(&self) -> &[String] {
        match self {
            Self::List(clauses) => clauses,
            Self::One(clause) if clause.is_empty() => &[],
            Self::One(clause) => std::slice::from_ref(clause),
        }
    }
}

/// How a table is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replication {
    /// Replication method of the table. By default `INCREMENTAL` if there is a `key`, else
    /// `FULL_TABLE`.
    pub method: Option<Method>,
    /// Column that orders an `INCREMENTAL` read. By default the replication key of the catalog.
    pub key: Option<String>,
}

/// A replication method, in Singer's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Method {
    /// Every row, every time.
    FullTable,
    /// Rows at or beyond the bookmark.
    Incremental,
    /// Changes from the write-ahead log; not supported yet.
    LogBased,
}

impl Method {
    /// Returns the same method, as Singer has it.
    pub fn of_singer(self) -> ReplicationMethod {
        match self {
            Self::FullTable => ReplicationMethod::FullTable,
            Self::Incremental => ReplicationMethod::Incremental,
            Self::LogBased => ReplicationMethod::LogBased,
        }
    }

    fn is_by_log(self) -> bool {
        self == Self::LogBased
    }
}

/// What happens to NaN and infinite numbers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nan {
    /// They stay, as text.
    #[default]
    String,
    /// They become null.
    Null,
    /// The row is rejected.
    Fail,
}

/// How arrays travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrays {
    /// As JSON arrays.
    #[default]
    Json,
    /// As array literals.
    Text,
}

impl Settings {
    /// Refuses what is accepted by name only, and a run without a record or a table.
    ///
    /// The rule: an empty list of what to read does not stand for all there is. It is refused, or
    /// told where the programs that this one replaces read all (`filter_schemas`).
    pub fn check(&self) -> Result<()> {
        let mut methods = self.replication.values().filter_map(|replication| replication.method);
        if self.default_replication_method.into_iter().chain(&mut methods).any(Method::is_by_log) {
            return Err(singer::tap::no_log());
        }
        if self.max_record_count == Some(0) {
            return Err(Error::new(ErrorKind::Config, "cannot use 0 as the limit of records")
                .with("setting", "max_record_count")
                .hint("set it to 1 or more, or remove it to read all records"));
        }
        if self.tables.as_ref().is_some_and(|names| names.list().is_empty()) {
            return Err(Error::new(ErrorKind::Config, "cannot read an empty list of tables")
                .with("setting", "tables")
                .hint("name a table, or leave the setting out to read all tables"));
        }
        if self.filter_schemas.is_some() && self.schemas().is_none() {
            singer::warn!(
                "W-SETTING-UNUSED",
                "`filter_schemas` is empty, which leaves out no schema: name one, or remove it"
            );
        }
        Ok(())
    }

    /// Returns how far before its bookmark a stream is read.
    pub fn lookback(&self, stream: &str) -> u64 {
        let own = self.stream_options.get(stream).and_then(|options| options.lookback_window);
        own.unwrap_or(self.lookback_window)
    }

    /// Returns the conditions of the rows of a stream.
    pub fn conditions(&self, stream: &str) -> &[String] {
        let options = self.stream_options.get(stream);
        let clauses = options.and_then(|options| options.custom_where_clauses.as_ref());
        clauses.map(Clauses::list).unwrap_or_default()
    }

    /// Returns how long to wait for writers.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.writers_wait_seconds)
    }

    /// Returns the method of streams whose catalog entry has none.
    pub fn method(&self) -> Option<ReplicationMethod> {
        self.default_replication_method.map(Method::of_singer)
    }

    /// Returns the names of `filter_schemas`, if there are any.
    pub fn schemas(&self) -> Option<Vec<String>> {
        self.filter_schemas.as_ref().map(Names::list).filter(|names| !names.is_empty())
    }

    /// Returns the names and patterns of `tables`.
    pub fn tables(&self) -> Vec<String> {
        self.tables.as_ref().map(Names::list).unwrap_or_default()
    }

    /// Returns the choices about types.
    pub fn choices(&self) -> Choices {
        Choices {
            arrays_as_text: self.arrays_as == Arrays::Text,
            dates_as_string: self.dates_as_string,
            json_as_object: self.json_as_object,
        }
    }

    /// Returns the policy for numbers that are none.
    pub fn nan(&self) -> NanPolicy {
        match self.nan_policy {
            Nan::String => NanPolicy::String,
            Nan::Null => NanPolicy::Null,
            Nan::Fail => NanPolicy::Fail,
        }
    }
}

fn five() -> u64 {
    5
}

/// Settings of the programs that this one replaces, which it does not carry out.
pub const OTHERS: &[OtherSetting] = &[
    OtherSetting::without_effect("itersize"),
    OtherSetting::without_effect("tap_id"),
    OtherSetting::without_effect("logical_poll_total_seconds"),
    OtherSetting::without_effect("break_at_end_lsn"),
    OtherSetting::without_effect("max_run_seconds"),
    OtherSetting::without_effect("debug_lsn"),
    OtherSetting::not_yet(
        "use_secondary",
        "false",
        "set `host` and `port` to those of the replica",
    ),
    OtherSetting::without_effect("secondary_host"),
    OtherSetting::without_effect("secondary_port"),
    OtherSetting::not_yet("limit", "null", "set `max_record_count`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn schemas_come_as_list_or_text() {
        for json in [r#"["a","b"]"#, r#""a, b""#, r#""[\"a\",\"b\"]""#] {
            let names: Names = serde_json::from_str(json).unwrap();
            assert_eq!(names.list(), ["a", "b"], "{json}");
        }
    }

    #[test]
    fn a_stream_may_look_back_further_than_the_others() {
        let options =
            r#"{"lookback_window":5,"stream_options":{"a":{"lookback_window":9},"b":{}}}"#;
        let settings = settings(options);
        assert_eq!(["a", "b", "c"].map(|stream| settings.lookback(stream)), [9, 5, 5]);
    }

    #[test]
    fn conditions_come_as_a_list_or_alone() {
        let options = r#"{"stream_options":{"a":{"custom_where_clauses":["x","y"]},
            "b":{"custom_where_clauses":"x"},"c":{"custom_where_clauses":""},"d":{}}}"#;
        let settings = settings(options);
        let counts = ["a", "b", "c", "d", "e"].map(|stream| settings.conditions(stream).len());
        assert_eq!(counts, [2, 1, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        assert!(settings("{}").check().is_ok());
        for json in [
            r#"{"default_replication_method":"LOG_BASED"}"#,
            r#"{"replication":{"a.b":{"method":"LOG_BASED"}}}"#,
            r#"{"max_record_count":0}"#,
            r#"{"tables":[]}"#,
            r#"{"tables":" , "}"#,
        ] {
            assert_eq!(settings(json).check().unwrap_err().kind(), ErrorKind::Config, "{json}");
        }
    }
}
