//! The password file of libpq: `host:port:database:user:password` lines.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a line has to match.
pub(crate) struct Wanted<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// Returns the password of the first line that matches; ignores a file others may read, as libpq
/// does.
pub(crate) fn find(path: &Path, wanted: &Wanted<'_>) -> Option<String> {
    let unused = |why: &str| {
        singer::warn!("W-PASSWORD-FILE", "the password file {} is not used: {why}", path.display());
        None
    };
    match singer::private_file::read(path) {
        Ok((_, status)) if status.permissions().mode() & 0o077 != 0 => {
            unused("other users may read it: chmod 600")
        }
        Ok((text, _)) => match std::str::from_utf8(&text) {
            Ok(text) => search(text, wanted),
            Err(_) => unused("it is not UTF-8"),
        },
        Err(cause) if cause.kind() == ErrorKind::NotFound => None,
        Err(cause) => unused(&cause.to_string()),
    }
}

fn search(text: &str, wanted: &Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    // libpq looks up a socket in the default folder as localhost.
    let host = match wanted.host {
        "/var/run/postgresql" | "/tmp" => "localhost",
        host => host,
    };
    let matches = |fields: &[String]| {
        let pairs = fields.iter().zip([host, &port, wanted.database, wanted.user]);
        fields.len() >= 5 && pairs.into_iter().all(|(field, value)| field == "*" || field == value)
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(split)
        .find(|fields| matches(fields))
        .and_then(|mut fields| fields.drain(4..).next())
}

/// Splits a line at colons; a backslash keeps the character behind it.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.iter_mut().last().into_iter().for_each(|f| f.extend(chars.next())),
            _ => fields.iter_mut().last().into_iter().for_each(|f| f.push(c)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_wins() {
        let check = |file: &str, expected: Option<&str>| {
            let wanted = Wanted { host: "h", port: 5432, database: "d", user: "u:1" };
            assert_eq!(search(file, &wanted).as_deref(), expected, "{file}");
        };
        check("", None);
        check("#h:5432:d:u\\:1:no\nh:5432:d:u\\:1:yes\n", Some("yes"));
        check("*:*:*:*:a\\:b\\\\c\n", Some("a:b\\c"));
        check("other:*:*:*:no\n*:5432:*:u\\:1:x:y", Some("x:y"));
        check("h:5432:d\n", None);
    }
}
