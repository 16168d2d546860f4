//! `chorus days`: the days that a job has written, and their removal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use project::{Job, Warnings};
use runner::backfill::OpenDay;
use runner::days::{self, KnownDay};
use singer::Result;
use singer::output::print;

use crate::cli::DaysArgs;
use crate::commands::run::day;
use crate::commands::table;
use crate::signals::Signals;

/// Lists the days, or removes some of them.
pub fn run(args: &DaysArgs, open: OpenDay<'_>, warnings: &Warnings) -> Result<()> {
    if args.delete.is_empty() {
        // Where the days lie shows with any one.
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date().into();
        let project = open(today)?;
        let known = days::known(&project, &Job::find(&project, &args.words)?)?;
        return print(&listing(&known));
    }
    // All of them are looked at before the first one goes.
    let mut wanted = Vec::new();
    for text in &args.delete {
        let day = day(text)?;
        let project = open(day)?;
        let job = Job::find(&project, &args.words)?;
        let found = days::of_day(&project, &job, day)?;
        wanted.push((project, job, found));
    }
    let signals = Signals::note(warnings);
    for (project, job, found) in wanted {
        if args.preview {
            print(&lines("would remove", &found))?;
            continue;
        }
        days::remove(&project, &job, &found, &signals)?;
        print(&lines("removed", &found))?;
    }
    Ok(())
}

fn listing(known: &[KnownDay]) -> String {
    let row = |day: &KnownDay| {
        let rows = day.rows.map_or_else(|| "not whole".to_owned(), |rows| rows.to_string());
        vec![day.source.clone(), day.day.to_string(), day.tables.to_string(), rows]
    };
    let rows = known.iter().map(row).collect();
    table::render(&["source", "day", "tables", "rows"], rows, &[2, 3])
}

fn lines(verb: &str, found: &[KnownDay]) -> String {
    let line = |day: &KnownDay| {
        let rows = day.rows.map_or(String::new(), |rows| format!(", {rows} rows"));
        format!("{verb} {}: {} tables{rows}\n", day.place, day.tables)
    };
    found.iter().map(line).collect()
}
