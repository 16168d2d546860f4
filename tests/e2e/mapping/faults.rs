//! Maps that cannot be carried out end the run before the first row where that can be known.

use serde_json::{Value, json};

use support::messages::Lines;
use support::run::ours;

fn lines() -> Lines {
    let text = json!({ "type": ["string", "null"] });
    let properties = json!({ "id": { "type": "integer" }, "email": text, "name": text });
    Lines::default()
        .schema("t", &properties, &["id"])
        .record("t", &json!({ "id": 1, "email": "a@b.co", "name": null }))
        .schema("u", &properties, &["id"])
        .record("u", &json!({ "id": 1, "email": "a@b.co" }))
}

#[track_caller]
fn refuses(settings: &Value, code: i32, words: &[&str], rows: usize) {
    let outcome = ours("map-streams").config(settings).input(lines().0).go().exits(code);
    for word in words {
        assert!(outcome.stderr.contains(word), "{word:?} is not in {}", outcome.stderr);
    }
    // A run that fails ends with a line that is no message.
    let text = outcome.text();
    let records = text.lines().filter(|line| line.starts_with("{\"type\":\"RECORD\""));
    assert_eq!(records.count(), rows, "{settings}");
}

#[test]
fn bad_maps_are_refused_before_the_first_row() {
    for (map, words) in [
        (
            json!({ "x": "emial.lower()" }),
            &["emial.lower()", "      here: ^^^^^\n", "did you mean `email`?"] as &[&str],
        ),
        (json!({ "x": "name.lowr()" }), &["unknown method `lowr`", "did you mean `lower`?"]),
        (json!({ "x": "md6(name)" }), &["unknown function `md6`", "did you mean `md5`?"]),
        (json!({ "x": "name +" }), &["the expression ends where a value is expected"]),
        (json!({ "x": "(name" }), &["the expression ends where `)` is expected"]),
        (json!({ "x": "name if id" }), &["the expression ends where `else` is expected"]),
        (json!({ "x": "1 / 0" }), &["division by zero", "      here: ^^^^^\n"]),
        (json!({ "x": "config['salt']" }), &["there is no such key"]),
        (json!({ "x": "self" }), &["`self` is the value of the property"]),
        (json!({ "x": "fake" }), &["unknown name `fake`", "such as `fake.name()`"]),
        (json!({ "x": "fake.frist_name()" }), &["did you mean `fake.first_name`?"]),
        (json!({ "x": "fake.qqqqqqqq()" }), &["there are fake.address, fake.ascii_email"]),
        (json!({ "x": "fake.unique.name()" }), &["write the call without `unique`"]),
        (json!({ "x": "fake.name" }), &["write `fake.name(...)`"]),
        (json!({ "x": "fake.random_int(9, 1)" }), &["no number between `min` and `max`"]),
        (json!({ "x": "fake.random_int(mim=1)" }), &["has no argument `mim`"]),
        (json!({ "x": "name if id else fake.words(nb=1000000)" }), &["`nb` is not between 0"]),
        (json!({ "x": "Faker.seed()" }), &["`Faker.seed` takes one value"]),
        (json!({ "x": "f'{name:>9}'" }), &["`}` is expected in an f-string"]),
        (json!({ "x": "id & 2" }), &["`&` is not supported"]),
        (json!({ "x": "name = 'a'" }), &["write `==` to compare"]),
        (json!({ "x": "name is email" }), &["write `==` to compare values"]),
        (json!({ "x": 5 }), &["a value is not a text"]),
        (json!({ "id": null }), &["cannot remove a key property", "__key_properties__"]),
        (json!({ "id": "None" }), &["a key property cannot be None"]),
        (json!({ "__key_properties__": ["nmae"] }), &["did you mean `name`?"]),
        (json!({ "__filtre__": "id > 1" }), &["did you mean `__filter__`?"]),
        (json!({ "__filter__": "iid > 1" }), &["property: __filter__", "unknown name `iid`"]),
        (json!({ "__use__": "m" }), &["`__use__` names a map that is not there"]),
        (json!({ "__alias__": "" }), &["it gives no name"]),
        (json!({ "__alias__": "a", "__source__": "t" }), &["exclude each other"]),
        (json!("name"), &["has neither a map nor null"]),
    ] {
        refuses(&json!({ "stream_maps": { "t": map } }), 78, words, 0);
    }
    let deep = format!("{}id{}", "(".repeat(100), ")".repeat(100));
    refuses(&json!({ "stream_maps": { "t": { "x": deep } } }), 78, &["nests more than"], 0);
    let long = "id + ".repeat(5000) + "id";
    refuses(&json!({ "stream_maps": { "t": { "x": long } } }), 78, &["more than 400 operators"], 0);
    refuses(&json!({ "stream_maps": { "__esle__": null } }), 78, &["unknown option"], 0);
    refuses(&json!({ "flattening_enabled": true }), 78, &["set `flattening_max_depth`"], 0);
    let hash = |column: &str| json!({ "row_hash": { "columns": [column] } });
    refuses(&hash("nmae"), 78, &["did you mean `name`?"], 0);
    refuses(&hash("qqq"), 78, &["there are id, email, name"], 0);
}

#[test]
fn two_streams_do_not_become_one() {
    let words: &[&str] = &["cannot send two streams under one name"];
    refuses(&json!({ "stream_maps": { "t": { "__alias__": "u" } } }), 78, words, 1);
    refuses(&json!({ "stream_maps": { "*": { "__alias__": "one" } } }), 78, words, 1);
    let twice = json!({ "stream_maps": { "t": { "__source__": "t" } } });
    refuses(&twice, 78, &["two maps of a stream have one name"], 0);
}

#[test]
fn a_row_without_a_value_ends_the_run_with_its_place() {
    for (map, words) in [
        (json!({ "x": "name.lower()" }), &["None has no method `lower`"] as &[&str]),
        (json!({ "x": "name + 'a'" }), &["`+` cannot combine None and str", "(a or '')"]),
        (json!({ "x": "int(email)" }), &["`int` cannot read this text"]),
        (json!({ "x": "name < 'a'" }), &["`<` cannot compare None with str"]),
        (json!({ "x": "id" }), &[]),
        (
            json!({ "x": "id + 1" }),
            &["the property takes string, and not int", "starts with `int(`"],
        ),
        (json!({ "id": "int(email)" }), &["property: id"]),
        (json!({ "__filter__": "name > 'a'" }), &["property: __filter__"]),
        (json!({ "x": "email * 100000000" }), &["an expression makes 256 MB at most"]),
        (json!({ "x": "('[' * (id * 20000))" }), &[]),
        (json!({ "x": "json.loads('[' * (id * 20000))" }), &["the text nests more than 512 times"]),
        (
            json!({ "x": "(email * 9999).replace('a', email * 9999)" }),
            &["an expression makes 256 MB at most"],
        ),
        (json!({ "x": "datetime.datetime.fromisoformat(email)" }), &["not a date and time"]),
    ] {
        let settings = json!({ "stream_maps": { "t": map } });
        if words.is_empty() {
            refuses(&settings, 0, words, 2);
            continue;
        }
        refuses(&settings, 65, &[words, &["stream: t", "line: 2"]].concat(), 0);
        let outcome = ours("map-streams").config(&settings).input(lines().0).go();
        assert!(!outcome.stderr.contains("a@b.co"), "a value is shown: {}", outcome.stderr);
    }
}

#[test]
fn flattening_loses_nothing_in_silence() {
    let settings = json!({ "flattening_enabled": true, "flattening_max_depth": 2 });
    let object = json!({ "type": ["object", "string", "null"], "properties": {
        "k": { "type": "integer" },
        "o": { "type": "object", "properties": { "in": { "type": "integer" } } },
    } });
    let properties = json!({ "id": { "type": "integer" }, "a": object });
    let run = |value: Value| {
        let lines = Lines::default()
            .schema("t", &properties, &["id"])
            .record("t", &json!({ "id": 1, "a": { "k": 1, "o": { "in": 2 } } }))
            .record("t", &json!({ "id": 2, "a": value }));
        ours("map-streams").config(&settings).input(lines.0).go()
    };
    let outcome = run(json!("text")).exits(65);
    assert!(outcome.stderr.contains("the value is no object"), "{}", outcome.stderr);
    for (value, member) in [
        (json!({ "k": 1, "other": 3 }), "other"),
        (json!({ "o": { "in": 2, "other": 3 } }), "o.other"),
    ] {
        let outcome = run(value).success();
        assert!(outcome.stderr.contains("W-PROPERTY-UNDECLARED"), "{}", outcome.stderr);
        let told = format!("are left out: {member}\n");
        assert!(outcome.stderr.contains(&told), "{told:?}: {}", outcome.stderr);
    }
    for value in [json!(null), json!({}), json!({ "o": { "in": 1 } })] {
        let outcome = run(value).success();
        assert!(!outcome.stderr.contains("W-PROPERTY-UNDECLARED"), "{}", outcome.stderr);
    }
}
