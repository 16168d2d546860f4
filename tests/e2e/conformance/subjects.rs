//! Every connector, set up on the smallest thing that it can read or write. A new connector gets
//! its lines here, and all cases are run over it.

use std::any::Any;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::invariants::{Partition, Place, Table};
use support::messages::Lines;
use support::pipes::{DAY, to_lake};
use support::run::{Run, file, ours};
use support::sshd::{Sshd, age};
use support::web::{Reply, Web};

/// The rows that every tap has to read, each with the column `id` and `name`.
pub const ROWS: [(i64, &str); 3] = [(1, "a"), (2, "é, \"quoted\"\nand on"), (3, "")];

/// A tap on one stream of three rows, whose key is `id`.
pub struct Tap {
    /// The connector.
    pub name: &'static str,
    /// The name of the stream.
    pub stream: &'static str,
    /// Its settings.
    pub settings: Value,
    /// What it reads, for as long as it is there.
    _source: Box<dyn Any>,
}

impl Tap {
    /// Describes a run of it.
    pub fn run(&self) -> Run {
        ours(self.name).config(&self.settings)
    }
}

/// Returns every tap.
pub fn taps() -> Vec<Tap> {
    let of = |name, stream, (source, settings): (Box<dyn Any>, Value)| Tap {
        name,
        stream,
        settings,
        _source: source,
    };
    vec![
        of("tap-api", "t", api()),
        of("tap-csv", "t", csv()),
        of("tap-lake", "t", lake()),
        of("tap-postgres", "public-t", postgres()),
        of("tap-sftp", "t", sftp()),
    ]
}

fn text() -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    ROWS.iter()
        .fold("id,name\n".to_owned(), |text, (id, name)| text + &format!("{id},{}\n", quoted(name)))
}

fn api() -> (Box<dyn Any>, Value) {
    let rows: Vec<Value> =
        ROWS.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    let web = Web::start(move |_| Reply::json(&json!(rows)));
    let stream = json!({ "name": "t", "path": "/t", "primary_keys": ["id"] });
    let settings = json!({ "api_url": web.url, "streams": [stream] });
    (Box::new(web), settings)
}

fn csv() -> (Box<dyn Any>, Value) {
    let scratch = folder();
    let path = file(scratch.path(), "t.csv", text());
    let settings = json!({ "files": [{ "entity": "t", "path": path, "keys": ["id"] }] });
    (Box::new(scratch), settings)
}

fn lake() -> (Box<dyn Any>, Value) {
    let scratch = folder();
    to_lake(scratch.path(), "s", DAY).input(Lines::whole(&ROWS).0).go().success();
    let settings = json!({ "output": scratch.path(), "datestamp": DAY });
    (Box::new(scratch), settings)
}

fn postgres() -> (Box<dyn Any>, Value) {
    let source = database("conformance");
    source.psql("CREATE TABLE t (id integer PRIMARY KEY, name text)");
    for (id, name) in ROWS {
        source.psql(&format!("INSERT INTO t VALUES ({id}, '{name}')"));
    }
    let settings = source.settings_with(&json!({}));
    (Box::new(source), settings)
}

fn sftp() -> (Box<dyn Any>, Value) {
    let server = Sshd::start();
    age(&server.put("/in/t.csv", text()), std::time::Duration::from_hours(1));
    let entry = json!({ "table_name": "t", "remote_path": "/in/t.csv", "key_properties": ["id"] });
    let mut settings = server.settings(&json!([entry]));
    settings["add_metadata_columns"] = json!(false);
    (Box::new(server), settings)
}

/// A target, and the place where the stream `t` lands.
pub struct Target {
    /// The connector.
    pub name: &'static str,
    /// Its settings.
    pub settings: Value,
    place: Where,
}

enum Where {
    Day(tempfile::TempDir),
    Table(Database),
}

impl Target {
    /// Feeds it with lines.
    pub fn feed(&self, lines: &Lines) -> support::run::Outcome {
        ours(self.name).config(&self.settings).input(lines.0.clone()).go()
    }

    /// Returns the rows that readers see, as `id,name`; `None` where there is no table or day.
    pub fn seen(&self) -> Option<String> {
        match &self.place {
            Where::Day(lake) => {
                Partition { lake: lake.path(), source: "s", day: DAY, table: "t" }.seen()
            }
            Where::Table(database) => {
                Table { database, schema: "public", name: "t", columns: "id, name" }.seen()
            }
        }
        .map(|seen| seen.strip_prefix("id,name\n").map_or(seen.clone(), str::to_owned))
    }
}

/// Returns every target, once for each way to load.
pub fn targets() -> Vec<Target> {
    let lake = folder();
    let settings = json!({ "output_path": lake.path(), "source": "s", "datestamp": DAY });
    let mut targets = vec![Target { name: "target-csv", settings, place: Where::Day(lake) }];
    for method in ["upsert", "overwrite", "replace-partition"] {
        let database = database("conformance");
        let settings = database.settings_with(&json!({
            "default_target_schema": "public", "load_method": method, "source": "s",
            "datestamp": DAY,
        }));
        let place = Where::Table(database);
        targets.push(Target { name: "target-postgres", settings, place });
    }
    targets
}
