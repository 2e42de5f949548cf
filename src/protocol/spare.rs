//! Vectors that go round among the connections of a thread: an idle connection keeps none.

use std::{
    cell::{Cell, RefCell},
    thread::LocalKey,
};

/// So many are kept beside the largest, for the many that are busy in one turn.
const OTHERS: usize = 64;
/// None of these is larger, in bytes.
const SMALL: usize = 4 << 10;

/// The vectors of a thread that nobody uses now. One for each use, else what is read into and what is written from would take turns.
pub(crate) struct Spare {
    /// A larger one is freed rather than kept, in bytes.
    most: usize,
    /// The largest: who is busy alone always has the same one, with room for the longest it had.
    first: Cell<Vec<u8>>,
    others: RefCell<Vec<Vec<u8>>>,
}

impl Spare {
    pub(crate) const fn new(most: usize) -> Spare {
        Spare { most, first: Cell::new(Vec::new()), others: RefCell::new(Vec::new()) }
    }

    #[inline]
    fn take(&self) -> Vec<u8> {
        let first = self.first.take();
        if first.capacity() > 0 { first } else { self.others.borrow_mut().pop().unwrap_or_default() }
    }

    #[inline]
    fn give(&self, mut spare: Vec<u8>) {
        if !(1..=self.most).contains(&spare.capacity()) {
            return;
        }
        spare.clear();
        let first = self.first.take();
        if first.capacity() == 0 {
            return self.first.set(spare);
        }
        let (larger, smaller) =
            if first.capacity() < spare.capacity() { (spare, first) } else { (first, spare) };
        self.first.set(larger);
        self.give_other(smaller);
    }

    fn give_other(&self, spare: Vec<u8>) {
        let mut others = self.others.borrow_mut();
        if spare.capacity() <= SMALL && others.len() < OTHERS {
            others.push(spare);
        }
    }
}

/// An empty vector, with room if there is one to spare.
#[inline]
pub(crate) fn take(spares: &'static LocalKey<Spare>) -> Vec<u8> {
    spares.try_with(Spare::take).unwrap_or_default()
}

/// It is not needed any more.
#[inline]
pub(crate) fn give(spares: &'static LocalKey<Spare>, spare: Vec<u8>) {
    let _ = spares.try_with(|spares| spares.give(spare));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64 << 10;

    fn kept(spares: &Spare) -> Vec<usize> {
        let rooms = std::iter::repeat_with(|| spares.take().capacity());
        rooms.take_while(|&room| room > 0).take(1_000).collect()
    }

    #[test]
    fn many_that_are_busy_in_one_turn_have_one_each_the_next_time() {
        let spares = Spare::new(MOST);
        assert_eq!(kept(&spares), [0; 0]);
        (0..10).for_each(|_| spares.give(Vec::with_capacity(100)));
        let (one, two) = (spares.take(), spares.take());
        assert!(one.as_ptr() != two.as_ptr());
        assert_eq!(kept(&spares), [100; 8]);
    }

    #[test]
    fn the_largest_is_the_first_and_all_are_empty() {
        let spares = Spare::new(MOST);
        [100, 60_000, 200].into_iter().for_each(|length| spares.give(vec![7; length]));
        assert_eq!(kept(&spares), [60_000, 200, 100]);
        spares.give(vec![7; 100]);
        assert_eq!(spares.take(), b"");
    }

    #[test]
    fn no_more_is_kept_than_may() {
        let spares = Spare::new(MOST);
        (0..100).for_each(|_| spares.give(Vec::with_capacity(MOST)));
        (0..100).for_each(|_| spares.give(Vec::with_capacity(SMALL)));
        spares.give(Vec::with_capacity(MOST + 1));
        spares.give(Vec::new());
        let kept = kept(&spares);
        assert_eq!((kept[0], kept.len()), (MOST, 1 + OTHERS));
        assert!(kept[1..].iter().all(|&room| room == SMALL));
    }
}
