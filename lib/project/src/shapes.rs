//! Which keys there are at each place of a project file, and what they hold.

use self::Kind::{
    Any, At, Flag, Integer, List, Mapping, Rules, Scalar, Scalars, Tasks, Text, Texts,
};

/// What a value may be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A text or a number.
    Scalar,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer,
    /// A mapping of anything.
    Mapping,
    /// A mapping of names to texts or numbers.
    Scalars,
    /// Rules for the metadata of a catalog.
    Rules,
    /// A text, or a list of texts.
    Texts,
    /// A text, or a list of texts and of such lists.
    Tasks,
    /// A list.
    List(&'static Kind),
    /// A mapping with keys of its own.
    At(&'static Shape),
}

/// The keys of a mapping.
pub(crate) struct Shape {
    /// The names of keys, separated by blanks, by what they hold.
    keys: &'static [(Kind, &'static str)],
    /// It is an entry of a list, whose `name` must be there.
    pub(crate) is_named: bool,
    /// Its other keys are somebody else's.
    pub(crate) is_open: bool,
}

impl Shape {
    const fn of(keys: &'static [(Kind, &'static str)]) -> Self {
        Self { keys, is_named: false, is_open: false }
    }

    const fn named(keys: &'static [(Kind, &'static str)]) -> Self {
        Self { keys, is_named: true, is_open: false }
    }

    const fn open(keys: &'static [(Kind, &'static str)]) -> Self {
        Self { keys, is_named: false, is_open: true }
    }

    /// Returns its keys and what each holds.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        let name = self.is_named.then_some((NAME, Text));
        let keys = self.keys.iter();
        name.into_iter()
            .chain(keys.flat_map(|(kind, names)| names.split(' ').map(|name| (name, *kind))))
    }
}

/// The key of an entry that is called by it.
pub(crate) const NAME: &str = "name";

/// The file itself.
pub(crate) static FILE: Shape = Shape::of(&[
    (Text, "default_environment"),
    (List(&Text), "include_paths"),
    (Scalars, "env"),
    (List(&At(&ENVIRONMENT)), "environments"),
    (At(&PLUGINS), "plugins"),
    (List(&At(&JOB)), "jobs"),
    (List(&At(&SCHEDULE)), "schedules"),
    (At(&FF), "ff"),
    (At(&FILE_ANNOTATIONS), "annotations"),
    (Any, "version project_id database_uri database_max_retries database_retry_timeout"),
    (Any, "send_anonymous_usage_stats project_readonly state_backend elt elf experimental venv"),
    (Any, "hub_url hub_url_auth hub_api_root snowplow cli ui auto_install logging"),
    (Any, "requires_meltano python"),
]);

static FF: Shape = Shape::open(&[(Flag, "strict_env_var_mode")]);

static ENVIRONMENT: Shape = Shape::named(&[
    (At(&ENVIRONMENT_CONFIG), "config"),
    (Scalars, "env"),
    (Scalar, "state_id_suffix"),
    (At(&ANNOTATIONS), "annotations"),
]);

static ENVIRONMENT_CONFIG: Shape =
    Shape::of(&[(At(&PLUGINS), "plugins"), (At(&ANNOTATIONS), "annotations")]);

static PLUGINS: Shape = Shape::of(&[
    (List(&At(&PLUGIN)), "extractors loaders mappers transformers utilities"),
    (List(&Any), "transforms orchestrators files"),
    (At(&ANNOTATIONS), "annotations"),
]);

static PLUGIN: Shape = Shape::named(&[
    (Text, "inherit_from namespace executable catalog state"),
    (List(&Text), "capabilities"),
    (List(&At(&SETTING)), "settings"),
    (Mapping, "commands config schema"),
    (Scalars, "env"),
    (Texts, "select"),
    (Rules, "metadata"),
    (List(&At(&MAPPING)), "mappings"),
    (At(&PLUGIN_ANNOTATIONS), "annotations"),
    (Any, "label logo_url description variant variants hidden pip_url repo docs ext_repo"),
    (Any, "settings_group_validation requires keywords maintenance_status quality load_schema"),
    (Any, "select_filter use_cached_catalog use_state prereq next_steps usage definition python"),
    (Any, "update target_schema dialect default_variant domain_url table_pattern"),
]);

static SETTING: Shape = Shape::named(&[
    (List(&Text), "aliases"),
    (Text, "kind env"),
    (At(&ANNOTATIONS), "annotations"),
    (Any, "label value placeholder description tooltip documentation hidden sensitive"),
    (Any, "env_specific value_processor value_post_processor oauth options required custom"),
    (Any, "protected"),
]);

static MAPPING: Shape = Shape::named(&[(Mapping, "config"), (At(&ANNOTATIONS), "annotations")]);

static JOB: Shape = Shape::named(&[(Tasks, "tasks"), (At(&JOB_ANNOTATIONS), "annotations")]);

static JOB_ANNOTATIONS: Shape = Shape::open(&[(At(&JOB_CHORUS), "chorus")]);

static JOB_CHORUS: Shape = Shape::of(&[(Texts, "on_failure"), (Text, "expect_by")]);

static SCHEDULE: Shape = Shape::named(&[
    (Text, "interval job extractor loader transform"),
    (Scalars, "env"),
    (At(&SCHEDULE_ANNOTATIONS), "annotations"),
    (Any, "start_date"),
]);

static FILE_ANNOTATIONS: Shape = Shape::open(&[(At(&FILE_CHORUS), "chorus")]);

static FILE_CHORUS: Shape = Shape::of(&[(Integer, "runs_kept discovery_seconds")]);

static PLUGIN_ANNOTATIONS: Shape = Shape::open(&[(At(&PLUGIN_CHORUS), "chorus")]);

static PLUGIN_CHORUS: Shape = Shape::of(&[(Texts, "pass_env"), (Mapping, "roles")]);

static SCHEDULE_ANNOTATIONS: Shape = Shape::open(&[(At(&SCHEDULE_CHORUS), "chorus")]);

static SCHEDULE_CHORUS: Shape = Shape::of(&[
    (Text, "timezone start_time end_time missed"),
    (Integer, "day_offset watch_seconds"),
    (Texts, "watch"),
]);

/// Those of places of which we read nothing.
static ANNOTATIONS: Shape = Shape::open(&[(At(&NOTHING), "chorus")]);

static NOTHING: Shape = Shape::of(&[]);
