//! Reads how dates and times are written: `%d.%m.%Y`, as strptime has it, or `DD.MM.YYYY`.

/// A part of a text with a date or time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// These characters.
    Text(String),
    /// A number, of so many digits.
    Number { field: Field, digits_min: u8, digits_max: u8 },
    /// The name of a month or of a day of the week in English.
    Name { field: Field, is_short: bool },
    /// `AM` or `PM`.
    Meridiem,
    /// `Z`, `+01`, `+0100` or `+01:00`.
    Offset,
}

/// What a part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Year,
    YearOfCentury,
    Month,
    Day,
    Weekday,
    Hour,
    HourOfHalf,
    Meridiem,
    Minute,
    Second,
    Fraction,
    Offset,
}

impl Part {
    /// Returns what it says.
    pub(super) fn field(&self) -> Option<Field> {
        match self {
            Self::Text(_) => None,
            Self::Number { field, .. } | Self::Name { field, .. } => Some(*field),
            Self::Meridiem => Some(Field::Meridiem),
            Self::Offset => Some(Field::Offset),
        }
    }
}

/// Reads a pattern; says what is wrong with it.
pub(super) fn parts(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts = if pattern.contains('%') { of_strptime(pattern) } else { of_letters(pattern) }?;
    // Where numbers meet, only their full length says where one ends, and what is cut.
    let are_numbers: Vec<bool> =
        parts.iter().map(|part| matches!(part, Part::Number { .. })).collect();
    for (at, part) in parts.iter_mut().enumerate() {
        let meets = at > 0 && are_numbers[at - 1] || are_numbers.get(at + 1) == Some(&true);
        if let Part::Number { digits_min, digits_max, .. } = part
            && meets
        {
            *digits_min = *digits_max;
        }
    }
    Ok(parts)
}

fn number(field: Field, digits_min: u8, digits_max: u8) -> Part {
    Part::Number { field, digits_min, digits_max }
}

fn name(field: Field, is_short: bool) -> Part {
    Part::Name { field, is_short }
}

fn push_text(parts: &mut Vec<Part>, c: char) {
    if let Some(Part::Text(text)) = parts.last_mut() {
        text.push(c);
    } else {
        parts.push(Part::Text(c.to_string()));
    }
}

fn of_strptime(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            push_text(&mut parts, c);
            continue;
        }
        let mut directive = rest.next();
        // `%-d`, a day without padding: a number of one digit is read anyway.
        if directive == Some('-') {
            directive = rest.next().filter(|c| "dmHIMS".contains(*c));
        }
        match directive {
            Some('Y') => parts.push(number(Field::Year, 4, 4)),
            Some('y') => parts.push(number(Field::YearOfCentury, 2, 2)),
            Some('m') => parts.push(number(Field::Month, 1, 2)),
            Some('d') => parts.push(number(Field::Day, 1, 2)),
            Some('H') => parts.push(number(Field::Hour, 1, 2)),
            Some('I') => parts.push(number(Field::HourOfHalf, 1, 2)),
            Some('M') => parts.push(number(Field::Minute, 1, 2)),
            Some('S') => parts.push(number(Field::Second, 1, 2)),
            Some('f') => parts.push(number(Field::Fraction, 1, 9)),
            Some('b') => parts.push(name(Field::Month, true)),
            Some('B') => parts.push(name(Field::Month, false)),
            Some('a') => parts.push(name(Field::Weekday, true)),
            Some('A') => parts.push(name(Field::Weekday, false)),
            Some('p') => parts.push(Part::Meridiem),
            Some('z') => parts.push(Part::Offset),
            Some('F') => parts.extend(of_strptime("%Y-%m-%d")?),
            Some('T') => parts.extend(of_strptime("%H:%M:%S")?),
            Some('%') => push_text(&mut parts, '%'),
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(format!(
                    "`%{other}` is unknown; known are %Y %y %m %d %b %B %a %A %H %I %p %M %S %f %z \
                      %F %T %%"
                ));
            }
        }
    }
    Ok(parts)
}

fn of_letters(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            let quoted = &rest[1..];
            let end = quoted.find('\'').ok_or("a quote is not closed")?;
            let text = if end == 0 { "'" } else { &quoted[..end] };
            text.chars().for_each(|c| push_text(&mut parts, c));
            rest = &quoted[end + 1..];
            continue;
        }
        let count = rest.chars().take_while(|other| *other == c).count();
        let length = count * c.len_utf8();
        let letters = &rest[..length];
        rest = &rest[length..];
        match letters {
            "YYYY" | "yyyy" => parts.push(number(Field::Year, 4, 4)),
            "YY" | "yy" => parts.push(number(Field::YearOfCentury, 2, 2)),
            "MM" => parts.push(number(Field::Month, 2, 2)),
            "M" => parts.push(number(Field::Month, 1, 2)),
            "DD" | "dd" => parts.push(number(Field::Day, 2, 2)),
            "D" | "d" => parts.push(number(Field::Day, 1, 2)),
            "HH" => parts.push(number(Field::Hour, 2, 2)),
            "H" => parts.push(number(Field::Hour, 1, 2)),
            "mm" => parts.push(number(Field::Minute, 2, 2)),
            "ss" => parts.push(number(Field::Second, 2, 2)),
            _ if c == 'S' && count <= 9 => {
                let digits = u8::try_from(count).unwrap_or(9);
                parts.push(number(Field::Fraction, digits, digits));
            }
            // As in `YYYY-MM-DDTHH:mm:ss`.
            "T" => push_text(&mut parts, 'T'),
            _ if c.is_alphabetic() => {
                return Err(format!(
                    "`{letters}` is unknown; known are YYYY YY MM M DD D HH H mm ss SSS; put other \
                      letters into single quotes, or use %-forms such as %d %b %Y"
                ));
            }
            _ => letters.chars().for_each(|c| push_text(&mut parts, c)),
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        for (one, other) in [
            ("%Y%m%d", "YYYYMMDD"),
            ("%Y%m%d%H%M%S", "yyyyMMddHHmmss"),
            ("%-d.%-m.%Y", "D.M.YYYY"),
            ("%d/%m/%Y", "d/M/yyyy"),
            ("%Y um %y", "YYYY' um 'YY"),
            ("%F", "%Y-%m-%d"),
            ("100%%", "100%%"),
        ] {
            assert_eq!(parts(one), parts(other), "{one} {other}");
        }
        assert_eq!(
            parts("D.MM''T").unwrap(),
            [
                number(Field::Day, 1, 2),
                Part::Text(".".to_owned()),
                number(Field::Month, 2, 2),
                Part::Text("'T".to_owned())
            ]
        );
        // A fraction of any length can end where no digit follows.
        assert_eq!(parts("%S.%fx").unwrap()[2], number(Field::Fraction, 1, 9));
        assert_eq!(parts("%f%m").unwrap()[0], number(Field::Fraction, 9, 9));
    }

    #[test]
    fn unknown_parts_are_refused() {
        for pattern in
            ["%Q", "%", "%-", "%-Y", "%Z", "DDD", "YYYYY", "Mon", "hh:mm", "'a", "Z", "a"]
        {
            assert!(parts(pattern).is_err(), "{pattern}");
        }
    }
}
