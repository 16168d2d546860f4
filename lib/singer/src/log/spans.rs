//! The spans that name a stream, and those that the thread is in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Id;

thread_local! {
    /// The streams of the spans that this thread is in, the innermost last.
    static ENTERED: RefCell<Vec<(u64, Arc<str>)>> = const { RefCell::new(Vec::new()) };
}

/// The spans that name a stream. They are few: an entry is there as long as its span.
#[derive(Default)]
pub(super) struct Spans {
    last: AtomicU64,
    streams: Mutex<BTreeMap<u64, Held>>,
}

struct Held {
    stream: Arc<str>,
    holders: usize,
}

impl Spans {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Held>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a span.
    pub(super) fn add(&self, stream: Option<String>) -> Id {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(stream) = stream {
            self.lock().insert(id, Held { stream: stream.into(), holders: 1 });
        }
        Id::from_u64(id)
    }

    /// Counts one more holder of a span.
    pub(super) fn keep(&self, id: &Id) -> Id {
        if let Some(held) = self.lock().get_mut(&id.into_u64()) {
            held.holders += 1;
        }
        id.clone()
    }

    /// Counts one holder less; tells whether it was the last.
    pub(super) fn let_go(&self, id: &Id) -> bool {
        let mut streams = self.lock();
        let Some(held) = streams.get_mut(&id.into_u64()) else { return false };
        held.holders -= 1;
        let was_last = held.holders == 0;
        if was_last {
            streams.remove(&id.into_u64());
        }
        was_last
    }

    /// Notes that this thread goes into a span.
    pub(super) fn enter(&self, id: &Id) {
        let stream = self.lock().get(&id.into_u64()).map(|held| Arc::clone(&held.stream));
        if let Some(stream) = stream {
            ENTERED.with_borrow_mut(|entered| entered.push((id.into_u64(), stream)));
        }
    }
}

/// Notes that this thread comes out of a span.
pub(super) fn exit(id: &Id) {
    ENTERED.with_borrow_mut(|entered| {
        if let Some(at) = entered.iter().rposition(|(entered, _)| *entered == id.into_u64()) {
            entered.remove(at);
        }
    });
}

/// Returns the stream that this thread is at work for.
pub(super) fn stream() -> Option<String> {
    ENTERED.with_borrow(|entered| entered.last().map(|(_, stream)| stream.to_string()))
}
