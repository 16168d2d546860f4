//! Where a run writes before it publishes; dead runs' leftovers are settled and removed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use singer::{ErrorKind, Result, quote};

use crate::intent::{Intent, SUFFIX};
use crate::manifest::MANIFEST_NAME;
use crate::partition::Lake;
use crate::{Lock, disk};

/// How long an old generation outlives its replacement. A reader that opened its folder just before
/// and lists it just after must still find its files: an empty folder would pass for a day without
/// rows.
const RETIREMENT: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 250 });

/// The staging folder of one run; removed when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    pub id: String,
    pub folder: PathBuf,
    retired: Mutex<Vec<(Intent, Instant)>>,
    _owner: Lock,
}

impl Staging {
    /// Makes the staging folder of a new run, after it has settled what dead runs left.
    pub fn begin(lake: &Lake) -> Result<Self> {
        for part in [".locks", ".staging"] {
            disk::make_folder(&lake.root().join(part))?;
        }
        sweep(lake)?;
        loop {
            let id = disk::random_id()?;
            // A sweeping run may hold the lock for a moment: take another id.
            if let Some(owner) = Lock::try_take(&lake.lock_path("run", &[&id]))? {
                let folder = disk::below(lake.root(), &[".staging", &id]);
                disk::make_staged_folder(&folder)?;
                return Ok(Self { id, folder, retired: Mutex::default(), _owner: owner });
            }
        }
    }

    /// Keeps the old generation of a partition for a while, and removes those kept long enough.
    pub fn retire(&self, intent: &Intent) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let due = retired.iter().take_while(|(_, since)| since.elapsed() >= RETIREMENT).count();
        for (intent, _) in retired.drain(..due) {
            intent.clear(&self.folder);
        }
        retired.push((intent.clone(), Instant::now()));
    }

    /// Tells whether the partition's staged folder holds an old generation now.
    pub fn has_retired(&self, intent: &Intent) -> bool {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.iter().any(|(known, _)| known.staged == intent.staged)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if has_intents(&self.folder) {
            return;
        }
        let retired = self.retired.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, since)) = retired.last() {
            std::thread::sleep(RETIREMENT.saturating_sub(since.elapsed()));
        }
        if let Err(failure) = disk::remove(&self.folder) {
            singer::warn!(
                "W-FOLDER-LEFT",
                "the staging folder stays for the next run: {}",
                failure.message()
            );
        }
    }
}

impl Lake {
    /// Returns the path of a lock; a hash, because names may be long.
    pub(crate) fn lock_path(&self, kind: &str, parts: &[&str]) -> PathBuf {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let name = &quote::hex(&hash.finalize())[..32];
        self.root().join(".locks").join(format!("{kind}-{name}.lock"))
    }
}

/// Settles and removes the staging folders whose owners are dead. Cleaning up never fails a run.
fn sweep(lake: &Lake) -> Result<()> {
    let all = lake.root().join(".staging");
    for id in disk::names(&all)? {
        let swept = match Lock::try_take(&lake.lock_path("run", &[&id])) {
            Ok(None) => continue,
            Ok(Some(_owner)) => sweep_run(lake, &all.join(&id), &id),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = swept {
            let path = failure.context("path").unwrap_or_default();
            singer::warn!(
                "W-FOLDER-LEFT",
                "what a dead run left in staging stays: {} ({path})",
                failure.message()
            );
        }
    }
    sweep_run_locks(lake)
}

fn sweep_run(lake: &Lake, folder: &Path, id: &str) -> Result<()> {
    if !disk::look(folder).is_ok_and(|found| found.is_dir()) {
        // A link or a file that is none of ours; another sweeper may also have been faster.
        return Ok(());
    }
    match settle_intents(lake, folder)? {
        Settled::All => {
            log::info!("removing what a dead run left in staging: {id}");
            disk::remove(folder)
        }
        Settled::InUse => Ok(()),
        Settled::Never(why) => {
            let aside = lake.root().join(".aside");
            disk::make_folder(&aside)?;
            let aside = aside.join(id);
            singer::warn!(
                "W-SET-ASIDE",
                "what a dead run left is set aside, in {}: {why}",
                aside.display()
            );
            disk::rename(folder, &aside)
        }
    }
}

/// Removes the locks of runs that died before they made their staging folder or after they removed
/// it: no later run takes these names. Other locks are few, and a run that found one of them taken
/// would give up.
fn sweep_run_locks(lake: &Lake) -> Result<()> {
    let locks = lake.root().join(".locks");
    for name in disk::names(&locks)?.iter().filter(|name| name.starts_with("run-")) {
        // Taken and released; one that another user made may stay.
        let _ = Lock::try_take(&locks.join(name));
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
fn settle_intents(lake: &Lake, staging: &Path) -> Result<Settled> {
    for name in disk::names(staging)?.iter().filter(|name| name.ends_with(SUFFIX)) {
        let path = staging.join(name);
        // Written atomically, so one that cannot be read was never ours.
        let intent = match disk::read_small(&path) {
            Ok(text) => serde_json::from_slice::<Intent>(&text.unwrap_or_default()).ok(),
            Err(failure) if failure.kind() == ErrorKind::Data => None,
            Err(failure) => return Err(failure),
        };
        let Some(intent) = intent else { continue };
        // Else it would name a folder of another run, or one outside.
        let odd = intent.staged.is_empty() || intent.staged.starts_with('.');
        if odd || intent.staged.contains('/') || intent.path(staging) != path {
            return Ok(Settled::Never("an intent names folders that are not of its run"));
        }
        let Some(_lock) =
            lake.try_lock_partition(&intent.source, intent.extracted_at, &intent.table)?
        else {
            return Ok(Settled::InUse);
        };
        if !settle(lake, staging, &intent)? {
            return Ok(Settled::Never("the day of the replacement that it began is gone"));
        }
        disk::remove(&path)?;
    }
    Ok(Settled::All)
}

/// Finishes a replacement; false when its day is not there any more. Whoever removed the day did
/// not want it back.
fn settle(lake: &Lake, staging: &Path, intent: &Intent) -> Result<bool> {
    let place = lake.table_folder(&intent.source, intent.extracted_at, &intent.table);
    for folder in
        [lake.source_folder(&intent.source), lake.day_folder(&intent.source, intent.extracted_at)]
    {
        if !disk::exists(&folder)? {
            return Ok(false);
        }
    }
    if disk::exists(&place)? {
        return Ok(true);
    }
    let (staged, old) = (staging.join(&intent.staged), intent.old(staging));
    if is_generation(&staged) {
        singer::warn!(
            "W-PARTITION-REPAIRED",
            "finishing the replacement of a partition that a dead run began"
        );
        disk::rename(&staged, &place)?;
    } else if is_generation(&old) {
        disk::rename(&old, &place)?;
    }
    disk::sync_parent(&place)?;
    Ok(true)
}

/// Tells whether a folder of the staging folder, no link, holds a manifest.
fn is_generation(folder: &Path) -> bool {
    disk::look(folder).is_ok_and(|found| found.is_dir())
        && disk::look(&folder.join(MANIFEST_NAME)).is_ok_and(|found| found.is_file())
}

fn has_intents(staging: &Path) -> bool {
    disk::names(staging).is_ok_and(|names| names.iter().any(|name| name.ends_with(SUFFIX)))
}
