//! What every `main` shares: the command line, and how the process ends.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::about::About;
use crate::args::{self, Action, Args, Role};
use crate::error::Result;
use crate::generate::{self, Kind};
use crate::help::Example;
use crate::secret::keep_from_dumps;
use crate::settings::SettingsSchema;
use crate::{log as stderr, output, scrub, warning};

/// Prepares the process: its memory is for no core file, and a file that grows beyond its limit
/// shall fail to be written, with a message, instead of ending the process by SIGXFSZ.
pub(crate) fn start(about: &About) {
    stderr::start(about);
    keep_from_dumps();
    scrub::learn_environment();
    let noted = Arc::new(AtomicBool::new(false));
    if signal_hook::flag::register(signal_hook::consts::SIGXFSZ, noted).is_err() {
        tracing::debug!("cannot handle SIGXFSZ");
    }
}

/// Reads the command line; `None` when it only asked for a text, which is printed.
pub(crate) fn read_args(
    about: &About,
    role: Role,
    schema: &SettingsSchema,
    examples: &[Example],
) -> Result<Option<Args>> {
    let command = args::command(about, role, examples);
    let args = match args::read(command.clone(), std::env::args_os()) {
        Ok(args) => args,
        Err(text) => return output::print(&text?).map(|()| None),
    };
    if let Action::About(format) = args.action {
        output::print(&about.render(role, schema, format))?;
        return Ok(None);
    }
    if let Action::Generate(kind) = args.action {
        let files = match kind {
            Kind::Man => generate::pages(command, &about.sections(schema)),
            Kind::Complete(shell) => vec![generate::completions(shell, about, &command)],
        };
        generate::write(&files, args.to.as_deref())?;
        return Ok(None);
    }
    warning::deny(args.deny_warnings.iter().map(String::as_str))?;
    Ok(Some(args))
}

/// Writes how often which warning came, and the failure, if any; gives the exit code.
pub(crate) fn exit(about: &About, done: Result<()>) -> ExitCode {
    if let Some(counts) = warning::summary() {
        tracing::info!("warnings: {counts}");
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stderr::failure(about.name, &failure);
            ExitCode::from(failure.kind().exit_code())
        }
    }
}
