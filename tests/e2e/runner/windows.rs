//! When runs of a schedule may begin.

use support::project::{DAY, Project};

#[test]
fn a_time_that_the_zone_skips_or_has_twice_is_refused_and_the_hint_is_taken() {
    let write = |key: &str, zone: &str, time: &str| {
        let own = format!("{{timezone: {zone}, {key}: {time}}}");
        let schedule = format!("{{name: s, job: first, annotations: {{chorus: {own}}}}}");
        let jobs = "- {name: first, tasks: [tap-csv target-csv]}\n";
        let project = Project::with("", "", &format!("{jobs}schedules:\n- {schedule}\n"));
        project.chorus(&["schedule", "run", "s"]).env("DATESTAMP", DAY).go()
    };
    for (key, zone, time, says) in [
        ("start_time", "Europe/Berlin", "2030-03-31 02:15", "clocks were set forward"),
        ("end_time", "Europe/Berlin", "'2030-10-27T02:00'", "clocks were set back"),
        ("end_time", "America/New_York", "2030-03-10 02:59:59", "clocks were set forward"),
        ("start_time", "UTC", "2030-11-03T01:30[America/New_York]", "clocks were set back"),
        ("start_time", "UTC", "2030-11-03 01:30 America/New_York", "clocks were set back"),
    ] {
        let time = if time.contains('[') { format!("'{time}'") } else { time.to_owned() };
        let refused = write(key, zone, &time).exits(78);
        for says in [says, &format!("{key}: "), "schedule: s", "with an offset"] {
            assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
        }
        let hints = refused.quoted();
        assert_eq!(hints.len(), 2, "{}", refused.stderr);
        for hint in hints {
            write(key, zone, hint).success();
        }
    }
    // A day begins at its first moment, also one without a midnight; a time of each day is one of
    // those that have it.
    for time in ["2030-04-26", "'02:15'", "2030-03-31 03:00"] {
        write("start_time", "Africa/Cairo", time).success();
    }
}
