//! The bookmark of a stream of files: what each file was, and how its rows were made.

mod gone;
mod older;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use singer::{ErrorKind, Result, ResultExt, whole};

pub(crate) use self::gone::Gone;
use crate::identity::Identity;

/// No file system's clock has longer steps (FAT: two seconds).
const CLOCK_STEP_MAX: Duration = Duration::from_secs(3);

/// Before this time (2000-01-01), or so far in the future, no file of today was written: such a
/// time was set by a program, or is that of a clock that is not right.
const TIMES_FROM: Duration = Duration::from_hours(262_968);
const CLOCK_FAULT_MAX: Duration = Duration::from_hours(24);

/// So many files that are gone are remembered.
const GONE_MAX: usize = 1000;

/// Which files were read, and what they were then.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    files: Map<String, Value>,
    /// Those that are gone, the last one last.
    gone: Vec<Gone>,
    /// The settings that decided the rows; none in a bookmark from before they were kept.
    settings: Option<BTreeMap<String, Value>>,
    /// The columns that the rows lack, though the files have them.
    left_out: BTreeSet<String>,
    /// Something has changed since it was last saved.
    unsaved: bool,
}

impl Progress {
    /// Reads a bookmark; anything but ours counts as none.
    pub fn of(bookmark: &Value) -> Self {
        let members = |name: &str| bookmark[name].as_object().cloned();
        let names = bookmark["left_out"].as_array().into_iter().flatten();
        Self {
            files: members(whole::FILES).unwrap_or_default(),
            gone: bookmark["gone"].as_array().into_iter().flatten().filter_map(Gone::of).collect(),
            settings: members("settings").map(|settings| settings.into_iter().collect()),
            left_out: names.filter_map(Value::as_str).map(str::to_owned).collect(),
            unsaved: false,
        }
    }

    /// Returns the settings that decided the rows, where the bookmark knows them.
    pub fn settings(&self) -> Option<&BTreeMap<String, Value>> {
        self.settings.as_ref()
    }

    /// Sets the settings that decide the rows.
    pub fn set_settings(&mut self, settings: BTreeMap<String, Value>) {
        self.unsaved |= !self.is_empty() && self.settings.as_ref() != Some(&settings);
        self.settings = Some(settings);
    }

    /// Returns the columns that were left out.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.left_out.iter().map(String::as_str)
    }

    /// Adds columns that are left out.
    pub fn leave_out(&mut self, names: impl IntoIterator<Item = String>) {
        let before = self.left_out.len();
        self.left_out.extend(names);
        self.unsaved |= !self.is_empty() && self.left_out.len() != before;
    }

    /// Sets the files aside that are gone; tells whether there are more of them than before.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) -> bool {
        let (files, gone) =
            std::mem::take(&mut self.files).into_iter().partition(|(path, _)| is_there(path));
        self.files = files;
        let gone: Map<String, Value> = gone;
        let some = !gone.is_empty();
        self.unsaved |= some;
        let aside = |(path, entry)| Gone { path, entry, is_replaced: false };
        self.gone.extend(gone.into_iter().map(aside));
        some
    }

    /// Takes the files that were gone and are there again for files that were read.
    pub(crate) fn find_again(&mut self, is_there: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let (back, gone) = std::mem::take(&mut self.gone)
            .into_iter()
            .partition(|gone: &Gone| is_there(&gone.path));
        self.gone = gone;
        let back: Vec<Gone> = back;
        self.unsaved |= !back.is_empty();
        let names = back.iter().map(|gone| gone.path.clone()).collect();
        self.files.extend(back.into_iter().map(|gone| (gone.path, gone.entry)));
        names
    }

    /// Returns the files that are gone, to be remembered again.
    pub(crate) fn take_gone(&mut self) -> Vec<Gone> {
        std::mem::take(&mut self.gone)
    }

    /// Remembers the last of these files that are gone.
    ///
    /// A file that is gone for a time, or out of sight, is no other when it is back: its rows have
    /// been written.
    pub(crate) fn remember(&mut self, gone: Vec<Gone>) {
        let mut gone: Vec<_> = gone.into_iter().filter(|gone| !gone.is_replaced).collect();
        gone.drain(..gone.len().saturating_sub(GONE_MAX));
        self.gone = gone;
    }

    /// Returns what the file of this name was, whose bytes are others now.
    pub(crate) fn replaced(&self, path: &str) -> Option<Gone> {
        let entry = self.files.get(path)?.clone();
        Some(Gone { path: path.to_owned(), entry, is_replaced: true })
    }

    /// Forgets a file.
    pub(crate) fn forget(&mut self, path: &str) {
        self.unsaved |= self.files.remove(path).is_some();
    }

    /// Tells whether a file of this name was read.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Tells whether all that was read was read of these files.
    pub(crate) fn is_of(&self, paths: &[String]) -> bool {
        let paths: BTreeSet<_> = paths.iter().collect();
        self.gone.is_empty() && self.files.keys().all(|path| paths.contains(path))
    }

    /// Tells whether size and time are those of a file that was read.
    pub fn seems_to_have(&self, path: &str, identity: Identity) -> bool {
        let gone = || self.gone.iter().find(|gone| gone.path == path).map(|gone| &gone.entry);
        self.files.get(path).or_else(gone).is_some_and(|known| is_alike(known, identity))
    }

    /// Tells whether the file is as it was read.
    ///
    /// Size, time, and on a disk the file's number and the time of its last change of any kind say
    /// so, where all are the same and the times can be trusted; else only the sum of its bytes
    /// does. `sum` learns whether the time is the same, and gives the sum or `None` when it is not
    /// worth reading.
    pub fn has(
        &mut self,
        path: &str,
        identity: Identity,
        sum: impl FnOnce(bool) -> Result<Option<String>>,
    ) -> Result<bool> {
        let Some(known) = self.files.get(path) else { return Ok(false) };
        if known["size"].as_u64() != Some(identity.size) {
            return Ok(false);
        }
        let same_time = known["mtime"] == *time(identity.modified)?;
        // Bookmarks knew no numbers once, and took any time.
        let is_old = known["inode"].is_null() && identity.disk.is_some();
        let same_file =
            is_old || place(identity) == (known["inode"].clone(), known["ctime"].clone());
        let known_sum = known["sha256"].as_str().map(str::to_owned);
        let rows = known["rows"].as_u64();
        if same_time && same_file && known["recent"] != true && says_something(identity) {
            if is_old {
                self.set(path, identity, known_sum.as_deref(), rows)?;
            }
            return Ok(true);
        }
        let adopted = known_sum.is_none() && same_time && same_file && known["recent"] != true;
        if known_sum.is_none() && !adopted {
            return Ok(false);
        }
        let Some(sum) = sum(same_time)? else { return Ok(false) };
        if known_sum.is_some_and(|known| known != sum) {
            return Ok(false);
        }
        self.set(path, identity, Some(&sum), rows)?;
        Ok(true)
    }

    /// Says that the file was read to its end, and gave so many rows, where that is known.
    pub fn set(
        &mut self,
        path: &str,
        identity: Identity,
        sum: Option<&str>,
        rows: Option<u64>,
    ) -> Result<()> {
        let mut entry = json!({"size": identity.size, "mtime": time(identity.modified)?});
        if let Some(sum) = sum {
            entry["sha256"] = sum.into();
        }
        if let Some(rows) = rows {
            entry["rows"] = rows.into();
        }
        let before = self.files.get(path).filter(|before| before["sha256"] == entry["sha256"]);
        if let Some(held) = before.and_then(|before| before.get("held")) {
            entry["held"] = held.clone();
        }
        if is_recent(identity) {
            entry["recent"] = true.into();
        }
        if identity.disk.is_some() {
            (entry["inode"], entry["ctime"]) = place(identity);
        }
        self.unsaved |= self.files.get(path) != Some(&entry);
        self.files.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Adds the length and the checksum of what was compressed in a file.
    pub(crate) fn set_held(&mut self, path: &str, held: Option<(u64, u32)>) {
        if let (Some(held), Some(entry)) = (held, self.files.get_mut(path)) {
            entry["held"] = json!(held);
        }
    }

    /// Returns how many files it tells of.
    pub fn len(&self) -> usize {
        self.files.len() + self.gone.len()
    }

    /// Tells whether no file was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bookmark.
    pub fn to_json(&self) -> Value {
        let mut bookmark = json!({ whole::FILES: self.files });
        // Of a bookmark from before rows were counted nobody can say it.
        if let Some(rows) =
            self.files.values().map(|file| file["rows"].as_u64()).sum::<Option<u64>>()
        {
            bookmark[whole::ROWS] = rows.into();
        }
        if !self.gone.is_empty() {
            bookmark["gone"] = self.gone.iter().map(Gone::to_json).collect();
        }
        if let Some(settings) = &self.settings {
            bookmark["settings"] = json!(settings);
        }
        if !self.left_out.is_empty() {
            bookmark["left_out"] = json!(self.left_out);
        }
        bookmark
    }

    /// Returns the bookmark, to be saved.
    pub fn saved(&mut self) -> Value {
        self.unsaved = false;
        self.to_json()
    }

    /// Tells whether anything has changed since it was last saved.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }
}

fn is_alike(known: &Value, identity: Identity) -> bool {
    known["size"].as_u64() == Some(identity.size)
        && time(identity.modified).is_ok_and(|time| known["mtime"] == *time)
}

/// Tells whether a file may still change without its time showing it: the clock of a file system
/// moves in steps, so that a change soon after the last one may leave the same time. A time yet to
/// come is one of a clock before ours.
pub(crate) fn is_recent(identity: Identity) -> bool {
    identity.modified.elapsed().map_or(true, |age| age < CLOCK_STEP_MAX)
}

/// Tells whether the times of a file say something of its bytes. A time that programs set to the
/// same for all files, as archives and images do, or one of a clock that is far from right, does
/// not; on a disk the time that nobody can set counts instead.
pub(crate) fn says_something(identity: Identity) -> bool {
    match identity.disk {
        Some(disk) => u64::try_from(disk.changed)
            .is_ok_and(|nanos| is_fair(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))),
        None => is_fair(identity.modified),
    }
}

/// Tells whether a time can be that of a change.
fn is_fair(time: SystemTime) -> bool {
    time >= SystemTime::UNIX_EPOCH + TIMES_FROM && time <= SystemTime::now() + CLOCK_FAULT_MAX
}

/// Returns the number of a file on a disk, and when it last changed in any way.
fn place(identity: Identity) -> (Value, Value) {
    let Some(disk) = identity.disk else { return (Value::Null, Value::Null) };
    let (seconds, nanos) = (disk.changed.div_euclid(NANOS), disk.changed.rem_euclid(NANOS));
    (disk.inode.into(), format!("{seconds}.{nanos:09}").into())
}

const NANOS: i128 = 1_000_000_000;

/// Writes a time as RFC 3339 in UTC, with the microseconds that databases keep.
pub(crate) fn time_for_a_column(time: SystemTime) -> Result<String> {
    let message = "cannot read the time of the file";
    let time = jiff::Timestamp::try_from(time).or_kind(ErrorKind::Data, message)?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
}

/// Writes a time as RFC 3339 in UTC, as exact as it is.
fn time(time: SystemTime) -> Result<String> {
    let time = jiff::Timestamp::try_from(time)
        .or_kind(ErrorKind::Data, "cannot read the time of the file")?;
    Ok(time.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::disk::Disk;

    fn has(progress: &mut Progress, path: &str) -> bool {
        let sum = |_| crate::open::sum(&Disk::new(path), path).map(Some);
        progress.has(path, Identity::of(Path::new(path)).unwrap(), sum).unwrap()
    }

    fn set(progress: &mut Progress, path: &str) {
        let identity = Identity::of(Path::new(path)).unwrap();
        let sum = crate::open::sum(&Disk::new(path), path).unwrap();
        progress.set(path, identity, Some(&sum), None).unwrap();
    }

    fn file(folder: &tempfile::TempDir) -> String {
        let path = folder.path().join("a.csv");
        fs::write(&path, "one").unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn knows_a_file_by_size_and_time_or_by_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = &file(&folder);
        let mut progress = Progress::default();
        assert!(!has(&mut progress, path));
        set(&mut progress, path);
        let mut progress = Progress::of(&progress.to_json());
        assert!(has(&mut progress, path));

        let later = Identity::of(Path::new(path)).unwrap().modified + Duration::from_secs(5);
        fs::File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
        assert!(has(&mut progress, path));
        let expected = Value::from(time(later).unwrap());
        assert_eq!(progress.to_json()["files"][path]["mtime"], expected);

        fs::write(path, "two").unwrap();
        assert!(!has(&mut progress, path));
        fs::write(path, "three").unwrap();
        assert!(!has(&mut progress, path));
        progress.saved();
        assert!(!progress.keep(|path| path.ends_with("a.csv")));
        assert!(!progress.is_unsaved());
        assert!(progress.keep(|path| path.ends_with("b.csv")));
        assert_eq!(progress.to_json()["files"], json!({}));
        assert!(progress.is_unsaved());
    }

    #[test]
    fn does_not_trust_the_time_of_a_file_that_was_just_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = &file(&folder);
        let identity = Identity::of(Path::new(path)).unwrap();
        let mut progress = Progress::default();
        set(&mut progress, path);
        fs::write(path, "two").unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(identity.modified).unwrap();
        assert!(!has(&mut progress, path));
    }

    #[test]
    fn a_file_of_equal_size_and_time_is_another_where_the_disk_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = &file(&folder);
        let fixed = |seconds: u64| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        // 1970, the first day of zip, 2001, 2020, 2100.
        for seconds in [0, 315_532_800, 1_000_000_000, 1_600_000_000, 4_102_444_800] {
            fs::write(path, "one").unwrap();
            fixed(seconds);
            let mut progress = Progress::default();
            set(&mut progress, path);
            let mut before = Progress::of(&json!({"files": {path: {"size": 3,
                "mtime": progress.to_json()["files"][path]["mtime"],
                "sha256": progress.to_json()["files"][path]["sha256"]}}}));
            assert!(has(&mut progress, path), "{seconds}");
            assert!(has(&mut before, path), "a bookmark from before, {seconds}");
            fs::write(path, "two").unwrap();
            fixed(seconds);
            assert!(!has(&mut progress, path), "written again, {seconds}");
            assert!(!has(&mut before, path), "written again, {seconds}");
            set(&mut progress, path);
            fs::write(format!("{path}.new"), "ten").unwrap();
            fs::rename(format!("{path}.new"), path).unwrap();
            fixed(seconds);
            assert!(!has(&mut progress, path), "replaced, {seconds}");
        }
    }

    #[test]
    fn a_time_that_says_nothing_is_settled_by_the_sum_far_away_too() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (seconds, trusted) in [(0, false), (1, false), (1_600_000_000, true), (1 << 33, false)]
        {
            let identity = Identity::far(3, at(seconds));
            assert_eq!(says_something(identity), trusted, "{seconds}");
            let mut progress = Progress::default();
            progress.set("a", identity, Some("aa"), None).unwrap();
            let mut has =
                |sum: &str| progress.has("a", identity, |_| Ok(Some(sum.to_owned()))).unwrap();
            assert!(has("aa"), "{seconds}");
            assert_eq!(has("bb"), trusted, "{seconds}");
        }
        // What was read before such times were doubted is treated as read, and has a sum from then
        // on.
        let old = json!({"files": {"a": {"size": 3, "mtime": "1970-01-01T00:00:00Z"}}});
        let mut progress = Progress::of(&old);
        let mut has = |sum: &str| {
            progress.has("a", Identity::far(3, at(0)), |_| Ok(Some(sum.to_owned()))).unwrap()
        };
        assert!(has("aa"));
        assert!(!has("bb"));
    }

    #[test]
    fn a_file_without_a_sum_is_known_by_size_and_time_alone() {
        let at =
            |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds);
        let mut progress = Progress::default();
        progress.set("a", Identity::far(3, at(9)), None, None).unwrap();
        let mut has = |size, seconds| {
            let no_sum = |_| panic!("there is no sum to compare with");
            progress.has("a", Identity::far(size, at(seconds)), no_sum).unwrap()
        };
        assert!(has(3, 9));
        assert!(!has(4, 9));
        assert!(!has(3, 8), "a time that goes back is a change");
    }

    #[test]
    fn rows_are_those_of_the_files_that_are_there_where_all_are_known() {
        let mut progress = Progress::default();
        let at = Identity::far(3, SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000));
        progress.set("a", at, None, Some(2)).unwrap();
        progress.set("b", at, None, Some(0)).unwrap();
        progress.set("c", at, None, Some(40)).unwrap();
        assert_eq!(progress.to_json()["rows"], 42);
        let mut progress = Progress::of(&progress.to_json());
        assert!(progress.has("c", at, |_| Ok(None)).unwrap());
        assert!(progress.keep(|path| path != "a"));
        assert_eq!(progress.to_json()["rows"], 40);
        progress.set("d", at, None, None).unwrap();
        assert_eq!(progress.to_json()["rows"], json!(null));
    }

    #[test]
    fn takes_a_foreign_bookmark_for_none() {
        for bookmark in [json!(null), json!({"replication_key": "x"}), json!({"files": 1})] {
            assert!(Progress::of(&bookmark).is_empty());
        }
    }
}
