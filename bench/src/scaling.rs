//! Memory and CPU at one and at four times the rows.

use std::time::Duration;

use singer::Result;

use crate::bench::{Bench, DAY, SOURCE, remake};
use crate::measure::{median, real};
use crate::process::Run;
use crate::results::Results;
use crate::subject::{LARGE, LINEITEM, Subject};
use crate::{extract, load};

const LARGE_DATABASE: &str = "bench_large";
/// How many times the rows the longer runs have.
const TIMES: u64 = 4;

/// What a pipeline took for so many rows.
#[derive(Clone, Debug)]
pub struct Sized {
    /// How many rows.
    pub rows: u64,
    /// The runs.
    pub runs: Vec<Run>,
}

/// A pipeline at both sizes.
#[derive(Clone, Debug)]
pub struct Scaling {
    /// What is measured.
    pub name: &'static str,
    /// At one and at four times the rows.
    pub sizes: [Sized; 2],
}

impl Sized {
    /// Returns the most memory that a process of the pipeline held in any run, in bytes.
    pub fn peak_bytes(&self, process: usize) -> u64 {
        let peaks = self.runs.iter().filter_map(|run| run.processes.get(process));
        peaks.map(|usage| usage.peak_bytes).max().unwrap_or_default()
    }

    /// Returns microseconds of CPU time a row: of one process, else of all but the server.
    pub fn cpu_per_row(&self, process: Option<usize>) -> f64 {
        let cpu = |run: &Run| match process {
            Some(at) => run.processes.get(at).map(|usage| usage.cpu).unwrap_or_default(),
            None => run.cpu(),
        };
        self.per_row(cpu)
    }

    /// Returns the microseconds of CPU time a row that the server took.
    pub fn server_per_row(&self) -> f64 {
        self.per_row(|run| run.server)
    }

    fn per_row(&self, time: impl Fn(&Run) -> Duration) -> f64 {
        let mut times: Vec<Duration> = self.runs.iter().map(time).collect();
        times.sort();
        let middle = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        middle.as_secs_f64() * 1e6 / real(self.rows.max(1))
    }
}

impl Scaling {
    /// Returns by how much the CPU time a row grows, as a part of it.
    pub fn growth(&self) -> f64 {
        let [small, large] = &self.sizes;
        large.cpu_per_row(None) / small.cpu_per_row(None).max(1e-9) - 1.0
    }

    /// Returns the names of the processes.
    pub fn processes(&self) -> Vec<String> {
        let run = median(&self.sizes[0].runs);
        run.processes.into_iter().map(|usage| usage.name).collect()
    }
}

/// Measures the pipelines at both sizes.
pub fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let names = ["publish", "append", "upsert"];
    let wanted = |name: &&str| bench.options.wants(&format!("scaling {name}"));
    let names: Vec<&'static str> = names.into_iter().filter(wanted).collect();
    if names.is_empty() {
        return Ok(());
    }
    let rows = bench.options.rows;
    bench.database(LARGE_DATABASE, rows * TIMES, LARGE.tables)?;
    bench.publish(&LARGE, LARGE_DATABASE, DAY)?;
    bench.publish(&LINEITEM, SOURCE, DAY)?;
    for name in names {
        let mut sizes = Vec::new();
        for (subject, database) in [(&LINEITEM, SOURCE), (&LARGE, LARGE_DATABASE)] {
            let count = bench.cluster.query(database, "SELECT count(*) FROM lineitem")?;
            let mut runs = Vec::new();
            for _ in 0..bench.options.rounds {
                runs.push(one(bench, name, subject, database)?);
            }
            sizes.push(Sized { rows: count.parse().unwrap_or_default(), runs });
        }
        if let [Some(small), Some(large)] = [sizes.first(), sizes.get(1)] {
            results.add_scaling(Scaling { name, sizes: [small.clone(), large.clone()] });
        }
    }
    Ok(())
}

fn one(bench: &Bench, name: &str, subject: &Subject, database: &str) -> Result<Run> {
    let output = bench.files.join("published");
    if name == "publish" {
        let run = extract::publish(bench, subject, database, &output)?;
        remake(&output)?;
        return Ok(run);
    }
    load::drop_ours(bench)?;
    let method = if name == "upsert" { "upsert" } else { "append-only" };
    load::load(bench, subject, DAY, method, false, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;

    #[test]
    fn cpu_a_row_is_compared_between_the_sizes() {
        let sized = |rows, seconds| {
            let usage = |name: &str| Usage {
                name: name.to_owned(),
                cpu: Duration::from_secs(seconds),
                peak_bytes: rows,
            };
            let run = Run { processes: vec![usage("tap"), usage("target")], ..Run::default() };
            Sized { rows, runs: vec![run.clone(), run] }
        };
        let scaling =
            Scaling { name: "publish", sizes: [sized(1_000_000, 1), sized(4_000_000, 5)] };
        assert!((scaling.growth() - 0.25).abs() < 1e-9, "{}", scaling.growth());
        assert_eq!(scaling.processes(), ["tap", "target"]);
        assert_eq!(scaling.sizes[1].peak_bytes(1), 4_000_000);
        assert!((scaling.sizes[0].cpu_per_row(Some(0)) - 1.0).abs() < 1e-9);
    }
}
