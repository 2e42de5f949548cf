//! Calls that are made later: [`Time`], which reactors and clocks have in common, [`DelayedCall`], and [`Clock`],
//! which is moved by hand.
//!
//! Code that waits takes a `&dyn Time` (or a `T: Time`), and runs on a reactor as well as, in a test that does
//! not wait, on a [`Clock`].
//!
//! # Precision
//! Time is monotonic: it is not the time of day, and setting that does not matter. It counts nanoseconds, for 584
//! years; what goes beyond never comes.

mod clock;
mod delayed;
mod queue;
mod timers;

pub use clock::Clock;
pub use delayed::DelayedCall;
pub(crate) use timers::Timers;

use crate::trace::Place;
use std::{cell::Cell, rc::Rc, time::Duration};

/// A source of time that makes calls later: a reactor, or a [`Clock`].
///
/// Calls due at the same instant are made in the order they were scheduled.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::time::{Clock, Time};
///
/// fn remind(time: &dyn Time, text: &'static str) {
///     time.schedule(Duration::from_secs(60), Box::new(move || println!("{text}")));
/// }
///
/// let clock = Clock::new();
/// remind(&clock, "tea");
/// assert_eq!(clock.get_delayed_calls()[0].get_time(), Duration::from_secs(60));
/// clock.advance(Duration::from_secs(60)); // tea
/// ```
#[doc(alias = "IReactorTime")]
pub trait Time {
    /// The time since the origin of this clock. It never goes back.
    ///
    /// For a clock that is its start; times of two clocks cannot be compared.
    #[doc(alias = "seconds")]
    fn now(&self) -> Duration;

    /// Has `call` made when `delay` is over, and not from within `schedule` even if it is zero.
    ///
    /// `call_later` of the reactor and of the [`Clock`] is the same for a function that is not boxed. A delay
    /// such as `Duration::MAX`, which goes beyond the clock's end, is never over.
    #[track_caller]
    #[doc(alias = "callLater")]
    fn schedule(&self, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall;

    /// A seed for what is left to chance, such as the jitter of a delay: another one each time.
    ///
    /// The reactor of a [simulation](crate::testing::Simulation) gives the same ones in each run of the same seed.
    fn seed(&self) -> u64 {
        fastrand::u64(..)
    }

    /// The same on behalf of another line of code, which [`DelayedCall::place`] then names.
    ///
    /// For who schedules again and again, such as a [`LoopingCall`](crate::task::LoopingCall). A time that does not offer it names a line of theirs.
    fn schedule_for(&self, place: Place, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        let _ = place;
        self.schedule(delay, call)
    }

    /// Whether somebody turns this, as far as that can be known. A Deferred that waits on it alone fails when it is awaited where nobody does.
    #[doc(hidden)]
    fn driven(&self) -> Option<Rc<Cell<Driven>>> {
        None
    }
}

/// Whether somebody turns a reactor.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driven {
    /// `run()` is on the stack, or a `drive()` future is alive.
    Yes,
    /// An await could only wait for ever.
    No,
}

impl<T: Time + ?Sized> Time for &T {
    fn now(&self) -> Duration {
        (**self).now()
    }

    #[track_caller]
    fn schedule(&self, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        (**self).schedule(delay, call)
    }

    fn seed(&self) -> u64 {
        (**self).seed()
    }

    fn schedule_for(&self, place: Place, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        (**self).schedule_for(place, delay, call)
    }

    fn driven(&self) -> Option<Rc<Cell<Driven>>> {
        (**self).driven()
    }
}

impl<T: Time + ?Sized> Time for Rc<T> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    #[track_caller]
    fn schedule(&self, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        (**self).schedule(delay, call)
    }

    fn seed(&self) -> u64 {
        (**self).seed()
    }

    fn schedule_for(&self, place: Place, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        (**self).schedule_for(place, delay, call)
    }

    fn driven(&self) -> Option<Rc<Cell<Driven>>> {
        (**self).driven()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::Location;

    /// Knuth's linear congruential generator (MMIX); the high bits are the good ones.
    pub(super) struct Random(pub(super) u64);

    impl Random {
        pub(super) fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 16) % limit
        }

        pub(super) fn index(&mut self, len: usize) -> Option<usize> {
            (len > 0).then(|| self.below(len as u64) as usize)
        }
    }

    #[test]
    fn a_call_knows_the_line_that_scheduled_it_by_whatever_door() {
        let clock = Clock::new();
        let (dynamic, counted): (&dyn Time, Rc<dyn Time>) = (&clock, Rc::new(clock.clone()));
        let none = || Box::new(|| {});
        #[rustfmt::skip]
        let calls = [
            clock.call_later(Duration::ZERO, || {}),
            clock.schedule(Duration::ZERO, none()),
            dynamic.schedule(Duration::ZERO, none()),
            counted.schedule(Duration::ZERO, none()),
        ];
        let first = Location::caller().line() - 5;
        assert_eq!(calls.map(|call| call.place().line()), [first, first + 1, first + 2, first + 3]);
    }

    fn on<T: Time>(time: T) -> Duration {
        time.schedule(time.now() + Duration::from_secs(1), Box::new(|| {})).get_time()
    }

    #[test]
    fn a_borrowed_a_counted_and_an_unknown_clock_are_clocks() {
        let clock = Clock::new();
        let unknown: Rc<dyn Time> = Rc::new(clock.clone());
        assert_eq!(on(&clock), Duration::from_secs(1));
        assert_eq!(on(&*unknown), Duration::from_secs(1));
        assert_eq!(on(unknown), Duration::from_secs(1));
        assert_eq!(clock.get_delayed_calls().len(), 3);
    }
}
