//! How the rows of a stream reach their table, where the settings leave that open.

use singer::Stream;

use crate::settings::{LoadMethod, Settings};

/// Returns how the rows of a stream reach their table.
pub fn of(settings: &Settings, stream: &Stream) -> LoadMethod {
    match settings.load_method {
        Some(LoadMethod::Upsert) if stream.keys.is_empty() => {
            warn_of_no_keys(stream);
            LoadMethod::AppendOnly
        }
        Some(method) => method,
        None if !stream.keys.is_empty() => LoadMethod::Upsert,
        // A day that is loaded again must not double its rows.
        None if stream.schema.contains_key(singer::schema::PARTITION) => {
            LoadMethod::ReplacePartition
        }
        None => {
            warn_of_no_keys(stream);
            LoadMethod::AppendOnly
        }
    }
}

/// Says which rows are added again: of a stream with a bookmark each run reads those at it again.
fn warn_of_no_keys(stream: &Stream) {
    let again = match &stream.replication_key {
        Some(key) => format!(
            "each run adds those at its bookmark (the last {}) again, and a load without a state \
             adds all again",
            singer::error::printable(key)
        ),
        None => {
            "they are added again when they come again, in a repeated load or from a file that \
                  has grown"
                .to_owned()
        }
    };
    singer::warn!(
        "W-NO-KEYS",
        "stream {} has no keys: its rows are appended, and {again}; declare keys, or set \
         `load_method`",
        stream.name
    );
}
