//! [`position`]: where a byte comes first.

/// Bytes that are compared at once.
const CHUNK: usize = 16;
/// So many chunks are looked at here: a line is mostly over by then, and to call `memchr` would cost more than the look.
const NEAR: usize = 4;

/// Where `byte` comes first.
#[inline]
pub(super) fn position(byte: u8, bytes: &[u8]) -> Option<usize> {
    let (chunks, _) = bytes.as_chunks::<CHUNK>();
    let mut seen = 0;
    for chunk in chunks.iter().take(NEAR) {
        // Without an early return: it becomes one comparison of all of them.
        if chunk.iter().fold(false, |any, one| any | (*one == byte)) {
            return Some(seen + in_chunk(byte, chunk));
        }
        seen += CHUNK;
    }
    far(byte, bytes, seen)
}

/// In which of its bytes: a word at a time.
#[inline]
fn in_chunk(byte: u8, chunk: &[u8; CHUNK]) -> usize {
    let chunk = u128::from_le_bytes(*chunk);
    let (low, high) = (chunk as u64, (chunk >> 64) as u64);
    match in_word(byte, low) {
        0 => 8 + in_word(byte, high).trailing_zeros() as usize / 8,
        found => found.trailing_zeros() as usize / 8,
    }
}

/// A bit in the lowest byte that is `byte`, perhaps bits in higher ones; 0 if none is.
#[inline]
fn in_word(byte: u8, word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    let zero_where_it_is = word ^ (u64::from(byte) * ONES);
    zero_where_it_is.wrapping_sub(ONES) & !zero_where_it_is & (ONES << 7)
}

#[inline(never)]
fn far(byte: u8, bytes: &[u8], seen: usize) -> Option<usize> {
    memchr::memchr(byte, &bytes[seen..]).map(|at| seen + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_where_it_comes_first_at_whatever_length() {
        for length in 0..100 {
            assert_eq!(position(b'\n', &vec![b'\n' + 1; length]), None);
            for first in 0..length {
                // What differs by little from it, and what is like it, come after it: a borrow or a carry would show.
                for after in [b'\n', b'\n' + 1, b'\n' ^ 0x80, 0, 0xff] {
                    let mut bytes = vec![b'\n' - 1; length];
                    bytes[first] = b'\n';
                    bytes[first + 1..].fill(after);
                    assert_eq!(position(b'\n', &bytes), Some(first), "{length} {after}");
                }
            }
        }
    }

    #[test]
    fn every_byte_is_found_and_no_other() {
        for byte in 0..=255 {
            let all: Vec<u8> = (0..=255).collect();
            assert_eq!(position(byte, &all), Some(usize::from(byte)));
            let others: Vec<u8> = all.into_iter().filter(|other| *other != byte).collect();
            assert_eq!(position(byte, &others), None);
        }
    }
}
