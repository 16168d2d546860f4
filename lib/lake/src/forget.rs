//! Takes rows out of a table of a day: those of a person, by the value of one column.

use std::io::{BufRead, BufReader};

use files::{Limits, TextEncoding};
use singer::{Error, ErrorKind, Result, ResultExt as _};

use crate::run::{Contents, Run};
use crate::{DataFile, Key, Lake, Partition};

/// What was found in a table of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// All rows.
    pub rows: u64,
    /// Rows whose value is meant.
    pub found: u64,
}

/// How much is gathered before it is written.
const BLOCK_BYTES: usize = 256 << 10;

impl Lake {
    /// Counts the rows of a partition whose value of a column is meant. A null cell is none.
    ///
    /// # Errors
    /// `NoInput` where the partition has no such column, and those of reading it.
    pub fn count_rows(
        &self,
        partition: &Partition,
        column: &str,
        is_meant: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Matches> {
        let mut all = Matches::default();
        for at in 0..partition.manifest.files.len() {
            let found = scan(partition, at, column, is_meant, &mut |_| Ok(()))?;
            all.rows += found.rows;
            all.found += found.found;
        }
        Ok(all)
    }

    /// Publishes a table anew, without the rows whose value of a column is meant. Readers see the
    /// old generation or the new one; one that dies leaves the old one, or the new one.
    ///
    /// # Errors
    /// `Temporary` while a run is at it, and those of reading and writing it.
    pub fn remove_rows(
        &self,
        key: &Partition,
        column: &str,
        tool: &str,
        is_meant: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Matches> {
        let (source, day) = (key.manifest.source.clone(), key.manifest.extracted_at);
        let table = &key.manifest.stream;
        let run = Run::begin(self, &source, day, tool)?;
        let mut staged = run.stage(table, false)?;
        // It may have been published again before it was claimed.
        let partition = self.read(&source, day, table)?;
        let mut all = Matches::default();
        let mut files = Vec::new();
        for (at, entry) in partition.manifest.files.iter().enumerate() {
            let mut file = staged.file(&entry.name)?;
            let found = copy(&partition, at, column, is_meant, &mut file)?;
            all.rows += found.rows;
            all.found += found.found;
            files.push(file);
        }
        if all.found == 0 {
            return Ok(all);
        }
        let manifest = &partition.manifest;
        let contents = Contents {
            schema: manifest.schema.clone(),
            key_properties: manifest.key_properties.clone(),
            complete: manifest.complete,
            coverage: manifest.coverage.clone(),
            rows_left_out: manifest.rows_left_out,
            format: manifest.format.clone(),
            state: manifest.state.clone(),
        };
        // A day that no run has finished is not finished by this.
        let record = self.run_record(&source, day)?;
        let recorded = record.as_ref().and_then(|record| record.tables.get(table));
        let is_recorded =
            recorded.is_some_and(|known| known.manifest_sha256 == partition.manifest_sha256);
        staged.publish(files, contents)?;
        if is_recorded {
            run.finish()?;
        }
        Ok(all)
    }

    /// Removes what dead runs have left in staging, which may be rows that were taken out.
    ///
    /// # Errors
    /// Those of removing it.
    pub fn sweep(&self) -> Result<()> {
        self.backend().settle()?;
        self.backend().begin().map(drop)
    }
}

/// Writes the rows of a data file that are not meant.
fn copy(
    partition: &Partition,
    at: usize,
    column: &str,
    is_meant: &mut dyn FnMut(&[u8]) -> bool,
    file: &mut DataFile,
) -> Result<Matches> {
    let (mut block, mut rows, mut is_header) = (Vec::new(), 0, true);
    let found = scan(partition, at, column, is_meant, &mut |record| {
        block.extend_from_slice(record);
        rows += u64::from(!std::mem::take(&mut is_header));
        if block.len() >= BLOCK_BYTES {
            file.write(&block, rows)?;
            block.clear();
            rows = 0;
        }
        Ok(())
    })?;
    file.write(&block, rows)?;
    Ok(found)
}

/// Reads a data file, and gives its header and each row that is not meant, as they are written.
/// The file must be as it was published.
fn scan(
    partition: &Partition,
    at: usize,
    column: &str,
    is_meant: &mut dyn FnMut(&[u8]) -> bool,
    keep: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Matches> {
    partition.manifest.format.check()?;
    let entry = &partition.manifest.files[at];
    let place: Key = partition.at.join(&entry.name);
    let shown = partition.lake.show(&place);
    let differs = |reason: &str| {
        Error::new(ErrorKind::Data, "cannot use a file that was changed after it was published")
            .with("path", &shown)
            .with("reason", reason)
            .hint("extract the day again")
    };
    let file = partition.open(&place)?;
    let limits = Limits { ratio_max: u64::MAX, ..Limits::default() };
    let mut input = BufReader::new(file.text(TextEncoding::Utf8, limits)?);
    let (mut sum, mut record, mut field) = (disk::Sum::default(), Vec::new(), Vec::new());
    let mut place_of_column = None;
    let mut matches = Matches::default();
    while read_record(&mut input, &mut record).or_kind(ErrorKind::Io, "cannot read the file")? {
        sum.add(&record);
        let Some(wanted) = place_of_column else {
            place_of_column = Some(find(&record, column, &mut field).ok_or_else(|| {
                Error::new(ErrorKind::NoInput, "cannot find the column in a day")
                    .with("path", &shown)
                    .with("column", column)
            })?);
            keep(&record)?;
            continue;
        };
        matches.rows += 1;
        if take(&record, wanted, &mut field) == Some(true) && is_meant(&field) {
            matches.found += 1;
        } else {
            keep(&record)?;
        }
    }
    if sum.hex() != entry.sha256 {
        return Err(differs("its checksum differs from the manifest"));
    }
    if matches.rows != entry.rows {
        return Err(differs("the number of rows differs from the manifest"));
    }
    Ok(matches)
}

/// Reads the next record with its end: a line may end within quotes.
fn read_record(input: &mut impl BufRead, record: &mut Vec<u8>) -> std::io::Result<bool> {
    record.clear();
    let mut in_quotes = false;
    loop {
        let start = record.len();
        if input.read_until(b'\n', record)? == 0 {
            return Ok(!record.is_empty());
        }
        let ends_inside = record[start..].iter().fold(false, |odd, byte| odd ^ (*byte == b'"'));
        in_quotes ^= ends_inside;
        if !in_quotes {
            return Ok(true);
        }
    }
}

/// Returns the place of a column in a header.
fn find(header: &[u8], column: &str, field: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    while take(header, at, field).is_some() {
        if field == column.as_bytes() {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Reads a field of a record: `Some(true)` where it has a value, `None` where there is no such
/// field.
fn take(record: &[u8], wanted: usize, field: &mut Vec<u8>) -> Option<bool> {
    field.clear();
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let (mut at, mut in_quotes, mut was_quoted) = (0, false, false);
    let mut bytes = record.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if in_quotes && bytes.peek() == Some(&&b'"') => {
                bytes.next();
                if at == wanted {
                    field.push(b'"');
                }
            }
            b'"' => {
                in_quotes = !in_quotes;
                was_quoted |= at == wanted;
            }
            b',' if !in_quotes => {
                if at == wanted {
                    break;
                }
                at += 1;
            }
            byte if at == wanted => field.push(*byte),
            _ => {}
        }
    }
    (at == wanted).then_some(was_quoted || !field.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::sample::{self, day};

    #[test]
    fn fields_are_read_as_they_were_written() {
        let record = b"a,\"b,\"\"c\"\"\n\",,\"\"\n";
        let check = |at: usize, expected: Option<(bool, &str)>| {
            let mut field = Vec::new();
            let found = take(record, at, &mut field).map(|has| (has, field));
            let expected = expected.map(|(has, text)| (has, text.as_bytes().to_vec()));
            assert_eq!(found, expected, "{at}");
        };
        check(0, Some((true, "a")));
        check(1, Some((true, "b,\"c\"\n")));
        check(2, Some((false, "")));
        check(3, Some((true, "")));
        check(4, None);
    }

    fn published(lake: &Lake, text: &str, rows: u64, finish: bool) -> Partition {
        let run = Run::begin(lake, "pg", day(), "test 1").unwrap();
        let mut staged = run.stage("t", false).unwrap();
        let mut file = staged.file("f.csv").unwrap();
        file.write(text.as_bytes(), rows).unwrap();
        staged.publish(vec![file], sample::contents(&json!({}))).unwrap();
        if finish {
            run.finish().unwrap();
        }
        lake.read("pg", day(), "t").unwrap()
    }

    #[test]
    fn rows_are_taken_out_and_the_others_keep_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("output")).unwrap();
        let partition = published(&lake, "id,\"n,m\"\n1,\"a\"\"\n\"\n2,b\n3,\n1,\"\"\n", 4, true);
        let mut is_one = |text: &[u8]| text == b"1";
        let found = lake.count_rows(&partition, "id", &mut is_one).unwrap();
        assert_eq!(found, Matches { rows: 4, found: 2 });
        let failure = lake.count_rows(&partition, "x", &mut is_one).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::NoInput);
        let found = lake.remove_rows(&partition, "id", "test 2", &mut is_one).unwrap();
        assert_eq!(found, Matches { rows: 4, found: 2 });
        let now = lake.read("pg", day(), "t").unwrap();
        now.verify().unwrap();
        assert_eq!(now.manifest.rows(), 2);
        let text = fs::read_to_string(lake.local_path(&now.files()[0]).unwrap()).unwrap();
        assert_eq!(text, "id,\"n,m\"\n2,b\n3,\n");
        let record = lake.run_record("pg", day()).unwrap().unwrap();
        assert_eq!(record.tables["t"].manifest_sha256, now.manifest_sha256);
        assert!(record.open.is_empty());
        lake.read_day("pg", day(), false).unwrap();
        // Nothing is left of the old generation.
        let staging = folder.path().join("output/.staging");
        assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
        let again = lake.remove_rows(&now, "id", "test 2", &mut is_one).unwrap();
        assert_eq!(again.found, 0);
        assert_eq!(lake.read("pg", day(), "t").unwrap().manifest_sha256, now.manifest_sha256);
    }

    #[test]
    fn a_day_that_no_run_has_finished_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("output")).unwrap();
        let partition = published(&lake, "id\n1\n2\n", 2, false);
        lake.remove_rows(&partition, "id", "test 2", &mut |text| text == b"1").unwrap();
        assert_eq!(lake.read("pg", day(), "t").unwrap().manifest.rows(), 1);
        assert!(lake.read_day("pg", day(), false).is_err());
    }

    #[test]
    fn a_damaged_file_is_not_published_again() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("output")).unwrap();
        let partition = published(&lake, "id\n1\n2\n", 2, true);
        fs::write(lake.local_path(&partition.files()[0]).unwrap(), "id\n1\n3\n").unwrap();
        let failure = lake.remove_rows(&partition, "id", "t", &mut |text| text == b"1");
        assert_eq!(failure.unwrap_err().kind(), ErrorKind::Data);
    }
}
