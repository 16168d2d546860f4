//! With what the read of a stream begins: its starts, and what its bookmark is used for.

use std::sync::Arc;

use singer::{Bookmark, Stream};

use super::TapApi;
use super::bookmark::warn_of_change;
use super::coverage::{Coverage, Part};
use super::own;
use crate::latest::Start;
use crate::row::Context;
use crate::stream::StreamSpec;

/// What the read of a stream begins with.
pub(super) struct Begin {
    /// Where it starts; a bookmark if one of the starts is.
    pub(super) start: Start,
    /// Where each parent or input starts, if each has a bookmark of its own.
    pub(super) own: Option<Vec<Start>>,
    /// What is read from other starts, before the others.
    pub(super) late: Vec<Part>,
    /// What is read from the start.
    pub(super) covered: Arc<Vec<Context>>,
    /// What the bookmark for all covers once the read has ended.
    pub(super) covers: Coverage,
    /// Which rows come, where that is not as the bookmark says.
    pub(super) part: Option<singer::Coverage>,
    /// It is read from its start again, and the bookmark that it had is of no use.
    pub(super) anew: bool,
}

impl TapApi {
    /// Finds out with what the read of a stream begins, and warns of a bookmark that is not used.
    pub(super) fn begin(
        &self,
        spec: &StreamSpec,
        stream: &Stream,
        since: &Bookmark,
        contexts: &Arc<Vec<Context>>,
    ) -> Begin {
        let changed = self.changed(spec, stream, since);
        if !changed.is_empty() {
            warn_of_change(spec, &changed);
        }
        let goes_on = self.goes_on(stream, since) && changed.is_empty();
        let anew = !changed.is_empty() || self.is_anew(spec, stream, since);
        if goes_on && self.is_of_all(spec, since) {
            own::warn_of_all(spec);
        }
        let mut part = anew.then_some(singer::Coverage::Whole);
        let mut start = self.start(spec, stream, since);
        self.check_start(spec, stream, &start);
        if self.has_own(spec, contexts) {
            let since = Some(since).filter(|_| goes_on && !anew);
            let starts = self.starts(spec, stream, since, contexts);
            start.is_bookmark = starts.iter().any(|start| start.is_bookmark);
            if let Some(since) = since.filter(|_| start.is_bookmark) {
                part = Some(singer::Coverage::since(&since.value));
            }
            let (own, covered) = (Some(starts), Arc::clone(contexts));
            let (late, covers) = (Vec::new(), Coverage::default());
            return Begin { start, own, late, covered, covers, part, anew };
        }
        let (covers, late, covered) = Coverage::of(spec, contexts, &start, &since.value);
        Begin { start, own: None, late, covered: covered.into(), covers, part, anew }
    }
}
