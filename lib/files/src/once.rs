//! Leaves each file one name: links and several names of a file would bring its rows twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::identity::Identity;

/// How many names that are skipped are reported.
const NAMES_TOLD: usize = 20;

/// Leaves one name of each file, whatever names lead to it: the one without a link on its way
/// below the folder, else the first. The names that are skipped are reported.
pub(crate) fn once(base: &Path, found: Vec<(PathBuf, Identity)>) -> Vec<PathBuf> {
    let mut names: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
    for (at, (_, identity)) in found.iter().enumerate() {
        names.entry(identity.place()).or_default().push(at);
    }
    let several = names.into_values().filter(|names| names.len() > 1);
    // For each name that is skipped, the one that is read.
    let mut same_as: Vec<Option<usize>> = vec![None; found.len()];
    for names in several {
        let own = names.iter().find(|at| is_own(base, &found[**at].0)).unwrap_or(&names[0]);
        names.iter().filter(|at| *at != own).for_each(|at| same_as[*at] = Some(*own));
    }
    let twice: Vec<_> =
        same_as.iter().enumerate().filter_map(|(at, own)| Some((at, (*own)?))).collect();
    for (at, own) in twice.iter().take(NAMES_TOLD) {
        let (name, own) = (found[*at].0.display(), found[*own].0.display());
        singer::warn!("W-FILE-TWICE", "skipping {name}: it is the same file as {own}");
    }
    if twice.len() > NAMES_TOLD {
        singer::warn!("W-FILE-TWICE", "skipping {} more names of files", twice.len() - NAMES_TOLD);
    }
    let names = found.into_iter().zip(same_as).filter(|(_, own)| own.is_none());
    names.map(|((path, _), _)| path).collect()
}

/// Tells whether no link is on the way to a file below the folder, nor the file itself one.
fn is_own(base: &Path, path: &Path) -> bool {
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let below = path.strip_prefix(base).unwrap_or(path);
    match (base.canonicalize(), path.canonicalize()) {
        (Ok(base), Ok(real)) => base.join(below) == real,
        _ => false,
    }
}
