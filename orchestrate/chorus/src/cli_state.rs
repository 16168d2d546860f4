//! The command line of `chorus state`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, Subcommand, ValueEnum};

use crate::complete;
use crate::examples::{self, below};

/// What to do with a state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the ids that have a state
    #[command(after_help = below(examples::STATE_LIST))]
    List {
        /// List only ids that match this pattern, such as `'dev:*'`
        #[arg(long, value_name = "PATTERN")]
        pattern: Option<String>,
    },
    /// Print the state of an id, as Meltano writes it
    #[command(after_help = below(examples::STATE_GET))]
    Get {
        /// Id of the state
        #[arg(add = complete::states())]
        id: String,
        /// On one line, or on many
        #[arg(long, value_enum, value_name = "FORM", default_value_t = StateFormat::Json)]
        format: StateFormat,
    },
    /// Change the state of an id in an editor: that of `$VISUAL` or `$EDITOR`
    #[command(after_help = below(examples::STATE_EDIT), arg = force())]
    Edit {
        /// Id of the state
        #[arg(add = complete::states())]
        id: String,
    },
    /// Print all states, for `state import`
    #[command(after_help = below(examples::STATE_EXPORT))]
    Export,
    /// Replace the states that a file of `state export` has
    #[command(after_help = below(examples::STATE_IMPORT))]
    Import {
        /// The file; without it, standard input is read
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Replace the state of an id
    #[command(after_help = below(examples::STATE_SET), arg = force())]
    Set {
        /// Id of the state
        #[arg(add = complete::states())]
        id: String,
        /// Meltano's: a bare state is taken without it, too
        #[arg(long, hide = true)]
        no_validate: bool,
        #[command(flatten)]
        given: GivenState,
    },
    /// Replace some bookmarks of a state
    #[command(after_help = below(examples::STATE_MERGE))]
    Merge {
        /// Id of the state
        #[arg(add = complete::states())]
        id: String,
        #[command(flatten)]
        given: GivenState,
        /// Take the bookmarks of the state with this id
        #[arg(long, value_name = "ID", add = complete::states())]
        #[arg(conflicts_with_all = ["state", "input_file"])]
        from_state_id: Option<String>,
    },
    /// Copy a state to another id
    #[command(after_help = below(examples::STATE_COPY), arg = force())]
    Copy(Between),
    /// Copy a state to another id, and remove it
    #[command(after_help = below(examples::STATE_MOVE), arg = force())]
    Move(Between),
    /// Remove a state, or some bookmarks of it: the next run reads from the beginning
    #[command(after_help = below(examples::STATE_CLEAR))]
    Clear {
        /// Id of the state
        #[arg(add = complete::states(), required_unless_present = "all")]
        id: Option<String>,
        /// Remove the states of all ids
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// Do not ask before all states are removed
        #[arg(long)]
        force: bool,
        /// Remove only the bookmark of this stream; repeatable
        #[arg(long = "stream", value_name = "STREAM", conflicts_with = "all")]
        streams: Vec<String>,
    },
}

/// How a state is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateFormat {
    /// On one line
    Json,
    /// On many lines
    Pretty,
}

/// A state on the command line.
#[derive(Debug, Args)]
pub struct GivenState {
    /// The state, `{"singer_state": {...}}`; `-` reads it from standard input
    pub state: Option<String>,
    /// Read the state from this file
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    pub input_file: Option<PathBuf>,
}

/// From which id to which.
#[derive(Debug, Args)]
pub struct Between {
    /// Id of the state
    #[arg(value_name = "FROM", add = complete::states())]
    pub from: String,
    /// Id that gets it; a state that it has is replaced
    #[arg(value_name = "TO", add = complete::states())]
    pub to: String,
}

/// Meltano asks before it changes a state, unless this is given.
fn force() -> Arg {
    Arg::new("force").long("force").hide(true).action(ArgAction::SetTrue)
}
