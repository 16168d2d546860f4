//! SHA-256 sums, of bytes and of all that a reader gives.

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use singer::quote;

const BLOCK_BYTES: usize = 256 << 10;

/// The sum of the bytes that were added to it.
#[derive(Clone, Debug, Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Adds all that a reader gives.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let (mut sum, mut block) = (Self::default(), vec![0; BLOCK_BYTES]);
        loop {
            match reader.read(&mut block)? {
                0 => return Ok(sum),
                count => sum.add(&block[..count]),
            }
        }
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// Returns the 32 bytes of the sum.
    pub fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// Returns the sum as 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        quote::hex(&self.bytes())
    }
}

/// Returns the SHA-256 of bytes as 64 lower-case hexadecimal digits.
pub fn sum(bytes: impl AsRef<[u8]>) -> String {
    let mut sum = Sum::default();
    sum.add(bytes);
    sum.hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_sum_that_other_programs_print() {
        // The examples of FIPS 180-4.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(sum("abc"), abc);
        let mut in_parts = Sum::default();
        in_parts.add("a");
        in_parts.add("bc");
        assert_eq!(in_parts.hex(), abc);
        let reader = io::repeat(b'a').take(1_000_000);
        assert_eq!(Sum::of_reader(reader).unwrap().hex(), million);
    }
}
