//! The tap: a stream for each table of the day.

use lake::{Day, DayOptions, Lake};
use singer::settings::TapCommon;
use singer::{About, Bookmark, Context as _, Example, Reading, Result, Rows, Stream, Tap, whole};

use crate::settings::TapLakeSettings;

/// Reads a day of the lake.
#[derive(Debug)]
pub struct TapLake {
    day: Day,
    /// All tables become one stream.
    united: bool,
}

impl Tap for TapLake {
    const ABOUT: About = About {
        name: "tap-lake",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads a day of the lake (dated folders that target-csv writes) with its \
                      types and keys, sums checked.",
        capabilities: &[whole::CAPABILITY],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Load a day into Postgres",
        line: "{} --set output=output --set datestamp=2026-01-30 |\n    \
               target-postgres --set database=warehouse > states",
    }];
    const TELLS_NO_STREAM: bool = true;
    const START_DATE: Option<&'static str> =
        Some("Has no effect and prints a warning. The tables of a day are always read in full.");
    type Settings = TapLakeSettings;

    fn open(settings: TapLakeSettings, common: &TapCommon) -> Result<Self> {
        if common.start_date.is_some() {
            singer::warn!(
                "W-SETTING-UNUSED",
                "setting `start_date` has no effect: the tables of a day are always read in full"
            );
        }
        let options = DayOptions {
            datestamp: settings.datestamp.parse().with("setting", "datestamp")?,
            source: settings.source,
            require_run_record: settings.require_run_record,
            row_bytes_max: common.all.max_record_bytes,
        };
        Ok(Self { day: Day::new(Lake::open(settings.output)?, options), united: settings.united })
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        self.day.discover()
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        // A table that is left out would be missing in the united stream.
        let none = Bookmark::default();
        self.day.sync(stream, if self.united { &none } else { since }, rows)
    }

    fn schemas_first(&self) -> bool {
        self.united
    }

    fn prepare(&mut self, streams: &mut [&mut Stream]) -> Result<()> {
        self.day.prepare(streams)
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        self.day.plan(stream, since)
    }
}
