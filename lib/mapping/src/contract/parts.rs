//! The parts of objects and arrays: those without a contract, and what the others must be.

use std::collections::BTreeMap;

use serde_json::Value;
use singer::canonical::is_canonical;
use singer::convert::Unfit;
use singer::scan::{Fault, Scanner, Token};
use singer::{Column, Context as _, Kind, Result};

use super::checks::{self, Check};
use super::convert::kind_of;
use super::logical::Logical;
use super::model::Property;
use crate::normal::Decimal;

/// Returns the paths of members that a schema declares, and that a property with members does not
/// list.
pub(super) fn unlisted(property: &Property, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(property, schema, &property.name, &mut found);
    found
}

fn walk(property: &Property, schema: &Value, path: &str, found: &mut Vec<String>) {
    if property.protection.is_some() {
        return;
    }
    if let Some(items) = &property.items {
        walk(items, &schema["items"], &format!("{path}[]"), found);
    }
    if property.properties.is_empty() {
        return;
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match property.properties.iter().find(|part| part.name == *name) {
            Some(part) => walk(part, schema, &path, found),
            None => found.push(path),
        }
    }
}

/// Returns the kinds of columns, and of the members that their schemas declare, by path.
pub(super) fn paths(columns: &[Column]) -> BTreeMap<String, Kind> {
    let mut found = BTreeMap::new();
    for column in columns {
        collect(column, &column.name, &mut found);
    }
    found
}

fn collect(column: &Column, path: &str, found: &mut BTreeMap<String, Kind>) {
    found.insert(path.to_owned(), column.kind);
    for (name, schema) in column.schema["properties"].as_object().into_iter().flatten() {
        collect(&Column::new(name, schema.clone()), &format!("{path}.{name}"), found);
    }
    if column.schema["items"].is_object() {
        let items = Column::new("", column.schema["items"].clone());
        collect(&items, &format!("{path}[]"), found);
    }
}

/// What a value inside another one must be.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    name: String,
    /// Its type; a date in a form of its own is not judged.
    logical: Option<Logical>,
    required: bool,
    checks: Vec<Check>,
    members: BTreeMap<Vec<u8>, Part>,
    items: Option<Box<Part>>,
}

/// Why a part does not fit, and which one it is.
pub(crate) struct Misfit {
    pub reason: Unfit,
    /// The names that lead to it, the last one first.
    path: Vec<String>,
}

impl Misfit {
    /// Returns the path as people write it.
    pub(crate) fn path(&self) -> String {
        let names: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        names.join(".")
    }
}

impl From<Unfit> for Misfit {
    fn from(reason: Unfit) -> Self {
        Self { reason, path: Vec::new() }
    }
}

impl From<Fault> for Misfit {
    fn from(_: Fault) -> Self {
        Unfit("it is not JSON").into()
    }
}

impl Part {
    /// Compiles what the parts of a column must be; `None`: its contract says nothing of them.
    pub(crate) fn of_column(property: &Property) -> Result<Option<Self>> {
        let mut part = Self::new(property)?;
        // The value as a whole is judged as a column.
        (part.logical, part.required, part.checks) = (None, false, Vec::new());
        Ok(part.says().then_some(part))
    }

    fn new(property: &Property) -> Result<Self> {
        let kind = property.logical.map_or(Kind::Json, kind_of);
        let checks = checks::compile(kind, property.logical, &property.options)
            .with("part", &property.name)?;
        let mut members = BTreeMap::new();
        for member in &property.properties {
            members.insert(member.name.clone().into_bytes(), Self::new(member)?);
        }
        let has_form = matches!(kind, Kind::Date | Kind::DateTime | Kind::Time)
            && property.options.format.is_some();
        Ok(Self {
            name: property.name.clone(),
            logical: property.logical.filter(|_| !has_form),
            required: property.required,
            checks,
            members,
            items: property.items.as_deref().map(Self::new).transpose()?.map(Box::new),
        })
    }

    fn says(&self) -> bool {
        self.logical.is_some()
            || self.required
            || self.members.values().any(Self::says)
            || self.items.as_deref().is_some_and(Self::says)
    }

    /// Judges a JSON text.
    pub(crate) fn judge(&self, text: &[u8]) -> std::result::Result<(), Misfit> {
        self.value(&mut Scanner::new(text))
    }

    fn value(&self, scanner: &mut Scanner<'_>) -> std::result::Result<(), Misfit> {
        scanner.space();
        let mut inside = scanner.clone();
        let token = scanner.value()?;
        if matches!(token, Token::Null) {
            let refused = Unfit("it is required, and there is no value");
            return if self.required { Err(refused.into()) } else { Ok(()) };
        }
        self.own(&token)?;
        match token {
            Token::Object(_) if !self.members.is_empty() => self.object(&mut inside),
            Token::Array(_) => {
                let Some(items) = &self.items else { return Ok(()) };
                let mut more = inside.open(b'[', b']')?;
                while more {
                    items.value(&mut inside)?;
                    more = inside.more(b']')?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Judges a value without its parts.
    fn own(&self, token: &Token<'_>) -> std::result::Result<(), Unfit> {
        let Some(logical) = self.logical else { return Ok(()) };
        let kind = kind_of(logical);
        let mut unescaped = Vec::new();
        let text: &[u8] = match (logical, token) {
            (Logical::String, Token::String(quoted)) => {
                quoted.unescape_into(&mut unescaped);
                &unescaped
            }
            (Logical::Date | Logical::Timestamp | Logical::Time, Token::String(quoted)) => {
                quoted.unescape_into(&mut unescaped);
                if !is_canonical(kind, &unescaped) {
                    return Err(Unfit("it is not a date or time as in 2026-11-20T06:00:00Z"));
                }
                &unescaped
            }
            (Logical::Integer | Logical::Number, Token::Integer(digits))
            | (Logical::Number, Token::Decimal(digits)) => digits,
            (Logical::Integer, Token::Decimal(digits)) => {
                let number = Decimal::read(digits).filter(|number| !number.has_fraction());
                number.ok_or(Unfit("it has a fraction"))?.write(&mut unescaped);
                &unescaped
            }
            (Logical::Boolean, Token::Boolean(_)) => return Ok(()),
            (Logical::Object, Token::Object(nested)) | (Logical::Array, Token::Array(nested)) => {
                nested.text
            }
            _ => return Err(Unfit("it does not have the type of the contract")),
        };
        self.checks.iter().try_for_each(|check| check.judge(kind, text))
    }

    fn object(&self, scanner: &mut Scanner<'_>) -> std::result::Result<(), Misfit> {
        let mut more = scanner.open(b'{', b'}')?;
        let mut seen: Vec<&str> = Vec::new();
        let mut name = Vec::new();
        while more {
            name.clear();
            scanner.key()?.unescape_into(&mut name);
            match self.members.get(&name) {
                Some(part) => {
                    part.value(scanner).map_err(|misfit| part.named(misfit))?;
                    seen.push(&part.name);
                }
                None => {
                    scanner.value()?;
                }
            }
            more = scanner.more(b'}')?;
        }
        let lacking = |part: &&Self| part.required && !seen.contains(&part.name.as_str());
        match self.members.values().find(lacking) {
            Some(part) => Err(part.named(Unfit("it is required, and there is no value").into())),
            None => Ok(()),
        }
    }

    fn named(&self, mut misfit: Misfit) -> Misfit {
        misfit.path.push(self.name.clone());
        misfit
    }
}
