//! Every Postgres type through files into Postgres again, with Postgres as the judge.

use std::fmt::Write;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use support::cluster::{Database, database};
use support::faults::{Random, figure, tries};
use support::folder;
use support::pipes::{DAY, extract, from_database, load, to_database};
use support::run::pipe_succeeds;

/// Types of our own that a target database has too (extensions) or need not have (the rest).
const EXTENSIONS: &str =
    "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;";
const OWN_TYPES: &str = r#"
    CREATE TYPE mood AS ENUM ('sad', 'o,k', 'ha"ppy', '');
    CREATE DOMAIN cents AS numeric(12,2) CHECK (VALUE >= 0);
    CREATE DOMAIN label AS varchar(20);
    CREATE TYPE place AS (name text, at point, note text);
"#;

/// A type, whether the target has it under the same name, and values as SQL.
const TYPES: &[(&str, bool, &[&str])] = &[
    ("smallint", true, &["-32768", "0", "32767"]),
    ("integer", true, &["-2147483648", "0", "2147483647"]),
    ("bigint", true, &["-9223372036854775808", "9007199254740993", "9223372036854775807"]),
    ("numeric(10,2)", true, &["0.10", "-12345678.99", "0", "1"]),
    ("numeric(5,-2)", true, &["12300", "-100"]),
    (
        "numeric",
        true,
        &[
            "0.10",
            "1.000",
            "-0.000",
            "1E+2",
            "1e-30",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "12345678901234567890123456789012345678901234567890.12345678901234567890",
        ],
    ),
    (
        "real",
        true,
        &["32.38", "0.1", "'-0'", "1e-45", "3.4028235e38", "'NaN'", "'Infinity'", "'-Infinity'"],
    ),
    (
        "double precision",
        true,
        &[
            "0.1",
            "'-0'",
            "5e-324",
            "1.7976931348623157e308",
            "123456789.12345679",
            "1e22",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0.30000000000000004",
        ],
    ),
    ("boolean", true, &["true", "false"]),
    (
        "text",
        true,
        &[
            "''",
            "'NULL'",
            "E'\\\\N'",
            "E'\\\\.'",
            "E'a\\nb\\r\\nc\\td'",
            "'\"'",
            "'a,\"b\"'",
            "' '",
            "E'\\\\n'",
            "E'\\\\'",
            "'é日本🎉'",
            "E'\\u0001\\u001f\\u007f'",
            "E'e\\u0301'",
            "'=1+1'",
            "E'\\u2028'",
            "'00123'",
            "'1e5'",
            "'true'",
            "'null'",
            "repeat('long ', 100000)",
        ],
    ),
    ("character varying(10)", true, &["''", "'ten chars.'", "' a '"]),
    ("character(5)", true, &["''", "'ab'", "'abcde'", "' a'"]),
    ("bpchar", true, &["''", "'ab '", "'abcde'"]),
    ("\"char\"", true, &["'a'", "''"]),
    ("name", true, &["'a name'"]),
    (
        "date",
        true,
        &[
            "'2026-02-28'",
            "'0001-01-01'",
            "'9999-12-31'",
            "'10000-01-01'",
            "'0044-03-15 BC'",
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'5874897-12-31'",
        ],
    ),
    (
        "time without time zone",
        true,
        &["'00:00'", "'24:00:00'", "'23:59:59.999999'", "'12:34:56.7'"],
    ),
    ("time(2) without time zone", true, &["'12:34:56.78'"]),
    ("time with time zone", true, &["'12:00+05:45'", "'24:00:00-15:59'", "'00:00:00.000001+00'"]),
    (
        "timestamp without time zone",
        true,
        &[
            "'2026-02-28 12:34:56.789012'",
            "'0001-01-01'",
            "'10000-01-01'",
            "'0044-03-15 09:00 BC'",
            "'infinity'",
            "'-infinity'",
            "'294276-12-31 23:59:59.999999'",
            "'4713-01-01 BC'",
        ],
    ),
    ("timestamp(0) without time zone", true, &["'2026-02-28 12:34:56'"]),
    (
        "timestamp with time zone",
        true,
        &[
            "'2026-02-28 12:34:56.789012+05:45'",
            "'2026-07-01 00:00 Europe/Berlin'",
            "'infinity'",
            "'-infinity'",
            "'0044-03-15 09:00+00 BC'",
            "'10000-01-01+00'",
            "'1800-01-01 00:00+00:53:28'",
        ],
    ),
    (
        "interval",
        true,
        &[
            "'0'",
            "'1 year -2 months 3 days -04:05:06.789'",
            "'-1 second'",
            "'1 mon'",
            "'100 hours'",
            "'-00:00:00.000001'",
            "'178000000 years'",
            "'1 day -1 hour'",
        ],
    ),
    ("bytea", true, &["''", "'\\x00'", "'\\x00ff0a0d5c2c22'", "'\\x5c783030'"]),
    ("uuid", true, &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    (
        "jsonb",
        true,
        &[
            "'null'",
            "'{}'",
            "'[]'",
            "'\"\"'",
            "'0'",
            "'1.10'",
            "'1e400'",
            "'true'",
            "'\"null\"'",
            "'{\"a\": {\"b\": [1, null, \"x\\ny\"]}, \"é\": \"\\\\\"}'",
            "'\"\\u00e9\\\"\\\\ \"'",
        ],
    ),
    ("json", true, &["'null'", "'{\"a\":1,\"a\":2}'", "'\"\\u00e9\"'", "'[1.10,1e2]'"]),
    ("integer[]", true, &["'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'"]),
    (
        "text[]",
        true,
        &[
            "'{}'",
            "'{\"\",NULL,\"NULL\"}'",
            "ARRAY['a,b', 'c\"d', E'e\\\\f', '{g}', ' h ', E'i\\nj']",
            "ARRAY[ARRAY['a','b'],ARRAY['c',NULL]]",
        ],
    ),
    ("numeric(8,3)[]", true, &["'{1.100,NaN,NULL}'"]),
    ("boolean[]", true, &["'{t,f,NULL}'"]),
    ("timestamp with time zone[]", true, &["'{2026-01-01 00:00+00,infinity,NULL}'"]),
    ("date[]", true, &["'{2026-01-01,0044-03-15 BC,infinity}'"]),
    ("bytea[]", true, &["ARRAY['\\x00ff'::bytea, '\\x', NULL]"]),
    ("jsonb[]", true, &["ARRAY['{\"a\": \"b,c\"}', '[]', NULL]::jsonb[]"]),
    ("uuid[]", true, &["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}'"]),
    ("double precision[]", true, &["'{0.1,NaN,-Infinity,NULL}'"]),
    ("mood", false, &["'sad'", "'o,k'", "'ha\"ppy'", "''"]),
    ("cents", false, &["0.10", "9999999999.99"]),
    ("label", false, &["''", "'a,b'"]),
    (
        "place",
        false,
        &["ROW('a,\"b\"', '(1,2)', NULL)", "ROW('', NULL, '')", "ROW(NULL, NULL, NULL)"],
    ),
    ("int4range", true, &["'[1,5)'", "'empty'", "'(,)'"]),
    ("numrange", true, &["'[1.10,2.20]'", "'(,5]'"]),
    ("tstzrange", true, &["'[2026-01-01 00:00+00,infinity)'"]),
    ("daterange", true, &["'[2026-01-01,2026-02-01)'"]),
    ("int4multirange", true, &["'{}'", "'{[1,3),[5,8)}'"]),
    ("hstore", true, &["''", "'a=>1, b=>NULL, \"c,d\"=>\"e\\\"f\"'"]),
    ("inet", true, &["'192.168.0.1/24'", "'::1'"]),
    ("cidr", true, &["'10.0.0.0/8'"]),
    ("macaddr", true, &["'08:00:2b:01:02:03'"]),
    ("money", true, &["'12345.67'", "'-0.01'"]),
    ("bit(3)", true, &["B'101'"]),
    ("bit varying(8)", true, &["B''", "B'10101'"]),
    ("xml", true, &["'<a b=\"c\">d &amp; e</a>'"]),
    ("tsvector", true, &["'a:1 fat:2,3 cat:4A'", "to_tsvector('simple', 'it''s')"]),
    ("tsquery", true, &["'fat & (rat | cat)'"]),
    ("ltree", true, &["'Top.Science.Astronomy'", "''"]),
    ("citext", true, &["'MiXed'"]),
    ("point", true, &["'(1.5,-2)'"]),
    ("box", true, &["'(2,2),(0,0)'"]),
    ("box[]", true, &["ARRAY['(2,2),(0,0)'::box, NULL]", "'{{(2,2),(0,0)};{(1,1),(0,0)}}'"]),
    ("path", true, &["'[(0,0),(1,1)]'"]),
    ("oid", true, &["4294967295"]),
    ("pg_lsn", true, &["'16/B374D848'"]),
];

/// Makes a table `t_N` of each type, with a key, a null and the values.
fn tables<'a>(types: impl Iterator<Item = (&'a str, Vec<String>)>) -> String {
    let mut sql = "BEGIN;\n".to_owned();
    for (at, (name, values)) in types.enumerate() {
        writeln!(sql, "CREATE TABLE t_{at} (id integer PRIMARY KEY, v {name});").unwrap();
        writeln!(sql, "INSERT INTO t_{at} VALUES (0, NULL);").unwrap();
        for (id, value) in values.iter().enumerate() {
            writeln!(sql, "INSERT INTO t_{at} SELECT {}, CAST({value} AS {name});", id + 1)
                .unwrap();
        }
    }
    sql + "COMMIT;"
}

/// Returns the rows of a table: key, whether null, and the value as Postgres prints it.
fn rows(database: &Database, table: usize) -> String {
    database.psql(&format!(
        "SET timezone TO 'UTC'; SET intervalstyle TO iso_8601; SET lc_monetary TO 'C';
         COPY (SELECT id, v::text IS NULL, v::text FROM public.t_{table} ORDER BY id) TO STDOUT CSV"
    ))
}

/// Returns the types that the server has: before version 15 a scale lies within its precision.
fn types(server: &Database) -> Vec<&'static (&'static str, bool, &'static [&'static str])> {
    let has_scales = server.is_at_least(15);
    TYPES.iter().filter(|(name, ..)| has_scales || !name.contains(",-")).collect()
}

fn type_of(database: &Database, table: usize) -> String {
    database.psql(&format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attrelid = 'public.t_{table}'::regclass AND attname = 'v'"
    ))
}

#[test]
fn every_type_comes_back_equal() {
    let (source, target, lake) = (database("types"), database("types_back"), folder());
    source.psql(&format!("{EXTENSIONS}{OWN_TYPES}"));
    target.psql(EXTENSIONS);
    let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    let types = types(&source);
    source.psql(&tables(types.iter().map(|(name, _, list)| (*name, values(list)))));
    extract(&source, lake.path(), DAY);
    load(lake.path(), DAY, &target, &json!({}));
    let mut faults = Vec::new();
    for (at, (name, same_type, _)) in types.iter().enumerate() {
        let (before, after) = (rows(&source, at), rows(&target, at));
        if before != after {
            faults.push(format!("{name}:\n{before}\nbecame\n{after}"));
        }
        let (before, after) = (type_of(&source, at), type_of(&target, at));
        if *same_type && before != after {
            faults.push(format!("{name}: the column became {after}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn the_second_load_of_every_type_touches_no_row() {
    let (source, target, lake) = (database("types"), database("types_twice"), folder());
    source.psql(&format!("{EXTENSIONS}{OWN_TYPES}"));
    target.psql(EXTENSIONS);
    let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    let types = types(&source);
    source.psql(&tables(types.iter().map(|(name, _, list)| (*name, values(list)))));
    extract(&source, lake.path(), DAY);
    load(lake.path(), DAY, &target, &json!({}));
    let touched = |at: usize| target.psql(&format!("SELECT xmin, ctid FROM public.t_{at}"));
    let before: Vec<_> = (0..types.len()).map(touched).collect();
    load(lake.path(), DAY, &target, &json!({}));
    for (at, (name, ..)) in types.iter().enumerate() {
        assert_eq!(touched(at), before[at], "{name}");
    }
}

/// Where the target has the types, too; else such arrays arrive as JSON.
#[test]
fn arrays_of_own_types_come_back_equal() {
    let (source, target) = (database("own_arrays_from"), database("own_arrays_to"));
    let scratch = folder();
    let own = format!("{OWN_TYPES}; CREATE DOMAIN list AS numeric(9,1)[]");
    source.psql(&own);
    target.psql(&own);
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, m mood[], c cents[], l list[]);
         INSERT INTO t VALUES (1, ARRAY['sad', 'o,k', 'ha\"ppy', '', NULL]::mood[], '{1.50,NULL}',
             '{\"{1,NULL}\",NULL,\"{{2.5},{3}}\"}'),
           (2, '{}', NULL, '{}')",
    );
    extract(&source, scratch.path(), DAY);
    load(scratch.path(), DAY, &target, &json!({}));
    let all = "SELECT pg_typeof(m), pg_typeof(c), pg_typeof(l), t FROM t ORDER BY id";
    assert_eq!(target.psql(all), source.psql(all));
}

#[test]
fn arrays_with_bounds_go_as_text_and_else_say_so() {
    let (source, target, lake) = (database("bounds"), database("bounds_back"), folder());
    source.psql("CREATE TABLE t_0 (id integer PRIMARY KEY, v integer[])");
    source.psql("INSERT INTO t_0 VALUES (1, '[2:3]={7,8}')");
    let tap = from_database(&source, &json!({})).go().exits(65);
    assert!(tap.stderr.contains("arrays_as"), "{}", tap.stderr);
    let tap = from_database(&source, &json!({ "arrays_as": "text" }));
    let into = support::pipes::to_lake(lake.path(), "postgres", DAY);
    pipe_succeeds(tap, into);
    load(lake.path(), DAY, &target, &json!({}));
    assert_eq!(rows(&source, 0), rows(&target, 0));
    assert_eq!(type_of(&target, 0), "integer[]");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted_or_null(text: Option<String>) -> String {
    text.map_or("NULL".to_owned(), |text| quoted(&text))
}

/// Random JSON texts.
fn json_texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        // "-05" is no JSON number.
        (any::<i64>(), "([.][0-9]{1,9})?([eE][+-]?[0-9]{1,2})?")
            .prop_map(|(a, b)| format!("{a}{b}")),
        "[\\PC\n\t\\\\\"]{0,8}".prop_map(|t| json!(t).to_string()),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(", "))),
            prop::collection::btree_map("[\\PC\"]{0,4}", inner, 0..4).prop_map(|map| {
                let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{}: {v}", json!(k))).collect();
                format!("{{{}}}", pairs.join(", "))
            }),
        ]
    })
}

/// Random values of a type, as SQL.
fn strategies(server: &Database) -> Vec<(&'static str, BoxedStrategy<String>)> {
    // Before version 15 an interval has fewer seconds.
    let seconds: i64 = if server.is_at_least(15) { 10_000_000 } else { 10_000_000_000 };
    // No NUL: Postgres has none.
    let text = || "([\\PC\n\r\t\\\\\"',]|\\\\N|\\\\\\.|NULL|[\u{1}-\u{1f}]){0,20}".prop_map(|t| t);
    let digits = || (any::<bool>(), "[0-9]{1,40}", "([.][0-9]{1,30})?");
    let number = move || {
        digits().prop_map(|(minus, a, b)| format!("{}{a}{b}", if minus { "-" } else { "" }))
    };
    let days = || -2_451_507..2_145_031_948_i64;
    let micros = || -200_000_000_000_000_000_i64..9_000_000_000_000_000_000_i64;
    let epoch = "timestamp '2000-01-01' + ";
    let stamp = move |m: i64| format!("{epoch}{m}::bigint * interval '1 microsecond'");
    vec![
        ("bigint", any::<i64>().prop_map(|n| format!("({n}::numeric)")).boxed()),
        ("numeric", number().boxed()),
        ("numeric(30,7)", "-?[0-9]{1,20}[.][0-9]{1,7}".prop_map(|t| quoted(&t)).boxed()),
        ("double precision", any::<f64>().prop_map(|n| format!("'{n}'")).boxed()),
        ("real", any::<f32>().prop_map(|n| format!("'{n}'")).boxed()),
        ("text", text().prop_map(|t| quoted(&t)).boxed()),
        ("date", days().prop_map(|d| format!("date '2000-01-01' + {d}")).boxed()),
        ("timestamp without time zone", micros().prop_map(stamp).boxed()),
        (
            "timestamp with time zone",
            micros().prop_map(move |m| format!("({}) AT TIME ZONE 'UTC'", stamp(m))).boxed(),
        ),
        (
            "interval",
            (any::<i32>(), any::<i32>(), any::<i64>())
                .prop_map(move |(m, d, u)| {
                    format!(
                        "'{m} months {d} days {}.{:06} seconds'",
                        u / seconds,
                        (u % 1_000_000).abs()
                    )
                })
                .boxed(),
        ),
        (
            "bytea",
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|b| b.iter().fold("'\\x".to_owned(), |s, b| format!("{s}{b:02x}")) + "'")
                .boxed(),
        ),
        ("jsonb", json_texts().prop_map(|t| quoted(&t)).boxed()),
        (
            "text[]",
            prop::collection::vec(prop::option::of(text()), 0..5)
                .prop_map(|list| {
                    let items: Vec<_> = list.into_iter().map(quoted_or_null).collect();
                    format!("ARRAY[{}]::text[]", items.join(","))
                })
                .boxed(),
        ),
        (
            "hstore",
            (text(), prop::option::of(text()))
                .prop_map(|(k, v)| format!("hstore({}, {})", quoted(&k), quoted_or_null(v)))
                .boxed(),
        ),
        (
            "numrange",
            (number(), number())
                .prop_map(|(a, b)| format!("numrange(least({a}, {b}), greatest({a}, {b}))"))
                .boxed(),
        ),
    ]
}

#[test]
fn random_values_of_every_type_come_back_equal() {
    let values = tries(60, 2000);
    let random = Random::new();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&random.seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let (source, target, lake) = (database("random"), database("random_back"), folder());
    source.psql("CREATE EXTENSION hstore");
    target.psql("CREATE EXTENSION hstore");
    let types = strategies(&source);
    let mut some = |strategy: &BoxedStrategy<String>| -> Vec<String> {
        (0..values).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
    };
    source.psql(&tables(types.iter().map(|(name, strategy)| (*name, some(strategy)))));
    extract(&source, lake.path(), DAY);
    load(lake.path(), DAY, &target, &json!({}));
    for (at, (name, _)) in types.iter().enumerate() {
        let (before, after) = (rows(&source, at), rows(&target, at));
        let different: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
        assert!(before == after, "{name}: {different:#?}");
    }
    figure("random values of Postgres types", values * types.len());
}

#[test]
fn a_column_of_a_domain_is_as_long_as_the_type_under_it() {
    let (source, target) = (database("lengths_here"), database("lengths_there"));
    source.psql(
        "CREATE DOMAIN code AS char(4); CREATE DOMAIN flags AS bit(3);
         CREATE DOMAIN many AS char(3)[];
         CREATE TABLE t (id code PRIMARY KEY, f flags, m many);
         INSERT INTO t VALUES ('a', B'101', '{x,abc}'), ('abcd', B'000', NULL)",
    );
    let run =
        || pipe_succeeds(from_database(&source, &json!({})), to_database(&target, &json!({})));
    run();
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = 't'::regclass AND attname IN ('id', 'f', 'm')";
    assert_eq!(target.psql(types), "character(4),bit(3),character(3)[]");
    let rows = "SELECT id, f, m FROM t ORDER BY id";
    assert_eq!(target.psql(rows), source.psql(rows));
    run();
}
