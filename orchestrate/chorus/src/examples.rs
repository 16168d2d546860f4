//! The examples at the end of each help: their jobs and plugins are those of the example project.

use singer::Example;
use singer::help::examples;

const fn example(what: &'static str, line: &'static str) -> Example {
    Example { what, line }
}

/// Of `chorus` itself.
pub const CHORUS: &[Example] =
    &[example("Run a job of the project for yesterday", "{} run elt --datestamp yesterday")];
/// Of `chorus run`.
pub const RUN: &[Example] = &[
    example("Run a job for yesterday", "{} run elt --datestamp yesterday"),
    example(
        "Run a tap into a target, and read all rows again",
        "{} run tap-postgres target-csv--postgres --full-refresh",
    ),
];
/// Of `chorus validate`.
pub const VALIDATE: &[Example] = &[example("Check a file", "{} validate demo/config.yaml")];
/// Of `chorus convert`.
pub const CONVERT: &[Example] = &[example(
    "Make a project of a file in another folder",
    "{} convert demo/config.yaml --into sales",
)];
/// Of `chorus el`.
pub const EL: &[Example] = &[example(
    "Run a tap into a target, with a state of this id",
    "{} el tap-postgres target-csv--postgres --state-id nightly",
)];
/// Of `chorus elt`.
pub const ELT: &[Example] = &[example(
    "Run a tap into a target, with a state of this id",
    "{} elt tap-postgres target-csv--postgres --state-id nightly",
)];
/// Of `chorus plan`.
pub const PLAN: &[Example] = &[
    example("Show what a job would do", "{} plan elt --datestamp yesterday"),
    example("Show it as JSON", "{} plan tap-csv target-csv--csv --datestamp today --json"),
];
/// Of `chorus backfill`.
pub const BACKFILL: &[Example] = &[
    example(
        "List the days of January to run",
        "{} backfill elt --from 2026-01-01 --to 2026-01-31 --preview",
    ),
    example(
        "Run those that failed",
        "{} backfill elt --from 2026-01-01 --to 2026-01-31 --only failed",
    ),
];
/// Of `chorus status`.
pub const STATUS: &[Example] = &[example("Show the days of a job", "{} status elt")];
/// Of `chorus days`.
pub const DAYS: &[Example] = &[
    example("List the days that a job has written", "{} days extract_postgres"),
    example(
        "Show what a removal would remove",
        "{} days extract_postgres --delete 2026-01-30 --preview",
    ),
];
/// Of `chorus runs`.
pub const RUNS: &[Example] =
    &[example("List the last five runs that failed", "{} runs --failed --count 5")];
/// Of `chorus logs`.
pub const LOGS: &[Example] = &[example("Print the logs of the last run", "{} logs last")];
/// Of `chorus contract`.
pub const CONTRACT: &[Example] =
    &[example("Write a contract for what a job reads", "{} contract init extract_csv")];
/// Of `chorus contract init`.
pub const CONTRACT_INIT: &[Example] = &[
    example("Write a contract for each tap of a job", "{} contract init extract_csv"),
    example("Write one for a tap", "{} contract init tap-csv"),
];
/// Of `chorus contract check`.
pub const CONTRACT_CHECK: &[Example] = &[
    example("Check a day", "{} contract check extract_csv --datestamp yesterday"),
    example("Check what a tap reads", "{} contract check tap-csv --contract orders.odcs.yaml"),
];
/// Of `chorus contract diff`.
pub const CONTRACT_DIFF: &[Example] = &[example(
    "Compare two versions",
    "{} contract diff contracts/orders.odcs.yaml orders-2.odcs.yaml",
)];
/// Of `chorus pii`.
pub const PII: &[Example] = &[
    example("Look at what a job reads", "{} pii extract_csv"),
    example("Look at a day that it has written", "{} pii extract_csv --datestamp yesterday"),
];
/// Of `chorus forget`.
pub const FORGET: &[Example] = &[
    example("Count the rows", "{} forget --stream customers --key mail=ann@example.com"),
    example("Remove them", "{} forget --stream customers --key mail --apply < mail.txt"),
];
/// Of `chorus schema`.
pub const SCHEMA: &[Example] = &[
    example("Show what the tables lack", "{} schema plan daily"),
    example("Make the tables before the first load", "{} schema build daily"),
];
/// Of `chorus schema plan`.
pub const SCHEMA_PLAN: &[Example] = &[
    example("Write the plan to a file, and look at it", "{} schema plan daily --output plan.json"),
    example("Plan nothing that loses data", "{} schema plan daily --no-drop"),
];
/// Of `chorus schema apply`.
pub const SCHEMA_APPLY: &[Example] = &[
    example("Change the tables", "{} schema apply plan.json"),
    example("Drop tables and columns, too", "{} schema apply plan.json --allow-drop"),
];
/// Of `chorus schema build`.
pub const SCHEMA_BUILD: &[Example] =
    &[example("Make the tables that are missing", "{} schema build daily")];
/// Of `chorus schema drop`.
pub const SCHEMA_DROP: &[Example] = &[
    example("Show what would be dropped", "{} schema drop daily"),
    example("Drop the tables of a job", "{} schema drop daily --allow-drop"),
];
/// Of `chorus install`.
pub const INSTALL: &[Example] = &[
    example("Install all plugins of the project", "{} install"),
    example("Install two of them anew", "{} install tap-github target-snowflake --clean"),
];
/// Of `chorus invoke`.
pub const INVOKE: &[Example] = &[
    example("Print the catalog of a tap", "{} invoke tap-postgres --discover"),
    example("Print the settings that a target gets", "{} invoke --dump config target-postgres"),
];
/// Of `chorus rerun`.
pub const RERUN: &[Example] = &[
    example("Run the last run again", "{} rerun last"),
    example("Begin with its second step", "{} rerun last --from 2"),
];
/// Of `chorus schedule`.
pub const SCHEDULE: &[Example] =
    &[example("Run all schedules", "{} schedule"), example("List them", "{} schedule list")];
/// Of `chorus schedule start`.
pub const SCHEDULE_START: &[Example] = &[example("Run one schedule", "{} schedule start daily")];
/// Of `chorus schedule list`.
pub const SCHEDULE_LIST: &[Example] =
    &[example("List them for a program", "{} schedule list --format json")];
/// Of `chorus schedule add`.
pub const SCHEDULE_ADD: &[Example] =
    &[example("Run a job each day", "{} schedule add daily --job elt --interval @daily")];
/// Of `chorus schedule set`.
pub const SCHEDULE_SET: &[Example] =
    &[example("Run it each hour", "{} schedule set daily --interval @hourly")];
/// Of `chorus schedule remove`.
pub const SCHEDULE_REMOVE: &[Example] = &[example("Remove it", "{} schedule remove daily")];
/// Of `chorus schedule run`.
pub const SCHEDULE_RUN: &[Example] = &[example("Run its job once, now", "{} schedule run daily")];
/// Of `chorus config`.
pub const CONFIG: &[Example] = &[
    example("List the settings of a plugin", "{} config list tap-csv"),
    example("Set one of them", "{} config set tap-postgres host db.example.com"),
];
/// Of `chorus config print`.
pub const CONFIG_PRINT: &[Example] = &[
    example("Print the settings", "{} config print tap-csv"),
    example("Print them as variables", "{} config print tap-csv --format env"),
];
/// Of `chorus config list`.
pub const CONFIG_LIST: &[Example] = &[example("List all settings", "{} config list tap-csv --all")];
/// Of `chorus config set`.
pub const CONFIG_SET: &[Example] = &[
    example("Set a setting", "{} config set tap-postgres host db.example.com"),
    example(
        "Set it in one environment",
        "{} config set tap-postgres host db.example.com --environment prod",
    ),
];
/// Of `chorus config unset`.
pub const CONFIG_UNSET: &[Example] =
    &[example("Use the default again", "{} config unset tap-postgres host")];
/// Of `chorus config reset`.
pub const CONFIG_RESET: &[Example] =
    &[example("Use all defaults again", "{} config reset tap-csv --yes")];
/// Of `chorus config test`.
pub const CONFIG_TEST: &[Example] = &[example("Read one record", "{} config test tap-csv")];
/// Of `chorus select`.
pub const SELECT: &[Example] = &[
    example("List what is read", "{} select tap-csv --list --all"),
    example("Leave out a column", "{} select tap-csv orders note --exclude"),
];
/// Of `chorus job`.
pub const JOB: &[Example] = &[example("List the jobs", "{} job list")];
/// Of `chorus job list`.
pub const JOB_LIST: &[Example] = &[example("List them for a program", "{} job list --format json")];
/// Of `chorus job add`.
pub const JOB_ADD: &[Example] =
    &[example("Add a job", "{} job add nightly --tasks '[[\"tap-csv\",\"target-csv\"]]'")];
/// Of `chorus job set`.
pub const JOB_SET: &[Example] =
    &[example("Replace its tasks", "{} job set nightly --tasks '[[\"tap-csv\",\"target-csv\"]]'")];
/// Of `chorus job remove`.
pub const JOB_REMOVE: &[Example] = &[example("Remove a job", "{} job remove nightly")];
/// Of `chorus environment`.
pub const ENVIRONMENT: &[Example] = &[example("List them", "{} environment list")];
/// Of `chorus environment list`.
pub const ENVIRONMENT_LIST: &[Example] = ENVIRONMENT;
/// Of `chorus environment add`.
pub const ENVIRONMENT_ADD: &[Example] = &[example("Add one", "{} environment add test")];
/// Of `chorus environment remove`.
pub const ENVIRONMENT_REMOVE: &[Example] = &[example("Remove it", "{} environment remove test")];
/// Of `chorus remove`.
pub const REMOVE: &[Example] = &[example("Remove a tap", "{} remove tap-csv")];
/// Of `chorus init`.
pub const INIT: &[Example] = &[example("Make a project", "{} init sales")];
/// Of `chorus doctor`.
pub const DOCTOR: &[Example] = &[
    example("Look at the whole project", "{} doctor"),
    example("Look at what one job needs", "{} doctor elt"),
    example("Write SQL for the rights that it lacks", "{} doctor --grants elt > grants.sql"),
];
/// Of `chorus check`.
pub const CHECK: &[Example] =
    &[example("Test a tap with its first 1000 records", "{} check tap-csv --records 1000")];
/// Of `chorus state`.
pub const STATE: &[Example] = &[
    example("List the ids", "{} state list"),
    example("Keep a state in a file", "{} state get dev:tap-csv-to-target-csv > state.json"),
];
/// Of `chorus state list`.
pub const STATE_LIST: &[Example] = &[example("List the ids", "{} state list")];
/// Of `chorus state get`.
pub const STATE_GET: &[Example] =
    &[example("Print a state", "{} state get dev:tap-csv-to-target-csv")];
/// Of `chorus state set`.
pub const STATE_SET: &[Example] = &[example(
    "Put back a state from a file",
    "{} state set dev:tap-csv-to-target-csv - < state.json",
)];
/// Of `chorus add`.
pub const ADD: &[Example] = &[
    example("Add a tap and a target", "{} add tap-csv target-postgres"),
    example(
        "Add a second tap with settings of its own",
        "{} add tap-csv--two --inherit-from tap-csv",
    ),
];
/// Of `chorus state edit`.
pub const STATE_EDIT: &[Example] =
    &[example("Change a bookmark by hand", "{} state edit dev:tap-csv-to-target-csv")];
/// Of `chorus state export`.
pub const STATE_EXPORT: &[Example] =
    &[example("Keep all states in a file", "{} state export > states.json")];
/// Of `chorus state import`.
pub const STATE_IMPORT: &[Example] = &[example("Put them back", "{} state import states.json")];
/// Of `chorus state merge`.
pub const STATE_MERGE: &[Example] = &[example(
    "Set the bookmark of one stream",
    "{} state merge dev:tap-csv-to-target-csv - < bookmark.json",
)];
/// Of `chorus state copy`.
pub const STATE_COPY: &[Example] = &[example(
    "Let another environment go on from the same place",
    "{} state copy dev:tap-csv-to-target-csv prod:tap-csv-to-target-csv",
)];
/// Of `chorus state move`.
pub const STATE_MOVE: &[Example] = &[example(
    "Keep the state of a tap that has a new name",
    "{} state move dev:tap-csv-to-target-csv dev:tap-files-to-target-csv",
)];
/// Of `chorus state clear`.
pub const STATE_CLEAR: &[Example] = &[example(
    "Have the next run read one stream from its beginning",
    "{} state clear dev:tap-csv-to-target-csv --stream orders",
)];

/// Returns the text at the end of a help.
pub fn below(own: &[Example]) -> String {
    examples("chorus", &[own])
}
