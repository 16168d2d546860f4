//! What a plain file was written for, where its name does not tell: a note beside it says so.
//!
//! A file is replaced by each run of its stream and day. One that another stream or day has would
//! be lost: streams of two runs are kept apart as those of one run are, and a day is reported.

use std::path::{Path, PathBuf};

use disk::replace::{hidden, remove_file};
use disk::{Datestamp, replace_file};
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use crate::old_file::holds_rows;

/// What the names of a scheme do not tell apart.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenFor {
    /// The source, where names have it.
    pub source: Option<String>,
    /// The day, where names of other days are the same.
    pub day: Option<Datestamp>,
}

impl WrittenFor {
    /// Returns what the note beside the file of a stream says.
    pub fn note(&self, stream: &str) -> Value {
        let day = self.day.map(|day| day.to_string());
        json!({ "stream": stream, "source": self.source, "day": day })
    }
}

/// Refuses to replace the file of another stream or source, and tells of one of another day.
pub fn check(path: &Path, ours: &Value) -> Result<()> {
    let known = lake::read_small(&note_path(path))?;
    let known = known.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let Some(theirs) = known.filter(|known| known != ours) else { return Ok(()) };
    if !holds_rows(path)? {
        return Ok(());
    }
    let text = |note: &Value, name: &str| note[name].as_str().unwrap_or_default().to_owned();
    if ["stream", "source"].iter().any(|name| theirs[*name] != ours[*name]) {
        let mut refused =
            Error::new(ErrorKind::Config, "cannot replace the file of another stream")
                .with("path", path.display())
                .with("other stream", text(&theirs, "stream"));
        if theirs["source"].is_string() {
            refused = refused.with("source of the other stream", text(&theirs, "source"));
        }
        return Err(refused.hint(
            "use a `file_naming_scheme` that distinguishes them, such as \
             {source}/{stream_name}.csv; if the other stream is no longer written, remove the file",
        ));
    }
    singer::warn!(
        "W-FILE-REPLACED",
        "the file of {} is replaced by that of {}, because both have the same time in their name: \
         {}",
        text(&theirs, "day"),
        text(ours, "day"),
        path.display()
    );
    Ok(())
}

/// Removes the note of a file that is about to be replaced.
pub fn remove(path: &Path) -> Result<()> {
    remove_file(&note_path(path))
}

/// Writes the note of a file that was replaced.
pub fn write(path: &Path, ours: &Value) -> Result<()> {
    replace_file(&note_path(path), ours.to_string().as_bytes(), 0o640)
}

fn note_path(path: &Path) -> PathBuf {
    hidden(path, ".written_for.json")
}
