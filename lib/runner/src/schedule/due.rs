//! A schedule: when its job is due, and which files call for it.

use std::collections::{BTreeSet, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};
use disk::Datestamp;
use disk::Sum;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use project::day::DAY_VARIABLES;
use project::{Job, Project};
use serde_json::Value;
use singer::{Error, ErrorKind, Result, time_zone};

use super::watched::Watched;
use super::window::Window;

/// So many missed moments are made up for at most, the last ones.
pub(super) const MISSED_MAX: usize = 1000;

/// What to do about moments that passed while nobody watched, or while an earlier run was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Run once, for the last of them.
    Last,
    /// Run once for each.
    Every,
    /// Leave them.
    Skip,
}

/// A schedule, read. What Meltano has no key for stands in `annotations.chorus`.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The name in the project.
    pub name: String,
    /// The job, or the plugins.
    pub words: Vec<String>,
    /// Tells whether it names a tap and a target, and no job.
    pub is_of_pair: bool,
    /// `env`: variables of its runs.
    pub env: Value,
    /// What to do about missed moments.
    pub missed: Missed,
    /// How often the watched files are looked at.
    pub watch_interval: Duration,
    cron: Option<Cron>,
    zone: TimeZone,
    window: Window,
    day_offset: i64,
    watch: Option<Watched>,
}

/// A moment that is noticed this much later was missed: nobody watched.
const LATE: Duration = Duration::from_mins(1);

impl Schedule {
    /// Returns what the states of its runs are called, where they have its name.
    pub fn state_name(&self) -> Option<String> {
        self.is_of_pair.then(|| self.name.clone())
    }

    /// Reads all schedules of a project.
    pub fn read_all(project: &Project) -> Result<Vec<Self>> {
        project.schedules().iter().map(|entry| Self::read(&project.root, entry)).collect()
    }

    /// Reads one of them.
    pub fn read(root: &Path, entry: &Value) -> Result<Self> {
        let name = entry["name"].as_str().unwrap_or_default();
        Self::parts(root, entry, name).map_err(|failure| failure.with("schedule", name))
    }

    fn parts(root: &Path, entry: &Value, name: &str) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let words = match (text(&entry["job"]), text(&entry["extractor"]), text(&entry["loader"])) {
            (Some(job), ..) => vec![job],
            (None, Some(extractor), Some(loader)) => vec![extractor, loader],
            _ => return Err(refuse("a schedule needs a `job`, or an `extractor` and a `loader`")),
        };
        let transform = entry["transform"].as_str().filter(|word| *word != "skip");
        if let Some(word) = transform.filter(|_| entry["job"].is_null()) {
            return Err(refuse("cannot run a schedule with `transform`")
                .with("transform", word)
                .hint(
                    "make a job of the steps, such as `tasks: [tap-a target-a, dbt-postgres:run]`, \
                     and write its name into the schedule: `job: NAME`",
                ));
        }
        if let Some(name) = DAY_VARIABLES.iter().find(|name| !entry["env"][**name].is_null()) {
            return Err(refuse("cannot set the day of a schedule by its `env`")
                .with("variable", name)
                .hint(
                    "each run is for the day on which it is due; `day_offset: -1` uses the day \
                     before",
                ));
        }
        let own = &entry["annotations"]["chorus"];
        let zone = match own["timezone"].as_str() {
            Some(zone) => time_zone::named(zone)?,
            None => TimeZone::UTC,
        };
        let window = Window::read(own["start_time"].as_str(), own["end_time"].as_str(), &zone)?;
        let missed = match own["missed"].as_str() {
            None | Some("last") => Missed::Last,
            Some("all") => Missed::Every,
            Some("skip") => Missed::Skip,
            Some(_) => return Err(refuse("`missed` is `last`, `all` or `skip`")),
        };
        let patterns = match &own["watch"] {
            Value::String(pattern) => vec![pattern.clone()],
            patterns => patterns.as_array().into_iter().flatten().filter_map(text).collect(),
        };
        let patterns: Vec<String> =
            patterns.iter().map(|text| text.trim_start_matches("./").to_owned()).collect();
        let watch = match patterns.as_slice() {
            [] => None,
            _ => Some(Watched::new(root, patterns)?),
        };
        Ok(Self {
            name: name.to_owned(),
            words,
            is_of_pair: entry["job"].is_null(),
            env: entry["env"].clone(),
            missed,
            watch_interval: Duration::from_secs(own["watch_seconds"].as_u64().unwrap_or(60).max(1)),
            cron: cron(entry["interval"].as_str())?,
            zone,
            window,
            day_offset: own["day_offset"].as_i64().unwrap_or(0),
            watch,
        })
    }

    /// Tells whether it is due by the clock at all.
    pub fn is_timed(&self) -> bool {
        self.cron.is_some()
    }

    /// Tells whether files call for it.
    pub fn watches(&self) -> bool {
        self.watch.is_some()
    }

    /// Returns this moment in the schedule's zone.
    pub fn now(&self) -> Zoned {
        Zoned::now().with_time_zone(self.zone.clone())
    }

    /// Reads a moment that was written down.
    pub fn moment(&self, text: &str) -> Option<Zoned> {
        Some(text.parse::<jiff::Timestamp>().ok()?.to_zoned(self.zone.clone()))
    }

    /// Returns the first moment after another when it is due.
    pub fn next(&self, after: &Zoned) -> Option<Zoned> {
        let cron = self.cron.as_ref()?;
        let mut at = after.clone();
        if let Some(from) = self.window.from.filter(|from| *from > at.timestamp()) {
            at = from.checked_sub(1.second()).ok()?.to_zoned(self.zone.clone());
        }
        // A window that never holds a moment must not be looked for until the end of time.
        for _ in 0..100_000 {
            at = cron.find_next_occurrence(&at, false).ok()?;
            if self.window.to.is_some_and(|to| at.timestamp() > to) {
                return None;
            }
            if self.is_open(&at) {
                return Some(at);
            }
        }
        None
    }

    /// Tells whether runs may begin at a moment.
    pub fn is_open(&self, at: &Zoned) -> bool {
        self.window.is_open(at)
    }

    /// Returns the moments after one and up to another that its policy wants to be made up for.
    pub fn missed_since(&self, last: &Zoned, now: &Zoned) -> Vec<Zoned> {
        let mut passed = self.passed(last, now);
        match self.missed {
            Missed::Every => passed,
            Missed::Last => passed.pop().into_iter().collect(),
            Missed::Skip => Vec::new(),
        }
    }

    /// Returns the days of the moments after one and up to another that `missed: last`, which is
    /// also what stands for no choice, makes up for by no run.
    pub fn passed_over(&self, last: &Zoned, now: &Zoned) -> BTreeSet<Datestamp> {
        let passed = if self.missed == Missed::Last { self.passed(last, now) } else { Vec::new() };
        let mut days: BTreeSet<Datestamp> =
            passed.iter().filter_map(|due| self.day(due).ok()).collect();
        if let Some(run) = passed.last().and_then(|due| self.day(due).ok()) {
            days.remove(&run);
        }
        days
    }

    /// Returns the moments to run for when one is found to have passed: after a sleep of the
    /// machine it is held against the clock first, as others may have passed as well.
    pub fn due_since(&self, next: &Zoned, now: &Zoned) -> Vec<Zoned> {
        let Ok(before) = next.checked_sub(1.nanosecond()) else { return Vec::new() };
        let in_time = |due: &Zoned| now.duration_since(due).unsigned_abs() < LATE;
        match self.missed {
            Missed::Skip => self.passed(&before, now).pop().filter(in_time).into_iter().collect(),
            Missed::Every | Missed::Last => self.missed_since(&before, now),
        }
    }

    /// Returns the moments after one and up to another, the last ones of them.
    fn passed(&self, last: &Zoned, now: &Zoned) -> Vec<Zoned> {
        let mut passed = VecDeque::new();
        let mut at = last.clone();
        while let Some(next) = self.next(&at).filter(|next| next <= now) {
            passed.push_back(next.clone());
            at = next;
            if passed.len() > MISSED_MAX {
                passed.pop_front();
            }
        }
        passed.into()
    }

    /// Returns the day of a run that is due at a moment.
    pub fn day(&self, due: &Zoned) -> Result<Datestamp> {
        let day = due.date().checked_add(self.day_offset.days());
        day.map(Datestamp::from).map_err(|cause| refuse("cannot count the day").caused_by(cause))
    }

    /// Leaves out what the steps of its runs write.
    pub fn leave_out_outputs(&mut self, job: &Job) {
        if let Some(watched) = &mut self.watch {
            watched.leave_out_outputs(job);
        }
    }

    /// Returns a sum over the names of the watched files and what they hold.
    pub fn fingerprint(&self) -> String {
        let sums = self.watch.as_ref().map(Watched::sums).unwrap_or_default();
        let mut of_all = Sum::default();
        for (path, sum) in sums {
            of_all.add(path.as_os_str().as_bytes());
            of_all.add([0]);
            of_all.add(sum);
        }
        of_all.hex()
    }
}

fn cron(interval: Option<&str>) -> Result<Option<Cron>> {
    let Some(interval) = interval else { return Ok(None) };
    if matches!(interval, "@once" | "@manual" | "@none") {
        return Ok(None);
    }
    // Another word for it, as Meltano takes it.
    let interval = if interval == "@midnight" { "@daily" } else { interval };
    let parser = CronParser::builder().year(Year::Disallowed).build();
    parser.parse(interval).map(Some).map_err(|cause| {
        refuse("cannot read the interval")
            .with("interval", interval)
            .caused_by(match cause {
                CronError::InvalidPattern(_) => "a cron pattern has five fields".to_owned(),
                cause => cause.to_string(),
            })
            .hint("write a cron pattern such as `0 6 * * *`, or @hourly, @daily, @weekly, @once")
    })
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schedule(interval: &str, own: &Value) -> Schedule {
        let annotations = json!({ "chorus": own });
        let entry =
            json!({"name": "s", "job": "j", "interval": interval, "annotations": annotations});
        Schedule::read(Path::new("."), &entry).unwrap()
    }

    fn next(schedule: &Schedule, after: &str) -> String {
        let after = schedule.moment(after).unwrap();
        schedule.next(&after).map_or("never".to_owned(), |at| at.timestamp().to_string())
    }

    #[test]
    fn knows_when_it_is_due_in_its_zone_and_window() {
        let daily = schedule("@daily", &json!({}));
        assert_eq!(next(&daily, "2026-01-31T12:00:00Z"), "2026-02-01T00:00:00Z");
        let midnight = schedule("@midnight", &json!({}));
        assert_eq!(next(&midnight, "2026-01-31T12:00:00Z"), "2026-02-01T00:00:00Z");
        let berlin = schedule("30 2 * * *", &json!({"timezone": "Europe/Berlin"}));
        assert_eq!(next(&berlin, "2026-01-31T12:00:00Z"), "2026-02-01T01:30:00Z");
        // The hour that is not there in spring, and the one that is there twice in autumn.
        let mut at = "2026-03-28T12:00:00Z".to_owned();
        let mut seen = Vec::new();
        for _ in 0..3 {
            at = next(&berlin, &at);
            seen.push(at.clone());
        }
        assert_eq!(seen[1..], ["2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"], "{seen:?}");
        let window = json!({"start_time": "22:00", "end_time": "02:00"});
        let night = schedule("0 * * * *", &window);
        assert_eq!(next(&night, "2026-01-31T02:00:00Z"), "2026-01-31T22:00:00Z");
        assert_eq!(next(&night, "2026-01-31T23:30:00Z"), "2026-02-01T00:00:00Z");
        let never = schedule("0 12 * * *", &window);
        assert_eq!(next(&never, "2026-01-31T02:00:00Z"), "never");
        assert!(!schedule("@once", &json!({})).is_timed());
    }

    #[test]
    fn makes_up_for_what_was_missed_as_told() {
        for (policy, expected, over) in
            [("last", 1, &["2026-01-28", "2026-01-29"][..]), ("all", 3, &[]), ("skip", 0, &[])]
        {
            let schedule = schedule("@daily", &json!({"missed": policy, "day_offset": -1}));
            let last = schedule.moment("2026-01-28T00:00:00Z").unwrap();
            let now = schedule.moment("2026-01-31T12:00:00Z").unwrap();
            let missed = schedule.missed_since(&last, &now);
            let days: Vec<String> =
                schedule.passed_over(&last, &now).iter().map(ToString::to_string).collect();
            assert_eq!(days, over, "{policy}");
            assert_eq!(missed.len(), expected, "{policy}");
            if let Some(due) = missed.last() {
                assert_eq!(schedule.day(due).unwrap().to_string(), "2026-01-30");
            }
        }
    }

    #[test]
    fn nothing_is_due_before_the_first_moment_and_after_the_last() {
        let own = json!({"start_time": "2030-01-01 00:00", "end_time": "2030-01-02"});
        let often = schedule("*/1 * * * *", &own);
        assert_eq!(next(&often, "2026-01-31T12:00:00Z"), "2030-01-01T00:00:00Z");
        assert_eq!(next(&often, "2030-01-02T23:58:30Z"), "2030-01-02T23:59:00Z");
        assert_eq!(next(&often, "2030-01-02T23:59:00Z"), "never");
        let daily = schedule("@daily", &json!({"start_time": "2030-01-01T00:30+01:00"}));
        assert_eq!(next(&daily, "2026-01-31T12:00:00Z"), "2030-01-01T00:00:00Z");
    }

    #[test]
    fn a_moment_is_held_against_the_clock() {
        let check = |policy: &str, now: &str, expected: &[&str]| {
            let schedule = schedule("@daily", &json!({"missed": policy}));
            let next = schedule.moment("2026-01-28T00:00:00Z").unwrap();
            let due = schedule.due_since(&next, &schedule.moment(now).unwrap());
            let due: Vec<String> = due.iter().map(|due| due.date().to_string()).collect();
            assert_eq!(due, expected, "{policy} {now}");
        };
        // In time.
        for policy in ["last", "all", "skip"] {
            check(policy, "2026-01-28T00:00:00Z", &["2026-01-28"]);
            check(policy, "2026-01-28T00:00:05Z", &["2026-01-28"]);
        }
        // After a sleep over one midnight or more.
        check("skip", "2026-01-29T09:00:00Z", &[]);
        check("last", "2026-01-29T09:00:00Z", &["2026-01-29"]);
        check("all", "2026-01-29T09:00:00Z", &["2026-01-28", "2026-01-29"]);
        check("skip", "2026-01-30T00:00:10Z", &["2026-01-30"]);
        check("last", "2026-01-28T09:00:00Z", &["2026-01-28"]);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for entry in [
            json!({"name": "s", "interval": "@daily"}),
            json!({"name": "s", "interval": "@daily", "extractor": "t", "loader": "l",
                   "transform": "only"}),
            json!({"name": "s", "job": "j", "interval": "every day"}),
            json!({"name": "s", "job": "j", "annotations": {"chorus": {"timezone": "Mars"}}}),
            json!({"name": "s", "job": "j", "annotations": {"chorus": {"timezone": "Berlin"}}}),
            json!({"name": "s", "job": "j", "annotations": {"chorus": {"start_time": "25:00"}}}),
            json!({"name": "s", "job": "j", "annotations": {"chorus": {"missed": "maybe"}}}),
        ] {
            let failure = Schedule::read(Path::new("."), &entry).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{entry}");
            let meant = entry.to_string().contains("Berlin");
            assert_eq!(failure.to_string().contains("did you mean `Europe/Berlin`?"), meant);
        }
    }
}
