//! What a lake lies on: how its parts are listed and read, and how a generation becomes visible.
//!
//! The cut is at the publication. A folder of a disk is exchanged, an object of a store is replaced
//! under conditions: all that both promise is said here, and everything above is the same.

pub mod disk;

use std::fmt::Debug;
use std::path::PathBuf;

use ::disk::Datestamp;
use files::OpenFile;
use serde::{Deserialize, Serialize};
use singer::Result;

use crate::{DataFile, Key};

/// What a lake lies on. Failures name the place as people know it.
pub trait Backend: Debug + Send + Sync {
    /// Returns the name that people know a place by.
    fn show(&self, at: &Key) -> String;

    /// Returns the path of a place on the disk of this machine, where it lies there.
    fn local_path(&self, at: &Key) -> Option<PathBuf>;

    /// Tells what is at a place.
    ///
    /// # Errors
    /// `Config` where it is none that a lake has, such as a link.
    fn look(&self, at: &Key) -> Result<Found>;

    /// Lists the names below a place, sorted; none where nothing is there.
    ///
    /// # Errors
    /// Those of listing them.
    fn names(&self, at: &Key) -> Result<Vec<String>>;

    /// Reads a small file: a manifest or a run record. None where it is not there.
    ///
    /// # Errors
    /// `Data` where it cannot be one, and those of reading it.
    fn read(&self, at: &Key) -> Result<Option<Vec<u8>>>;

    /// Opens a data file.
    ///
    /// # Errors
    /// `NoInput` where it is not there, and those of opening it.
    fn open(&self, at: &Key) -> Result<OpenFile>;

    /// Returns the SHA-256 of a data file in hexadecimal.
    ///
    /// # Errors
    /// Those of reading it.
    fn sum(&self, at: &Key) -> Result<String>;

    /// Changes the text of a run record as one step. `change` may be asked again, where another
    /// run was faster.
    ///
    /// # Errors
    /// Those of `change`, and of reading and writing.
    fn change_record(&self, source: &str, day: Datestamp, change: ChangeRecord<'_>) -> Result<()>;

    /// Finishes or takes back what dead runs have begun: whoever comes next does it. Nothing that
    /// cannot be settled fails a run.
    ///
    /// # Errors
    /// Those of making the places that runs need.
    fn settle(&self) -> Result<()>;

    /// Begins a run.
    ///
    /// # Errors
    /// Those of making its place.
    fn begin(&self) -> Result<Box<dyn Staging>>;

    /// Begins a series of runs, one soon after the other. As long as it is kept, they need not
    /// wait for readers of what they replace: when it is dropped, it waits once for all of them.
    ///
    /// # Errors
    /// Those of making its place.
    fn series(&self) -> Result<Box<dyn Debug>>;

    /// Returns proof that a run is dead, which holds as long as it is kept; none while it lives.
    ///
    /// # Errors
    /// Those of asking.
    fn dead(&self, run: &str) -> Result<Option<Box<dyn Debug>>>;
}

/// Returns what becomes of the text of a record.
pub type ChangeRecord<'a> = &'a mut dyn FnMut(Option<Vec<u8>>) -> Result<Change>;

/// What becomes of a run record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    Keep,
    /// It goes.
    Remove,
    /// It gets this text.
    Write(Vec<u8>),
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file, of so many bytes.
    File(u64),
    /// Something that may have others below it.
    Folder,
    /// What no lake has: a pipe, a device.
    Other,
}

/// A partition that a run has claimed: no other run writes it until this one has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The source.
    pub source: String,
    /// The day.
    pub extracted_at: Datestamp,
    /// The table, by its stream name.
    pub table: String,
    /// Where the run stages its generation, among those of the run.
    pub staged: String,
}

impl Claim {
    /// Returns the place of the partition.
    pub fn place(&self) -> Key {
        Key::table(&self.source, self.extracted_at, &self.table)
    }
}

/// What a partition is to hold.
#[derive(Debug)]
pub struct Generation<'a> {
    /// The partition.
    pub claim: &'a Claim,
    /// Its data files.
    pub files: Vec<DataFile>,
    /// The text of its manifest.
    pub manifest: &'a [u8],
}

/// What a run stages and publishes; dropped, it leaves nothing but what was published.
pub trait Staging: Debug + Send + Sync {
    /// Returns the id of the run.
    fn id(&self) -> &str;

    /// Claims a partition until the run ends; none where another run has it.
    ///
    /// # Errors
    /// Those of claiming it, and `Config` where it could not be published from here.
    fn claim(&self, source: &str, day: Datestamp, table: &str) -> Result<Option<Claim>>;

    /// Creates the data file of this number, to be published under a name.
    ///
    /// # Errors
    /// Those of creating it.
    fn create(&self, claim: &Claim, number: u32, name: &str) -> Result<DataFile>;

    /// Makes generations durable, which nobody sees yet.
    ///
    /// # Errors
    /// Those of writing the first that is not durable.
    fn seal(&self, generations: Vec<Generation<'_>>) -> Result<()>;

    /// Makes the sealed generations of these partitions visible, each as one step. Tells of each
    /// whether it has taken the place of another one.
    ///
    /// # Errors
    /// Those of the first that is not published.
    fn publish(&self, claims: &[&Claim]) -> Result<Vec<bool>>;

    /// Takes a claimed partition away as one step, if it is there; a reader that has opened it
    /// keeps it for a moment.
    ///
    /// # Errors
    /// Those of taking it away.
    fn withdraw(&self, claim: &Claim) -> Result<()>;

    /// Removes what was staged for a partition and not published.
    fn discard(&self, claim: &Claim);
}
