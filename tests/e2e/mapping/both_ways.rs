//! The same maps through `meltano-map-transform` and through ours: the same rows.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use support::messages::Lines;
use support::pipes::{DAY, to_lake};
use support::python::MAPPER;
use support::run::{Outcome, ours, pipe_succeeds};
use support::{folder, lake};

fn input() -> Vec<u8> {
    let text = json!({ "type": ["string", "null"] });
    let geo = json!({ "type": ["object", "null"], "properties": { "lat": { "type": "number" } } });
    let properties = json!({
        "id": { "type": "integer" }, "name": text, "email": text,
        "amount": { "type": ["number", "null"] },
        "address": { "type": ["object", "null"], "properties": {
            "city": text, "geo": geo, "tags": { "type": ["array", "null"] } } },
    });
    let record = |id: u64, name: &str, amount: &str, city: &str| {
        let rest = r#""geo":{"lat":51.50},"tags":["a",{"b":1}]"#;
        let address = format!(r#""address":{{"city":"{city}",{rest}}}"#);
        let record = format!(
            r#"{{"id":{id},"name":"{name}","email":"{name}@x.co","amount":{amount},{address}}}"#
        );
        format!("{{\"type\":\"RECORD\",\"stream\":\"users\",\"record\":{record}}}")
    };
    Lines::default()
        .schema("users", &properties, &["id"])
        .raw(record(1, "Ada", "1.10", "London"))
        .raw(record(2, "Émile", "20", "Paris \\u20ac"))
        .raw(record(3, "o'neil", "0.000001", ""))
        .schema("orders", &json!({ "id": { "type": "integer" } }), &["id"])
        .record("orders", &json!({ "id": 5 }))
        .state(&json!({ "bookmarks": { "users": { "x": 1.0 } } }))
        .0
}

/// What is said of rows and states, without the times that theirs makes up.
fn said(outcome: &Outcome) -> Vec<Value> {
    let mut messages = outcome.messages();
    messages.retain(|message| message["type"] != "SCHEMA");
    for message in &mut messages {
        message.as_object_mut().unwrap().remove("time_extracted");
    }
    messages
        .sort_by_key(|message| (message["stream"].to_string(), message["record"]["id"].as_u64()));
    messages
}

#[test]
fn maps_give_the_rows_that_the_sdk_gives() {
    for maps in [
        json!({ "users": { "full": "name", "email": null, "cents": "int(float(amount)*100)" } }),
        json!({ "users": { "__alias__": "people", "domain": "email.split('@')[-1]", "id": "id" } }),
        json!({ "users": { "__filter__": "id < 3 and 'a' in email", "amount": "amount" } }),
        json!({ "users": null, "orders": { "who": "__stream_name__" } }),
        json!({ "__else__": null, "o*": { "twice": "int(id * 2)" } }),
        json!({ "copy": { "__source__": "users", "__else__": null, "id": "id", "n": "name[:2]" } }),
        json!({ "users": { "key": "md5(email)", "id": null, "__key_properties__": ["key"] } }),
        json!({ "*s": { "source": "'shop'", "name": "__NULL__" } }),
        json!({ "users": { "city": "address['city'] or None", "address": null } }),
        json!({ "users": { "tags": "json.dumps(address['tags'])", "ok": "bool(amount > 1)" } }),
        json!({ "users": {
            "__alias__": "__stream_name__ + '_v2'", "salt": "config['salt'] + name" } }),
    ] {
        for depth in [0, 1, 2] {
            let settings = json!({
                "stream_maps": maps, "stream_map_config": { "salt": "s" },
                "flattening_enabled": depth > 0, "flattening_max_depth": depth,
            });
            let theirs = MAPPER.program("meltano-map-transform").config(&settings);
            let theirs = theirs.input(input()).go().success();
            let ours = ours("map-streams").config(&settings).input(input()).go().success();
            if depth > 0
                && maps["users"]["address"].is_null()
                && maps["users"].get("address").is_some()
            {
                // There the members of an object stay that a map removes, without a schema.
                continue;
            }
            let mut expected = said(&theirs);
            let is_of_users = |m: &Value| m["stream"] == "users" || m["source_stream"] == "users";
            if !ours.messages().iter().any(is_of_users) {
                // Theirs moves the bookmark of a stream whose rows it removes.
                for message in &mut expected {
                    if let Some(marks) = message.pointer_mut("/value/bookmarks") {
                        *marks = json!({});
                    }
                }
            }
            assert_eq!(said(&ours), expected, "{settings}");
            // Theirs sends the SCHEMA of a stream that it removes, without keys.
            let streams: BTreeSet<String> =
                ours.messages().iter().map(|m| m["stream"].to_string()).collect();
            let keys = |outcome: &Outcome| -> Vec<(Value, Value)> {
                let schemas = outcome.messages().into_iter();
                let schemas = schemas.filter(|m| m["type"] == "SCHEMA");
                let schemas = schemas.filter(|m| streams.contains(&m["stream"].to_string()));
                schemas.map(|m| (m["stream"].clone(), m["key_properties"].clone())).collect()
            };
            assert_eq!(keys(&ours), keys(&theirs), "{settings}");
        }
    }
}

#[test]
fn one_mapper_reads_what_the_other_one_writes() {
    let settings = json!({ "stream_maps": { "users": { "name": "name.upper()" } } });
    let ours = || ours("map-streams").config(&settings);
    let theirs = || MAPPER.program("meltano-map-transform").config(&settings);
    let first = theirs().input(input()).go().success();
    let behind = ours().input(first.text()).go().success();
    assert_eq!(said(&behind), said(&first));
    let first = ours().input(input()).go().success();
    let behind = theirs().input(first.text()).go().success();
    assert_eq!(said(&behind), said(&first));
}

#[test]
fn a_mapped_stream_lands_in_a_day() {
    let settings = json!({ "stream_maps": { "t": {
        "__alias__": "people", "initial": "name[:1] if name else None", "name": null } } });
    let output = folder();
    let lines = Lines::whole(&[(1, "Ada"), (2, ""), (3, "日本")]);
    let mapper = ours("map-streams").config(&settings).input(lines.0);
    pipe_succeeds(mapper, to_lake(output.path(), "s", DAY));
    let partition = lake::partition(output.path(), "s", DAY, "people");
    assert_eq!(lake::data(&partition), "id,initial\n1,A\n2,\n3,日\n");
}
