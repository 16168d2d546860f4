//! The commands that list or edit the project: by Meltano's names.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::cli::{HowArgs, MeltanoFlags};
use crate::complete;
use crate::examples::{self, below};

/// Commands that list or edit the project.
#[derive(Debug, Subcommand)]
pub enum EditCommand {
    /// Show or change the settings of plugins
    #[command(after_help = below(examples::CONFIG))]
    Config(ConfigArgs),
    /// Choose the streams and properties that a tap reads
    #[command(after_help = below(examples::SELECT))]
    Select(SelectArgs),
    /// List the jobs of the project, or edit them
    #[command(after_help = below(examples::JOB))]
    Job {
        /// What to do
        #[command(subcommand)]
        command: JobCommand,
    },
    /// List the environments of the project, or edit them
    #[command(after_help = below(examples::ENVIRONMENT))]
    Environment {
        /// What to do
        #[command(subcommand)]
        command: EnvironmentCommand,
    },
    /// Add connectors of Chorus to the project
    #[command(after_help = below(examples::ADD))]
    Add(AddArgs),
    /// Remove plugins from the project
    #[command(after_help = below(examples::REMOVE))]
    Remove {
        /// The plugins
        #[arg(required = true, value_name = "PLUGIN", add = complete::plugins())]
        names: Vec<String>,
        /// Meltano's: names are enough
        #[arg(long, hide = true, value_name = "KIND")]
        plugin_type: Option<String>,
    },
    /// Make a new project
    #[command(after_help = below(examples::INIT))]
    Init {
        /// The folder of the project
        #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// Overwrite its meltano.yml
        #[arg(long)]
        force: bool,
        /// Chorus sends none
        #[arg(long, hide = true)]
        no_usage_stats: bool,
    },
    /// Meltano's: refused, with the way
    #[command(hide = true)]
    Lock(RestArgs),
    /// Meltano's: refused, with the way
    #[command(hide = true)]
    Compile(RestArgs),
    /// Meltano's: refused, with the way
    #[command(hide = true)]
    Test(RestArgs),
}

/// What to add to the project.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The connectors, such as tap-postgres
    #[arg(required = true, value_name = "PLUGIN", add = complete::connectors())]
    pub names: Vec<String>,
    /// Add the plugin as one that inherits this one
    #[arg(long, value_name = "PARENT", add = complete::plugins())]
    pub inherit_from: Option<String>,
    /// Add the plugin under this name, as one that inherits it
    #[arg(long = "as", value_name = "NAME", conflicts_with = "inherit_from")]
    pub r#as: Option<String>,
    /// Write the lock file of a plugin anew that is there
    #[arg(long)]
    pub update: bool,
    /// What it is: extractor, loader or mapper
    #[arg(long, value_name = "TYPE", hide = true, value_parser = TYPES)]
    pub plugin_type: Option<String>,
    /// Whose it is: only `chorus`
    #[arg(long, value_name = "NAME", hide = true)]
    pub variant: Option<String>,
    /// Nothing: ours need no installation
    #[arg(long, hide = true)]
    pub no_install: bool,
}

/// What a plugin can be.
const TYPES: [&str; 5] = ["extractor", "loader", "mapper", "utility", "transformer"];

/// Words of a command that is refused.
#[derive(Debug, Args)]
pub struct RestArgs {
    /// Whatever it is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<String>,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people.
    #[default]
    Text,
    /// As Meltano prints it for programs.
    Json,
}

/// How settings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// As the plugin reads them.
    #[default]
    Json,
    /// As variables.
    Env,
}

/// Where a setting is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// Secrets into `.env`, others into `meltano.yml`.
    #[default]
    Auto,
    /// The file of variables.
    Dotenv,
    /// The project file: into the environment that the command names, or else the plugin.
    #[value(alias = "meltano_yml")]
    MeltanoYml,
    /// Meltano's database: refused.
    #[value(hide = true)]
    Db,
}

/// What to do with settings.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Print secrets, too
    #[arg(long = "unsafe", global = true)]
    pub with_secrets: bool,
    /// Meltano's: a plugin of this kind alone
    #[arg(long, value_name = "TYPE", hide = true, global = true)]
    pub plugin_type: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings of a plugin as it gets them
    #[command(after_help = below(examples::CONFIG_PRINT))]
    Print {
        /// The plugin
        #[arg(add = complete::plugins())]
        plugin: String,
        /// How they are printed
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ConfigFormat,
        /// Print what stands beside the settings, such as `select`
        #[arg(long)]
        extras: bool,
    },
    /// List the settings of a plugin: values, where they are from, variables
    #[command(after_help = below(examples::CONFIG_LIST))]
    List {
        /// The plugin
        #[arg(add = complete::plugins())]
        plugin: String,
        /// List also settings that nobody has set
        #[arg(long)]
        all: bool,
        /// List only settings whose name has this text
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// How they are printed
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ListFormat,
        /// List what stands beside the settings, such as `select`
        #[arg(long)]
        extras: bool,
    },
    /// Set a setting of a plugin
    #[command(after_help = below(examples::CONFIG_SET))]
    Set {
        /// The plugin
        #[arg(add = complete::plugins())]
        plugin: String,
        /// The name of the setting, one word a level, and the value
        #[arg(value_name = "NAME... VALUE", allow_negative_numbers = true)]
        #[arg(required_unless_present = "interactive", add = complete::settings())]
        words: Vec<String>,
        /// Meltano's: refused, with the way
        #[arg(long, hide = true)]
        interactive: bool,
        /// Where to write it
        #[arg(long, value_enum, default_value_t, value_name = "STORE")]
        store: Store,
        /// Read the value from this file; `-` is standard input
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        from_file: Option<PathBuf>,
    },
    /// Remove the value of a setting
    #[command(after_help = below(examples::CONFIG_UNSET))]
    Unset {
        /// The plugin
        #[arg(add = complete::plugins())]
        plugin: String,
        /// The name of the setting, one word a level
        #[arg(required = true, value_name = "NAME", add = complete::settings())]
        words: Vec<String>,
        /// From where to remove it
        #[arg(long, value_enum, default_value_t, value_name = "STORE")]
        store: Store,
    },
    /// Remove the values of all settings of a plugin
    #[command(after_help = below(examples::CONFIG_RESET))]
    Reset {
        /// The plugin
        #[arg(add = complete::plugins())]
        plugin: String,
        /// From where to remove them
        #[arg(long, value_enum, default_value_t, value_name = "STORE")]
        store: Store,
        /// Do it: without this, nothing is removed
        #[arg(long)]
        yes: bool,
    },
    /// Run a tap until its first record
    #[command(after_help = below(examples::CONFIG_TEST))]
    Test {
        /// The tap
        #[arg(add = complete::plugins())]
        plugin: String,
    },
}

/// Which streams and properties a tap reads.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of Meltano")]
pub struct SelectArgs {
    /// The tap
    #[arg(add = complete::taps())]
    pub tap: String,
    /// The streams: a name, or a pattern with `*`
    #[arg(default_value = "*")]
    pub stream: String,
    /// Their properties: a name, or a pattern with `*`
    #[arg(default_value = "*")]
    pub property: String,
    /// List the properties that are read
    #[arg(long)]
    pub list: bool,
    /// List them as JSON
    #[arg(long)]
    pub json: bool,
    /// List also what is not read
    #[arg(long)]
    pub all: bool,
    /// Leave out what the pattern matches
    #[arg(long)]
    pub exclude: bool,
    /// Remove the pattern
    #[arg(long, visible_alias = "rm", conflicts_with = "list")]
    pub remove: bool,
    /// Remove all patterns
    #[arg(long, conflicts_with_all = ["list", "remove", "exclude"])]
    pub clear: bool,
    /// Ask the tap again: every list does so
    #[arg(long, hide = true)]
    pub refresh_catalog: bool,
}

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List the jobs
    #[command(after_help = below(examples::JOB_LIST))]
    List {
        /// Only this job
        #[arg(add = complete::jobs())]
        name: Option<String>,
        /// How they are printed
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ListFormat,
    },
    /// Add a job
    #[command(after_help = below(examples::JOB_ADD))]
    Add {
        /// The name of the job
        name: String,
        /// A task, or a list of tasks as YAML has it
        #[arg(long)]
        tasks: String,
    },
    /// Replace the tasks of a job
    #[command(after_help = below(examples::JOB_SET))]
    Set {
        /// The job
        #[arg(add = complete::jobs())]
        name: String,
        /// A task, or a list of tasks as YAML has it
        #[arg(long)]
        tasks: String,
    },
    /// Remove a job
    #[command(after_help = below(examples::JOB_REMOVE))]
    Remove {
        /// The job
        #[arg(add = complete::jobs())]
        name: String,
    },
}

/// What to do with environments.
#[derive(Debug, Subcommand)]
pub enum EnvironmentCommand {
    /// List the environments
    #[command(after_help = below(examples::ENVIRONMENT_LIST))]
    List,
    /// Add an environment
    #[command(after_help = below(examples::ENVIRONMENT_ADD))]
    Add {
        /// Its name
        name: String,
    },
    /// Remove an environment
    #[command(after_help = below(examples::ENVIRONMENT_REMOVE))]
    Remove {
        /// Its name
        #[arg(add = complete::environments())]
        name: String,
    },
}

/// What to do with schedules.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// What to do; without it, run all schedules
    #[command(subcommand)]
    pub command: Option<ScheduleCommand>,
    /// Fail at this warning, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
}

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Run some schedules until you stop it
    #[command(after_help = below(examples::SCHEDULE_START))]
    Start {
        /// The schedules
        #[arg(required = true, value_name = "SCHEDULE", add = complete::schedules())]
        names: Vec<String>,
        /// Fail at this warning, or at `all`; repeatable
        #[arg(long, value_name = "CODE", value_delimiter = ',')]
        deny_warnings: Vec<String>,
        /// As the old form `chorus schedule NAME` says it
        #[arg(long, hide = true)]
        old_form: bool,
    },
    /// List the schedules
    #[command(after_help = below(examples::SCHEDULE_LIST))]
    List {
        /// How they are printed
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: ListFormat,
    },
    /// Add a schedule
    #[command(after_help = below(examples::SCHEDULE_ADD))]
    Add {
        /// The name of the schedule
        name: String,
        /// When, and what
        #[command(flatten)]
        what: ScheduleWhat,
    },
    /// Change a schedule
    #[command(after_help = below(examples::SCHEDULE_SET))]
    Set {
        /// The schedule
        #[arg(add = complete::schedules())]
        name: String,
        /// When, and what
        #[command(flatten)]
        what: ScheduleWhat,
    },
    /// Remove a schedule
    #[command(after_help = below(examples::SCHEDULE_REMOVE))]
    Remove {
        /// The schedule
        #[arg(add = complete::schedules())]
        name: String,
    },
    /// Run the job of a schedule once, now
    #[command(after_help = below(examples::SCHEDULE_RUN))]
    Run {
        /// The schedule
        #[arg(add = complete::schedules())]
        name: String,
        /// How
        #[command(flatten)]
        how: Box<HowArgs>,
        /// Flags of Meltano
        #[command(flatten)]
        meltano: Box<MeltanoFlags>,
    },
}

/// When a schedule runs, and what.
#[derive(Clone, Debug, Args)]
pub struct ScheduleWhat {
    /// When: `@daily`, or five fields as cron has them
    #[arg(long, value_name = "CRON")]
    pub interval: Option<String>,
    /// The job
    #[arg(long, add = complete::jobs())]
    pub job: Option<String>,
    /// The tap, in place of a job
    #[arg(long, value_name = "TAP", conflicts_with = "job", add = complete::taps())]
    pub extractor: Option<String>,
    /// The target, in place of a job
    #[arg(long, value_name = "TARGET", conflicts_with = "job", add = complete::targets())]
    pub loader: Option<String>,
    /// Only `skip`: transformations are steps of a job
    #[arg(long, value_name = "MODE", hide = true)]
    pub transform: Option<String>,
}
