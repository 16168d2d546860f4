//! What was measured of starts, and of pipelines at both sizes.

use std::time::Duration;

use crate::measure::{median, real};
use crate::process::Run;

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

/// One line of the table of starts.
#[derive(Clone, Debug)]
pub struct Startup {
    /// What is measured.
    pub name: String,
    /// The runs.
    pub runs: Vec<Run>,
    /// Queries, and other statements, that the server got.
    pub statements: Option<(usize, usize)>,
    /// What must be reached.
    pub limits: Limits,
}

/// What a start must reach.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The longest wall time.
    pub wall: Option<Duration>,
    /// The most CPU time of our process.
    pub cpu: Option<Duration>,
    /// The most queries.
    pub queries: Option<usize>,
}

impl Startup {
    /// Tells whether the limits are met.
    pub fn met(&self) -> bool {
        let run = median(&self.runs);
        let queries = self.statements.map_or(0, |(queries, _)| queries);
        self.limits.wall.is_none_or(|most| run.wall <= most)
            && self.limits.cpu.is_none_or(|most| run.cpu() <= most)
            && self.limits.queries.is_none_or(|most| queries <= most)
    }
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
