//! A lake that lies in memory: nothing above the backend needs a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use disk::Datestamp;
use files::{Codec, Identity, OpenFile, StoredFile};
use serde_json::json;
use singer::{Error, ErrorKind, Result};

use crate::backend::{Backend, Change, ChangeRecord, Claim, Found, Generation, Staging};
use crate::data::{DataFile, Output};
use crate::manifest::MANIFEST_NAME;
use crate::sample::{contents, day};
use crate::{Key, Lake, Outcome, Run};

type Bytes = Arc<Vec<u8>>;

#[derive(Debug, Default)]
struct Store {
    files: BTreeMap<String, Bytes>,
    claimed: BTreeSet<String>,
    runs: usize,
    settled: usize,
}

/// Files by their keys.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Store>>);

impl Memory {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }
}

impl Backend for Memory {
    fn show(&self, at: &Key) -> String {
        format!("memory:{at}")
    }

    fn local_path(&self, _: &Key) -> Option<PathBuf> {
        None
    }

    fn look(&self, at: &Key) -> Result<Found> {
        if let Some(bytes) = self.store().files.get(at.as_str()) {
            return Ok(Found::File(bytes.len() as u64));
        }
        Ok(if self.names(at)?.is_empty() { Found::Nothing } else { Found::Folder })
    }

    fn names(&self, at: &Key) -> Result<Vec<String>> {
        let above = if at.as_str().is_empty() { String::new() } else { format!("{at}/") };
        let store = self.store();
        let below = store.files.keys().filter_map(|key| key.strip_prefix(&above));
        let names: BTreeSet<&str> = below.filter_map(|rest| rest.split('/').next()).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn read(&self, at: &Key) -> Result<Option<Vec<u8>>> {
        Ok(self.store().files.get(at.as_str()).map(|bytes| bytes.to_vec()))
    }

    fn open(&self, at: &Key) -> Result<OpenFile> {
        let found = self.store().files.get(at.as_str()).cloned();
        let bytes =
            found.ok_or_else(|| Error::new(ErrorKind::NoInput, "cannot find the object"))?;
        Ok(OpenFile::new(self.show(at), Box::new(Object(bytes)), false))
    }

    fn sum(&self, at: &Key) -> Result<String> {
        let text = self.read(at)?.unwrap_or_default();
        Ok(::disk::sum(&text))
    }

    fn change_record(&self, source: &str, day: Datestamp, change: ChangeRecord<'_>) -> Result<()> {
        let at = Key::record(source, day);
        // As one who loses the first race has to: what is asked twice counts once.
        change(self.read(&at)?)?;
        match change(self.read(&at)?)? {
            Change::Keep => {}
            Change::Remove => drop(self.store().files.remove(at.as_str())),
            Change::Write(text) => {
                self.store().files.insert(at.as_str().to_owned(), Arc::new(text));
            }
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.store().settled += 1;
        Ok(())
    }

    fn begin(&self) -> Result<Box<dyn Staging>> {
        let mut store = self.store();
        store.runs += 1;
        Ok(Box::new(MemoryRun {
            id: format!("run {}", store.runs),
            memory: self.clone(),
            staged: Mutex::default(),
        }))
    }

    fn series(&self) -> Result<Box<dyn Debug>> {
        // Objects are not removed under their readers: nobody waits.
        Ok(Box::new(()))
    }

    fn dead(&self, _: &str) -> Result<Option<Box<dyn Debug>>> {
        Ok(None)
    }
}

/// An object that is read.
struct Object(Bytes);

impl StoredFile for Object {
    fn identity(&self) -> Identity {
        Identity::far(self.0.len() as u64, SystemTime::UNIX_EPOCH)
    }

    fn held(&self) -> Result<Identity> {
        Ok(self.identity())
    }

    fn named(&self) -> Result<Identity> {
        Ok(self.identity())
    }

    fn codec(&self) -> Codec {
        Codec::Plain
    }

    fn bytes(&self) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.to_vec())))
    }
}

/// An object that is written.
#[derive(Debug)]
struct Upload(Arc<Mutex<Vec<u8>>>);

impl Output for Upload {
    fn show(&self) -> String {
        "an upload".to_owned()
    }

    fn write(&mut self, block: &[u8]) -> Result<()> {
        self.0.lock().unwrap().extend_from_slice(block);
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        Ok(())
    }

    fn read_back(&self) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.0.lock().unwrap().clone())))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    fn discard(self: Box<Self>) {}
}

type Staged = BTreeMap<String, Vec<(String, Bytes)>>;
type Uploads = BTreeMap<(String, u32), Arc<Mutex<Vec<u8>>>>;

#[derive(Debug)]
struct MemoryRun {
    id: String,
    memory: Memory,
    staged: Mutex<(Uploads, Staged)>,
}

impl Staging for MemoryRun {
    fn id(&self) -> &str {
        &self.id
    }

    fn claim(&self, source: &str, day: Datestamp, table: &str) -> Result<Option<Claim>> {
        let claim = Claim {
            source: source.to_owned(),
            extracted_at: day,
            table: table.to_owned(),
            staged: table.to_owned(),
        };
        let new = self.memory.store().claimed.insert(claim.place().as_str().to_owned());
        Ok(new.then_some(claim))
    }

    fn create(&self, claim: &Claim, number: u32, name: &str) -> Result<DataFile> {
        let bytes = Arc::new(Mutex::default());
        let mut staged = self.staged.lock().unwrap();
        staged.0.insert((claim.staged.clone(), number), Arc::clone(&bytes));
        Ok(DataFile::new(number, name, Box::new(Upload(bytes))))
    }

    fn seal(&self, generations: Vec<Generation<'_>>) -> Result<()> {
        let mut staged = self.staged.lock().unwrap();
        for Generation { claim, files, manifest } in generations {
            let mut sealed = vec![(MANIFEST_NAME.to_owned(), Arc::new(manifest.to_vec()))];
            for file in files {
                let number = file.number();
                let bytes = staged.0[&(claim.staged.clone(), number)].lock().unwrap().clone();
                sealed.push((file.finish()?.name, Arc::new(bytes)));
            }
            staged.1.insert(claim.staged.clone(), sealed);
        }
        Ok(())
    }

    fn publish(&self, claims: &[&Claim]) -> Result<Vec<bool>> {
        let mut staged = self.staged.lock().unwrap();
        let mut store = self.memory.store();
        let publish = |claim: &&Claim| {
            let place = format!("{}/", claim.place());
            let before = store.files.len();
            store.files.retain(|key, _| !key.starts_with(&place));
            let replaces = store.files.len() < before;
            for (name, bytes) in staged.1.remove(&claim.staged).unwrap_or_default() {
                store.files.insert(format!("{place}{name}"), bytes);
            }
            Ok(replaces)
        };
        claims.iter().map(publish).collect()
    }

    fn withdraw(&self, claim: &Claim) -> Result<()> {
        let place = format!("{}/", claim.place());
        self.memory.store().files.retain(|key, _| !key.starts_with(&place));
        Ok(())
    }

    fn discard(&self, claim: &Claim) {
        self.staged.lock().unwrap().1.remove(&claim.staged);
    }
}

impl Drop for MemoryRun {
    fn drop(&mut self) {
        self.memory.store().claimed.clear();
    }
}

fn publish(lake: &Lake, table: &str, rows: &str) -> Outcome {
    let run = Run::begin(lake, "pg", day(), "test 1").unwrap();
    let mut staged = run.stage(table, false).unwrap();
    let other = run.stage(table, false).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Temporary, "{other}");
    let mut file = staged.file("t.csv").unwrap();
    file.write(format!("id\n{rows}").as_bytes(), rows.lines().count() as u64).unwrap();
    let outcome = staged.publish(vec![file], contents(&json!({}))).unwrap();
    run.finish().unwrap();
    outcome
}

#[test]
fn a_lake_needs_no_disk() {
    let memory = Memory::default();
    let lake = Lake::over(memory.clone());
    assert_eq!(lake.read_day("pg", day(), false).unwrap_err().kind(), ErrorKind::NoInput);
    assert_eq!(publish(&lake, "orders", "1\n"), Outcome::New);
    assert_eq!(publish(&lake, "orders", "1\n"), Outcome::Unchanged);
    assert_eq!(publish(&lake, "orders", "1\n2\n"), Outcome::Replaced);
    assert_eq!(publish(&lake, "a/b", "7\n"), Outcome::New);
    assert_eq!(memory.store().settled, 4, "whoever comes next settles");
    assert_eq!(lake.sources().unwrap(), ["pg"]);
    assert_eq!(lake.days("pg").unwrap(), [day()]);
    assert_eq!(lake.tables("pg", day()).unwrap(), ["a/b", "orders"]);
    let record = lake.run_record("pg", day()).unwrap().unwrap();
    assert_eq!((record.tables.len(), record.open.len()), (2, 0));
    let partitions = lake.read_day("pg", day(), false).unwrap();
    let mut read = Vec::new();
    for partition in &partitions {
        partition.verify().unwrap();
        assert!(partition.has_files());
        for file in partition.files() {
            let open = partition.open(&file).unwrap();
            let mut text = String::new();
            let limits = files::Limits::default();
            let mut input = open.text(files::TextEncoding::Utf8, limits).unwrap();
            input.read_to_string(&mut text).unwrap();
            read.push(text);
        }
    }
    assert_eq!(read, ["id\n7\n", "id\n1\n2\n"]);
    let at = &partitions[1].files()[0];
    memory.store().files.insert(at.as_str().to_owned(), Arc::new(b"id\n1\n3\n".to_vec()));
    let refused = partitions[1].verify().unwrap_err();
    assert_eq!(refused.context("path"), Some(lake.show(at).as_str()), "{refused}");
}

#[test]
fn a_day_is_removed_with_its_record_unless_a_run_is_at_it() {
    let memory = Memory::default();
    let lake = Lake::over(memory.clone());
    assert_eq!(lake.remove_day("pg", day()).unwrap_err().kind(), ErrorKind::NoInput);
    publish(&lake, "orders", "1\n");
    publish(&lake, "a/b", "7\n");
    let run = Run::begin(&lake, "pg", day(), "test 1").unwrap();
    let staged = run.stage("orders", false).unwrap();
    assert_eq!(lake.remove_day("pg", day()).unwrap_err().kind(), ErrorKind::Temporary);
    assert_eq!(lake.tables("pg", day()).unwrap().len(), 2);
    assert!(lake.run_record("pg", day()).unwrap().is_some());
    drop((staged, run));
    assert_eq!(lake.remove_day("pg", day()).unwrap(), ["a/b", "orders"]);
    assert_eq!(lake.days("pg").unwrap(), []);
    assert!(lake.run_record("pg", day()).unwrap().is_none());
    assert_eq!(publish(&lake, "orders", "1\n"), Outcome::New);
}
