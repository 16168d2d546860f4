//! Which tables are read, and how, as the settings `tables` and `replication` say beside a catalog.
//!
//! The rule: a name that stands for no table ends the run, for what its author meant is not read,
//! or is read otherwise.

use pg::Client;
use singer::catalog::ReplicationMethod;
use singer::near::{ALIKE, nearest};
use singer::selection::{Rules, without_key};
use singer::{Error, ErrorKind, Result, Stream};

use crate::lacking::lacking;
use crate::settings::{Method, Replication, Settings};
use crate::table::address;

/// The message where a name stands for no table that the user may read.
const NOT_FOUND: &str = "cannot find a table that a setting names";

/// The names by which a table goes.
struct Names {
    /// `schema.table`, also where they have dots.
    full: String,
    table: String,
    stream: String,
}

/// Selects the streams of `tables` alone, and has those of `replication` read as it says.
pub fn adjust(settings: &Settings, streams: &mut [Stream]) -> Result<()> {
    let tables = settings.tables();
    let is_silent = settings.replication.is_empty() && settings.stream_options.is_empty();
    if tables.is_empty() && is_silent {
        return Ok(());
    }
    let names: Vec<Names> = streams.iter().map(Names::of).collect();
    check_options(settings, &names)?;
    if !tables.is_empty() {
        select(&tables, &names, streams)?;
    }
    replicate(settings, &names, streams)
}

/// Tells whether a setting names a table itself, and not by a pattern alone.
pub fn is_named(tables: &[String], schema: &str, table: &str) -> bool {
    tables.iter().any(|name| *name == format!("{schema}.{table}"))
}

/// Tells whether the setting names a table, or stands for it by a pattern; without it all are.
pub fn is_wanted(tables: &[String], schema: &str, table: &str) -> bool {
    let (full, stream) = (format!("{schema}.{table}"), format!("{schema}-{table}"));
    let is_it = |name: &String| *name == full || *name == stream || matches(name, &full);
    tables.is_empty() || tables.iter().any(is_it)
}

/// Says of a table that was not found, and that the user may not read, how to give the right.
///
/// # Errors
/// When the server cannot be asked.
pub fn explained(failure: Error, client: &mut Client) -> Result<Error> {
    let Some(name) = failure.context("value").filter(|_| failure.message() == NOT_FOUND) else {
        return Ok(failure);
    };
    let pattern = name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let Some(lacking) = lacking(client, name, &pattern.replace('*', "%"))? else {
        return Ok(failure);
    };
    Ok(Error::new(ErrorKind::Denied, "cannot read a table that a setting names")
        .with("setting", failure.context("setting").unwrap_or_default())
        .with("table", lacking.table)
        .with("user", lacking.user)
        .hint(lacking.hint))
}

/// Refuses options of a stream that is not there.
fn check_options(settings: &Settings, names: &[Names]) -> Result<()> {
    let is_known = |stream: &String| names.iter().any(|names| names.stream == *stream);
    let Some(unknown) = settings.stream_options.keys().find(|stream| !is_known(stream)) else {
        return Ok(());
    };
    let table = names.iter().find(|names| names.full == *unknown || names.table == *unknown);
    let near = table.map(|names| names.stream.as_str());
    let near =
        near.or_else(|| nearest(unknown, names.iter().map(|names| names.stream.as_str()), ALIKE));
    let failure = Error::new(ErrorKind::Config, "cannot find a stream that a setting names")
        .with("setting", "stream_options")
        .with("stream", unknown);
    Err(failure.hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the name of a stream is schema-table".to_owned(),
    }))
}

fn select(tables: &[String], names: &[Names], streams: &mut [Stream]) -> Result<()> {
    const SETTING: &str = "tables";
    let mut wanted = vec![false; streams.len()];
    for pattern in tables {
        let found = find(SETTING, pattern, names)?;
        if !found.iter().any(|at| is_selected(&streams[*at])) {
            return Err(Error::new(ErrorKind::Config, "cannot read a table that is not selected")
                .with("setting", SETTING)
                .with("value", pattern)
                .hint(
                    "with a catalog, a table in `tables` must also be selected there: select it",
                ));
        }
        for at in found {
            wanted[at] = true;
        }
    }
    for (stream, _) in streams.iter_mut().zip(wanted).filter(|(_, wanted)| !wanted) {
        deselect(stream);
    }
    Ok(())
}

fn replicate(settings: &Settings, names: &[Names], streams: &mut [Stream]) -> Result<()> {
    const SETTING: &str = "replication";
    let mut by_stream: Vec<Option<(&str, &Replication)>> = vec![None; streams.len()];
    // A table's own name is stronger than a pattern.
    let is_pattern = |name: &str| name.contains('*');
    let (patterns, own): (Vec<_>, Vec<_>) =
        settings.replication.iter().partition(|(name, _)| is_pattern(name));
    for (name, replication) in patterns.into_iter().chain(own) {
        for at in find(SETTING, name, names)? {
            let before = by_stream[at].replace((name.as_str(), replication));
            if let Some((other, _)) = before.filter(|_| is_pattern(name)) {
                return Err(Error::new(
                    ErrorKind::Config,
                    "two patterns of `replication` match one table",
                )
                .with("table", &names[at].full)
                .with("setting", format!("{SETTING}.{other}"))
                .with("and", format!("{SETTING}.{name}"))
                .hint("name the table itself in `replication`"));
            }
        }
    }
    for ((stream, names), found) in streams.iter_mut().zip(names).zip(by_stream) {
        let Some((name, replication)) = found.filter(|_| is_selected(stream)) else { continue };
        set_method(stream, replication).map_err(|failure| {
            failure.with("setting", format!("{SETTING}.{name}")).with("table", &names.full)
        })?;
    }
    Ok(())
}

fn set_method(stream: &mut Stream, replication: &Replication) -> Result<()> {
    let key = replication.key.clone().filter(|key| !key.is_empty());
    let method = replication.method.map(Method::of_singer);
    let method = method.unwrap_or(if key.is_some() {
        ReplicationMethod::Incremental
    } else {
        ReplicationMethod::FullTable
    });
    let key = key.or_else(|| {
        stream.replication_key.clone().filter(|_| method == ReplicationMethod::Incremental)
    });
    let refused = |why: &str| {
        let message = "cannot use this replication method for the table";
        Error::new(ErrorKind::Config, message).with("method", method.as_str()).hint(why)
    };
    match (method, &key) {
        (ReplicationMethod::Incremental, None) => {
            return Err(refused(
                "INCREMENTAL needs a `key`: a column that grows with every change",
            ));
        }
        (ReplicationMethod::FullTable, Some(_)) => {
            return Err(refused("FULL_TABLE has no `key`: remove one of the two"));
        }
        _ => {}
    }
    if let Some(key) = &key {
        if !stream.has_column(key) {
            return Err(without_key(stream, Some(key), "set `key` to one of the columns"));
        }
        stream.set_meta(None, "replication-key", key.clone());
    }
    stream.set_meta(None, "replication-method", method.as_str());
    stream.replication_method = method;
    stream.replication_key = key;
    Ok(())
}

impl Names {
    fn of(stream: &Stream) -> Self {
        let (full, table) = match address(stream) {
            Ok((schema, table)) => (format!("{schema}.{table}"), table),
            Err(_) => (stream.id.clone(), stream.id.clone()),
        };
        Self { full, table, stream: stream.id.clone() }
    }
}

/// Returns the tables that a name or a pattern stands for, one at least.
fn find(setting: &str, wanted: &str, names: &[Names]) -> Result<Vec<usize>> {
    let of = |is_it: &dyn Fn(&Names) -> bool| -> Vec<usize> {
        let found = names.iter().enumerate().filter(|(_, names)| is_it(names));
        found.map(|(at, _)| at).collect()
    };
    let mut found = of(&|names| names.full == wanted || names.stream == wanted);
    if found.is_empty() && wanted.contains('*') {
        found = of(&|names| matches(wanted, &names.full));
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let alone = names.iter().find(|names| names.table == wanted).map(|names| names.full.as_str());
    let near =
        alone.or_else(|| nearest(wanted, names.iter().map(|names| names.full.as_str()), ALIKE));
    let failure =
        Error::new(ErrorKind::Config, NOT_FOUND).with("setting", setting).with("value", wanted);
    Err(failure.hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write it as schema.table, with `*` for any text; the user must have the right to \
                 read the table, and `filter_schemas` and the catalog must contain it"
            .to_owned(),
    }))
}

/// Tells whether a text is what a pattern stands for: `*` is any text, everything else itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn is_selected(stream: &Stream) -> bool {
    Rules::new(&stream.metadata, std::iter::empty()).root()
}

fn deselect(stream: &mut Stream) {
    if stream.meta("inclusion").is_some_and(|inclusion| inclusion == "automatic") {
        stream.set_meta(None, "inclusion", "available");
    }
    if stream.meta("selected").is_some() {
        stream.set_meta(None, "selected", false);
    }
    stream.set_meta(None, "selected-by-default", false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn streams() -> Vec<Stream> {
        let of = |(schema, table): (&str, &str)| {
            let columns = json!({ "properties": { "id": {}, "updated_at": {} } });
            let columns = columns.as_object().unwrap().clone();
            let mut stream = Stream::new(format!("{schema}-{table}"), columns, Vec::new());
            stream.set_meta(None, "schema-name", schema);
            stream.set_meta(None, "selected-by-default", true);
            stream
        };
        [("public", "orders"), ("public", "a.b"), ("sales", "orders"), ("sales", "items")]
            .map(of)
            .into()
    }

    fn adjusted(json: &str) -> Result<Vec<Stream>> {
        let settings: Settings = serde_json::from_str(json).unwrap();
        let mut streams = streams();
        adjust(&settings, &mut streams).map(|()| streams)
    }

    #[test]
    fn tables_are_selected_by_name_and_pattern() {
        let check = |tables: &str, expected: &[&str]| {
            let streams = adjusted(&format!("{{\"tables\":{tables}}}")).unwrap();
            let selected = streams.iter().filter(|stream| is_selected(stream));
            let selected: Vec<&str> = selected.map(|stream| stream.id.as_str()).collect();
            assert_eq!(selected, expected, "{tables}");
        };
        let all = ["public-orders", "public-a.b", "sales-orders", "sales-items"];
        check("[]", &all);
        check("\"\"", &all);
        check("\"*\"", &all);
        check(r#"["public.orders"]"#, &all[..1]);
        check(r#""public.a.b, sales-items""#, &["public-a.b", "sales-items"]);
        check(r#"["sales.*", "public.a.b"]"#, &all[1..]);
        check(r#"["*.o*s"]"#, &["public-orders", "sales-orders"]);
    }

    #[test]
    fn unknown_tables_and_keys_are_refused() {
        let check = |json: &str, told: &str| {
            let failure = adjusted(json).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{json}");
            assert!(failure.to_string().contains(told), "{told}: {failure}");
        };
        check(r#"{"tables":["public.order"]}"#, "did you mean `public.orders`?");
        check(r#"{"tables":["items"]}"#, "did you mean `sales.items`?");
        check(r#"{"tables":["public.orders","x.*"]}"#, "write it as schema.table");
        check(r#"{"replication":{"public.ordrs":{"key":"id"}}}"#, "did you mean `public.orders`?");
        let key = r#"{"replication":{"public.orders":{"key":"update_at"}}}"#;
        check(key, "did you mean `updated_at`?");
        check(r#"{"stream_options":{"public.orders":{}}}"#, "did you mean `public-orders`?");
        check(r#"{"stream_options":{"public-order":{}}}"#, "did you mean `public-orders`?");
        check(r#"{"replication":{"public.orders":{"method":"INCREMENTAL"}}}"#, "needs a `key`");
        let both = r#"{"replication":{"public.orders":{"method":"FULL_TABLE","key":"id"}}}"#;
        check(both, "FULL_TABLE has no `key`");
        check(
            r#"{"replication":{"sales.*":{"key":"id"},"*.orders":{"key":"updated_at"}}}"#,
            "table: sales.orders",
        );
    }

    #[test]
    fn a_table_is_read_as_its_name_says_before_a_pattern() {
        let json = r#"{"replication":{"*":{"key":"id"},"sales.items":{"method":"FULL_TABLE"},
            "public.orders":{"method":"INCREMENTAL","key":"updated_at"}}}"#;
        let keys: Vec<_> =
            adjusted(json).unwrap().into_iter().map(|stream| stream.replication_key).collect();
        let expected = [Some("updated_at"), Some("id"), Some("id"), None];
        assert_eq!(keys, expected.map(|key| key.map(str::to_owned)));
    }

    #[test]
    fn a_pattern_stands_for_any_text_at_its_stars() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "a-c-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a**c", "ac", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
