//! Lines that are not rows, rows of odd widths, delimiters of several characters.

use std::path::Path;

use serde_json::{Value, json};

use support::folder;
use support::run::{Outcome, Run, file, ours};

/// Describes a read of one file, with more settings of its entry.
pub fn tap(path: &Path, more: &Value) -> Run {
    let mut entry = json!({ "entity": "t", "path": path });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    ours("tap-csv").config(&json!({ "files": [entry] }))
}

/// Reads a file with this text.
pub fn read(text: &str, more: &Value) -> Outcome {
    let scratch = folder();
    tap(&file(scratch.path(), "in.csv", text), more).go()
}

/// Asserts that a file gives these rows, each as its values in the order of the columns.
#[track_caller]
fn gives(text: &str, more: &Value, rows: &Value) {
    let outcome = read(text, more).success();
    let values = |record: Value| record.as_object().unwrap().values().cloned().collect::<Value>();
    let found: Value = outcome.records("t").into_iter().map(values).collect();
    assert_eq!(found, *rows, "{text:?} {more}");
}

#[track_caller]
fn fails(text: &str, more: &Value, code: i32, words: &[&str]) {
    let outcome = read(text, more).exits(code);
    for word in words {
        assert!(outcome.stderr.contains(word), "{text:?}: no {word:?} in {}", outcome.stderr);
    }
}

#[test]
fn comments_are_passed_over_where_a_record_could_begin() {
    let hash = json!({ "comment": "#" });
    let rows = json!([[1, "x"], [2, "y"]]);
    for text in [
        "# made by \"hand\nid,n\n1,x\n2,y\n",
        "\u{feff}#a,b,c\r\nid,n\r\n#\r\n1,x\r\n2,y\r\n# end",
        "id,n\n1,x\n#2,z\n#\n2,y\n#",
        "\n#x\n\nid,n\n1,x\n2,y\n",
        "id,n\r#\"\r1,x\r2,y\r",
        // Where files were put together.
        "id,n\n1,x\n\u{feff}#x\n2,y\n",
    ] {
        gives(text, &hash, &rows);
    }
    // In quotes, behind the first character, and behind an escape it is text.
    gives("id,n\n\"#1\",x\n", &hash, &json!([["#1", "x"]]));
    gives("id,n\n1,#x\n a,#\n", &hash, &json!([["1", "#x"], [" a", "#"]]));
    gives("id,n\n1,\"a\n#b\n\"\n2,c\n", &hash, &json!([[1, "a\n#b\n"], [2, "c"]]));
    let escape = json!({ "comment": "#", "escapechar": "\\" });
    gives("id,n\n\\#1,x\n", &escape, &json!([["#1", "x"]]));
    let long = json!({ "comment": "-- " });
    gives("-- x\nid,n\n--1,x\n-- \n", &long, &json!([["--1", "x"]]));
    // Lines are counted with them.
    let typed = json!({ "comment": "#", "types": { "id": "integer" } });
    fails("#\nid,n\n#\nx,y\n", &typed, 65, &["line: 4\n"]);
    let skip = json!({ "comment": "#", "skip_rows": 2 });
    gives("#\nnote\n#\nid,n\n1,x\n2,y\n", &skip, &rows);
    let none = json!({ "comment": "#", "header": false });
    gives("#a,b,c\n1,x\n2,y\n", &none, &rows);
    fails("#a\n#b\n", &hash, 65, &["allow_empty_files"]);
    let empty = json!({ "comment": "#", "allow_empty_files": true });
    gives("#a\n#b\n", &empty, &json!([]));
    gives("", &empty, &json!([]));
    fails("a\n", &json!({ "comment": "\"" }), 78, &["comment", "quotechar"]);
    fails("a\n", &json!({ "comment": "," }), 78, &["comment", "delimiter"]);
}

#[test]
fn a_comment_may_be_longer_than_a_record_and_in_any_encoding() {
    let scratch = folder();
    let long = "x".repeat(1 << 20);
    let mut bytes = format!("# {long}\nid,n\n1,x\n#").into_bytes();
    bytes.extend_from_slice(b"caf\xe9 \"\n2,y\n");
    let path = file(scratch.path(), "in.csv", bytes);
    let tap = tap(&path, &json!({ "comment": "#" })).set("max_record_bytes", 1000);
    assert_eq!(tap.go().success().records("t").len(), 2);
}

#[test]
fn the_last_lines_are_left_out() {
    let one = json!({ "skip_footer": 1 });
    let rows = json!([[1, "x"], [2, "y"]]);
    for text in [
        "id,n\n1,x\n2,y\nTotal,2\n",
        "id,n\n1,x\n2,y\nTotal,2",
        "id,n\r\n1,x\r\n2,y\r\nTotal: 2 \"rows\r\n",
        "id,n\r1,x\r2,y\r\u{e9}\r",
        "id,n\n1,x\n2,y\n\n",
        "\u{feff}id,n\n1,x\n2,y\n,,,,\n",
    ] {
        gives(text, &one, &rows);
    }
    let three = json!({ "skip_footer": 3, "comment": "#" });
    gives("#\nid,n\n1,x\n2,y\n\n# 2 rows\nEnd", &three, &rows);
    gives("id,n\n1,x\n2,y\n3,z\n", &three, &json!([]));
    for text in ["id,n\n1,x\n", "a", ""] {
        fails(text, &three, 65, &["header"]);
        let allowed = json!({ "skip_footer": 3, "allow_empty_files": true });
        gives(text, &allowed, &json!([]));
    }
    // A line of a quoted field is none to cut at.
    fails("id,n\n1,\"x\ny\"\n", &one, 65, &["quote"]);
    // Beyond what is read at once.
    let many: Vec<String> = (0..50_000).map(|id| format!("{id},x\n")).collect();
    let outcome = read(&format!("id,n\n{}Total,50000\n\nEnd\n", many.concat()), &three).success();
    assert_eq!(outcome.records("t").len(), 50_000);
    // Notes beside data, too.
    let scratch = folder();
    file(scratch.path(), "in/a.txt", "# list\nid;n\n1;x\nEnd\n");
    let notes = json!({ "skip_footer": 1, "comment": "#" });
    let outcome = tap(&scratch.path().join("in"), &notes).go().success();
    assert_eq!(outcome.records("t"), [json!({ "id": 1, "n": "x" })]);
}

#[test]
fn rows_of_another_width_do_what_is_set() {
    let text = "id,n,m\n1,x\n2,y,z,\n\n3,\n4,a,b,,\n";
    let null = json!({ "on_ragged": "null" });
    let rows = json!([[1, "x", null], [2, "y", "z"], [3, null, null], [4, "a", "b"]]);
    gives(text, &null, &rows);
    // What would be lost is not.
    fails("id,n\n1,x\n2,y,z\n", &null, 65, &["line: 3\n", "more fields"]);
    fails("id,n\n1,x\n \n2,y\n", &null, 65, &["line: 3\n"]);
    gives("id,n\n1,x\n \n", &null, &json!([[1, "x"]]));
    let nulls = json!({ "on_ragged": "null", "null_values": ["-"] });
    gives("id,n\n1,x,-,\n2\n", &nulls, &json!([[1, "x"], [2, null]]));
    // Their values count for the types of the columns.
    gives("id,n\n1,x\na\n", &null, &json!([["1", "x"], ["a", null]]));
    let scratch = folder();
    let path = file(scratch.path(), "in.csv", "id,n\n1,x\n2\n3,y\n");
    let with = |more: Value, rejects: u64| {
        let rejects_file = scratch.path().join("rejects.jsonl");
        tap(&path, &more)
            .set("max_rejects", rejects)
            .set("rejects_file", rejects_file.display())
            .go()
    };
    for more in [json!({}), json!({ "on_ragged": "reject" })] {
        assert_eq!(with(more.clone(), 1).success().records("t").len(), 2, "{more}");
        with(more, 0).exits(65);
    }
    let outcome = with(json!({ "on_ragged": "fail" }), 9).exits(65);
    for word in ["line: 3\n", "on_ragged: fail\n", "path: "] {
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
    }
    fails("a\n", &json!({ "on_ragged": "drop" }), 78, &["on_ragged", "reject"]);
}

#[test]
fn blank_lines_before_the_header_are_passed_over() {
    let rows = json!([[1, "x"]]);
    for text in ["\n\nid,n\n1,x\n", "\r\n \t\r\nid,n\r\n1,x\r\n", "\u{feff}\nid,n\n1,x\n"] {
        gives(text, &json!({}), &rows);
    }
    gives("\n\n1,x\n", &json!({ "header": false }), &rows);
    gives("a\n\nid,n\n1,x\n", &json!({ "skip_rows": 1 }), &rows);
    // Nobody knows whether a single name is one, or a value below a column without a name.
    fails("\nid\n1\n", &json!({}), 65, &["empty line", "skip_rows"]);
    gives("\nid\n1\n", &json!({ "skip_rows": 1 }), &json!([[1]]));
    gives("\n1\n2\n", &json!({ "rename_headers": true }), &json!([[1], [2]]));
    fails("\n\n", &json!({}), 65, &["empty line"]);
}

#[test]
fn delimiters_may_have_several_characters() {
    let bars = json!({ "delimiter": "||" });
    let rows = json!([[1, "x"], [2, "y"]]);
    gives("id||n\n1||x\n2||y\n", &bars, &rows);
    gives("id||n\r\n1||x\r\n2||y", &bars, &rows);
    gives("id||n\n\"1\"||\"x||y\"\n", &bars, &json!([[1, "x||y"]]));
    gives("id||n\n1||a|b\n2|||c\n", &bars, &json!([[1, "a|b"], [2, "|c"]]));
    gives("id||n\n1||\n", &bars, &json!([[1, null]]));
    gives("id||n\n\"a\" ||\"b\"\"||\"\n", &bars, &json!([["a", "b\"||"]]));
    for (delimiter, text) in [
        ("\\t|\\t", "id\t|\tn\n1\t|\tx\n2\t|\ty\n"),
        ("§", "id§n\n1§x\n2§y\n"),
        ("¦¦", "id¦¦n\n1¦¦x\n2¦¦y\n"),
        (", ", "id, n\n1, x\n\"2\", \"y\"\n"),
        ("\u{1f}\u{1e}", "id\u{1f}\u{1e}n\n1\u{1f}\u{1e}x\n2\u{1f}\u{1e}y\n"),
    ] {
        gives(text, &json!({ "delimiter": delimiter }), &rows);
    }
    let escaped = json!({ "delimiter": "||", "escapechar": "\\" });
    gives("id||n\n1||a\\||b\n", &escaped, &json!([[1, "a||b"]]));
    let latin = json!({ "delimiter": "§", "encoding": "latin-1" });
    let scratch = folder();
    let path = file(scratch.path(), "in.csv", b"id\xa7n\n1\xa7x\n");
    assert_eq!(tap(&path, &latin).go().success().records("t"), [json!({ "id": 1, "n": "x" })]);
    // A delimiter that a block of what is read ends in.
    let many: Vec<String> =
        (0..60_000).map(|id| format!("{id}~~~{}~~~y\n", "x".repeat(id % 7))).collect();
    let outcome =
        read(&format!("id~~~n~~~m\n{}", many.concat()), &json!({ "delimiter": "~~~" })).success();
    let records = outcome.records("t");
    assert_eq!(records.len(), 60_000);
    assert!(records.iter().all(|record| record["m"] == "y"));
    for delimiter in ["", "a\nb", "123456789012345678901", "|\"|"] {
        fails("a\n", &json!({ "delimiter": delimiter }), 78, &["delimiter"]);
    }
}

#[test]
fn what_decides_the_lines_is_part_of_the_bookmark() {
    let scratch = folder();
    let path = file(scratch.path(), "a.csv", "id,n\n1,x\n#2,y\n3,z\n");
    let first = tap(&path, &json!({})).go().success();
    let state = first.messages().into_iter().rfind(|message| message["type"] == "STATE");
    let state = state.unwrap()["value"].take();
    for (name, value) in [
        ("comment", json!("#")),
        ("skip_footer", json!(1)),
        ("on_ragged", json!("null")),
        ("delimiter", json!(";;")),
        ("decimal", json!(",")),
        ("types", json!({ "n": { "type": "string", "null_values": ["x"] } })),
    ] {
        let again = tap(&path, &json!({ name: value })).json("--state", &state).go().success();
        assert_ne!(again.records("t").len(), 0, "{name}");
        let told = format!("`{name}` changed since its files were read");
        assert!(again.stderr.contains(&told), "{name}: {}", again.stderr);
    }
}
