//! The marks of running jobs in Meltano's database: both programs heed them.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use project::{Project, warning};
use serde_json::json;
use singer::{Error, ErrorKind, Result};

use super::database::{Database, Row, Shared};
use crate::life;
use crate::options::Options;

/// A mark is stale when its job has not been heard of for so long: the limits of Meltano.
const HEARTBEAT_AGE_MAX: SignedDuration = SignedDuration::from_mins(5);
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How often we are heard of.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// What `trigger` of our marks begins with.
const TRIGGER: &str = "chorus ";

/// A job that is marked as running until this is dropped, which marks it as failed.
#[derive(Debug)]
pub(crate) struct Mark {
    runs: Shared,
    key: String,
    beat: Option<(Sender<()>, JoinHandle<()>)>,
    succeeded: bool,
}

impl Mark {
    /// Marks a job as running, unless it is marked: `Temporary` then. A stale mark is told of and
    /// taken away. The caller holds the lock of the state, so a mark that another run of `chorus`
    /// made here is of one that was killed.
    pub(super) fn begin(
        project: &Project,
        runs: &Shared,
        id: &str,
        options: &Options,
    ) -> Result<Self> {
        let own = own_trigger(project);
        let now = Timestamp::now();
        let key = runs.at_once(|database| {
            end_stale(project, database, id, options.force)?;
            let given = options.run_id.as_ref().map(|id| id.replace('-', ""));
            let run = given.unwrap_or_else(run_id);
            let sql = "INSERT INTO runs (job_name, run_id, state, started_at, last_heartbeat_at, \
                       payload, payload_flags, \"trigger\") \
                       VALUES ($1, $2, 'RUNNING', $3, $4, '{}', 0, $5) RETURNING id";
            let (now, later) = (written(now), written(now));
            let rows = database.query(sql, &[id, &run, &now, &later, &own])?;
            Ok(rows.into_iter().flatten().next().flatten().unwrap_or_default())
        })?;
        let beat = heartbeat(runs.clone(), key.clone());
        Ok(Self { runs: runs.clone(), key, beat: Some(beat), succeeded: false })
    }

    /// Ends the mark of a job that has ended well.
    pub(crate) fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.beat.take() {
            drop(stop);
            let _ = thread.join();
        }
        let state = if self.succeeded { "SUCCESS" } else { "FAIL" };
        let sql = "UPDATE runs SET state = $1, ended_at = $2 WHERE id = $3 AND state = 'RUNNING'";
        let now = written(Timestamp::now());
        // One that cannot be ended is stale in five minutes.
        if let Err(failure) = self.runs.lock().query(sql, &[state, &now, &self.key]) {
            tracing::debug!("cannot end the mark of the running job: {failure}");
        }
    }
}

/// Refuses a job that runs; a mark of a run that was killed is told of and taken away. The caller
/// holds the lock of the state. By force, a job that runs is told of, and left alone.
pub(super) fn end_stale(
    project: &Project,
    database: &mut dyn Database,
    id: &str,
    by_force: bool,
) -> Result<()> {
    let (own, now) = (own_trigger(project), Timestamp::now());
    let sql = "SELECT id, started_at, last_heartbeat_at, \"trigger\" FROM runs \
               WHERE job_name = $1 AND state = 'RUNNING'";
    for row in database.query(sql, &[id])? {
        let other = Other::read(&row);
        let is_ours = other.trigger.as_deref() == Some(own.as_str());
        if !is_ours && other.valid_until.is_none_or(|until| now <= until) {
            if !by_force {
                return Err(other.refusal(id, database));
            }
            project.warnings().warn(warning!(
                "W-MARK-IGNORED",
                "Meltano's database has {id} as running since {}: --force ignores that",
                other.started
            ));
            continue;
        }
        project.warnings().warn(warning!(
            "W-MARK-STALE",
            "Meltano's database has {id} as running since {}, but that run was killed: it is \
             marked as failed",
            other.started
        ));
        other.fail(database)?;
    }
    Ok(())
}

/// A mark of another run.
struct Other {
    key: String,
    started: String,
    heard_of: Option<String>,
    /// When it is stale; `None` where its moments cannot be read.
    valid_until: Option<Timestamp>,
    trigger: Option<String>,
}

impl Other {
    fn read(row: &Row) -> Self {
        let cell = |at: usize| row.get(at).cloned().flatten();
        let (started, heard_of) = (cell(1).unwrap_or_default(), cell(2));
        let valid_until = match &heard_of {
            Some(text) => moment(text).map(|at| at + HEARTBEAT_AGE_MAX),
            None => moment(&started).map(|at| at + AGE_MAX),
        };
        let (key, trigger) = (cell(0).unwrap_or_default(), cell(3));
        Self { key, started, heard_of, valid_until, trigger }
    }

    fn refusal(&self, id: &str, database: &dyn Database) -> Error {
        let failure = Error::new(
            ErrorKind::Temporary,
            "cannot run a step while Meltano's database has its job as running",
        )
        .with("state", id)
        .with("database", database.name())
        .with("started", &self.started);
        let failure = match &self.heard_of {
            Some(at) => failure.with("last heard of", at),
            None => failure,
        };
        failure.hint(self.way(Timestamp::now()))
    }

    /// Says what to do about it.
    fn way(&self, now: Timestamp) -> String {
        match self.valid_until {
            None => "that moment cannot be read, so the mark counts for ever: if no run of it is \
                     alive, `chorus run --force` ignores it"
                .to_owned(),
            Some(until) if until > now + HEARTBEAT_AGE_MAX && self.heard_of.is_some() => format!(
                "that moment lies in the future, so a clock was wrong: the mark counts until \
                 {until}; if no run of it is alive, `chorus run --force` ignores it"
            ),
            Some(until) => format!(
                "wait until it has ended; if it was killed, its mark counts until {until}; `chorus \
                 run --force` ignores it"
            ),
        }
    }

    /// Marks it as failed, as Meltano does.
    fn fail(&self, database: &mut dyn Database) -> Result<()> {
        let error = "No heartbeat was recorded. The process was likely killed.";
        let sql = "UPDATE runs SET state = 'FAIL', ended_at = $1, payload = $2 WHERE id = $3";
        let payload = json!({ "error": error }).to_string();
        database.query(sql, &[&written(Timestamp::now()), &payload, &self.key]).map(drop)
    }
}

/// Says at times that a run lives.
fn heartbeat(runs: Shared, key: String) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel::<()>();
    let thread = std::thread::spawn(move || {
        while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
            let sql = "UPDATE runs SET last_heartbeat_at = $1 WHERE id = $2";
            // One that is missed does no harm: a mark counts for five minutes.
            let _ = runs.lock().query(sql, &[&written(Timestamp::now()), &key]);
        }
    });
    (stop, thread)
}

/// Names the runs of this project on this machine since it was started.
fn own_trigger(project: &Project) -> String {
    let here = life::here();
    let place = format!("{}\n{}\n{}", here.host, here.boot, project.root.display());
    format!("{TRIGGER}{}", &disk::sum(place.as_bytes())[..16])
}

/// Makes the id of a run, as 32 hexadecimal digits.
fn run_id() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = Timestamp::now().as_nanosecond();
    let text = format!("{now} {} {count} {}", std::process::id(), life::here().boot);
    disk::sum(text.as_bytes())[..32].to_owned()
}

/// Writes a moment as Meltano does: in UTC, without an offset.
fn written(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn moment(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
