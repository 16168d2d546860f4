//! Finds the next of a few bytes, eight bytes at a time: CSV fields are too short for `memchr`.

const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Bytes to look for, each spread over a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needles<const N: usize>([u64; N]);

impl<const N: usize> Needles<N> {
    /// Makes a set; repeat a byte when there are fewer.
    pub(crate) fn new(bytes: [u8; N]) -> Self {
        Self(bytes.map(|byte| u64::from_ne_bytes([byte; 8])))
    }

    /// Returns the position of the first needle at or after `from`, else the length.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*word);
            // In each term the lowest marked byte is a true hit, so the lowest of all is one too.
            let hits = self.0.iter().fold(0, |hits, needle| {
                let zero = word ^ needle;
                hits | (zero.wrapping_sub(LOW) & !zero & HIGH)
            });
            if hits != 0 {
                return at + (hits.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        let tail = text.get(at..).unwrap_or_default();
        at + tail.iter().position(|byte| self.holds(*byte)).unwrap_or(tail.len())
    }

    #[inline]
    fn holds(&self, byte: u8) -> bool {
        self.0.iter().any(|needle| needle.to_ne_bytes()[0] == byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Needles;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            text in prop::collection::vec(prop::sample::select(vec![
                b',', b'-', b'\n', b'\x0b', b'\r', b'a', 0, 0x80, 0xac, 0xff, 1]), 0..40),
            from in 0_usize..40,
        ) {
            let needles = Needles::new([b',', b'\n', b'\r']);
            let from = from.min(text.len());
            let plain = text[from..].iter().position(|b| matches!(b, b',' | b'\n' | b'\r'));
            prop_assert_eq!(needles.find(&text, from), plain.map_or(text.len(), |at| from + at));
        }
    }
}
