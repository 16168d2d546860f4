//! From the settings to the path of a stream's file.

use std::path::{Path, PathBuf};

use disk::Datestamp;
use jiff::Zoned;
use lake::{DATED_SCHEME, DatedPath, Key, Lake};
use singer::{Context, Error, ErrorKind, Result, ResultExt, Stream, time_zone};

use crate::plain::Claim;
use crate::settings::Settings;
use crate::written_for::WrittenFor;

const PLAIN_SCHEME: &str = "{stream_name}.csv";
const STREAM_NAME: &str = "{stream_name}";

/// Where files go.
#[derive(Clone, Debug, PartialEq)]
pub enum Naming {
    /// Partitions of one source and day.
    Partition {
        /// The output folder.
        root: PathBuf,
        /// The source.
        source: String,
        /// The day.
        day: Datestamp,
        /// The name of the data file, with `{stream_name}` still in it.
        file: String,
    },
    /// One file a stream.
    Plain {
        /// The folder that paths are below.
        root: PathBuf,
        /// The path below it, with `{stream_name}` still in it.
        path: String,
        /// The path has a time of day: each run makes files of its own.
        moves: bool,
        /// What of the path is the same in each run.
        stays: Stays,
        /// What its name does not tell apart, where there is something.
        written_for: Option<WrittenFor>,
    },
}

/// What of the path of a plain file is the same in each run, and on each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// All of it.
    File,
    /// The folder that paths are below.
    Root,
    /// No part that is known.
    Nothing,
}

impl Naming {
    /// Reads output folder and naming scheme; touches no file.
    pub fn read(settings: &Settings, now: jiff::Timestamp) -> Result<Self> {
        let scheme = match &settings.file_naming_scheme {
            Some(scheme) => scheme.as_str(),
            None if settings.source.is_some() => DATED_SCHEME,
            None => PLAIN_SCHEME,
        };
        let times = Times::read(settings, now)?;
        check_scheme(scheme)?;
        let fill = |part: &str| times.fill(part, settings).with("file_naming_scheme", scheme);
        let folder = settings.output_path.as_deref();
        if let Some(dated) = DatedPath::read(Path::new(folder.unwrap_or("output")), scheme)
            && dated.table == STREAM_NAME
            && !dated.root.to_string_lossy().contains(STREAM_NAME)
        {
            let root = times.fill_folder(&dated.root.to_string_lossy(), settings)?.into();
            // In a path a source is written as folders are named, in the setting as it is.
            let source = if dated.source == "{source}" {
                settings.source.clone().ok_or_else(no_source)?
            } else {
                let source = fill(&dated.source)?;
                disk::name::decode(&source).unwrap_or(source)
            };
            if source.is_empty() {
                return Err(no_source());
            }
            let day = fill(&dated.day)?;
            let day = day.parse::<Datestamp>().hint(
                "write the day of a partition as YYYY-MM-DD: check `datestamp` and \
                 `datestamp_format`",
            )?;
            let given = settings.datestamp.as_deref().map(str::parse::<Datestamp>).transpose()?;
            if let Some(given) = given.filter(|given| *given != day) {
                return Err(Error::new(
                    ErrorKind::Config,
                    "the path has another day than `datestamp`",
                )
                .with("datestamp", given)
                .with("day of the path", day)
                .hint("write extracted_at={datestamp} in the path, or remove `datestamp`"));
            }
            return Ok(Self::Partition { root, source, day, file: fill(&dated.file)? });
        }
        let folder = folder.unwrap_or(".");
        if settings.datestamp.is_some() && !format!("{folder}/{scheme}").contains("{datestamp}") {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot use `datestamp`: the path does not contain it",
            )
            .with("file_naming_scheme", scheme)
            .hint("set `source` for dated folders, or put {datestamp} into the scheme"));
        }
        let root = times.fill_folder(folder, settings)?.into();
        let parts = scheme.split('/').filter(|part| !matches!(*part, "" | "."));
        let path = parts.map(fill).collect::<Result<Vec<_>>>()?.join("/");
        let moves = times.moves && format!("{folder}/{scheme}").contains("{timestamp}");
        let is_timed = |part: &str| part.contains("{timestamp}") || part.contains("{datestamp}");
        let stays = match (is_timed(folder), is_timed(scheme)) {
            (true, _) => Stays::Nothing,
            (false, true) => Stays::Root,
            (false, false) => Stays::File,
        };
        let written_for = times.written_for(&format!("{folder}/{scheme}"), settings);
        let written_for = written_for.filter(|_| !moves);
        Ok(Self::Plain { root, path, moves, stays, written_for })
    }

    /// Returns what a run says of the plain file of a stream.
    pub fn claim(&self, stream: &Stream) -> Claim {
        let (moves, written_for) = match self {
            Self::Partition { .. } => (false, &None),
            Self::Plain { moves, written_for, .. } => (*moves, written_for),
        };
        let written_for = written_for.as_ref().map(|known| known.note(&stream.name));
        Claim { coverage: stream.coverage.clone(), moves, written_for }
    }

    /// Returns the name that people know the place of a stream's file by, or of its partition.
    pub fn show(&self, stream: &str) -> String {
        match self {
            Self::Partition { root, source, day, .. } => {
                Lake::at(root).show(&Key::table(source, *day, stream))
            }
            Self::Plain { root, path, .. } => plain_path(root, path, stream).display().to_string(),
        }
    }

    /// Returns the path of a stream's file, or of its partition, where it is on a disk.
    pub fn local_path(&self, stream: &str) -> Option<PathBuf> {
        match self {
            Self::Partition { root, source, day, .. } => {
                Lake::at(root).local_path(&Key::table(source, *day, stream))
            }
            Self::Plain { root, path, .. } => Some(plain_path(root, path, stream)),
        }
    }
}

/// Returns the path of a stream's plain file, by the parts of [`Naming::Plain`].
pub fn plain_path(root: &Path, path: &str, stream: &str) -> PathBuf {
    let root = for_stream(&root.to_string_lossy(), stream);
    Path::new(&root).join(for_stream(path, stream))
}

/// Puts the stream's name, encoded, into a path.
pub fn for_stream(path: &str, stream: &str) -> String {
    path.replace(STREAM_NAME, &disk::name::encode(stream))
}

fn no_source() -> Error {
    Error::new(ErrorKind::Config, "the naming scheme needs the setting `source`")
        .hint("set `source` to the name of the system that the data comes from")
}

/// Refuses a scheme that leads out of the output folder, or names no file.
fn check_scheme(scheme: &str) -> Result<()> {
    let leaves = scheme.split('/').any(|part| part == "..") || Path::new(scheme).is_absolute();
    let file = scheme.rsplit('/').next().unwrap_or_default();
    if leaves || matches!(file, "" | ".") || scheme.contains('\0') {
        return Err(Error::new(ErrorKind::Config, "cannot use the naming scheme")
            .with("file_naming_scheme", scheme)
            .hint("write the path of a file below `output_path`, without `..`"));
    }
    let lower = file.to_ascii_lowercase();
    if [".gz", ".zst", ".bz2", ".xz", ".br", ".zip"].iter().any(|end| lower.ends_with(end)) {
        return Err(Error::new(ErrorKind::Config, "cannot write compressed files")
            .with("file_naming_scheme", scheme)
            .hint("the file is written as plain text: let its name end in .csv"));
    }
    Ok(())
}

/// From one day to another whose name may be the same: of its week, month or year, or of the same
/// place in another one.
const SPANS: [(i32, i32); 9] =
    [(0, -1), (0, 1), (0, 7), (0, 365), (0, 366), (1, 0), (2, 0), (12, 0), (48, 0)];

/// The times that names contain.
struct Times {
    date: Datestamp,
    now: Zoned,
    datestamp: String,
    timestamp: String,
    /// `timestamp` is another one later on the same day.
    moves: bool,
}

impl Times {
    fn read(settings: &Settings, now: jiff::Timestamp) -> Result<Self> {
        let zone =
            time_zone::named(&settings.timestamp_timezone).with("setting", "timestamp_timezone")?;
        let now = now.to_zoned(zone);
        let date = match &settings.datestamp {
            Some(text) => text.parse()?,
            None => Datestamp::from(now.date()),
        };
        let written = |format: &str, setting, text: std::result::Result<String, jiff::Error>| {
            text.or_kind(ErrorKind::Config, "cannot write a time in this format")
                .with(setting, format)
        };
        let format = settings.datestamp_format.as_str();
        let datestamp = jiff::fmt::strtime::format(format, date.date());
        let datestamp = written(format, "datestamp_format", datestamp)?;
        let format = settings.timestamp_format.as_str();
        let timestamp = jiff::fmt::strtime::format(format, &now);
        let timestamp = written(format, "timestamp_format", timestamp)?;
        let midnight = now.start_of_day();
        let moves = [midnight, now.end_of_day()]
            .map(|at| at.ok().and_then(|at| jiff::fmt::strtime::format(format, &at).ok()));
        Ok(Self { date, now, datestamp, timestamp, moves: moves[0] != moves[1] })
    }

    /// Returns what paths of a scheme do not tell apart: streams, where none is named, or sources
    /// and streams whose names run together; and days, where their times are written the same.
    fn written_for(&self, scheme: &str, settings: &Settings) -> Option<WrittenFor> {
        let both = |part: &str| part.contains("{source}") && part.contains(STREAM_NAME);
        let run_together = !scheme.contains(STREAM_NAME) || scheme.split('/').any(both);
        let day = self.shared_day(scheme, settings);
        let source = settings.source.clone().filter(|_| scheme.contains("{source}"));
        (run_together || day.is_some()).then_some(WrittenFor { source, day })
    }

    /// Returns the day of a path with a time, where that of another day is the same.
    fn shared_day(&self, scheme: &str, settings: &Settings) -> Option<Datestamp> {
        let (dated, timed) = (scheme.contains("{datestamp}"), scheme.contains("{timestamp}"));
        let is_shared = |(months, days): (i32, i32)| {
            let span = jiff::Span::new().months(months).days(days);
            let format = &settings.datestamp_format;
            let date = self.date.date().checked_add(span);
            let date = date.and_then(|date| jiff::fmt::strtime::format(format, date));
            let format = &settings.timestamp_format;
            let time = self.now.checked_add(span);
            let time = time.and_then(|time| jiff::fmt::strtime::format(format, &time));
            (!dated || date.is_ok_and(|date| date == self.datestamp))
                && (!timed || time.is_ok_and(|time| time == self.timestamp))
        };
        let day = if dated { self.date } else { self.now.date().into() };
        ((dated || timed) && SPANS.into_iter().any(is_shared)).then_some(day)
    }

    /// Fills in all but the stream's name; what is filled in never adds a folder.
    fn fill(&self, part: &str, settings: &Settings) -> Result<String> {
        let mut out = String::new();
        let mut rest = part;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = after.split_once('}').ok_or_else(|| unknown(after))?;
            match name {
                "stream_name" => out.push_str(STREAM_NAME),
                "datestamp" => out.push_str(&inside(&self.datestamp)),
                "timestamp" => out.push_str(&inside(&self.timestamp)),
                "source" => {
                    let source = settings.source.as_deref().ok_or_else(no_source)?;
                    out.push_str(&disk::name::encode(source));
                }
                _ => return Err(unknown(name)),
            }
            rest = after;
        }
        out.push_str(rest);
        if matches!(out.as_str(), "" | "." | "..") {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot use a name that is empty, `.` or `..`",
            )
            .with("part", part)
            .hint("check the settings that fill it in"));
        }
        Ok(out)
    }

    /// Fills in a folder, whose names may have braces of their own.
    fn fill_folder(&self, folder: &str, settings: &Settings) -> Result<String> {
        let fill = |part: &str| {
            let mut inside = part.split('{').skip(1).map(|text| text.split_once('}'));
            let word = |name: &str| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
            if inside.any(|text| text.is_some_and(|(name, _)| !name.is_empty() && word(name))) {
                self.fill(part, settings).with("output_path", folder)
            } else {
                Ok(part.to_owned())
            }
        };
        Ok(folder.split('/').map(fill).collect::<Result<Vec<_>>>()?.join("/"))
    }
}

fn inside(text: &str) -> String {
    text.replace('/', "-")
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Config, "the naming scheme has an unknown placeholder")
        .with("placeholder", name)
        .hint("the placeholders are {stream_name}, {source}, {datestamp} and {timestamp}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl FnOnce(&mut Settings)) -> Result<Naming> {
        let mut settings = Settings::default();
        change(&mut settings);
        Naming::read(&settings, "2024-02-29T23:30:05Z".parse().unwrap())
    }

    fn partition(root: &str, source: &str, day: &str, file: &str) -> Naming {
        Naming::Partition {
            root: root.into(),
            source: source.to_owned(),
            day: day.parse().unwrap(),
            file: file.to_owned(),
        }
    }

    #[test]
    fn writes_partitions_when_the_scheme_ends_in_one() {
        let file = "2024-02-29.T233005.csv";
        let named = read(|s| s.source = Some("a b".to_owned())).unwrap();
        assert_eq!(named, partition("output", "a b", "2024-02-29", file));
        let scheme = "x/source=pg/extracted_at={datestamp}/table={stream_name}/{stream_name}.csv";
        let named = read(|s| {
            s.file_naming_scheme = Some(scheme.to_owned());
            s.output_path = Some("lake".to_owned());
            s.datestamp = Some("2023-01-01".to_owned());
        });
        assert_eq!(named.unwrap(), partition("lake/x", "pg", "2023-01-01", "{stream_name}.csv"));
        let named = read(|s| {
            s.source = Some("pg".to_owned());
            s.timestamp_timezone = "Europe/Berlin".to_owned();
        });
        let file = "2024-03-01.T003005.csv";
        assert_eq!(named.unwrap(), partition("output", "pg", "2024-03-01", file));
    }

    #[test]
    fn knows_partitions_by_the_whole_path() {
        let scheme = "output/source=pg/extracted_at=2024-02-29/table={stream_name}/f.csv";
        let parts: Vec<&str> = scheme.split('/').collect();
        for at in 1..parts.len() {
            for (before, between) in [("", ""), ("./", "/"), ("/x/", ""), ("../", "//.")] {
                let folder = format!("{before}{}{between}", parts[..at].join("/"));
                let named = read(|s| {
                    s.output_path = Some(folder.clone());
                    s.file_naming_scheme = Some(parts[at..].join("/"));
                });
                let root = format!("{before}output");
                let expected = partition(&root, "pg", "2024-02-29", "f.csv");
                assert_eq!(named.unwrap(), expected, "{folder}");
            }
        }
        let filled = read(|s| {
            s.output_path =
                Some("{source}/{datestamp}/source={source}/extracted_at={datestamp}".into());
            s.file_naming_scheme = Some("table={stream_name}/{stream_name}.csv".into());
            s.source = Some("a b".into());
            s.datestamp = Some("2024-01-01".into());
        });
        let expected = partition("a%20b/2024-01-01", "a b", "2024-01-01", "{stream_name}.csv");
        assert_eq!(filled.unwrap(), expected);
        let two_days = read(|s| {
            s.output_path = Some("output/source=pg/extracted_at=2024-02-29".into());
            s.file_naming_scheme = Some("table={stream_name}/f.csv".into());
            s.datestamp = Some("2024-01-01".into());
        });
        assert_eq!(two_days.unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn plain_paths_tell_whether_each_run_makes_files_of_its_own() {
        let moves = |change: &dyn Fn(&mut Settings)| match read(change).unwrap() {
            Naming::Plain { moves, .. } => moves,
            Naming::Partition { .. } => panic!("not plain"),
        };
        let scheme = |text: &'static str| {
            move |s: &mut Settings| s.file_naming_scheme = Some(text.to_owned())
        };
        assert!(moves(&scheme("{stream_name}-{timestamp}.csv")));
        assert!(moves(&scheme("{timestamp}/{stream_name}.csv")));
        assert!(moves(&|s| s.output_path = Some("x/{timestamp}".to_owned())));
        assert!(!moves(&scheme("{stream_name}.csv")));
        assert!(!moves(&scheme("{datestamp}/{stream_name}.csv")));
        assert!(!moves(&|s| {
            s.file_naming_scheme = Some("{stream_name}-{timestamp}.csv".to_owned());
            s.timestamp_format = "%Y%m%d".to_owned();
        }));
    }

    #[test]
    fn fills_in_the_folder_and_leaves_braces_of_its_own() {
        let path = |folder: &str| {
            let folder = Some(folder.to_owned());
            read(|s| s.output_path = folder).map(|naming| naming.local_path("a/b").unwrap())
        };
        assert_eq!(path("x/{stream_name}").unwrap(), Path::new("x/a%2Fb/a%2Fb.csv"));
        assert_eq!(path("{}/{A b}/{1").unwrap(), Path::new("{}/{A b}/{1/a%2Fb.csv"));
        assert_eq!(path("x/{stream}").unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn writes_plain_files_otherwise() {
        let path = |change: fn(&mut Settings)| match read(change).unwrap() {
            Naming::Plain { path, .. } => for_stream(&path, "public-a/b"),
            Naming::Partition { .. } => panic!("not plain"),
        };
        assert_eq!(path(|_| ()), "public-a%2Fb.csv");
        let dated = path(|s| s.file_naming_scheme = Some("{datestamp}/{stream_name}".to_owned()));
        assert_eq!(dated, "2024-02-29/public-a%2Fb");
    }

    #[test]
    fn refuses_what_it_cannot_name() {
        let check = |change: fn(&mut Settings)| {
            let failure = read(change).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{failure}");
        };
        check(|s| s.source = Some(String::new()));
        check(|s| s.datestamp = Some("20260230".to_owned()));
        check(|s| s.datestamp = Some("../".to_owned()));
        check(|s| s.file_naming_scheme = Some("../{stream_name}.csv".to_owned()));
        check(|s| s.file_naming_scheme = Some("/etc/{stream_name}.csv".to_owned()));
        check(|s| s.file_naming_scheme = Some("{stream}.csv".to_owned()));
        check(|s| s.file_naming_scheme = Some("{stream_name".to_owned()));
        check(|s| s.file_naming_scheme = Some(DATED_SCHEME.to_owned()));
        check(|s| s.timestamp_timezone = "Nowhere/Land".to_owned());
        check(|s| s.timestamp_format = "%!".to_owned());
        check(|s| {
            s.timestamp_format = "..".to_owned();
            s.file_naming_scheme = Some("{timestamp}/{stream_name}".to_owned());
        });
        check(|s| {
            s.source = Some("pg".to_owned());
            s.datestamp_format = "%d.%m.%Y".to_owned();
        });
    }
}
