//! [`Clock`]: time that is moved by hand.

use super::{
    Time,
    delayed::{DelayedCall, NEVER},
    timers::Timers,
};
use crate::trace::Place;
use std::{cell::Cell, fmt, panic::Location, rc::Rc, time::Duration};

/// Time that stands still until it is moved by hand, for tests of code that waits.
///
/// It offers what a reactor offers for time, and shares [`Time`] with it. It starts at zero. A clone is the
/// same clock.
///
/// # Order
/// Calls are made in the order of their times, and those due at the same instant in the order they were
/// scheduled; [`reset`](DelayedCall::reset) and [`delay`](DelayedCall::delay) do not change a call's turn.
/// (Twisted sorts its list after each step, so that there a call that was moved may come before or after an
/// equal one.)
///
/// # Caveats
/// A call whose function owns a clone of its own clock keeps both alive until it is made or cancelled.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use twistor::time::Clock;
///
/// let clock = Clock::new();
/// let rings = Rc::new(Cell::new(0));
/// let counter = rings.clone();
/// clock.call_later(Duration::from_secs(3600), move || counter.set(counter.get() + 1));
///
/// clock.advance(Duration::from_secs(3599));
/// assert_eq!(rings.get(), 0);
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(rings.get(), 1);
/// ```
#[derive(Clone)]
pub struct Clock {
    now: Rc<Cell<Duration>>,
    timers: Timers,
}

impl Clock {
    /// A clock that shows zero.
    pub fn new() -> Clock {
        let now = Rc::new(Cell::new(Duration::ZERO));
        let timers = Timers::new({
            let now = now.clone();
            move || now.get()
        });
        Clock { now, timers }
    }

    /// How far the clock was moved since it was made.
    #[doc(alias = "seconds")]
    #[doc(alias = "rightNow")]
    pub fn now(&self) -> Duration {
        self.now.get()
    }

    /// Has `call` made when the clock has been moved by `delay` from now.
    ///
    /// It is never made from within `call_later`: with no delay it is made by the next
    /// [`advance`](Clock::advance), or by the one that is just running. A delay that goes beyond the 584 years
    /// of a clock, such as `Duration::MAX`, is never over.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::time::Clock;
    ///
    /// let clock = Clock::new();
    /// let call = clock.call_later(Duration::ZERO, || println!("now"));
    /// assert!(call.active());
    /// clock.advance(Duration::ZERO);
    /// assert!(!call.active());
    /// ```
    #[track_caller]
    #[doc(alias = "callLater")]
    pub fn call_later(&self, delay: Duration, call: impl FnOnce() + 'static) -> DelayedCall {
        self.timers.schedule(self.now().saturating_add(delay), Location::caller(), call)
    }

    /// Moves the clock, and makes the calls that are due then, before it returns.
    ///
    /// While they run the clock already shows the end of the move: what they schedule counts from there, and is
    /// made by the same `advance` only if its delay is zero. A function that with no delay schedules itself
    /// again is therefore called for ever.
    ///
    /// A call may advance the clock itself: that makes what is due by then, before the outer `advance` goes on.
    ///
    /// # Panics
    /// With what a call panics with. That call counts as made, those after it still wait, and the next
    /// `advance` goes on with them.
    ///
    /// # Examples
    /// A chain of calls needs a move for each, see [`pump`](Clock::pump):
    /// ```
    /// use std::time::Duration;
    /// use twistor::time::Clock;
    ///
    /// let (clock, second) = (Clock::new(), Duration::from_secs(1));
    /// let inner = clock.clone();
    /// clock.call_later(second, move || drop(inner.call_later(second, || {})));
    ///
    /// clock.advance(second * 10);
    /// assert_eq!(clock.get_delayed_calls()[0].get_time(), second * 11);
    /// ```
    pub fn advance(&self, amount: Duration) {
        self.now.set(self.now().saturating_add(amount).min(LAST));
        // The clock is read anew for each, since a call may have moved it on.
        while let Some(due) = self.timers.pop_due(self.now(), ALL) {
            due.make();
        }
    }

    /// Advances by each of these amounts in turn.
    ///
    /// # Panics
    /// As [`advance`](Clock::advance); what is left of the amounts is then not used.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::time::Clock;
    ///
    /// let (clock, second) = (Clock::new(), Duration::from_secs(1));
    /// let inner = clock.clone();
    /// clock.call_later(second, move || drop(inner.call_later(second, || {})));
    ///
    /// clock.pump([second; 2]);
    /// assert!(clock.get_delayed_calls().is_empty());
    /// ```
    pub fn pump(&self, amounts: impl IntoIterator<Item = Duration>) {
        amounts.into_iter().for_each(|amount| self.advance(amount));
    }

    /// The calls that wait, in the order they will be made.
    ///
    /// At the end of a test it tells what was forgotten: [`place`](DelayedCall::place) is where.
    #[doc(alias = "getDelayedCalls")]
    pub fn get_delayed_calls(&self) -> Vec<DelayedCall> {
        self.timers.pending()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

impl Time for Clock {
    fn now(&self) -> Duration {
        Clock::now(self)
    }

    #[track_caller]
    fn schedule(&self, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        self.call_later(delay, call)
    }

    fn schedule_for(&self, place: Place, delay: Duration, call: Box<dyn FnOnce()>) -> DelayedCall {
        self.timers.schedule(self.now().saturating_add(delay), place, call)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.now())
            .field("delayed_calls", &self.get_delayed_calls())
            .finish()
    }
}

/// Where a clock stops, so that what has no delay is still due there.
const LAST: Duration = Duration::from_nanos(NEVER - 1);

/// A bound on a call's number that lets every call through.
const ALL: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NotActive;
    use std::{
        cell::RefCell,
        panic::{self, AssertUnwindSafe},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// A clock, and what its calls wrote down.
    #[derive(Clone, Default)]
    struct World {
        clock: Clock,
        notes: Rc<RefCell<Vec<(&'static str, u64)>>>,
    }

    impl World {
        /// Notes the name and the clock's time when it is made, and then goes on with `then`.
        fn later(&self, delay: u32, name: &'static str, then: impl FnOnce(&World) + 'static) -> DelayedCall {
            let world = self.clone();
            self.clock.call_later(SECOND * delay, move || {
                world.notes.borrow_mut().push((name, world.clock.now().as_secs()));
                then(&world);
            })
        }

        fn advance(&self, seconds: u32) -> Vec<(&'static str, u64)> {
            self.clock.advance(SECOND * seconds);
            self.notes.take()
        }
    }

    fn nothing(_: &World) {}

    #[test]
    fn calls_are_made_in_the_order_of_time_and_equal_ones_in_the_order_of_asking() {
        let world = World::default();
        world.later(3, "last", nothing);
        world.later(1, "first", nothing);
        world.later(1, "second", nothing);
        assert_eq!(world.advance(0), []);
        assert_eq!(world.advance(5), [("first", 5), ("second", 5), ("last", 5)]);
    }

    #[test]
    fn a_moved_call_keeps_its_turn_among_equal_ones() {
        let world = World::default();
        let oldest = world.later(1, "oldest", nothing);
        world.later(3, "middle", nothing);
        let newest = world.later(2, "newest", nothing);
        newest.delay(SECOND).unwrap();
        oldest.reset(SECOND * 3).unwrap();
        assert_eq!(world.advance(3), [("oldest", 3), ("middle", 3), ("newest", 3)]);
    }

    #[test]
    fn what_a_call_schedules_counts_from_the_end_of_the_advance() {
        let world = World::default();
        world.later(1, "outer", |w| drop(w.later(1, "inner", nothing)));
        assert_eq!(world.advance(5), [("outer", 5)]);
        assert_eq!(world.advance(1), [("inner", 6)]);
    }

    #[test]
    fn what_a_call_schedules_without_delay_is_made_in_the_same_advance_after_what_was_due() {
        let world = World::default();
        world.later(1, "outer", |w| drop(w.later(0, "inner", |w| drop(w.later(0, "innermost", nothing)))));
        world.later(2, "due", nothing);
        assert_eq!(world.advance(2), [("outer", 2), ("due", 2), ("inner", 2), ("innermost", 2)]);
    }

    #[test]
    fn an_advance_inside_a_call_makes_what_is_due_by_then_before_the_outer_goes_on() {
        let world = World::default();
        world.later(1, "outer", |w| {
            w.clock.advance(SECOND * 2);
            w.notes.borrow_mut().push(("outer goes on", 0));
        });
        world.later(2, "due", nothing);
        world.later(4, "not due", nothing);
        assert_eq!(world.advance(1), [("outer", 1), ("due", 3), ("outer goes on", 0)]);
        assert_eq!(world.clock.now(), SECOND * 3);
    }

    #[test]
    fn a_call_is_called_already_while_it_runs() {
        let (clock, own) = (Clock::new(), Rc::new(RefCell::new(None::<DelayedCall>)));
        let handle = own.clone();
        let call = clock.call_later(SECOND, move || {
            let call = handle.take().unwrap();
            assert!(!call.active());
            assert_eq!(call.cancel(), Err(NotActive::AlreadyCalled));
            assert_eq!(call.reset(SECOND), Err(NotActive::AlreadyCalled));
            assert_eq!(call.delay(SECOND), Err(NotActive::AlreadyCalled));
            assert_eq!(call.get_time(), SECOND);
        });
        own.replace(Some(call));
        clock.advance(SECOND);
        assert!(own.borrow().is_none());
    }

    #[test]
    fn a_cancelled_call_is_not_made_and_refuses_everything_but_its_time() {
        let world = World::default();
        let call = world.later(2, "never", nothing);
        assert_eq!((call.cancel(), call.active()), (Ok(()), false));
        assert_eq!(call.cancel(), Err(NotActive::AlreadyCancelled));
        assert_eq!(call.reset(SECOND), Err(NotActive::AlreadyCancelled));
        assert_eq!(call.delay(SECOND), Err(NotActive::AlreadyCancelled));
        assert_eq!(call.get_time(), SECOND * 2);
        assert_eq!(world.advance(9), []);
    }

    #[test]
    fn a_call_can_cancel_and_move_others_that_are_due_in_the_same_advance() {
        let world = World::default();
        let (cancelled, moved) = (world.later(2, "never", nothing), world.later(2, "moved", nothing));
        world.later(1, "first", move |_| {
            cancelled.cancel().unwrap();
            moved.reset(SECOND).unwrap();
        });
        assert_eq!(world.advance(3), [("first", 3)]);
        assert_eq!(world.advance(1), [("moved", 4)]);
    }

    #[test]
    fn reset_counts_from_now_and_delay_from_the_planned_time() {
        let world = World::default();
        let (reset, delayed) = (world.later(5, "reset", nothing), world.later(5, "delayed", nothing));
        world.advance(2);
        delayed.delay(SECOND).unwrap();
        reset.delay(SECOND * 3).unwrap();
        reset.reset(SECOND).unwrap();
        assert_eq!((reset.get_time(), delayed.get_time()), (SECOND * 3, SECOND * 6));
        assert_eq!(world.advance(4), [("reset", 6), ("delayed", 6)]);
    }

    #[test]
    fn dropping_the_handle_does_not_cancel() {
        let world = World::default();
        drop(world.later(1, "made", nothing));
        assert_eq!(world.advance(1), [("made", 1)]);
    }

    #[test]
    fn a_panic_comes_out_of_advance_and_the_clock_goes_on() {
        let world = World::default();
        let bad = world.later(1, "bad", |_| panic!("in a call"));
        world.later(1, "good", nothing);
        assert!(panic::catch_unwind(AssertUnwindSafe(|| world.advance(1))).is_err());
        assert_eq!((bad.cancel(), world.clock.now()), (Err(NotActive::AlreadyCalled), SECOND));
        assert_eq!(world.advance(0), [("bad", 1), ("good", 1)]);
    }

    #[test]
    fn what_a_function_owned_may_use_the_clock_when_cancel_drops_it() {
        struct Busy(World);
        impl Drop for Busy {
            fn drop(&mut self) {
                assert!(self.0.clock.get_delayed_calls().is_empty());
                self.0.later(1, "from drop", nothing);
                self.0.clock.advance(SECOND);
            }
        }
        let world = World::default();
        let busy = Busy(world.clone());
        world.later(1, "never", move |_| drop(busy)).cancel().unwrap();
        assert_eq!(world.advance(0), [("from drop", 1)]);
    }

    #[test]
    fn no_amount_of_time_overflows() {
        let world = World::default();
        let never = world.clock.call_later(Duration::MAX, || unreachable!("never is over"));
        world.clock.pump([Duration::MAX; 2]);
        assert!(never.active());
        world.later(0, "at the end of time", nothing);
        assert_eq!(world.advance(0).len(), 1);
        world.later(1, "after it", nothing);
        assert_eq!(world.advance(1), []);
    }

    #[test]
    fn a_clone_is_the_same_clock() {
        let clock = Clock::new();
        let call = clock.clone().call_later(SECOND, || {});
        assert_eq!(clock.get_delayed_calls(), [call]);
        clock.clone().advance(SECOND);
        assert_eq!((clock.now(), clock.get_delayed_calls().len()), (SECOND, 0));
    }
}
