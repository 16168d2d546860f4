//! One page: its rows, whether it is an answer at all, and what to ask for next.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::Ordering;

use files::json::Records;
use http_client::Answer;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::{Api, Reader, Take};
use crate::more;
use crate::oddities::{check_kind, warn_of_lacking, warn_of_names, warn_of_records};
use crate::options::{ErrorInAnswer, NotFound};
use crate::paging::facts::PageFacts;
use crate::paging::pager::Pager;
use crate::partial;
use crate::plan::Plan;
use crate::reader::turn::{Turn, each_member};
use crate::row::Context;
use crate::spool::Spool;
use crate::told::{self, Told};

/// The page at hand.
struct Page<'a> {
    api: &'a Api,
    plan: &'a Plan,
    pager: &'a mut Pager,
    take: Take<'a>,
    count: u64,
    content: DefaultHasher,
    /// Rows kept until it is known whether the page is a new one.
    held: Option<Spool>,
}

impl Reader {
    /// Gives the rows of a page to `take`; returns what to ask for next.
    pub(super) fn page(
        &mut self,
        api: &Api,
        plan: &Plan,
        answer: &mut Answer,
        pager: &mut Pager,
        take: Take<'_>,
    ) -> Result<Turn> {
        let lines = check_kind(answer)?;
        let before = self.counts;
        let held = pager.may_repeat().then(|| Spool::new(&api.spool));
        let content = DefaultHasher::new();
        let mut page =
            Page { api, plan, pager: &mut *pager, take: &mut *take, count: 0, content, held };
        let envelope = if answer.status == 204 {
            Value::Null
        } else {
            match self.records(&mut page, answer, lines)? {
                Ok(envelope) => envelope,
                Err(told) => return Ok(Turn::Again(told)),
            }
        };
        let Page { count, content, held, .. } = page;
        // An API that knows of no pages gives the one there is again.
        let is_all = pager.may_be_all();
        if !pager.is_new(content.finish(), count, !plan.keys.is_empty())? {
            if !is_all {
                singer::warn!(
                    "W-PAGE-AGAIN",
                    "stream {}: the last page came once more, and was left out",
                    plan.name
                );
            }
            self.counts = before;
            close(plan, pager);
            return Ok(Turn::Next(None));
        }
        if let Some(mut held) = held {
            held.each(&mut *take)?;
        }
        let said = more::said(plan, &envelope, answer);
        let facts = PageFacts { answer, envelope: &envelope, records: count, said };
        if pager.pages() == 0 && count > 0 {
            more::warn_of_first(plan, facts);
        }
        more::warn_of_lists(plan, facts);
        let believed = pager.untrue().is_none();
        let next = pager.next(&plan.paging, facts)?;
        pager.end_page(&plan.paging, facts);
        plan.learn(pager.known());
        if let Some((total, received)) = pager.untrue().filter(|_| believed) {
            singer::warn!(
                "W-COUNT-DIFFERS",
                "stream {}: the API says that there are {total} records, and gave {received}: \
                 that total does not end the read",
                plan.name
            );
        }
        if plan.records_by_default {
            warn_of_records(plan, &envelope);
        }
        if next.is_none() && !self.is_full(plan) {
            end(plan, pager, facts);
        }
        Ok(Turn::Next(next))
    }

    /// Takes the records of an answer; returns what stands around them, or the failure that it
    /// tells of, if it may pass.
    fn records(
        &mut self,
        page: &mut Page<'_>,
        answer: &mut Answer,
        lines: bool,
    ) -> Result<Result<Value>> {
        let plan = page.plan;
        let body = answer.body()?;
        let mut records = if lines {
            Records::lines(body, page.api.record_bytes_max)
        } else {
            Records::new(body, &plan.records, page.api.record_bytes_max)
        };
        let mut alone = None;
        // The last line may tell of a failure, so that each waits for the next.
        let (mut before, mut last) = (Vec::new(), None::<(Vec<u8>, u64)>);
        while let Some(record) = records.next()? {
            if record.alone {
                // Whether it is a record is known by what stands around it.
                alone = Some((record.text.to_vec(), record.line));
                continue;
            }
            self.forms.note_listed(record.text, plan)?;
            if !lines {
                self.record(page, record.text, record.line)?;
            } else if let Some((text, line)) = last.replace((record.text.to_vec(), record.line)) {
                self.record(page, &text, line)?;
                before = text;
            }
        }
        if let Some((text, line)) = last {
            if page.count > 0
                && let Some(told) = told::failure_of_line(plan, &text, &before)
            {
                if plan.on_told_failure == ErrorInAnswer::Fail {
                    return Err(told.failure().with("line", line));
                }
                heed(page, &told);
            }
            self.record(page, &text, line)?;
        }
        let (found, loses_names) = (records.found(), records.loses_keys());
        let envelope = if lines { Value::Null } else { records.envelope()? };
        let known = told::Records { count: page.count, found };
        let is_end = page.count == 0 && found && alone.is_none();
        let told = told::failure_of(plan, &envelope, known)
            .or_else(|| self.beside.failure_of(plan, &envelope).filter(|_| is_end));
        if told.as_ref().is_some_and(|told| tells_none(page, told)) {
            self.note_absent();
        } else if let Some(told) = told
            && let Some(failure) = heed(page, &told)
        {
            return or_again(failure);
        }
        if let Some(place) = partial::place_in(plan, &envelope)
            && let Some(failure) = lacks(plan, &place)
        {
            // What was taken is not taken back: the run ends then.
            return if page.count == 0 { Ok(Err(failure)) } else { Err(failure) };
        }
        if !found && !plan.allow_missing {
            return Err(Error::new(ErrorKind::Data, "cannot find the records in the answer")
                .with("records_path", &plan.records)
                .hint(
                    "set `records_path` to where they are; `allow_missing_records` takes such an \
                     answer for one without records",
                ));
        }
        warn_of_lacking(plan, &envelope);
        if plan.keys.is_empty() && (loses_names || plan.records.loses_names(&envelope)) {
            warn_of_names(plan);
        }
        if let Some((text, line)) = alone {
            if let Err(mixed) = self.forms.note_alone(&text, plan) {
                let told = told::failure_of_alone(&text).ok_or(mixed)?;
                if let Some(failure) = heed(page, &told) {
                    return or_again(failure);
                }
            }
            self.record(page, &text, line)?;
        }
        if page.count > 0 {
            self.beside.note(plan, &envelope);
        }
        Ok(Ok(envelope))
    }

    /// Takes one record, unless it came on the page before or is beyond the limit.
    fn record(&mut self, page: &mut Page<'_>, text: &[u8], line: u64) -> Result<()> {
        let Page { api, plan, pager, take, count, content, held } = page;
        *count += 1;
        content.write(text);
        more::nested::note(plan, text);
        let wanted = !self.is_full(plan);
        self.counts.beyond |= !wanted;
        let is_again = plan.paging.is_numbered() && pager.drift.is_again(super::hash(text));
        if !wanted || is_again && !plan.keys.is_empty() {
            return Ok(());
        }
        if plan.paging.is_numbered()
            && let Some(key) = sum_of_keys(plan, &self.contexts[self.context], text)
        {
            pager.drift.note_key(key);
        }
        let mut keep = |row: &[u8]| match held {
            Some(held) => held.push(row),
            None => take(row),
        };
        self.row(api, plan, text, &mut keep).map_err(|failure| {
            if failure.kind() == ErrorKind::Data { failure.with("line", line) } else { failure }
        })
    }
}

/// A failure that may pass has the answer asked for again.
fn or_again<T>(failure: Error) -> Result<Result<T>> {
    if failure.kind() == ErrorKind::Temporary { Ok(Err(failure)) } else { Err(failure) }
}

/// Says what the last page of a context leaves open.
fn end(plan: &Plan, pager: &Pager, last: PageFacts<'_>) {
    if !close(plan, pager) {
        more::warn(plan, pager, last);
    }
}

/// Says what the pages of a context tell together, however they ended; tells whether they
/// announced more than they gave.
pub(super) fn close(plan: &Plan, pager: &Pager) -> bool {
    if plan.paging.is_numbered() {
        pager.drift.report(&plan.name, !plan.keys.is_empty());
    }
    plan.learn(pager.known());
    let missing = pager.missing(&plan.paging);
    if let Some((total, received)) = missing {
        singer::warn!(
            "W-COUNT-DIFFERS",
            "stream {}: the API says that there are {total} records, and gave {received}",
            plan.name
        );
    } else if let Some((each, asked)) = pager.shorter(&plan.paging)
        && !plan.warned.size.swap(true, Ordering::Relaxed)
    {
        singer::warn!(
            "W-COUNT-DIFFERS",
            "stream {}: each page has {each} records, and `pagination_page_size` asks for {asked}: \
             an API that counts the pages by what it was asked leaves records out between them; \
             set it to {each}",
            plan.name
        );
    }
    missing.is_some()
}

/// Tells whether an answer says that there is nothing, as a status of HTTP would.
fn tells_none(page: &Page<'_>, told: &Told) -> bool {
    told.status == Some(404) && page.plan.not_found == NotFound::Empty && page.count == 0
}

/// Returns the failure of an answer that tells of one, or warns of it where there are records, or
/// where the settings say so.
fn heed(page: &Page<'_>, told: &Told) -> Option<Error> {
    let plan = page.plan;
    if page.count == 0 && plan.on_told_failure == ErrorInAnswer::Fail {
        return Some(told.failure());
    }
    if !plan.warned.failure.swap(true, Ordering::Relaxed) {
        let said = page.api.client.excerpt(&told.words).unwrap_or_default();
        let status = told.status.map(|status| format!("status {status}, ")).unwrap_or_default();
        singer::warn!(
            "W-ERROR-IN-ANSWER",
            "stream {}: an answer tells of a failure beside its {} records: {status}{said}",
            plan.name,
            page.count
        );
    }
    None
}

/// Returns the failure of an answer that says that it is incomplete, or warns of it.
fn lacks(plan: &Plan, place: &str) -> Option<Error> {
    if plan.on_told_failure == ErrorInAnswer::Fail {
        return Some(partial::failure(place));
    }
    if !plan.warned.failure.swap(true, Ordering::Relaxed) {
        singer::warn!(
            "W-ERROR-IN-ANSWER",
            "stream {}: {place} says that an answer is incomplete, and `error_in_answer: warn` \
             takes it",
            plan.name
        );
    }
    None
}

/// Returns a sum of the keys of a record; `None` where it does not have them as they are.
fn sum_of_keys(plan: &Plan, context: &Context, record: &[u8]) -> Option<u64> {
    let mut values = vec![None; plan.keys.len()];
    let read = each_member(record, &mut |name, value| {
        if let Some(at) = plan.keys.iter().position(|key| key.as_bytes() == name) {
            values[at] = Some(format!("{value:?}"));
        }
    });
    let is_of_context = |key: &String| context.members.iter().any(|(name, _)| name == key);
    let mut pairs = plan.keys.iter().zip(&values);
    let all = read.is_ok() && pairs.all(|(key, value)| value.is_some() || is_of_context(key));
    let has_any = values.iter().any(Option::is_some);
    (all && has_any).then(|| super::hash(format!("{values:?}").as_bytes()))
}
