//! [`Timers`]: all the calls that wait on one clock, for whoever turns that clock.

use super::{
    delayed::{DelayedCall, NEVER, Node, nanos},
    queue::Queue,
};
use crate::trace::Place;
use std::{rc::Rc, time::Duration};

/// The delayed calls of one clock. A cheap handle; when the last one is dropped all calls are cancelled.
///
/// It reads no clock to decide what is due: the owner says how late it is. To make what is due:
/// ```text
/// let (now, pass) = (clock.now(), timers.made());
/// while let Some(due) = timers.pop_due(now, pass) {
///     due.make();
/// }
/// sleep until timers.next_deadline()
/// ```
/// A call that is scheduled meanwhile is not part of the pass, even with no delay, so that a pass ends and what
/// else the owner has to do gets its turn. For that its time must not be before the `now` of the pass; if it is,
/// the pass ends at that call, and what is left is made in the next one.
#[derive(Clone)]
pub(crate) struct Timers(Rc<Queue>);

impl Timers {
    /// `now` is the clock for [`DelayedCall::reset`]. It must not own these timers nor use them.
    pub(crate) fn new(now: impl Fn() -> Duration + 'static) -> Timers {
        Timers(Rc::new(Queue::new(now)))
    }

    /// Has `call` made at that time, a time since the clock's origin. One of 584 years or more never comes.
    pub(crate) fn schedule(&self, at: Duration, place: Place, call: impl FnOnce() + 'static) -> DelayedCall {
        DelayedCall(self.0.insert(nanos(at), place, call))
    }

    /// When the next call is due; none if nothing waits, or nothing that ever will be due.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        if self.0.not_before() == NEVER {
            return None;
        }
        self.first_deadline()
    }

    fn first_deadline(&self) -> Option<Duration> {
        let (at, _) = self.0.first()?;
        (at != NEVER).then(|| Duration::from_nanos(at))
    }

    /// The next call that is due and that is one of the first `made_before` that were scheduled.
    ///
    /// It counts as called from here on.
    #[inline]
    pub(crate) fn pop_due(&self, now: Duration, made_before: u64) -> Option<Due> {
        let now = nanos(now);
        if now < self.0.not_before() {
            return None; // mostly, when a turn asks
        }
        self.pop_first(now, made_before)
    }

    fn pop_first(&self, now: u64, made_before: u64) -> Option<Due> {
        let (at, number) = self.0.first()?;
        let due = at <= now && at != NEVER && number < made_before;
        due.then(|| Due(self.0.take_first()))
    }

    /// How many calls were scheduled so far: the bound for [`pop_due`](Timers::pop_due) that lets these through
    /// and no later ones.
    pub(crate) fn made(&self) -> u64 {
        self.0.made()
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The calls that wait, for who looks at them one after the other while they go on.
    pub(crate) fn in_no_order(&self) -> Vec<DelayedCall> {
        self.0.in_no_order().into_iter().map(DelayedCall).collect()
    }

    /// The calls that wait, in the order they will be made.
    pub(crate) fn pending(&self) -> Vec<DelayedCall> {
        self.0.sorted().into_iter().map(DelayedCall).collect()
    }

    /// Cancels all calls, in their order. What is scheduled by something that is dropped here stays.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

/// A call whose time has come.
#[must_use = "it counts as called; make it"]
pub(crate) struct Due(Rc<Node>);

impl Due {
    /// Calls its function. A panic comes out of here.
    pub(crate) fn make(self) {
        self.0.make();
    }

    /// The line of code that scheduled it.
    pub(crate) fn place(&self) -> Place {
        self.0.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::tests::Random;
    use std::{
        cell::{Cell, RefCell},
        panic::{self, AssertUnwindSafe, Location},
    };

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn timers() -> Timers {
        Timers::new(|| secs(100))
    }

    #[track_caller]
    fn schedule(timers: &Timers, at: u64, call: impl FnOnce() + 'static) -> DelayedCall {
        timers.schedule(secs(at), Location::caller(), call)
    }

    /// One pass of a reactor.
    fn pass(timers: &Timers, now: u64) -> usize {
        let made = timers.made();
        std::iter::from_fn(|| timers.pop_due(secs(now), made)).map(Due::make).count()
    }

    /// Does something when it is dropped.
    struct AtDrop<F: FnMut()>(F);

    impl<F: FnMut()> Drop for AtDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    #[test]
    fn a_pass_makes_only_what_was_scheduled_before_it_began() {
        let timers = timers();
        let again = timers.clone();
        schedule(&timers, 1, move || drop(schedule(&again, 3, || {})));
        schedule(&timers, 2, || {});
        assert_eq!(pass(&timers, 3), 2);
        assert_eq!((timers.len(), timers.next_deadline()), (1, Some(secs(3))));
        assert_eq!(pass(&timers, 3), 1);
        assert_eq!((timers.len(), timers.next_deadline()), (0, None));
    }

    #[test]
    fn what_is_not_due_yet_stays() {
        let timers = timers();
        schedule(&timers, 4, || {});
        assert!(timers.pop_due(secs(4) - Duration::from_nanos(1), u64::MAX).is_none());
        assert!(timers.pop_due(secs(4), u64::MAX).is_some());
    }

    #[test]
    fn a_call_counts_as_called_from_when_it_is_taken_out() {
        let timers = timers();
        let call = schedule(&timers, 1, || {});
        let due = timers.pop_due(secs(1), u64::MAX).unwrap();
        assert!(!call.active());
        assert_eq!(due.place(), call.place());
        drop(due);
        assert_eq!(pass(&timers, 1), 0);
    }

    #[test]
    fn never_is_never_due_and_no_deadline() {
        let timers = timers();
        let call = timers.schedule(Duration::MAX, Location::caller(), || {});
        assert_eq!((call.get_time(), timers.next_deadline()), (Duration::MAX, None));
        assert!(timers.pop_due(Duration::MAX, u64::MAX).is_none());
        call.reset(secs(1)).unwrap();
        assert_eq!((call.get_time(), timers.next_deadline()), (secs(101), Some(secs(101))));
    }

    #[test]
    fn reset_and_delay_beyond_all_time_give_never() {
        let timers = timers();
        let (reset, delayed) = (schedule(&timers, 1, || {}), schedule(&timers, 1, || {}));
        reset.reset(Duration::MAX).unwrap();
        delayed.delay(Duration::MAX).unwrap();
        assert_eq!((reset.get_time(), delayed.get_time()), (Duration::MAX, Duration::MAX));
        delayed.delay(secs(1)).unwrap();
        assert_eq!((delayed.get_time(), timers.next_deadline()), (Duration::MAX, None));
    }

    #[test]
    fn pending_is_ordered_by_time_and_then_by_age() {
        let timers = timers();
        let calls = [3, 1, 2, 1].map(|at| schedule(&timers, at, || {}));
        let order = [1, 3, 2, 0].map(|i| calls[i].clone());
        assert_eq!(timers.pending(), order);
    }

    #[test]
    fn clear_cancels_all_before_it_drops_the_first() {
        let timers = timers();
        let last = schedule(&timers, 9, || {});
        let (seen, asked) = (Rc::new(Cell::new(None)), last.clone());
        let guard = AtDrop({
            let seen = seen.clone();
            move || seen.set(Some(asked.cancel()))
        });
        schedule(&timers, 1, move || drop(guard));
        timers.clear();
        assert_eq!(seen.get(), Some(Err(crate::error::NotActive::AlreadyCancelled)));
        assert!(!last.active());
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn clear_drops_in_the_order_of_time() {
        let (timers, order) = (timers(), Rc::new(RefCell::new(vec![])));
        for at in [3, 1, 2] {
            let order = order.clone();
            let guard = AtDrop(move || order.borrow_mut().push(at));
            schedule(&timers, at, move || drop(guard));
        }
        timers.clear();
        assert_eq!(*order.borrow(), [1, 2, 3]);
    }

    #[test]
    fn clear_keeps_what_a_drop_schedules() {
        let timers = timers();
        let again = timers.clone();
        let guard = AtDrop(move || drop(schedule(&again, 5, || {})));
        schedule(&timers, 1, move || drop(guard));
        timers.clear();
        assert_eq!(timers.next_deadline(), Some(secs(5)));
    }

    #[test]
    fn a_call_that_owns_its_own_handle_is_freed_by_cancel_and_by_clear() {
        let (timers, alive) = (timers(), Rc::new(()));
        let [cancelled, _cleared] = [1, 2].map(|at| {
            let (own, witness) = (Rc::new(RefCell::new(None)), alive.clone());
            let call = schedule(&timers, at, {
                let own = own.clone();
                move || drop((own, witness))
            });
            own.replace(Some(call.clone()));
            call
        });
        cancelled.cancel().unwrap();
        assert_eq!(Rc::strong_count(&alive), 2);
        timers.clear();
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn a_handle_that_outlives_its_timers_is_of_a_cancelled_call() {
        let alive = Rc::new(());
        let witness = alive.clone();
        let call = schedule(&timers(), 1, move || drop(witness));
        assert!(!call.active());
        assert_eq!(Rc::strong_count(&alive), 1);
        assert_eq!(call.reset(secs(1)), Err(crate::error::NotActive::AlreadyCancelled));
        assert_eq!(call.get_time(), secs(1));
    }

    #[test]
    fn a_drop_that_panics_leaves_the_timers_usable() {
        let timers = timers();
        let guard = AtDrop(|| panic!("in drop"));
        let call = schedule(&timers, 1, move || drop(guard));
        schedule(&timers, 2, || {});
        assert!(panic::catch_unwind(AssertUnwindSafe(|| call.cancel())).is_err());
        assert_eq!((call.active(), timers.len(), pass(&timers, 2)), (false, 1, 1));
    }

    #[test]
    fn a_million_calls_of_which_nine_in_ten_are_cancelled() {
        const CALLS: usize = 1_000_000;
        let (timers, mut random, made) = (timers(), Random(3), Rc::new(Cell::new(0)));
        let mut calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let made = made.clone();
                let at = Duration::from_nanos(random.below(60_000_000_000));
                timers.schedule(at, Location::caller(), move || made.set(made.get() + 1))
            })
            .collect();
        for _ in 0..CALLS / 10 * 9 {
            let index = random.index(calls.len()).unwrap();
            calls.swap_remove(index).cancel().unwrap();
        }
        assert_eq!(timers.len(), CALLS / 10);
        assert_eq!(pass(&timers, 60), CALLS / 10);
        assert_eq!(made.get(), CALLS / 10);
    }
}
