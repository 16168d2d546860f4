//! What was measured: shown line by line, and saved as `bench/RESULTS.md`.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use singer::Result;

use crate::bench::{Bench, Size, root, write};
use crate::figures::{Scaling, Startup};
use crate::machine;
use crate::measure::{DUCKDB, Limit, Measurement, per_second, real};
use crate::process::Run;
use crate::say;
use crate::subject::{MIXED, Subject};

/// No process may hold more memory.
const PEAK_BYTES_MAX: u64 = 48 << 20;
/// CPU time a row may grow by so much with four times the rows.
const GROWTH_MAX: f64 = 0.05;
/// `mixed` may be so many times further from its baseline than `lineitem`.
const MIXED_TIMES: f64 = 1.3;

const NOTES: [&str; 2] = ["<!-- notes -->", "<!-- end:notes -->"];
const HEADER: &str = "\
| measurement | baseline | ours s | baseline s | ratio | must reach | met | rows/s | MB/s | \
CPU s, ours | CPU s, baseline | peak MB |
|---|---|---:|---:|---:|---|---|---:|---:|---|---|---|";
const SCALING_HEADER: &str = "\
| pipeline | process | peak MB, 1x | peak MB, 4x | CPU us/row, 1x | CPU us/row, 4x | met |
|---|---|---:|---:|---:|---:|---|";
const STARTUP_HEADER: &str = "\
| start | wall ms | own CPU ms | server CPU ms | queries + others | must reach | met |
|---|---:|---:|---:|---:|---|---|";

/// All that was measured so far.
pub struct Results {
    facts: Vec<(&'static str, String)>,
    measurements: Vec<Measurement>,
    scalings: Vec<Scaling>,
    startups: Vec<Startup>,
}

impl Results {
    /// Looks at the machine.
    pub fn new(bench: &Bench) -> Result<Self> {
        let facts = machine::facts(bench)?;
        for (name, value) in &facts {
            say(&format!("{name}: {value}"));
        }
        Ok(Self { facts, measurements: Vec::new(), scalings: Vec::new(), startups: Vec::new() })
    }

    /// Adds the lines of one measurement, each with its name, its baseline's and its limit.
    pub fn add_lines(
        &mut self,
        names: &[(&'static str, &'static str, Limit)],
        subject: &'static Subject,
        size: Size,
        lines: Vec<(Vec<Run>, Vec<Run>)>,
    ) {
        for ((name, baseline_name, limit), (ours, baseline)) in names.iter().zip(lines) {
            let mut measurement = Measurement {
                name,
                subject: subject.name,
                baseline_name,
                limit: *limit,
                rows: size.rows,
                bytes: size.bytes,
                ours,
                baseline,
            };
            measurement.limit = self.limit_of(&measurement);
            if self.measurements.is_empty() {
                say(HEADER);
            }
            say(&line(&measurement));
            self.measurements.push(measurement);
        }
    }

    /// Adds a pipeline at two sizes.
    pub fn add_scaling(&mut self, scaling: Scaling) {
        if self.scalings.is_empty() {
            say(SCALING_HEADER);
        }
        say(scaling_lines(&scaling).trim_end());
        self.scalings.push(scaling);
    }

    /// Adds a start.
    pub fn add_startup(&mut self, startup: Startup) {
        if self.startups.is_empty() {
            say(STARTUP_HEADER);
        }
        say(&startup_line(&startup));
        self.startups.push(startup);
    }

    /// Writes the page, unless only a part was measured. The notes of the old page stay.
    pub fn save(&self, bench: &Bench) -> Result<()> {
        if bench.options.only.is_some() || !bench.options.large {
            say("bench/RESULTS.md stays as it is: only a part was measured");
            return Ok(());
        }
        let path: PathBuf = root().join("bench/RESULTS.md");
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        write(&path, &self.page(notes(&old)))
    }

    /// The mixed table must do as well as `lineitem`, which was measured before it.
    fn limit_of(&self, measurement: &Measurement) -> Limit {
        let bound = measurement.limit != Limit::None && measurement.name != "unchanged";
        if measurement.subject != MIXED.name || !bound {
            return measurement.limit;
        }
        let same = |known: &&Measurement| known.name == measurement.name;
        let known = self.measurements.iter().find(same);
        known.map_or(Limit::None, |known| Limit::Ratio(known.ratio() * MIXED_TIMES))
    }

    fn page(&self, notes: &str) -> String {
        let mut page = include_str!("../introduction.md").to_owned();
        page.push_str("\n## The run\n\n");
        for (name, value) in &self.facts {
            let _ = writeln!(page, "- {name}: {value}");
        }
        let _ = writeln!(page, "\n## Against raw COPY\n\n{HEADER}");
        for measurement in &self.measurements {
            let _ = writeln!(page, "{}", line(measurement));
        }
        let _ = writeln!(page, "\n## Memory and CPU with four times the rows\n\n{SCALING_HEADER}");
        for scaling in &self.scalings {
            page.push_str(&scaling_lines(scaling));
        }
        let _ = writeln!(page, "\n## Start and discovery\n\n{STARTUP_HEADER}");
        for startup in &self.startups {
            let _ = writeln!(page, "{}", startup_line(startup));
        }
        let [start, end] = NOTES;
        let _ = writeln!(page, "\n## What limits it\n\n{start}\n{notes}\n{end}");
        page
    }
}

/// Returns what stands between the markers of the old page.
fn notes(old: &str) -> &str {
    let found = old.split_once(NOTES[0]).and_then(|(_, rest)| rest.split_once(NOTES[1]));
    found.map_or("", |(notes, _)| notes.trim_matches('\n'))
}

fn line(measurement: &Measurement) -> String {
    let (ours, baseline) = (measurement.our_median(), measurement.baseline_median());
    let limit = match measurement.limit {
        Limit::Ratio(most) => format!("<= {most:.2}x"),
        Limit::RowsPerCore(least) => {
            format!(">= {:.1} M rows/CPU s ({:.2})", least / 1e6, measurement.rows_per_core() / 1e6)
        }
        Limit::None => "-".to_owned(),
    };
    // What psql holds says nothing.
    let peers = baseline.processes.iter().filter(|usage| usage.name == DUCKDB);
    let peaks = ours.processes.iter().chain(peers).map(|usage| {
        let runs = measurement.ours.iter().chain(&measurement.baseline);
        let worst = runs.flat_map(|run| &run.processes);
        let worst = worst.filter(|other| other.name == usage.name).map(|other| other.peak_bytes);
        let worst = worst.max().unwrap_or_default();
        format!("{} {}", usage.name, megabytes(worst))
    });
    format!(
        "| {} {} | {} | {} | {} | {:.2} | {limit} | {} | {} | {:.0} | {} | {} | {} |",
        measurement.subject,
        measurement.name,
        measurement.baseline_name,
        seconds(&measurement.ours, &ours),
        seconds(&measurement.baseline, &baseline),
        measurement.ratio(),
        word(measurement.met()),
        thousands(measurement.rows, ours.wall),
        per_second(measurement.bytes, ours.wall) / 1e6,
        cpu(&ours),
        cpu(&baseline),
        peaks.collect::<Vec<_>>().join(", ")
    )
}

fn scaling_lines(scaling: &Scaling) -> String {
    let mut lines = String::new();
    let [small, large] = &scaling.sizes;
    for (at, process) in scaling.processes().iter().enumerate() {
        let peaks = [small.peak_bytes(at), large.peak_bytes(at)];
        let _ = writeln!(
            lines,
            "| {} | {process} | {} | {} | {:.3} | {:.3} | {} |",
            scaling.name,
            megabytes(peaks[0]),
            megabytes(peaks[1]),
            small.cpu_per_row(Some(at)),
            large.cpu_per_row(Some(at)),
            word(Some(peaks.iter().all(|peak| *peak <= PEAK_BYTES_MAX)))
        );
    }
    let _ = writeln!(
        lines,
        "| {} | tap + target ({:+.1} %) | | | {:.3} | {:.3} | {} |",
        scaling.name,
        scaling.growth() * 100.0,
        small.cpu_per_row(None),
        large.cpu_per_row(None),
        word(Some(scaling.growth() <= GROWTH_MAX))
    );
    let _ = writeln!(
        lines,
        "| {} | server | | | {:.3} | {:.3} | |",
        scaling.name,
        small.server_per_row(),
        large.server_per_row()
    );
    lines
}

fn startup_line(startup: &Startup) -> String {
    let run = crate::measure::median(&startup.runs);
    let mut walls: Vec<Duration> = startup.runs.iter().map(|run| run.wall).collect();
    walls.sort();
    let [first, last] = [walls.first(), walls.last()].map(|wall| milliseconds(wall.copied()));
    let statements = startup.statements;
    let limits = startup.limits;
    let limits: Vec<String> = [
        limits.wall.map(|most| format!("wall {} ms", most.as_millis())),
        limits.cpu.map(|most| format!("own CPU {} ms", most.as_millis())),
        limits.queries.map(|most| format!("{most} queries")),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!(
        "| {} | {} ({first}-{last}) | {} | {} | {} | {} | {} |",
        startup.name,
        milliseconds(Some(run.wall)),
        milliseconds(Some(run.cpu())),
        milliseconds(Some(run.server)),
        statements.map_or(String::new(), |(queries, others)| format!("{queries} + {others}")),
        limits.join(", "),
        word(Some(startup.met()))
    )
}

fn seconds(runs: &[Run], median: &Run) -> String {
    let walls = runs.iter().map(|run| run.wall.as_secs_f64());
    let (least, most) =
        walls.fold((f64::MAX, 0.0_f64), |(least, most), wall| (wall.min(least), wall.max(most)));
    format!("{:.2} ({least:.2}-{most:.2})", median.wall.as_secs_f64())
}

fn cpu(run: &Run) -> String {
    let processes = run.processes.iter();
    let mut parts: Vec<String> =
        processes.map(|usage| format!("{} {:.2}", usage.name, usage.cpu.as_secs_f64())).collect();
    parts.push(format!("server {:.2}", run.server.as_secs_f64()));
    parts.join(", ")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", real(bytes) / f64::from(1 << 20))
}

fn milliseconds(time: Option<Duration>) -> String {
    format!("{:.1}", time.unwrap_or_default().as_secs_f64() * 1e3)
}

fn thousands(rows: u64, wall: Duration) -> String {
    format!("{:.0} k", per_second(rows, wall) / 1e3)
}

fn word(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notes_of_the_old_page_stay() {
        assert_eq!(
            notes("a\n<!-- notes -->\nbecause\n\nof x\n<!-- end:notes -->\n"),
            "because\n\nof x"
        );
        assert_eq!(notes("a page without"), "");
    }
}
