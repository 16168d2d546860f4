//! The arguments of `chorus install`.

use clap::Args;

use crate::complete;

/// What to install, and how.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Plugins to install; without one, all that have a `pip_url`
    #[arg(value_name = "PLUGIN", add = complete::all_plugins())]
    pub plugins: Vec<String>,
    /// Install the plugins of a schedule
    #[arg(long, value_name = "SCHEDULE", conflicts_with = "plugins", hide = true)]
    pub schedule: Option<String>,
    /// Install the plugins of this kind
    #[arg(long, value_name = "KIND", hide = true)]
    pub plugin_type: Option<String>,
    /// Install again what is up to date, too
    #[arg(long)]
    pub clean: bool,
    /// Ignore the version of Python that a package requires (pip only)
    #[arg(long)]
    pub force: bool,
    /// How many plugins are installed at once
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = super::count)]
    #[arg(allow_negative_numbers = true)]
    pub parallel: usize,
}
