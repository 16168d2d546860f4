//! The command line.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use singer::{Error, ErrorKind, Result};

/// Rows of `lineitem` at scale 1: a quarter of TPC-H's scale factor 1.
const ROWS_AT_SCALE_1: f64 = 1_500_000.0;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// About how many rows `lineitem` gets; the other tables follow from it.
    pub rows: u64,
    /// How often each load is measured.
    pub rounds: usize,
    /// Runs only the measurements whose name contains this.
    pub only: Option<String>,
    /// Also measures memory and CPU at four times the rows.
    pub large: bool,
    /// Keeps the filled cluster for the next run of the same scale.
    pub keep: bool,
    /// The arguments as given, to be shown beside the results.
    pub line: String,
}

/// What the command line asks for.
pub enum Asked {
    /// The benchmarks.
    Run(Options),
    /// So many rows of a table, as CSV on standard output.
    Generate(String, u64),
    /// Help.
    Text(String),
}

impl Options {
    /// Returns how often reads are measured: they take a second or two, and spread the more.
    pub fn rounds_of_reads(&self) -> usize {
        2 * self.rounds + 1
    }

    /// Tells whether a measurement of this name is to be made.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }
}

/// Reads the command line.
pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Asked> {
    let args: Vec<OsString> = args.into_iter().collect();
    let line = args.iter().skip(1).map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(failure) if !failure.use_stderr() => return Ok(Asked::Text(failure.to_string())),
        Err(failure) => {
            let text = failure.to_string();
            let text = text.trim_start_matches("error: ").trim_end();
            return Err(Error::new(ErrorKind::Usage, text));
        }
    };
    let scale = matches.get_one::<f64>("scale").copied().unwrap_or(1.0);
    let rows = match matches.get_one::<u64>("rows") {
        Some(rows) => *rows,
        None => whole(scale * ROWS_AT_SCALE_1),
    };
    if rows == 0 {
        return Err(Error::new(ErrorKind::Usage, "cannot measure without rows"));
    }
    if let Some(table) = matches.get_one::<String>("generate") {
        return Ok(Asked::Generate(table.clone(), rows));
    }
    Ok(Asked::Run(options(&matches, rows, line)))
}

fn options(matches: &ArgMatches, rows: u64, line: String) -> Options {
    Options {
        rows,
        rounds: matches.get_one::<usize>("rounds").copied().unwrap_or(3).max(1),
        only: matches.get_one::<String>("only").cloned(),
        large: !matches.get_flag("no-large"),
        keep: matches.get_flag("keep"),
        line,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and no such scale is ever run"
)]
fn whole(rows: f64) -> u64 {
    rows.round() as u64
}

fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("bench")
        .about("Measures the connectors beside raw COPY and writes bench/RESULTS.md.")
        .arg(
            option("scale", "N", "1 is about 1.5 million rows of lineitem [default: 1]")
                .value_parser(value_parser!(f64)),
        )
        .arg(
            option("rows", "N", "rows of lineitem, instead of --scale")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            option(
                "rounds",
                "N",
                "how often each load is measured, reads twice as often and once more [default: 3]",
            )
            .value_parser(value_parser!(usize)),
        )
        .arg(option("only", "TEXT", "only measurements whose name contains it; saves nothing"))
        .arg(flag("no-large", "leave out the runs with four times the rows"))
        .arg(flag("keep", "keep the filled cluster for the next run of the same scale"))
        .arg(option("generate", "TABLE", "write --rows rows as CSV to standard output").hide(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked> {
        read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_scale_gives_the_rows_unless_they_are_given() {
        let rows = |line: &str| match asked(line) {
            Ok(Asked::Run(options)) => options.rows,
            _ => panic!("{line}"),
        };
        assert_eq!(rows("bench"), 1_500_000);
        assert_eq!(rows("bench --scale 0.5"), 750_000);
        assert_eq!(rows("bench --scale 2 --rows 7"), 7);
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for line in ["bench --scale x", "bench --rows 0", "bench --fast"] {
            assert_eq!(asked(line).err().map(|failure| failure.kind()), Some(ErrorKind::Usage));
        }
        assert!(matches!(asked("bench --help"), Ok(Asked::Text(_))));
        assert!(matches!(asked("bench --generate mixed --rows 2"), Ok(Asked::Generate(_, 2))));
    }
}
