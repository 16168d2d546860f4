//! Texts and numbers of an expression.

use num_bigint::BigInt;
use winnow::Parser;
use winnow::combinator::{alt, opt};
use winnow::error::{ContextError, ErrMode};
use winnow::stream::Location as _;
use winnow::token::{any, literal, one_of, take_while};

use super::ast::Form;
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

/// `'a'`, `"a"`, with the prefix `r` or `u`; several in a row are one.
pub(super) fn text(i: &mut Input<'_>) -> Parsed<Form> {
    let mut whole = one(i)?;
    loop {
        let mut ahead = i.clone();
        space(&mut ahead);
        match one(&mut ahead) {
            Ok(more) => {
                whole.push_str(&more);
                *i = ahead;
            }
            Err(ErrMode::Backtrack(_)) => return Ok(Form::Text(whole)),
            Err(failure) => {
                *i = ahead;
                return Err(failure);
            }
        }
    }
}

fn one(i: &mut Input<'_>) -> Parsed<String> {
    let start = i.current_token_start();
    let prefix: Option<char> =
        opt(one_of(['r', 'R', 'u', 'U', 'f', 'F', 'b', 'B'])).parse_next(i)?;
    let quote: &str =
        alt((literal("'''"), literal("\"\"\""), literal("'"), literal("\""))).parse_next(i)?;
    match prefix {
        Some('f' | 'F') => return stop(i, start, "f-strings are not supported: join with `+`"),
        Some('b' | 'B') => return stop(i, start, "texts of bytes are not supported"),
        _ => {}
    }
    let raw = matches!(prefix, Some('r' | 'R'));
    let mut out = String::new();
    loop {
        let end: Parsed<&str> = literal(quote).parse_next(i);
        if end.is_ok() {
            return Ok(out);
        }
        let found: Parsed<char> = any.parse_next(i);
        match found {
            Err(_) => return stop(i, start, "this text has no end"),
            Ok('\n') if quote.len() == 1 => return stop(i, start, "this text has no end"),
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
