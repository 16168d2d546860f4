//! A mapper that copies, renames and leaves out streams and columns: the example of a mapper.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use singer::{About, Cell, Error, ErrorKind, Mapper, Result, Route, Stream};

/// What a user can set.
#[derive(Debug, Deserialize, JsonSchema)]
struct Settings {
    /// What each stream becomes: a list of names, which may be empty. Others stay as they are.
    #[serde(default)]
    streams: BTreeMap<String, Vec<String>>,
    /// Columns that are left out, wherever they are.
    #[serde(default)]
    without: Vec<String>,
    /// Rows whose first column is one of these texts are left out.
    #[serde(default)]
    skip: Vec<String>,
}

struct MapExample {
    settings: Settings,
}

impl Mapper for MapExample {
    const ABOUT: About = About {
        name: "map-example",
        version: env!("CARGO_PKG_VERSION"),
        description: "Copies, renames and leaves out streams and columns.",
        capabilities: &[],
    };
    type Settings = Settings;

    fn open(settings: Settings) -> Result<Self> {
        Ok(Self { settings })
    }

    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>> {
        let itself = vec![stream.name.clone()];
        let names = self.settings.streams.get(&stream.name).unwrap_or(&itself);
        names.iter().map(|name| self.route(stream, name)).collect()
    }
}

impl MapExample {
    fn route(&self, stream: &Stream, name: &str) -> Result<Route> {
        let left_out = |column: &String| self.settings.without.contains(column);
        if let Some(key) = stream.keys.iter().find(|key| left_out(key)) {
            return Err(Error::new(ErrorKind::Config, "cannot leave out a key")
                .with("column", key)
                .hint("take it out of `without`"));
        }
        let mut schema = stream.schema.clone();
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|column, _| !left_out(column));
        }
        let columns = stream.columns.iter().enumerate();
        let kept = columns.filter(|(_, column)| !left_out(&column.name)).map(|(at, _)| at);
        let (kept, skip): (Vec<usize>, _) = (kept.collect(), self.settings.skip.clone());
        Ok(Route {
            stream: stream.mapped(name, schema, stream.keys.clone()),
            rows: Box::new(move |row, cells| {
                if let Cell::Text(text) = row.cell(0)
                    && skip.iter().any(|one| one.as_bytes() == text)
                {
                    return Ok(());
                }
                for at in &kept {
                    cells.push_cell(row.cell(*at));
                }
                Ok(())
            }),
        })
    }
}

fn main() -> std::process::ExitCode {
    singer::run_mapper::<MapExample>()
}
