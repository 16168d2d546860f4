//! Where the runner's variables come from: `.env` is read as python-dotenv reads it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use support::faults::Random;
use support::project::{DAY, Project};
use support::python::MELTANO;
use support::run::file;

/// A project whose tap writes down the environment that it was given.
fn project() -> Project {
    let tap = "cat /proc/$$/environ > given; echo '{\"streams\":[]}'";
    Project::new("  - {name: tap-sick, executable: ./sick}\n", &[("sick", tap)])
}

/// What the tap was given.
fn given(project: &Project) -> BTreeMap<String, String> {
    let _ = fs::remove_file(project.root.join("given"));
    let words = ["plan", "--datestamp", DAY, "tap-sick", "target-csv"];
    project.chorus(&words).env("HOME", "/home").go().success();
    let text = fs::read_to_string(project.root.join("given")).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Lines that people write, and some that nobody should.
const LINES: &str = r#"
SHORT=Tr0ub4dor$3
DOLLARS=pa$$word
LIST=["x","y"]
JSON={"a": {"b": [1, "c # d"]}} # a comment
SPACES=a b
QUOTE=it's
BARE
export EXPORTED='it''s'
export OTHER="a\"b\\c\nd\te\q$SHORT"
SINGLE='a\'b\n ${SHORT}'
PEM="-----BEGIN KEY-----
MIIE+/=
-----END KEY-----"
HASH=a#b
EMPTY=
NOTHING= # a comment
NUMBER=#1
ESCAPED="a\\\\" # a comment
DEFAULT=${MISSING:-x y}|${SHORT:-z}|${EMPTY:-z}|${BARE:-z}|${MISSING}|${SHORT:x}|${SHORT
HERE=${HOME}/x
LATER=${END}
  INDENTED  =   a b  \s
'QUOTED KEY' = 1
two words=3
=4
OPEN="x
CLOSED='x' y
TWICE=1
TWICE=${TWICE}2
DOTS.AND-DASHES=é
END=1"#;

#[test]
fn a_file_of_variables_is_read_as_python_dotenv_reads_it() {
    let pieces = [
        "A", "B", "C", "=", "=", "'", "\"", "\\", "#", " ", "\n", "\n", "\r\n", "$", "${", "}",
        ":-", "${A}", "${B:-x}", "export ", "n", "é", "\t", "\u{a0}", "A=", "B='", "C=\"",
    ];
    let mut random = Random::new();
    let texts = (0..40).map(|_| {
        let pick = |_| pieces[usize::try_from(random.below(pieces.len() as u64)).unwrap()];
        (0..120).map(pick).collect::<String>()
    });
    // A line of the source may not end in a space.
    let lines = LINES.replace("\\s\n", " \n");
    let texts: Vec<String> = std::iter::once(lines).chain(texts).collect();
    let project = project();
    let script = "import io, json, sys
from dotenv.main import DotEnv
read = lambda text: DotEnv(None, io.StringIO(text, newline=''), override=False).dict()
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)";
    let run = MELTANO.script(script).input(Value::from(texts.clone()).to_string());
    let outcome = run.env("HOME", "/home").env("PYTHONIOENCODING", "utf-8").go().success();
    let theirs: Vec<BTreeMap<String, Option<String>>> =
        serde_json::from_slice(&outcome.stdout).unwrap();
    let ours: Vec<String> =
        given_without(&project).keys().filter(|name| *name != "SOURCE").cloned().collect();
    for (text, expected) in texts.iter().zip(theirs) {
        file(&project.root, ".env", text);
        let mut given = given(&project);
        given.retain(|name, _| !ours.contains(name));
        let mut expected: BTreeMap<String, String> =
            expected.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        // No process can be given such a name.
        expected.retain(|name, _| !name.contains('='));
        assert_eq!(given, expected, "{text}");
    }
}

/// What the tap is given without a file.
fn given_without(project: &Project) -> BTreeMap<String, String> {
    fs::remove_file(project.root.join(".env")).unwrap();
    given(project)
}

#[test]
fn a_line_without_effect_is_named_and_not_shown() {
    for (bad, said) in [
        ("PASSWORD=\"s3cret", "it is not NAME=value"),
        ("S3 cret=1", "it is not NAME=value"),
        ("PASSWORD='s3cret' 'x", "it is not NAME=value"),
        ("=s3cret", "it is not NAME=value"),
        ("S3CRET", "a name without `=` sets nothing"),
    ] {
        let project = Project::new("", &[]);
        file(&project.root, ".env", format!("SOURCE=csv\n# more\n\n{bad}\nX=1\n"));
        let outcome = project.run(&["both"]).success();
        let line = outcome.stderr.lines().find(|line| line.contains(said)).expect(bad);
        assert!(line.contains("WARNING") && line.contains(".env, line 4:"), "{line}");
        assert!(!outcome.stderr.to_lowercase().contains("s3"), "{}", outcome.stderr);
    }
    let project = Project::new("", &[]);
    fs::write(project.root.join(".env"), b"SOURCE=\xff\n").unwrap();
    let outcome = project.run(&["both"]).exits(78);
    assert!(outcome.stderr.contains("the file must be readable"), "{}", outcome.stderr);
}

#[test]
fn variables_of_the_shell_and_of_the_run_are_over_those_of_the_file() {
    let project = project();
    file(&project.root, ".env", "SOURCE=csv\nHOST=a\nURL=http://${HOST}/${DATESTAMP}\n");
    let check = |host: &str| {
        let words = ["plan", "--datestamp", DAY, "tap-sick", "target-csv"];
        let mut run = project.chorus(&words);
        if host != "a" {
            run = run.env("HOST", host);
        }
        run.go().success();
        let text = fs::read_to_string(project.root.join("given")).unwrap();
        let pairs: Vec<&str> = text.split('\0').collect();
        assert!(pairs.contains(&format!("HOST={host}").as_str()), "{pairs:?}");
        assert!(pairs.contains(&format!("URL=http://{host}/{DAY}").as_str()), "{pairs:?}");
    };
    check("a");
    check("b");
}

#[test]
fn a_run_has_one_day_wherever_it_is_said() {
    let more = "  - {name: tap-fixed, inherit_from: tap-csv, env: {DATESTAMP: 2026-03-03}}\n";
    let places: [(&str, &str); 3] = [
        (".env", "SOURCE=csv\nDATESTAMP=2026-02-02\n"),
        (".env", "SOURCE=csv\nEXTRACTED_AT='2026-02-02'\n"),
        ("meltano.yml", "env: {EXTRACTED_AT: 2026-02-02}\n"),
    ];
    for (name, text) in places {
        let project = Project::with(more, "", "");
        let before = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
        let text = if name == ".env" { text.to_owned() } else { text.to_owned() + &before };
        file(&project.root, name, text);
        let run =
            |more: &[&str]| project.chorus(&["run", "--json", "tap-csv", "target-csv"]).args(more);
        let day = |more: &[&str]| {
            let record: Value = serde_json::from_str(&run(more).go().success().text()).unwrap();
            record["datestamp"].clone()
        };
        assert_eq!(day(&[]), "2026-02-02", "{name}");
        assert_eq!(day(&["--datestamp", DAY]), DAY, "{name}");
        let shell = run(&[]).env("DATESTAMP", "2026-01-01").go().success().text();
        assert!(shell.contains("\"datestamp\":\"2026-01-01\""), "{shell}");
        let folders = fs::read_dir(project.root.join("output/source=csv")).unwrap();
        assert_eq!(folders.count(), 3, "{name}");
        let two = run(&[]).env("DATESTAMP", "2026-01-01").env("EXTRACTED_AT", DAY).go().exits(64);
        assert!(two.stderr.contains("two days at once"), "{}", two.stderr);
    }
    // A plugin's own day is not that of the run, unless the run has it.
    let project = Project::with(more, "", "");
    let words = ["run", "tap-fixed", "target-csv"];
    let refused = project.chorus(&words).go().exits(64);
    assert!(refused.stderr.contains("--datestamp 2026-03-03"), "{}", refused.stderr);
    project.chorus(&words).args(["--datestamp", "2026-03-03"]).go().success();
    let schedules = "schedules: [{name: s, interval: '@daily', job: both, env: {DATESTAMP: x}}]\n";
    let project = Project::with("", "", schedules);
    let refused = project.chorus(&["schedule"]).go().exits(78);
    assert!(refused.stderr.contains("the day of a schedule"), "{}", refused.stderr);
}

#[test]
fn a_setting_that_is_shorter_than_written_is_told_by_its_name() {
    let more = "  - name: tap-hole
    inherit_from: tap-csv
    env: {AREA_FOLDER: 'in/${AREA}'}
    config: {files: [{entity: a, path: '${AREA_FOLDER}/a.csv', keys: [id], delimiter: '$MARK'}]}
";
    let loaders = "  - {name: target-hole, inherit_from: target-csv,
     config: {source: 'csv${TAIL}', output_path: 'out_${KIND}'}}
";
    let project = Project::with(more, loaders, "");
    let run = |tail: &str, kind: &str| {
        let words = ["run", "tap-hole", "target-hole", "--datestamp", DAY];
        project.chorus(&words).env("TAIL", tail).env("KIND", kind).go().success().stderr
    };
    let told = run("", "");
    let shorter = "is shorter than in the file:";
    for part in [
        "tap-hole: `files.delimiter` is left out: no variable MARK is set",
        &format!("tap-hole: `files.path` {shorter} no variable AREA is set"),
        &format!("target-hole: `output_path` {shorter} an empty variable KIND is set"),
    ] {
        assert!(told.contains(part), "no {part} in {told}");
    }
    // A variable may be empty that only adds to a name.
    assert!(!told.contains("TAIL"), "{told}");
    assert!(!run("", "x").contains("KIND"), "a variable that is set");
}

#[test]
fn a_day_that_lacks_in_a_variable_of_the_project_is_refused() {
    let more = "  - name: tap-hole
    inherit_from: tap-csv
    env: {FOLDER: 'in/${DATESTAMP}'}
    config: {files: [{entity: a, path: '${FOLDER}a.csv', keys: [id]}]}
";
    let loaders = "  - {name: flat, executable: target-csv, config: {output_path: flat}}\n";
    let project = Project::with(more, loaders, "");
    for day in [None, Some("")] {
        let run = project.chorus(&["run", "tap-hole", "flat"]);
        let run = day.into_iter().fold(run, |run, day| run.env("DATESTAMP", day));
        let refused = run.go().exits(64);
        assert!(refused.stderr.contains("cannot run without a day"), "{}", refused.stderr);
    }
}

#[test]
fn a_day_that_has_not_begun_is_told_or_refused() {
    let project = Project::new("", &[]);
    let run = |day: &str| {
        let words = ["run", "tap-csv", "target-csv", "--datestamp", day];
        project.chorus(&words).go().success().stderr
    };
    assert!(run("2262-01-31").contains("W-DAY-IN-FUTURE"), "a run");
    assert!(!run(DAY).contains("W-DAY-IN-FUTURE"), "a day in the past");
    let words = ["run", "tap-csv", "target-csv", "--datestamp", "2262-02-01"];
    project.chorus(&words).args(["--deny-warnings", "W-DAY-IN-FUTURE"]).go().exits(65);
    let words = ["backfill", "tap-csv", "target-csv", "--from", DAY, "--to", "2062-01-31"];
    let refused = project.chorus(&words).go().exits(64);
    assert!(
        refused.stderr.contains("cannot backfill days that have not begun"),
        "{}",
        refused.stderr
    );
}
