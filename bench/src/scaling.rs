//! Memory and CPU at one and at four times the rows.

use singer::Result;

use crate::bench::{Bench, DAY, SOURCE, remake};
use crate::figures::{Scaling, Sized};
use crate::load::Load;
use crate::process::Run;
use crate::results::Results;
use crate::subject::{LARGE, LINEITEM, Subject};
use crate::{extract, load};

const LARGE_DATABASE: &str = "bench_large";
/// How many times the rows the longer runs have.
const TIMES: u64 = 4;

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
    Load { day: DAY, method, metadata: false, state: None }.run(bench, subject)
}
