//! Files and days that are not there, though a state says what they have.
//!
//! A state says what was written. Where that is not in this output folder, as another one was
//! written then or somebody has removed it, nothing of an unchanged source, or what came since the
//! state, would be treated as all: it is reported. To remove files is no fault, so nothing is
//! refused.

use std::path::Path;

use lake::Lake;
use singer::schema::PARTITION;
use singer::target::Unchanged;
use singer::{Result, Stream};

use crate::naming::{Naming, Stays, for_stream, plain_path};
use crate::old_file::holds_rows;

/// How many streams are reported.
const STREAMS_TOLD: usize = 20;

/// Warns of streams of which nothing came, as their source is as the state says, and of which
/// nothing is here.
pub fn tell_unchanged(naming: &Naming, streams: &[Unchanged]) -> Result<()> {
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    let has_rows = |name: &str| streams.iter().any(|s| s.name == name && s.rows > Some(0));
    let lacking = lacking(naming, &names, has_rows)?;
    for name in lacking.iter().take(STREAMS_TOLD) {
        singer::warn!(
            "W-TABLE-EMPTY",
            "stream {}: the source has not changed since the state, so nothing was read, but the \
             rows of the earlier run are not in {}. Run once without the state to write all rows \
             here",
            singer::error::printable(name),
            naming.show(name)
        );
    }
    if lacking.len() > STREAMS_TOLD {
        let more = lacking.len() - STREAMS_TOLD;
        singer::warn!(
            "W-TABLE-EMPTY",
            "{more} more streams are unchanged since the state, but their rows are missing"
        );
    }
    Ok(())
}

/// Warns of rows that came since a state whose rows are not here. A day that is copied was a part
/// where it comes from.
pub fn tell_part(naming: &Naming, stream: &Stream) -> Result<()> {
    if stream.coverage.bookmark().is_none() || stream.schema.contains_key(PARTITION) {
        return Ok(());
    }
    if !lacking(naming, &[&stream.name], |_| false)?.is_empty() {
        singer::warn!(
            "W-TABLE-EMPTY",
            "stream {}: only the rows since the state are written, and the rows before it are not \
             in {}. Run once without the state to write all rows here",
            singer::error::printable(&stream.name),
            naming.show(&stream.name)
        );
    }
    Ok(())
}

/// Returns the streams that have nothing here, or no row though they are to have some.
fn lacking<'a>(
    naming: &Naming,
    names: &[&'a str],
    has_rows: impl Fn(&str) -> bool,
) -> Result<Vec<&'a str>> {
    let (root, path, stays) = match naming {
        Naming::Partition { root, source, day, .. } => {
            return Lake::at(root).lacking(source, *day, names);
        }
        Naming::Plain { root, path, stays, .. } => (root, path, *stays),
    };
    let mut lacking = Vec::new();
    for name in names {
        let path = plain_path(root, path, name);
        let is_lacking = match stays {
            Stays::File => !path.exists() || has_rows(name) && !holds_rows(&path)?,
            // Which of the files of earlier runs were this stream's, nobody can say.
            Stays::Root => is_empty(Path::new(&for_stream(&root.to_string_lossy(), name))),
            Stays::Nothing => false,
        };
        if is_lacking {
            lacking.push(*name);
        }
    }
    Ok(lacking)
}

/// Tells whether a folder is not there, or nothing is in it.
fn is_empty(folder: &Path) -> bool {
    folder.read_dir().map_or(true, |mut names| names.next().is_none())
}
