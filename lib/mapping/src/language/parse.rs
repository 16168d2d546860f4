//! Reads an expression: the part of Python's grammar that maps are written in.

use std::ops::Range;

use winnow::combinator::{alt, opt, peek};
use winnow::error::{ContextError, ErrMode};
use winnow::stream::Location as _;
use winnow::token::{any, literal, one_of, take_while};
use winnow::{LocatingSlice, Parser, Stateful};

use super::ast::{Argument, Binary, Compare, Comprehension, Form, Node, Slice};
use super::fault::Fault;
use super::input::{Input, Parsed, Progress, space, stop};
use super::literal::{number, text};

/// How deep an expression may nest.
const NESTING_MAX: usize = 40;
/// How many operators it may have.
const OPERATORS_MAX: usize = 400;

const KEYWORDS: [&str; 20] = [
    "and", "as", "async", "await", "class", "def", "else", "for", "from", "if", "import", "in",
    "is", "lambda", "not", "or", "yield", "True", "False", "None",
];

/// Reads a whole expression.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let mut input = Stateful { input: LocatingSlice::new(text), state: Progress::default() };
    let found = expression(&mut input);
    if let Some((at, reason)) = input.state.fault.take() {
        return Err(Fault::new(at..next(text, at), reason));
    }
    space(&mut input);
    let at = input.current_token_start();
    match found {
        Ok(node) if at == text.len() => Ok(node),
        Ok(_) => Err(Fault::new(at..next(text, at), unexpected(&text[at..]))),
        Err(_) => Err(Fault::new(at..next(text, at), missing(&text[at..], "a value"))),
    }
}

/// Returns where the character behind `at` starts.
fn next(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(at, |c| at + c.len_utf8())
}

/// Names what Python has and maps do not.
fn unsupported(rest: &str) -> Option<String> {
    if rest.strip_prefix("for").is_some_and(|rest| !rest.starts_with(letter)) {
        return Some("`for` is supported inside of brackets only".to_owned());
    }
    let signs = ["&", "|", "^", "<<", ">>", ":=", "@", "~"];
    let sign = signs.iter().find(|sign| rest.starts_with(**sign))?;
    Some(format!("`{sign}` is not supported in maps"))
}

fn unexpected(rest: &str) -> String {
    let word = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if let Some(reason) = unsupported(rest) {
        return reason;
    }
    if rest.starts_with('=') {
        return "one `=` assigns; write `==` to compare".to_owned();
    }
    let shown: String = rest.chars().take(1).collect();
    format!("unexpected `{}`", if word.is_empty() { &shown } else { word })
}

fn missing(rest: &str, what: &str) -> String {
    if let Some(reason) = unsupported(rest) {
        return reason;
    }
    let word = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    match rest.chars().next() {
        None => format!("the expression ends where {what} is expected"),
        _ if word == "lambda" => "`lambda` is not supported in maps".to_owned(),
        Some(_) if KEYWORDS.contains(&word) => format!("`{word}` stands where {what} is expected"),
        Some(c) => format!("`{c}` stands where {what} is expected"),
    }
}

/// Reads what has to come now.
fn must<'i, T>(
    i: &mut Input<'i>,
    what: &str,
    read: impl FnOnce(&mut Input<'i>) -> Parsed<T>,
) -> Parsed<T> {
    space(i);
    match read(i) {
        Err(ErrMode::Backtrack(_)) => {
            let at = i.current_token_start();
            let reason = missing(i.input.as_ref(), what);
            stop(i, at, reason)
        }
        other => other,
    }
}

fn sign(i: &mut Input<'_>, sign: &'static str) -> bool {
    space(i);
    let found: Parsed<&str> = literal(sign).parse_next(i);
    found.is_ok()
}

fn must_sign(i: &mut Input<'_>, text: &'static str) -> Parsed<()> {
    must(i, &format!("`{text}`"), |i| literal(text).void().parse_next(i))
}

fn letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn keyword(i: &mut Input<'_>, word: &'static str) -> bool {
    space(i);
    // `nothing` does not start with the word `not`.
    let rest: &str = i.input.as_ref();
    rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(letter)) && sign(i, word)
}

/// Tells whether a word comes next.
fn ahead(i: &Input<'_>, word: &'static str) -> bool {
    keyword(&mut i.clone(), word)
}

fn name(i: &mut Input<'_>) -> Parsed<String> {
    space(i);
    let read = (one_of(|c: char| c.is_alphabetic() || c == '_'), take_while(0.., letter)).take();
    read.verify(|word: &str| !KEYWORDS.contains(&word)).map(str::to_owned).parse_next(i)
}

/// Notes one more operator, and refuses too many.
fn count(i: &mut Input<'_>) -> Parsed<()> {
    i.state.operators += 1;
    if i.state.operators <= OPERATORS_MAX {
        return Ok(());
    }
    let at = i.current_token_start();
    stop(i, at, format!("the expression has more than {OPERATORS_MAX} operators"))
}

/// Reads something that may contain itself, so deep as is allowed.
fn nested<'i, T>(i: &mut Input<'i>, read: impl FnOnce(&mut Input<'i>) -> Parsed<T>) -> Parsed<T> {
    i.state.nesting += 1;
    if i.state.nesting > NESTING_MAX {
        let at = i.current_token_start();
        return stop(i, at, format!("the expression nests more than {NESTING_MAX} times"));
    }
    let found = read(i);
    i.state.nesting -= 1;
    found
}

fn node(start: usize, i: &Input<'_>, form: Form) -> Node {
    Node { at: start..i.previous_token_end(), form }
}

fn joined(first: &Node, last: &Node) -> Range<usize> {
    first.at.start..last.at.end
}

pub(super) fn expression(i: &mut Input<'_>) -> Parsed<Node> {
    nested(i, |i| {
        let then = or(i)?;
        if !keyword(i, "if") {
            return Ok(then);
        }
        count(i)?;
        let condition = must(i, "a condition", or)?;
        must(i, "`else`", |i| {
            if keyword(i, "else") { Ok(()) } else { Err(ErrMode::Backtrack(ContextError::new())) }
        })?;
        let other = must(i, "a value", expression)?;
        let at = joined(&then, &other);
        let (condition, then, other) = (Box::new(condition), Box::new(then), Box::new(other));
        Ok(Node { at, form: Form::If { condition, then, other } })
    })
}

fn or(i: &mut Input<'_>) -> Parsed<Node> {
    several(i, "or", and, Form::Or)
}

fn and(i: &mut Input<'_>) -> Parsed<Node> {
    several(i, "and", inverted, Form::And)
}

fn several<'i>(
    i: &mut Input<'i>,
    word: &'static str,
    operand: fn(&mut Input<'i>) -> Parsed<Node>,
    form: fn(Vec<Node>) -> Form,
) -> Parsed<Node> {
    let first = operand(i)?;
    if !keyword(i, word) {
        return Ok(first);
    }
    let start = first.at.start;
    let mut all = vec![first];
    loop {
        count(i)?;
        all.push(must(i, "a value", operand)?);
        if !keyword(i, word) {
            let end = all.last().map_or(start, |last| last.at.end);
            return Ok(Node { at: start..end, form: form(all) });
        }
    }
}

fn inverted(i: &mut Input<'_>) -> Parsed<Node> {
    space(i);
    let start = i.current_token_start();
    if !keyword(i, "not") {
        return comparison(i);
    }
    let operand = nested(i, |i| must(i, "a value", inverted))?;
    Ok(Node { at: start..operand.at.end, form: Form::Not(Box::new(operand)) })
}

fn comparison(i: &mut Input<'_>) -> Parsed<Node> {
    let first = sum(i)?;
    let mut others: Vec<(Compare, Node)> = Vec::new();
    while let Some(compare) = comparing(i) {
        count(i)?;
        others.push((compare, must(i, "a value", sum)?));
    }
    let Some((_, last)) = others.last() else { return Ok(first) };
    Ok(Node { at: joined(&first, last), form: Form::Compare(Box::new(first), others) })
}

fn comparing(i: &mut Input<'_>) -> Option<Compare> {
    let signs = [
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        ("<=", Compare::LessOrEqual),
        (">=", Compare::GreaterOrEqual),
        ("<", Compare::Less),
        (">", Compare::Greater),
    ];
    space(i);
    // Two signs that Python has and maps do not.
    if ["<<", ">>"].iter().any(|shift| i.input.starts_with(shift)) {
        return None;
    }
    if let Some((_, compare)) = signs.into_iter().find(|(text, _)| sign(i, text)) {
        return Some(compare);
    }
    if keyword(i, "is") {
        return Some(if keyword(i, "not") { Compare::IsNot } else { Compare::Is });
    }
    if keyword(i, "in") {
        return Some(Compare::In);
    }
    let mut ahead = i.clone();
    if keyword(&mut ahead, "not") && keyword(&mut ahead, "in") {
        *i = ahead;
        return Some(Compare::NotIn);
    }
    None
}

fn sum(i: &mut Input<'_>) -> Parsed<Node> {
    chain(i, term, |i| match () {
        () if sign(i, "+") => Some(Binary::Add),
        () if sign(i, "-") => Some(Binary::Subtract),
        () => None,
    })
}

fn term(i: &mut Input<'_>) -> Parsed<Node> {
    chain(i, unary, |i| {
        space(i);
        match () {
            () if sign(i, "*") => Some(Binary::Multiply),
            () if sign(i, "//") => Some(Binary::FloorDivide),
            () if sign(i, "/") => Some(Binary::Divide),
            () if sign(i, "%") => Some(Binary::Modulo),
            () => None,
        }
    })
}

fn chain<'i>(
    i: &mut Input<'i>,
    operand: fn(&mut Input<'i>) -> Parsed<Node>,
    operator: fn(&mut Input<'i>) -> Option<Binary>,
) -> Parsed<Node> {
    let mut left = operand(i)?;
    while let Some(binary) = operator(i) {
        count(i)?;
        let right = must(i, "a value", operand)?;
        let at = joined(&left, &right);
        left = Node { at, form: Form::Binary(binary, Box::new(left), Box::new(right)) };
    }
    Ok(left)
}

fn unary(i: &mut Input<'_>) -> Parsed<Node> {
    space(i);
    let start = i.current_token_start();
    let form = match () {
        () if sign(i, "-") => Form::Negative,
        () if sign(i, "+") => Form::Positive,
        () => return power(i),
    };
    let operand = nested(i, |i| must(i, "a value", unary))?;
    Ok(Node { at: start..operand.at.end, form: form(Box::new(operand)) })
}

/// Reads `a ** b`, which binds closer than a sign before it: `-2 ** 2` is -4.
fn power(i: &mut Input<'_>) -> Parsed<Node> {
    let base = postfix(i)?;
    if !sign(i, "**") {
        return Ok(base);
    }
    count(i)?;
    let exponent = nested(i, |i| must(i, "a value", unary))?;
    let at = joined(&base, &exponent);
    Ok(Node { at, form: Form::Binary(Binary::Power, Box::new(base), Box::new(exponent)) })
}

fn postfix(i: &mut Input<'_>) -> Parsed<Node> {
    let mut inner = atom(i)?;
    let start = inner.at.start;
    loop {
        let form = match () {
            () if sign(i, ".") => Form::Attribute(Box::new(inner), must(i, "a name", name)?),
            () if sign(i, "(") => Form::Call(Box::new(inner), arguments(i)?),
            () if sign(i, "[") => nested(i, |i| index(i, inner))?,
            () => return Ok(inner),
        };
        count(i)?;
        inner = node(start, i, form);
    }
}

fn index(i: &mut Input<'_>, of: Node) -> Parsed<Form> {
    let mut parts = [None, None, None];
    let mut at = 0;
    loop {
        space(i);
        let ends: Parsed<char> = peek(one_of([':', ']'])).parse_next(i);
        if ends.is_err() {
            parts[at] = Some(must(i, "an index", expression)?);
        }
        if at < 2 && sign(i, ":") {
            at += 1;
        } else {
            break;
        }
    }
    must_sign(i, "]")?;
    match (at, parts) {
        (0, [Some(index), ..]) => Ok(Form::Index(Box::new(of), Box::new(index))),
        (0, _) => {
            let at = i.previous_token_end() - 1;
            stop(i, at, "`]` stands where an index is expected")
        }
        (_, [start, stop, by]) => {
            Ok(Form::Slice(Box::new(of), Box::new(Slice { start, stop, step: by })))
        }
    }
}

fn arguments(i: &mut Input<'_>) -> Parsed<Vec<Argument>> {
    let mut all = Vec::new();
    nested(i, |i| {
        while !sign(i, ")") {
            let mut ahead = i.clone();
            let named = name(&mut ahead)
                .ok()
                .filter(|_| sign(&mut ahead, "=") && !ahead.input.starts_with('='));
            if named.is_some() {
                *i = ahead;
            }
            let value = must(i, "an argument", expression)?;
            let value = comprehended(i, value)?;
            all.push(Argument { name: named, value });
            if !sign(i, ",") {
                must_sign(i, ")")?;
                break;
            }
        }
        Ok(all)
    })
}

/// Reads the rest of `item for ...`, where it is one.
fn comprehended(i: &mut Input<'_>, item: Node) -> Parsed<Node> {
    if !keyword(i, "for") {
        return Ok(item);
    }
    count(i)?;
    let start = item.at.start;
    let mut names = vec![must(i, "a name", name)?];
    while sign(i, ",") {
        names.push(must(i, "a name", name)?);
    }
    must(i, "`in`", |i| {
        if keyword(i, "in") { Ok(()) } else { Err(ErrMode::Backtrack(ContextError::new())) }
    })?;
    let over = must(i, "a list", or)?;
    let condition = if keyword(i, "if") { Some(must(i, "a condition", or)?) } else { None };
    let is_outer = ahead(i, "for");
    let item = if is_outer { nested(i, |i| comprehended(i, item))? } else { item };
    let whole = Comprehension { item, names, over, condition, is_outer };
    Ok(node(start, i, Form::Comprehension(Box::new(whole))))
}

fn atom(i: &mut Input<'_>) -> Parsed<Node> {
    space(i);
    let start = i.current_token_start();
    let form = match peek(any).parse_next(i)? {
        '(' => return nested(i, |i| parenthesised(i, start)),
        '[' => return nested(i, |i| listed(i, start)),
        '{' => nested(i, braced)?,
        _ => alt((|i: &mut Input<'_>| text(i, expression), number, word)).parse_next(i)?,
    };
    Ok(node(start, i, form))
}

fn word(i: &mut Input<'_>) -> Parsed<Form> {
    for (word, form) in
        [("None", Form::None), ("True", Form::Bool(true)), ("False", Form::Bool(false))]
    {
        if keyword(i, word) {
            return Ok(form);
        }
    }
    name.map(Form::Name).parse_next(i)
}

fn parenthesised(i: &mut Input<'_>, start: usize) -> Parsed<Node> {
    sign(i, "(");
    if sign(i, ")") {
        return Ok(node(start, i, Form::Tuple(Vec::new())));
    }
    let first = must(i, "a value", expression)?;
    let first = comprehended(i, first)?;
    if !sign(i, ",") {
        must_sign(i, ")")?;
        return Ok(Node { at: start..i.previous_token_end(), form: first.form });
    }
    let mut all = vec![first];
    items(i, ")", &mut all)?;
    Ok(node(start, i, Form::Tuple(all)))
}

fn items(i: &mut Input<'_>, close: &'static str, all: &mut Vec<Node>) -> Parsed<()> {
    while !sign(i, close) {
        all.push(must(i, "a value", expression)?);
        if !sign(i, ",") {
            return must_sign(i, close);
        }
    }
    Ok(())
}

fn listed(i: &mut Input<'_>, start: usize) -> Parsed<Node> {
    sign(i, "[");
    let mut all = Vec::new();
    if sign(i, "]") {
        return Ok(node(start, i, Form::List(all)));
    }
    let first = must(i, "a value", expression)?;
    if ahead(i, "for") {
        let item = comprehended(i, first)?;
        must_sign(i, "]")?;
        return Ok(node(start, i, item.form));
    }
    all.push(first);
    if sign(i, ",") {
        items(i, "]", &mut all)?;
    } else {
        must_sign(i, "]")?;
    }
    Ok(node(start, i, Form::List(all)))
}

fn braced(i: &mut Input<'_>) -> Parsed<Form> {
    sign(i, "{");
    let mut all = Vec::new();
    while !sign(i, "}") {
        let key = must(i, "a key", expression)?;
        let colon: Parsed<Option<char>> = {
            space(i);
            opt(one_of(':')).parse_next(i)
        };
        if colon?.is_none() {
            let at = i.current_token_start();
            return stop(i, at, "`:` and a value are expected behind a key");
        }
        let value = must(i, "a value", expression)?;
        all.push((key, value));
        if !sign(i, ",") {
            must_sign(i, "}")?;
            break;
        }
    }
    Ok(Form::Dict(all))
}
