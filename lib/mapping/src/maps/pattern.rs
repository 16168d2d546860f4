//! Patterns of names: `*`, `?`, `[...]`, `[!...]`.

/// Tells whether a name fits a pattern.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where the last `*` stands, and up to where it reaches: it can always take one more.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match step(&pattern[p..], name[n]) {
            Some(taken) => (p, n) = (p + taken, n + 1),
            None if pattern.get(p) == Some(&'*') => {
                star = Some((p, n));
                p += 1;
            }
            None => match star {
                Some((at, reached)) => {
                    star = Some((at, reached + 1));
                    (p, n) = (at + 1, reached + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Returns how much of a pattern a character takes; `None` where it does not fit.
fn step(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '*' => None,
        '?' => Some(1),
        '[' => match pattern.iter().skip(2).position(|end| *end == ']') {
            Some(end) => class(&pattern[1..end + 2], c).then_some(end + 3),
            None => (c == '[').then_some(1),
        },
        other => (*other == c).then_some(1),
    }
}

fn class(class: &[char], c: char) -> bool {
    let (inverted, class) = match class.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut at = 0;
    let mut found = false;
    while at < class.len() {
        if class.get(at + 1) == Some(&'-') && at + 2 < class.len() {
            found |= (class[at]..=class[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= class[at] == c;
            at += 1;
        }
    }
    found != inverted
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn names_fit_patterns_as_in_python() {
        for (pattern, good, bad) in [
            ("users", &["users"] as &[&str], &["user", "users2", "Users"] as &[&str]),
            ("*s", &["s", "users", "public-orders"], &["user", ""]),
            ("a*b*c", &["abc", "axxbyyc", "abbcc"], &["abcd", "acb"]),
            ("or?er", &["order"], &["orer", "orrrer"]),
            ("t[0-9]", &["t1", "t0"], &["ta", "t", "t10"]),
            ("t[!0-9]", &["ta"], &["t1"]),
            ("t[]x]", &["t]", "tx"], &["ta"]),
            ("t[", &["t["], &["t"]),
            ("*", &["", "x"], &[]),
        ] {
            for name in good {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in bad {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
    }
}
