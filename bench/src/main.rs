//! Benchmarks: the connectors as processes, each measurement beside its baseline in the same run.

mod bench;
mod check;
mod cluster;
mod duckdb;
mod extract;
mod figures;
mod generate;
mod load;
mod machine;
mod many;
mod measure;
mod mixed;
mod narrow;
mod options;
mod process;
mod results;
mod scaling;
mod startup;
mod subject;

use std::process::ExitCode;

use bench::Bench;
use options::{Asked, Options};
use results::Results;
use singer::Result;

fn main() -> ExitCode {
    let done = match options::read(std::env::args_os()) {
        Ok(Asked::Run(options)) => run(options),
        Ok(Asked::Generate(table, rows)) => generate::write(&table, rows),
        Ok(Asked::Text(text)) => {
            say(text.trim_end());
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            singer::log::failure("bench", &failure);
            ExitCode::from(failure.kind().exit_code())
        }
    }
}

fn run(options: Options) -> Result<()> {
    let bench = Bench::open(options)?;
    let mut results = Results::new(&bench)?;
    bench.fill()?;
    for subject in [&subject::LINEITEM, &subject::MIXED] {
        extract::measure(&bench, subject, &mut results)?;
        load::measure(&bench, subject, &mut results)?;
    }
    narrow::measure(&bench, &mut results)?;
    duckdb::measure(&bench, &mut results)?;
    many::measure(&bench, &mut results)?;
    if bench.options.large {
        scaling::measure(&bench, &mut results)?;
    }
    startup::measure(&bench, &mut results)?;
    results.save(&bench)
}

/// Prints a line of progress or of a table.
#[expect(clippy::print_stdout, reason = "what a person who runs benchmarks looks at")]
fn say(text: &str) {
    println!("{text}");
}
