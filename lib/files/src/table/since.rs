//! What a bookmark says of a table: which of its files are to be read, and whether all are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::{Value, json};
use singer::{Coverage, Error, ErrorKind, Result, Stream};

use super::{SKIPPED_TOLD, Table, found_once};
use crate::identity::Identity;
use crate::open;
use crate::progress::Progress;
use crate::settings::TextSettings;

/// What is to be read of a table.
pub(super) struct Due {
    /// What is known of its files.
    pub(super) progress: Progress,
    /// The files to read.
    pub(super) unread: Vec<String>,
    /// Those of them that are new files by names of others, which were read and have other names
    /// now.
    renewed: Vec<String>,
    /// What comes of its rows.
    pub(super) coverage: Coverage,
}

impl Due {
    /// Names the files to read for people. One that was read before, and is read again whole, is
    /// its path alone: by that `chorus` knows rows that come twice.
    pub(super) fn steps(&self) -> Vec<String> {
        let step = |path: &String| {
            let new = self.renewed.contains(path);
            let what = if new { " (a new file: the file with this name was renamed)" } else { "" };
            format!("{path}{what}")
        };
        self.unread.iter().map(step).collect()
    }
}

/// The files of a table, sorted by what is known of them.
#[derive(Default)]
struct Sorted {
    unread: Vec<String>,
    /// Those that were read, by these names or others.
    skipped: Vec<String>,
    /// Those to read whose names had other bytes.
    changed: Vec<String>,
    /// Those to read whose names had other files, which have other names now.
    renewed: Vec<String>,
}

/// Values of settings up to this length stand in a bookmark as they are, others by their sum.
const VALUE_BYTES_MAX: usize = 24;

impl Table {
    /// Compares the files with the bookmark.
    ///
    /// What decides the rows of a file is part of what the bookmark knows: its bytes, the settings
    /// that it is read by, and the columns that were left out. A change of one reads it again.
    pub(super) fn compare(&mut self, stream: &Stream, since: &Value) -> Result<Due> {
        let mut progress = Progress::of(since);
        if Progress::is_strange(since) {
            singer::warn!(
                "W-BOOKMARK-UNUSED",
                "stream {}: the tap does not use its bookmark, because it is not one of files. It \
                 reads all files, and `append-only` adds their rows again",
                self.name()
            );
        }
        let files = self.find(&progress)?;
        self.check_finished()?;
        if let Some(why) = self.outdated(&progress, stream) {
            singer::warn!(
                "W-SETTINGS-CHANGED",
                "stream {}: {why}: reading all of its files again",
                self.name()
            );
            return Ok(self.all(stream, files));
        }
        progress.set_settings(self.deciding(stream));
        let found: BTreeSet<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        let is_found = |path: &str| found.contains(path);
        if self.settings.whole {
            // What is gone was taken out of the table.
            progress.remember(Vec::new());
        }
        let back = progress.find_again(is_found);
        let some_are_gone = progress.keep(is_found);
        let until = Progress::read_until(since)?;
        if let Some(time) = until {
            if time > SystemTime::now() {
                singer::warn!(
                    "W-BOOKMARK-IN-FUTURE",
                    "stream {}: the `modified_since` of its bookmark is later than now, and no \
                     file up to it is read. Set it in the state to a time up to which all files \
                     were read, or remove the bookmark",
                    self.name()
                );
            }
            for (path, identity) in &files {
                if identity.modified <= time {
                    progress.set(path, *identity, None, None)?;
                }
            }
        }
        let Sorted { unread, skipped, changed, renewed } =
            self.sort(&files, &back, &mut progress)?;
        if self.settings.whole && (some_are_gone || !unread.is_empty()) {
            // A state on the way must not name what this read has yet to come to.
            return Ok(self.all(stream, files));
        }
        if stream.keys.is_empty() {
            self.tell_changed(&changed);
        }
        for path in skipped.iter().take(SKIPPED_TOLD) {
            let why = if back.contains(path) { "it was gone for some time and is " } else { "" };
            tracing::info!("skipping {path}: {why}unchanged since it was read");
        }
        if skipped.len() > SKIPPED_TOLD {
            tracing::info!("skipping {} more unchanged files", skipped.len() - SKIPPED_TOLD);
        }
        // Rows of files that are gone were read as well, and do not come now.
        let read = if until.is_none() && progress.is_of(&unread) {
            Coverage::Whole
        } else {
            Coverage::since(since)
        };
        let coverage = self.covered(read);
        Ok(Due { progress, unread, renewed, coverage })
    }

    /// Sorts the files into those to read and those that were read, by these names or others.
    ///
    /// A file is known by its bytes, whatever took its name: where a name has other bytes now,
    /// those that were read may be there by another name, as logs are rotated.
    fn sort(
        &self,
        files: &[(String, Identity)],
        back: &BTreeSet<String>,
        progress: &mut Progress,
    ) -> Result<Sorted> {
        let mut gone = progress.take_gone();
        let (mut sorted, mut others) = (Sorted::default(), Vec::new());
        for (path, identity) in files {
            if progress.has(path, *identity, |same_time| self.settle(path, same_time))? {
                sorted.skipped.push(path.clone());
                continue;
            }
            gone.extend(progress.replaced(path));
            if back.contains(path) {
                progress.forget(path);
            }
            others.push((path, *identity));
        }
        for (path, identity) in others {
            let own = gone.iter().position(|gone| gone.path == *path).map(|at| gone.remove(at));
            // All of a whole table is read again as one is gone.
            let known = !self.settings.whole
                && !gone.is_empty()
                && self.has_moved(path, identity, &mut gone, progress)?;
            gone.extend(own);
            let list = if known { &mut sorted.skipped } else { &mut sorted.unread };
            list.push(path.clone());
        }
        // One whose bytes were found by another name is a new file.
        let is_left = |path: &String| gone.iter().any(|gone| gone.path == *path);
        let known = sorted.unread.iter().filter(|path| progress.knows(path)).cloned();
        (sorted.changed, sorted.renewed) = known.partition(is_left);
        progress.remember(gone);
        Ok(sorted)
    }

    /// Tells of files that were read before and come again, all of their rows, where no key has
    /// the new ones take the place of the old ones.
    fn tell_changed(&self, changed: &[String]) {
        let Some(first) = changed.first() else { return };
        let more = changed.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        singer::warn!(
            "W-NO-KEYS",
            "stream {}: {first}{more} changed since it was read, and its rows have no key: all of \
             its rows come again, and a load that only adds rows has them twice; declare keys, or \
             set `whole_tables` and replace the table (`load_method: overwrite`)",
            self.name()
        );
    }

    /// Returns what comes of a read that leaves out files which are still being written.
    fn covered(&self, read: Coverage) -> Coverage {
        match self.store.unfinished() {
            Some(path) => read.without(path),
            None => read,
        }
    }

    /// Takes all files for unread.
    fn all(&self, stream: &Stream, files: Vec<(String, Identity)>) -> Due {
        let mut progress = Progress::default();
        progress.set_settings(self.deciding(stream));
        let unread = files.into_iter().map(|(path, _)| path).collect();
        Due { progress, unread, renewed: Vec::new(), coverage: self.covered(Coverage::Whole) }
    }

    /// Says what has changed since the files were read, other than the files.
    fn outdated(&self, progress: &Progress, stream: &Stream) -> Option<String> {
        if progress.is_empty() {
            return None;
        }
        // A bookmark from before settings were kept in it is taken as it is, as is one from before
        // keys were.
        let (now, keys) = (self.deciding(stream), self.settings.words.keys);
        let changed: Vec<&str> = progress.settings().map_or_else(Vec::new, |before| {
            let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            let is_kept = |name: &str| name != keys || before.contains_key(name);
            let changed = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
            let changed = changed.filter(|name| is_kept(name));
            changed.map(String::as_str).collect()
        });
        if !changed.is_empty() {
            return Some(format!("`{}` changed since its files were read", changed.join("`, `")));
        }
        let columns = names(stream);
        let wanted: Vec<&str> = progress.left_out().filter(|name| columns.contains(name)).collect();
        let told = wanted.first()?;
        Some(format!("{} columns, such as {told}, were left out of it before", wanted.len()))
    }

    /// Returns what decides the rows: settings, and the key, by which they replace others.
    fn deciding(&self, stream: &Stream) -> BTreeMap<String, Value> {
        let mut deciding = self.row_settings();
        let mut keys = stream.keys.clone();
        keys.sort();
        deciding.insert(self.settings.words.keys.to_owned(), short(keys.into()));
        deciding
    }

    /// Returns the settings that decide the rows, where they are not the default.
    pub(super) fn row_settings(&self) -> BTreeMap<String, Value> {
        let settings = &self.settings;
        let default: Option<TextSettings> = serde_json::from_value(json!({})).ok();
        let values = |text: &TextSettings| serde_json::to_value(text).unwrap_or_default();
        let default = default.as_ref().map(values).unwrap_or_default();
        let given = values(&settings.text);
        let mut found = BTreeMap::new();
        for (name, value) in given.as_object().into_iter().flatten() {
            // It decides about files without rows.
            let is_default = *value == default[name]
                || name == "allow_empty_files"
                || name == "encoding" && *value == TextSettings::ENCODING;
            if !is_default {
                found.insert(name.clone(), value.clone());
            }
        }
        if let Some(format) = settings.format {
            found.insert("format".to_owned(), json!(format));
        }
        if let Some(delimiter) = settings.delimiter {
            found.insert("delimiter".to_owned(), delimiter.to_string().into());
        }
        if !settings.metadata.is_empty() {
            let names: Vec<_> = settings.metadata.iter().map(|column| column.name()).collect();
            found.insert("add_metadata_columns".to_owned(), json!(names));
        }
        found.into_iter().map(|(name, value)| (name, short(value))).collect()
    }

    /// Returns the columns that the stream does not have, though the catalog knows them.
    pub(super) fn deselected(stream: &Stream) -> BTreeSet<String> {
        let property = |breadcrumb: &Vec<String>| match breadcrumb.as_slice() {
            [properties, name] if properties == "properties" => Some(name.clone()),
            _ => None,
        };
        let selected = names(stream);
        let known = stream.metadata.keys().filter_map(property);
        known.filter(|name| !selected.contains(name.as_str())).collect()
    }

    /// Finds the files and what they are. After a discovery they are those it saw, as they were: a
    /// file that came since may have columns that the stream lacks, so it is left for the next run.
    fn find(&mut self, progress: &Progress) -> Result<Vec<(String, Identity)>> {
        if self.discovered.is_empty() {
            let known = |path: &str, identity: Identity| progress.seems_to_have(path, identity);
            let paths = match self.found.take() {
                Some(paths) => paths,
                None => self.store.find(&known)?,
            };
            self.forms = self.with_forms(paths)?;
            let identified = self.forms.keys().map(|path| {
                let identity = found_once(path, self.store.identity(path))?;
                Ok((path.clone(), identity))
            });
            return identified.collect();
        }
        for (path, before) in &self.discovered {
            if found_once(path, self.store.identity(path))? != *before {
                return Err(crate::failure::changed(path));
            }
        }
        Ok(self.discovered.clone())
    }

    /// Refuses a table that is to be whole while one of its files is left for another run.
    pub(super) fn check_finished(&self) -> Result<()> {
        match self.store.unfinished() {
            Some(path) if self.settings.whole => {
                let message = "cannot read a whole table while one of its files is being written";
                Err(Error::new(ErrorKind::Temporary, message)
                    .with(self.settings.words.table, self.name())
                    .with("path", path)
                    .hint("run again after its writer has finished"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the sum of a file that may be as it was, where it is worth reading for that.
    fn settle(&self, path: &str, same_time: bool) -> Result<Option<String>> {
        let worth = same_time || self.store.is_near();
        if worth { open::sum(&*self.store, path).map(Some) } else { Ok(None) }
    }
}

fn names(stream: &Stream) -> BTreeSet<&str> {
    stream.columns.iter().map(|column| column.name.as_str()).collect()
}

/// Keeps what a bookmark holds of a setting short.
fn short(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= VALUE_BYTES_MAX {
        return value;
    }
    format!("sha256:{}", &disk::sum(text)[..16]).into()
}
