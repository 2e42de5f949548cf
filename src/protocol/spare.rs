//! Vectors that go round among the connections of a thread: an idle connection keeps none.

use std::cell::{Cell, RefCell};

/// A larger one is freed rather than kept, in bytes.
const LARGEST: usize = 64 << 10;
/// So many are kept beside the largest, for the many that write in one turn.
const OTHERS: usize = 64;
/// None of these is larger, in bytes.
const SMALL: usize = 4 << 10;

thread_local! {
    /// The largest: who writes alone always has the same one, with room for its longest answer.
    static FIRST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OTHER: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty vector, with room if there is one to spare.
#[inline]
pub(super) fn take() -> Vec<u8> {
    let first = FIRST.try_with(Cell::take).unwrap_or_default();
    if first.capacity() > 0 { first } else { take_other() }
}

fn take_other() -> Vec<u8> {
    OTHER.try_with(|others| others.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

/// It is not needed any more.
#[inline]
pub(super) fn give(mut spare: Vec<u8>) {
    if !(1..=LARGEST).contains(&spare.capacity()) {
        return;
    }
    spare.clear();
    let first = FIRST.try_with(Cell::take).unwrap_or_default();
    if first.capacity() == 0 {
        return set_first(spare);
    }
    let (larger, smaller) = if first.capacity() < spare.capacity() { (spare, first) } else { (first, spare) };
    set_first(larger);
    give_other(smaller);
}

#[inline]
fn set_first(spare: Vec<u8>) {
    let _ = FIRST.try_with(|first| first.set(spare));
}

fn give_other(spare: Vec<u8>) {
    let _ = OTHER.try_with(|others| {
        let mut others = others.borrow_mut();
        if spare.capacity() <= SMALL && others.len() < OTHERS {
            others.push(spare);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Vec<usize> {
        std::iter::repeat_with(|| take().capacity()).take_while(|&room| room > 0).take(1_000).collect()
    }

    #[test]
    fn many_that_write_in_one_turn_have_one_each_the_next_time() {
        assert_eq!(kept(), [0; 0]);
        (0..10).for_each(|_| give(Vec::with_capacity(100)));
        let (one, two) = (take(), take());
        assert!(one.as_ptr() != two.as_ptr());
        assert_eq!(kept(), [100; 8]);
    }

    #[test]
    fn the_largest_is_the_first_and_all_are_empty() {
        give(vec![7; 100]);
        give(vec![7; 60_000]);
        give(vec![7; 200]);
        assert_eq!(kept(), [60_000, 200, 100]);
        give(vec![7; 100]);
        assert_eq!(take(), b"");
    }

    #[test]
    fn no_more_is_kept_than_may() {
        (0..100).for_each(|_| give(Vec::with_capacity(LARGEST)));
        (0..100).for_each(|_| give(Vec::with_capacity(SMALL)));
        give(Vec::with_capacity(LARGEST + 1));
        give(Vec::new());
        let kept = kept();
        assert_eq!((kept[0], kept.len()), (LARGEST, 1 + OTHERS));
        assert!(kept[1..].iter().all(|&room| room == SMALL));
    }
}
