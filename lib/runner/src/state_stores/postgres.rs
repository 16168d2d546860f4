//! Meltano's database on a Postgres server.

use std::fmt;

use pg::{Client, Config, ConnectionSettings};
use serde_json::json;
use singer::{Context, Error, ErrorKind, Result};

use super::database::{Database, Row};

/// How long the server may be silent.
const SILENT_SECONDS_MAX: u64 = 60;
/// Names are found as Meltano finds them: by the search path of the role, or of the URI.
const OWN_PATH: &str = "SELECT pg_catalog.set_config('search_path', reset_val, false) \
                        FROM pg_catalog.pg_settings WHERE name = 'search_path'";

/// A connection, which is made again where it has broken.
pub(super) struct Postgres {
    config: Config,
    client: Option<Client>,
    /// The setting that names the database; its value may have a password.
    setting: String,
}

impl Postgres {
    /// Connects to the server that a URI names.
    pub(super) fn open(uri: &str, setting: &str) -> Result<Self> {
        let settings = json!({
            "sqlalchemy_url": uri,
            "application_name": "chorus",
            "read_timeout_seconds": SILENT_SECONDS_MAX,
        });
        let settings: ConnectionSettings = serde_json::from_value(settings).map_err(|_| {
            Error::new(ErrorKind::Config, "cannot read the URI of Meltano's database")
                .with("setting", setting)
        })?;
        let config = settings.resolve().with("setting", setting)?;
        let mut database = Self { config, client: None, setting: setting.to_owned() };
        database.client().with("setting", setting)?;
        Ok(database)
    }

    fn client(&mut self) -> Result<&mut Client> {
        let known = self.client.take().filter(|client| !client.is_broken());
        let client = if let Some(client) = known {
            client
        } else {
            let mut client = Client::connect(&self.config)?;
            client.query(OWN_PATH, &[])?;
            client
        };
        Ok(self.client.insert(client))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("setting", &self.setting).finish_non_exhaustive()
    }
}

impl Database for Postgres {
    fn query(&mut self, sql: &str, params: &[&str]) -> Result<Vec<Row>> {
        let setting = self.setting.clone();
        let params: Vec<Option<&str>> = params.iter().copied().map(Some).collect();
        let done = self.client().and_then(|client| client.query(sql, &params));
        let rows = done.with("database of", setting)?;
        let cells =
            |row: &pg::Row| (0..row.width()).map(|at| row.get(at).map(str::to_owned)).collect();
        Ok(rows.iter().map(cells).collect())
    }

    fn hexadecimal(&self, column: &str) -> String {
        format!("encode({column}, 'hex')")
    }

    fn begin(&mut self) -> Result<()> {
        self.query("BEGIN", &[])?;
        // Nobody begins a job between a look and a mark.
        self.query("LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE", &[]).map(drop)
    }

    fn name(&self) -> String {
        format!("Meltano's database of {}", self.setting)
    }
}
