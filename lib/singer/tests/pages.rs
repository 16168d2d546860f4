//! The pages of the book list the codes that there are; `UPDATE=1` writes them again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

#[test]
fn the_page_of_warnings_lists_every_code() {
    let mut table = "| code | what it means, and what to do |\n|---|---|\n".to_owned();
    for (code, meaning) in singer::warning::CODES {
        let _ = writeln!(table, "| `{code}` | {meaning} |");
    }
    generated("warnings", &table);
}

#[test]
fn the_page_of_exit_codes_lists_every_code() {
    let mut table = "| code | meaning | run it again? |\n|---:|---|---|\n".to_owned();
    for (code, meaning) in singer::man::EXIT_CODES {
        let again = match code {
            75 => "**yes** |",
            64..=78 => "no |",
            _ => "|",
        };
        let _ = writeln!(table, "| {code} | {meaning} | {again}");
    }
    generated("exit-codes", &table);
}

/// Compares the generated part of a page with what it has to be.
#[expect(clippy::unwrap_used, reason = "it is part of a test")]
fn generated(page: &str, table: &str) {
    let name = format!("docs/reference/{page}.md");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&name);
    let text = fs::read_to_string(&path).unwrap();
    let (start, end) = (format!("<!-- generated:{page} -->\n"), format!("<!-- end:{page} -->"));
    let (before, rest) = text.split_once(&start).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let fresh = [before, &start, table, &end, after].concat();
    if fresh == text {
        return;
    }
    assert!(std::env::var_os("UPDATE").is_some(), "{name} is stale: `make generate`");
    fs::write(&path, fresh).unwrap();
}
