//! The help texts in the book are what the programs print.

use std::fs;

use super::command_lines::{command_lines, help};
use super::generated::{COMMENT, generated};
use support::root;

const PAGE: &str = "docs/reference/command-line.md";

#[test]
fn the_help_texts_of_the_book_are_what_the_programs_print() {
    for (mark, program) in [("help-tap", "tap-postgres"), ("help-target", "target-postgres")] {
        fill(mark, &[program.to_owned()]);
    }
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    for words in command_lines().iter().filter(|words| words[0] == "chorus") {
        let mark = format!("help-{}", words.join("-"));
        // Commands below a command have their place in the man pages.
        if words.len() < 3 || page.contains(&format!("<!-- generated:{mark} -->")) {
            fill(&mark, words);
        }
    }
}

fn fill(mark: &str, words: &[String]) {
    let text = format!("```text\n{}\n```", help(words).trim_end());
    generated(PAGE, mark, &COMMENT, &text);
}
