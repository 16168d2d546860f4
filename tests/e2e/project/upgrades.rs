//! What releases have left behind is read by this one (`tests/upgrades`), and what a later one has
//! left in another form is refused by its number.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::pipes::{from_lake, to_database};
use support::run::{Outcome, ours, pipe_succeeds};
use support::{binaries_dir, folder, lake, root};

const DAYS: [&str; 2] = ["2026-01-30", "2026-01-31"];
const ROWS: &str = "SELECT 'goods', to_jsonb(t)::text FROM raw.goods t
    UNION ALL SELECT 'odd', to_jsonb(t)::text FROM raw.\"Odd \"\"names\"\"\" t
    UNION ALL SELECT 'empty', to_jsonb(t)::text FROM raw.empty t ORDER BY 1, 2";

/// A project as a release has left it, with its databases.
struct Left {
    _scratch: tempfile::TempDir,
    root: PathBuf,
    source: Database,
    target: Database,
}

fn fixtures() -> PathBuf {
    root().join("tests/upgrades")
}

/// Returns the folders of what releases have left.
fn releases() -> Vec<PathBuf> {
    let folders = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = folders.filter(|folder| folder.join("version").is_file()).collect();
    found.sort();
    assert!(found.len() > 1, "{found:?}");
    found
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

impl Left {
    fn by(release: &Path) -> Self {
        let scratch = folder();
        let root = scratch.path().join("project");
        copy(&fixtures().join("project"), &root);
        copy(&release.join("chorus"), &root.join(".chorus"));
        copy(&release.join("output"), &root.join("output"));
        let (source, target) = (database("upgrade_source"), database("upgrade_target"));
        source.psql(&fs::read_to_string(fixtures().join("source.sql")).unwrap());
        target.psql(&fs::read_to_string(release.join("target.sql")).unwrap());
        Self { _scratch: scratch, root, source, target }
    }

    fn chorus(&self, args: &[&str]) -> Outcome {
        let url = |database: &Database| {
            let settings = database.settings();
            let name = |key: &str| settings[key].as_str().unwrap().replace('/', "%2F");
            let (port, host) = (&settings["port"], name("host"));
            format!("postgresql://{}@{host}:{port}/{}", name("user"), name("database"))
        };
        let path = format!("{}:/usr/bin:/bin", binaries_dir().display());
        ours("chorus")
            .env("PATH", path)
            .env("SOURCE_DATABASE_URL", url(&self.source))
            .env("TARGET_DATABASE_URL", url(&self.target))
            .args(["--project"])
            .args([&self.root])
            .args(args)
            .go()
    }

    /// Returns the JSON files that number their form, by what they are.
    fn numbered(&self) -> Vec<(&'static str, PathBuf)> {
        let lake = self.root.join("output");
        let record = lake.join(format!(".runs/source=shop/extracted_at={}.json", DAYS[1]));
        let manifest = lake::partition(&lake, "shop", DAYS[1], "public-goods");
        let run = fs::read_dir(self.root.join(".chorus/runs")).unwrap().last().unwrap().unwrap();
        let state = format!("dev%3Atap-csv--days-to-target-postgres%3A{}.json", DAYS[1]);
        vec![
            ("run record of a day", record),
            ("manifest", manifest.join("_manifest.json")),
            ("run", run.path().join("run.json")),
            ("state", self.root.join(".chorus/state").join(state)),
        ]
    }
}

#[test]
fn what_every_release_left_is_gone_on_from() {
    for release in releases() {
        let (left, name) = (Left::by(&release), release.display());
        let before = left.target.psql(ROWS);
        assert_eq!(before.lines().count(), 3, "{name}");
        let runs = left.chorus(&["runs"]).success();
        assert_eq!(runs.text().matches("succeeded").count(), 3, "{name}: {}", runs.text());
        left.chorus(&["status"]).success();
        lake::check(&left.root.join("output"));
        // What is the same changes nothing, in files and tables.
        let data = |day| {
            let lake = left.root.join("output");
            lake::data(&lake::partition(&lake, "shop", day, "public-goods"))
        };
        let files = DAYS.map(data);
        for day in DAYS.iter().chain(&[DAYS[1]]) {
            let args = ["run", "main", "--datestamp", day, "--retries", "0"];
            left.chorus(&args).success();
        }
        lake::check(&left.root.join("output"));
        assert_eq!(DAYS.map(data), files, "{name}");
        assert_eq!(left.target.psql(ROWS), before, "{name}");
        // What is new is added; row 1 and the file are behind their bookmarks.
        left.source.psql("INSERT INTO events VALUES (3, '2026-02-01Z', 'third')");
        let times = "SELECT id, _sdc_batched_at FROM direct.events WHERE id = 1
                     UNION ALL SELECT id, _sdc_batched_at FROM direct.a";
        let loaded = left.target.psql(times);
        assert_eq!(loaded.lines().count(), 3, "{name}");
        let direct = left.chorus(&["run", "direct", "--retries", "0"]).success();
        let others = direct.stderr.replace("W-NOT-DURABLE", "");
        assert!(!others.contains("W-"), "{name}: {}", direct.stderr);
        assert_eq!(left.target.psql("SELECT max(id), count(*) FROM direct.events"), "3|3");
        assert_eq!(left.target.psql(times), loaded, "{name}");
        // A day can be loaded elsewhere, too.
        let other = database("upgrade_other");
        let into = to_database(&other, &json!({}));
        pipe_succeeds(from_lake(&left.root.join("output"), DAYS[0]), into);
        let plain = |target: &Database, schema: &str| {
            target.psql(&format!("SELECT id, name, price, made FROM {schema}.goods ORDER BY id"))
        };
        assert_eq!(plain(&other, "public"), plain(&left.target, "raw"), "{name}");
    }
}

#[test]
fn what_a_later_release_wrote_in_another_form_is_refused_by_its_number() {
    let release = releases().pop().unwrap();
    let left = Left::by(&release);
    let args = ["run", "main", "--datestamp", DAYS[1], "--retries", "0"];
    left.chorus(&args).success();
    for (what, path) in left.numbered() {
        let text = fs::read_to_string(&path).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        let version = value["format_version"].as_u64().unwrap_or_else(|| panic!("{what}: {text}"));
        value["format_version"] = (version + 1).into();
        fs::write(&path, value.to_string()).unwrap();
        let refused = left.chorus(&args).exits(78);
        assert!(refused.stderr.contains("update this program"), "{what}: {}", refused.stderr);
        assert_eq!(fs::read_to_string(&path).unwrap(), value.to_string(), "{what}");
        fs::write(&path, text).unwrap();
    }
    left.chorus(&args).success();
}
