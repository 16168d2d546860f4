//! Numbers that states give to people, by their check digits.

use super::values::luhn;

/// A scheme of such numbers.
pub(super) struct Scheme {
    /// What it is called, for people.
    pub name: &'static str,
    pub fits: fn(&str) -> bool,
}

/// The schemes. Those without check digits have a form that nothing else has.
pub(super) const SCHEMES: &[Scheme] = &[
    Scheme { name: "tax number of Germany", fits: german_tax },
    Scheme { name: "social security number of Germany", fits: german_insurance },
    Scheme { name: "social security number of France", fits: french },
    Scheme { name: "DNI or NIE of Spain", fits: spanish },
    Scheme { name: "codice fiscale of Italy", fits: italian },
    Scheme { name: "NIF of Portugal", fits: portuguese },
    Scheme { name: "BSN of the Netherlands", fits: dutch },
    Scheme { name: "national number of Belgium", fits: belgian },
    Scheme { name: "PESEL of Poland", fits: polish },
    Scheme { name: "personal number of Sweden", fits: swedish },
    Scheme { name: "number of Norway", fits: norwegian },
    Scheme { name: "identity code of Finland", fits: finnish },
    Scheme { name: "CPR number of Denmark", fits: danish },
    Scheme { name: "birth number of Czechia", fits: czech },
    Scheme { name: "social security number of Austria", fits: austrian },
    Scheme { name: "AHV number of Switzerland", fits: swiss },
    Scheme { name: "NHS number of the United Kingdom", fits: british_health },
    Scheme { name: "national insurance number of the United Kingdom", fits: british },
    Scheme { name: "CNP of Romania", fits: romanian },
    Scheme { name: "EGN of Bulgaria", fits: bulgarian },
    Scheme { name: "social security number of the United States", fits: american },
];

/// Returns the digits of a text of so many, with only these marks between them.
fn digits<const N: usize>(text: &str, marks: &str) -> Option<[u32; N]> {
    let mut found = [0; N];
    let mut count = 0;
    for c in text.chars() {
        match c.to_digit(10) {
            Some(digit) => {
                *found.get_mut(count)? = digit;
                count += 1;
            }
            None if marks.contains(c) => {}
            None => return None,
        }
    }
    (count == N && text.len() <= N + 6).then_some(found)
}

fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Tells whether two digits for the month and two for the day are such.
fn is_day(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn pair(digits: &[u32], at: usize) -> u32 {
    digits[at] * 10 + digits[at + 1]
}

fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit))
}

fn german_tax(text: &str) -> bool {
    let Some(d) = digits::<11>(text, " /") else { return false };
    let mut counts = [0_u32; 10];
    d[..10].iter().for_each(|digit| counts[*digit as usize] += 1);
    // One digit comes twice or three times, the others at most once.
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let product = d[..10].iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    d[0] != 0
        && repeated == 1
        && counts.iter().all(|count| *count <= 3)
        && (11 - product) % 10 == d[10]
}

/// `12 010188 M 01 3`: an office, a date of birth, a letter, a number, a check digit.
fn german_insurance(text: &str) -> bool {
    let text: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    let (Some(letter), 12) = (text.get(8), text.len()) else { return false };
    if !letter.is_ascii_uppercase() {
        return false;
    }
    let place = *letter as u32 - 'A' as u32 + 1;
    let mut all = Vec::new();
    for (at, c) in text.iter().enumerate() {
        match c.to_digit(10) {
            Some(digit) => all.push(digit),
            None if at == 8 => all.extend([place / 10, place % 10]),
            None => return false,
        }
    }
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 = all
        .iter()
        .zip(weights)
        .map(|(digit, weight)| {
            let product = digit * weight;
            product / 10 + product % 10
        })
        .sum();
    is_day(pair(&all, 4), pair(&all, 2)) && all.get(12) == Some(&(sum % 10))
}

fn french(text: &str) -> bool {
    // Corsica has letters.
    let text = text.to_ascii_uppercase().replace("2A", "19").replace("2B", "18");
    let Some(d) = digits::<15>(&text, " ") else { return false };
    let key = number(&d[13..]);
    matches!(d[0], 1..=4 | 7 | 8) && 97 - number(&d[..13]) % 97 == key
}

fn spanish(text: &str) -> bool {
    let text = text.replace(['-', ' '], "").to_ascii_uppercase();
    let text = match text.chars().next() {
        Some('X') => format!("0{}", &text[1..]),
        Some('Y') => format!("1{}", &text[1..]),
        Some('Z') => format!("2{}", &text[1..]),
        _ => text,
    };
    let Some((head, letter)) = text.split_at_checked(8) else { return false };
    let Some(d) = digits::<8>(head, "") else { return false };
    let letters = "TRWAGMYFPDXBNJZSQVHLCKE";
    let at = usize::try_from(number(&d) % 23).unwrap_or_default();
    letters.get(at..=at) == Some(letter)
}

fn italian(text: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let text = text.to_ascii_uppercase();
    let bytes = text.as_bytes();
    let is_form = bytes.len() == 16
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            0..=5 | 8 | 11 | 15 => byte.is_ascii_uppercase(),
            _ => byte.is_ascii_alphanumeric(),
        });
    if !is_form {
        return false;
    }
    let sum: u32 = bytes[..15]
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            let value = match byte {
                b'0'..=b'9' => byte - b'0',
                _ => byte - b'A',
            };
            if at % 2 == 0 { ODD[usize::from(value)] } else { u32::from(value) }
        })
        .sum();
    u32::from(bytes[15] - b'A') == sum % 26
}

fn portuguese(text: &str) -> bool {
    let Some(d) = digits::<9>(text, " ") else { return false };
    let rest = weighted(&d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    // Of people, and not of firms.
    matches!(d[0], 1..=3) && d[8] == if rest < 2 { 0 } else { 11 - rest }
}

fn dutch(text: &str) -> bool {
    let Some(d) = digits::<9>(text, ".") else { return false };
    let sum = weighted(&d, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum > 0 && sum % 11 == d[8] % 11 && number(&d) > 9_999_999
}

fn belgian(text: &str) -> bool {
    let Some(d) = digits::<11>(text, ".- ") else { return false };
    let (head, check) = (number(&d[..9]), number(&d[9..]));
    // Those born since 2000 have a 2 before.
    let fits = |head: u64| 97 - head % 97 == check;
    is_day(pair(&d, 2), pair(&d, 4)) && (fits(head) || fits(2_000_000_000 + head))
}

fn polish(text: &str) -> bool {
    let Some(d) = digits::<11>(text, "") else { return false };
    let sum = weighted(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    is_day(pair(&d, 2) % 20, pair(&d, 4)) && (10 - sum % 10) % 10 == d[10]
}

fn swedish(text: &str) -> bool {
    let last = match digits::<12>(text, "-+") {
        Some(d) if matches!(pair(&d, 0), 18..=20) => d[2..].to_vec(),
        Some(_) => return false,
        None => match digits::<10>(text, "-+") {
            Some(d) => d.to_vec(),
            None => return false,
        },
    };
    let bytes: Vec<u8> = last.iter().filter_map(|digit| u8::try_from(*digit).ok()).collect();
    is_day(pair(&last, 2), pair(&last, 4)) && luhn(&bytes)
}

fn norwegian(text: &str) -> bool {
    let Some(d) = digits::<11>(text, " ") else { return false };
    let check = |weights: &[u32]| (11 - weighted(&d, weights) % 11) % 11;
    is_day(pair(&d, 2) % 40, pair(&d, 0) % 40)
        && check(&[3, 7, 6, 1, 8, 9, 4, 5, 2]) == d[9]
        && check(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) == d[10]
}

fn finnish(text: &str) -> bool {
    let letters = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let text = text.to_ascii_uppercase();
    let (Some(day), Some(mark), Some(rest)) = (text.get(..6), text.get(6..7), text.get(7..10))
    else {
        return false;
    };
    let (Some(day), Some(rest)) = (digits::<6>(day, ""), digits::<3>(rest, "")) else {
        return false;
    };
    let at = usize::try_from((number(&day) * 1000 + number(&rest)) % 31).unwrap_or_default();
    text.len() == 11
        && "-+ABCDEFYXWVU".contains(mark)
        && is_day(pair(&day, 2), pair(&day, 0))
        && text.as_bytes().get(10) == letters.get(at)
}

/// Its check digit is given up, so only the form with the line counts.
fn danish(text: &str) -> bool {
    let Some(d) = digits::<10>(text, "-") else { return false };
    text.as_bytes().get(6) == Some(&b'-') && text.len() == 11 && is_day(pair(&d, 2), pair(&d, 0))
}

fn czech(text: &str) -> bool {
    let Some(d) = digits::<10>(text, "/") else { return false };
    is_day(pair(&d, 2) % 50 % 20, pair(&d, 4)) && number(&d).is_multiple_of(11)
}

fn austrian(text: &str) -> bool {
    let Some(d) = digits::<10>(text, " ") else { return false };
    let sum = weighted(&d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    d[0] != 0 && is_day(pair(&d, 6), pair(&d, 4)) && sum % 11 == d[3]
}

fn swiss(text: &str) -> bool {
    let Some(d) = digits::<13>(text, ".") else { return false };
    let sum = weighted(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    d[..3] == [7, 5, 6] && (10 - sum % 10) % 10 == d[12]
}

fn british_health(text: &str) -> bool {
    let Some(d) = digits::<10>(text, " -") else { return false };
    let rest = 11 - weighted(&d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    d[0] != 0 && rest % 11 == d[9]
}

fn british(text: &str) -> bool {
    let text = text.replace(' ', "").to_ascii_uppercase();
    let bytes = text.as_bytes();
    bytes.len() == 9
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && !"DFIQUV".contains(char::from(bytes[0]))
        && !"DFIQUVO".contains(char::from(bytes[1]))
        && bytes[2..8].iter().all(u8::is_ascii_digit)
        && matches!(bytes[8], b'A'..=b'D')
}

fn romanian(text: &str) -> bool {
    let Some(d) = digits::<13>(text, "") else { return false };
    let rest = weighted(&d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    d[0] != 0
        && is_day(pair(&d, 3), pair(&d, 5))
        && rest.min(if rest == 10 { 1 } else { 9 }) == d[12]
}

fn bulgarian(text: &str) -> bool {
    let Some(d) = digits::<10>(text, "") else { return false };
    let rest = weighted(&d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    is_day(pair(&d, 2) % 20, pair(&d, 4)) && rest == d[9]
}

/// Has no check digit: only the form with lines counts.
fn american(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area, group, serial] = parts[..] else { return false };
    let is_number =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number(area, 3)
        && is_number(group, 2)
        && is_number(serial, 4)
        && !matches!(area, "000" | "666")
        && !area.starts_with('9')
        && group != "00"
        && serial != "0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_right_check_digits_are_known_and_others_are_not() {
        for (name, good, bad) in [
            ("Germany", "86095742719", "86095742718"),
            ("Germany", "15 070649 C 10 3", "15 070649 C 10 4"),
            ("France", "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
            ("Spain", "12345678Z", "12345678A"),
            ("Spain", "X1234567L", "X1234567M"),
            ("Italy", "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
            ("Portugal", "123456789", "123456788"),
            ("Netherlands", "111222333", "111222334"),
            ("Belgium", "85.07.30-033.28", "85.07.30-033.29"),
            ("Poland", "44051401359", "44051401358"),
            ("Sweden", "811228-9874", "811228-9873"),
            ("Norway", "01010750160", "01010750161"),
            ("Finland", "131052-308T", "131052-308U"),
            ("Denmark", "211062-5629", "2110625629"),
            ("Czechia", "736028/5163", "736028/5164"),
            ("Austria", "1237 010180", "1238 010180"),
            ("Switzerland", "756.9217.0769.85", "756.9217.0769.84"),
            ("NHS", "943 476 5919", "943 476 5918"),
            ("insurance number of the United Kingdom", "AB 12 34 56 C", "AB 12 34 56 E"),
            ("Romania", "1800101221144", "1800101221145"),
            ("Bulgaria", "7523169263", "7523169264"),
            ("United States", "078-05-1120", "000-05-1120"),
        ] {
            let fits = |text: &str| {
                SCHEMES.iter().any(|scheme| scheme.name.contains(name) && (scheme.fits)(text))
            };
            assert!(fits(good), "{name}: {good}");
            assert!(!fits(bad), "{name}: {bad}");
        }
        for text in ["", "é", "1", "00000000000", "X", "ab", "2026-01-31", "12:30:00", "ÄÖÜÄÖÜÄÖÜ"]
        {
            let found: Vec<&str> =
                SCHEMES.iter().filter(|s| (s.fits)(text)).map(|s| s.name).collect();
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }
}
