//! The command line of taps and targets.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command};

use crate::about::About;
use crate::error::{Error, ErrorKind, Result};

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
    /// Describe the connector.
    About(AboutFormat),
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
}

/// Reads the command line; `Err(Ok(text))` is help or version to print.
pub fn read(
    about: &About,
    role: Role,
    args: impl IntoIterator<Item = OsString>,
) -> std::result::Result<Args, Result<String>> {
    let mut matches =
        command(about, role).try_get_matches_from(args).map_err(|failure| told(&failure))?;
    let has = |matches: &clap::ArgMatches, flag: &str| {
        matches.try_get_one::<bool>(flag).ok().flatten().copied().unwrap_or(false)
    };
    let word = |matches: &clap::ArgMatches, name: &str| {
        matches.try_get_one::<String>(name).ok().flatten().cloned()
    };
    let action = if has(&matches, "about") {
        Action::About(match word(&matches, "format").as_deref() {
            Some("json") => AboutFormat::Json,
            Some("markdown") => AboutFormat::Markdown,
            Some("meltano") => AboutFormat::Meltano,
            _ => AboutFormat::Text,
        })
    } else if has(&matches, "discover") {
        Action::Discover
    } else {
        match (word(&matches, "plan").as_deref(), word(&matches, "test").as_deref()) {
            (Some("json"), _) => Action::Plan(PlanFormat::Json),
            (Some(_), _) => Action::Plan(PlanFormat::Text),
            (None, Some("schema")) => Action::Test(TestDepth::Schema),
            (None, Some(_)) => Action::Test(TestDepth::All),
            (None, None) => Action::Run,
        }
    };
    let mut path = |name: &str| matches.try_remove_one::<PathBuf>(name).ok().flatten();
    let (catalog, state, input) = (path("catalog"), path("state"), path("input"));
    let configs = matches.remove_many("config").map(Iterator::collect).unwrap_or_default();
    let sets = matches.remove_many("set").map(Iterator::collect).unwrap_or_default();
    let deny_warnings =
        matches.remove_many("deny-warnings").map(Iterator::collect).unwrap_or_default();
    Ok(Args { action, configs, sets, catalog, state, input, deny_warnings })
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
    let hint = tip.map_or("see --help".to_owned(), |tip| format!("{tip}; see --help"));
    Err(Error::new(ErrorKind::Usage, message).hint(hint))
}

fn command(about: &About, role: Role) -> Command {
    let command = Command::new(about.name).about(about.description).version(about.version);
    let command = of_every_role(command);
    match role {
        Role::Target => command
            .arg(input())
            .arg(plan().help("Print what a load of the input's schemas would do; change nothing")),
        Role::Mapper => command
            .arg(input())
            .arg(plan().help("Print what would become of the streams of the input")),
        Role::Tap => of_taps(command),
    }
}

fn of_every_role(command: Command) -> Command {
    let set = Arg::new("set")
        .long("set")
        .value_name("NAME=VALUE")
        .action(ArgAction::Append)
        .value_parser(setting)
        .help("Set one setting; repeatable, wins over --config; not for secrets");
    let deny_warnings = Arg::new("deny-warnings")
        .long("deny-warnings")
        .value_name("CODE|all")
        .action(ArgAction::Append)
        .value_delimiter(',')
        .help("End the run, with exit code 65, at a warning of this code; repeatable");
    let format = Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(["text", "json", "markdown", "meltano"])
        .requires("about")
        .help("The form of --about");
    let config = file(
        "config",
        "Settings, a JSON file; repeatable, later files win; ENV reads environment variables",
    );
    command
        .arg(config.short('c').action(ArgAction::Append))
        .arg(set)
        .arg(deny_warnings)
        .arg(flag("about", "Describe the connector and its settings"))
        .arg(format)
}

fn of_taps(command: Command) -> Command {
    command
        .arg(flag("discover", "Print the catalog of all streams").short('d'))
        .arg(
            file("catalog", "Streams and properties to read, as written by --discover")
                .alias("properties")
                .short_alias('p'),
        )
        .arg(file("state", "Where the last run ended, as printed by the target").short('s'))
        .arg(
            choice("test", "all|schema", ["all", "schema"])
                .help("Read one record of each stream, or schemas alone"),
        )
        .arg(
            plan()
                .help("Print what a run would read; without --catalog, after a discovery")
                .conflicts_with_all(["discover", "test"]),
        )
        .arg(flag("dev", "Accepted for singer-python's sake; does nothing").hide(true))
}

fn input() -> Arg {
    file("input", "Read messages from a file, not from stdin")
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
fn choice(name: &'static str, shown: &'static str, values: [&'static str; 2]) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(shown)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value(values[0])
        .value_parser(values)
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
