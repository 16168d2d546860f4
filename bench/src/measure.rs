//! Measurements: runs of ours and of a baseline, and what of them counts.

use std::time::Duration;

use singer::Result;

use crate::process::Run;

/// What the tables call the program that is a peer of ours, and its process.
pub const DUCKDB: &str = "DuckDB 1.4.4";

/// What must be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Our wall time, at most so many times the baseline's.
    Ratio(f64),
    /// At least so many rows a second of CPU time.
    RowsPerCore(f64),
    /// Nothing: the number is only shown.
    None,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// What is measured.
    pub name: &'static str,
    /// On which subject.
    pub subject: &'static str,
    /// What it is compared with.
    pub baseline_name: &'static str,
    /// What must be reached.
    pub limit: Limit,
    /// Rows that move.
    pub rows: u64,
    /// Bytes of these rows as CSV.
    pub bytes: u64,
    /// Our runs.
    pub ours: Vec<Run>,
    /// The runs of the baseline.
    pub baseline: Vec<Run>,
}

impl Measurement {
    /// Returns our run of the median wall time.
    pub fn our_median(&self) -> Run {
        median(&self.ours)
    }

    /// Returns the baseline's run of the median wall time.
    pub fn baseline_median(&self) -> Run {
        median(&self.baseline)
    }

    /// Returns our wall time over the baseline's.
    pub fn ratio(&self) -> f64 {
        ratio(self.our_median().wall, self.baseline_median().wall)
    }

    /// Returns rows a second of the CPU time of our processes.
    pub fn rows_per_core(&self) -> f64 {
        per_second(self.rows, self.our_median().cpu())
    }

    /// Tells whether the limit is met; nothing without one.
    pub fn met(&self) -> Option<bool> {
        match self.limit {
            Limit::Ratio(most) => Some(self.ratio() <= most),
            Limit::RowsPerCore(least) => Some(self.rows_per_core() >= least),
            Limit::None => None,
        }
    }
}

/// Runs baseline and ours in turns; a turn gives several runs, one for each line of the table.
/// Returns ours and the baseline's by line.
pub fn alternate(
    rounds: usize,
    mut baseline: impl FnMut() -> Result<Vec<Run>>,
    mut ours: impl FnMut() -> Result<Vec<Run>>,
) -> Result<Vec<(Vec<Run>, Vec<Run>)>> {
    let mut lines: Vec<(Vec<Run>, Vec<Run>)> = Vec::new();
    for _ in 0..rounds {
        let (theirs, own) = (baseline()?, ours()?);
        lines.resize_with(own.len().max(lines.len()), Default::default);
        for ((line, own), theirs) in lines.iter_mut().zip(own).zip(theirs) {
            line.0.push(own);
            line.1.push(theirs);
        }
    }
    Ok(lines)
}

/// Returns the run of the median wall time; of an even number the faster of the middle two.
pub fn median(runs: &[Run]) -> Run {
    let mut runs: Vec<&Run> = runs.iter().collect();
    runs.sort_by_key(|run| run.wall);
    runs.get(runs.len().saturating_sub(1) / 2).map(|run| (*run).clone()).unwrap_or_default()
}

/// Returns a count as a real number.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn real(count: u64) -> f64 {
    count as f64
}

/// Returns how often `base` goes into `time`.
pub fn ratio(time: Duration, base: Duration) -> f64 {
    time.as_secs_f64() / base.as_secs_f64().max(1e-9)
}

/// Returns a count a second.
pub fn per_second(count: u64, time: Duration) -> f64 {
    real(count) / time.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(milliseconds: u64) -> Run {
        Run { wall: Duration::from_millis(milliseconds), ..Run::default() }
    }

    #[test]
    fn the_median_is_of_the_middle() {
        let check = |walls: &[u64], expected| {
            let runs: Vec<Run> = walls.iter().map(|wall| run(*wall)).collect();
            assert_eq!(median(&runs).wall.as_millis(), expected, "{walls:?}");
        };
        check(&[], 0);
        check(&[5], 5);
        check(&[9, 1], 1);
        check(&[9, 1, 3], 3);
    }

    #[test]
    fn turns_give_a_pair_of_runs_for_each_line() {
        let lines = alternate(2, || Ok(vec![run(1), run(2)]), || Ok(vec![run(3), run(4)])).unwrap();
        let walls: Vec<_> = lines
            .iter()
            .map(|(ours, theirs)| (ours.len(), median(ours).wall, median(theirs).wall))
            .collect();
        assert_eq!(walls, [(2, run(3).wall, run(1).wall), (2, run(4).wall, run(2).wall)]);
    }
}
