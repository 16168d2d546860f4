//! Patterns that match nothing: a name that was written wrong must not change in silence what goes.
//!
//! The rule: a pattern that wants something and finds nothing is reported; one that keeps something
//! out and finds nothing ends the run, for what it names goes then.

use project::names::nearest;
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

use super::pattern::{Pattern, id, is_selected, matcher, names, split};
use super::unreadable::is_marked;

/// The streams of a catalog, each with the ways to its properties; none where they are not known,
/// because the stream cannot be read.
pub(super) struct Streams(Vec<(String, Option<Vec<String>>)>);

impl Streams {
    /// Lists the names of streams whose metadata is complete.
    pub(super) fn of(streams: &[Value]) -> Self {
        let each = streams.iter().map(|stream| {
            let entries = stream["metadata"].as_array().into_iter().flatten();
            let ways = entries.map(|entry| names(&entry["breadcrumb"]).join("."));
            let ways = ways.filter(|way| !way.is_empty()).collect();
            (id(stream), Some(ways).filter(|_| !is_marked(stream)))
        });
        Self(each.collect())
    }

    /// Tells of patterns of `select`.
    pub(super) fn check_select(&self, select: &[String], warnings: &mut Vec<String>) -> Result<()> {
        for text in select {
            let pattern = Pattern::read(text)?;
            if !self.has(&pattern) {
                self.lacking("select", text, pattern.excludes, warnings)?;
            }
        }
        Ok(())
    }

    /// Refuses a `select` that selects no stream of those that the tap has: a run that reads
    /// nothing would look like one of a source without rows.
    pub(super) fn check_some(&self, patterns: &[Pattern], select: &[String]) -> Result<()> {
        let is_selected = |(id, _): &(String, _)| is_selected(id, patterns);
        if self.0.is_empty() || self.0.iter().any(is_selected) {
            return Ok(());
        }
        let wanting = || select.iter().filter(|text| !text.starts_with('!'));
        let lacking = |text: &&String| Pattern::read(text).is_ok_and(|pattern| !self.has(&pattern));
        let hint = if select.is_empty() {
            "an empty `select` selects nothing: remove it to read everything, or take the tap out \
             of the job"
                .to_owned()
        } else if wanting().next().is_none() {
            "it only leaves streams out: add \"*.*\"".to_owned()
        } else {
            let unmatched: Vec<&String> = wanting().filter(lacking).collect();
            let near = unmatched.iter().find(|text| self.near(text).is_some());
            near.or(unmatched.first()).map_or_else(
                || {
                    "it leaves out all that it selects: remove a pattern that begins with `!`"
                        .into()
                },
                |text| self.hint(text),
            )
        };
        Err(Error::new(ErrorKind::Config, "cannot read anything: `select` matches no stream")
            .with("select", if select.is_empty() { "[]".to_owned() } else { select.join(", ") })
            .hint(hint))
    }

    /// Tells of patterns of `select_filter`, which name streams alone.
    pub(super) fn check_filter(&self, filter: &[String], warnings: &mut Vec<String>) -> Result<()> {
        for text in filter {
            let pattern = Pattern { property: None, ..Pattern::read(text)? };
            if !self.has(&pattern) {
                self.lacking("select_filter", text, pattern.excludes, warnings)?;
            }
        }
        Ok(())
    }

    /// Tells of patterns of `metadata`.
    pub(super) fn check_metadata(
        &self,
        rules: &Map<String, Value>,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        for (place, values) in rules {
            let mut nested = Vec::new();
            let mut own = split(place).1.is_some();
            for (key, value) in values.as_object().into_iter().flatten() {
                let is_inner = value.is_object() && split(place).1.is_none();
                own |= !is_inner;
                if is_inner {
                    nested.push((format!("{place}.{key}"), value));
                }
            }
            nested.extend((own || nested.is_empty()).then(|| (place.clone(), values)));
            for (place, values) in nested {
                let pattern = Pattern::read(&place)?;
                if !self.has(&pattern) {
                    self.lacking("metadata", &place, keeps_out(values), warnings)?;
                }
            }
        }
        Ok(())
    }

    /// Tells of patterns of `schema`: a plain name that no property has is a new property, unless
    /// it is almost the name of one.
    pub(super) fn check_schema(
        &self,
        rules: &Map<String, Value>,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        for (place, values) in rules {
            let (stream, property) = split(place);
            let inner = values.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            let properties: Vec<&str> = property.map_or_else(|| inner.collect(), |one| vec![one]);
            let of_stream = Pattern { stream: matcher(stream)?, property: None, excludes: false };
            if !self.has(&of_stream) {
                self.lacking("schema", stream, false, warnings)?;
                continue;
            }
            for property in properties {
                let text = format!("{stream}.{property}");
                let pattern = Pattern::read(&text)?;
                let is_new = !property.contains(['*', '?', '[', '.']) && self.near(&text).is_none();
                if !is_new && !self.has(&pattern) {
                    self.lacking("schema", &text, false, warnings)?;
                }
            }
        }
        Ok(())
    }

    fn has(&self, pattern: &Pattern) -> bool {
        // Of nothing, nothing goes.
        let mut streams = self.0.iter().filter(|(id, _)| pattern.stream.is_match(id));
        self.0.is_empty()
            || streams.any(|(_, ways)| match &pattern.property {
                None => true,
                Some(property) => {
                    let mut known = ways.iter().flatten();
                    let is_all = property.glob().glob() == "*" || ways.is_none();
                    is_all || known.any(|way| property.is_match(way))
                }
            })
    }

    /// Returns what there is to say of a pattern that matches nothing.
    pub(super) fn lacks(&self, pattern: &Pattern, text: &str) -> Option<String> {
        (!self.has(pattern)).then(|| self.hint(text))
    }

    fn hint(&self, text: &str) -> String {
        let near = self.near(text.trim_start_matches('!'));
        let mark = if text.starts_with('!') { "!" } else { "" };
        near.map_or_else(
            || {
                let names: Vec<&str> = self.0.iter().take(5).map(|(id, _)| id.as_str()).collect();
                let more = if self.0.len() > 5 { ", ..." } else { "" };
                format!("the tap has: {}{more}", names.join(", "))
            },
            |near| format!("did you mean `{mark}{near}`?"),
        )
    }

    fn lacking(&self, rule: &str, text: &str, out: bool, warnings: &mut Vec<String>) -> Result<()> {
        let hint = self.hint(text);
        if out {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot leave out a stream or column that does not exist",
            )
            .with("rule", rule)
            .with("pattern", text)
            .hint(hint));
        }
        warnings.push(format!("`{text}` of `{rule}` matches nothing: {hint}"));
        Ok(())
    }

    /// Returns the pattern that was probably meant.
    fn near(&self, text: &str) -> Option<String> {
        let (stream, property) = split(text);
        let ids: Vec<String> = self.0.iter().map(|(id, _)| id.clone()).collect();
        let matching = matcher(stream).ok()?;
        let here = self.0.iter().filter(|(id, _)| matching.is_match(id));
        let ways: Vec<String> = here.flat_map(|(_, ways)| ways.iter().flatten()).cloned().collect();
        match property {
            Some(property) if ids.iter().any(|id| matching.is_match(id)) => {
                Some(format!("{stream}.{}", nearest(property, &ways)?))
            }
            Some(property) => Some(format!("{}.{property}", nearest(stream, &ids)?)),
            None => nearest(stream, &ids).map(str::to_owned),
        }
    }
}

/// Tells whether metadata has a stream or property left out.
fn keeps_out(values: &Value) -> bool {
    let is_false = |value: &Value| *value == false || *value == "false";
    is_false(&values["selected"])
        || is_false(&values["selected-by-default"])
        || values["inclusion"] == "unsupported"
}
