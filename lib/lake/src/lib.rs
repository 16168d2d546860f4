//! The date-partitioned folder: names, manifest, staging, atomic publish, lock; reading a day back.
//!
//! ```text
//! output/source=S/extracted_at=D/table=T/{<file>.csv, _manifest.json}   one committed generation
//! output/.staging/<run>/      what a run is writing; swept by the next run when its owner is dead
//! output/.locks/              one lock a partition and one a run, removed when released
//! output/.runs/source=S/extracted_at=D.json   the tables of the finished runs of a day
//! ```

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
pub mod data;
pub mod dated;
pub mod datestamp;
pub mod day;
mod disk;
pub mod format;
mod intent;
pub mod layout;
mod lock;
pub mod manifest;
pub mod name;
pub mod partition;
#[cfg(test)]
mod planted_tests;
mod publish;
pub mod record;
pub mod run;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod simulation;
mod staging;

pub use data::DataFile;
pub use dated::{DATED_SCHEME, DatedPath};
pub use datestamp::Datestamp;
pub use day::{Day, DayOptions};
pub use disk::{allow_many_files, read_small};
pub use format::Format;
pub use layout::{Layout, Origin};
pub use lock::Lock;
pub use manifest::{Completeness, FileEntry, MANIFEST_NAME, Manifest};
pub use partition::{Lake, Partition};
pub use publish::Outcome;
pub use record::RunRecord;
pub use run::{Contents, Run, Staged, check_place};
