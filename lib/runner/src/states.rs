//! The states of steps: their names, and keeping what targets print.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use project::warning;
use project::{Project, Step, Warning};
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

use crate::effect;
use crate::history::History;
use crate::lake_paths::{day_is_damaged, writes_days};
use crate::options::{Options, StateStrategy};
use crate::order;
use crate::pipeline::STATE_BYTES_MAX;
use crate::place;
use crate::state_names::state_id;
use crate::state_stores::{States, merged};

/// Returns the state that a step starts from: that of the file that its tap names, or else the one
/// that is kept.
fn known(project: &Project, store: &States, id: &str, step: &Step) -> Result<Option<Value>> {
    let Some(path) = &step.tap().rules.state else { return store.state(id) };
    let path = project.root.join(path);
    let fail = |kind, message: &str| {
        Error::new(kind, message).with("plugin", &step.tap().name).with("path", path.display())
    };
    let text = fs::read(&path).map_err(|cause| {
        fail(ErrorKind::NoInput, "cannot read the state from which the tap is to start")
            .caused_by(cause)
            .hint("correct `state` of the tap; with /dev/null the tap starts without a state")
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&text) {
        Ok(state @ Value::Object(_)) => Ok(Some(state)),
        _ => Err(fail(ErrorKind::Config, "cannot read the file of `state`: it contains no state")),
    }
}

/// What a step starts from.
#[derive(Debug, Default)]
pub struct Start {
    /// The state that its tap is given.
    pub given: Option<Value>,
    /// The bookmarks that are kept: those of streams that the run does not read stay.
    pub kept: Map<String, Value>,
    /// The state that what the target prints is put over.
    pub under: Option<Value>,
    /// Why that is not the state that is known.
    pub why: Option<String>,
}

/// Returns the state that a step is run with. One that speaks of a day that is gone would leave the
/// day as it is: away. And a day is replaced as a whole: to go on from where its last read ended
/// would leave it with what came after that alone. Only our taps are known to have bookmarks that
/// leave out nothing but whole files and days, of which their targets learn.
///
/// The same holds for a table or a file that is replaced by what a run gives it: a bookmark is
/// passed on only where tap and target are ours, which tell each other what it leaves out.
pub fn start(
    project: &Project,
    store: &States,
    options: &Options,
    id: &str,
    step: &Step,
) -> Result<Start> {
    let (start, why) = decide(project, store, options, id, step)?;
    let start = Start { why, ..start };
    Ok(match options.state_strategy {
        StateStrategy::Auto => start,
        StateStrategy::Overwrite => Start { kept: Map::new(), ..start },
        // A state of a day that is gone would leave the day as it is.
        StateStrategy::Merge if options.keeps_no_state() || day_is_damaged(project, step)? => start,
        StateStrategy::Merge => Start { under: store.state(id)?, ..start },
    })
}

/// Tells whether a step goes on from a state, so that it may have nothing to load.
pub fn goes_on(project: &Project, options: &Options, step: &Step) -> bool {
    let id = state_id(project, options, step);
    let decided =
        States::open(project).and_then(|states| decide(project, &states, options, &id, step));
    decided.is_ok_and(|(start, _)| start.given.is_some())
}

/// Decides what a step starts from, and says why where that is not the state that is known.
fn decide(
    project: &Project,
    store: &States,
    options: &Options,
    id: &str,
    step: &Step,
) -> Result<(Start, Option<String>)> {
    if options.keeps_no_state() {
        return Ok((Start::default(), None));
    }
    if options.full_refresh && !options.resumed {
        // Whatever is wrong with it: it will be replaced.
        let state = store.state(id).ok().flatten();
        let damaged = state.is_some() && day_is_damaged(project, step)?;
        let kept = state.filter(|_| !damaged).map(bookmarks).unwrap_or_default();
        return Ok((Start { kept, ..Start::default() }, None));
    }
    let known = if options.resumed { store.state(id)? } else { known(project, store, id, step)? };
    if known.is_some() && day_is_damaged(project, step)? {
        let why =
            format!("the day in the state {id} is missing or not complete: everything is read");
        return Ok((Start::default(), Some(why)));
    }
    let kept = match &step.tap().rules.state {
        Some(_) => store.state(id)?,
        None => known.clone(),
    };
    let kept = kept.map(bookmarks).unwrap_or_default();
    if let Some(day) = options.datestamp
        && let Some(older) = order::lies_under(project, step, day)?
    {
        let why = format!(
            "{}: {older} was loaded after {day}, so {day} is read in full again",
            step.name
        );
        return Ok((Start { kept, ..Start::default() }, Some(why)));
    }
    if let Some(why) = elsewhere(project, options, id, step)? {
        return Ok((Start { kept, ..Start::default() }, Some(why)));
    }
    let is_replaced =
        || effect::takes_the_place(step) && !(step.tap().is_ours() && step.target().is_ours());
    let Some(state) = known.as_ref().filter(|_| writes_days(step) || is_replaced()) else {
        return Ok((Start { given: known, kept, ..Start::default() }, None));
    };
    let whole = (writes_days(step) && step.tap().is_ours()).then(|| of_wholes(step, state));
    let what = if writes_days(step) { "a day" } else { "a load that replaces a table or a file" };
    let why = (whole.as_ref() != Some(state))
        .then(|| format!("{id}: {what} is read in full, not from the bookmark"));
    Ok((Start { given: whole, kept, ..Start::default() }, why))
}

/// Says why a day is read as a whole whose state is of a load to another place. What adds rows goes
/// on from it: the place may be the same one by another name.
fn elsewhere(
    project: &Project,
    options: &Options,
    id: &str,
    step: &Step,
) -> Result<Option<String>> {
    let Some(day) = options.datestamp.filter(|_| step.is_of_day && !writes_days(step)) else {
        return Ok(None);
    };
    if !effect::replaces(step, day) && !effect::takes_the_place(step) {
        return Ok(None);
    }
    let history = History::read(project)?;
    let into = history.moved(id).and_then(|entry| entry.into.as_ref());
    let is_elsewhere = into.is_some_and(|into| *into != place::of(step));
    Ok(is_elsewhere.then(|| {
        format!("{}: {day} was loaded to another destination and is read in full", step.name)
    }))
}

/// Warns of a state that another step was the last to move: what that one has read is not read
/// again, though it did something else with it.
pub fn warn_of_another(project: &Project, history: &History, id: &str, step: &Step) {
    let Some(other) = history.mover(id).filter(|other| *other != step.name) else { return };
    project.warnings().warn(warning!(
        "W-STATE-SHARED",
        "{} continues from the state {id}, which `{other}` has moved: rows that `{other}` has read \
          are not read again. Give each a state of its own: another name for the tap or the target \
          by `inherit_from`, or --state-id",
        step.name
    ));
}

fn bookmarks(mut state: Value) -> Map<String, Value> {
    match state["bookmarks"].take() {
        Value::Object(bookmarks) => bookmarks,
        _ => Map::new(),
    }
}

/// Returns what a state says of whole files and days: all of it, if the tap has such bookmarks.
fn of_wholes(step: &Step, state: &Value) -> Value {
    let mut state = state.clone();
    if let Some(Value::Object(bookmarks)) = state.get_mut("bookmarks")
        && !step.tap().has_whole_bookmarks()
    {
        bookmarks.clear();
    }
    state
}

/// Writes down the states that a target prints: at once, and then at most one a second. One that
/// is older than what is durable costs time at the next run, and nothing else.
///
/// A state takes the place of the one before as a whole, but what a run does not read keeps its
/// bookmark: that of a stream which is not selected stays at once, that of one which the tap has
/// not named when the run has ended well.
pub struct StateKeeper<'a> {
    store: &'a States,
    id: &'a str,
    /// The bookmarks from before that are to stay.
    kept: Map<String, Value>,
    /// What each state is put over, where states are merged.
    under: Option<Value>,
    /// Those of streams that may still be read.
    open: Map<String, Value>,
    last: Option<Value>,
    pending: Option<Value>,
    written: Option<Instant>,
    failed: Option<Error>,
    too_long: bool,
    /// States are taken, and not written.
    keeps_none: bool,
    /// The target has printed `{}`.
    was_empty: bool,
}

impl<'a> StateKeeper<'a> {
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Starts with nothing to write; `before` are the bookmarks that are there, `reads` the streams
    /// that are to be read, where they are known.
    pub fn new(
        store: &'a States,
        id: &'a str,
        before: Map<String, Value>,
        reads: Option<&BTreeSet<String>>,
    ) -> Self {
        let is_read = |name: &String| reads.is_none_or(|reads| reads.contains(name));
        let (open, kept) = before.into_iter().partition(|(name, _)| is_read(name));
        let open = if reads.is_some() { Map::new() } else { open };
        let (pending, written, failed) = (None, None, None);
        let (last, under) = (None, None);
        let (too_long, keeps_none, was_empty) = (false, false, false);
        Self {
            store,
            id,
            kept,
            under,
            open,
            last,
            pending,
            written,
            failed,
            too_long,
            keeps_none,
            was_empty,
        }
    }

    /// Puts each state over this one, member by member.
    #[must_use]
    pub fn over(self, under: Option<Value>) -> Self {
        Self { under, ..self }
    }

    /// Says whether states are written down at all.
    #[must_use]
    pub fn that_keeps(self, keeps: bool) -> Self {
        Self { keeps_none: !keeps, ..self }
    }

    /// Takes a line that the target has printed; one that is no state is left out.
    pub fn take(&mut self, line: &[u8]) -> Option<Warning> {
        self.too_long |= line.len() >= STATE_BYTES_MAX && !line.ends_with(b"\n");
        if self.too_long || line.trim_ascii().is_empty() {
            return None;
        }
        let state = serde_json::from_slice(line).ok().filter(Value::is_object);
        let Some(state) = state else {
            return Some(warning!(
                "W-STATE-DAMAGED",
                "the target printed a line that is not a state; it is left out"
            ));
        };
        // A target prints it when it was given none, as by a tap that has failed.
        if state.as_object().is_some_and(Map::is_empty) {
            if !self.was_empty {
                tracing::info!(
                    "{}: the target printed an empty state; it changes nothing",
                    self.id
                );
            }
            self.was_empty = true;
            return None;
        }
        self.pending = Some(state);
        if self.written.is_none_or(|at| at.elapsed() >= Self::INTERVAL) {
            self.write();
        }
        None
    }

    fn write(&mut self) {
        let Some(mut state) = self.pending.take().filter(|_| !self.keeps_none) else { return };
        self.last = Some(state.clone());
        keep(&mut state, &self.kept);
        if let Some(Value::Object(under)) = &self.under {
            state = merged(under.clone(), state);
        }
        self.failed = self.store.set_state(self.id, &state).err();
        self.written = Some(Instant::now());
    }

    /// Writes the last state; tells whether the target has printed one. `read` are the streams
    /// that were read, when the run has ended well.
    pub fn finish(mut self, read: Option<&BTreeSet<String>>) -> Result<bool> {
        if let Some(read) = read {
            let open = std::mem::take(&mut self.open);
            let before = self.kept.len();
            self.kept.extend(open.into_iter().filter(|(name, _)| !read.contains(name)));
            if self.kept.len() > before {
                self.pending = self.pending.take().or_else(|| self.last.take());
            }
        }
        self.write();
        if self.too_long {
            return Err(Error::new(ErrorKind::Protocol, "cannot keep the state: it is too long")
                .with("state", self.id)
                .with("bytes at most", STATE_BYTES_MAX)
                .hint("the next run starts from the last state that was kept"));
        }
        self.failed.map_or(Ok(self.written.is_some() || self.was_empty), Err)
    }
}

/// Adds the bookmarks that a state lacks.
fn keep(state: &mut Value, kept: &Map<String, Value>) {
    let Some(members) = state.as_object_mut().filter(|_| !kept.is_empty()) else { return };
    let bookmarks = members.entry("bookmarks").or_insert_with(|| Value::Object(Map::new()));
    for (name, bookmark) in kept {
        if let Some(bookmarks) = bookmarks.as_object_mut() {
            bookmarks.entry(name).or_insert_with(|| bookmark.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_read_keeps_its_bookmark() {
        let folder = tempfile::tempdir().unwrap();
        let store = States::at(folder.path());
        let before = || bookmarks(json!({"bookmarks": {"a": 1, "b": 1, "c": 1}}));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let check = |reads: Option<&[&str]>, read: Option<&[&str]>, state: Value, kept: Value| {
            let (reads, read) = (reads.map(names), read.map(names));
            let mut keeper = StateKeeper::new(&store, "id", before(), reads.as_ref());
            keeper.take(state.to_string().as_bytes());
            assert!(keeper.finish(read.as_ref()).unwrap());
            assert_eq!(store.state("id").unwrap().unwrap(), kept, "{reads:?} {read:?} {state}");
        };
        let (new, b_stays) = (json!({"bookmarks": {"a": 2}}), json!({"a": 2, "b": 1}));
        check(Some(&["a", "c"]), None, new.clone(), json!({"bookmarks": b_stays}));
        check(Some(&["a", "b", "c"]), Some(&["a"]), new.clone(), new.clone());
        check(None, Some(&["a", "c"]), new.clone(), json!({"bookmarks": b_stays}));
        check(None, None, new.clone(), new);
        let none = json!({"currently_syncing": null});
        let all = json!({"currently_syncing": null, "bookmarks": {"b": 1, "c": 1}});
        check(Some(&["a"]), Some(&["a"]), none, all);
        let mut keeper = StateKeeper::new(&store, "id", before(), None);
        let kept = store.state("id").unwrap();
        assert!(keeper.take(b"{}\n").is_none());
        assert!(keeper.finish(None).unwrap());
        assert_eq!(store.state("id").unwrap(), kept);
    }
}
