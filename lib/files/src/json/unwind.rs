//! Records that lie in lists of a document, with fields of what they lie in (pure).

use std::collections::BTreeMap;

use serde_json::Value;
use singer::scan::{Fault, Scanner};
use singer::{Error, ErrorKind, Result};

use super::path::{RecordsPath, Step};

/// Takes the records out of documents, each with fields of its document.
///
/// The rule: a document is what the records path goes on in first, as an element of `$.orders[*]`
/// of `$.orders[*].lines[*]`. A field lies in what its path has in common with that of the records,
/// up to a `[*]`, or beside the documents.
#[derive(Clone, Debug)]
pub struct Unwinding {
    document: RecordsPath,
    /// From a document to its records.
    steps: Vec<Step>,
    fields: Vec<Field>,
}

/// A column, and where it comes from.
#[derive(Clone, Debug)]
struct Field {
    column: String,
    /// How many `[*]` stand before it: 0 lies beside the documents, 1 in a document.
    depth: usize,
    /// From there on.
    way: Vec<Step>,
}

/// Columns with their values.
pub type Fields = Vec<(String, Value)>;

/// Takes a record with the fields that it gets.
pub type TakeRecord<'a> = &'a mut dyn FnMut(&[u8], &Fields) -> Result<()>;

impl Unwinding {
    /// Takes the columns, with the path of each.
    ///
    /// Fails with `Config` for a path that is not one value of what the records lie in.
    pub fn new(records: &RecordsPath, fields: &BTreeMap<String, String>) -> Result<Self> {
        let ends_with_many = records.steps.last().is_some_and(is_many);
        let all = records.steps.iter().filter(|step| is_many(step)).count();
        let field = |(column, path): (&String, &String)| {
            let given = RecordsPath::parse(path)?;
            let pairs = given.steps.iter().zip(&records.steps);
            let common = pairs.take_while(|(one, other)| one == other).count();
            let many = given.steps[..common].iter().rposition(is_many).map_or(0, |at| at + 1);
            let depth = given.steps[..common].iter().filter(|step| is_many(step)).count();
            let way = given.steps[many..].to_vec();
            let goes_on = records.next_step_of(&given).filter(|step| !is_many(step));
            let is_object = records.steps.iter().find(|step| is_many(step)) == Some(&Step::Members);
            let enters =
                depth == 0 && goes_on.is_some_and(|it| is_object || matches!(it, Step::Index(_)));
            let is_many_of = way.is_empty() || way.iter().any(is_many);
            if is_many_of || enters || depth == all && ends_with_many {
                return Err(Error::new(ErrorKind::Config, "cannot use a field of a document")
                    .with("column", column)
                    .with("path", path)
                    .with("records_path", records)
                    .hint(
                        "its path must begin like `records_path`, end before the records and lead \
                         to one value, such as $.orders[*].id for $.orders[*].lines[*]",
                    ));
            }
            Ok(Field { column: column.clone(), depth, way })
        };
        let fields = fields.iter().map(field).collect::<Result<Vec<_>>>()?;
        let first = records.steps.iter().position(is_many);
        let is_within = fields.iter().any(|field| field.depth > 0);
        let cut = first.filter(|_| is_within).map_or(records.steps.len(), |at| at + 1);
        let (document, steps) = records.steps.split_at(cut);
        let text = format!("the documents of {records}");
        let document = RecordsPath { steps: document.to_vec(), text };
        Ok(Self { document, steps: steps.to_vec(), fields })
    }

    /// Returns the columns that records get.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().map(|field| &field.column)
    }

    /// Returns where the documents lie.
    pub fn document(&self) -> &RecordsPath {
        &self.document
    }

    /// Returns the fields that lie beside the documents, of what stands around them.
    pub fn beside(&self, envelope: &Value) -> Fields {
        let fields = self.fields.iter().filter(|field| field.depth == 0);
        let value = |field: &Field| {
            let found = field.way.iter().try_fold(envelope, |value, step| match step {
                Step::Name(name) => value.get(name),
                Step::Index(index) => value.get(usize::try_from(*index).ok()?),
                Step::Elements | Step::Members => None,
            });
            (field.column.clone(), found.cloned().unwrap_or_default())
        };
        fields.map(value).collect()
    }

    /// Gives each record of a document to `take`, with these fields and those of what it lies in,
    /// null for what is not there. Returns whether the document has the place of the records.
    ///
    /// Fails with `Data` for what is no JSON, and as `take` does.
    pub fn each(&self, document: &[u8], beside: Fields, take: TakeRecord<'_>) -> Result<bool> {
        let mut walk = Walk { fields: &self.fields, known: beside, take, found: false };
        walk.element(document, &self.steps, 1)?;
        Ok(walk.found)
    }
}

/// The way through a document.
struct Walk<'a> {
    fields: &'a [Field],
    known: Fields,
    take: TakeRecord<'a>,
    found: bool,
}

impl Walk<'_> {
    /// Goes on in an element, with the fields that it has.
    fn element(&mut self, text: &[u8], steps: &[Step], depth: usize) -> Result<()> {
        let before = self.known.len();
        for field in self.fields.iter().filter(|field| field.depth == depth) {
            let found = field.way.iter().try_fold(Some(text), |value, step| {
                value.map_or(Ok(None), |value| child(value, step))
            });
            let value = found.map_err(unreadable)?.map(serde_json::from_slice::<Value>);
            let value = value.and_then(std::result::Result::ok).unwrap_or_default();
            self.known.push((field.column.clone(), value));
        }
        let done = match steps.split_first() {
            None => self.record(text),
            Some(_) => self.go(text, steps, depth),
        };
        self.known.truncate(before);
        done
    }

    fn record(&mut self, text: &[u8]) -> Result<()> {
        self.found = true;
        (self.take)(text, &self.known)
    }

    fn go(&mut self, text: &[u8], steps: &[Step], depth: usize) -> Result<()> {
        let first = text.first().copied().unwrap_or_default();
        let Some((step, rest)) = steps.split_first() else {
            self.found = true;
            // As in a document without fields: null says that there are none.
            return match first {
                b'[' => each(text, &mut |element| self.record(element)),
                _ if text == b"null" => Ok(()),
                _ => self.record(text),
            };
        };
        match (step, first) {
            (Step::Elements | Step::Members, b'[') | (Step::Members, b'{') => {
                self.found = true;
                each(text, &mut |element| self.element(element, rest, depth + 1))
            }
            (Step::Elements, _) if text == b"null" => {
                self.found = true;
                Ok(())
            }
            (Step::Elements, _) => self.element(text, rest, depth + 1),
            (Step::Members, _) => Ok(()),
            _ => match child(text, step).map_err(unreadable)? {
                Some(value) => self.go(value, rest, depth),
                None => Ok(()),
            },
        }
    }
}

fn is_many(step: &Step) -> bool {
    matches!(step, Step::Elements | Step::Members)
}

/// Gives the elements of an array, or the values of an object.
fn each(text: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut scanner = Scanner::new(text);
    let is_object = text.first() == Some(&b'{');
    let (open, close) = if is_object { (b'{', b'}') } else { (b'[', b']') };
    let mut more = scanner.open(open, close).map_err(unreadable)?;
    while more {
        if is_object {
            scanner.key().map_err(unreadable)?;
        }
        let start = scanner.at();
        scanner.value().map_err(unreadable)?;
        take(text[start..scanner.at()].trim_ascii())?;
        more = scanner.more(close).map_err(unreadable)?;
    }
    Ok(())
}

/// Returns the value that one step leads to.
fn child<'a>(text: &'a [u8], step: &Step) -> Result<Option<&'a [u8]>, Fault> {
    let (open, close) = match (step, text.first()) {
        (Step::Name(_), Some(b'{')) => (b'{', b'}'),
        (Step::Index(_), Some(b'[')) => (b'[', b']'),
        _ => return Ok(None),
    };
    let mut scanner = Scanner::new(text);
    let (mut found, mut position, mut name) = (None, 0, Vec::new());
    let mut more = scanner.open(open, close)?;
    while more {
        let is_it = match step {
            Step::Name(wanted) => {
                name.clear();
                scanner.key()?.unescape_into(&mut name);
                name == wanted.as_bytes()
            }
            Step::Index(wanted) => position == *wanted,
            Step::Elements | Step::Members => false,
        };
        position += 1;
        let start = scanner.at();
        scanner.value()?;
        if is_it {
            found = Some(text[start..scanner.at()].trim_ascii());
        }
        more = scanner.more(close)?;
    }
    Ok(found)
}

fn unreadable(fault: Fault) -> Error {
    Error::new(ErrorKind::Data, "the text is not JSON").with("reason", fault.what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unwinding(records: &str, fields: &[(&str, &str)]) -> Result<Unwinding> {
        let fields = fields.iter().map(|(to, from)| ((*to).to_owned(), (*from).to_owned()));
        Unwinding::new(&RecordsPath::parse(records).unwrap(), &fields.collect())
    }

    fn rows(unwinding: &Unwinding, document: &str) -> (Vec<Value>, bool) {
        let mut rows = Vec::new();
        let found = unwinding.each(document.as_bytes(), Vec::new(), &mut |record, fields| {
            let record: Value = serde_json::from_slice(record).unwrap();
            let fields = fields.iter().map(|(_, value)| value.clone());
            rows.push(fields.chain([record]).collect());
            Ok(())
        });
        (rows, found.unwrap())
    }

    #[test]
    fn records_have_the_fields_of_what_they_lie_in() {
        let fields = [("c", "$.o[*].l[*].s.n"), ("i", "$.o[*].i"), ("m", "$.o[*].none")];
        let deep = unwinding("$.o[*].l[*].t[*]", &fields).unwrap();
        assert_eq!(deep.document().way(), [Some("o".to_owned()), None]);
        let document = r#"{ "l": [ {"t": [1, {"a": 2}], "s": {"n": 1.50}}, {"t": [], "s": 1},
            {"t": [ 3 ], "s": {"n": "x", "n": "y"}} ], "i" : "o1" }"#;
        let (found, is_there) = rows(&deep, document);
        let expected = r#"[["o1",null,1.50,1],["o1",null,1.50,{"a":2}],["o1",null,"y",3]]"#;
        assert_eq!(serde_json::to_string(&found).unwrap(), expected);
        assert!(is_there);
        assert_eq!(rows(&deep, r#"{"l":[]}"#), (Vec::new(), true));
        assert_eq!(rows(&deep, r#"{"i":1}"#), (Vec::new(), false));
        assert!(deep.each(b"{\"l\":[}", Vec::new(), &mut |_, _| Ok(())).is_err());
    }

    #[test]
    fn lists_and_single_values_are_taken_as_without_fields() {
        let check = |records: &str, document: &str, expected: Value| {
            let one = unwinding(records, &[("i", "$.o[*].i")]).unwrap();
            assert_eq!(Value::from(rows(&one, document).0), expected, "{records} {document}");
        };
        check("$.o[*].l", r#"{"i":1,"l":[2,3]}"#, json!([[1, 2], [1, 3]]));
        check("$.o[*].l", r#"{"i":1,"l":{"a":2}}"#, json!([[1, {"a": 2}]]));
        check("$.o[*].l", r#"{"i":1,"l":null}"#, json!([]));
        check("$.o[*].l[*]", r#"{"i":1,"l":{"a":2}}"#, json!([[1, {"a": 2}]]));
        check("$.o[*].l[*]", r#"{"i":1,"l":null}"#, json!([]));
        check(
            "$.o[*].l.*",
            r#"{"i":1,"l":{"a":{"b":2},"c":{"b":3}}}"#,
            json!([[1, {"b": 2}], [1, {"b": 3}]]),
        );
        check("$.o[*].l[1]", r#"{"i":1,"l":[4,{"x":5}]}"#, json!([[1, {"x": 5}]]));
    }

    #[test]
    fn fields_beside_the_documents_come_from_what_stands_around_them() {
        let one = unwinding("$.rows[*]", &[("at", "$.meta.at"), ("n", "$.list[1]")]).unwrap();
        assert_eq!(one.document().to_string(), "the documents of $.rows[*]");
        let around = json!({ "meta": { "at": "2026" }, "list": [1, 2], "rows": [{}] });
        assert_eq!(one.beside(&around), [("at".into(), "2026".into()), ("n".into(), json!(2))]);
        assert_eq!(one.beside(&json!({})), [("at".into(), json!(null)), ("n".into(), json!(null))]);
    }

    #[test]
    fn paths_that_are_no_field_are_refused() {
        for (records, path) in [
            ("$.o[*].l[*]", "$.o[*].l[*].x"),
            ("$.o[*].l[*]", "$.o[*]"),
            ("$.o[*].l[*]", "$.o[*].m[*].x"),
            ("$.o[*].l[*]", "id"),
            ("$[*]", "$[*].id"),
        ] {
            let failure = unwinding(records, &[("x", path)]).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{records} {path}");
        }
    }
}
