//! The command line of taps and targets.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, ValueHint};

use crate::about::About;
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{self, Kind};
use crate::help::{self, Example};
use crate::tables::{self, Aim};

/// Which flags there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Writes messages.
    Tap,
    /// Reads messages.
    Target,
    /// Reads messages and writes others.
    Mapper,
}

impl Role {
    /// Returns Meltano's words for what every one of them can.
    pub(crate) const fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::Tap => &[
                "catalog",
                "discover",
                "state",
                "about",
                "test",
                "plan",
                "deny-warnings",
                "structured-logging",
            ],
            Self::Target => {
                &["about", "plan", "deny-warnings", "validate-records", "structured-logging"]
            }
            Self::Mapper => &["about", "plan", "deny-warnings", "structured-logging"],
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Move rows.
    Run,
    /// Print the catalog.
    Discover,
    /// Read one record a stream, or none.
    Test(TestDepth),
    /// Tell what a run would do.
    Plan(PlanFormat),
    /// Tell what would be done to the tables.
    PlanTables(Aim),
    /// Do it.
    ApplyTables,
    /// Describe the connector.
    About(AboutFormat),
    /// Write completions or the man page.
    Generate(Kind),
}

/// How far `--test` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestDepth {
    /// One record a stream.
    All,
    /// Schemas alone.
    Schema,
}

/// How `--plan` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// One object.
    Json,
}

/// How `--about` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AboutFormat {
    /// For people.
    Text,
    /// As the Singer SDK writes it.
    Json,
    /// Tables for a README.
    Markdown,
    /// A plugin block for meltano.yml.
    Meltano,
}

/// The command line, read.
#[derive(Clone, Debug)]
pub struct Args {
    /// What to do.
    pub action: Action,
    /// `--config`, in order: a file, or `ENV`.
    pub configs: Vec<PathBuf>,
    /// `--set NAME=VALUE`, in order.
    pub sets: Vec<(String, String)>,
    /// `--catalog` or `--properties`.
    pub catalog: Option<PathBuf>,
    /// `--state`
    pub state: Option<PathBuf>,
    /// `--input`
    pub input: Option<PathBuf>,
    /// `--deny-warnings`: codes, or `all`.
    pub deny_warnings: Vec<String>,
    /// `--to`: where `--generate` writes.
    pub to: Option<PathBuf>,
    /// `--pipeline`
    pub pipeline: Option<String>,
    /// `--schema-apply`
    pub schema_apply: Option<PathBuf>,
    /// `--allow-drop`
    pub allow_drop: bool,
}

/// Reads the command line; `Err(Ok(text))` is help or version to print.
pub fn read(
    command: Command,
    args: impl IntoIterator<Item = OsString>,
) -> std::result::Result<Args, Result<String>> {
    let mut matches = command.try_get_matches_from(args).map_err(|failure| told(&failure))?;
    let generate = matches.try_remove_one::<Kind>("generate").ok().flatten();
    let has = |matches: &clap::ArgMatches, flag: &str| {
        matches.try_get_one::<bool>(flag).ok().flatten().copied().unwrap_or(false)
    };
    let word = |matches: &clap::ArgMatches, name: &str| {
        matches.try_get_one::<String>(name).ok().flatten().cloned()
    };
    let action = if let Some(kind) = generate {
        Action::Generate(kind)
    } else if has(&matches, "about") {
        Action::About(match word(&matches, "format").as_deref() {
            Some("json") => AboutFormat::Json,
            Some("markdown") => AboutFormat::Markdown,
            Some("meltano") => AboutFormat::Meltano,
            _ => AboutFormat::Text,
        })
    } else if has(&matches, "discover") {
        Action::Discover
    } else if let Some(aim) = word(&matches, "schema-plan") {
        Action::PlanTables(Aim::of_word(&aim).unwrap_or_default())
    } else if matches.try_contains_id("schema-apply").is_ok() && matches.contains_id("schema-apply")
    {
        Action::ApplyTables
    } else {
        match (word(&matches, "plan").as_deref(), word(&matches, "test").as_deref()) {
            (Some("json"), _) => Action::Plan(PlanFormat::Json),
            (Some(_), _) => Action::Plan(PlanFormat::Text),
            (None, Some("schema")) => Action::Test(TestDepth::Schema),
            (None, Some(_)) => Action::Test(TestDepth::All),
            (None, None) => Action::Run,
        }
    };
    let (pipeline, allow_drop) = (word(&matches, "pipeline"), has(&matches, "allow-drop"));
    let mut path = |name: &str| matches.try_remove_one::<PathBuf>(name).ok().flatten();
    let (catalog, state, input) = (path("catalog"), path("state"), path("input"));
    let (to, schema_apply) = (path("to"), path("schema-apply"));
    let configs = matches.remove_many("config").map(Iterator::collect).unwrap_or_default();
    let sets = matches.remove_many("set").map(Iterator::collect).unwrap_or_default();
    let deny_warnings =
        matches.remove_many("deny-warnings").map(Iterator::collect).unwrap_or_default();
    Ok(Args {
        action,
        configs,
        sets,
        catalog,
        state,
        input,
        deny_warnings,
        to,
        pipeline,
        schema_apply,
        allow_drop,
    })
}

/// Turns what clap cannot take into the error of wrong flags; `Ok` is help or version to print.
pub fn told(failure: &clap::Error) -> Result<String> {
    let text = failure.to_string();
    if !failure.use_stderr() {
        return Ok(text);
    }
    let text = text.trim().trim_start_matches("error: ");
    let (message, rest) = text.split_once('\n').unwrap_or((text, ""));
    // The names of arguments that are missing stand below.
    let names = rest.lines().take_while(|line| line.starts_with("  ")).map(str::trim);
    let message = [message].into_iter().chain(names).collect::<Vec<_>>().join(" ");
    let tip = rest.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    // A flag that is not known is not meant as a word: followed, this tip leads to the next error.
    let tip = tip.filter(|tip| !(tip.starts_with("to pass '-") && tip.contains("as a value")));
    let hint = tip.map_or("see --help".to_owned(), |tip| format!("{tip}; see --help"));
    Err(Error::new(ErrorKind::Usage, message).hint(hint))
}

/// Returns the definition of the command line of a connector; its own examples come first.
pub(crate) fn command(about: &About, role: Role, own: &[Example]) -> Command {
    let more = match role {
        Role::Tap => TAP_EXAMPLES,
        Role::Target | Role::Mapper => INPUT_EXAMPLES,
    };
    let command = Command::new(about.name)
        .about(about.description)
        .version(about.version)
        .disable_version_flag(true)
        .after_help(help::examples(about.name, &[own, more]))
        .args(settings());
    let command = match role {
        Role::Tap => command.args(of_taps()),
        Role::Target => command
            .args([input(), plan().help("Print what a load would do, and change nothing")])
            .args(of_tables(about)),
        Role::Mapper => {
            command.args([input(), plan().help("Print what happens to each stream of the input")])
        }
    };
    help::shaped(command.args(of_every_role()).args(generate::flags()).arg(version()))
}

/// What every tap can.
const TAP_EXAMPLES: &[Example] = &[
    Example {
        what: "Write the catalog of all streams to a file",
        line: "{} -c tap.json --discover > catalog.json",
    },
    Example {
        what: "Show what a run would read, and read no row",
        line: "{} -c tap.json --catalog catalog.json --state state.json --plan",
    },
];

/// What can be done with a file of messages.
const INPUT_EXAMPLES: &[Example] = &[Example {
    what: "Show what becomes of the messages in a file, and change nothing",
    line: "{} -c settings.json --input messages.jsonl --plan",
}];

fn settings() -> [Arg; 2] {
    let config = file(
        "config",
        "Read settings from a JSON file, or from environment variables (ENV); repeatable, the \
         last one wins",
    );
    let set = Arg::new("set")
        .long("set")
        .value_name("NAME=VALUE")
        .action(ArgAction::Append)
        .value_parser(setting)
        .value_hint(ValueHint::Other)
        .help("Set one setting, over --config; repeatable; not for secrets");
    [config.short('c').action(ArgAction::Append), set]
}

fn of_every_role() -> [Arg; 3] {
    let format = Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(["text", "json", "markdown", "meltano"])
        .hide_possible_values(true)
        .requires("about")
        .help("Form of --about: text, json, markdown or meltano");
    let deny_warnings = Arg::new("deny-warnings")
        .long("deny-warnings")
        .value_name("CODE")
        .action(ArgAction::Append)
        .value_delimiter(',')
        .help("Exit with 65 at a warning of this code, or `all`; repeatable");
    [flag("about", "Describe the program and its settings"), format, deny_warnings]
}

fn of_taps() -> Vec<Arg> {
    let catalog = file("catalog", "Read the streams and columns that this catalog selects");
    let state = file("state", "Go on from this state, which the target printed at its end");
    vec![
        catalog.alias("properties").short_alias('p'),
        state.short('s'),
        flag("discover", "Print the catalog of all streams").short('d'),
        choice("test", "all|schema", ["all", "schema"])
            .help("Read one record of each stream, or only the schemas"),
        plan().help("Print what a run would read").conflicts_with_all(["discover", "test"]),
        flag("dev", "Accepted for singer-python's sake; does nothing").hide(true),
    ]
}

/// What targets with tables can.
fn of_tables(about: &About) -> Vec<Arg> {
    let can = about.capabilities.contains(&tables::CAPABILITY);
    if can { flags_of_tables() } else { Vec::new() }
}

fn flags_of_tables() -> Vec<Arg> {
    let words = Aim::WORDS.map(|(word, _)| word);
    let plan = choice("schema-plan", "changes|additions|build|drop", words)
        .conflicts_with("plan")
        .help("Print as JSON how the tables would be made, changed or dropped");
    let pipeline = Arg::new("pipeline")
        .long("pipeline")
        .value_name("NAME")
        .requires("schema-plan")
        .help("With --schema-plan: the name of the pipeline that fills the tables");
    let apply = file("schema-apply", "Change the tables as this plan of --schema-plan says")
        .conflicts_with_all(["plan", "schema-plan"]);
    let drop = flag("allow-drop", "With --schema-apply: drop tables and columns, too")
        .requires("schema-apply");
    vec![plan, pipeline, apply, drop]
}

fn version() -> Arg {
    let arg = Arg::new("version").long("version").short('V').action(ArgAction::Version);
    arg.display_order(1001).help("Print the version")
}

fn input() -> Arg {
    file("input", "Read messages from a file instead of standard input")
}

fn plan() -> Arg {
    choice("plan", "text|json", ["text", "json"])
}

fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(ValueParser::path_buf()).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Makes an argument whose value can be left out: then it is the first one.
fn choice<const N: usize>(
    name: &'static str,
    shown: &'static str,
    values: [&'static str; N],
) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(shown)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value(values[0])
        .value_parser(values)
        .hide_possible_values(true)
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
