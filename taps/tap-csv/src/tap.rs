//! The tap: which of its two jobs the settings ask for.

use files::Tables;
use lake::{Day, DayOptions, Lake};
use singer::settings::TapCommon;
use singer::{
    About, Bookmark, Context as _, Example, OtherSetting, Reading, Result, Rows, Stream, Tap, whole,
};

use crate::settings::{self, FileSettings, Origin, TapCsvSettings, WORDS};

/// Reads CSV files, or a day of the lake.
#[derive(Debug)]
pub enum TapCsv {
    /// A stream for each entry of `files`.
    Files(Tables),
    /// A stream for each table of the day.
    Day(Box<Day>),
}

impl Tap for TapCsv {
    const ABOUT: About = About {
        name: "tap-csv",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads CSV files with inferred types, and days of the lake (dated folders \
                      that target-csv writes) with theirs.",
        capabilities: &[whole::CAPABILITY],
    };
    const EXAMPLES: &'static [Example] = &[
        Example {
            what: "Read CSV files into a dated folder",
            line: "{} -c files.json | target-csv -c target.json > states",
        },
        Example {
            what: "Show which files of a day a run would read",
            line: "{} --set output=output --set datestamp=2026-01-30 --plan",
        },
    ];
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    const TELLS_NO_STREAM: bool = true;
    const START_DATE: Option<&'static str> =
        Some("Has no effect and prints a warning. Files and days are always read in full.");
    type Settings = TapCsvSettings;

    fn open(settings: TapCsvSettings, common: &TapCommon) -> Result<Self> {
        if common.start_date.is_some() {
            singer::warn!(
                "W-SETTING-UNUSED",
                "setting `start_date` has no effect: files are read whatever the dates of their \
                 rows; the state says which files were read, and `path` selects files"
            );
        }
        match settings.origin()? {
            Origin::Files(files) => {
                let each = files.into_iter().map(|file| file.each(&common.all));
                let files: Vec<_> =
                    each.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
                Tables::check_names(files.iter().map(|file| &file.entity), WORDS)?;
                let table = |file: FileSettings| file.table(&settings, &common.all);
                let tables = files.into_iter().map(table).collect::<Result<_>>()?;
                Ok(Self::Files(Tables::new(tables)))
            }
            Origin::Day { output, datestamp } => {
                let options = DayOptions {
                    datestamp: datestamp.parse().with("setting", "datestamp")?,
                    source: settings.source,
                    require_run_record: settings.require_run_record,
                    row_bytes_max: common.all.max_record_bytes,
                };
                Ok(Self::Day(Box::new(Day::new(Lake::open(output)?, options))))
            }
        }
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        match self {
            Self::Day(day) => day.discover(),
            Self::Files(tables) => tables.discover(),
        }
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        match self {
            Self::Day(day) => day.sync(stream, since, rows),
            Self::Files(tables) => tables.sync(stream, since, rows),
        }
    }

    fn prepare(&mut self, streams: &mut [&mut Stream]) -> Result<()> {
        match self {
            Self::Day(day) => day.prepare(streams),
            Self::Files(_) => Ok(()),
        }
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        match self {
            Self::Day(day) => day.plan(stream, since),
            Self::Files(tables) => tables.of(stream)?.plan(stream, since),
        }
    }
}
