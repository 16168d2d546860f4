//! What a server has sent and nobody has taken yet: bounded in bytes, as the server may be hostile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bytes::Bytes;

/// What a piece takes besides its bytes.
const PIECE_BYTES: usize = 128;

/// The end that the connection puts pieces into.
pub(crate) struct Filler {
    pieces: Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The end that they are taken from.
pub(crate) struct Queue {
    pieces: Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It waits to be taken.
    Waits,
    /// More waits already than was ever asked for.
    Full,
    /// Nobody takes anything any more.
    Gone,
}

/// Makes a queue that holds so many bytes.
pub(crate) fn queue(bytes_max: usize) -> (Filler, Queue) {
    let (sender, receiver) = channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let filler = Filler { pieces: sender, bytes: Arc::clone(&bytes), bytes_max };
    (filler, Queue { pieces: receiver, bytes })
}

impl Filler {
    /// Puts a piece at the end; an empty one is no sign of life, and is skipped.
    pub(crate) fn put(&self, piece: Bytes) -> Put {
        if piece.is_empty() {
            return Put::Waits;
        }
        let size = piece.len() + PIECE_BYTES;
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > self.bytes_max {
            return Put::Full;
        }
        self.pieces.send(piece).map_or(Put::Gone, |()| Put::Waits)
    }
}

impl Queue {
    /// Waits for the next piece.
    pub(crate) fn take(&self, patience: Duration) -> Result<Bytes, RecvTimeoutError> {
        let piece = self.pieces.recv_timeout(patience)?;
        self.bytes.fetch_sub(piece.len() + PIECE_BYTES, Ordering::Relaxed);
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_so_many_bytes_and_pieces_and_no_more() {
        let (filler, queue) = queue(10_000);
        let puts = |size: usize| (0..1000).find(|_| filler.put(vec![7; size].into()) == Put::Full);
        assert_eq!(puts(4000), Some(2));
        for _ in 0..2 {
            queue.take(Duration::ZERO).unwrap();
        }
        assert_eq!(queue.take(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        let (filler, _queue) = super::queue(10_000);
        let small = (0..1000).find(|_| filler.put(Bytes::from_static(b"x")) == Put::Full);
        assert!(small.is_some_and(|pieces| pieces < 100), "{small:?}");
        let (filler, queue) = super::queue(10_000);
        for _ in 0..1000 {
            assert_eq!(filler.put(Bytes::new()), Put::Waits);
        }
        assert_eq!(queue.take(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        drop(queue);
        assert_eq!(filler.put(Bytes::from_static(b"x")), Put::Gone);
    }
}
