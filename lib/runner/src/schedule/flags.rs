//! Variables in `env` of a schedule that stand for flags of its runs, as `meltano run` reads them.

use project::spelled;
use singer::{Error, ErrorKind, Result};

use super::due::Schedule;
use crate::options::{Options, StateStrategy};

impl Schedule {
    /// Puts what its `env` says, or else the environment of this process, into how it is run.
    pub fn flagged(&self, options: Options) -> Result<Options> {
        let text = |name: &str| {
            let own = spelled::text(&self.env[name]);
            own.or_else(|| std::env::var(name).ok()).filter(|text| !text.is_empty())
        };
        let is_set = |name: &str| text(name).map_or(Ok(false), |text| truth(name, &text));
        let merges = is_set("MELTANO_RUN_MERGE_STATE")?;
        let state_strategy = match text("MELTANO_RUN_STATE_STRATEGY").as_deref() {
            None if merges => StateStrategy::Merge,
            None => options.state_strategy,
            Some(word) => match word.to_lowercase().as_str() {
                "auto" => StateStrategy::Auto,
                "merge" => StateStrategy::Merge,
                "overwrite" => StateStrategy::Overwrite,
                _ => return Err(refused("MELTANO_RUN_STATE_STRATEGY", word)),
            },
        };
        let suffix = options.state_id_suffix.clone();
        Ok(Options {
            full_refresh: options.full_refresh || is_set("MELTANO_RUN_FULL_REFRESH")?,
            no_state_update: options.no_state_update || is_set("MELTANO_RUN_NO_STATE_UPDATE")?,
            force: options.force || is_set("MELTANO_RUN_FORCE")?,
            state_id_suffix: suffix.or_else(|| text("MELTANO_RUN_STATE_ID_SUFFIX")),
            state_strategy,
            ..options
        })
    }
}

fn truth(name: &str, text: &str) -> Result<bool> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(refused(name, text)),
    }
}

fn refused(name: &str, text: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot use a variable that stands for a flag")
        .with("variable", name)
        .with("value", text)
        .hint("correct it in `env` of the schedule, or in the shell")
}
