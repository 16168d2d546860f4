//! From the settings to the path of a stream's file.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use lake::{Datestamp, Lake};
use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::settings::Settings;

const PARTITION_SCHEME: &str =
    "source={source}/extracted_at={datestamp}/table={stream_name}/{timestamp}.csv";
const PLAIN_SCHEME: &str = "{stream_name}.csv";

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
    },
}

impl Naming {
    /// Reads the naming scheme; touches no file.
    pub fn read(settings: &Settings, now: jiff::Timestamp) -> Result<Self> {
        let scheme = match &settings.file_naming_scheme {
            Some(scheme) => scheme.as_str(),
            None if settings.source.is_some() => PARTITION_SCHEME,
            None => PLAIN_SCHEME,
        };
        if settings.datestamp.is_some() && !scheme.contains("{datestamp}") {
            return Err(Error::new(ErrorKind::Config, "cannot use `datestamp`: no name has it")
                .with("file_naming_scheme", scheme)
                .hint("set `source` for dated folders, or put {datestamp} into the scheme"));
        }
        let times = Times::read(settings, now)?;
        let parts: Vec<&str> = scheme.split('/').collect();
        check_parts(scheme, &parts)?;
        let fill = |part: &str| times.fill(part, settings).with("file_naming_scheme", scheme);
        if let [above @ .., source, day, table, file] = parts.as_slice()
            && let Some(source) = source.strip_prefix("source=")
            && let Some(day) = day.strip_prefix("extracted_at=")
            && *table == "table={stream_name}"
            && !above.iter().any(|part| part.contains("{stream_name}"))
        {
            let mut root = PathBuf::from(settings.output_path.as_deref().unwrap_or("output"));
            for part in above {
                root.push(fill(part)?);
            }
            // In the scheme a source is written as it is in the path, in the setting as it is.
            let source = if source == "{source}" {
                settings.source.clone().ok_or_else(no_source)?
            } else {
                let source = fill(source)?;
                lake::name::decode(&source).unwrap_or(source)
            };
            if source.is_empty() {
                return Err(no_source());
            }
            let day = fill(day)?;
            let day = day.parse::<Datestamp>().hint(
                "a partition's day is YYYY-MM-DD: check `datestamp` and `datestamp_format`",
            )?;
            return Ok(Self::Partition { root, source, day, file: fill(file)? });
        }
        let root = PathBuf::from(settings.output_path.as_deref().unwrap_or("."));
        let path = parts.iter().map(|part| fill(part)).collect::<Result<Vec<_>>>()?.join("/");
        Ok(Self::Plain { root, path })
    }

    /// Returns the path of a stream's file, or of the folder of its partition.
    pub fn path(&self, stream: &str) -> PathBuf {
        match self {
            Self::Partition { root, source, day, .. } => {
                Lake::at(root).table_folder(source, *day, stream)
            }
            Self::Plain { root, path } => root.join(for_stream(path, stream)),
        }
    }
}

/// Puts the stream's name, encoded, into a path.
pub fn for_stream(path: &str, stream: &str) -> String {
    path.replace("{stream_name}", &lake::name::encode(stream))
}

fn no_source() -> Error {
    Error::new(ErrorKind::Config, "the naming scheme needs the setting `source`")
        .hint("set `source`, the name of where the data comes from")
}

fn check_parts(scheme: &str, parts: &[&str]) -> Result<()> {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    if parts.iter().any(|part| odd(part)) || Path::new(scheme).is_absolute() {
        return Err(Error::new(ErrorKind::Config, "cannot use the naming scheme")
            .with("file_naming_scheme", scheme)
            .hint("write a path below `output_path`, without `.`, `..` or empty parts"));
    }
    Ok(())
}

/// The times that names contain.
struct Times {
    datestamp: String,
    timestamp: String,
}

impl Times {
    fn read(settings: &Settings, now: jiff::Timestamp) -> Result<Self> {
        let zone = TimeZone::get(&settings.timestamp_timezone)
            .or_kind(ErrorKind::Config, "cannot find the time zone")
            .with("timestamp_timezone", &settings.timestamp_timezone)
            .hint("write an IANA name such as UTC or Europe/Berlin")?;
        let now = now.to_zoned(zone);
        let date = match &settings.datestamp {
            Some(text) => text.parse::<Datestamp>()?.date(),
            None => now.date(),
        };
        let written = |format: &str, setting, text: std::result::Result<String, jiff::Error>| {
            text.or_kind(ErrorKind::Config, "cannot write a time in this format")
                .with(setting, format)
        };
        let format = settings.datestamp_format.as_str();
        let datestamp = jiff::fmt::strtime::format(format, date);
        let datestamp = written(format, "datestamp_format", datestamp)?;
        let format = settings.timestamp_format.as_str();
        let timestamp = jiff::fmt::strtime::format(format, &now);
        let timestamp = written(format, "timestamp_format", timestamp)?;
        Ok(Self { datestamp, timestamp })
    }

    /// Fills in all but the stream's name; what is filled in never adds a folder.
    fn fill(&self, part: &str, settings: &Settings) -> Result<String> {
        let mut out = String::new();
        let mut rest = part;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = after.split_once('}').ok_or_else(|| unknown(after))?;
            match name {
                "stream_name" => out.push_str("{stream_name}"),
                "datestamp" => out.push_str(&inside(&self.datestamp)),
                "timestamp" => out.push_str(&inside(&self.timestamp)),
                "source" => {
                    let source = settings.source.as_deref().ok_or_else(no_source)?;
                    out.push_str(&lake::name::encode(source));
                }
                _ => return Err(unknown(name)),
            }
            rest = after;
        }
        out.push_str(rest);
        check_parts(part, &[&out])?;
        Ok(out)
    }
}

fn inside(text: &str) -> String {
    text.replace('/', "-")
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Config, "the naming scheme has an unknown placeholder")
        .with("placeholder", name)
        .hint("there are {stream_name}, {source}, {datestamp} and {timestamp}")
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
        check(|s| s.file_naming_scheme = Some(PARTITION_SCHEME.to_owned()));
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
