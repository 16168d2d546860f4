//! Runs the taps and targets of a `meltano.yml`.

mod cli;
mod cli_state;
mod commands;
mod complete;
mod examples;
mod progress;
mod signals;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::FromArgMatches;
use cli::contract::{ContractCommand, DataCommand};
use cli::edits::{EditCommand, ScheduleArgs, ScheduleCommand};
use cli::schema::SchemaCommand;
use cli::{Cli, Command, DoctorArgs, WhatArgs};
use commands::run::datestamp;
use disk::Datestamp;
use project::{Context, Opening, Project, Warnings, spelled};
use runner::options::Options;
use serde_json::Value;
use singer::generate::{self, Kind};
use singer::settings::LogFormat;
use singer::{About, Error, ErrorKind, Result};

const ABOUT: About = About {
    name: "chorus",
    version: env!("CARGO_PKG_VERSION"),
    description: "Runs the taps and targets of a meltano.yml",
    capabilities: &[],
};

fn main() -> ExitCode {
    if runner::guard::is_wanted() {
        return runner::guard::main();
    }
    singer::log::start_at(&ABOUT, cli::given::log_level(std::env::args_os().collect()));
    singer::secret::keep_from_dumps();
    let done = match complete::answer(cli::definition) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => read().and_then(|cli| cli.map_or(Ok(ExitCode::SUCCESS), execute)),
        Err(failure) => help_or_usage(&failure).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            let failure = timed(failure);
            singer::log::failure(ABOUT.name, &failure);
            let signal = failure.context("signal").and_then(|signal| signal.parse::<u8>().ok());
            ExitCode::from(signal.map_or(failure.kind().exit_code(), |signal| 128 + signal))
        }
    }
}

/// Says when a command has failed, as its output is kept by schedulers; a wrong command line needs
/// no time.
fn timed(failure: Error) -> Error {
    match failure.kind() {
        ErrorKind::Usage => failure,
        _ => failure.with("time", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ")),
    }
}

/// Reads the command line; `None` when it only asked for a text, which is printed.
fn read() -> Result<Option<Cli>> {
    let definition = cli::definition();
    let words = cli::given::settled(std::env::args_os().collect());
    let mut matches = match definition.clone().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(failure) => return help_or_usage(&failure).map(|()| None),
    };
    let kind = matches.remove_one::<Kind>("generate");
    let folder = matches.remove_one::<PathBuf>("to");
    let cli = Cli::from_arg_matches(&matches).map_err(|failure| misread(&failure))?;
    let Some(kind) = kind else { return Ok(Some(cli)) };
    if cli.command.is_some() {
        return Err(Error::new(ErrorKind::Usage, "cannot generate and run a command at once")
            .hint("`chorus --generate man --to FOLDER` writes the pages of all commands"));
    }
    let files = match kind {
        Kind::Man => generate::pages(definition, &[singer::man::exit_status()]),
        Kind::Complete(shell) => vec![complete::script(shell)?],
    };
    generate::write(&files, folder.as_deref()).map(|()| None)
}

fn misread(failure: &clap::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot read the command line").caused_by(failure.to_string())
}

/// Prints the help that was asked for, or that a command without its words needs.
fn help_or_usage(failure: &clap::Error) -> Result<()> {
    if failure.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = failure.print();
        return Err(Error::new(ErrorKind::Usage, "no command given"));
    }
    singer::output::print(&singer::args::told(failure)?)
}

/// Opens the project that the command line names.
struct Opener {
    folder: PathBuf,
    environment: Option<String>,
    context: Arc<Context>,
}

impl Opener {
    fn new(folder: Option<PathBuf>, environment: Option<String>) -> Self {
        let folder = folder.unwrap_or(PathBuf::from("."));
        let context = Arc::new(Context::new(Warnings::new(|warning| {
            singer::warning::log(warning.code, module_path!(), format_args!("{}", warning.text));
        })));
        Self { folder, environment, context }
    }

    /// Opens it for a day, with variables of the run.
    fn open_with(&self, day: Option<Datestamp>, more: &Value) -> Result<Project> {
        let more = more.as_object().into_iter().flatten();
        let variables: Vec<(String, String)> =
            more.filter_map(|(name, value)| Some((name.clone(), spelled::text(value)?))).collect();
        let (folder, environment) = (self.folder.as_path(), self.environment.as_deref());
        let opening =
            Opening { folder, environment, variables: &variables, context: &self.context };
        let project = match day {
            Some(day) => Project::open_for(&opening, day),
            None => Project::open(&opening),
        }?;
        runner::stored::fill(&project)?;
        Ok(project)
    }

    fn open(&self) -> Result<Project> {
        self.open_with(None, &Value::Null)
    }

    fn of_day(&self, day: Datestamp) -> Result<Project> {
        self.open_with(Some(day), &Value::Null)
    }

    /// Opens it for the day that is given, or else for the one that the project names: it is the
    /// one of the run.
    fn of_run(&self, given: Option<&str>, more: &Value) -> Result<(Project, Option<Datestamp>)> {
        let day = datestamp(given)?;
        let project = self.open_with(day, more)?;
        let named = if day.is_none() { project.day()? } else { None };
        Ok(match named {
            Some(named) => (self.open_with(Some(named), more)?, Some(named)),
            None => (project, day),
        })
    }

    /// Opens it for what is to be run or planned, and completes how.
    fn of_what(&self, what: &WhatArgs, options: Options) -> Result<(Project, Options)> {
        let params = what.params.read()?;
        let (project, datestamp) = self.of_run(what.datestamp.as_deref(), &params.variables())?;
        let (state_id, state_id_suffix) = (what.state_id.clone(), what.state_id_suffix.clone());
        Ok((project, Options { datestamp, state_id, state_id_suffix, params, ..options }))
    }

    fn deny(&self, codes: &[String]) -> Result<()> {
        self.context.warnings.deny(codes)
    }
}

/// Runs a command.
fn execute(cli: Cli) -> Result<ExitCode> {
    let Cli { project: folder, environment, no_environment, log_format, command, .. } = cli;
    if log_format.as_deref() == Some("json") {
        singer::log::set_format(LogFormat::Json);
    }
    let Some(command) = command else {
        return Err(Error::new(ErrorKind::Usage, "cannot do nothing: a command is missing")
            .hint("see --help"));
    };
    // The one that the words or the shell name, and not the default of the project.
    let named = std::env::var("MELTANO_ENVIRONMENT").ok().filter(|name| !name.is_empty());
    let named = environment.clone().or(named).filter(|_| !no_environment);
    let environment = if no_environment { Some(String::new()) } else { environment };
    let opener = Opener::new(folder, environment);
    let of_day = |day: Datestamp| opener.of_day(day);
    let done = match command {
        // Its exit code is that of the plugin.
        Command::Invoke(args) => {
            let (project, _) = opener.of_run(None, &Value::Null)?;
            return commands::invoke::invoke(&project, &args);
        }
        Command::Run(args) => ran(&opener, args),
        Command::El(args) | Command::Elt(args) => {
            let (args, dump) = args.into_run()?;
            opener.deny(&args.how.deny_warnings)?;
            let (project, options) = opener.of_what(&args.what, args.options())?;
            match dump {
                Some(file) => commands::el::dump(&project, &args, &options, file),
                None => commands::run::run(&project, &args, &options),
            }
        }
        Command::Plan(args) => {
            let full_refresh = args.full_refresh;
            let options = Options { full_refresh, ..Options::default() };
            let (project, options) = opener.of_what(&args.what, options)?;
            commands::plan::plan(&project, &args, &options)
        }
        Command::Backfill(args) => {
            opener.deny(&args.how.deny_warnings)?;
            commands::backfill::run(&args, &of_day, &opener.context.warnings)
        }
        Command::Days(args) => commands::days::run(&args, &of_day, &opener.context.warnings),
        Command::Status { words } => commands::runs::status(&opener.open()?, &words, &of_day),
        Command::Runs(args) => commands::runs::runs(&opener.open()?, &args),
        Command::Logs { run } => commands::runs::logs(&opener.open()?, &run),
        Command::Rerun(args) => {
            opener.deny(&args.deny_warnings)?;
            let open_with = |day: Option<Datestamp>, more: &Value| opener.open_with(day, more);
            commands::runs::rerun(&opener.open()?, &args, &open_with)
        }
        Command::Check { plugin, records } => {
            let (project, _) = opener.of_run(None, &Value::Null)?;
            commands::check::check(&project, &plugin, records)
        }
        Command::Data(command) => data(&opener, &command),
        Command::Install(args) => commands::install::install(&opener.open()?, &args),
        Command::Validate { file } => commands::plain::validate(&file, &opener.context.warnings),
        Command::Convert { file, into } => {
            commands::plain::convert(&file, into.as_deref(), &opener.context.warnings)
        }
        Command::Schedule(args) => scheduled(&opener, args),
        Command::Edit(command) => edited(&opener, command, named.as_deref()),
        Command::Doctor(DoctorArgs { words, grants }) => {
            let (project, day) = opener.of_run(None, &Value::Null)?;
            match grants {
                Some(only) => commands::doctor::grants(&project, &words, &only),
                None => commands::doctor::doctor(&project, day, &words),
            }
        }
        Command::State { command } => commands::state::state(&opener.open()?, command),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command for contracts or personal data.
fn data(opener: &Opener, command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::Contract { command } => contract(opener, command),
        DataCommand::Pii(args) => {
            let day = datestamp(args.datestamp.as_deref())?;
            commands::pii::pii(&opener.open_with(day, &Value::Null)?, args, day)
        }
        DataCommand::Forget(args) => {
            let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().into();
            commands::forget::forget(&opener.of_day(today)?, args)
        }
        DataCommand::Schema { command } => schema(opener, command),
    }
}

/// Plans, changes, makes or drops the tables of a job.
fn schema(opener: &Opener, command: &SchemaCommand) -> Result<()> {
    use commands::schema;
    match command {
        SchemaCommand::Plan(args) => {
            let (project, day) = opener.of_run(args.of.datestamp.as_deref(), &Value::Null)?;
            schema::plan(&project, args, day)
        }
        SchemaCommand::Apply { file, allow_drop } => {
            let plan = runner::tables::read(file)?;
            let project = opener.open_with(plan.datestamp, &Value::Null)?;
            schema::apply(&project, &plan, *allow_drop)
        }
        SchemaCommand::Build(of) => {
            let (project, day) = opener.of_run(of.datestamp.as_deref(), &Value::Null)?;
            schema::build(&project, of, day)
        }
        SchemaCommand::Drop { of, allow_drop } => {
            let (project, day) = opener.of_run(of.datestamp.as_deref(), &Value::Null)?;
            schema::drop_all(&project, of, (day, *allow_drop))
        }
    }
}

/// Writes, checks or compares contracts.
fn contract(opener: &Opener, command: &ContractCommand) -> Result<()> {
    match command {
        ContractCommand::Init { words } => {
            let (project, _) = opener.of_run(None, &Value::Null)?;
            commands::contract::init(&project, words)
        }
        ContractCommand::Check(args) => {
            let day = datestamp(args.datestamp.as_deref())?;
            let project = opener.open_with(day, &Value::Null)?;
            commands::contract::check(&project, args, day)
        }
        ContractCommand::Diff { old, new, format } => {
            commands::contract::diff(old, new, *format, &opener.context.warnings)
        }
    }
}

/// Runs a job, or a file of the plain shape.
fn ran(opener: &Opener, args: cli::RunArgs) -> Result<()> {
    let args = args.of_run()?;
    opener.deny(&args.how.deny_warnings)?;
    if let [word] = args.what.words.as_slice()
        && commands::plain::is_file(word)
    {
        let file = std::path::Path::new(word);
        return commands::plain_run::run(file, &args, &opener.context);
    }
    let (project, options) = opener.of_what(&args.what, args.options())?;
    commands::run::run(&project, &args, &options)
}

/// Runs schedules, or edits them.
fn scheduled(opener: &Opener, args: ScheduleArgs) -> Result<()> {
    use commands::{schedule_entry, schedules};
    let start = |names: &[String], deny: &[String], old_form: bool| {
        opener.deny(deny)?;
        let of_schedule = |day: Datestamp, env: &Value| opener.open_with(Some(day), env);
        let project = opener.open()?;
        if old_form {
            schedules::warn_of_old_form(&project, names);
        }
        commands::schedule::schedule(&project, names, &of_schedule, deny)
    };
    match args.command {
        None => start(&[], &args.deny_warnings, false),
        Some(ScheduleCommand::Start { names, mut deny_warnings, old_form }) => {
            deny_warnings.extend(args.deny_warnings);
            start(&names, &deny_warnings, old_form)
        }
        Some(ScheduleCommand::List { format }) => schedules::list(&opener.open()?, format),
        Some(ScheduleCommand::Add { name, what }) => schedules::add(&opener.open()?, &name, &what),
        Some(ScheduleCommand::Set { name, what }) => schedules::set(&opener.open()?, &name, &what),
        Some(ScheduleCommand::Remove { name }) => schedules::remove(&opener.open()?, &name),
        Some(ScheduleCommand::Run { name, how, meltano }) => {
            let env = schedule_entry::variables(&opener.open()?, &name)?;
            let (project, datestamp) = opener.of_run(None, &env)?;
            let options = Options { datestamp, parallel: 2, ..how.options() };
            let options = meltano.into_options(options);
            schedules::run(&project, &name, &options)
        }
    }
}

/// Lists or edits the project; `named` is the environment that the words or the shell name.
fn edited(opener: &Opener, command: EditCommand, named: Option<&str>) -> Result<()> {
    match command {
        EditCommand::Config(args) => {
            let mut project = opener.open()?;
            if let (true, Some(name)) = (project.environment_is_default, project.environment_name())
            {
                tracing::info!(
                    "the default environment {name} does not count for `config`, as in Meltano: \
                     --environment {name} names it"
                );
                let environment = Some(String::new());
                let (folder, context) = (opener.folder.clone(), Arc::clone(&opener.context));
                project = Opener { folder, environment, context }.open()?;
            }
            commands::config::config(&project, args, named)
        }
        EditCommand::Select(args) => {
            let (project, _) = opener.of_run(None, &Value::Null)?;
            commands::select::select(&project, &args, named)
        }
        EditCommand::Job { command } => commands::job::job(&opener.open()?, command),
        EditCommand::Environment { command } => {
            commands::environment::environment(&opener.open()?, command)
        }
        EditCommand::Add(args) => commands::add::add(&opener.open()?, &args),
        EditCommand::Remove { names, .. } => commands::plugins::remove(&opener.open()?, &names),
        EditCommand::Init { folder, force, .. } => {
            commands::init::init(&opener.folder.join(folder), force)
        }
        EditCommand::Lock(_) => commands::plugins::refuse("lock"),
        EditCommand::Compile(_) => commands::plugins::refuse("compile"),
        EditCommand::Test(_) => commands::plugins::refuse("test"),
    }
}
