//! Reads the plain shape.

use std::collections::BTreeSet;

use places::{Inner, Member, Node, Spot};
use singer::near::{ALIKE, nearest};
use singer::{Error, ErrorKind, Result};

use super::given::{Given, One, has_variable, misfit, named};
use super::keys;
use super::made::escaped;
use super::model::{Monitor, Plain, PlainSource, SourceKind};
use super::span::duration;
use super::times;
use super::types::{self, PlainType};
use crate::variables::Variables;
use crate::warning;

impl Plain {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// `Config` with the line and column of what is wrong.
    pub fn read(text: &str) -> Result<Self> {
        let node = parsed(text)?;
        let members = members(&node, "the file")?;
        let given = Given::read(&members, keys::TOP, "the file", node.spot)?;
        let sources = sources(&node)?;
        let target = node.get("target").map(target).transpose()?;
        let output_csv_path = given.text("output_csv_path").map(str::to_owned);
        let combine = given.truth("combine").unwrap_or(true);
        if target.is_none() && output_csv_path.is_none() {
            return Err(node.spot.fault("the file has no `target`").hint(
                "add `target` with the database and table, or `output_csv_path` for a CSV file",
            ));
        }
        if let Some(one) = given.get("output_csv_path").filter(|_| !combine) {
            return Err(one
                .spot
                .fault("cannot write several streams to one CSV file")
                .hint("remove `combine: false` or `output_csv_path`"));
        }
        check_output(&given, &sources)?;
        let columns = node.get("schema").map(columns).transpose()?.unwrap_or_default();
        let strict = given.truth("strict_mode").unwrap_or_default();
        for key in ["strict_mode", "on_violation"] {
            if let Some(one) = given.get(key).filter(|one| columns.is_empty() && one.value != false)
            {
                let fault = one.spot.fault(&format!("cannot use `{key}` without `schema`"));
                return Err(fault.hint(format!("add `schema` with `columns`, or remove `{key}`")));
            }
        }
        if let Some(one) = given.get("on_violation").filter(|_| !strict) {
            let fault = one.spot.fault("cannot use `on_violation` without `strict_mode: true`");
            return Err(fault.hint("without strict_mode all rows are loaded"));
        }
        let source_column = given.text("source_column").unwrap_or("source").to_owned();
        if let Some((name, _)) = columns.iter().find(|(name, _)| *name == source_column) {
            let spot = node.get("schema").map_or(node.spot, |schema| schema.spot);
            return Err(spot
                .fault("a column of `schema` has the name of the column that names the source")
                .with("name", name)
                .hint("give that column another name with `source_column`"));
        }
        let monitor = node.get("monitor").map(monitor).transpose()?;
        if let (Some(node), false) = (node.get("monitor"), sources.iter().any(is_local)) {
            let fault = node.spot.fault("cannot watch without a source of type `local`");
            return Err(fault.hint("remove `monitor`: only local files are watched"));
        }
        let times = times::read(&given)?;
        let table = target.as_ref().and_then(|target| target.text("table"));
        let name = table.map_or("combined", |table| table.rsplit('.').next().unwrap_or(table));
        let mut this = Self {
            name: plugin_name(name),
            sources,
            output_csv_path,
            target,
            columns,
            strict,
            on_violation: given.text("on_violation").map(str::to_owned),
            combine,
            count_duplicates: given.text("count_duplicates").map(str::to_owned),
            source_column,
            times,
            monitor,
            warnings: Vec::new(),
        };
        this.warn_of_secrets();
        this.warn_of_bare_variables(given.get("output_csv_path"));
        Ok(this)
    }

    /// Tells whether the shape has a key of this name, in some place.
    pub fn has_key(name: &str) -> bool {
        keys::has(name)
    }

    /// Returns all values with the name of the part that they belong to.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, &Given)> {
        let sources = self.sources.iter().map(|source| (source.name.as_str(), &source.given));
        sources.chain(self.target.iter().map(|target| ("target", target)))
    }

    /// Refuses variables that have no value.
    ///
    /// # Errors
    /// `Config` with the line and column of the text that needs one.
    pub fn check_variables(&self, variables: &Variables) -> Result<()> {
        for (part, given) in self.parts() {
            for one in given.all().iter().filter(|one| !one.is_literal_secret()) {
                let mut missing = BTreeSet::new();
                variables.expand(&escaped(one.value.as_str().unwrap_or_default()), &mut missing);
                if let Some(name) = missing.first() {
                    return Err(one
                        .spot
                        .fault("cannot find the value of a variable")
                        .with("variable", name)
                        .with("key", format!("{} of {part}", one.name))
                        .hint(format!(
                            "write {name}=... into the file .env beside the config.yaml, or set \
                             the variable in the shell"
                        )));
                }
            }
        }
        Ok(())
    }

    fn warn_of_secrets(&mut self) {
        let literal = |(part, given): (&str, &Given)| {
            let of = |one: &One| format!("{} of {part} (line {})", one.name, one.spot.line);
            let found = given.all().iter().filter(|one| one.is_literal_secret());
            found.map(of).collect::<Vec<_>>()
        };
        let found: Vec<String> = self.parts().flat_map(literal).collect();
        if !found.is_empty() {
            self.warnings.push(warning!(
                "W-SECRET-LITERAL",
                "secrets stand in the file: {}; write \"${{NAME}}\" there, and NAME=... into .env",
                found.join(", ")
            ));
        }
    }

    /// Warns of `$NAME`, which is a text here and a variable in `meltano.yml`.
    fn warn_of_bare_variables(&mut self, output: Option<&One>) {
        let values = self.parts().flat_map(|(part, given)| {
            given.all().iter().map(move |one| (one, format!("{} of {part}", one.name)))
        });
        let output = output.map(|one| (one, one.name.to_owned()));
        let found: Vec<_> = values
            .chain(output)
            .filter_map(|(one, of)| {
                let name = bare_variable(one.value.as_str()?, one.is_secret)?;
                let line = one.spot.line;
                Some(warning!(
                    "W-PROJECT-UNUSED",
                    "`${name}` in {of} (line {line}) is a text and no variable: write \
                     \"${{{name}}}\""
                ))
            })
            .collect();
        self.warnings.extend(found);
    }
}

/// Returns the name behind the first `$` of a text that looks like a variable without braces:
/// capital letters at the beginning of the text, or behind a sign such as `/`. A secret may have
/// such letters in it: it has to be nothing else.
fn bare_variable(text: &str, is_secret: bool) -> Option<&str> {
    let name = |at: usize| {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        let is_name = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_uppercase());
        let before = text[..at].chars().next_back();
        let is_whole = at == 0 && name.len() == rest.len();
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '$' && c != '\\');
        (is_name && if is_secret { is_whole } else { begins }).then_some(name)
    };
    text.match_indices('$').find_map(|(at, _)| name(at))
}

/// Refuses a file without a value, such as one of comments only.
fn parsed(text: &str) -> Result<Node> {
    let node = if text.trim().is_empty() { None } else { Some(places::parse(text)?) };
    node.filter(|node| !node.is_null()).ok_or_else(|| {
        Error::new(ErrorKind::Config, "the file is empty")
            .hint("write `sources` and `target`: see docs/guides/one-file.md")
    })
}

/// Refuses a CSV file that the next run would read.
fn check_output(given: &Given, sources: &[PlainSource]) -> Result<()> {
    let Some(one) = given.get("output_csv_path") else { return Ok(()) };
    let bare = |text: &str| text.trim_start_matches("./").trim_end_matches('/').to_owned();
    let output = bare(one.value.as_str().unwrap_or_default());
    let reads = |path: &str| {
        let path = bare(path);
        let below = output.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'));
        let glob = globset::GlobBuilder::new(&path).literal_separator(true).build();
        let is_match = glob.is_ok_and(|glob| glob.compile_matcher().is_match(&output));
        below || is_match || matches!(path.as_str(), "" | ".") && !output.starts_with('/')
    };
    if let Some(path) = sources.iter().filter_map(PlainSource::local_path).find(|path| reads(path))
    {
        let fault = one.spot.fault("cannot write the CSV file into a folder that is read");
        return Err(fault
            .with("path of the source", path)
            .hint("write it into another folder: the next run would read it as a source"));
    }
    Ok(())
}

fn is_local(source: &PlainSource) -> bool {
    source.kind == SourceKind::Local
}

/// Returns the letters of a name that names of plugins have.
pub(super) fn plugin_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    name.to_lowercase().chars().map(letter).collect()
}

fn members<'a>(node: &'a Node, what: &str) -> Result<Vec<&'a Member>> {
    match &node.inner {
        Inner::Mapping(members) => Ok(members.iter().collect()),
        _ => Err(node
            .spot
            .fault(&format!("{what} is not a mapping"))
            .hint("write lines of the form `key: value`, all with the same indentation")),
    }
}

fn sources(top: &Node) -> Result<Vec<PlainSource>> {
    let missing = |spot: Spot| {
        let fault = spot.fault("the file has no sources");
        fault.hint("add `sources`: a list of entries with `type: local`, `api` or `sftp`")
    };
    let node = top.get("sources").ok_or_else(|| missing(top.spot))?;
    let items = match &node.inner {
        Inner::List(items) if !items.is_empty() => items,
        Inner::Mapping(_) => {
            let fault = node.spot.fault("`sources` is not a list");
            return Err(fault.hint("begin each source with `- type: ...`"));
        }
        _ => return Err(missing(node.spot)),
    };
    let mut found: Vec<PlainSource> = Vec::new();
    let mut names = BTreeSet::new();
    for item in items {
        let mut source = source(item)?;
        if item.get("name").is_some() {
            if !names.insert(source.name.clone()) {
                let fault = item.spot.fault("two sources have one name").with("name", source.name);
                return Err(fault.hint("give one of them another `name`"));
            }
        } else {
            let base = source.name.clone();
            let mut count = 1;
            while !names.insert(source.name.clone()) {
                count += 1;
                source.name = format!("{base}_{count}");
            }
        }
        found.push(source);
    }
    Ok(found)
}

const TYPES: [(&str, SourceKind, &[keys::Key]); 3] = [
    ("local", SourceKind::Local, keys::LOCAL),
    ("api", SourceKind::Api, keys::API),
    ("sftp", SourceKind::Sftp, keys::SFTP),
];

fn source(node: &Node) -> Result<PlainSource> {
    let all = members(node, "a source")?;
    let words = TYPES.map(|(word, ..)| word);
    let Some(kind) = node.get("type") else {
        let fault = node.spot.fault("a source has no `type`");
        return Err(fault.hint(format!("write `type: {}`", words.join("`, `type: "))));
    };
    let word = kind.text("type")?;
    let Some((word, kind, keys)) = TYPES.iter().find(|(known, ..)| *known == word) else {
        let near = nearest(&word, words, ALIKE);
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let fault = kind.spot.fault("unknown type of a source").with("type", word);
        return Err(fault.hint(format!("{near}the types are {}", words.join(", "))));
    };
    let is_own = |member: &&&Member| !matches!(member.key.as_str(), "type" | "name");
    let mut of_kind: Vec<&Member> = all.iter().filter(is_own).copied().collect();
    // The settings of a server may stand below a key of its type.
    if *kind == SourceKind::Sftp
        && let Some(at) = of_kind.iter().position(|member| member.key == "sftp")
    {
        let nested = of_kind.remove(at);
        of_kind.extend(members(&nested.value, "`sftp`")?);
    }
    let what = format!("a source of type `{word}`");
    let given = Given::read(&of_kind, keys, &what, node.spot)?;
    let name = match node.get("name") {
        Some(name) => {
            let text = name.text("name")?;
            if plugin_name(&text) != text {
                return Err(misfit(name.spot, "name", "it has other characters than a-z 0-9 _ -"));
            }
            text
        }
        None => (*word).to_owned(),
    };
    Ok(PlainSource { name, kind: *kind, given })
}

fn target(node: &Node) -> Result<Given> {
    let all = members(node, "`target`")?;
    if node.get("type").is_none() {
        let fault = node.spot.fault("`target` has no `type`");
        return Err(fault.hint("write `type: postgres`"));
    }
    let given = Given::read(&all, keys::TARGET, "`target`", node.spot)?;
    if let Some(one) = given.get("table") {
        let table = one.value.as_str().unwrap_or_default();
        let parts: Vec<&str> = table.split('.').collect();
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) || has_variable(table) {
            let misfit = misfit(one.spot, "table", "it is not the name of a table");
            return Err(misfit.hint("write TABLE or SCHEMA.TABLE"));
        }
    }
    Ok(given)
}

fn columns(node: &Node) -> Result<Vec<(String, PlainType)>> {
    let all = members(node, "`schema`")?;
    Given::read(&all, keys::SCHEMA, "`schema`", node.spot)?;
    let Some(columns) = node.get("columns") else {
        return Err(node.spot.fault("`schema` has no `columns`").hint("add `columns`"));
    };
    let mut found: Vec<(String, PlainType)> = Vec::new();
    for member in members(columns, "`columns`")? {
        let name = named(member, "a column of `schema`")?.trim().to_lowercase();
        if found.iter().any(|(known, _)| *known == name) {
            let fault = member.spot.fault("a column is there twice").with("name", name);
            return Err(fault.hint("remove one of them: upper and lower case are one name"));
        }
        let Inner::Scalar(serde_json::Value::String(word)) = &member.value.inner else {
            if let Inner::Mapping(_) = &member.value.inner {
                let fault = member.value.spot.fault("a column of `schema` is a mapping");
                return Err(fault.with("name", name).hint(keys::TO_CONTRACTS));
            }
            let fault = member.value.spot.fault("a column has no type").with("name", name);
            return Err(fault.hint(format!("write one of {}", types::SHOWN)));
        };
        let Some(read) = types::read(word) else {
            let fault = member.value.spot.fault("unknown type of a column");
            let fault = fault.with("name", name).with("type", word);
            return Err(fault.hint(format!("write one of {}", types::SHOWN)));
        };
        found.push((name, read));
    }
    if found.is_empty() {
        return Err(columns
            .spot
            .fault("`columns` is empty")
            .hint("add columns, or remove `schema`"));
    }
    Ok(found)
}

fn monitor(node: &Node) -> Result<Monitor> {
    let all = members(node, "`monitor`")?;
    let given = Given::read(&all, keys::MONITOR, "`monitor`", node.spot)?;
    let interval_text = given.get("interval").map_or_else(|| "60s".into(), |one| one.value.clone());
    let interval = duration(&interval_text).unwrap_or_default();
    let reextract_all = given.text("reextract") == Some("all");
    Ok(Monitor { interval, interval_text, reextract_all })
}
