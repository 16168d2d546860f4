//! Days that are to be there by a time: `expect_by` in `annotations: {chorus: ...}` of a job.
//!
//! The rule: at that time of each day, in the zone of the schedule, the last day that the schedule
//! was due for since the same time of the day before is done. What is not is a failure.

use jiff::civil::Time;
use jiff::{ToSpan, Zoned};
use project::{Job, Project, warning};
use singer::{Error, ErrorKind, Result};

use super::due::Schedule;
use super::watch::{TICK, Watching};
use crate::failure::Failure;
use crate::history::History;
use crate::hook::{self, Summary};
use crate::standing::Standing;

/// What is expected of the job of a schedule.
pub struct Expectation<'a> {
    schedule: &'a Schedule,
    by: Time,
}

impl<'a> Expectation<'a> {
    /// Reads what is expected of the job of a schedule, if anything is.
    pub fn of(project: &Project, schedule: &'a Schedule) -> Result<Option<Self>> {
        let [job] = schedule.words.as_slice() else { return Ok(None) };
        let Some(text) = project.of_job(job)["expect_by"].as_str() else { return Ok(None) };
        let by = text.trim().parse::<Time>().map_err(|_| {
            Error::new(ErrorKind::Config, "cannot read a time of day")
                .with("job", job)
                .with("expect_by", text)
                .hint("write hours and minutes: expect_by: '07:00'")
        })?;
        Ok(Some(Self { schedule, by }))
    }

    /// Looks at the time of each day whether the day is there, until all is over.
    pub fn watch(&self, watching: &Watching<'_>) {
        let start = self.schedule.now();
        // What should be there already is looked at now.
        let mut last = start.start_of_day().unwrap_or(start);
        while !(watching.is_over)() {
            let now = self.schedule.now();
            if let Some(at) = self.passed(&last, &now) {
                self.look(&at, watching);
            }
            last = now;
            std::thread::sleep(TICK);
        }
    }

    /// Returns the moment of a day, if it lies between two others.
    fn passed(&self, last: &Zoned, now: &Zoned) -> Option<Zoned> {
        let at = now.date().to_datetime(self.by).to_zoned(now.time_zone().clone()).ok()?;
        (*last <= at && at <= *now).then_some(at)
    }

    /// Returns the last moment that the schedule was due at, since this was last looked at.
    fn due(&self, at: &Zoned) -> Option<Zoned> {
        if !self.schedule.is_timed() {
            return Some(at.clone());
        }
        let mut due = None;
        let mut after = at.checked_sub(1.day()).ok()?;
        while let Some(next) = self.schedule.next(&after).filter(|next| next <= at) {
            due = Some(next.clone());
            after = next;
        }
        due
    }

    fn look(&self, at: &Zoned, watching: &Watching<'_>) {
        let name = &self.schedule.name;
        if let Err(failure) = self.check(at, watching) {
            let told = Failure::of(&failure, &[]);
            // It is of no run: the record of the next one must not count it.
            watching.warnings.tell_of_none(&warning!(
                "W-SCHEDULE-FAILED",
                "schedule {name}: {}; chorus status {} shows more",
                told.line(),
                self.schedule.words.join(" ")
            ));
        }
    }

    /// Fails when the day is not there.
    fn check(&self, at: &Zoned, watching: &Watching<'_>) -> Result<()> {
        let Some(due) = self.due(at) else { return Ok(()) };
        let day = self.schedule.day(&due)?;
        let project = (watching.open)(day, &self.schedule.env)?;
        let job = Job::find(&project, &self.schedule.words)?;
        let history = History::read(&project)?;
        for step in &job.steps {
            let standing = history.standing_of(&project, step, day)?;
            if standing == Standing::Done {
                continue;
            }
            let is = match standing {
                Standing::Missing => "was not run".to_owned(),
                standing => format!("stands at `{standing}`"),
            };
            let text = format!("{day} is not ready at {}: {} {is}", self.by, step.name());
            let failure = Error::new(ErrorKind::NoInput, text);
            let told = Failure::of(&failure, &[]);
            let summary = Summary::of_none(&project, &self.schedule.words, Some(day), &told);
            for warning in hook::tell(&project, &self.schedule.words, &summary) {
                watching.warnings.tell_of_none(&warning);
            }
            return Err(failure);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn schedule(interval: &str) -> Schedule {
        let own = json!({"chorus": {"timezone": "Europe/Berlin"}});
        let entry = json!({"name": "s", "job": "j", "interval": interval, "annotations": own});
        Schedule::read(Path::new("."), &entry).unwrap()
    }

    #[test]
    fn a_day_is_expected_once_that_its_schedule_was_due_for() {
        let check = |interval: &str, at: &str, expected: Option<&str>| {
            let schedule = schedule(interval);
            let expectation = Expectation { schedule: &schedule, by: "07:00".parse().unwrap() };
            let at = schedule.moment(at).unwrap();
            let due = expectation.due(&at).map(|due| due.timestamp().to_string());
            assert_eq!(due.as_deref(), expected, "{interval} {at}");
        };
        // Seven in Berlin is six in UTC.
        let at = "2026-02-03T06:00:00Z";
        check("0 6 * * *", at, Some("2026-02-03T05:00:00Z"));
        check("0 23 * * *", at, Some("2026-02-02T22:00:00Z"));
        check("0 7 * * *", at, Some("2026-02-03T06:00:00Z"));
        check("0 * * * *", at, Some("2026-02-03T06:00:00Z"));
        // The 3rd of February of 2026 is a Tuesday.
        check("0 3 * * 1", at, None);
        check("0 23 * * 1", at, Some("2026-02-02T22:00:00Z"));
        check("@once", at, Some(at));
    }

    #[test]
    fn the_time_of_a_day_passes_once() {
        let schedule = schedule("@daily");
        let expectation = Expectation { schedule: &schedule, by: "07:00".parse().unwrap() };
        let check = |last: &str, now: &str, passes: bool| {
            let (last, now) = (schedule.moment(last).unwrap(), schedule.moment(now).unwrap());
            assert_eq!(expectation.passed(&last, &now).is_some(), passes, "{last} {now}");
        };
        check("2026-02-03T05:59:59Z", "2026-02-03T06:00:00Z", true);
        check("2026-02-03T06:00:01Z", "2026-02-03T06:00:02Z", false);
        check("2026-02-03T05:00:00Z", "2026-02-03T05:59:59Z", false);
        check("2026-02-02T23:00:00Z", "2026-02-03T12:00:00Z", true);
    }
}
