//! Values that are not real: made of the seed and of the value in whose place they stand.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use support::messages::Lines;
use support::run::{Outcome, ours};

fn lines(keys: &[&str]) -> Lines {
    let text = json!({ "type": ["string", "null"] });
    let properties = json!({ "id": { "type": "integer" }, "email": text, "name": text });
    let mut lines = Lines::default().schema("t", &properties, keys);
    for (id, email) in
        [(1, json!("a@b.co")), (2, json!("a@b.co")), (3, json!(null)), (4, json!(null))]
    {
        lines = lines.record("t", &json!({ "id": id, "email": email, "name": "n" }));
    }
    // The same value in another stream and column.
    let other = json!({ "no": { "type": "integer" }, "mail": text });
    lines.schema("u", &other, &["no"]).record("u", &json!({ "no": 77, "mail": "a@b.co" }))
}

fn mapped(faker: &Value, map: &Value, keys: &[&str]) -> Outcome {
    let maps = json!({ "t": map, "u": { "mail": "fake.email()" } });
    let settings = json!({ "faker_config": faker, "stream_maps": maps });
    ours("map-streams").config(&settings).input(lines(keys).0).go().success()
}

fn column(outcome: &Outcome, stream: &str, name: &str) -> Vec<Value> {
    let of = |record: Value| record.get(name).cloned().unwrap_or_default();
    outcome.records(stream).into_iter().map(of).collect()
}

#[test]
fn one_value_becomes_one_value_in_every_row_stream_and_run() {
    let map = json!({ "email": "fake.email()", "copy": "Faker.seed(email) or fake.email()" });
    let outcome = mapped(&json!({ "seed": 7 }), &map, &["id"]);
    let emails = column(&outcome, "t", "email");
    assert_eq!(emails[0], emails[1]);
    // What is null has no value to be made of: the row decides.
    let all: BTreeSet<String> = emails.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(column(&outcome, "t", "copy")[..2], emails[..2]);
    assert_eq!(column(&outcome, "u", "mail")[0], emails[0]);
    assert!(emails.iter().all(|email| email.as_str().unwrap().contains("@example.")));
    let told = outcome.stderr.matches("W-FAKE-VALUES: the values of `fake`").count();
    assert_eq!(told, 1, "{}", outcome.stderr);

    // Another run, and a seed that came as text from a variable.
    for seed in [json!(7), json!("7")] {
        let again = mapped(&json!({ "seed": seed }), &map, &["id"]);
        assert_eq!(again.text(), outcome.text());
    }
    for other in [json!({ "seed": 8 }), json!({})] {
        let another = column(&mapped(&other, &map, &["id"]), "t", "email");
        assert!(another.iter().zip(&emails).all(|(one, two)| one != two), "{other}");
    }
}

#[test]
fn a_new_property_is_made_of_the_keys_or_of_the_whole_row() {
    let map = json!({ "first": "fake.uuid4()", "second": "fake.uuid4()" });
    let keyed = mapped(&json!({}), &map, &["id"]);
    let (first, second) = (column(&keyed, "t", "first"), column(&keyed, "t", "second"));
    let all: BTreeSet<String> = first.iter().chain(&second).map(ToString::to_string).collect();
    assert_eq!(all.len(), 8, "{all:?}");
    // Without keys two rows that are equal have the same value, and others do not.
    let map = json!({ "id": "1", "first": "fake.uuid4()" });
    let whole = column(&mapped(&json!({}), &map, &[]), "t", "first");
    let all: BTreeSet<String> = whole.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn types_and_arguments_are_those_of_python() {
    let map = json!({
        "age": "int(fake.random_int(18, 20))", "born": "datetime.date.fromisoformat(fake.date())",
        "grown": "fake.date_of_birth(minimum_age=18)", "ok": "bool(fake.boolean(100))",
        "digits": "json.dumps([fake.random_digit() for x in range]) if 0 else fake.numerify('#-#')",
        "part": "float(fake.pyfloat(min_value=1, max_value=2, right_digits=3))",
        "one": "fake.random_element(['x', name])", "words": "json.dumps(fake.words(2))",
        "short": "fake.text(max_nb_chars=20)", "two": "fake.uuid4() + fake.uuid4()",
    });
    // A name that is not there is refused, also where no row gets to it.
    let refused = json!({ "stream_maps": { "t": map } });
    ours("map-streams").config(&refused).input(lines(&["id"]).0).go().exits(78);

    let mut map = map;
    map["digits"] = json!("fake.numerify('#-#')");
    let outcome = mapped(&json!({ "locale": ["de_DE", "ja_JP"] }), &map, &["id"]);
    for record in outcome.records("t") {
        assert!((18..=20).contains(&record["age"].as_i64().unwrap()), "{record}");
        assert!(record["grown"].as_str().unwrap() < "2008-01-01", "{record}");
        assert!((1.0..=2.0).contains(&record["part"].as_f64().unwrap()), "{record}");
        assert_eq!(record["ok"], true);
        assert!(record["short"].as_str().unwrap().chars().count() <= 20, "{record}");
        assert!(["x", "n"].contains(&record["one"].as_str().unwrap()), "{record}");
        let digits = record["digits"].as_str().unwrap().as_bytes();
        assert!(digits.len() == 3 && digits[0].is_ascii_digit() && digits[1] == b'-', "{record}");
        let two = record["two"].as_str().unwrap();
        assert_ne!(two[..two.len() / 2], two[two.len() / 2..]);
    }
}

#[test]
fn a_locale_that_has_no_words_is_refused_or_told() {
    let with = |faker: Value| {
        let settings =
            json!({ "faker_config": faker, "stream_maps": { "t": { "name": "fake.city()" } } });
        ours("map-streams").config(&settings).input(lines(&["id"]).0).go()
    };
    let told = with(json!({ "locale": "de-AT" })).success();
    assert!(told.stderr.contains("locale de-AT and takes those of de_DE"), "{}", told.stderr);
    assert_eq!(told.text(), with(json!({ "locale": "de_DE" })).success().text());
    assert_ne!(told.text(), with(json!({})).success().text());
    for (faker, word) in [
        (json!({ "locale": "dee_DE" }), "did you mean `de_DE`?"),
        (json!({ "locale": ["en_US", "xx_XX"] }), "there are ar_SA"),
        (json!({ "sed": 1 }), "seed"),
    ] {
        let refused = with(faker).exits(78);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
}
