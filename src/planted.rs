//! Three bugs, for the simulation's own test: it has to find them. They are compiled in by the feature `planted-bugs` alone, and are there
//! only while one is planted.

use std::cell::Cell;

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A connection with something left to send does not ask to be told of room.
    LostWake,
    /// What was sent in part is sent again from its beginning.
    DoubleFlush,
    /// A send that leaves one byte counts as one that leaves none.
    OffByOne,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in the reactors of this thread, in place of the former one.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
