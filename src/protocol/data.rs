//! What can be written, and the queue it waits in.

use super::spare::{self, Spare};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, io::IoSlice};

/// What [`Transport::write`](super::Transport::write) takes: anything that is bytes.
///
/// What is borrowed is copied, unless it is [large](super::Transport::write) and nothing waits before it. Several pieces at once are always copied, and so is
/// what is written to a connection that has no socket of a reactor: over `stream::attach`, and in the test kit. What is owned (`Bytes`, `Vec<u8>`, `String`) is not, from 4 KiB on.
pub trait Data: sealed::Data {}

impl<D: sealed::Data> Data for D {}

/// Below this, copying is cheaper than one more part for the system call.
const COPIED_BELOW: usize = 4 << 10;

/// From so many bytes on, a system call of their own is cheaper than a copy.
const LARGE: usize = 16 << 10;

#[inline]
fn large(borrowed: &[u8]) -> Option<&[u8]> {
    (borrowed.len() >= LARGE).then_some(borrowed)
}

pub(crate) mod sealed {
    use super::Outgoing;

    pub trait Data {
        /// The bytes, if they are borrowed and so many that to copy them costs more than a system call of their own.
        #[inline]
        fn large(&self) -> Option<&[u8]> {
            None
        }

        fn put(self, out: &mut Outgoing);
    }
}

macro_rules! borrowed {
    ($($t:ty),*) => {$(
        impl sealed::Data for $t {
            #[inline]
            fn large(&self) -> Option<&[u8]> {
                large(self.as_ref())
            }

            #[inline]
            fn put(self, out: &mut Outgoing) {
                out.copy([self.as_ref()]);
            }
        }
    )*};
}

borrowed!(&str, &[u8], &String, &Vec<u8>, &Bytes);

impl<const N: usize> sealed::Data for &[u8; N] {
    #[inline]
    fn large(&self) -> Option<&[u8]> {
        large(*self)
    }

    #[inline]
    fn put(self, out: &mut Outgoing) {
        out.copy([self]);
    }
}

impl<const N: usize> sealed::Data for [u8; N] {
    #[inline]
    fn large(&self) -> Option<&[u8]> {
        large(self)
    }

    #[inline]
    fn put(self, out: &mut Outgoing) {
        out.copy([&self]);
    }
}

macro_rules! owned {
    ($($t:ty),*) => {$(
        impl sealed::Data for $t {
            #[inline]
            fn put(self, out: &mut Outgoing) {
                if self.len() < COPIED_BELOW {
                    return out.copy([self.as_ref()]);
                }
                out.keep(Bytes::from(self));
            }
        }
    )*};
}

owned!(Bytes, Vec<u8>, String, BytesMut);

/// Bytes on their way out, in order: whole parts first, then the small ones that were gathered.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The small writes since the last part.
    gathered: Vec<u8>,
    /// How much of the first part, or of `gathered` if there is none, is gone.
    sent: usize,
    /// None until there is one: most connections write small.
    parts: Option<Box<Parts>>,
}

/// Whole parts, in order.
#[derive(Debug, Default)]
struct Parts {
    queue: VecDeque<Bytes>,
    /// The length of all.
    length: usize,
}

/// When so many bytes are gathered they become a part, which is freed when it is sent. Otherwise a queue that is never quite empty would never be freed.
const GATHERED: usize = 64 << 10;

thread_local! {
    /// What writes are gathered in.
    static SPARE: Spare = const { Spare::new(GATHERED) };
}

/// At most so many parts of what waits go into one call.
const PARTS: usize = 64;

impl Outgoing {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.gathered.len() + self.parts.as_ref().map_or(0, |parts| parts.length) - self.sent
    }

    /// Whether nothing waits: what is sent to the end is gone.
    #[inline]
    pub(crate) fn is_drained(&self) -> bool {
        self.gathered.is_empty() && self.parts.is_none()
    }

    /// Copies small pieces, one after another.
    #[inline]
    pub(crate) fn copy<const N: usize>(&mut self, pieces: [&[u8]; N]) {
        if !(1..GATHERED).contains(&self.gathered.len()) {
            self.begin_to_gather();
        }
        pieces.into_iter().for_each(|piece| self.gathered.extend_from_slice(piece));
    }

    /// What is gathered begins, perhaps because there is enough of it for a part.
    fn begin_to_gather(&mut self) {
        if !self.gathered.is_empty() {
            self.seal();
        }
        if self.gathered.capacity() == 0 {
            self.gathered = spare::take(&SPARE);
        }
    }

    fn keep(&mut self, part: Bytes) {
        self.seal();
        self.parts.get_or_insert_default().push(part);
    }

    /// All of another queue, of which nothing is sent yet.
    pub(crate) fn append(&mut self, other: Outgoing) {
        if self.is_drained() {
            *self = other;
            return;
        }
        other.parts.into_iter().flat_map(|parts| parts.queue).for_each(|part| self.keep(part));
        if !other.gathered.is_empty() {
            self.copy([&other.gathered]);
        }
    }

    /// What was gathered comes before what follows.
    #[inline(never)]
    fn seal(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let gathered = Bytes::from(std::mem::take(&mut self.gathered));
        self.parts.get_or_insert_default().push(gathered);
    }

    /// Lends what to send next: mostly one piece, else as many as go into one call.
    #[inline]
    pub(crate) fn lend<R>(&self, send: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let Some(parts) = &self.parts else {
            return send(&[IoSlice::new(&self.gathered[self.sent..])]);
        };
        let mut slices = [IoSlice::new(&[]); PARTS];
        let count = self.slices(parts, &mut slices);
        send(&slices[..count])
    }

    fn slices<'a>(&'a self, parts: &'a Parts, into: &mut [IoSlice<'a>]) -> usize {
        let parts = parts.queue.iter().map(|part| &part[..]).chain(std::iter::once(&self.gathered[..]));
        let mut skip = self.sent;
        let mut count = 0;
        for part in parts.filter(|part| !part.is_empty()) {
            if count == into.len() {
                break;
            }
            into[count] = IoSlice::new(&part[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// So many bytes are gone.
    #[inline]
    pub(crate) fn advance(&mut self, sent: usize) {
        self.sent += sent;
        if self.len() == 0 {
            self.rest();
        } else if let Some(parts) = &mut self.parts {
            self.sent = parts.advance(self.sent);
        }
    }

    /// Nothing is left: the buffer goes back to the thread.
    #[inline]
    fn rest(&mut self) {
        self.sent = 0;
        self.parts = None;
        spare::give(&SPARE, std::mem::take(&mut self.gathered));
    }

    /// How much room small writes have; for tests.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.gathered.capacity()
    }

    pub(crate) fn clear(&mut self) {
        *self = Outgoing::default();
    }

    /// All of it, as bytes; for the test kit.
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len() + self.sent);
        if let Some(parts) = self.parts.take() {
            parts.queue.iter().for_each(|part| all.extend_from_slice(part));
        }
        all.extend_from_slice(&self.gathered);
        all.drain(..self.sent);
        self.rest();
        all
    }
}

impl Parts {
    fn push(&mut self, part: Bytes) {
        self.length += part.len();
        self.queue.push_back(part);
    }

    /// So many bytes are gone, from the beginning of the first. How many of them are of what is then the first.
    fn advance(&mut self, mut sent: usize) -> usize {
        while let Some(first) = self.queue.front() {
            if sent < first.len() {
                break;
            }
            sent -= first.len();
            self.length -= first.len();
            self.queue.pop_front();
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::{sealed::Data, *};

    #[test]
    fn what_is_written_leaves_in_order_however_it_is_cut() {
        for cut in 1..40 {
            let mut out = Outgoing::default();
            let large = vec![b'x'; COPIED_BELOW];
            "ab".put(&mut out);
            Bytes::from(large.clone()).put(&mut out);
            b"cd".put(&mut out);
            String::from("ef").put(&mut out);
            large.clone().put(&mut out);
            let mut seen = vec![];
            while out.len() > 0 {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = out.slices(out.parts.as_ref().expect("large ones"), &mut slices);
                let bytes: Vec<u8> = slices[..count].iter().flat_map(|part| part.iter().copied()).collect();
                let sent = bytes.len().min(cut * 100);
                seen.extend_from_slice(&bytes[..sent]);
                out.advance(sent);
            }
            let expected = [&b"ab"[..], &large, b"cdef", &large].concat();
            assert!(seen == expected, "cut {cut}");
        }
    }

    #[test]
    fn what_is_appended_keeps_its_order() {
        let (mut out, mut other) = (Outgoing::default(), Outgoing::default());
        let large = vec![b'x'; COPIED_BELOW];
        "ab".put(&mut out);
        "cd".put(&mut other);
        large.clone().put(&mut other);
        "ef".put(&mut other);
        out.append(other);
        "gh".put(&mut out);
        assert_eq!(out.len(), 8 + large.len());
        assert!(out.take_all() == [b"abcd", &large[..], b"efgh"].concat());
    }

    /// A peer that always lags a little: the queue is never empty, and once grew for ever.
    #[test]
    fn a_queue_that_is_never_empty_keeps_no_more_than_what_waits() {
        let mut out = Outgoing::default();
        let piece = [b'x'; 1 << 10];
        for _ in 0..100 {
            piece.put(&mut out);
        }
        for _ in 0..10_000 {
            piece.put(&mut out);
            out.advance(piece.len());
        }
        assert_eq!(out.len(), 100 << 10);
        let parts = out.parts.as_ref().expect("enough for several");
        let held = parts.queue.iter().map(Bytes::len).sum::<usize>() + out.gathered.capacity();
        assert!(held <= (100 << 10) + 4 * GATHERED, "{held} bytes are held for {}", out.len());
    }
}
