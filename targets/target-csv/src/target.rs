//! The target: settings checked, then one file a stream.

use std::sync::Arc;

use disk::Datestamp;
use lake::format::DataFiles as _;
use lake::format::csv::{CsvWriter, Dialect};
use lake::{Key, Lake, Layout, METADATA, Run};
use singer::schema::PARTITION;
use singer::target::Unchanged;
use singer::{
    About, Context, Error, ErrorKind, Example, FileIds, OtherSetting, Planned, Result, Stream,
    Target,
};

use crate::lost;
use crate::naming::{Naming, for_stream, plain_path};
use crate::place::Place;
use crate::plain::{Paths, PlainFile, check_replaced};
use crate::settings::{self, OverwriteBehavior, Settings};
use crate::sink::CsvSink;
use crate::source;
use crate::together::Shared;

const TOOL: &str = concat!("target-csv ", env!("CARGO_PKG_VERSION"));

/// Writes CSV files.
pub struct TargetCsv {
    settings: Settings,
    naming: Naming,
    dialect: Dialect,
    paths: Paths,
    /// The files that the rows of this run come from.
    read_from: FileIds,
    shared: Shared,
}

impl Target for TargetCsv {
    const ABOUT: About = About {
        name: "target-csv",
        version: env!("CARGO_PKG_VERSION"),
        description: "Writes CSV files: dated partitions that are published whole, or plain files.",
        capabilities: &[],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Write the folder of a day",
        line: "tap-csv -c files.json |\n    \
               {} --set output_path=output --set datestamp=2026-01-30 > states",
    }];
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    type Settings = Settings;
    type Sink = CsvSink;

    fn open(settings: Settings) -> Result<Self> {
        refuse_unsupported(&settings)?;
        let naming = Naming::read(&settings, jiff::Timestamp::now())?;
        let dialect = dialect(&settings, &naming)?;
        lake::allow_many_files();
        let run = match &naming {
            Naming::Partition { root, source, day, .. } => {
                if settings.datestamp.is_none() {
                    tracing::info!("the day is {day}; set `datestamp` for another day");
                }
                Some(Run::begin(&Lake::create(root)?, source, *day, TOOL)?)
            }
            Naming::Plain { moves, .. } => {
                if *moves {
                    let advice = "each run adds a file, also a rerun: to replace the file, write \
                                  to {stream_name}.csv, or to \
                                  source=S/extracted_at=D/table={stream_name}/";
                    singer::warn!("W-RERUN-ADDS", "the path of the file contains a time: {advice}");
                }
                None
            }
        };
        let (paths, read_from, mut shared) = (Paths::default(), FileIds::new(), Shared::default());
        shared.together.run = run;
        Ok(Self { settings, naming, dialect, paths, read_from, shared })
    }

    fn sink(&mut self, stream: &Stream) -> Result<CsvSink> {
        self.read_from.extend(stream.read_from.iter().cloned());
        if let Some(path) = self.naming.local_path(&stream.name) {
            source::check(&path, &self.read_from)?;
        }
        lost::tell_part(&self.naming, stream)?;
        let mut place = match (&self.naming, &self.shared.together.run) {
            (Naming::Partition { file, source, day, .. }, Some(run)) => {
                check_day(stream, source, *day)?;
                let staged = run.stage(&stream.name, self.settings.adopt)?;
                Place::Partition(Some(staged), for_stream(file, &stream.name))
            }
            (Naming::Plain { root, path, .. }, _) => {
                let path = plain_path(root, path, &stream.name);
                self.paths.take(&path, &stream.name)?;
                Place::Plain(PlainFile::new(path, self.naming.claim(stream))?)
            }
            (Naming::Partition { .. }, None) => {
                return Err(Error::new(ErrorKind::Internal, "a partition without a run"));
            }
        };
        let layout = Layout::new(stream, |name| self.settings.adds(name));
        let writer =
            CsvWriter::new(layout, self.dialect, place.create()?, &mut self.shared.writers)?;
        Ok(CsvSink::new(stream, Box::new(writer), place))
    }

    fn shared(&mut self) -> &mut Shared {
        &mut self.shared
    }

    fn plan(settings: Settings, streams: &[Arc<Stream>]) -> Result<Vec<Planned>> {
        refuse_unsupported(&settings)?;
        let naming = Naming::read(&settings, jiff::Timestamp::now())?;
        dialect(&settings, &naming)?;
        let mut paths = Paths::default();
        let mut planned = Vec::new();
        for stream in streams {
            if let Some(path) = naming.local_path(&stream.name) {
                paths.take(&path, &stream.name).with("stream", &stream.name)?;
            }
            if let Naming::Partition { root, source, day, .. } = &naming
                && root.is_dir()
            {
                check_day(stream, source, *day).with("stream", &stream.name)?;
                let at = Key::table(source, *day, &stream.name);
                let checked = Lake::at(root).check_place(&at, settings.adopt, &stream.coverage);
                checked.with("stream", &stream.name)?;
            }
            if let Naming::Plain { root, path, .. } = &naming {
                let path = plain_path(root, path, &stream.name);
                let checked = check_replaced(&path, &naming.claim(stream));
                checked.with("stream", &stream.name)?;
            }
            let steps = vec![naming.show(&stream.name)];
            planned.push(Planned { stream: stream.name.clone(), steps, schema: None, rows: None });
        }
        Ok(planned)
    }

    fn unchanged(&mut self, streams: &[Unchanged]) -> Result<()> {
        lost::tell_unchanged(&self.naming, streams)
    }

    fn commit(&mut self) -> Result<()> {
        self.shared.together.publish()
    }

    fn has_waiting(&self) -> bool {
        self.shared.together.has_waiting()
    }

    fn finish(&mut self) -> Result<()> {
        self.shared.together.run.as_ref().map_or(Ok(()), Run::finish)
    }
}

/// Refuses rows of another day of the same source: they would take the place of that day's. What
/// the settings say of the source counts, so that a day can be copied under another name.
fn check_day(stream: &Stream, source: &str, day: Datestamp) -> Result<()> {
    let Some(named) = stream.schema.get(PARTITION) else { return Ok(()) };
    let part = |name: &str| named[name].as_str().unwrap_or_default();
    let (theirs, their_day) = (part("source"), part("extracted_at"));
    if theirs == source && their_day != day.to_string() {
        return Err(Error::new(ErrorKind::Config, "cannot write the rows of another day")
            .with("source", source)
            .with("day of the rows", their_day)
            .with("datestamp", day)
            .hint("set `datestamp` of the tap and of the target to the same day"));
    }
    if !theirs.is_empty() && theirs != source {
        singer::warn!(
            "W-PARTITION-RENAMED",
            "{}: rows of source {theirs:?}, {their_day}, are written as source {source:?}, {day}",
            singer::error::printable(&stream.name)
        );
    }
    Ok(())
}

fn refuse_unsupported(settings: &Settings) -> Result<()> {
    let refuse = |what: &str, setting: &str, value: &str, hint: &str| {
        Err(Error::new(ErrorKind::Config, what).with(setting, value).hint(hint))
    };
    singer::metadata::check_chosen(
        &METADATA.map(|(name, _)| name),
        settings.add_record_metadata,
        settings.metadata_columns.as_deref(),
    )?;
    if settings.overwrite_behavior == OverwriteBehavior::AppendRecords {
        return refuse(
            "cannot append to files",
            "overwrite_behavior",
            "append_records",
            "a rerun would write rows twice: use replace_file, and partitions to keep each day",
        );
    }
    let encoding = settings.encoding.to_ascii_lowercase();
    if !matches!(encoding.as_str(), "utf-8" | "utf8") {
        let hint = "files are always written as utf-8: remove `encoding`";
        return refuse("cannot write this encoding", "encoding", &encoding, hint);
    }
    if settings.quotechar != "\"" {
        let hint = "fields are quoted by `\"`: remove `quotechar`";
        return refuse("cannot quote by this character", "quotechar", &settings.quotechar, hint);
    }
    if let Some(escape) = settings.escape_character.as_deref().filter(|text| *text != "\"") {
        let hint = "quotes are doubled: remove `escape_character`";
        return refuse("cannot escape by this character", "escape_character", escape, hint);
    }
    if let Some(column) = &settings.record_sort_property_name {
        let hint = "rows are written in the order in which they come: sort in the tap, or when you \
                     read the file";
        return refuse("cannot sort the records", "record_sort_property_name", column, hint);
    }
    Ok(())
}

fn dialect(settings: &Settings, naming: &Naming) -> Result<Dialect> {
    let delimiter = match settings.delimiter.as_str() {
        "\\t" => "\t",
        text => text,
    };
    let dialect = match *delimiter.as_bytes() {
        [delimiter] if delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\n' | b'\r') => {
            Dialect { delimiter, spreadsheet_safe: settings.spreadsheet_safe }
        }
        _ => {
            return Err(Error::new(ErrorKind::Config, "cannot use the delimiter"))
                .with("delimiter", delimiter)
                .hint("give one ASCII character, neither a quote nor a line end");
        }
    };
    let partitioned = matches!(naming, Naming::Partition { .. });
    if partitioned && (dialect.spreadsheet_safe || dialect.delimiter != b',') {
        let mut failure = Error::new(ErrorKind::Config, "cannot change how partitions are written");
        if dialect.delimiter != b',' {
            failure = failure.with("delimiter", delimiter);
        }
        if dialect.spreadsheet_safe {
            failure = failure.with("spreadsheet_safe", true);
        }
        let hint =
            "partitions keep every value as it came: remove the setting, or write plain files";
        return Err(failure.hint(hint));
    }
    Ok(if partitioned { Dialect::LOSSLESS } else { dialect })
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
