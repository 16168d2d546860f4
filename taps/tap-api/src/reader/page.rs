//! One page: its rows, whether it is an answer at all, and what to ask for next.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::Ordering;

use files::json::{Fields, Lacking};
use http_client::Answer;
use serde_json::Value;
use singer::{Context as _, Error, ErrorKind, Result};

use super::failures::warn_of_delimiter;
use super::form::{self, Source};
use super::{Api, Reader, Take};
use crate::element::Held;
use crate::more;
use crate::options::{AnswerFormat, ErrorInAnswer, NotFound};
use crate::paging::facts::PageFacts;
use crate::paging::pager::Pager;
use crate::partial;
use crate::reader::turn::{Turn, each_member};
use crate::row::Context;
use crate::spool::Spool;
use crate::stream::StreamSpec;
use crate::told::{self, Told};

/// The page at hand.
pub(super) struct Page<'a> {
    api: &'a Api,
    spec: &'a StreamSpec,
    pager: &'a mut Pager,
    take: Take<'a>,
    count: u64,
    /// What an API counts on a page: elements of its list, of which each may have several records.
    units: u64,
    /// The names of the columns of CSV or arrays.
    columns: BTreeSet<Vec<u8>>,
    content: DefaultHasher,
    /// Rows kept until it is known whether the page is a new one.
    held: Option<Spool>,
}

impl<'a> Page<'a> {
    /// Begins a page, whose rows are for `take`.
    pub(super) fn new(
        api: &'a Api,
        spec: &'a StreamSpec,
        pager: &'a mut Pager,
        take: Take<'a>,
    ) -> Self {
        let held = pager.may_repeat().then(|| Spool::new(&api.spool));
        let content = DefaultHasher::new();
        let columns = BTreeSet::new();
        Self { api, spec, pager, take, count: 0, units: 0, columns, content, held }
    }
}

impl Reader {
    /// Gives the rows of a page to where they go; returns what to ask for next.
    pub(super) fn page(&mut self, mut page: Page<'_>, answer: &mut Answer) -> Result<Turn> {
        let format = form::format_of(answer, page.spec, page.pager.pages() == 0)?;
        let before = self.counts;
        let envelope = if answer.status == 204 {
            Value::Null
        } else {
            match self.records(&mut page, answer, format)? {
                Ok(envelope) => envelope,
                Err(told) => return Ok(Turn::Again(told)),
            }
        };
        let Page { spec, pager, take, count, units, columns, content, held, .. } = page;
        let units = if spec.records.is_nested() { units } else { count };
        pager.check_columns(columns)?;
        // An API that knows of no pages gives the one there is again.
        let is_all = pager.may_be_all();
        if !pager.is_new(content.finish(), units, !spec.keys.is_empty())? {
            if !is_all {
                singer::warn!(
                    "W-PAGE-AGAIN",
                    "stream {}: the last page came twice, and the second copy was left out",
                    spec.name
                );
            }
            self.counts = before;
            close(spec, pager);
            return Ok(Turn::Next(None));
        }
        if let Some(mut held) = held {
            held.each(&mut *take)?;
        }
        let said = more::said(spec, &envelope, answer);
        let facts = PageFacts { answer, envelope: &envelope, records: units, said };
        if pager.pages() == 0 && count > 0 {
            more::warn_of_first(spec, facts);
        }
        more::warn_of_lists(spec, facts);
        if spec.paging.has_odd_total(&envelope) && !spec.warned.total.swap(true, Ordering::Relaxed)
        {
            singer::warn!(
                "W-SETTING-UNUSED",
                "stream {}: `pagination_total_limit_param` has no effect, because what the answer \
                 has at this place is no number of digits alone",
                spec.name
            );
        }
        let believed = pager.untrue().is_none();
        let next = pager.next(&spec.paging, facts)?;
        pager.end_page(&spec.paging, facts);
        spec.learn(pager.known());
        if let Some((total, received)) = pager.untrue().filter(|_| believed) {
            singer::warn!(
                "W-COUNT-DIFFERS",
                "stream {}: the API says that there are {total} records, but sent {received}: the \
                 tap does not use this total as the end",
                spec.name
            );
        }
        if spec.records_by_default {
            warn_of_records(spec, &envelope);
        }
        if next.is_none() && !self.is_full(spec) {
            end(spec, pager, facts);
        }
        Ok(Turn::Next(next))
    }

    /// Takes the records of an answer; returns what stands around them, or the failure that it
    /// tells of, if it may pass.
    fn records(
        &mut self,
        page: &mut Page<'_>,
        answer: &mut Answer,
        format: AnswerFormat,
    ) -> Result<Result<Value>> {
        let spec = page.spec;
        let elements = &spec.elements;
        let place = elements.unwinding.as_ref().map_or(&spec.records, |it| it.document());
        let mut source = Source::new(answer, format, spec, place, page.api.record_bytes_max)?;
        let mut held = elements.waits().then(|| Held::new(&page.api.spool));
        let alone = if format == AnswerFormat::Jsonl && elements.is_plain() {
            self.lines(page, &mut source)?;
            None
        } else {
            self.listed(page, &mut source, held.as_mut())?
        };
        let loses_names = source.loses_names() && !elements.keeps_names();
        let mut found = source.found();
        page.units = source.outer();
        page.columns.extend(source.columns());
        warn_of_delimiter(spec, source.other_delimiter());
        let envelope = source.envelope(format)?;
        if let Some(held) = held {
            found &= self.waiting(page, held, &envelope)?;
        }
        let known = told::Records { count: page.count, found };
        let is_end = page.count == 0 && found && alone.is_none();
        let told = told::failure_of(spec, &envelope, known)
            .or_else(|| self.beside.failure_of(spec, &envelope).filter(|_| is_end));
        if told.as_ref().is_some_and(|told| tells_none(page, told)) {
            self.note_absent();
        } else if let Some(told) = told
            && let Some(failure) = heed(page, &told)
        {
            return or_again(failure);
        }
        if let Some(place) = partial::place_in(spec, &envelope)
            && let Some(failure) = lacks(spec, &place)
        {
            // What was taken is not taken back: the run ends then.
            return if page.count == 0 { Ok(Err(failure)) } else { Err(failure) };
        }
        if !found && !spec.allow_missing {
            return Err(Error::new(ErrorKind::Data, "cannot find the records in the answer")
                .with("records_path", &spec.records)
                .hint(
                    "set `records_path` to the place of the records; `allow_missing_records` \
                     accepts such an answer as one without records",
                ));
        }
        warn_of_lacking(spec, &envelope);
        let loses_names =
            loses_names || !elements.keeps_names() && spec.records.loses_names(&envelope);
        if spec.keys.is_empty() && loses_names {
            warn_of_names(spec);
        }
        if let Some((text, line)) = alone {
            if let Err(mixed) = self.forms.note_alone(&text, spec) {
                let told = told::failure_of_alone(&text).ok_or(mixed)?;
                if let Some(failure) = heed(page, &told) {
                    return or_again(failure);
                }
            }
            self.record(page, &text, line)?;
        }
        if page.count > 0 {
            self.beside.note(spec, &envelope);
        }
        Ok(Ok(envelope))
    }

    /// Takes the records of lists; returns one that is in none. Whether that is a record is known
    /// by what stands around it.
    fn listed(
        &mut self,
        page: &mut Page<'_>,
        source: &mut Source<'_>,
        mut held: Option<&mut Held>,
    ) -> Result<Option<(Vec<u8>, u64)>> {
        let elements = &page.spec.elements;
        let (mut alone, mut names) = (None, None);
        while let Some(record) = source.next()? {
            let (text, line) = (record.text, record.line);
            if let Some(held) = &mut held {
                held.push(record)?;
            } else if record.alone && (elements.is_plain() || text.starts_with(b"{")) {
                alone = Some((text.to_vec(), line));
            } else if elements.is_plain() {
                self.forms.note_listed(text, page.spec)?;
                self.record(page, text, line)?;
            } else {
                let made = elements.made(text, record.key, &Fields::new(), &mut names);
                self.made(page, made.with("line", line)?, line)?;
            }
        }
        page.columns.extend(names.into_iter().flatten().map(String::into_bytes));
        Ok(alone)
    }

    /// Takes the records that waited for what stands around them; tells whether one of them, if
    /// there are any, has the place of the records.
    fn waiting(&mut self, page: &mut Page<'_>, mut held: Held, envelope: &Value) -> Result<bool> {
        let elements = &page.spec.elements;
        let mut names = if held.is_empty() { None } else { elements.names(envelope)? };
        let unwinding = elements.unwinding.as_ref();
        let beside = unwinding.map(|it| it.beside(envelope)).unwrap_or_default();
        let mut found = held.is_empty();
        held.each(|text, key, line| {
            let mut take = |text: &[u8], fields: &Fields| {
                let made = elements.made(text, key, fields, &mut names);
                self.made(page, made.with("line", line)?, line)
            };
            found |= match unwinding {
                Some(unwinding) => unwinding.each(text, beside.clone(), &mut take)?,
                None => take(text, &beside).map(|()| true)?,
            };
            Ok(())
        })?;
        Ok(found)
    }

    /// Takes a record that was made of an element; `None` for the row that names the columns.
    fn made(&mut self, page: &mut Page<'_>, record: Option<Vec<u8>>, line: u64) -> Result<()> {
        let Some(record) = record else { return Ok(()) };
        self.forms.note_listed(&record, page.spec)?;
        self.record(page, &record, line)
    }

    /// Takes the records of lines, each when the next one is there: the last line may tell of a
    /// failure.
    fn lines(&mut self, page: &mut Page<'_>, records: &mut Source<'_>) -> Result<()> {
        let spec = page.spec;
        let (mut before, mut last) = (Vec::new(), None::<(Vec<u8>, u64)>);
        while let Some(record) = records.next()? {
            self.forms.note_listed(record.text, spec)?;
            if let Some((text, line)) = last.replace((record.text.to_vec(), record.line)) {
                self.record(page, &text, line)?;
                before = text;
            }
        }
        let Some((text, line)) = last else { return Ok(()) };
        if page.count > 0
            && let Some(told) = told::failure_of_line(spec, &text, &before)
        {
            if spec.on_told_failure == ErrorInAnswer::Fail {
                return Err(told.failure().with("line", line));
            }
            heed(page, &told);
        }
        self.record(page, &text, line)
    }

    /// Takes one record, unless it came on the page before or is beyond the limit.
    fn record(&mut self, page: &mut Page<'_>, text: &[u8], line: u64) -> Result<()> {
        let Page { api, spec, pager, take, count, content, held, .. } = page;
        *count += 1;
        content.write(text);
        more::nested::note(spec, text);
        let wanted = !self.is_full(spec);
        self.counts.beyond |= !wanted;
        let is_again = spec.paging.is_numbered() && pager.drift.is_again(super::hash(text));
        if !wanted || is_again && !spec.keys.is_empty() {
            return Ok(());
        }
        if spec.paging.is_numbered()
            && let Some(key) = sum_of_keys(spec, &self.contexts[self.context], text)
        {
            pager.drift.note_key(key);
        }
        let mut keep = |row: &[u8]| match held {
            Some(held) => held.push(row),
            None => take(row),
        };
        self.row(api, spec, text, &mut keep).map_err(|failure| {
            if failure.kind() == ErrorKind::Data { failure.with("line", line) } else { failure }
        })
    }
}

/// A failure that may pass has the answer asked for again.
fn or_again<T>(failure: Error) -> Result<Result<T>> {
    if failure.kind() == ErrorKind::Temporary { Ok(Err(failure)) } else { Err(failure) }
}

/// Says what the last page of a context leaves open.
fn end(spec: &StreamSpec, pager: &Pager, last: PageFacts<'_>) {
    if !close(spec, pager) {
        more::warn(spec, pager, last);
    }
}

/// Says what the pages of a context tell together, however they ended; tells whether they
/// announced more than they gave.
pub(super) fn close(spec: &StreamSpec, pager: &Pager) -> bool {
    if spec.paging.is_numbered() {
        pager.drift.report(&spec.name, !spec.keys.is_empty());
    }
    spec.learn(pager.known());
    let missing = pager.missing(&spec.paging);
    if let Some((total, received)) = missing {
        spec.warned.count.store(true, Ordering::Relaxed);
        singer::warn!(
            "W-COUNT-DIFFERS",
            "stream {}: the API says that there are {total} records, but sent {received}",
            spec.name
        );
    } else if let Some((each, asked)) = pager.shorter(&spec.paging)
        && !spec.warned.size.swap(true, Ordering::Relaxed)
    {
        singer::warn!(
            "W-COUNT-DIFFERS",
            "stream {}: each page has {each} records, but `pagination_page_size` asks for {asked}: \
              an API that counts pages by the requested size then leaves records out; set it to \
             {each}",
            spec.name
        );
    }
    missing.is_some()
}

/// Tells whether an answer says that there is nothing, as a status of HTTP would.
fn tells_none(page: &Page<'_>, told: &Told) -> bool {
    told.status == Some(404) && page.spec.not_found == NotFound::Empty && page.count == 0
}

/// Returns the failure of an answer that tells of one, or warns of it where there are records, or
/// where the settings say so.
fn heed(page: &Page<'_>, told: &Told) -> Option<Error> {
    let spec = page.spec;
    if page.count == 0 && spec.on_told_failure == ErrorInAnswer::Fail {
        return Some(told.failure());
    }
    if !spec.warned.failure.swap(true, Ordering::Relaxed) {
        let said = page.api.client.excerpt(&told.words).unwrap_or_default();
        let status = told.status.map(|status| format!("status {status}, ")).unwrap_or_default();
        singer::warn!(
            "W-ERROR-IN-ANSWER",
            "stream {}: an answer reports an error beside its {} records: {status}{said}",
            spec.name,
            page.count
        );
    }
    None
}

/// Returns the failure of an answer that says that it is incomplete, or warns of it.
fn lacks(spec: &StreamSpec, place: &str) -> Option<Error> {
    if spec.on_told_failure == ErrorInAnswer::Fail {
        return Some(partial::failure(place));
    }
    if !spec.warned.failure.swap(true, Ordering::Relaxed) {
        singer::warn!(
            "W-ERROR-IN-ANSWER",
            "stream {}: {place} says that an answer is incomplete, and `error_in_answer: warn` \
             accepts it",
            spec.name
        );
    }
    None
}

/// Returns a sum of the keys of a record; `None` where it does not have them as they are.
fn sum_of_keys(spec: &StreamSpec, context: &Context, record: &[u8]) -> Option<u64> {
    let mut values = vec![None; spec.keys.len()];
    let read = each_member(record, &mut |name, value| {
        if let Some(at) = spec.keys.iter().position(|key| key.as_bytes() == name) {
            values[at] = Some(format!("{value:?}"));
        }
    });
    let is_of_context = |key: &String| context.members.iter().any(|(name, _)| name == key);
    let mut pairs = spec.keys.iter().zip(&values);
    let all = read.is_ok() && pairs.all(|(key, value)| value.is_some() || is_of_context(key));
    let has_any = values.iter().any(Option::is_some);
    (all && has_any).then(|| super::hash(format!("{values:?}").as_bytes()))
}

/// Warns when an answer that is an object, and for want of a `records_path` a record, seems to hold
/// the records.
fn warn_of_records(spec: &StreamSpec, envelope: &Value) {
    let Some(members) = envelope.as_object() else { return };
    let lists =
        |value: &Value| value.as_array().is_some_and(|list| list.iter().any(Value::is_object));
    if let Some((name, _)) = members.iter().find(|(_, value)| lists(value)) {
        singer::warn!(
            "W-WHOLE-ANSWER",
            "stream {}: the whole answer is read as one record; if its records are in `{name}`, \
             set `records_path` to $.{name}[*]",
            spec.name
        );
    }
}

/// Warns, once for a stream, of elements that lack the place where `records_path` goes on, so that
/// they have no row.
fn warn_of_lacking(spec: &StreamSpec, envelope: &Value) {
    let Lacking { all, lacking } = spec.records.lacking(envelope);
    if lacking == 0 || spec.allow_missing || spec.warned.lacking.swap(true, Ordering::Relaxed) {
        return;
    }
    singer::warn!(
        "W-RECORDS-LACKING",
        "stream {}: {lacking} of {all} elements in an answer have nothing at `{}`, so they give no \
          row: correct `records_path`, or set `allow_missing_records` if they have no record",
        spec.name,
        spec.records
    );
}

/// Warns, once for a stream, when members of an object are records that do not have their names.
fn warn_of_names(spec: &StreamSpec) {
    if spec.warned.names.swap(true, Ordering::Relaxed) {
        return;
    }
    singer::warn!(
        "W-PROPERTY-LOST",
        "stream {}: the members of the object at `{}` are read as records, and their names are not \
          in the rows: if the names matter, set `key_column`; a `records_path` without its end \
         reads the object as one record with these names as columns",
        spec.name,
        spec.records
    );
}
