//! Files that are compressed, and members of archives, as `tap-csv` reads them from a disk.

use std::path::Path;

use serde_json::{Value, json};

use support::folder;
use support::run::{Outcome, Run, file, ours};

fn tap(path: &Path, more: &Value) -> Run {
    let mut entry = json!({ "entity": "t", "path": path });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    ours("tap-csv").config(&json!({ "files": [entry] }))
}

fn shell(folder: &Path, script: &str) {
    let script = format!("cd \"$1\"; {script}");
    Run::new(Path::new("/bin/sh")).args(["-ec", &script, "sh"]).args([folder]).go().success();
}

#[track_caller]
fn ids(outcome: &Outcome) -> Vec<i64> {
    outcome.records("t").iter().map(|record| record["id"].as_i64().unwrap()).collect()
}

fn state(outcome: &Outcome) -> Value {
    let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    state.unwrap()["value"].take()
}

#[test]
fn every_compression_is_told_by_its_ending() {
    let scratch = folder();
    let at = scratch.path().join("in");
    file(scratch.path(), "in/a.csv", "id,v\n1,x\n");
    file(scratch.path(), "in/z/more.csv", "id,v\n5,x\n");
    file(scratch.path(), "in/z/more.tsv.gz", "");
    file(scratch.path(), "in/z/__MACOSX/._more.csv", "\u{0}");
    file(scratch.path(), "in/z/README", "of no use here");
    shell(
        &at,
        "sed s/1/2/ a.csv | bzip2 > b.csv.bz2; sed s/1/3/ a.csv | bzip2 | tail -c +1 > c.csv.BZ2
         sed s/1/4/ a.csv | xz > d.csv.xz
         printf 'id\\tv\\n6\\tx\\n' | gzip > z/more.tsv.gz
         (cd z; zip -q -r ../e.zip .); rm -r z",
    );
    let outcome = tap(&at, &json!({})).go().success();
    assert_eq!(ids(&outcome), [1, 2, 3, 4, 5, 6]);
    let seen = state(&outcome)["bookmarks"]["t"]["files"].clone();
    let member = at.join("e.zip/more.csv");
    assert_eq!(seen[member.to_str().unwrap()]["size"], 9, "{seen}");
    // Nothing is read again, until a member is another one.
    let again = tap(&at, &json!({})).json("--state", &state(&outcome)).go().success();
    assert_eq!(ids(&again), [0_i64; 0]);
    shell(
        &at,
        "mkdir z; printf 'id,v\\n7,x\\n' > z/more.csv; cd z; zip -q ../e.zip more.csv; rm -r ../z",
    );
    let again = tap(&at, &json!({})).json("--state", &state(&outcome)).go().success();
    assert_eq!(ids(&again), [7]);
    // A pattern, a path, and a format for members of other endings.
    assert_eq!(ids(&tap(&at.join("*.zip"), &json!({})).go().success()), [7, 6]);
    shell(&at, "printf 'id;v\\n8;x\\n' > list.dat; zip -q list.zip list.dat; rm list.dat");
    let list = at.join("list.zip");
    let settings = json!({ "format": "csv", "delimiter": ";" });
    assert_eq!(ids(&tap(&list, &settings).go().success()), [8]);
    let place = json!({ "files": [{ "entity": "t", "path": list, "delimiter": ";" }],
        "add_metadata_columns": true });
    let outcome = ours("tap-csv").config(&place).go().success();
    let name = format!("{}/list.dat", list.display());
    assert_eq!(outcome.records("t")[0]["_sdc_source_file"], json!(name));
}

#[test]
fn several_streams_in_one_file_are_all_read() {
    let scratch = folder();
    shell(
        scratch.path(),
        "printf 'id\\n1\\n' | bzip2 > a.csv.bz2; printf '2\\n' | bzip2 >> a.csv.bz2
         printf 'id\\n1\\n' | xz > a.csv.xz; printf '2\\n' | xz >> a.csv.xz",
    );
    for name in ["a.csv.bz2", "a.csv.xz"] {
        assert_eq!(ids(&tap(&scratch.path().join(name), &json!({})).go().success()), [1, 2]);
    }
}

#[test]
fn what_is_damaged_or_expands_too_much_is_refused() {
    let scratch = folder();
    let many: Vec<String> = (0..5000).map(|id| format!("{id},x{id}\n")).collect();
    file(scratch.path(), "a.csv", format!("id,v\n{}", many.concat()));
    shell(
        scratch.path(),
        "for z in bzip2 xz; do $z -k a.csv; done; zip -q a.zip a.csv
         zip -q -P secret locked.zip a.csv
         for f in a.csv.bz2 a.csv.xz a.zip; do head -c 900 $f > cut.${f#a.}; cp a.csv not.${f#a.}
             cp $f behind.${f#a.}; echo more >> behind.${f#a.}; done; rm behind.zip
         cp a.csv.bz2 bare-bz2.csv; cp a.csv.xz bare-xz.csv; cp a.zip bare-zip.csv
         head -c 1000000 /dev/zero | tr '\\0' x > line; echo >> line
         for n in $(seq 90); do cat line; done > x.csv; xz -k x.csv; bzip2 -k x.csv
         zip -q x.zip x.csv; rm x.csv",
    );
    for name in ["a.csv.bz2", "a.csv.xz", "a.zip"] {
        let outcome = tap(&scratch.path().join(name), &json!({})).go().success();
        assert_eq!(outcome.records("t").len(), 5000, "{name}");
    }
    for (name, words) in [
        ("cut.csv.bz2", "incomplete"),
        ("cut.csv.xz", "incomplete"),
        ("cut.zip", "incomplete"),
        ("not.csv.bz2", "do not fit the ending"),
        ("not.csv.xz", "do not fit the ending"),
        ("not.zip", "zip archive"),
        ("behind.csv.bz2", "other bytes follow it"),
        ("behind.csv.xz", "other bytes follow it"),
        ("bare-bz2.csv", "end in .bz2"),
        ("bare-xz.csv", "end in .xz"),
        ("bare-zip.csv", "archive"),
        ("locked.zip", "encrypted"),
        ("x.csv.bz2", "decompression_ratio_max"),
        ("x.csv.xz", "decompression_ratio_max"),
        ("x.zip", "decompression_ratio_max"),
    ] {
        let outcome = tap(&scratch.path().join(name), &json!({})).go().exits(65);
        for word in [words, name] {
            assert!(outcome.stderr.contains(word), "{name}: no {word:?} in {}", outcome.stderr);
        }
    }
}
