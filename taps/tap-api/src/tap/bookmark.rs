//! Bookmarks: what they are made of, and what is reported of the rows beside them.

use std::sync::Arc;

use serde_json::{Value, json};
use singer::catalog::ReplicationMethod;
use singer::state::key_bookmark;
use singer::{Error, ErrorKind, Result, Rows, Stream};

use super::coverage::Coverage;
use super::own;
use crate::decides;
use crate::key::Keys;
use crate::reader::{Api, Counts, Reader};
use crate::row::Context;
use crate::stream::StreamSpec;

/// What the bookmark of a stream is made by.
pub(super) struct Bookmarks<'a> {
    pub(super) api: &'a Api,
    pub(super) spec: &'a StreamSpec,
    pub(super) stream: &'a Stream,
    /// What it is read for is not all of it, so that no bookmark moves.
    pub(super) is_part: bool,
    /// It is read from its start again, and the bookmark that it had is of no use.
    pub(super) anew: bool,
    /// What the bookmark covers once the read has ended.
    pub(super) covers: Coverage,
    /// What it is read for, if each has a bookmark of its own.
    pub(super) own: Option<Arc<Vec<Context>>>,
}

impl Bookmarks<'_> {
    /// Tells whether the bookmark moves by this read, if all of it comes.
    fn are_made(&self) -> bool {
        let incremental = self.stream.replication_method == ReplicationMethod::Incremental;
        incremental && !self.api.calendar.reads_a_day()
    }

    fn keys(&self) -> Keys<'_> {
        Keys { format: self.spec.time_format.as_ref(), zone: self.api.calendar.zone() }
    }

    /// Moves the bookmark behind a slice. One that stays where it is learns by which settings its
    /// rows were read.
    pub(super) fn checkpoint(&self, reader: &Reader, rows: &mut Rows<'_>) -> Result<()> {
        let key = self.stream.replication_key.as_ref().or(self.spec.replication_key.as_ref());
        let Some(key) = key.filter(|_| self.are_made() && !self.is_part) else { return Ok(()) };
        let Some(at) = self.stream.column(key) else { return Ok(()) };
        let kind = self.stream.columns[at].kind;
        let make = |mark: &str| key_bookmark(key, kind, mark);
        let keys = self.keys();
        let mut bookmark = if let Some(contexts) = &self.own {
            let of = (contexts.as_slice(), reader.marks());
            let parts = own::member(self.spec, of, keys, &make, rows.changes_rows());
            if parts.is_empty() && !self.anew {
                return Ok(());
            }
            json!({ "replication_key": key, own::MEMBER: parts })
        } else {
            match reader.mark(self.api, self.spec) {
                // For more parents than have bookmarks, a number of all would pass over records.
                Some(mark) if self.spec.may_have_own() && keys.moment(mark).is_none() => {
                    return Ok(());
                }
                Some(mark) => make(mark),
                None if self.anew => json!({ "replication_key": key }),
                None => return Ok(()),
            }
        };
        bookmark[decides::MEMBER] = Value::Object(self.spec.decides.clone());
        if let Some((name, covered)) = self.covers.member(self.spec, reader.absent()) {
            bookmark[name] = covered;
        }
        rows.checkpoint(bookmark)
    }

    /// Says what was left out, and what is odd about the keys.
    pub(super) fn tell(&self, reader: &Reader, rows: &mut Rows<'_>) {
        let Self { spec, .. } = self;
        let Counts { outside, undated, .. } = reader.counts();
        let key = spec.replication_key.as_deref().unwrap_or_default();
        reader.latest().ahead.report(&spec.name, key);
        if outside > 0 {
            tracing::info!("stream {}: {outside} records of other days were left out", spec.name);
        }
        if undated > 0 {
            singer::warn!(
                "W-RECORDS-UNDATED",
                "stream {}: {undated} records without `{key}` are part of every day",
                spec.name
            );
        }
        if let Some(most) = spec.limit.filter(|_| reader.is_cut()) {
            rows.leave_out(&format!(
                "the run reads only {most} records (`pagination_results_limit`), and the bookmark \
                 stays, so the next run reads them again"
            ));
        }
        if self.is_part {
            rows.leave_out(
                "it is read for only a part of the rows of its parent \
                 (`pagination_results_limit`), and its bookmark stays",
            );
        }
        if self.covers.is_full && self.are_made() {
            singer::warn!(
                "W-PARENTS-LATE",
                "stream {}: it has more parents than its bookmark can remember. The rows of a \
                 parent that appears later are read from the bookmark of the others on, so its \
                 older rows may be missing. With a `replication_key` that is no time, the bookmark \
                 stays where it is",
                spec.name
            );
        }
        if reader.held() > 0 && self.are_made() {
            singer::warn!(
                "W-BOOKMARK-HELD",
                "stream {}: its pages do not come in the order of `{}`, so that a record which is \
                 added while they are read may be on a page that was read already. The bookmark \
                 stays at the largest key of the first page, and the next run reads the records \
                 from there again. If the API can sort by this key, ask for it (`params`)",
                spec.name,
                spec.replication_key.as_deref().unwrap_or_default()
            );
        }
        self.tell_of_keys(reader);
    }

    fn tell_of_keys(&self, reader: &Reader) {
        let Self { spec, .. } = self;
        let Some(key) = &spec.replication_key else { return };
        let rows = reader.counts().rows;
        let counts = reader.latest().counts;
        // By its key a row is of this read or of the one before, unless the API says otherwise for
        // most of them.
        if spec.asks_from_a_time() && counts.before * 2 > counts.keyed {
            singer::warn!(
                "W-START-IGNORED",
                "stream {}: {} of {} records have a `{key}` well before the requested {{start}}: \
                 the API ignores the parameter, or compares another field. Check the name and the \
                 form of the parameter, and `time_format`",
                spec.name,
                counts.before,
                counts.keyed
            );
        }
        if self.are_made() && rows > 0 && counts.keyed == 0 {
            singer::warn!(
                "W-NULL-KEY",
                "stream {}: none of {rows} records has a `{key}` that the tap can read, so the \
                 bookmark does not move, and each run reads from the same start: check \
                 `replication_key` and `time_format`",
                spec.name
            );
        }
        self.tell_of_start(key, reader);
        let borders = reader.borders();
        if borders.unsure > 0 || borders.full {
            let some = if borders.unsure > 0 { "records without" } else { "too many records by" };
            singer::warn!(
                "W-WINDOWS-OVERLAP",
                "stream {}: {some} `{key}` to decide whether the records of two windows are the \
                 same, so records may have come twice. Request windows that do not overlap, or set \
                  `primary_keys`",
                spec.name
            );
        }
    }

    /// Warns of an API that may give only what is later than `{start}`.
    ///
    /// The rule: the row that a bookmark was made of is there, or has a later key, unless the start
    /// is left out. Then rows that get the same key later are never read: of whole seconds and days
    /// there are several.
    fn tell_of_start(&self, key: &str, reader: &Reader) {
        let Self { spec, .. } = self;
        let keys = self.keys();
        let bookmark = reader.latest().bookmark().and_then(|bookmark| keys.moment(bookmark));
        let is_coarse = bookmark.is_some_and(|(moment, _)| moment.subsec_nanosecond() == 0);
        // A window may have no rows, and a parent may be gone.
        let may_be_none = spec.window_days.is_some_and(|days| days > 0)
            || spec.parent.is_some()
            || !reader.absent().is_empty()
            || spec.keys.iter().any(|name| name == key);
        let is_whole = self.are_made() && reader.is_done() && !reader.is_cut();
        if is_whole && reader.counts().rows == 0 && is_coarse && !may_be_none {
            singer::warn!(
                "W-START-EXCLUDED",
                "stream {}: the API sent nothing from the bookmark on, not even the row with that \
                 `{key}`. If it sends only records later than {{start}}, rows that get the same \
                 `{key}` later are never read. Ask for records at {{start}} as well, or start \
                 earlier by a coarser `time_format`, such as `date`",
                spec.name
            );
        }
    }
}

/// Warns of a stream that is read from its start again.
pub(super) fn warn_of_change(spec: &StreamSpec, changed: &[String]) {
    singer::warn!(
        "W-SETTINGS-CHANGED",
        "stream {}: `{}` has changed since the bookmark and decides which rows there are, so the \
         tap reads the stream from its start again",
        spec.name,
        changed.join("`, `")
    );
}

/// Warns of a stream that asks for everything each time although it need not.
///
/// Fails with `Config` where the catalog has another key than the settings: the bookmark would be
/// one of a key that nobody asked for.
pub(super) fn warn_of_all(spec: &StreamSpec, stream: &Stream) -> Result<()> {
    if stream.replication_method != ReplicationMethod::Incremental {
        return Ok(());
    }
    let known = stream.replication_key.as_ref();
    let Some(key) = &spec.replication_key else {
        singer::warn!(
            "W-START-UNUSED",
            "stream {}: the catalog has the replication key `{}`, but the settings have none, so \
             each run reads everything: set `replication_key` of the stream",
            spec.name,
            known.map(String::as_str).unwrap_or_default()
        );
        return Ok(());
    };
    if let Some(known) = known.filter(|known| *known != key) {
        return Err(Error::new(
            ErrorKind::Config,
            "the catalog has another replication key than the settings",
        )
        .with("replication key of the catalog", known)
        .with("replication_key", key)
        .hint("write the catalog again with --discover, or set the same key in both"));
    }
    if !spec.asks_from_a_time() {
        singer::warn!(
            "W-START-UNUSED",
            "stream {}: no parameter sends the start of `{key}` to the API, so each run reads \
             everything: add the parameter with which the API gives new records, such as `params: \
             {{\"{key}_from\": \"{{start}}\"}}`, to the stream",
            spec.name
        );
    }
    Ok(())
}
