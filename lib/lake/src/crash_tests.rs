//! Every crash of a publication, by a simulated disk: readers see the old generation or the new
//! one, whole, and the next run puts all in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use disk::Datestamp;
use rustix::io::Errno;
use serde_json::json;
use singer::{ErrorKind, Result};

use crate::backend::disk::simulation::{Disk, Done, Faults, Tree, make, steps_done, tree, watch};
use crate::backend::disk::steps;
use crate::sample::{contents, day};
use crate::{Lake, Ready, Run, Series};

const TABLES: [&str; 2] = ["a", "b"];

/// Tells of a step whether the disk never hears of it.
type Lost = fn(&Done) -> bool;

/// What readers see of each table; `None` where there is no partition.
type Seen = BTreeMap<&'static str, Option<String>>;

/// How a publication meets the disk.
#[derive(Clone, Copy, Debug)]
struct Scene {
    /// What is there before; `None` where nothing is, not even the output folder.
    old: Option<&'static str>,
    new: &'static str,
    no_exchange: bool,
    /// Whether the run is one of a series.
    series: bool,
    way: Way,
}

/// How the tables of a run are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    OneByOne,
    Together,
    /// Together, and one call makes all durable.
    AtOnce,
}

const SCENE: Scene = Scene {
    old: Some("7\n"),
    new: "1\n2\n",
    no_exchange: false,
    series: false,
    way: Way::OneByOne,
};

const SCENES: [Scene; 9] = [
    Scene { old: None, ..SCENE },
    SCENE,
    Scene { no_exchange: true, ..SCENE },
    Scene { new: "", ..SCENE },
    Scene { new: "7\n", ..SCENE },
    Scene { series: true, ..SCENE },
    Scene { way: Way::Together, ..SCENE },
    Scene { old: None, way: Way::AtOnce, ..SCENE },
    Scene { no_exchange: true, way: Way::AtOnce, ..SCENE },
];

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Progress {
    /// The number of steps done when each table was said to be published.
    published: [Option<usize>; 2],
    /// The number of steps done when the run was said to be finished.
    finished: Option<usize>,
}

/// Memory where the system has a file system in it: nothing here need outlive the test.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn output(root: &Path) -> PathBuf {
    root.join("output")
}

fn ready(run: &Run, table: &str, rows: &str) -> Result<Ready> {
    let mut staged = run.stage(table, false)?;
    let mut file = staged.file("2024-02-29.T000000.csv")?;
    file.write(b"id\n", 0)?;
    for row in rows.split_inclusive('\n') {
        file.write(row.as_bytes(), 1)?;
    }
    staged.ready(vec![file], contents(&json!({})))
}

/// Publishes both tables and finishes the run.
fn run(
    root: &Path,
    (day, way): (Datestamp, Way),
    rows: &str,
    progress: &mut Progress,
) -> Result<()> {
    let lake = Lake::create(output(root))?;
    let run = Run::begin(&lake, "s", day, "test 1")?;
    if way == Way::OneByOne {
        for (at, table) in TABLES.iter().enumerate() {
            run.publish(vec![ready(&run, table, rows)?])?;
            progress.published[at] = Some(steps_done());
        }
    } else {
        let all = TABLES.iter().map(|table| ready(&run, table, rows));
        run.publish(all.collect::<Result<_>>()?)?;
        progress.published = [Some(steps_done()); 2];
    }
    run.finish()?;
    progress.finished = Some(steps_done());
    Ok(())
}

fn run_plainly(root: &Path, rows: &str) {
    run(root, (day(), Way::OneByOne), rows, &mut Progress::default()).unwrap();
}

/// Returns what readers see, after asserting that it is whole and that nothing is beside it.
fn read(root: &Path) -> Seen {
    let text = |table| {
        let lake = Lake::open(output(root)).ok()?;
        let partition = match lake.read("s", day(), table) {
            Ok(partition) => partition,
            Err(failure) if failure.kind() == ErrorKind::NoInput => {
                let place = lake.table_folder("s", day(), table);
                assert!(!place.exists(), "a partition without a manifest: {failure}");
                return None;
            }
            Err(failure) => panic!("{failure}"),
        };
        partition.verify().unwrap();
        let files = partition.paths();
        assert_eq!(steps::names(&lake.folder(&partition.at)).unwrap().len(), files.len() + 1);
        Some(files.iter().map(|path| fs::read_to_string(path).unwrap()).collect())
    };
    TABLES.into_iter().map(|table| (table, text(table))).collect()
}

/// Returns what a load of the day gets; `None` where it is refused.
fn load(root: &Path) -> Option<Vec<String>> {
    let lake = Lake::open(output(root)).ok()?;
    match lake.read_day("s", day(), false) {
        Ok(partitions) => {
            let files = partitions.iter().flat_map(crate::Partition::paths);
            Some(files.map(|path| fs::read_to_string(path).unwrap()).collect())
        }
        Err(failure) if failure.kind() == ErrorKind::NoInput => None,
        Err(failure) => panic!("{failure}"),
    }
}

impl Scene {
    /// Makes what is there before.
    fn before(&self) -> tempfile::TempDir {
        let root = scratch();
        if let Some(old) = self.old {
            run_plainly(root.path(), old);
        }
        root
    }

    /// Returns these faults of a disk that is as the scene has it.
    fn faults(&self, faults: Faults) -> Faults {
        let syncs_at_once = self.way == Way::AtOnce;
        Faults { no_exchange: self.no_exchange, syncs_at_once, ..faults }
    }

    /// Does the run of the scene.
    fn run(&self, root: &Path, progress: &mut Progress) -> Result<()> {
        let begin = || Series::begin(&Lake::create(output(root))?);
        let _series = self.series.then(begin).transpose()?;
        run(root, (day(), self.way), self.new, progress)
    }

    /// Asserts what must hold after a crash behind so many steps, or at any time.
    fn check(&self, root: &Path, progress: Progress) {
        let with_header = |rows: &str| format!("id\n{rows}");
        let (old, new) = (self.old.map(with_header), Some(with_header(self.new)));
        for ((table, text), published) in read(root).iter().zip(progress.published) {
            // Two renames may have one in their middle.
            let gap = self.no_exchange && text.is_none();
            let fine = *text == new || published.is_none() && (*text == old || gap);
            assert!(fine, "{table}: {text:?}, was {old:?}");
        }
        let all =
            |text: &Option<String>| text.clone().map(|text| TABLES.map(|_| text.clone()).to_vec());
        let loaded = load(root);
        if progress.finished.is_some() {
            assert_eq!(loaded, all(&new), "finished, and a load gets something else");
        }
        // Never tables of two runs, nor some of one.
        assert!(loaded.is_none() || loaded == all(&old) || loaded == all(&new), "{loaded:?}");
    }

    /// Makes what a crash leaves and asserts what must hold.
    fn after(&self, tree: &Tree, progress: Progress) -> tempfile::TempDir {
        let root = scratch();
        make(root.path(), tree);
        let shown = Shown(tree, self, progress);
        self.check(root.path(), progress);
        drop(shown);
        root
    }

    /// Asserts that the next run, of this day or of another one first, puts all in order.
    fn check_mended(&self, root: &Path, other_first: bool) {
        if other_first {
            let other = "2024-03-01".parse().unwrap();
            run(root, (other, self.way), "5\n", &mut Progress::default()).unwrap();
            if self.old.is_some() {
                assert!(read(root).values().all(Option::is_some), "a partition stays away");
            }
        }
        run_plainly(root, self.new);
        let all_done = Progress { published: [Some(0); 2], finished: Some(0) };
        self.check(root, all_done);
        assert_eq!(steps::names(&output(root).join(".staging")).unwrap(), [""; 0]);
        assert_eq!(steps::names(&output(root).join(".locks")).unwrap(), [""; 0]);
    }

    /// Returns every state that a power loss during a run leaves, and how far the run had come by
    /// its own account; and the number of steps. A step that `lost` is not known to the disk.
    fn power_losses(
        &self,
        root: &Path,
        lost: impl Fn(&Done) -> bool,
    ) -> (BTreeSet<(Tree, Progress)>, usize) {
        let mut disk = Disk::from(root);
        let mut progress = Progress::default();
        let faults = self.faults(Faults::default());
        let (ended, steps, _) = watch(faults, || self.run(root, &mut progress));
        ended.unwrap();
        let mut states = BTreeSet::new();
        for at in 0..=steps.len() {
            let by_now = |done: Option<usize>| done.filter(|done| *done <= at).map(|_| 0);
            let reached = Progress {
                published: progress.published.map(by_now),
                finished: by_now(progress.finished),
            };
            let left = disk.after_power_loss();
            states.extend(left.into_iter().map(|tree| (tree, reached)));
            if let Some(step) = steps.get(at).filter(|step| !lost(step)) {
                disk.apply(step);
            }
        }
        // Else a step went past the seam.
        assert!(disk.now() == tree(root), "the simulated disk shows something else");
        (states, steps.len())
    }
}

/// Shows the state that a test failed with.
struct Shown<'a>(&'a Tree, &'a Scene, Progress);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(tree, scene, progress) = self;
            eprintln!("{scene:?}, {progress:?}, on disk:");
            for (path, text) in *tree {
                let text = text.as_ref().map(|text| String::from_utf8_lossy(text).into_owned());
                eprintln!("  {} {}", path.display(), text.unwrap_or_default());
            }
        }
    }
}

/// Returns how often to try: the first number in `make test`, the second in `make test-faults`.
fn tries(short: usize, long: usize) -> usize {
    if std::env::var_os("FAULTS").is_some_and(|value| value == "long") { long } else { short }
}

fn figure(what: &str, number: usize) {
    println!("FIGURE {} | {what} | {number}", std::thread::current().name().unwrap());
}

#[test]
fn a_power_loss_at_any_moment_leaves_the_old_generation_or_the_new() {
    let (mut points, mut all) = (0, 0);
    for scene in SCENES {
        let root = scene.before();
        let (states, steps) = scene.power_losses(root.path(), |_| false);
        points += steps + 1;
        for (number, (tree, progress)) in states.iter().enumerate() {
            let root = scene.after(tree, *progress);
            scene.check_mended(root.path(), number % 2 == 1);
        }
        all += states.len();
        assert!(states.len() > steps, "{scene:?}");
    }
    figure("crash points", points);
    figure("states of the disk after them", all);
}

#[test]
fn a_power_loss_while_the_next_run_mends_is_mended_by_the_one_after() {
    let mut all = 0;
    for scene in &SCENES[..tries(3, SCENES.len())] {
        let before = scene.before();
        let (states, _) = scene.power_losses(before.path(), |_| false);
        let some = states.len() / tries(1, 8);
        for (tree, progress) in states.iter().skip(some / 2).step_by(some) {
            let mended = scene.after(tree, *progress);
            let (again, _) = scene.power_losses(mended.path(), |_| false);
            for (number, (tree, progress)) in again.iter().enumerate() {
                let root = scene.after(tree, *progress);
                scene.check_mended(root.path(), number % 2 == 1);
            }
            all += again.len();
        }
    }
    figure("states of the disk", all);
}

#[test]
fn the_simulated_disk_finds_a_missing_fsync() {
    let data: Lost = |step| matches!(step, Done::SyncFile(path) if path.ends_with("1.partial"));
    let day: Lost =
        |step| matches!(step, Done::SyncFolder(path) if path.ends_with("extracted_at=2024-02-29"));
    let all: Lost = |step| matches!(step, Done::SyncAll);
    let (alone, together) = (Way::OneByOne, Way::Together);
    for (way, lost) in
        [(alone, data), (alone, day), (together, data), (together, day), (Way::AtOnce, all)]
    {
        let scene = Scene { way, ..SCENE };
        let root = scene.before();
        let (states, _) = scene.power_losses(root.path(), lost);
        let broken = std::panic::catch_unwind(|| {
            for (tree, progress) in &states {
                scene.after(tree, *progress);
            }
        });
        assert!(broken.is_err(), "nobody noticed");
    }
}

#[test]
fn a_step_that_fails_or_is_the_last_leaves_the_old_generation_or_the_new() {
    let (mut deaths, mut failures) = (0, 0);
    for scene in SCENES {
        let errors = [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS].map(Some);
        for fault in errors.into_iter().chain([None]) {
            // One step after the other, until the run meets no fault.
            for at in 0.. {
                let faults = match fault {
                    Some(errno) => Faults { failure: Some((at, errno)), ..Faults::default() },
                    None => Faults { death: Some(at), ..Faults::default() },
                };
                let faults = scene.faults(faults);
                let root = scene.before();
                let mut progress = Progress::default();
                let (ended, _, tried) = watch(faults, || scene.run(root.path(), &mut progress));
                let progress = Progress {
                    published: progress.published.map(|done| done.map(|_| 0)),
                    finished: progress.finished.map(|_| 0),
                };
                scene.check(root.path(), progress);
                scene.check_mended(root.path(), at % 2 == 1);
                if let Err(failure) = &ended {
                    assert_eq!(failure.kind(), ErrorKind::Io, "{failure}");
                    assert!(failure.context("path").is_some(), "{failure}");
                }
                if tried <= at {
                    assert!(ended.is_ok());
                    break;
                }
                *if fault.is_some() { &mut failures } else { &mut deaths } += 1;
            }
        }
    }
    figure("deaths of the process", deaths);
    figure("failing steps", failures);
}

#[test]
fn what_cannot_be_removed_fails_no_run() {
    for scene in SCENES {
        let root = scene.before();
        let Scene { new, way, .. } = scene;
        for rows in [new, new, "8\n", new] {
            let faults = scene.faults(Faults { no_removal: true, ..Faults::default() });
            let mut progress = Progress::default();
            let (ended, ..) = watch(faults, || run(root.path(), (day(), way), rows, &mut progress));
            ended.unwrap();
            let now = Scene { new: rows, ..scene };
            now.check(root.path(), Progress { published: [Some(0); 2], finished: Some(0) });
        }
        scene.check_mended(root.path(), true);
    }
}
