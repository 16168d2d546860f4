//! The command line of `chorus state`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, Subcommand};

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
    },
    /// Replace the state of an id
    #[command(after_help = below(examples::STATE_SET), arg = force())]
    Set {
        /// Id of the state
        #[arg(add = complete::states())]
        id: String,
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
    #[command(after_help = below(examples::STATE_CLEAR), arg = force())]
    Clear {
        /// Id of the state
        #[arg(add = complete::states())]
        id: String,
        /// Remove only the bookmark of this stream; repeatable
        #[arg(long = "stream", value_name = "STREAM")]
        streams: Vec<String>,
    },
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
