//! What a mapping of the plain shape gives: the values of its keys, each with its place.

use files::json::RecordsPath;
use files::{ShortText, TextEncoding};
use places::{Inner, Member, Node, Spot};
use serde_json::{Map, Value};
use singer::near::{ALIKE, nearest};
use singer::{Error, Fingerprint, Result, server_name};

use super::keys::{Form, Key, Rule, TO_CONTRACTS, is_of_contracts};
use super::span::duration;
use super::types;
use crate::plugin::holds_secret;

/// The values of a mapping by the names of their keys, in the order of those.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<One>);

#[derive(Clone, Debug)]
pub(super) struct One {
    pub name: &'static str,
    pub value: Value,
    pub spot: Spot,
    /// It is a secret as it stands.
    pub is_secret: bool,
}

impl Given {
    /// Reads the keys of members; `what` names their mapping, which stands at `spot`.
    pub(super) fn read(members: &[&Member], keys: &[Key], what: &str, spot: Spot) -> Result<Self> {
        let mut found: Vec<Option<One>> = keys.iter().map(|_| None).collect();
        for member in members {
            let is = |key: &Key| key.name == member.key || key.alias == Some(&member.key);
            let Some(at) = keys.iter().position(is) else {
                return Err(unknown(member, keys, what));
            };
            if found[at].is_some() {
                let fault = member.spot.fault("a key is given twice, under two names");
                let names = format!("{}, {}", keys[at].name, keys[at].alias.unwrap_or_default());
                return Err(fault.with("keys", names).hint("remove one of them"));
            }
            if keys[at].form == Form::Part {
                continue;
            }
            let value = value(&member.value, &member.key, keys[at].form)?;
            let is_secret = keys[at].form == Form::Secret || holds_secret(&value);
            found[at] =
                Some(One { name: keys[at].name, value, spot: member.value.spot, is_secret });
        }
        let lacks = |(key, found): &(&Key, &Option<One>)| key.needed && found.is_none();
        if let Some((key, _)) = keys.iter().zip(&found).find(lacks) {
            let fault = spot.fault(&format!("{what} has no `{}`", key.name));
            return Err(fault.hint(format!("add the key `{}`", key.name)));
        }
        Ok(Self(found.into_iter().flatten().collect()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&One> {
        self.0.iter().find(|one| one.name == name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.value.as_str()
    }

    pub(super) fn truth(&self, name: &str) -> Option<bool> {
        self.get(name)?.value.as_bool()
    }

    pub(super) fn all(&self) -> &[One] {
        &self.0
    }
}

impl One {
    /// Tells whether the value is a secret that stands in the file.
    pub(super) fn is_literal_secret(&self) -> bool {
        self.is_secret && self.value.as_str().is_some_and(|text| !has_variable(text))
    }
}

/// Tells whether a text has `${NAME}`.
pub(super) fn has_variable(text: &str) -> bool {
    text.split("${").skip(1).any(|rest| rest.contains('}'))
}

fn unknown(member: &Member, keys: &[Key], what: &str) -> Error {
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let near = nearest(&member.key, names.iter().copied(), ALIKE);
    let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
    let key = if member.key.trim().is_empty() {
        format!("\"{}\"", member.key)
    } else {
        member.key.clone()
    };
    let fault = member.spot.fault(&format!("unknown key of {what}")).with("key", &key);
    if is_of_contracts(&key) {
        return fault.hint(TO_CONTRACTS);
    }
    fault.hint(format!("{near}the keys are {}", names.join(", ")))
}

/// Returns the name that a key is, which must have letters.
pub(super) fn named(member: &Member, what: &str) -> Result<String> {
    if member.key.trim().is_empty() {
        let fault = member.spot.fault(&format!("{what} has no name"));
        return Err(fault.hint("write a name before the colon"));
    }
    Ok(member.key.clone())
}

/// Makes the failure of a value. It is not shown: it may be a secret.
pub(super) fn misfit(spot: Spot, key: &str, why: &str) -> Error {
    spot.fault("cannot use the value of a key").with("key", key).with("reason", why)
}

fn value(node: &Node, key: &str, form: Form) -> Result<Value> {
    let misfit = |why: &str| misfit(node.spot, key, why);
    if form == Form::Types {
        return types_of(node);
    }
    let Inner::Scalar(scalar) = &node.inner else {
        let hint = "write the value behind the key, on the same line; lines below it that are \
                    indented belong to it";
        return Err(misfit("it is a list or a mapping").hint(hint));
    };
    match (form, scalar) {
        // The word `null` is no text to YAML.
        (Form::Words(words), Value::Null) if words.contains(&"null") => Ok("null".into()),
        (_, Value::Null) => Err(misfit("it is empty").hint("write a value, or remove the key")),
        (_, Value::String(text)) if text.is_empty() => {
            Err(misfit("it is empty").hint("write a value, or remove the key"))
        }
        (Form::Text | Form::Secret, Value::String(_)) | (Form::Boolean, Value::Bool(_)) => {
            Ok(scalar.clone())
        }
        (Form::Url, Value::String(text)) => match text.split_once("://") {
            _ if text.starts_with("${") => Ok(scalar.clone()),
            Some(("http" | "https", rest)) if !rest.is_empty() && !rest.starts_with('/') => {
                Ok(scalar.clone())
            }
            _ => Err(misfit("it is not the address of an API")
                .hint("write an address that begins with https:// or http://")),
        },
        (Form::Of(rule), Value::String(text)) => {
            let judged = if has_variable(text) { Ok(()) } else { judge(rule, text) };
            judged.map(|()| scalar.clone()).map_err(|failure| {
                let Spot { line, column } = node.spot;
                failure.with("key", key).with("line", line).with("column", column)
            })
        }
        (Form::Text | Form::Secret | Form::Url | Form::Of(_), _) => {
            Err(misfit("it is not a text").hint("put it in quotes, so that it stays as written"))
        }
        (Form::Port, Value::Number(number))
            if number.as_u64().is_some_and(|port| !(1..=65535).contains(&port)) =>
        {
            Err(misfit("it is not the number of a port").hint("ports go from 1 to 65535"))
        }
        (Form::Count | Form::Port, Value::Number(number)) if number.as_u64().is_some() => {
            Ok(scalar.clone())
        }
        (Form::Count | Form::Port, Value::String(text)) if has_variable(text) => Ok(scalar.clone()),
        (Form::Count | Form::Port, _) => {
            let hint = "write a number without quotes, such as 22, or a variable: \"${NAME}\"";
            Err(misfit("it is not a whole number").hint(hint))
        }
        (Form::Boolean, _) => Err(misfit("it is not a boolean").hint("write true or false")),
        (Form::Words(words) | Form::Setting(words), Value::String(word))
            if words.contains(&word.as_str()) =>
        {
            Ok(scalar.clone())
        }
        (Form::Setting(_), Value::String(text)) if has_variable(text) => Ok(scalar.clone()),
        (Form::Words(words) | Form::Setting(words), _) => {
            let near = scalar.as_str().and_then(|word| nearest(word, words.iter().copied(), ALIKE));
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            Err(misfit("the word is not known").hint(format!("{near}write {}", words.join(" or "))))
        }
        (Form::Seconds, scalar) => match duration(scalar) {
            Some(_) => Ok(scalar.clone()),
            None => Err(misfit("it is not a time span").hint("write 60s, 5m or 1h")),
        },
        (Form::Part | Form::Types, _) => Ok(Value::Null),
    }
}

/// Judges a text as the connector does that it is for: what it would refuse is refused here, with
/// the place.
fn judge(rule: Rule, text: &str) -> Result<()> {
    match rule {
        Rule::Delimiter => ShortText::read("delimiter", text).map(drop),
        Rule::Encoding => TextEncoding::named(text).map(drop),
        Rule::Fingerprint => Fingerprint::read(text).map(drop),
        Rule::RecordsPath => RecordsPath::parse(text).map(drop),
        Rule::ServerName => server_name::check(text),
    }
}

/// Reads columns, each with its type, in the words of the taps.
fn types_of(node: &Node) -> Result<Value> {
    let Inner::Mapping(members) = &node.inner else {
        let hint = "write lines `COLUMN: TYPE` below it";
        return Err(misfit(node.spot, "types", "it is not a mapping").hint(hint));
    };
    let mut found = Map::new();
    for member in members {
        let word = member.value.text("types")?;
        let Some(read) = types::read(&word) else {
            let fault = member.value.spot.fault("unknown type of a column");
            let fault = fault.with("name", &member.key).with("type", word);
            return Err(fault.hint(format!("write one of {}", types::SHOWN)));
        };
        found.insert(named(member, "a column")?, read.of_files());
    }
    Ok(found.into())
}
