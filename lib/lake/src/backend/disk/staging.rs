//! Where a run writes before it publishes; dead runs' leftovers are settled and removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use disk::{Datestamp, Lock};
use singer::{Error, ErrorKind, Result};

use super::file_system::FileSystem;
use super::intent::SUFFIX;
use super::left::{self, RETIREMENT};
use super::output::DiskOutput;
use super::{Disk, publish, steps};
use crate::backend::{Claim, Generation, Staging};
use crate::manifest::MANIFEST_NAME;
use crate::{DataFile, Key};

/// From so many partitions on, one call that makes all durable costs less than one for each.
const MANY: usize = if cfg!(test) { 2 } else { 16 };
/// So many threads wait for the disk at once; a simulated disk watches one.
const THREADS: usize = if cfg!(test) { 1 } else { 8 };

/// The staging folder of one run; removed when dropped.
#[derive(Debug)]
pub(super) struct DiskStaging {
    lake: Disk,
    id: String,
    folder: PathBuf,
    /// The locks of the partitions that the run has claimed, by their tables.
    claimed: Mutex<Vec<Lock>>,
    file_system: FileSystem,
    retired: Mutex<Vec<(Claim, Instant)>>,
    _owner: Lock,
}

impl DiskStaging {
    /// Makes the staging folder of a new run.
    pub(super) fn begin(lake: &Disk) -> Result<Self> {
        loop {
            let id = steps::random_id()?;
            // A sweeping run may hold the lock for a moment: take another id.
            if let Some(owner) = steps::try_lock(&lake.lock_path("run", &[&id]))? {
                let folder = steps::below(lake.root(), &[".staging", &id]);
                steps::make_staged_folder(&folder)?;
                return Ok(Self {
                    lake: lake.clone(),
                    id,
                    file_system: FileSystem::of(&folder)?,
                    folder,
                    claimed: Mutex::default(),
                    retired: Mutex::default(),
                    _owner: owner,
                });
            }
        }
    }

    /// Keeps the old generation of a partition for a while, and removes those kept long enough.
    fn retire(&self, claim: &Claim) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let due = retired.iter().take_while(|(_, since)| since.elapsed() >= RETIREMENT).count();
        for (claim, _) in retired.drain(..due) {
            claim.clear(&self.folder);
        }
        retired.push((claim.clone(), Instant::now()));
    }

    /// Tells whether the partition's staged folder holds an old generation now.
    fn has_retired(&self, claim: &Claim) -> bool {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.iter().any(|(known, _)| known.staged == claim.staged)
    }
}

impl Staging for DiskStaging {
    fn id(&self) -> &str {
        &self.id
    }

    fn claim(&self, source: &str, day: Datestamp, table: &str) -> Result<Option<Claim>> {
        let place = self.lake.path(&Key::table(source, day, table));
        for above in [Key::source(source), Key::day(source, day)] {
            steps::exists(&self.lake.path(&above))?;
        }
        if steps::device(&self.folder)? != steps::device(&place)? {
            return Err(Error::new(ErrorKind::Config, "cannot publish across file systems")
                .with("staging", self.folder.display())
                .with("partition", place.display())
                .hint(steps::ONE_FILE_SYSTEM));
        }
        let Some(lock) = self.lake.try_lock_partition(source, day, table)? else {
            return Ok(None);
        };
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = Claim {
            source: source.to_owned(),
            extracted_at: day,
            table: table.to_owned(),
            staged: claimed.len().to_string(),
        };
        claimed.push(lock);
        steps::make_staged_folder(&self.folder.join(&claim.staged))?;
        Ok(Some(claim))
    }

    fn create(&self, claim: &Claim, number: u32, name: &str) -> Result<DataFile> {
        let path = self.folder.join(&claim.staged).join(publish::partial(number));
        Ok(DataFile::new(number, name, Box::new(DiskOutput::create(path)?)))
    }

    fn seal(&self, generations: Vec<Generation<'_>>) -> Result<()> {
        let at_once = generations.len() >= MANY && self.file_system.syncs_at_once();
        let seal = |generation: Generation<'_>| {
            let staged = self.folder.join(&generation.claim.staged);
            publish::seal(&staged, generation, at_once)
        };
        if at_once {
            generations.into_iter().try_for_each(seal)?;
            return self.file_system.sync();
        }
        in_threads(generations, THREADS, seal)
    }

    fn publish(&self, claims: &[&Claim]) -> Result<Vec<bool>> {
        let (mut replaced, mut ended) = (Vec::new(), Ok(()));
        for claim in claims {
            match publish::place(&self.lake, &self.folder, claim) {
                Ok(one) => replaced.push(one),
                Err(failure) => {
                    ended = Err(failure);
                    break;
                }
            }
        }
        let days: BTreeSet<_> = (claims.iter().zip(&replaced))
            .map(|(claim, _)| (&claim.source, claim.extracted_at))
            .collect();
        for (source, day) in days {
            steps::sync_folder(&self.lake.path(&Key::day(source, day)))?;
        }
        // Not before: what is removed is gone, also where a power loss undoes an exchange.
        for (claim, _) in claims.iter().zip(&replaced).filter(|(_, one)| **one) {
            self.retire(claim);
        }
        ended.map(|()| replaced)
    }

    fn withdraw(&self, claim: &Claim) -> Result<()> {
        let place = self.lake.path(&claim.place());
        if !steps::exists(&place)? {
            return Ok(());
        }
        steps::rename(&place, &claim.old(&self.folder))?;
        steps::sync_parent(&place)?;
        self.retire(claim);
        // A day without a table is none.
        steps::remove_empty_folder(disk::replace::folder_of(&place));
        Ok(())
    }

    fn discard(&self, claim: &Claim) {
        if !claim.path(&self.folder).exists() && !self.has_retired(claim) {
            let _ = steps::remove(&self.folder.join(&claim.staged));
        }
    }
}

/// Does some work on each item. A disk takes what several threads want in one go.
fn in_threads<T: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.into_iter().try_for_each(work);
    }
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || std::iter::from_fn(next).try_for_each(&work);
    let unended = |_| Err(Error::new(ErrorKind::Internal, "a thread that writes has ended"));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let ended: Vec<_> = all.into_iter().map(|one| one.join().unwrap_or_else(unended)).collect();
        ended.into_iter().collect()
    })
}

impl Drop for DiskStaging {
    fn drop(&mut self) {
        self.claimed.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        if has_intents(&self.folder) {
            return;
        }
        let retired = self.retired.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut folder = self.folder.clone();
        if let Some((_, since)) = retired.last() {
            let Some(mine) = left::leave(&self.lake, &folder) else { return };
            folder = mine;
            std::thread::sleep(RETIREMENT.saturating_sub(since.elapsed()));
        }
        if let Err(failure) = steps::remove(&folder) {
            singer::warn!(
                "W-FOLDER-LEFT",
                "cannot remove the staging folder, the next run removes it: {}",
                failure.message()
            );
        }
    }
}

/// Settles and removes the staging folders whose owners are dead. Cleaning up never fails a run.
pub(super) fn sweep(lake: &Disk) -> Result<()> {
    for part in [".locks", ".staging"] {
        steps::make_folder(&lake.root().join(part))?;
    }
    let all = lake.root().join(".staging");
    for id in steps::names(&all)? {
        if left::youth(&all.join(&id)).is_some() {
            continue;
        }
        let swept = match steps::try_lock(&lake.lock_path("run", &[&id])) {
            Ok(None) => continue,
            Ok(Some(_owner)) => sweep_run(lake, &all.join(&id), &id),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = swept {
            let path = failure.context("path").unwrap_or_default();
            singer::warn!(
                "W-FOLDER-LEFT",
                "cannot remove the remains of a dead run from staging: {} ({path})",
                failure.message()
            );
        }
    }
    sweep_locks(lake)
}

fn sweep_run(lake: &Disk, folder: &Path, id: &str) -> Result<()> {
    if !steps::look(folder).is_ok_and(|found| found.is_dir()) {
        // A link or a file that is none of ours; another sweeper may also have been faster.
        return Ok(());
    }
    match settle_intents(lake, folder)? {
        Settled::All => {
            if id.strip_suffix(".old").is_some() {
                // A generation that was replaced waited here for its readers.
                tracing::debug!("removing a replaced generation from staging: {id}");
            } else {
                tracing::info!("removing the remains of a dead run from staging: {id}");
            }
            steps::remove(folder)
        }
        Settled::InUse => Ok(()),
        Settled::Never(why) => {
            let aside = lake.root().join(".aside");
            steps::make_folder(&aside)?;
            let aside = aside.join(id);
            singer::warn!(
                "W-SET-ASIDE",
                "the remains of a dead run are moved to {}: {why}",
                aside.display()
            );
            steps::rename(folder, &aside)
        }
    }
}

/// Removes the locks of series that died, and of runs that died before they made their staging
/// folder or after they removed it: no later one takes these names. Other locks are few, and a run
/// that found one of them taken would give up.
fn sweep_locks(lake: &Disk) -> Result<()> {
    let locks = lake.root().join(".locks");
    let is_of_one = |name: &&String| name.starts_with("run-") || name.starts_with(left::LOCKS);
    for name in steps::names(&locks)?.iter().filter(is_of_one) {
        // Taken and released; one that another user made may stay.
        let _ = steps::try_lock(&locks.join(name));
    }
    Ok(())
}

/// What became of the replacements that a dead run had begun.
enum Settled {
    /// Nothing of them is left to do.
    All,
    /// A partition of them is in use: the next run finishes them.
    InUse,
    /// They cannot be finished, for this reason.
    Never(&'static str),
}

/// Finishes replacements that died between their two renames.
fn settle_intents(lake: &Disk, staging: &Path) -> Result<Settled> {
    for name in steps::names(staging)?.iter().filter(|name| name.ends_with(SUFFIX)) {
        let path = staging.join(name);
        // Written atomically, so one that cannot be read was never ours.
        let intent = match steps::read_small(&path) {
            Ok(text) => serde_json::from_slice::<Claim>(&text.unwrap_or_default()).ok(),
            Err(failure) if failure.kind() == ErrorKind::Data => None,
            Err(failure) => return Err(failure),
        };
        let Some(intent) = intent else { continue };
        // Else it would name a folder of another run, or one outside.
        let odd = intent.staged.is_empty() || intent.staged.starts_with('.');
        if odd || intent.staged.contains('/') || intent.path(staging) != path {
            return Ok(Settled::Never("an intent file names folders of another run"));
        }
        let Some(_lock) =
            lake.try_lock_partition(&intent.source, intent.extracted_at, &intent.table)?
        else {
            return Ok(Settled::InUse);
        };
        if !settle(lake, staging, &intent)? {
            return Ok(Settled::Never("the day that it was replacing is gone"));
        }
        steps::remove(&path)?;
    }
    Ok(Settled::All)
}

/// Finishes a replacement; false when its day is not there any more. Whoever removed the day did
/// not want it back.
fn settle(lake: &Disk, staging: &Path, intent: &Claim) -> Result<bool> {
    let place = lake.path(&intent.place());
    for above in [Key::source(&intent.source), Key::day(&intent.source, intent.extracted_at)] {
        if !steps::exists(&lake.path(&above))? {
            return Ok(false);
        }
    }
    if steps::exists(&place)? {
        return Ok(true);
    }
    let (staged, old) = (staging.join(&intent.staged), intent.old(staging));
    if is_generation(&staged) {
        singer::warn!(
            "W-PARTITION-REPAIRED",
            "a dead run had begun to replace a partition: this run finishes it"
        );
        steps::rename(&staged, &place)?;
    } else if is_generation(&old) {
        steps::rename(&old, &place)?;
    }
    steps::sync_parent(&place)?;
    Ok(true)
}

/// Tells whether a folder of the staging folder, no link, holds a manifest.
fn is_generation(folder: &Path) -> bool {
    steps::look(folder).is_ok_and(|found| found.is_dir())
        && steps::look(&folder.join(MANIFEST_NAME)).is_ok_and(|found| found.is_file())
}

fn has_intents(staging: &Path) -> bool {
    steps::names(staging).is_ok_and(|names| names.iter().any(|name| name.ends_with(SUFFIX)))
}
