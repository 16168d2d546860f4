//! The plain shape read, refused, and made into a project.

use singer::ErrorKind;

use super::{Made, Plain, Purpose, types};

const WHOLE: &str = "sources:
- type: local
  path: ./data
- type: api
  url: https://api.example.com/records
  auth_token: ${API_TOKEN}
  folder_param: reports
- type: sftp
  sftp:
    host: files.example.com
    port: 2222
    user: foo
    password: secret-literal
  path: /upload/sample.csv
output_csv_path: ./output/combined.csv
target:
  type: postgres
  host: localhost
  port: 5432
  dbname: warehouse
  user: loader
  password: ${DB_PASSWORD}
  table: sales
schema:
  columns: {id: int64, Name: object, amount: float64, paid: bool, day: \"datetime64[ns]\"}
strict_mode: true
start_time: \"2026-01-31 06:00\"
end_time: \"2026-01-31 18:00\"
monitor: {interval: 60s}
";

#[test]
fn the_whole_shape_becomes_a_project() {
    let plain = Plain::read(WHOLE).unwrap();
    assert_eq!(plain.name, "sales");
    assert_eq!(plain.warnings.len(), 1);
    let warning = plain.warnings[0].text.clone();
    assert!(warning.contains("password of sftp (line 13)"), "{warning}");
    let made = plain.made(Purpose {
        contract: "contracts/sales.odcs.yaml",
        lake: "lake/sales",
        base: None,
    });
    let text = Made::yaml(&made.file) + &plain.canonical() + &warning;
    assert!(!text.contains("secret-literal"), "{text}");
    let expected = ("SALES_SFTP_PASSWORD".to_owned(), "secret-literal".to_owned());
    assert_eq!(made.secrets, [expected]);
    assert_eq!(made.extracts, 3);
    // The text says what the value says.
    assert_eq!(crate::yaml::parse(&Made::yaml(&made.file)).unwrap(), made.file);
    let tasks = made.file["jobs"][0]["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 5);
    assert_eq!(tasks[3], "tap-lake--sales rows--sales target-postgres--sales");
    let contract = made.contract.unwrap();
    let columns = contract["schema"][0]["properties"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["id", "name", "amount", "paid", "day", "source"]);
    // The canonical form is read as what it was written from.
    let again = Plain::read(&plain.canonical()).unwrap();
    assert_eq!(again.canonical(), plain.canonical());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let with = |from: &str, to: &str| WHOLE.replacen(from, to, 1);
    for (text, line, column, says) in [
        (with("float64", "float65"), 25, 46, "unknown type of a column"),
        (with("strict_mode", "strict_mod"), 26, 1, "unknown key of the file"),
        (with("- type: local", "- type: locale"), 2, 9, "unknown type of a source"),
        (with("  path: ./data\n", ""), 2, 3, "has no `path`"),
        (with("  path: ./data", "   path: ./data"), 0, 0, ""),
        (with("  port: 5432", "  port: many"), 19, 9, "cannot use the value of a key"),
        (with("  port: 5432", "  port: 5432\n  port: 1"), 20, 0, "cannot read the YAML"),
        (with("  host: localhost", "  host: localhost\n  database: x"), 21, 3, "given twice"),
        (with("18:00", "05:00"), 28, 11, "cannot end before the start"),
        (with("18:00", "25:00"), 28, 11, "cannot use the value of a key"),
        (with("60s", "often"), 29, 21, "cannot use the value of a key"),
        (with("strict_mode: true", "strict_mode: maybe"), 26, 14, "cannot use the value of a key"),
        (with("  table: sales\n", ""), 17, 3, "`target` has no `table`"),
        ("sources: []\n".to_owned(), 1, 10, "the file has no sources"),
        ("target: {}\n".to_owned(), 1, 1, "the file has no sources"),
        ("sources:\n- {type: local, path: x}\n".to_owned(), 1, 1, "the file has no `target`"),
        ("just a text\n".to_owned(), 1, 1, "the file is not a mapping"),
        (String::new(), 0, 0, "the file is empty"),
        (with("./output/combined.csv", "data/all.csv"), 15, 18, "into a folder that is read"),
        (with("path: ./data", "path: '*.csv'").replace("./output/", ""), 15, 18, "that is read"),
    ] {
        let failure = Plain::read(&text).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Config, "{failure}");
        assert!(failure.to_string().contains(says), "{failure} is not: {says}");
        let number = |name: &str| failure.context(name).map(|text| text.parse::<u64>().unwrap());
        if line > 0 {
            assert_eq!(number("line"), Some(line), "{says}: {failure}");
        }
        if column > 0 {
            assert_eq!(number("column"), Some(column), "{says}: {failure}");
        }
        assert!(!failure.to_string().contains("secret-literal"), "{failure}");
    }
}

#[test]
fn types_are_those_of_pandas_sql_and_json_schema() {
    for (words, logical) in [
        ("int64 Int64 int32 integer bigint int8 uint8", "integer"),
        ("float64 float32 number numeric(10,2) decimal real", "number"),
        ("object string str category varchar(20) text uuid", "string"),
        ("bool boolean", "boolean"),
        ("datetime64[ns] timestamptz date-time datetime", "timestamp"),
        ("date", "date"),
        ("array", "array"),
    ] {
        for word in words.split(' ') {
            let read = types::read(word);
            assert_eq!(read.and_then(|read| read.logical), Some(logical), "{word}");
        }
    }
    assert_eq!(types::read("datetime64[ns, UTC]").unwrap().logical, Some("timestamp"));
    assert_eq!(types::read("jsonb").unwrap().logical, None);
    for word in ["int65", "varchar(x)", "text(3)", "", "datetime64[ns"] {
        assert!(types::read(word).is_none() || word.starts_with("datetime"), "{word}");
    }
}
