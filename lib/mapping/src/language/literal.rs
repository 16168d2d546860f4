//! Texts and numbers of an expression.

use std::ops::Range;

use num_bigint::BigInt;
use winnow::Parser;
use winnow::combinator::{alt, opt};
use winnow::error::{ContextError, ErrMode};
use winnow::stream::Location as _;
use winnow::token::{any, literal, one_of, take_while};

use super::ast::{Argument, Binary, Form, Node};
use super::input::{Input, Parsed, space, stop};

/// `12`, `1.5`, `.5`, `1e9`
pub(super) fn number(i: &mut Input<'_>) -> Parsed<Form> {
    let start = i.current_token_start();
    let digits = |i: &mut Input<'_>| -> Parsed<()> {
        let rest = take_while(0.., |c: char| c.is_ascii_digit() || c == '_');
        (one_of('0'..='9'), rest).void().parse_next(i)
    };
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digits).void();
    let pointed = alt(((digits, '.', opt(digits)).void(), ('.', digits).void()));
    let float = alt(((pointed, opt(exponent)).void(), {
        let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digits).void();
        (digits, exponent).void()
    }));
    let (text, is_float) =
        alt((float.take().map(|text| (text, true)), digits.take().map(|text| (text, false))))
            .parse_next(i)?;
    let follows: Parsed<&str> =
        winnow::combinator::peek(take_while(1.., |c: char| c.is_alphanumeric() || c == '_'))
            .parse_next(i);
    let text = text.replace('_', "");
    let leading = text.len() > 1 && text.starts_with('0') && !text.trim_matches('0').is_empty();
    if follows.is_ok() || text.is_empty() || !is_float && leading {
        return stop(i, start, "this number cannot be read");
    }
    if is_float {
        return text.parse().map(Form::Float).map_err(|_| ErrMode::Backtrack(ContextError::new()));
    }
    text.parse::<BigInt>().map(Form::Int).map_err(|_| ErrMode::Backtrack(ContextError::new()))
}

/// Reads the expression in the braces of an f-string.
pub(super) type Reads = fn(&mut Input<'_>) -> Parsed<Node>;

/// A part of a text: characters, or a value in the braces of an f-string.
enum Piece {
    Characters(String),
    Value(Node),
}

/// `'a'`, `"a"`, with the prefix `r`, `u` or `f`; several in a row are one.
pub(super) fn text(i: &mut Input<'_>, value: Reads) -> Parsed<Form> {
    let start = i.current_token_start();
    let mut pieces = one(i, value)?;
    loop {
        let mut ahead = i.clone();
        space(&mut ahead);
        match one(&mut ahead, value) {
            Ok(more) => {
                pieces.extend(more);
                *i = ahead;
            }
            Err(ErrMode::Backtrack(_)) => break,
            Err(failure) => {
                *i = ahead;
                return Err(failure);
            }
        }
    }
    Ok(joined(pieces, start..i.previous_token_end()))
}

/// Adds the pieces of a text: `f'a{b}'` is `'a' + str(b)`.
fn joined(pieces: Vec<Piece>, at: Range<usize>) -> Form {
    let mut whole = Form::Text(String::new());
    for piece in pieces {
        let right = match piece {
            Piece::Characters(text) => match &mut whole {
                Form::Text(before) => {
                    before.push_str(&text);
                    continue;
                }
                _ => Form::Text(text),
            },
            Piece::Value(value) => {
                let function = Node { at: value.at.clone(), form: Form::Name("str".to_owned()) };
                let name = None;
                Form::Call(Box::new(function), vec![Argument { name, value }])
            }
        };
        let [left, right] = [whole, right].map(|form| Box::new(Node { at: at.clone(), form }));
        whole = Form::Binary(Binary::Add, left, right);
    }
    whole
}

fn one(i: &mut Input<'_>, value: Reads) -> Parsed<Vec<Piece>> {
    let start = i.current_token_start();
    let known = |prefix: &str| {
        matches!(prefix.to_ascii_lowercase().as_str(), "" | "r" | "u" | "f" | "b" | "rf" | "fr")
    };
    let letters = ['r', 'R', 'u', 'U', 'f', 'F', 'b', 'B'];
    let prefix: &str = take_while(0..=2, letters).verify(known).parse_next(i)?;
    let quote: &str =
        alt((literal("'''"), literal("\"\"\""), literal("'"), literal("\""))).parse_next(i)?;
    if prefix.contains(['b', 'B']) {
        return stop(i, start, "texts of bytes are not supported");
    }
    let raw = prefix.contains(['r', 'R']);
    let has_values = prefix.contains(['f', 'F']);
    let mut pieces = Vec::new();
    let mut out = String::new();
    loop {
        let end: Parsed<&str> = literal(quote).parse_next(i);
        if end.is_ok() {
            pieces.push(Piece::Characters(out));
            return Ok(pieces);
        }
        let found: Parsed<char> = any.parse_next(i);
        match found {
            Err(_) => return stop(i, start, "this text has no end"),
            Ok('\n') if quote.len() == 1 => return stop(i, start, "this text has no end"),
            Ok(brace @ ('{' | '}')) if has_values => {
                let twice: Parsed<char> = one_of(brace).parse_next(i);
                if twice.is_ok() {
                    out.push(brace);
                } else {
                    pieces.push(Piece::Characters(std::mem::take(&mut out)));
                    pieces.push(Piece::Value(braced(i, brace, value)?));
                }
            }
            Ok('\\') if raw => {
                out.push('\\');
                let following: Parsed<char> = any.parse_next(i);
                out.extend(following);
            }
            Ok('\\') => escape(i, &mut out)?,
            Ok(c) => out.push(c),
        }
    }
}

/// Reads the value in the braces of an f-string, behind the first of them.
fn braced(i: &mut Input<'_>, brace: char, value: Reads) -> Parsed<Node> {
    let at = i.current_token_start() - 1;
    if brace == '}' {
        return stop(i, at, "a single `}` stands in an f-string: write `}}`");
    }
    let value = match value(i) {
        Err(ErrMode::Backtrack(_)) => {
            return stop(i, at, "a value is expected in the braces of an f-string");
        }
        other => other?,
    };
    space(i);
    let end: Parsed<char> = one_of('}').parse_next(i);
    if end.is_err() {
        let reason = "`}` is expected in an f-string; `:` and `!` are not supported";
        let at = i.current_token_start();
        return stop(i, at, reason);
    }
    Ok(value)
}

fn escape(i: &mut Input<'_>, out: &mut String) -> Parsed<()> {
    let at = i.current_token_start() - 1;
    let c: char = any.parse_next(i)?;
    let simple = match c {
        '\n' => return Ok(()),
        '\\' | '\'' | '"' => Some(c),
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'v' => Some('\x0b'),
        _ => None,
    };
    if let Some(c) = simple {
        out.push(c);
        return Ok(());
    }
    let (count, radix) = match c {
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='7' => (3, 8),
        _ => {
            // Python keeps what is no escape as it is.
            out.push('\\');
            out.push(c);
            return Ok(());
        }
    };
    let mut digits = String::new();
    if radix == 8 {
        digits.push(c);
    }
    while digits.len() < count {
        let digit: Parsed<char> = one_of(|c: char| c.is_digit(radix)).parse_next(i);
        match digit {
            Ok(digit) => digits.push(digit),
            Err(_) if radix == 8 => break,
            Err(_) => return stop(i, at, "this escape is cut off"),
        }
    }
    match u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32) {
        Some(c) => {
            out.push(c);
            Ok(())
        }
        None => stop(i, at, "this escape names no character"),
    }
}
