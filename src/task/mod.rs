//! Work that is done bit by bit: calls that repeat, calls that come later, iterators that take turns.
//!
//! | file | idea |
//! |---|---|
//! | `looping` | [`LoopingCall`]: a function called every so often |
//! | `grid` | at which instants that is, and how many of them have passed |
//! | `cooperator` | [`Cooperator`]: iterators that take turns, a slice of time after the other |
//! | `cooperative` | [`CooperativeTask`]: one of those iterators; [`Step`]: what it may give |
//! | `later` | [`defer_later`]: one call later, with a Deferred for its result |
//!
//! All of it waits on a [`Time`](crate::time::Time): a reactor, or a [`Clock`](crate::time::Clock) in a test. `task.react` is [`react`](crate::react()).

mod cooperative;
mod cooperator;
mod grid;
mod later;
mod looping;

pub use cooperative::{CooperativeTask, Step};
pub use cooperator::Cooperator;
pub use later::defer_later;
pub use looping::LoopingCall;
