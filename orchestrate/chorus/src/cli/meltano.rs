//! Flags of `meltano run` and `meltano el`, and the variables that stand for them.

use clap::{Args, ValueEnum};
use runner::options::{Options, StateStrategy};
use singer::{Error, ErrorKind, Result};

use super::RunArgs;

/// Flags that Meltano has, too.
#[derive(Clone, Debug, Default, Args)]
pub struct MeltanoFlags {
    /// Run although Meltano's database has the job as running
    #[arg(long, short)]
    pub force: bool,
    /// auto, merge into the old state, or overwrite it
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub state_strategy: Option<Strategy>,
    /// The old form of `--state-strategy merge`
    #[arg(long, hide = true, conflicts_with = "state_strategy")]
    pub merge_state: bool,
    /// Nothing: catalogs are not kept
    #[arg(long, hide = true)]
    pub refresh_catalog: bool,
    /// The UUID of the run, for its record and Meltano's database
    #[arg(long, hide = true, value_name = "UUID", value_parser = uuid)]
    pub run_id: Option<String>,
    /// How plugins are installed before the run
    #[command(flatten)]
    pub install: InstallFlags,
}

/// Which plugins are installed before a run.
#[derive(Clone, Copy, Debug, Default, Args)]
#[group(multiple = false)]
pub struct InstallFlags {
    /// Install every plugin of the run that is not up to date
    #[arg(long = "install", hide = true)]
    pub all: bool,
    /// Install no plugin
    #[arg(long = "no-install", hide = true)]
    pub none: bool,
    /// Install the plugins of the run, and run nothing
    #[arg(long = "only-install", hide = true)]
    pub only: bool,
}

/// How the state of a run goes with the one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// It takes its place; streams that are not read keep their bookmarks
    Auto,
    /// It is put over it, at every depth
    Merge,
    /// It takes its place as a whole
    Overwrite,
}

impl From<Strategy> for StateStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Auto => Self::Auto,
            Strategy::Merge => Self::Merge,
            Strategy::Overwrite => Self::Overwrite,
        }
    }
}

impl MeltanoFlags {
    /// Returns the flags with what `meltano run` takes from variables; a flag wins.
    pub fn of_run(self) -> Result<Self> {
        let strategy = match variable("MELTANO_RUN_STATE_STRATEGY") {
            Some(text) if self.state_strategy.is_none() && !self.merge_state => {
                let read = Strategy::from_str(&text, false);
                Some(read.map_err(|_| refused("MELTANO_RUN_STATE_STRATEGY", &text))?)
            }
            _ => self.state_strategy,
        };
        let run_id = match variable("MELTANO_RUN_ID") {
            Some(text) if self.run_id.is_none() => {
                Some(uuid(&text).map_err(|_| refused("MELTANO_RUN_ID", &text))?)
            }
            _ => self.run_id,
        };
        let force = self.force || is_set("MELTANO_RUN_FORCE")?;
        Ok(Self { force, state_strategy: strategy, run_id, ..self })
    }

    /// Puts them into how a run is made.
    pub fn into_options(self, options: Options) -> Options {
        let merged = self.merge_state.then_some(Strategy::Merge);
        let state_strategy = self.state_strategy.or(merged).map(Into::into).unwrap_or_default();
        Options { force: self.force, state_strategy, run_id: self.run_id, ..options }
    }
}

impl RunArgs {
    /// Returns the arguments with what `meltano run` takes from variables; a flag wins.
    pub fn of_run(mut self) -> Result<Self> {
        self.how.full_refresh |= is_set("MELTANO_RUN_FULL_REFRESH")?;
        self.no_state_update |= is_set("MELTANO_RUN_NO_STATE_UPDATE")?;
        if self.what.state_id.is_none() && self.what.state_id_suffix.is_none() {
            self.what.state_id_suffix = variable("MELTANO_RUN_STATE_ID_SUFFIX");
        }
        if let Some(text) = variable("MELTANO_RUN_TIMEOUT").filter(|_| self.timeout.is_none()) {
            let read = seconds(&text);
            self.timeout = Some(read.map_err(|_| refused("MELTANO_RUN_TIMEOUT", &text))?);
        }
        self.meltano = self.meltano.of_run()?;
        Ok(self)
    }

    /// Returns how to run it.
    pub fn options(&self) -> Options {
        let (parallel, no_state_update) = (self.parallel, self.no_state_update);
        let options = Options { parallel, no_state_update, ..self.how.options() };
        self.meltano.clone().into_options(options)
    }
}

/// Returns a variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Tells whether a variable sets a flag, in the words that Meltano knows.
pub fn is_set(name: &str) -> Result<bool> {
    let Some(text) = variable(name) else { return Ok(false) };
    match text.to_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(refused(name, &text)),
    }
}

/// Refuses the value of a variable that stands for a flag.
pub fn refused(name: &str, text: &str) -> Error {
    Error::new(ErrorKind::Usage, "cannot use a variable that stands for a flag")
        .with("variable", name)
        .with("value", text)
        .hint("correct it, or unset it")
}

fn uuid(text: &str) -> std::result::Result<String, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let fits = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !fits {
        return Err("it is a UUID, such as 6f3a1c5e-0000-4000-8000-000000000001".to_owned());
    }
    let digits = digits.to_lowercase();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(parts.join("-"))
}

/// Reads a number of seconds.
pub(super) fn seconds(text: &str) -> std::result::Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "it is a whole number of seconds, from 1".to_owned())
}
