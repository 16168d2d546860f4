//! The example connector of CONTRIBUTING.md: the copy is fresh, and it works in a pipe.

use std::fs;

use crate::project::generated::{COMMENT, filled, plugin, plugin_lines, settings_page};
use support::example::search_path;
use support::{folder, lake, root, run};

#[test]
fn the_copy_in_the_document_is_the_file() {
    let document = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    for (name, fence) in [("Cargo.toml", "toml"), ("src/main.rs", "rust")] {
        let file = fs::read_to_string(root().join("tests/example").join(name)).unwrap();
        let block = format!("```{fence}\n{file}```\n");
        assert!(document.contains(&block), "CONTRIBUTING.md has another tests/example/{name}");
        assert!(file.lines().count() <= 150, "{name} is no small example");
    }
}

/// "Add the connector to `CONNECTORS`, make its page and its plugin file with marks, then `make
/// generate`": what comes of that for the example.
#[test]
fn a_new_connector_gets_its_documents_from_its_marks() {
    let name = "tap-example";
    let marks = format!("<!-- generated:{name} -->\n<!-- end:{name} -->\n");
    let page = filled(&marks, name, &COMMENT, &settings_page(name)).expect("something to fill in");
    assert!(page.contains("\n| `path` | string | required | "), "{page}");
    assert_eq!(filled(&page, name, &COMMENT, &settings_page(name)), None, "{page}");
    assert!(page.ends_with(&format!("\n<!-- end:{name} -->\n")), "{page}");

    let head = format!("plugins:\n  extractors:\n  - name: {name}\n");
    let marks = format!("{head}    # generated:{name}\n    # end:{name}\n");
    let comment = ["    # ", ""];
    let project = filled(&marks, name, &comment, &plugin_lines(name)).expect("something to fill");
    assert_eq!(filled(&project, name, &comment, &plugin_lines(name)), None, "{project}");
    // The runner finds the connector in it, by its settings.
    let (folder, source) = (folder(), folder());
    let project = format!("{project}  loaders:\n{}\n", plugin("target-csv"));
    run::file(folder.path(), "meltano.yml", &project);
    run::file(source.path(), "one", "1");
    let script = "cd \"$1\" && exec chorus run tap-example target-csv --datestamp 2026-11-20";
    let chorus = run::Run::new("/bin/sh".as_ref())
        .args(["-c", script, "sh"])
        .args([folder.path()])
        .env("PATH", search_path(&[]))
        .env("TAP_EXAMPLE_PATH", source.path())
        .env("TARGET_CSV_OUTPUT_PATH", folder.path().join("output"))
        .env("TARGET_CSV_SOURCE", "files")
        .env("TARGET_CSV_DATESTAMP", "2026-11-20");
    chorus.go().success();
    let lake = folder.path().join("output");
    let partition = lake::partition(&lake, "files", "2026-11-20", "files");
    assert_eq!(lake::data(&partition).lines().count(), 2);
}

#[test]
fn the_example_lists_files_into_a_dated_folder() {
    let (source, lake) = (folder(), folder());
    run::file(source.path(), "a, \"b\".txt", "12345");
    run::file(source.path(), "sub/ü.txt", "");
    run::file(source.path(), "sub/.hidden", "");
    let tap = run::ours("tap-example").set("path", source.path().display());
    let target = run::ours("target-csv")
        .set("output_path", lake.path().display())
        .set("source", "files")
        .set("datestamp", "2026-11-20");
    run::pipe_succeeds(tap, target);
    lake::check(lake.path());
    let partition = lake::partition(lake.path(), "files", "2026-11-20", "files");
    let manifest = lake::manifest(&partition);
    assert_eq!(manifest["complete"], true, "{manifest}");
    let data = lake::data(&partition);
    let lines: Vec<_> = data.lines().collect();
    let root = source.path().display();
    assert_eq!(lines.len(), 3, "{data}");
    assert_eq!(lines[0], "path,bytes,modified");
    assert!(lines[1].starts_with(&format!("\"{root}/a, \"\"b\"\".txt\",5,2")), "{data}");
    assert!(lines[2].starts_with(&format!("{root}/sub/ü.txt,0,2")), "{data}");
}

#[test]
fn the_example_has_what_every_tap_has() {
    let source = folder();
    run::file(source.path(), "one", "1");
    run::file(source.path(), "two", "22");
    let tap = || run::ours("tap-example").set("path", source.path().display());
    let catalog: serde_json::Value =
        serde_json::from_slice(&tap().args(["--discover"]).go().success().stdout).unwrap();
    assert_eq!(catalog["streams"][0]["tap_stream_id"], "files");
    let test = tap().args(["--test"]).go().success();
    assert_eq!(test.records("files").len(), 1);
    let missing = run::ours("tap-example").set("path", "not-there").go().exits(66);
    assert!(missing.stderr.contains("hint: check `path`"), "{}", missing.stderr);
    run::ours("tap-example").go().exits(78);
}
