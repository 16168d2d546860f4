//! What is asked of one stream by the settings, checked before the first request.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use files::json::RecordsPath;
use files::{ShortText, TextEncoding};
use http_client::{Method, Secrets, secrets::learn_header};
use serde_json::{Map, Value};
use singer::{Context as _, Error, ErrorKind, Result, ResultExt, Secret};

use crate::element::Elements;
use crate::key::TimeFormat;
use crate::options::{
    AnswerFormat, ErrorInAnswer, NotFound, NullKeys, Recurse, StreamOptions, StreamSettings,
};
use crate::paging::Paging;
use crate::paging::pager::Known;
use crate::row::{Context, RowRules};
use crate::schema::with_pointers;
use crate::settings::Settings;
use crate::template::{Fills, Template, names_in};

/// From so many records the types of an incremental stream are inferred.
const SAMPLE: u64 = 1000;
const PAGES_MAX: u64 = 1_000_000;
const DEPTH: usize = 16;

/// The records that types are inferred from.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How many, if not all.
    pub rows: Option<u64>,
    /// So many are wanted although they may be of several windows: till then none is written.
    pub of_many_windows: bool,
}

/// One stream.
#[derive(Debug)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// What follows `api_url`.
    pub path: Template,
    /// Parameters, with placeholders.
    pub params: Map<String, Value>,
    /// Parameters of the first page alone, with placeholders.
    pub first_params: Map<String, Value>,
    /// Headers, with placeholders.
    pub headers: Vec<(String, Secret)>,
    /// How the API is asked.
    pub method: Method,
    /// What `POST` sends.
    pub body: Option<Value>,
    /// Parameters go into the body.
    pub in_body: bool,
    /// Where records are in an answer.
    pub records: RecordsPath,
    /// That is not set.
    pub records_by_default: bool,
    /// How a record is made of what lies there.
    pub elements: Elements,
    /// How answers are written, if that is set.
    pub answer_format: Option<AnswerFormat>,
    /// What stands between the fields of CSV.
    pub delimiter: ShortText,
    /// The encoding of answers, if that is set.
    pub encoding: Option<TextEncoding>,
    /// An answer without that place is one without records.
    pub allow_missing: bool,
    /// What becomes of an answer 404.
    pub not_found: NotFound,
    /// What becomes of an answer that tells of a failure.
    pub on_told_failure: ErrorInAnswer,
    /// `primary_keys`.
    pub keys: Vec<String>,
    /// `replication_key`.
    pub replication_key: Option<String>,
    /// Where to start without state.
    pub start_date: Option<String>,
    /// How times are written, if that is set.
    pub time_format: Option<TimeFormat>,
    /// `window_days`.
    pub window_days: Option<u32>,
    /// The schema, if it is declared.
    pub schema: Option<Map<String, Value>>,
    /// What types are inferred from.
    pub sample: Sample,
    /// How rows are made.
    pub rules: RowRules,
    /// How further pages are asked for.
    pub paging: Paging,
    /// How many pages a read may have.
    pub pages_max: u64,
    /// How many contexts are read at once.
    pub concurrency: usize,
    /// How many records to read at most.
    pub limit: Option<u64>,
    /// The inputs; without any one that is empty.
    pub inputs: Vec<Context>,
    /// The stream whose rows it is read for.
    pub parent: Option<Parent>,
    /// What becomes of rows of the parent without its keys.
    pub null_keys: NullKeys,
    /// How its own rows lead to others.
    pub recurse: Option<Recurse>,
    /// What the pages have shown.
    pub known: Mutex<Known>,
    /// The sums of the settings that decide the rows.
    pub decides: Map<String, Value>,
    /// What was warned of.
    pub warned: Warned,
}

/// What a run warns of once for a stream.
#[derive(Debug, Default)]
pub struct Warned {
    /// There is more than was read.
    pub more: AtomicBool,
    /// A page of so many records is full, and there is a token at this place; no answer may have
    /// the place that says what comes next.
    pub full: Mutex<Option<(u64, Option<String>)>>,
    /// There is a page before the first one.
    pub before: AtomicBool,
    /// One of several lists in an answer has more.
    pub lists: AtomicBool,
    /// Members of records with lists that are cut, and where they say so.
    pub nested: Mutex<BTreeMap<String, String>>,
    /// Elements have nothing where `records_path` goes on.
    pub lacking: AtomicBool,
    /// A map of records is treated as one.
    pub map: AtomicBool,
    /// Members of an object are records without their names.
    pub names: AtomicBool,
    /// There are fewer records than the API has announced.
    pub count: AtomicBool,
    /// Pages have fewer records than asked for.
    pub size: AtomicBool,
    /// The place of the total has no number.
    pub total: AtomicBool,
    /// An answer tells of a failure beside its records.
    pub failure: AtomicBool,
    /// The only column of CSV is probably several.
    pub delimiter: AtomicBool,
}

impl Warned {
    /// Tells whether the API may have more records than were read.
    pub fn of_more(&self) -> bool {
        [&self.more, &self.before, &self.lists, &self.count, &self.failure]
            .iter()
            .any(|flag| flag.load(Ordering::Relaxed))
    }
}

/// The position of the parent among the specs, and which column comes from which property.
type Parent = (usize, Vec<(String, String)>);

impl StreamSpec {
    /// Makes the values known that may be secrets.
    pub fn tell(&self, secrets: &Secrets) {
        let params = self.params.iter().chain(&self.first_params);
        params.for_each(|(name, value)| secrets.add_named(name, value));
        secrets.add_named("body", self.body.as_ref().unwrap_or(&Value::Null));
        self.headers.iter().for_each(|(name, value)| learn_header(name, value.reveal()));
        let path = self.path.fill(&Fills::new(), str::to_owned).unwrap_or_default();
        singer::scrub::learn_address(&format!("https://api/{path}"));
    }

    /// Returns the placeholders of the request.
    fn placeholders(&self) -> Vec<String> {
        let mut names = Vec::new();
        let params = self.params.values().chain(self.first_params.values());
        params.for_each(|value| names_in(value, &mut names));
        names_in(self.body.as_ref().unwrap_or(&Value::Null), &mut names);
        names.extend(self.path.names().map(str::to_owned));
        for (_, value) in &self.headers {
            names.extend(Template::new(value.reveal()).names().map(str::to_owned));
        }
        names
    }

    /// Returns what the pages have shown.
    pub fn known(&self) -> Known {
        self.known.lock().map(|known| *known).unwrap_or_default()
    }

    /// Keeps what the pages have shown.
    pub fn learn(&self, shown: Known) {
        if let Ok(mut known) = self.known.lock() {
            known.has_totals |= shown.has_totals;
            known.has_place |= shown.has_place;
            known.whole = known.whole.max(shown.whole);
        }
    }

    /// Tells whether the request asks for a part of the time.
    pub fn asks_for_times(&self) -> bool {
        let is_time = |name: &String| ["start", "end", "datestamp"].contains(&name.as_str());
        self.placeholders().iter().any(is_time)
    }

    /// Tells whether the request says from when on rows are wanted: an end alone asks for all
    /// before it, each time.
    pub fn asks_from_a_time(&self) -> bool {
        self.placeholders().iter().any(|name| ["start", "datestamp"].contains(&name.as_str()))
    }

    /// Tells whether each parent or input may have a bookmark of its own. Windows move through time
    /// with all of them, and a tree is read in full.
    pub fn may_have_own(&self) -> bool {
        let has_several =
            self.parent.is_some() || self.inputs.iter().any(|input| !input.members.is_empty());
        let by_windows = self.window_days.is_some_and(|days| days > 0);
        let goes_on = self.replication_key.is_some() && self.asks_from_a_time();
        has_several && goes_on && !by_windows && self.recurse.is_none()
    }

    /// Tells whether days of the stream can be told apart.
    pub fn has_days(&self) -> bool {
        self.replication_key.is_some() || self.asks_for_times()
    }
}

/// Makes the specs of all streams, in the order of the settings.
///
/// Fails with `Config`; placeholders that nothing fills are reported together.
pub fn specs(settings: &Settings) -> Result<Vec<StreamSpec>> {
    if settings.streams.is_empty() {
        return Err(Error::new(ErrorKind::Config, "the settings name no stream")
            .hint("add an entry with `name` and `path` to `streams`"));
    }
    let mut names = BTreeSet::new();
    for stream in &settings.streams {
        if !names.insert(stream.name.as_str()) {
            return Err(Error::new(ErrorKind::Config, "two streams have one name")
                .with("stream", &stream.name));
        }
        if let Some(name) = stream.unknown.keys().next() {
            return Err(Error::new(ErrorKind::Config, "unknown setting of a stream")
                .with("stream", &stream.name)
                .with("setting", name)
                .hint("--about lists the settings of a stream"));
        }
    }
    let spec = |stream| spec(stream, settings);
    let specs = settings.streams.iter().map(spec).collect::<Result<Vec<_>>>()?;
    checks::all(&specs, settings)?;
    Ok(specs)
}

fn spec(stream: &StreamSettings, settings: &Settings) -> Result<StreamSpec> {
    let options = &stream.options;
    let made = || {
        let mut params = options.params.clone().unwrap_or_default();
        let dated = options.replication_key.is_some() || settings.datestamp.is_some();
        if let (Some(field), Some(query), true) =
            (&options.source_search_field, &options.source_search_query, dated)
        {
            params.insert(field.clone(), query.as_str().into());
        }
        let in_body = options.use_request_body_not_params.unwrap_or(false);
        let posts = in_body || options.body.is_some();
        if posts && options.method == Some(Method::Get) {
            return Err(Error::new(ErrorKind::Config, "a GET request cannot have a body")
                .hint("set `method: POST`, or use only `params`"));
        }
        let by_default = if posts { Method::Post } else { Method::Get };
        let headers = options.headers.clone().unwrap_or_default();
        let path = options.records_path.as_deref().unwrap_or("$[*]");
        let records = RecordsPath::parse(path).with("setting", "records_path")?;
        let delimiter = options.delimiter.as_deref().unwrap_or(",");
        let encoding = options.encoding.as_deref().map(TextEncoding::named);
        Ok(StreamSpec {
            name: stream.name.clone(),
            path: Template::new(options.path.as_deref().unwrap_or_default()),
            params,
            first_params: options.first_page_params.clone().unwrap_or_default(),
            headers: headers.into_iter().collect(),
            method: options.method.unwrap_or(by_default),
            body: options.body.clone(),
            in_body,
            elements: Elements::new(options, &records)?,
            records,
            records_by_default: options.records_path.is_none(),
            answer_format: options.answer_format,
            delimiter: ShortText::read("delimiter", delimiter)?,
            encoding: encoding.transpose().with("setting", "encoding")?,
            allow_missing: options.allow_missing_records.unwrap_or(false),
            not_found: options.not_found.unwrap_or_default(),
            on_told_failure: options.error_in_answer.unwrap_or_default(),
            keys: options.primary_keys.clone().unwrap_or_default(),
            start_date: stream.start_date.clone(),
            time_format: options.time_format.as_deref().map(TimeFormat::named),
            window_days: options.window_days,
            schema: options.schema.as_ref().map(schema).transpose()?,
            sample: Sample {
                rows: options.num_inference_records.or_else(|| {
                    // A day ends; what is new since a start date may be years.
                    let endless = options.replication_key.is_some() && settings.datestamp.is_none();
                    endless.then_some(SAMPLE)
                }),
                of_many_windows: options.num_inference_records.is_some(),
            },
            rules: rules(options),
            replication_key: options.replication_key.clone(),
            paging: Paging::new(options)?,
            pages_max: options.max_pages.unwrap_or(PAGES_MAX),
            concurrency: usize::try_from(options.concurrency.unwrap_or(1)).unwrap_or(1).max(1),
            limit: options.pagination_results_limit,
            inputs: inputs(stream)?,
            parent: parent(stream, settings)?,
            null_keys: stream.null_parent_keys,
            recurse: stream.recurse.clone(),
            known: Mutex::default(),
            decides: Map::new(),
            warned: Warned::default(),
        })
    };
    made().with("stream", &stream.name)
}

fn rules(options: &StreamOptions) -> RowRules {
    let separator = || options.flattening_separator.clone().unwrap_or_else(|| "__".to_owned());
    let depth = options.flattening_max_depth.unwrap_or(DEPTH);
    let wanted = options.flattening_enabled.unwrap_or(false);
    RowRules {
        flatten: wanted.then(|| (depth, separator())),
        except: options.except_keys.clone().unwrap_or_default(),
        raw: options.store_raw_json_message.unwrap_or(false),
        key: options.replication_key.clone(),
        ..RowRules::default()
    }
}

fn inputs(stream: &StreamSettings) -> Result<Vec<Context>> {
    let names: Option<BTreeSet<&String>> =
        stream.inputs.first().map(|input| input.keys().collect());
    for (at, input) in stream.inputs.iter().enumerate() {
        if Some(input.keys().collect()) != names {
            return Err(Error::new(ErrorKind::Config, "the inputs have different members")
                .with("setting", format!("inputs[{at}]"))
                .hint("each input must have the members of the first input"));
        }
    }
    let context = |input: &Map<String, Value>| {
        Context::new(input.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let inputs: Vec<Context> = stream.inputs.iter().map(context).collect();
    Ok(if inputs.is_empty() { vec![Context::default()] } else { inputs })
}

fn parent(stream: &StreamSettings, settings: &Settings) -> Result<Option<Parent>> {
    let Some(name) = &stream.parent else {
        if stream.parent_keys.is_empty() {
            return Ok(None);
        }
        return Err(Error::new(ErrorKind::Config, "`parent_keys` needs a `parent`"));
    };
    let found = settings.streams.iter().position(|stream| stream.name == *name);
    let Some(at) = found else {
        return Err(Error::new(ErrorKind::Config, "cannot find the parent of a stream")
            .with("parent", name)
            .hint("`parent` must be the `name` of another entry of `streams`"));
    };
    let keys: &BTreeMap<String, String> = &stream.parent_keys;
    Ok(Some((at, keys.iter().map(|(to, from)| (to.clone(), from.clone())).collect())))
}

fn schema(given: &Value) -> Result<Map<String, Value>> {
    let unusable = || {
        Error::new(ErrorKind::Config, "cannot use the schema").with("setting", "schema").hint(
            "write a JSON Schema object with `properties`, or the path of a file that contains one",
        )
    };
    let value = match given {
        Value::String(path) if !path.trim_start().starts_with('{') => {
            let text = std::fs::read(path).or_kind(ErrorKind::Config, "cannot read the schema");
            let text = text.with("path", path)?;
            serde_json::from_slice(&text).map_err(|_| unusable().with("path", path))?
        }
        Value::String(text) => serde_json::from_str(text).map_err(|_| unusable())?,
        other => other.clone(),
    };
    match value {
        Value::Object(mut schema) if schema.get("properties").is_some_and(Value::is_object) => {
            with_pointers(&mut schema);
            Ok(schema)
        }
        _ => Err(unusable()),
    }
}
