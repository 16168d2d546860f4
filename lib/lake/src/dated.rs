//! The dated layout in the path that two settings write: an output folder, and a scheme below it.

use std::path::{Component, Path, PathBuf};

/// The scheme of a dated path that holds all of it.
pub const DATED_SCHEME: &str =
    "source={source}/extracted_at={datestamp}/table={stream_name}/{timestamp}.csv";

/// A path that ends in `source=S/extracted_at=D/table=T/FILE`; placeholders are still in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedPath {
    /// The output folder: what is above the sources.
    pub root: PathBuf,
    /// What follows `source=`.
    pub source: String,
    /// What follows `extracted_at=`.
    pub day: String,
    /// What follows `table=`.
    pub table: String,
    /// The name of the data file.
    pub file: String,
}

impl DatedPath {
    /// Reads the path of a scheme below a folder. The whole path says whether it is dated, wherever
    /// it is split, and with `.`, `..` and more slashes in it; `None` when it is not.
    pub fn read(folder: &Path, scheme: &str) -> Option<Self> {
        let whole = folder.join(scheme);
        let mut parts: Vec<Component<'_>> = whole.components().collect();
        let file = last(&mut parts)?;
        let mut named = |name: &str| last(&mut parts)?.strip_prefix(name).map(str::to_owned);
        let table = named("table=")?;
        let day = named("extracted_at=")?;
        let source = named("source=")?;
        let root: PathBuf = parts.iter().collect();
        let root = if parts.is_empty() { PathBuf::from(".") } else { root };
        Some(Self { root, source, day, table, file: file.to_owned() })
    }

    /// Returns the path below the output folder.
    pub fn below(&self) -> String {
        let Self { source, day, table, file, .. } = self;
        format!("source={source}/extracted_at={day}/table={table}/{file}")
    }
}

/// Takes the last name off a path; a `..` takes the name before it along.
fn last<'a>(parts: &mut Vec<Component<'a>>) -> Option<&'a str> {
    let mut above = 0_usize;
    loop {
        match parts.pop()? {
            Component::ParentDir => above += 1,
            Component::Normal(_) if above > 0 => above -= 1,
            Component::Normal(name) => return name.to_str(),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_layout_wherever_the_path_is_split() {
        let parts = ["o", "source=s", "extracted_at={datestamp}", "table={stream_name}", "f.csv"];
        let expected = DatedPath {
            root: "o".into(),
            source: "s".to_owned(),
            day: "{datestamp}".to_owned(),
            table: "{stream_name}".to_owned(),
            file: "f.csv".to_owned(),
        };
        for at in 0..parts.len() {
            let (folder, scheme) = (parts[..at].join("/"), parts[at..].join("/"));
            for folder in [folder.clone(), format!("./{folder}"), format!("{folder}//")] {
                // Nothing and a slash is another folder.
                if at == 0 && folder.starts_with('/') {
                    continue;
                }
                let found = DatedPath::read(Path::new(&folder), &scheme).unwrap();
                assert_eq!(found.below(), expected.below(), "{folder} {scheme}");
                assert!(found.root.ends_with("o"), "{folder} {scheme}");
            }
        }
    }

    #[test]
    fn knows_the_root_of_absolute_paths_and_behind_two_dots() {
        let check = |folder: &str, scheme: &str, root: &str| {
            let found = DatedPath::read(Path::new(folder), scheme).unwrap();
            assert_eq!(found.root, Path::new(root), "{folder} {scheme}");
            assert_eq!(found.below(), "source=s/extracted_at=d/table=t/f", "{folder} {scheme}");
        };
        check("/a/source=s/", "extracted_at=d/table=t/f", "/a");
        check("/source=s", "extracted_at=d/table=t/f", "/");
        check("source=s/extracted_at=d", "table=t/f", ".");
        check("", "source=s/extracted_at=d/table=t/f", ".");
        check("a/source=s/x/..", "extracted_at=d/table=t/f", "a");
        check("a/source=s/x/y/../../extracted_at=d", "table=t/f", "a");
        // A link may lead elsewhere than up: these are left to the system.
        check("../a/../source=s", "extracted_at=d/table=t/f", "../a/..");
        check("a/b/../source=s", "extracted_at=d/table=t/f", "a/b/..");
    }

    #[test]
    fn other_paths_are_not_dated() {
        let check = |folder: &str, scheme: &str| {
            assert_eq!(DatedPath::read(Path::new(folder), scheme), None, "{folder} {scheme}");
        };
        check("output", "{stream_name}.csv");
        check("output/source=s", "table=t/f");
        check("source=s/extracted_at=d/..", "table=t/f");
        check("output", "source=s/extracted_at=d/table=t/x/f");
        check("output", "extracted_at=d/source=s/table=t/f");
        check("/", "extracted_at=d/table=t/f");
    }
}
