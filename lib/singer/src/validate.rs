//! One cell against its column's JSON Schema: what the token shows is checked on it,
//! the rest goes through the `jsonschema` crate, compiled once.

mod bounds;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::bounds::Bounds;
use crate::batch::Batch;
use crate::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::refusal::{Reason, Refusal};
use crate::scan::{Nested, Quoted, Scanner, Token};
use crate::schema::{ABSENT_IS_NULL, Column, Kind, Types};
use crate::weight::{COPIED_MAX, Scale, definitions, is_bounded, size};

/// What the values of a column must be.
pub struct Checks {
    kind: Kind,
    types: Types,
    absent_is_null: bool,
    validate: bool,
    length_max: Option<usize>,
    bounds: Bounds,
    scale: Option<usize>,
    words: Option<Vec<Vec<u8>>>,
    /// What only the whole JSON Schema can tell.
    rest: Option<Arc<Rest>>,
}

/// A compiled JSON Schema.
struct Rest {
    validator: jsonschema::Validator,
    /// The schema, where it refers to itself: the work on a value is bounded by the value.
    recursive: Option<Value>,
}

/// Compiles the columns of a stream, each schema once.
pub struct Compiler<'a> {
    root: &'a Map<String, Value>,
    scale: Scale<'a>,
    known: BTreeMap<String, Arc<Rest>>,
    /// The parts of the definitions that were copied into columns.
    copied: u64,
}

impl<'a> Compiler<'a> {
    /// Takes the schema of the stream, for its definitions.
    pub fn new(root: &'a Map<String, Value>) -> Self {
        Self { root, scale: Scale::new(root), known: BTreeMap::new(), copied: 0 }
    }

    fn compile(&mut self, column: &Column) -> Result<Arc<Rest>> {
        let text = column.schema.to_string();
        if let Some(known) = self.known.get(&text) {
            return Ok(Arc::clone(known));
        }
        let recursive = self.scale.add(&column.schema).map_err(|fault| unusable(column, fault))?;
        let needed = definitions(&column.schema, self.root);
        let parts = needed.iter().map(|(_, definitions)| size(definitions));
        self.copied = parts.fold(self.copied, u64::saturating_add);
        if self.copied > COPIED_MAX {
            let reason = format!("its references lead to more than {COPIED_MAX} parts");
            return Err(unusable(column, reason));
        }
        let rest = Arc::new(compile(column, needed, recursive)?);
        self.known.insert(text, Arc::clone(&rest));
        Ok(rest)
    }
}

impl Checks {
    /// Reads a column's schema; `compiler` has the definitions it may refer to. Without `validate`
    /// only what the row form itself needs is checked.
    pub fn new(column: &Column, compiler: &mut Compiler<'_>, validate: bool) -> Result<Self> {
        let mut checks = Self {
            kind: column.kind,
            types: column.types,
            absent_is_null: column.absent_is_null,
            validate,
            length_max: None,
            bounds: Bounds::default(),
            scale: None,
            words: None,
            rest: None,
        };
        if validate && checks.read(&column.schema) {
            checks.rest = Some(compiler.compile(column)?);
        }
        Ok(checks)
    }

    /// Takes what it can prove itself from the schema; tells whether anything is left.
    fn read(&mut self, schema: &Value) -> bool {
        let Some(schema) = schema.as_object() else { return false };
        let mut left = false;
        for (keyword, value) in schema {
            let count = || value.as_u64().and_then(|count| usize::try_from(count).ok());
            let proven = match keyword.as_str() {
                "type" | "format" | "title" | "description" | "default" | "examples" | "$id"
                | "$schema" | "contentEncoding" | "contentMediaType" | "deprecated"
                | "readOnly" | "writeOnly" | "$comment" | "selected" | "inclusion" => true,
                word if word.starts_with("x-") => true,
                "additionalProperties" => {
                    value == &Value::Bool(true) || value == &serde_json::json!({})
                }
                "properties" => value.as_object().is_some_and(Map::is_empty),
                "anyOf" | "oneOf" => only_types(value),
                "maxLength" => {
                    self.length_max = count();
                    self.length_max.is_some()
                }
                "minimum" if self.kind == Kind::Integer => self.bounds.set_low(value),
                "maximum" if self.kind == Kind::Integer => self.bounds.set_high(value),
                "multipleOf" => {
                    self.scale = power_of_ten(&value.to_string());
                    self.scale.is_some()
                }
                "enum" if self.kind == Kind::String => {
                    let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                    let mut words: Vec<_> = words.map(|word| word.as_bytes().to_vec()).collect();
                    words.sort_unstable();
                    self.words = Some(words);
                    true
                }
                _ => false,
            };
            left |= !proven;
        }
        left
    }

    /// Reads the value at the scanner and puts it into column `at` of the last row of the batch.
    /// Strings and numbers, which most values are, do not become tokens: those go through memory.
    #[inline]
    pub fn put_next(
        &self,
        scanner: &mut Scanner<'_>,
        at: usize,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let put = match scanner.peek() {
            Some(b'"') if self.rest.is_none() => {
                let quoted = scanner.string()?;
                self.put_string(quoted, at, batch)
            }
            Some(b'-' | b'0'..=b'9') if self.rest.is_none() => {
                let (digits, integer) = scanner.number()?;
                self.put_number(digits, integer, at, batch)
            }
            _ => {
                let token = scanner.value()?;
                self.put(token, at, batch)
            }
        };
        put.map_err(|reason| Refusal::Unfit(Some(at), reason))
    }

    #[inline]
    fn put_number(
        &self,
        digits: &[u8],
        integer: bool,
        at: usize,
        batch: &mut Batch,
    ) -> Result<(), Reason> {
        if !integer {
            return self.put_decimal(digits, at, batch);
        }
        self.expect_unless_off(Types::INTEGER)?;
        if self.validate {
            self.bounds.check(digits)?;
        }
        set(batch, at, digits);
        Ok(())
    }

    /// Puts the value of column `at` into the last row of the batch.
    #[inline]
    fn put(&self, token: Token<'_>, at: usize, batch: &mut Batch) -> Result<(), Reason> {
        match token {
            Token::Null => return self.put_null(at, batch),
            Token::String(quoted) => self.put_string(quoted, at, batch)?,
            Token::Integer(digits) => self.put_number(digits, true, at, batch)?,
            Token::Decimal(digits) => self.put_number(digits, false, at, batch)?,
            Token::Boolean(value) => {
                self.expect_unless_off(Types::BOOLEAN)?;
                set(batch, at, if value { b"true" } else { b"false" });
            }
            Token::Object(nested) => {
                self.expect_unless_off(Types::OBJECT)?;
                set_nested(batch, at, nested);
            }
            Token::Array(nested) => {
                self.expect_unless_off(Types::ARRAY)?;
                set_nested(batch, at, nested);
            }
        }
        if let Some(rest) = &self.rest {
            Self::check_rest(rest, token)?;
        }
        Ok(())
    }

    fn put_null(&self, at: usize, batch: &mut Batch) -> Result<(), Reason> {
        if self.absent_is_null {
            set(batch, at, b"null");
            return Ok(());
        }
        if self.validate && !self.types.has(Types::NULL) {
            return Err("null is not allowed".to_owned());
        }
        batch.set_null(at);
        Ok(())
    }

    #[inline]
    fn put_string(&self, quoted: Quoted<'_>, at: usize, batch: &mut Batch) -> Result<(), Reason> {
        if self.kind == Kind::Json {
            self.expect_unless_off(Types::STRING)?;
            return batch.set_with(at, |out| {
                out.push(b'"');
                out.extend_from_slice(quoted.raw);
                out.push(b'"');
                Ok(())
            });
        }
        batch.set_with(at, |out| {
            let start = out.len();
            quoted.unescape_into(out);
            let text = &out[start..];
            if self.validate { self.check_text(text) } else { self.check_bare(text) }
        })
    }

    /// Numbers and booleans are copied as they are, into COPY text and into JSON: whatever is not
    /// validated, their form is.
    fn check_bare(&self, text: &[u8]) -> Result<(), Reason> {
        let bare = matches!(self.kind, Kind::Boolean | Kind::Integer | Kind::Number);
        if bare && !canonical::is_canonical(self.kind, text) {
            return Err(format!("the text is not {}", kind_words(self.kind)));
        }
        Ok(())
    }

    #[inline]
    fn check_text(&self, text: &[u8]) -> Result<(), Reason> {
        if self.kind == Kind::Number {
            // Floats have three values that JSON numbers lack; decimals may travel as text.
            let allowed = if self.types.has(Types::STRING) {
                canonical::is_number(text)
            } else {
                matches!(text, b"NaN" | b"Infinity" | b"-Infinity")
            };
            return if allowed {
                Ok(())
            } else {
                Err("it is a string, but must be a number".into())
            };
        }
        self.expect(Types::STRING)?;
        if !canonical::is_canonical(self.kind, text) {
            return Err(format!("the text is not {}", kind_words(self.kind)));
        }
        if let Some(length_max) = self.length_max
            && text.len() > length_max
        {
            let length = text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
            if length > length_max {
                return Err(format!(
                    "{length} characters are more than the maxLength {length_max}"
                ));
            }
        }
        if let Some(words) = &self.words
            && words.binary_search_by(|word| word.as_slice().cmp(text)).is_err()
        {
            return Err("the text is not in its enum".to_owned());
        }
        Ok(())
    }

    fn put_decimal(&self, digits: &[u8], at: usize, batch: &mut Batch) -> Result<(), Reason> {
        if self.kind == Kind::Integer {
            // 1.0 is an integer to JSON Schema.
            let (whole, fraction) = split_at_dot(digits);
            let zeros = !fraction.is_empty() && fraction.iter().all(|digit| *digit == b'0');
            if !zeros {
                return Err("it has a fraction or an exponent, but must be an integer".to_owned());
            }
            if self.validate {
                self.bounds.check(whole)?;
            }
            set(batch, at, if whole == b"-0" { b"0" } else { whole });
            return Ok(());
        }
        self.expect_unless_off(Types::NUMBER)?;
        if self.validate
            && let Some(scale) = self.scale
        {
            let (_, fraction) = split_at_dot(digits);
            let used = fraction.len() - fraction.iter().rev().take_while(|d| **d == b'0').count();
            if used > scale && !digits.iter().any(|byte| matches!(byte, b'e' | b'E')) {
                return Err(format!("{used} decimals are more than the {scale} of multipleOf"));
            }
        }
        set(batch, at, digits);
        Ok(())
    }

    #[inline]
    fn expect_unless_off(&self, found: Types) -> Result<(), Reason> {
        let fits = match self.kind {
            _ if self.validate => self.types.has(found),
            Kind::Boolean => found == Types::BOOLEAN,
            Kind::Integer => found == Types::INTEGER,
            Kind::Number => found == Types::INTEGER || found == Types::NUMBER,
            _ => true,
        };
        if fits { Ok(()) } else { Err(self.mismatch(found)) }
    }

    #[inline]
    fn expect(&self, found: Types) -> Result<(), Reason> {
        if self.types.has(found) { Ok(()) } else { Err(self.mismatch(found)) }
    }

    #[cold]
    fn mismatch(&self, found: Types) -> Reason {
        let types = self.types.without(Types::NULL);
        let types = if types == Types::default() { Types::NULL } else { types };
        format!("it is {}, but must be {}", found.words(), types.words())
    }

    #[cold]
    fn check_rest(rest: &Rest, token: Token<'_>) -> Result<(), Reason> {
        let value = match token {
            Token::Null => Value::Null,
            Token::Boolean(value) => Value::Bool(value),
            Token::Integer(text) | Token::Decimal(text) => parse(text)?,
            Token::String(quoted) => {
                let mut text = Vec::new();
                quoted.unescape_into(&mut text);
                Value::String(String::from_utf8_lossy(&text).into_owned())
            }
            Token::Object(nested) | Token::Array(nested) => parse(nested.text)?,
        };
        if rest.recursive.as_ref().is_some_and(|schema| !is_bounded(schema, &value)) {
            return Err("the value takes too long to check against its schema".to_owned());
        }
        rest.validator.validate(&value).map_err(|fault| {
            let place = fault.instance_path().to_string();
            let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
            format!("{}{place}", fault.masked())
        })
    }
}

fn parse(text: &[u8]) -> Result<Value, Reason> {
    serde_json::from_slice(text)
        .map_err(|fault| format!("the value is too deep or broken: {fault}"))
}

#[inline]
fn set(batch: &mut Batch, at: usize, text: &[u8]) {
    let _: Result<(), Reason> = batch.set_with(at, |out| {
        out.extend_from_slice(text);
        Ok(())
    });
}

fn set_nested(batch: &mut Batch, at: usize, nested: Nested<'_>) {
    let _: Result<(), Reason> = batch.set_with(at, |out| {
        nested.compact_into(out);
        Ok(())
    });
}

/// Splits `12.50` into `12` and `50`.
fn split_at_dot(digits: &[u8]) -> (&[u8], &[u8]) {
    match digits.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&digits[..dot], &digits[dot + 1..]),
        None => (digits, b""),
    }
}

/// Returns the decimals of `1`, `0.1`, `0.01`, `1e-05`, ...; `None` for other numbers.
fn power_of_ten(text: &str) -> Option<usize> {
    if let Some(exponent) = text.strip_prefix("1e-").or_else(|| text.strip_prefix("1E-")) {
        return exponent.parse().ok();
    }
    if text == "1" || text == "1.0" {
        return Some(0);
    }
    let fraction = text.strip_prefix("0.")?;
    let zeros = fraction.strip_suffix('1')?;
    zeros.bytes().all(|digit| digit == b'0').then_some(fraction.len())
}

/// Branches that say no more than a type and a format are proven by the union of their types.
fn only_types(branches: &Value) -> bool {
    branches.as_array().into_iter().flatten().all(|branch| {
        branch.as_object().is_some_and(|branch| {
            branch.keys().all(|key| {
                matches!(key.as_str(), "type" | "format" | "title" | "description")
                    || key.starts_with("x-")
            })
        })
    })
}

fn compile(column: &Column, needed: Vec<(String, Value)>, recursive: bool) -> Result<Rest> {
    let mut schema = column.schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        for (key, definitions) in needed {
            schema.entry(key).or_insert(definitions);
        }
        schema.remove(ABSENT_IS_NULL);
    }
    modernise(&mut schema);
    let built = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .should_validate_formats(false)
        .build(&schema);
    let validator = built.map_err(|fault| unusable(column, fault.to_string()))?;
    Ok(Rest { validator, recursive: recursive.then_some(schema) })
}

fn unusable(column: &Column, reason: String) -> Error {
    Error::new(ErrorKind::Protocol, "cannot use the JSON Schema of a column")
        .with("column", &column.name)
        .with("reason", reason)
        .hint("correct the tap's schema, or set `validate_records: false`")
}

/// Draft 4 spelled exclusive bounds as booleans, and taps still write them, also in definitions.
fn modernise(schema: &mut Value) {
    match schema {
        Value::Array(branches) => branches.iter_mut().for_each(modernise),
        Value::Object(keywords) => {
            for (exclusive, bound) in
                [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")]
            {
                let Some(Value::Bool(is_exclusive)) = keywords.get(exclusive).cloned() else {
                    continue;
                };
                keywords.remove(exclusive);
                if is_exclusive && let Some(limit) = keywords.remove(bound) {
                    keywords.insert(exclusive.to_owned(), limit);
                }
            }
            let data = ["enum", "const", "default", "examples"];
            let inner = keywords.iter_mut().filter(|(key, _)| !data.contains(&key.as_str()));
            inner.for_each(|(_, inner)| modernise(inner));
        }
        _ => {}
    }
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Date => "a valid date YYYY-MM-DD",
        Kind::Time => "a time HH:MM:SS",
        Kind::DateTime => "a date-time in the form of RFC 3339",
        Kind::Boolean => "a boolean",
        Kind::Integer => "an integer",
        Kind::Number => "a number",
        Kind::String | Kind::Json => "a value of its kind",
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
