//! [`Buffer`]: the bytes that a framer holds.

use super::search::position;
use crate::protocol::spare::{self, Spare};
use std::cell::{Cell, RefCell};

/// Bytes that were received and not given yet.
///
/// They are lent to the protocol, a frame at a time. Whatever is asked meanwhile (more bytes, none at all) is left as a note in the cells.
#[derive(Default)]
pub(super) struct Buffer {
    /// Borrowed while they are lent.
    bytes: RefCell<Vec<u8>>,
    /// How many of them are given.
    given: Cell<usize>,
    /// How many of the others are known to hold no delimiter, so that a byte-by-byte peer does not cost a scan a byte.
    scanned: Cell<usize>,
    /// What came while they were lent.
    more: RefCell<Vec<u8>>,
}

thread_local! {
    /// What received bytes are held in: what a read brings, and what waited before it.
    static SPARE: Spare = const { Spare::new(512 << 10) };
}

/// So much room may be left over in a buffer that holds something, in bytes.
const SLACK: usize = 256;

impl Buffer {
    /// How many bytes are held.
    pub(super) fn len(&self) -> usize {
        self.bytes.borrow().len() - self.given.get() + self.more.borrow().len()
    }

    /// Lends the bytes, those that are given among them: what is held is the [`rest`](Self::rest) of them.
    pub(super) fn lend<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        self.merge();
        f(&self.bytes.borrow())
    }

    /// What is not given of the lent bytes.
    #[inline]
    pub(super) fn rest<'a>(&self, lent: &'a [u8]) -> &'a [u8] {
        &lent[self.given.get()..]
    }

    /// The first so many of the lent bytes are given.
    #[inline]
    pub(super) fn give(&self, length: usize) {
        self.given.set(self.given.get() + length);
        self.scanned.set(0);
    }

    /// Appends bytes.
    pub(super) fn push(&self, data: &[u8]) {
        self.merge();
        if let Ok(mut bytes) = self.bytes.try_borrow_mut() {
            self.append(&mut bytes, data);
        } else {
            self.more.borrow_mut().extend_from_slice(data);
        }
    }

    /// Appends what is left of bytes that were given. If they are the end of what is lent, as a protocol does that has found the end of its raw
    /// bytes, nothing is copied.
    pub(super) fn put_back(&self, rest: &[u8]) {
        let is_end_of_lent = self.bytes.try_borrow_mut().is_err() && {
            let lent = self.bytes.borrow();
            self.given.get() == lent.len()
                && lent.as_ptr_range().contains(&rest.as_ptr())
                && lent.as_ptr_range().end == rest.as_ptr_range().end
        };
        if is_end_of_lent && self.more.borrow().is_empty() {
            self.given.set(self.given.get() - rest.len());
            self.scanned.set(0);
        } else {
            self.push(rest);
        }
    }

    /// Takes all that is held, also what is lent.
    pub(super) fn take(&self) -> Vec<u8> {
        let bytes = self.bytes.borrow();
        let mut held = bytes[self.given.get()..].to_vec();
        self.give(held.len());
        held.append(&mut self.more.borrow_mut());
        held
    }

    /// Where the first delimiter in `rest` is, the lent bytes.
    #[inline]
    pub(super) fn find(&self, rest: &[u8], delimiter: &[u8]) -> Option<usize> {
        let (last, before) = delimiter.split_last()?;
        let mut from = self.scanned.get();
        while let Some(at) = position(*last, &rest[from..]) {
            let end = from + at;
            if ends_with(&rest[..end], before) {
                return Some(end - before.len());
            }
            from = end + 1;
        }
        self.scanned.set(rest.len());
        None
    }

    /// What is held is to be scanned from its beginning: the delimiter is another one.
    pub(super) fn rescan(&self) {
        self.scanned.set(0);
    }

    /// Gives room back: what is given goes, and a vector that is much too large for the rest.
    pub(super) fn trim(&self) {
        self.merge();
        let mut bytes = self.bytes.borrow_mut();
        let held = bytes.len() - self.given.get();
        if self.given.get() <= held && bytes.capacity() <= 2 * held + SLACK {
            return;
        }
        let rest = bytes[self.given.take()..].to_vec();
        spare::give(&SPARE, std::mem::replace(&mut *bytes, rest));
    }

    /// Appends what came while the bytes were lent, unless they still are.
    fn merge(&self) {
        if self.more.borrow().is_empty() {
            return;
        }
        if let Ok(mut bytes) = self.bytes.try_borrow_mut() {
            let more = self.more.take();
            self.append(&mut bytes, &more);
        }
    }

    fn append(&self, bytes: &mut Vec<u8>, data: &[u8]) {
        let held = &bytes[self.given.get()..];
        // Not for little that comes to much: to move that each time would cost its square.
        if bytes.capacity() - bytes.len() < data.len() && held.len() <= data.len() {
            let mut roomy = spare::take(&SPARE);
            roomy.extend_from_slice(held);
            self.given.set(0);
            *bytes = roomy;
        }
        bytes.extend_from_slice(data);
    }
}

/// As the slices' own, without a call for the CR of a CR LF.
#[inline]
fn ends_with(bytes: &[u8], end: &[u8]) -> bool {
    match end {
        [one] => bytes.last() == Some(one),
        end => bytes.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(buffer: &Buffer) -> Vec<u8> {
        buffer.lend(|lent| buffer.rest(lent).to_vec())
    }

    fn find(buffer: &Buffer, delimiter: &[u8]) -> Option<usize> {
        buffer.lend(|lent| buffer.find(buffer.rest(lent), delimiter))
    }

    fn room(buffer: &Buffer) -> usize {
        buffer.bytes.borrow().capacity() + buffer.more.borrow().capacity()
    }

    #[test]
    fn who_holds_nothing_keeps_no_room() {
        let buffer = Buffer::default();
        buffer.push(&[7; 10_000]);
        buffer.lend(|lent| buffer.give(lent.len()));
        buffer.trim();
        assert_eq!((buffer.len(), room(&buffer)), (0, 0));
    }

    #[test]
    fn who_holds_little_keeps_little_room() {
        let buffer = Buffer::default();
        buffer.push(&[7; 60_000]);
        buffer.lend(|_| buffer.give(59_990));
        buffer.trim();
        assert_eq!(held(&buffer), [7; 10]);
        assert!(room(&buffer) <= 2 * 10 + SLACK);
    }

    #[test]
    fn what_comes_byte_by_byte_is_scanned_once_and_moved_seldom() {
        let buffer = Buffer::default();
        let (mut scans, mut moves, mut place) = (0, 0, std::ptr::null());
        for _ in 0..16_384 {
            buffer.push(b"x");
            buffer.lend(|lent| {
                let rest = buffer.rest(lent);
                scans += rest.len() - buffer.scanned.get();
                assert_eq!(buffer.find(rest, b"\r\n"), None);
                moves += usize::from(std::mem::replace(&mut place, rest.as_ptr()) != rest.as_ptr());
            });
            buffer.trim();
        }
        assert_eq!(scans, 16_384);
        assert!(moves < 64, "it was moved {moves} times");
    }

    #[test]
    fn more_that_comes_while_bytes_are_lent_comes_after_them() {
        let buffer = Buffer::default();
        buffer.push(b"abc");
        buffer.lend(|lent| {
            let rest = buffer.rest(lent);
            buffer.give(1);
            buffer.push(b"de");
            assert_eq!((rest, buffer.len()), (&b"abc"[..], 4));
        });
        assert_eq!(held(&buffer), b"bcde");
    }

    #[test]
    fn the_end_of_what_is_lent_is_put_back_where_it_is() {
        let buffer = Buffer::default();
        buffer.push(b"raw!lines");
        buffer.lend(|lent| {
            let rest = buffer.rest(lent);
            buffer.give(rest.len());
            buffer.put_back(&rest[4..]);
            assert_eq!(room(&buffer), buffer.bytes.borrow().capacity());
        });
        assert_eq!(held(&buffer), b"lines");
    }

    #[test]
    fn what_only_looks_like_the_end_of_what_is_lent_is_appended() {
        let buffer = Buffer::default();
        buffer.push(b"raw!lines");
        buffer.lend(|lent| {
            let rest = buffer.rest(lent);
            buffer.give(rest.len());
            buffer.push(b"+");
            buffer.put_back(&rest[4..]); // comes after what came before it
        });
        assert_eq!(held(&buffer), b"+lines");
        buffer.lend(|lent| {
            let rest = buffer.rest(lent);
            buffer.give(2);
            buffer.put_back(&rest[rest.len() - 1..]); // not all was given
        });
        assert_eq!(held(&buffer), b"iness");
        buffer.put_back(b"!");
        assert_eq!(held(&buffer), b"iness!");
    }

    #[test]
    fn all_is_taken_also_from_under_the_lent_bytes() {
        let buffer = Buffer::default();
        buffer.push(b"abc");
        buffer.lend(|_| {
            buffer.give(1);
            buffer.push(b"d");
            assert_eq!(buffer.take(), b"bcd");
        });
        assert_eq!(buffer.len(), 0);
        buffer.push(b"x\n");
        assert_eq!(find(&buffer, b"\n"), Some(1));
    }

    #[test]
    fn a_delimiter_is_found_wherever_it_is_cut() {
        for (text, delimiter, at) in [
            ("aaab", "aab", 1),
            ("a\rb\r\r\n", "\r\n", 4),
            ("ababac", "abac", 2),
            ("aaa", "aa", 0),
            ("x", "", usize::MAX),
        ] {
            for cut in 0..text.len() {
                let (buffer, (one, two)) = (Buffer::default(), text.split_at(cut));
                buffer.push(one.as_bytes());
                let first = find(&buffer, delimiter.as_bytes());
                buffer.push(two.as_bytes());
                let found = first.or_else(|| find(&buffer, delimiter.as_bytes()));
                assert_eq!(found.unwrap_or(usize::MAX), at, "{text} cut at {cut}");
            }
        }
    }
}
