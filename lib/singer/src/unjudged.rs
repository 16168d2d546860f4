//! Streams whose rows are judged together, and the state that waits for it: a state that covers
//! them would keep a run from reading them again, though nobody has let them pass.

use std::collections::BTreeSet;

/// The streams of the tap that had rows since they were judged, and the last state since then.
pub(crate) struct Unjudged<S> {
    streams: BTreeSet<String>,
    state: Option<S>,
}

impl<S> Default for Unjudged<S> {
    fn default() -> Self {
        Self { streams: BTreeSet::new(), state: None }
    }
}

impl<S> Unjudged<S> {
    /// Notes that a stream that is judged had rows.
    pub(crate) fn add(&mut self, stream: &str) {
        if !self.streams.contains(stream) {
            self.streams.insert(stream.to_owned());
        }
    }

    /// Notes that a stream was judged, and let pass.
    pub(crate) fn remove(&mut self, stream: &str) {
        self.streams.remove(stream);
    }

    /// Returns the states that may be passed on now: none, or this one behind that which waited,
    /// which may have said that the run has ended.
    pub(crate) fn hold(&mut self, state: S) -> impl Iterator<Item = S> + use<S> {
        let waited = self.state.take();
        let (first, second) = if self.streams.is_empty() {
            (waited, Some(state))
        } else {
            self.state = Some(state);
            (None, None)
        };
        first.into_iter().chain(second)
    }

    /// Returns the state that waits, at the end of a run that was let pass.
    pub(crate) fn end(&mut self) -> Option<S> {
        self.streams.clear();
        self.state.take()
    }
}
