//! [`Passing`]: descriptors on their way out, in their places among the bytes.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Linux takes so many with one message: `SCM_MAX_FD`.
pub(crate) const MOST_DESCRIPTORS: usize = 253;

/// A descriptor cannot go alone: it goes with the byte that was written after it.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    queue: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// So many bytes go before it.
    before: usize,
    descriptor: OwnedFd,
}

/// What the next message is to have.
#[derive(Debug, Default)]
pub(crate) struct Next<'a> {
    /// Those that go with its first byte.
    pub(crate) descriptors: Vec<BorrowedFd<'a>>,
    /// At most so many bytes: those after them go with the next descriptor. None: all that there are.
    pub(crate) bytes: Option<usize>,
}

impl Passing {
    /// Puts one behind so many bytes that wait.
    pub(crate) fn push(&mut self, before: usize, descriptor: OwnedFd) {
        self.queue.push_back(Waiting { before, descriptor });
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn next(&self) -> Next<'_> {
        let due = self.queue.iter().take_while(|waiting| waiting.before == 0).take(MOST_DESCRIPTORS);
        let descriptors: Vec<_> = due.map(|waiting| waiting.descriptor.as_fd()).collect();
        // More than one message takes at one place: the rest follows a byte later.
        let bytes = self.queue.get(descriptors.len()).map(|waiting| waiting.before.max(1));
        Next { descriptors, bytes }
    }

    /// So many descriptors and bytes are gone. The descriptors close here: the peer has its own.
    pub(crate) fn advance(&mut self, descriptors: usize, bytes: usize) {
        self.queue.drain(..descriptors);
        self.queue.iter_mut().for_each(|waiting| waiting.before = waiting.before.saturating_sub(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn one() -> OwnedFd {
        File::open("/dev/null").expect("it is there").into()
    }

    fn next(passing: &Passing) -> (usize, Option<usize>) {
        let next = passing.next();
        (next.descriptors.len(), next.bytes)
    }

    #[test]
    fn each_goes_with_the_byte_after_it() {
        let mut passing = Passing::default();
        passing.push(0, one());
        passing.push(0, one());
        passing.push(5, one());
        passing.push(8, one());
        assert_eq!(next(&passing), (2, Some(5)));
        passing.advance(2, 3); // the system took fewer bytes
        assert_eq!(next(&passing), (0, Some(2)));
        passing.advance(0, 2);
        assert_eq!(next(&passing), (1, Some(3)));
        passing.advance(1, 3);
        assert_eq!(next(&passing), (1, None));
        passing.advance(1, 9);
        assert!(passing.is_empty());
        assert_eq!(next(&passing), (0, None));
    }

    #[test]
    fn more_than_a_message_takes_follow_a_byte_later() {
        let mut passing = Passing::default();
        (0..MOST_DESCRIPTORS + 2).for_each(|_| passing.push(0, one()));
        assert_eq!(next(&passing), (MOST_DESCRIPTORS, Some(1)));
        passing.advance(MOST_DESCRIPTORS, 1);
        assert_eq!(next(&passing), (2, None));
    }
}
