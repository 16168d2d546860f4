//! Computes the value of an expression for a row.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use singer::{Cell, Kind, Row};

use super::arithmetic::{compute, negated};
use super::ast::{Binary, Compare};
use super::code::{Arguments, Code, Loop, Step};
use super::faker::{Basis, Random};
use super::fault::Fault;
use super::given::Given;
use super::json::{self, Fractions};
use super::number::Number;
use super::place::Place;
use super::size::TURNS_MAX;
use super::value::{Dict, Value, Valued, set};
use super::{attributes, functions, percent, show, size, slice, weight};

/// What an expression is computed for.
pub(crate) struct Scene<'a> {
    row: Option<Row<'a>>,
    locals: Vec<Value<'a>>,
    turns: usize,
    /// The bytes that were made so far.
    made: usize,
    /// What values that are not real are drawn from, once one is asked for.
    random: Option<Random>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(row: Option<Row<'a>>) -> Self {
        Self { row, locals: Vec::new(), turns: 0, made: 0, random: None }
    }

    /// Returns the value at a place; nothing where the row does not have it.
    fn read(&self, place: &Place) -> Result<Option<Value<'a>>, Fault> {
        let Some(row) = self.row else { return Ok(None) };
        let text = match row.cell(place.column) {
            Cell::Absent => return Ok(None),
            Cell::Null => return Ok(if place.path.is_empty() { Some(Value::None) } else { None }),
            Cell::Text(text) => text,
        };
        if place.path.is_empty() {
            return of_cell(text, place.kind).map(Some);
        }
        let found = place.path.iter().try_fold(text, |text, name| json::member(text, name));
        found.map(|text| json::read(text, Fractions::Digits)).transpose()
    }

    pub(crate) fn value(&mut self, code: &'a Code) -> Valued<'a> {
        let value = self.step(code).and_then(|value| self.count(&code.step, value));
        value.map_err(|fault| fault.within(&code.at))
    }

    /// Counts what a step has made.
    fn count(&mut self, step: &Step, value: Value<'a>) -> Valued<'a> {
        let makes = matches!(
            step,
            Step::List(_)
                | Step::Binary(..)
                | Step::Slice(..)
                | Step::Function(..)
                | Step::Method(..)
                | Step::Comprehension(_)
                | Step::Fake(..)
        );
        if makes {
            self.made += weight::of(&value);
            size::text(self.made)?;
        }
        Ok(value)
    }

    fn step(&mut self, code: &'a Code) -> Valued<'a> {
        Ok(match &code.step {
            Step::Constant(value) => value.borrowed(),
            Step::Column(place) => self.read(place)?.unwrap_or(Value::None),
            Step::Get(place, default) => match self.read(place)? {
                Some(value) => value,
                None => self.value(default)?,
            },
            Step::Has(place) => Value::Bool(self.read(place)?.is_some()),
            Step::Record(names) => self.record(names)?,
            Step::Local(at) => self.locals.get(*at).cloned().unwrap_or(Value::None),
            Step::List(items) => Value::list(self.values(items)?),
            Step::Tuple(items) => Value::Tuple(Rc::new(self.values(items)?)),
            Step::Dict(pairs) => self.dict(pairs)?,
            Step::Not(operand) => Value::Bool(!self.value(operand)?.is_true()),
            Step::Negative(operand) => signed(&self.value(operand)?, true)?,
            Step::Positive(operand) => signed(&self.value(operand)?, false)?,
            Step::Binary(operator, one, two) => {
                let one = self.value(one)?;
                let two = self.value(two)?;
                binary(*operator, &one, &two)?
            }
            Step::Compare(first, others) => self.compare(first, others)?,
            Step::And(operands) => self.first(operands, false)?,
            Step::Or(operands) => self.first(operands, true)?,
            Step::If { condition, then, other } => {
                let holds = self.value(condition)?.is_true();
                self.value(if holds { then } else { other })?
            }
            Step::Attribute(of, name) => attributes::get(&self.value(of)?, name)?,
            Step::Index(of, index) => {
                let of = self.value(of)?;
                slice::item(&of, &self.value(index)?)?
            }
            Step::Slice(of, bounds) => {
                let of = self.value(of)?;
                let mut bound = |at: usize| match &bounds[at] {
                    None => Ok(None),
                    Some(code) => match self.value(code)? {
                        Value::None => Ok(None),
                        value => value.index().map(Some),
                    },
                };
                let bounds = [bound(0)?, bound(1)?, bound(2)?];
                slice::slice(&of, bounds)?
            }
            Step::Function(function, arguments) => {
                let given = self.given(function.name(), arguments)?;
                functions::call(*function, given)?
            }
            Step::Method(of, method, arguments) => {
                let of = self.value(of)?;
                let given = self.given(method.name(), arguments)?;
                attributes::call(&of, *method, given)?
            }
            Step::Comprehension(all) => self.comprehension(all)?,
            Step::Fake(provider, arguments, basis) => {
                let given = self.given(provider.name(), arguments)?;
                let fresh = self.random.is_none().then(|| self.drawn(basis));
                let random = match fresh {
                    Some(random) => self.random.insert(random),
                    None => self.random.get_or_insert_with(|| basis.of_value(b"")),
                };
                basis.make(*provider, given, random)?
            }
            Step::Seed(of, basis) => {
                let value = self.value(of)?;
                self.random = Some(basis.of_value(show::str(&value)?.as_bytes()));
                Value::None
            }
        })
    }

    /// Returns what values that are not real are drawn from: the value before the map, or the row.
    fn drawn(&self, basis: &Basis) -> Random {
        let text = |place: &Place| match self.row?.cell(place.column) {
            Cell::Text(text) => {
                place.path.iter().try_fold(text, |text, name| json::member(text, name))
            }
            Cell::Absent | Cell::Null => None,
        };
        match basis.own.as_ref().and_then(text) {
            Some(own) => basis.of_value(own),
            None => basis.of_row(basis.row.iter().map(text)),
        }
    }

    fn values(&mut self, codes: &'a [Code]) -> Result<Vec<Value<'a>>, Fault> {
        codes.iter().map(|code| self.value(code)).collect()
    }

    fn given(&mut self, name: &'static str, of: &'a Arguments) -> Result<Given<'a>, Fault> {
        let placed = self.values(&of.placed)?;
        let named = of.named.iter().map(|(name, code)| Ok((name.clone(), self.value(code)?)));
        Ok(Given::new(name, placed, named.collect::<Result<_, Fault>>()?))
    }

    fn record(&self, names: &[(String, Place)]) -> Valued<'a> {
        let mut pairs = Dict::new();
        for (name, place) in names {
            if let Some(value) = self.read(place)? {
                pairs.push((Value::text(name.clone()), value));
            }
        }
        Ok(Value::dict(pairs))
    }

    fn dict(&mut self, pairs: &'a [(Code, Code)]) -> Valued<'a> {
        let mut dict = Dict::new();
        for (key, value) in pairs {
            let key = self.value(key)?;
            let value = self.value(value)?;
            set(&mut dict, key, value);
        }
        Ok(Value::dict(dict))
    }

    /// Returns the first operand that counts as `truth`, else the last one.
    fn first(&mut self, operands: &'a [Code], truth: bool) -> Valued<'a> {
        let mut last = Value::None;
        for operand in operands {
            last = self.value(operand)?;
            if last.is_true() == truth {
                break;
            }
        }
        Ok(last)
    }

    fn compare(&mut self, first: &'a Code, others: &'a [(Compare, Code)]) -> Valued<'a> {
        let mut left = self.value(first)?;
        for (sign, code) in others {
            let right = self.value(code)?;
            if !holds(*sign, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn comprehension(&mut self, all: &'a Loop) -> Valued<'a> {
        let over = self.value(&all.over)?.members()?;
        let mut made = Vec::new();
        let outer = self.locals.len();
        for item in over {
            self.turns += 1;
            if self.turns > TURNS_MAX {
                return Err(Fault::of(format!("loops turn {TURNS_MAX} times at most for one row")));
            }
            self.locals.truncate(outer);
            self.locals.resize(all.first, Value::None);
            if all.names == 1 {
                self.locals.push(item);
            } else {
                let members = item.members()?;
                if members.len() != all.names {
                    return Err(Fault::of(format!("`for` expects {} values", all.names)));
                }
                self.locals.extend(members);
            }
            let taken = match &all.condition {
                Some(condition) => self.value(condition)?.is_true(),
                None => true,
            };
            if taken && all.is_outer {
                made.extend(self.value(&all.item)?.members()?);
            } else if taken {
                made.push(self.value(&all.item)?);
            }
        }
        self.locals.truncate(outer);
        Ok(Value::list(made))
    }
}

/// Returns the value of a cell.
pub(crate) fn of_cell(text: &[u8], kind: Kind) -> Valued<'_> {
    let utf8 = |text| std::str::from_utf8(text).map_err(|_| Fault::of("the value is not UTF-8"));
    Ok(match kind {
        Kind::Boolean => Value::Bool(text == b"true"),
        Kind::Integer => json::whole(utf8(text)?),
        Kind::Number => {
            let text = utf8(text)?;
            match text {
                "NaN" => Value::Float(f64::NAN),
                "Infinity" => Value::Float(f64::INFINITY),
                "-Infinity" => Value::Float(f64::NEG_INFINITY),
                _ if text.contains(['.', 'e', 'E']) => Value::Digits(text.into()),
                _ => json::whole(text),
            }
        }
        Kind::String | Kind::Date | Kind::Time | Kind::DateTime => {
            Value::Text(Cow::Borrowed(utf8(text)?))
        }
        Kind::Json => json::read(text, Fractions::Digits)?,
    })
}

fn signed<'a>(value: &Value<'a>, negative: bool) -> Valued<'a> {
    match (value, value.number()) {
        (Value::Delta(micros), _) if negative => Ok(Value::Delta(-micros)),
        (_, Some(number)) if negative => Ok(negated(number)),
        (Value::Bool(truth), _) => Ok(Value::Int(i64::from(*truth))),
        (_, Some(_)) => Ok(value.clone()),
        _ => Err(Fault::of(format!("a sign cannot stand before {}", value.kind()))),
    }
}

fn holds(sign: Compare, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Fault> {
    let order = || left.order(right, sign.sign());
    Ok(match sign {
        Compare::Equal => left.equals(right),
        Compare::NotEqual => !left.equals(right),
        Compare::Less => order()? == Some(Ordering::Less),
        Compare::Greater => order()? == Some(Ordering::Greater),
        Compare::LessOrEqual => matches!(order()?, Some(Ordering::Less | Ordering::Equal)),
        Compare::GreaterOrEqual => matches!(order()?, Some(Ordering::Greater | Ordering::Equal)),
        Compare::Is => is(left, right),
        Compare::IsNot => !is(left, right),
        Compare::In => right.contains(left)?,
        Compare::NotIn => !right.contains(left)?,
    })
}

/// The compiler has made sure that one of them is None, True or False.
fn is(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::None, Value::None) => true,
        (Value::Bool(one), Value::Bool(two)) => one == two,
        _ => false,
    }
}

fn binary<'a>(operator: Binary, one: &Value<'a>, two: &Value<'a>) -> Valued<'a> {
    if let (Some(left), Some(right)) = (one.number(), two.number()) {
        return compute(operator, &left, &right);
    }
    match (operator, one, two) {
        (Binary::Add, Value::Text(left), Value::Text(right)) => {
            size::text(left.len() + right.len())?;
            let mut joined = String::with_capacity(left.len() + right.len());
            joined.push_str(left);
            joined.push_str(right);
            Ok(Value::text(joined))
        }
        (Binary::Add, Value::List(left), Value::List(right)) => {
            Ok(Value::list(left.iter().chain(right.iter()).cloned().collect()))
        }
        (Binary::Add, Value::Tuple(left), Value::Tuple(right)) => {
            Ok(Value::Tuple(Rc::new(left.iter().chain(right.iter()).cloned().collect())))
        }
        (Binary::Multiply, Value::Text(_) | Value::List(_), _) => repeated(one, two),
        (Binary::Multiply, _, Value::Text(_) | Value::List(_)) => repeated(two, one),
        (Binary::Modulo, Value::Text(text), values) => percent::format(text, values),
        _ => match moments(operator, one, two)? {
            Some(found) => Ok(found),
            None => Err(misfit(operator, one, two)),
        },
    }
}

fn misfit(operator: Binary, one: &Value<'_>, two: &Value<'_>) -> Fault {
    let (sign, left, right) = (operator.sign(), one.kind(), two.kind());
    let fault = Fault::of(format!("`{sign}` cannot combine {left} and {right}"));
    match (one, two) {
        (Value::Text(_), Value::None) | (Value::None, Value::Text(_)) => {
            fault.hint("say what becomes of a None: `(a or '')`")
        }
        (Value::Text(_), _) | (_, Value::Text(_)) if operator == Binary::Add => {
            fault.hint("write `str(...)` around what is not a text")
        }
        _ => fault,
    }
}

fn repeated<'a>(value: &Value<'a>, count: &Value<'a>) -> Valued<'a> {
    let fault = || Fault::of(format!("`*` cannot repeat by {}", count.kind()));
    let count = match count {
        Value::Int(_) | Value::Big(_) | Value::Bool(_) => count.index()?,
        _ => return Err(fault()),
    };
    let count = usize::try_from(count).unwrap_or_default();
    match value {
        Value::Text(text) => size::text(text.len().saturating_mul(count))?,
        Value::List(values) => size::text(weight::of_all(values).saturating_mul(count))?,
        _ => {}
    }
    Ok(match value {
        Value::Text(text) => Value::text(text.repeat(count)),
        Value::List(values) => {
            Value::list(std::iter::repeat_n(values.iter().cloned(), count).flatten().collect())
        }
        other => other.clone(),
    })
}

/// Computes with days, moments and lengths of time.
fn moments<'a>(
    operator: Binary,
    one: &Value<'a>,
    two: &Value<'a>,
) -> Result<Option<Value<'a>>, Fault> {
    let too_long = || Fault::of("the timedelta is too long");
    let sum = |a: i64, b: i64| a.checked_add(b).map(Value::Delta).ok_or_else(too_long);
    let day = super::moment::DAY;
    Ok(Some(match (operator, one, two) {
        (Binary::Add, Value::DateTime(at), Value::Delta(by))
        | (Binary::Add, Value::Delta(by), Value::DateTime(at)) => Value::DateTime(at.plus(*by)?),
        (Binary::Subtract, Value::DateTime(at), Value::Delta(by)) => {
            Value::DateTime(at.plus(-*by)?)
        }
        (Binary::Subtract, Value::DateTime(at), Value::DateTime(since)) => {
            Value::Delta(at.micros_since(*since)?)
        }
        (Binary::Add, Value::Date(at), Value::Delta(by))
        | (Binary::Add, Value::Delta(by), Value::Date(at)) => {
            Value::Date(at.plus_days(by.div_euclid(day))?)
        }
        (Binary::Subtract, Value::Date(at), Value::Delta(by)) => {
            Value::Date(at.plus_days(-by.div_euclid(day))?)
        }
        (Binary::Subtract, Value::Date(at), Value::Date(since)) => {
            Value::Delta(at.days_since(*since) * day)
        }
        (Binary::Add, Value::Delta(a), Value::Delta(b)) => sum(*a, *b)?,
        (Binary::Subtract, Value::Delta(a), Value::Delta(b)) => sum(*a, -*b)?,
        (Binary::Multiply, Value::Delta(a), Value::Int(b))
        | (Binary::Multiply, Value::Int(b), Value::Delta(a)) => {
            a.checked_mul(*b).map(Value::Delta).ok_or_else(too_long)?
        }
        (Binary::Divide | Binary::FloorDivide, Value::Delta(a), Value::Delta(b)) => {
            compute(operator, &Number::Int(*a), &Number::Int(*b))?
        }
        _ => return Ok(None),
    }))
}
