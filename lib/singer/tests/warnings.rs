//! The page of the warnings lists the codes that there are; `UPDATE=1` writes it again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

#[test]
fn the_page_lists_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/warnings.md");
    let page = fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- generated:warnings -->\n", "<!-- end:warnings -->");
    let (before, rest) = page.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = "| code | what it means, and what to do |\n|---|---|\n".to_owned();
    for (code, meaning) in singer::warning::CODES {
        let _ = writeln!(table, "| `{code}` | {meaning} |");
    }
    let fresh = [before, start, &table, end, after].concat();
    if fresh == page {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "docs/reference/warnings.md is stale: `make generate`"
    );
    fs::write(&path, fresh).unwrap();
}
