//! What a day of a file of the plain shape holds: whether there is something new to load, and what
//! must not be in it any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use disk::Datestamp;
use disk::replace::replace_file;
use disk::sum::Sum;
use lake::Lake;
use singer::Result;

/// Returns the sum of all rows of a day, of all sources in a lake. It is the same for another day
/// with the same rows.
///
/// # Errors
/// Those of reading the day.
pub fn sum(root: &Path, day: Datestamp) -> Result<String> {
    let lake = Lake::open(root)?;
    let mut sum = Sum::default();
    for source in lake.sources()? {
        if !lake.days(&source)?.contains(&day) {
            continue;
        }
        for partition in lake.read_day(&source, day, false)? {
            let manifest = &partition.manifest;
            sum.add(format!("{source}\0{}\0", manifest.stream));
            sum.add(serde_json::Value::from(manifest.schema.clone()).to_string());
            for file in &manifest.files {
                sum.add(format!("{} {}\n", file.sha256, file.rows));
            }
        }
    }
    Ok(sum.hex())
}

/// Tells whether a lake lacks a day of one of these sources: their states may say that they have
/// not changed, but all of their rows must be read.
///
/// # Errors
/// Those of reading the lake.
pub fn lacks(root: &Path, day: Datestamp, sources: &[&str]) -> Result<bool> {
    if !root.is_dir() {
        return Ok(true);
    }
    let lake = Lake::open(root)?;
    let known = lake.sources()?;
    for source in sources {
        if !known.iter().any(|name| name == source) || !lake.days(source)?.contains(&day) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a day from a lake where files that it was made of are gone, or where it was made by
/// other settings; tells whether it has. `list` is a file that keeps what the day was made of: the
/// first line of `now` says by which settings, the others are files.
///
/// # Errors
/// `Temporary` while another run is at it.
pub fn forget_gone(root: &Path, day: Datestamp, list: &Path, now: &str) -> Result<bool> {
    let before = fs::read_to_string(list).unwrap_or_default();
    let is_gone = !before.is_empty()
        && (before.lines().next() != now.lines().next()
            || before.lines().any(|file| now.lines().all(|known| known != file)));
    if is_gone && root.is_dir() {
        let lake = Lake::open(root)?;
        // A source that failed has no rows, but a record that says so.
        let mut sources: BTreeSet<String> = lake.recorded(day)?.into_iter().collect();
        for source in lake.sources()? {
            if lake.days(&source)?.contains(&day) {
                sources.insert(source);
            }
        }
        for source in sources {
            lake.remove_day(&source, day)?;
        }
    }
    if before != now {
        replace_file(list, now.as_bytes(), 0o600)?;
    }
    Ok(is_gone)
}

/// Removes all days of a lake but the newest ones and this one; returns those that are gone.
///
/// # Errors
/// `Temporary` while another run is at one of them.
pub fn prune(root: &Path, kept: usize, day: Datestamp) -> Result<Vec<Datestamp>> {
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let lake = Lake::open(root)?;
    let sources = lake.sources()?;
    let mut days = BTreeSet::new();
    for source in &sources {
        days.extend(lake.days(source)?);
    }
    let old: Vec<Datestamp> =
        days.into_iter().rev().skip(kept).filter(|known| *known != day).collect();
    for day in &old {
        for source in &sources {
            if lake.days(source)?.contains(day) {
                lake.remove_day(source, *day)?;
            }
        }
    }
    Ok(old)
}
