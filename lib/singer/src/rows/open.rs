//! A stream that is open: the rows that wait, and what becomes of them.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use super::keys::Settled;
use super::made::Made;
use crate::batch::{Batch, Mark};
use crate::catalog::ReplicationMethod;
use crate::decode::RecordDecoder;
use crate::encode::{Envelopes, RecordEncoder, schema_message};
use crate::future::{Ahead, is_dated};
use crate::mapper::Route;
use crate::metrics::RecordCounter;
use crate::schema::{Column, Kind};
use crate::selection::{Pruning, Selected};
use crate::state::{KEY_TYPE, may_be_endless};

/// One stream of a run, from its first row to its last.
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts of a stream")]
pub(crate) struct OpenStream {
    pub id: String,
    pub batch: Batch,
    /// Where the row begun starts.
    pub row_start: Mark,
    /// How many cells the row begun has.
    pub column: usize,
    pub columns: Vec<(String, Kind)>,
    /// The SCHEMA, or those of the streams that are made of it, until the first rows or the end of
    /// the stream send them.
    pub schemas: Vec<Value>,
    pub encoder: Arc<RecordEncoder>,
    /// What becomes of the rows, where they do not stay as they are.
    pub made: Option<Made>,
    /// The source has not changed since the bookmark.
    pub unchanged: bool,
    /// Made by the first row that comes as JSON.
    pub decoder: Option<RecordDecoder>,
    pub deselected: Vec<String>,
    pub prunings: Vec<Option<Pruning>>,
    /// Its SCHEMA says that the rows are a part of what there is.
    pub part: bool,
    /// Rows of the stream were left out that no SCHEMA names: by a limit, or as rejects.
    pub left_out: bool,
    /// Why the source may lack rows.
    pub lacks: Option<&'static str>,
    /// The SCHEMA says which files are read.
    pub reads_files: bool,
    pub counter: RecordCounter,
    /// When the first row of the batch may have come.
    pub begun: Instant,
    /// Name and position of the replication key of an INCREMENTAL stream.
    pub replication_key: Option<(String, usize)>,
    /// What bookmarks of keys have besides.
    pub besides: Map<String, Value>,
    /// The keys may be infinite or no number: nothing comes behind such a bookmark.
    pub endless_keys: bool,
    /// The last replication key that a bookmark can be made of.
    pub last_key: Vec<u8>,
    /// The rows beyond the cap of the bookmarks.
    pub ahead: Ahead,
    /// The replication key where it is a time.
    pub dated_key: Option<Column>,
    /// Up to where no row may still come.
    pub settled: Settled,
    /// Rows since the last state.
    pub unstated: u64,
    /// All rows are judged together: no state covers some of them before.
    pub judged: bool,
    /// The bookmark of a stream that is judged, until that has been.
    pub unjudged: Option<Value>,
}

impl OpenStream {
    /// Opens a stream, of which the streams of `routes` are made where there are some.
    pub(crate) fn new(
        selected: &Selected,
        version: Option<i64>,
        routes: Option<Vec<Route>>,
    ) -> Self {
        let Selected { stream, prunings, deselected } = selected;
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let batch = Batch::new(stream.columns.len());
        let counter = RecordCounter::new(&stream.name);
        let estimate = stream.meta("row-count").and_then(Value::as_u64);
        if let Some(rows) = estimate.filter(|rows| *rows > 0) {
            counter.estimate(rows);
        }
        let key = stream.replication_key.as_ref();
        let replication_key = key
            .filter(|_| stream.replication_method == ReplicationMethod::Incremental)
            .and_then(|name| Some((name.clone(), stream.column(name)?)));
        let key_column = replication_key.as_ref().map(|(_, at)| &stream.columns[*at]);
        let key_type = key_column.and_then(Column::sql_datatype);
        let key_type = key_type.map(|name| (KEY_TYPE.to_owned(), name.into()));
        let envelopes = Envelopes::Same(&now, version);
        let schemas = match &routes {
            None => vec![schema_message(stream)],
            Some(routes) => routes.iter().map(|route| schema_message(&route.stream)).collect(),
        };
        Self {
            id: stream.id.clone(),
            row_start: batch.mark(),
            batch,
            column: 0,
            columns: stream.columns.iter().map(|one| (one.name.clone(), one.kind)).collect(),
            schemas,
            encoder: Arc::new(RecordEncoder::new(stream, prunings, envelopes)),
            made: routes.map(|routes| Made::new(stream, routes, envelopes)),
            unchanged: false,
            decoder: None,
            deselected: deselected.clone(),
            prunings: prunings.clone(),
            part: false,
            left_out: false,
            lacks: None,
            reads_files: false,
            counter,
            begun: Instant::now(),
            besides: key_type.into_iter().collect(),
            endless_keys: key_column.is_some_and(may_be_endless),
            last_key: Vec::new(),
            ahead: Ahead::default(),
            dated_key: key_column.filter(|column| is_dated(column)).cloned(),
            replication_key,
            settled: Settled::All,
            unstated: 0,
            judged: false,
            unjudged: None,
        }
    }
}
