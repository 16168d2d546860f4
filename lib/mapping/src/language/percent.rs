//! `%` with a text: the formats of Python's older way, such as `'%s-%03d' % (name, number)`.

use std::rc::Rc;

use super::fault::Fault;
use super::number::{Number, truncated};
use super::show;
use super::size;
use super::value::{Value, Valued};

/// The most characters that a width or a precision asks for.
const WIDTH_MAX: usize = 10_000;

/// What stands behind a `%`.
#[derive(Default)]
struct Directive {
    left: bool,
    zeros: bool,
    /// What stands before a number that is not negative.
    positive: &'static str,
    width: usize,
    precision: Option<usize>,
}

/// The values that a text is filled with.
enum Values<'v, 'a> {
    /// One after the other.
    Placed(std::slice::Iter<'v, Value<'a>>),
    /// By their names.
    Named(&'v [(Value<'a>, Value<'a>)]),
}

/// Returns `text % values`.
pub(crate) fn format<'a>(text: &str, values: &Value<'a>) -> Valued<'a> {
    let alone = [values.clone()];
    let members = match values {
        Value::Tuple(members) => Rc::clone(members),
        _ => Rc::new(Vec::new()),
    };
    let mut values = match values {
        Value::Tuple(_) => Values::Placed(members.iter()),
        Value::Dict(pairs) => Values::Named(pairs),
        _ => Values::Placed(alone.iter()),
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        rest = directive(behind, &mut values, &mut out)?;
        size::text(out.len())?;
    }
    out.push_str(rest);
    match &values {
        Values::Placed(left) if left.len() > 0 => {
            Err(Fault::of("`%` has more values than the text has places"))
        }
        _ => Ok(Value::text(out)),
    }
}

/// Reads what stands behind a `%`, appends the value, and returns the rest of the text.
fn directive<'t>(
    text: &'t str,
    values: &mut Values<'_, '_>,
    out: &mut String,
) -> Result<&'t str, Fault> {
    let ends = || Fault::of("the text ends within a place of `%`");
    let mut rest = text;
    let mut name = None;
    if let Some(named) = rest.strip_prefix('(') {
        let (found, behind) = named.split_once(')').ok_or_else(ends)?;
        (name, rest) = (Some(found), behind);
    }
    let mut found = Directive::default();
    while let Some(flag) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
        match flag {
            '-' => found.left = true,
            '0' => found.zeros = true,
            '+' => found.positive = "+",
            ' ' if found.positive.is_empty() => found.positive = " ",
            ' ' => {}
            _ => return Err(Fault::of("`#` is not supported in a place of `%`")),
        }
        rest = &rest[1..];
    }
    found.width = number(&mut rest)?.unwrap_or_default();
    if let Some(behind) = rest.strip_prefix('.') {
        rest = behind;
        found.precision = Some(number(&mut rest)?.unwrap_or_default());
    }
    let kind = rest.chars().next().ok_or_else(ends)?;
    rest = &rest[kind.len_utf8()..];
    if kind == '%' {
        out.push('%');
        return Ok(rest);
    }
    let value = values.next(name)?;
    match kind {
        's' => found.text(&show::str(&value)?, out),
        'd' | 'i' | 'u' => found.number(&whole(&value)?, out),
        'f' | 'F' => found.fraction(&value, out)?,
        other => {
            return Err(Fault::of(format!("`%{other}` is not supported in maps"))
                .hint("there are %s, %d, %f and %%; `str(...)` makes a text of other values"));
        }
    }
    Ok(rest)
}

/// Reads a number of digits.
fn number(rest: &mut &str) -> Result<Option<usize>, Fault> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    *rest = behind;
    if digits.is_empty() {
        return Ok(None);
    }
    let fits = digits.parse().ok().filter(|count| *count <= WIDTH_MAX);
    fits.map(Some)
        .ok_or_else(|| Fault::of(format!("a width of `%` has at most {WIDTH_MAX} characters")))
}

impl<'a> Values<'_, 'a> {
    fn next(&mut self, name: Option<&str>) -> Valued<'a> {
        match (self, name) {
            (Self::Placed(values), None) => values
                .next()
                .cloned()
                .ok_or_else(|| Fault::of("`%` has fewer values than the text has places")),
            (Self::Named(pairs), Some(name)) => pairs
                .iter()
                .find(|(key, _)| matches!(key, Value::Text(key) if **key == *name))
                .map(|(_, value)| value.clone())
                .ok_or_else(|| Fault::of(format!("`%` has no value with the name `{name}`"))),
            (Self::Placed(_), Some(_)) => {
                Err(Fault::of("a place of `%` has a name, and the values are no dict"))
            }
            // A dict as the one value of the text.
            (Self::Named(pairs), None) => Ok(Value::dict(pairs.to_vec())),
        }
    }
}

/// Returns the digits of a number without its fraction.
fn whole(value: &Value<'_>) -> Result<String, Fault> {
    let fault = || Fault::of(format!("`%d` takes a number, not {}", value.kind()));
    Ok(match value.number().ok_or_else(fault)? {
        Number::Int(number) => number.to_string(),
        Number::Big(number) => number.to_string(),
        Number::Float(number) if number.is_finite() => truncated(number).to_string(),
        Number::Float(_) => return Err(Fault::of("`%d` cannot write a NaN or an infinity")),
        Number::Decimal(number) => {
            let whole = number.truncated();
            whole.ok_or_else(|| Fault::of("the number is too large"))?.to_string()
        }
    })
}

impl Directive {
    fn text(&self, text: &str, out: &mut String) {
        let shown: String = match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_owned(),
        };
        self.fill("", &shown, false, out);
    }

    /// Writes a number whose digits, and a minus, are known.
    fn number(&self, text: &str, out: &mut String) {
        let (sign, digits) = self.sign(text);
        let least = self.precision.unwrap_or_default();
        self.fill(sign, &format!("{digits:0>least$}"), self.zeros, out);
    }

    fn fraction(&self, value: &Value<'_>, out: &mut String) -> Result<(), Fault> {
        let fault = || Fault::of(format!("`%f` takes a number, not {}", value.kind()));
        let number = value.number().ok_or_else(fault)?.float();
        let text = if number.is_finite() {
            format!("{number:.*}", self.precision.unwrap_or(6))
        } else if number.is_nan() {
            "nan".to_owned()
        } else {
            (if number > 0.0 { "inf" } else { "-inf" }).to_owned()
        };
        let (sign, digits) = self.sign(&text);
        self.fill(sign, digits, self.zeros && number.is_finite(), out);
        Ok(())
    }

    fn sign<'t>(&self, text: &'t str) -> (&'static str, &'t str) {
        match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => (self.positive, text),
        }
    }

    fn fill(&self, sign: &str, text: &str, zeros: bool, out: &mut String) {
        let lacks = self.width.saturating_sub(sign.len() + text.chars().count());
        match (self.left, zeros) {
            (true, _) => out.extend([sign, text, &" ".repeat(lacks)]),
            (false, true) => out.extend([sign, &"0".repeat(lacks), text]),
            (false, false) => out.extend([&*" ".repeat(lacks), sign, text]),
        }
    }
}
