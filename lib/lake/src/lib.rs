//! The date-partitioned folder: names, layout, manifest, atomic publish; reading a day back.
//!
//! What lies where is said by a [`Key`]; a [`backend::Backend`] keeps it, and makes a generation
//! visible as one step. On a disk that is:
//!
//! ```text
//! output/source=S/extracted_at=D/table=T/{<file>.csv, _manifest.json}   one committed generation
//! output/.staging/<run>/      what a run is writing; swept by the next run when its owner is dead
//! output/.locks/              one lock a partition and one a run, removed when released
//! output/.runs/source=S/extracted_at=D.json   the tables of the finished runs of a day
//! ```

#![warn(unreachable_pub)]

pub mod backend;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
pub mod data;
pub mod dated;
pub mod day;
mod forget;
pub mod format;
pub mod key;
pub mod lake;
pub mod layout;
pub mod manifest;
#[cfg(test)]
mod memory_tests;
pub mod partition;
#[cfg(test)]
mod planted_tests;
pub mod record;
mod removal;
pub mod run;
#[cfg(test)]
mod sample;

pub use backend::disk::steps::{allow_many_files, read_small};
pub use data::DataFile;
pub use dated::{DATED_SCHEME, DatedPath};
pub use day::{Day, DayOptions, generation_read};
pub use forget::Matches;
pub use format::Format;
pub use key::Key;
pub use lake::Lake;
pub use layout::{Layout, METADATA, Origin};
pub use manifest::{Completeness, FileEntry, MANIFEST_NAME, Manifest};
pub use partition::Partition;
pub use record::RunRecord;
pub use run::{Contents, Outcome, Ready, Run, Series, Staged};
