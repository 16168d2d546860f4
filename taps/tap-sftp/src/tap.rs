//! The tap: one connection, one table of files for each entry of `tables`.

use files::{Table, Tables};
use sftp::Server;
use singer::settings::TapCommon;
use singer::state::start_date;
use singer::{
    About, Bookmark, Context, Example, OtherSetting, Reading, Result, Rows, Stream, Tap, whole,
};

use crate::folder::Finder;
use crate::settings::{self, TapSftpSettings};
use crate::store::{Remote, Waiting};

/// Reads delimited files of an SFTP server.
#[derive(Debug)]
pub struct TapSftp(Tables);

impl Tap for TapSftp {
    const ABOUT: About = About {
        name: "tap-sftp",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads delimited files of an SFTP server, streaming, without a local copy.",
        capabilities: &[whole::CAPABILITY],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Read the files of a server into a dated folder",
        line: "{} -c sftp.json | target-csv -c target.json > states",
    }];
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    const TELLS_NO_STREAM: bool = true;
    const START_DATE: Option<&'static str> =
        Some("Skips files that last changed before this date or RFC 3339 time.");
    type Settings = TapSftpSettings;

    fn open(settings: TapSftpSettings, common: &TapCommon) -> Result<Self> {
        let entries = settings.tables()?;
        // Not of rows here: files that last changed before it are skipped.
        let start = common.start_date.as_deref().map_or(Ok(None), start_date)?;
        let waiting = Waiting { seconds: settings.stability_seconds, start };
        let mut found = Vec::new();
        for entry in entries {
            let finder = Finder::new(entry, &settings).with("table_name", &entry.table_name)?;
            found.push((entry.table(&settings, &common.all)?, finder));
        }
        let server = Server::connect(settings.options()?)?;
        tracing::info!("connected to {} as {}", settings.host, settings.username);
        let tables = found.into_iter().map(|(table, finder)| {
            Table::new(table, Box::new(Remote::new(&server, finder, waiting)))
        });
        tables.collect::<Result<_>>().map(Tables::new).map(Self)
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        self.0.discover()
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        self.0.sync(stream, since, rows)
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        self.0.of(stream)?.plan(stream, since)
    }
}
