//! The processes that `chorus run` has started, killed, signalled or stopped at any moment: the
//! runner notices, ends the other one, publishes nothing half, and the next run is like any other.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use support::faults::{Random, each, figure, tries};
use support::invariants::{Partition, Place, Saw, Trial, explains};
use support::project::{DAY, Project};
use support::run::{Outcome, Running, file};

/// The processes of a run, and what happens to them.
const CASES: [(&str, Signal); 8] = [
    ("tap-csv", Signal::KILL),
    ("tap-csv", Signal::TERM),
    ("tap-csv", Signal::STOP),
    ("target-csv", Signal::KILL),
    ("target-csv", Signal::TERM),
    ("target-csv", Signal::INT),
    ("target-csv", Signal::HUP),
    ("target-csv", Signal::STOP),
];

/// Finds a process of the pipeline below the runner by its name; one that is asked what it is moves
/// no rows.
fn process_of(runner: u32, name: &str) -> Option<Pid> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).find_map(|number| {
        // `number (name) state parent ...`
        let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let (head, rest) = text.rsplit_once(") ")?;
        let parent = rest.split(' ').nth(1)?.parse::<u32>().ok()?;
        let named = head.split_once('(').is_some_and(|(_, found)| found == name);
        let words = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let asked = words.split(|byte| *byte == 0).any(|word| word == b"--about");
        (named && parent == runner && !asked).then(|| Pid::from_raw(number)).flatten()
    })
}

/// Waits until the runner has started a process, unless it is over already.
fn started(run: &mut Running, name: &str) -> Option<Pid> {
    loop {
        if let Some(process) = process_of(run.child().id(), name) {
            return Some(process);
        }
        if run.child().try_wait().unwrap().is_some() {
            return None;
        }
    }
}

fn write_rows(project: &Project, name: &str, count: usize) {
    let rows: Vec<_> = (1..=count).map(|id| format!("{id},{name}")).collect();
    file(&project.root, "in/a.csv", format!("id,name\n{}\n", rows.join("\n")));
}

fn run(project: &Project) -> Running {
    let words = ["run", "--datestamp", DAY, "--retries", "0", "--full-refresh"];
    project.chorus_to_end(&words).args(["tap-csv", "target-csv"]).start(true)
}

/// Sends the signal a moment after the process has started; a stopped one goes on when another run
/// has been made.
fn disturbed(project: &Project, (name, signal): (&str, Signal), pause: Duration) -> Outcome {
    let mut first = run(project);
    let Some(process) = started(&mut first, name) else { return first.wait() };
    std::thread::sleep(pause);
    // It may be over.
    let _ = kill_process(process, signal);
    if signal == Signal::STOP {
        let second = run(project).wait();
        explains(&second, &[0, 75]);
        let _ = kill_process(process, Signal::CONT);
    }
    first.wait()
}

#[test]
fn whatever_happens_to_a_process_of_the_runner_the_old_day_or_the_new_is_there() {
    let random = Mutex::new(Random::new());
    let seen = Mutex::new([0; 2]);
    each(2, &CASES, |case| {
        let project = Project::new("", &[]);
        let lake = project.lake();
        let place = Partition { lake: &lake, source: "csv", day: DAY, table: "a" };
        write_rows(&project, "new", 60_000);
        run(&project).wait().success();
        let new = place.seen().unwrap();
        for _ in 0..tries(2, 40) {
            write_rows(&project, "old", 10);
            run(&project).wait().success();
            let trial = Trial { place: &place, old: place.seen(), new: new.clone(), gaps: false };
            write_rows(&project, "new", 60_000);
            // Short ones are more frequent: a fast machine has moved all rows soon.
            let pause = {
                let mut random = random.lock().unwrap();
                let most = random.below(150_000);
                Duration::from_micros(random.below(most + 1))
            };
            let outcome = disturbed(&project, *case, pause);
            // What a process says goes through the runner, which then says how it ended.
            let saw = trial.after_fault(&outcome, &[0, 69, 75, 76]);
            seen.lock().unwrap()[usize::from(saw == Saw::New)] += 1;
            project.left_nothing();
            trial.after_rerun(&run(&project).wait());
        }
    });
    let [old, new] = seen.into_inner().unwrap();
    figure("processes of the runner that something happened to", old + new);
    figure("of them the old rows stayed", old);
    assert!(old > 0);
}
