//! Records that do not fit: set aside in a file up to a limit, beyond it the end of the run.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::error::{ErrorKind, ResultExt as _};
use crate::settings::Common;

/// The reject file of a run.
pub struct Rejects {
    path: PathBuf,
    file: Option<File>,
    include_record: bool,
    limit: u64,
    count: u64,
}

impl Rejects {
    /// Takes the settings; makes no file yet.
    pub fn new(common: &Common) -> Self {
        Self {
            path: PathBuf::from(&common.rejects_file),
            file: None,
            include_record: common.rejects_include_record,
            limit: common.max_rejects,
            count: 0,
        }
    }

    /// Sets a record aside, or fails with `failure` when the limit is reached. The failure's
    /// context (line, stream, key, column, ...) goes into the file.
    pub fn add(&mut self, record: &[u8], failure: Error) -> Result<()> {
        if self.count >= self.limit {
            let hint = if self.limit == 0 {
                "correct the record, or set `max_rejects` to set such records aside".to_owned()
            } else {
                format!("`max_rejects` of {} is used up: see {}", self.limit, self.path.display())
            };
            return Err(if failure.has_hint() { failure } else { failure.hint(hint) });
        }
        self.count += 1;
        let mut line = json!({});
        for (key, value) in failure.context_pairs() {
            line[key] = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
        }
        if line.get("reason").is_none() {
            line["reason"] = failure.message().into();
        }
        if self.include_record {
            let text = String::from_utf8_lossy(record);
            line["record"] = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text));
        }
        let mut text = line.to_string();
        text.push('\n');
        self.write(text.as_bytes()).map_err(|failure| failure.with("path", self.path.display()))
    }

    /// Returns how many records were set aside.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Says at the end of a run how many records were set aside.
    pub fn report(&self) {
        if self.count > 0 {
            log::warn!("{} records did not fit and are in {}", self.count, self.path.display());
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(&self.path)
                    .or_kind(ErrorKind::Io, "cannot open the rejects file")?,
            ),
        };
        file.write_all(line).or_kind(ErrorKind::Io, "cannot write the rejects file")
    }
}
