//! Limits that tap-postgres is given, meets at the server, or finds in values.

use std::io::{BufRead, BufReader, Read};

use serde_json::json;

use crate::support::cluster::database;
use crate::support::pipes::from_database;

#[test]
fn a_slow_reader_is_no_reason_for_the_server_to_end_the_session() {
    let source = database("idle_session");
    source.psql(
        "CREATE ROLE hasty LOGIN;
         ALTER ROLE hasty SET idle_in_transaction_session_timeout = '300ms';
         DO $$ BEGIN FOR n IN 100..299 LOOP
             EXECUTE format('CREATE TABLE t%s AS SELECT repeat(''x'', 20000) AS v', n);
         END LOOP; END $$; GRANT SELECT ON ALL TABLES IN SCHEMA public TO hasty",
    );
    let tap = from_database(&source, &json!({ "user": "hasty" }));
    let mut tap = tap.start(false);
    let mut rest = BufReader::new(tap.child().stdout.take().unwrap());
    let mut first = String::new();
    rest.read_line(&mut first).unwrap();
    source.wait_for(
        "SELECT state = 'idle in transaction' AND state_change < clock_timestamp() - interval '1 s'
           FROM pg_stat_activity WHERE usename = 'hasty'",
    );
    let mut text = String::new();
    rest.read_to_string(&mut text).unwrap();
    tap.wait().success();
    assert_eq!(text.matches("\"RECORD\"").count(), 200);
}
