//! README.md and the pages of the book, with their fenced blocks.

use std::fs;

use crate::project::tidy::files;
use support::root;

/// A page.
pub struct Page {
    /// Its path below the root.
    pub name: String,
    /// What it says.
    pub text: String,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// A fenced block.
pub struct Block {
    /// Where its fence is, from 1.
    pub line: usize,
    /// The first word behind the fence.
    pub language: String,
    /// The other words behind the fence: how the block is tested.
    pub words: Vec<String>,
    /// Its lines.
    pub text: String,
}

impl Page {
    /// Returns the name of what a page needs to be run: `<!-- fixture: NAME -->` in its first line.
    pub fn fixture(&self) -> Option<&str> {
        let line = self.text.lines().next()?.strip_prefix("<!-- fixture: ")?;
        line.strip_suffix(" -->")
    }

    /// Says where a block is.
    pub fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.name, block.line)
    }
}

impl Block {
    /// Tells whether a word stands behind the fence.
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }

    /// Returns the value of `NAME=VALUE` behind the fence.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Returns README.md and the pages of the book.
pub fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for path in files() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let markdown = path.extension().is_some_and(|extension| extension == "md");
        let of_book = name.starts_with("docs/") && markdown;
        if of_book || name == "README.md" {
            let text = fs::read_to_string(&path).unwrap();
            pages.push(Page { blocks: blocks(&name, &text), text, name });
        }
    }
    pages
}

fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<usize> = None;
    for (at, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (open, fence) {
            (None, Some(info)) => {
                let mut words = info.split_whitespace().map(str::to_owned);
                let language = words.next().unwrap_or_default();
                let words = words.collect();
                blocks.push(Block { line: at + 1, language, words, text: String::new() });
                open = Some(line.len() - line.trim_start().len());
            }
            (Some(_), Some(_)) => open = None,
            (Some(indent), None) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}
