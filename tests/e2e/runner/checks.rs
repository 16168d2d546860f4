//! `chorus check`: a plugin beside the rules of the protocol.

use support::project::{DAY, Project};

#[test]
fn plugins_are_checked_against_the_protocol() {
    let liar = "[ \"$3\" = --discover ] && { echo '{\"streams\":[]}'; exit 0; }
echo hello; echo '{\"type\":\"RECORD\",\"stream\":\"z\",\"record\":{}}'";
    let more = "  - {name: tap-liar, executable: ./liar}\n";
    let project = Project::new(more, &[("liar", liar)]);
    let check = |name: &str| project.chorus(&["check", name]).env("DATESTAMP", "2026-01-31").go();
    check("tap-csv").success();
    check("target-csv").success();
    assert!(!project.lake().exists(), "the check has touched the days");
    let text = check("tap-liar").exits(76).text();
    assert!(text.contains("not a JSON object: hello"), "{text}");
    assert!(text.contains("before its SCHEMA"), "{text}");
}

#[test]
fn a_plugin_that_fails_is_not_said_to_break_the_rules() {
    let ill = "[ \"$3\" = --discover ] && { echo '{\"streams\":[]}'; exit 0; }
echo 'the door is locked' >&2; exit 77";
    let more = "  - {name: tap-ill, executable: ./ill}\n";
    let loaders = "  - {name: target-full, executable: ./full}\n";
    let project = Project::with(more, loaders, "");
    project.script("ill", ill);
    project.script("full", "echo 'no room' >&2; exit 74");
    for (plugin, code, said) in
        [("tap-ill", 77, "the door is locked"), ("target-full", 74, "no room")]
    {
        let checked = project.chorus(&["check", plugin]).env("DATESTAMP", DAY).go().exits(code);
        assert!(checked.stderr.contains(said), "{}", checked.stderr);
        assert!(checked.stderr.contains("cannot check the ta"), "{}", checked.stderr);
        assert!(!checked.stderr.contains("breaks the rules"), "{}", checked.stderr);
    }
}
