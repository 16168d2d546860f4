//! `quality`: rules for all rows of a stream together, counted row by row and judged at its end.

mod compare;

use std::borrow::Cow;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use regex::Regex;
use singer::{Cell, Error, ErrorKind, Kind, Result};

use super::options::pattern;
use super::words::{no_value_between, note_unknown, unknown_word};
use super::yaml::{Inner, Node};
use crate::normal::{is_always_normal, normal_into};

pub(crate) use compare::RuleChange;

/// So many values are remembered to find those that come twice: a column of them takes about 40
/// bytes a value.
pub(crate) const REMEMBERED_MAX: usize = 20_000_000;
/// So many rows of a breach are named.
const ROWS_SHOWN: usize = 5;

/// A rule of the contract.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    metric: Metric,
    bounds: Vec<Bound>,
    /// The bounds are percents of the rows.
    is_percent: bool,
    /// A breach is reported only.
    is_advice: bool,
    /// What it is called, for people.
    name: String,
    line: u64,
}

#[derive(Clone, Debug)]
enum Metric {
    Nulls,
    Missing(Vec<Option<Vec<u8>>>),
    Invalid {
        valid: Vec<Vec<u8>>,
        pattern: Option<Regex>,
    },
    /// Values, or the values of these columns, that came before.
    Duplicates(Vec<String>),
    Rows,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Is(f64),
    IsNot(f64),
    Above(f64),
    From(f64),
    Below(f64),
    UpTo(f64),
    Between(f64, f64),
    NotBetween(f64, f64),
}

const KNOWN: [&str; 27] = [
    "id",
    "name",
    "description",
    "type",
    "metric",
    "rule",
    "arguments",
    "unit",
    "dimension",
    "severity",
    "businessImpact",
    "method",
    "schedule",
    "scheduler",
    "tags",
    "customProperties",
    "authoritativeDefinitions",
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeGreaterThanOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeLessThanOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
];

/// Reads the rules of a stream or of a property. Those of other engines are noted as unused.
pub(super) fn read(node: &Node, of: &str, unused: &mut Vec<(String, u64)>) -> Result<Vec<Rule>> {
    let Some(list) = node.get("quality") else { return Ok(Vec::new()) };
    let mut rules = Vec::new();
    for item in list.list("quality")? {
        let kind = item.get("type").map(|kind| kind.text("type")).transpose()?;
        match kind.as_deref() {
            None | Some("library") => {}
            Some(other) => {
                unused.push((format!("rule of type `{other}` of {of}"), item.spot.line));
                continue;
            }
        }
        note_unknown(item.mapping("quality")?, &KNOWN, of, unused);
        rules.push(rule(item, of, unused)?);
    }
    Ok(rules)
}

fn rule(node: &Node, of: &str, unused: &mut Vec<(String, u64)>) -> Result<Rule> {
    let metric = node.get("metric").or_else(|| node.get("rule"));
    let metric = metric.ok_or_else(|| {
        node.spot.fault("a rule of a contract has no `metric`").hint(
            "add `metric`: nullValues, missingValues, invalidValues, duplicateValues or rowCount",
        )
    })?;
    let word = metric.text("metric")?;
    let unit = node.get("unit").map(|unit| unit.text("unit")).transpose()?;
    let is_percent = match unit.as_deref() {
        None | Some("rows") => false,
        Some("percent") => true,
        Some(unit_word) => {
            let spot = node.get("unit").map_or(node.spot, |unit| unit.spot);
            return Err(unknown_word(spot, "unit", unit_word, &["rows", "percent"]));
        }
    };
    let severity = node.get("severity").map(|node| node.text("severity")).transpose()?;
    let bounds = bounds(node)?;
    if bounds.is_empty() {
        return Err(node
            .spot
            .fault("a rule of a contract has no bound")
            .hint("add `mustBe: 0`, or another of the bounds `mustBe...`"));
    }
    Ok(Rule {
        metric: kind_of(metric, &word, node.get("arguments"), of, unused)?,
        bounds,
        is_percent,
        is_advice: matches!(severity.as_deref(), Some("warning" | "info")),
        name: format!("{word} of {of}"),
        line: node.spot.line,
    })
}

/// Reads what a rule counts, from its metric and its arguments.
fn kind_of(
    metric: &Node,
    word: &str,
    arguments: Option<&Node>,
    of: &str,
    unused: &mut Vec<(String, u64)>,
) -> Result<Metric> {
    let argument = |key: &str| arguments.and_then(|arguments| arguments.get(key));
    let needs = |names: &str| {
        metric
            .spot
            .fault("a rule of a contract does not say what it counts")
            .with("metric", word)
            .hint(format!("add {names} below `arguments`"))
    };
    let (metric, known): (_, &[&str]) = match word {
        "nullValues" => (Metric::Nulls, &[]),
        "missingValues" => {
            let words = values(argument("missingValues"))?;
            if words.is_empty() {
                return Err(needs("`missingValues`"));
            }
            (Metric::Missing(words), &["missingValues"])
        }
        "invalidValues" => {
            let valid: Vec<_> = values(argument("validValues"))?.into_iter().flatten().collect();
            let pattern = argument("pattern").map(pattern).transpose()?;
            if valid.is_empty() && pattern.is_none() {
                return Err(needs("`validValues` or `pattern`"));
            }
            (Metric::Invalid { valid, pattern }, &["validValues", "pattern"])
        }
        "duplicateValues" | "duplicateCount" => {
            let names = argument("properties").map(|node| node.texts("properties")).transpose()?;
            (Metric::Duplicates(names.unwrap_or_default()), &["properties"])
        }
        "rowCount" => (Metric::Rows, &[]),
        _ => {
            let words =
                ["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"];
            return Err(unknown_word(metric.spot, "metric", word, &words));
        }
    };
    if let Some(arguments) = arguments {
        note_unknown(arguments.mapping("arguments")?, known, &format!("{word} of {of}"), unused);
    }
    Ok(metric)
}

fn values(node: Option<&Node>) -> Result<Vec<Option<Vec<u8>>>> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let text = |node: &Node| match &node.inner {
        Inner::Scalar(value) if value.is_null() => Ok(None),
        Inner::Scalar(serde_json::Value::String(text)) => Ok(Some(text.clone().into_bytes())),
        _ => node.text("values").map(|text| Some(text.into_bytes())),
    };
    node.list("values")?.iter().map(text).collect()
}

fn bounds(node: &Node) -> Result<Vec<Bound>> {
    let number = |node: &Node| {
        let text = node.text("bound")?;
        text.parse::<f64>().map_err(|_| node.spot.fault("a bound of a rule is not a number"))
    };
    let pair = |node: &Node| match node.list("bound")? {
        [low, high] => {
            let (first, last) = (number(low)?, number(high)?);
            if first > last { Err(no_value_between(low.spot)) } else { Ok((first, last)) }
        }
        _ => Err(node.spot.fault("a range of a rule needs two numbers")),
    };
    let mut bounds = Vec::new();
    for member in node.mapping("quality")? {
        let value = &member.value;
        bounds.push(match member.key.as_str() {
            "mustBe" => Bound::Is(number(value)?),
            "mustNotBe" => Bound::IsNot(number(value)?),
            "mustBeGreaterThan" => Bound::Above(number(value)?),
            "mustBeGreaterOrEqualTo" | "mustBeGreaterThanOrEqualTo" => Bound::From(number(value)?),
            "mustBeLessThan" => Bound::Below(number(value)?),
            "mustBeLessOrEqualTo" | "mustBeLessThanOrEqualTo" => Bound::UpTo(number(value)?),
            "mustBeBetween" => pair(value).map(|(low, high)| Bound::Between(low, high))?,
            "mustNotBeBetween" => pair(value).map(|(low, high)| Bound::NotBetween(low, high))?,
            _ => continue,
        });
    }
    Ok(bounds)
}

impl Rule {
    /// Returns the columns that a rule of a stream names.
    pub(super) fn columns(&self) -> &[String] {
        match &self.metric {
            Metric::Duplicates(names) => names,
            _ => &[],
        }
    }

    /// Returns its line.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Tells whether a breach is only reported.
    pub(super) fn is_advice(&self) -> bool {
        self.is_advice
    }
}

impl Bound {
    #[expect(clippy::float_cmp, reason = "counts are exact, and so is a bound that is one")]
    fn holds(self, found: f64) -> bool {
        match self {
            Self::Is(bound) => found == bound,
            Self::IsNot(bound) => found != bound,
            Self::Above(bound) => found > bound,
            Self::From(bound) => found >= bound,
            Self::Below(bound) => found < bound,
            Self::UpTo(bound) => found <= bound,
            Self::Between(low, high) => (low..=high).contains(&found),
            Self::NotBetween(low, high) => !(low..=high).contains(&found),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Is(bound) => format!("{bound}"),
            Self::IsNot(bound) => format!("not {bound}"),
            Self::Above(bound) => format!("more than {bound}"),
            Self::From(bound) => format!("at least {bound}"),
            Self::Below(bound) => format!("less than {bound}"),
            Self::UpTo(bound) => format!("at most {bound}"),
            Self::Between(low, high) => format!("between {low} and {high}"),
            Self::NotBetween(low, high) => format!("not between {low} and {high}"),
        }
    }
}

/// Counts what a rule asks for.
pub(crate) struct Counter {
    rule: Rule,
    /// The column, or the columns of a rule of the stream, and their kinds.
    columns: Vec<(usize, Kind)>,
    count: u64,
    rows: Vec<String>,
    known: Known,
}

impl Metric {
    /// Makes the values that a contract lists comparable with those of a column.
    fn make_normal(&mut self, kind: Kind) {
        let make = |value: &mut Vec<u8>| *value = normal(kind, value).into_owned();
        match self {
            Self::Missing(words) => words.iter_mut().flatten().for_each(make),
            Self::Invalid { valid, .. } => valid.iter_mut().for_each(make),
            Self::Nulls | Self::Duplicates(_) | Self::Rows => {}
        }
    }
}

/// Returns the one text of a value, so that `1` and `1.0` are equal numbers.
fn normal(kind: Kind, text: &[u8]) -> Cow<'_, [u8]> {
    if is_always_normal(kind) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    normal_into(kind, text, &mut out);
    Cow::Owned(out)
}

impl Counter {
    /// Prepares for a column of the stream, or for a rule of the stream itself.
    pub(crate) fn new(
        rule: &Rule,
        column: Option<(usize, Kind)>,
        find: impl Fn(&str) -> Option<(usize, Kind)>,
    ) -> Result<Self> {
        let columns = match (&rule.metric, column) {
            (_, Some(column)) => vec![column],
            (Metric::Duplicates(names), None) => {
                let find = |name: &String| {
                    find(name).ok_or_else(|| {
                        Error::new(
                            ErrorKind::Config,
                            "a rule of a contract names an unknown column",
                        )
                        .with("column", name)
                        .with("line", rule.line)
                    })
                };
                names.iter().map(find).collect::<Result<_>>()?
            }
            (_, None) => Vec::new(),
        };
        if columns.is_empty() && !matches!(rule.metric, Metric::Rows) {
            return Err(Error::new(ErrorKind::Config, "a rule of a contract names no column")
                .with("rule", &rule.name)
                .with("line", rule.line)
                .hint("write it below a property, or name `arguments.properties`"));
        }
        let mut rule = rule.clone();
        if let Some((_, kind)) = columns.first() {
            rule.metric.make_normal(*kind);
        }
        Ok(Self { rule, columns, count: 0, rows: Vec::new(), known: Known::default() })
    }

    /// Takes what was counted before the columns of the stream changed.
    pub(crate) fn go_on_from(&mut self, before: &mut Self) {
        self.count = before.count;
        self.rows = std::mem::take(&mut before.rows);
        self.known = std::mem::take(&mut before.known);
    }

    /// Takes a row, given the cells of its columns; `place` names the row.
    pub(crate) fn take<'a>(
        &mut self,
        cell: impl Fn(usize) -> Cell<'a>,
        place: impl FnOnce() -> String,
    ) -> Result<()> {
        let Self { rule, columns, known, .. } = self;
        let mut texts = columns.iter().map(|(column, kind)| match cell(*column) {
            Cell::Text(text) => Some((*kind, text)),
            _ => None,
        });
        let counts = match &rule.metric {
            Metric::Rows => {
                self.count += 1;
                return Ok(());
            }
            Metric::Nulls => texts.next().flatten().is_none(),
            Metric::Missing(words) => {
                let text = texts.next().flatten().map(|(kind, text)| normal(kind, text));
                words.iter().any(|word| word.as_deref() == text.as_deref())
            }
            Metric::Invalid { valid, pattern } => texts.next().flatten().is_some_and(|found| {
                let text = normal(found.0, found.1);
                let is_listed = valid.is_empty() || valid.iter().any(|word| **word == *text);
                let fits = pattern.as_ref().is_none_or(|pattern| {
                    std::str::from_utf8(found.1).is_ok_and(|text| pattern.is_match(text))
                });
                !is_listed || !fits
            }),
            // As in a database, a null is like no other one.
            Metric::Duplicates(_) => match texts.collect::<Option<Vec<_>>>() {
                Some(cells) => !known.is_new(known.sum(cells), &rule.name)?,
                None => false,
            },
        };
        if counts {
            self.count += 1;
            if self.rows.len() < ROWS_SHOWN {
                self.rows.push(place());
            }
        }
        Ok(())
    }

    /// Judges what was counted of so many rows.
    pub(crate) fn judge(&self, rows: u64) -> Option<Error> {
        #[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^52")]
        let (count, all) = (self.count as f64, rows as f64);
        let (found, unit) = match (self.rule.is_percent, rows) {
            (false, _) => (count, ""),
            (true, 0) => (0.0, " percent"),
            (true, _) => (count * 100.0 / all, " percent"),
        };
        let bound = self.rule.bounds.iter().find(|bound| !bound.holds(found))?;
        let failure = Error::new(ErrorKind::Data, "a stream breaches a rule of its contract")
            .with("rule", &self.rule.name)
            .with("contract line", self.rule.line)
            .with("found", format!("{found}{unit}"))
            .with("must be", format!("{}{unit}", bound.words()))
            .with("rows", rows);
        let failure = if self.rows.is_empty() {
            failure
        } else {
            failure.with("first rows", self.rows.join("; "))
        };
        Some(failure.hint(
            "correct the source, or the rule in the contract; the target publishes \
                           nothing of the stream",
        ))
    }

    /// Tells whether a breach is only reported.
    pub(crate) fn is_advice(&self) -> bool {
        self.rule.is_advice
    }
}

#[expect(clippy::disallowed_types, reason = "as large as the stream; nobody reads its order")]
type Seen = std::collections::HashSet<u128>;

/// Values that have come, each by 128 bits that nobody can foresee.
#[derive(Default)]
pub(crate) struct Known {
    seen: Seen,
    one: RandomState,
    other: RandomState,
}

impl Known {
    /// Returns the sum of values, by which they are remembered.
    pub(crate) fn sum<'a>(&self, values: impl IntoIterator<Item = (Kind, &'a [u8])>) -> u128 {
        let (mut one, mut other) = (self.one.build_hasher(), self.other.build_hasher());
        for (kind, text) in values {
            let text = normal(kind, text);
            for hasher in [&mut one, &mut other] {
                hasher.write_usize(text.len());
                hasher.write(&text);
            }
        }
        u128::from(one.finish()) << 64 | u128::from(other.finish())
    }

    /// Tells whether values with this sum came before.
    pub(crate) fn has(&self, sum: u128) -> bool {
        self.seen.contains(&sum)
    }

    /// Remembers values, and tells whether they have not come before.
    pub(crate) fn is_new(&mut self, sum: u128, what: &str) -> Result<bool> {
        if self.seen.len() >= REMEMBERED_MAX && !self.seen.contains(&sum) {
            return Err(Error::new(ErrorKind::Config, "cannot remember more values of a stream")
                .with("values", REMEMBERED_MAX)
                .with("for", what)
                .hint(
                    "remove `unique`, or the rule for duplicates, and check it in the database",
                ));
        }
        Ok(self.seen.insert(sum))
    }
}
