//! Work that is done bit by bit: loops, cooperators, calls that come later.
//!
//! What Twisted does is in the recorded cases of `conformance`. Here is the rest: reactors and their end, panics, what is dropped when, who is named.

use std::{
    cell::{Cell, RefCell},
    panic::Location,
    rc::Rc,
    time::Duration,
};
use twistor::{
    Failure, Reactor,
    defer::{self, Deferred},
    error::{
        Abandoned, CancelledError, LoopAlreadyRunning, LoopNotRunning, NotDriven, Panicked,
        ReactorNotRunning, TaskFinished,
    },
    report,
    task::{Cooperator, LoopingCall, Step, defer_later},
    testing::{Simulation, failure_result_of, on_both},
    time::{Clock, Time},
};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_micros(50);

/// What was noted, and something to note it with.
fn notes<T: 'static>() -> (Rc<RefCell<Vec<T>>>, impl Fn(T) + Clone + 'static) {
    let notes = Rc::new(RefCell::new(vec![]));
    let into = notes.clone();
    (notes, move |note| into.borrow_mut().push(note))
}

/// Something that notes its drop.
struct Owned(Rc<Cell<usize>>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn owned() -> (Rc<Cell<usize>>, Owned) {
    let drops = Rc::new(Cell::new(0));
    (drops.clone(), Owned(drops))
}

// ---- loops

const HOUR: Duration = Duration::from_secs(3600);

/// A thousand loops of these intervals for an hour, which `pass` lets go by: each call comes at its instant exactly, and none is missing.
fn expect_no_drift(
    time: &(impl Time + Clone + 'static),
    interval: impl Fn(u32) -> Duration,
    pass: impl FnOnce(Duration),
) {
    let (reports, note) = notes();
    let _hook = report::hook(move |report| note(report.to_string())); // what a call asserts fails its loop
    let calls = Rc::new(RefCell::new(vec![0; 1000]));
    for n in 0..1000 {
        let (clock, calls, interval) = (time.clone(), calls.clone(), interval(n));
        let tick = move || {
            let calls = &mut calls.borrow_mut()[n as usize];
            assert_eq!(clock.now(), interval * *calls, "call {calls} of loop {n}");
            *calls += 1;
        };
        LoopingCall::new(time, tick).start(interval, true).or_log("a loop");
    }
    pass(HOUR);
    assert!(reports.borrow().is_empty(), "{reports:?}");
    for (n, calls) in (0..).zip(calls.take()) {
        let due = 1 + HOUR.as_nanos() / interval(n).as_nanos();
        assert_eq!(u128::from(calls), due, "calls of loop {n}");
    }
}

/// Intervals from one to ten seconds, by what divides them all.
#[test]
fn a_thousand_loops_of_an_hour_are_called_exactly_on_their_grids() {
    const STEP: Duration = Duration::from_millis(100);
    let clock = Clock::new();
    let hour = |hour: Duration| clock.pump((0..hour.as_millis() / STEP.as_millis()).map(|_| STEP));
    expect_no_drift(&clock, |n| STEP * (10 + n % 91), hour);
}

/// Intervals from one to nine seconds that nothing divides: the clock goes from each call to the next.
#[test]
fn a_thousand_loops_of_an_hour_are_called_exactly_on_their_grids_by_a_reactor() {
    let simulation = Simulation::new();
    let interval = |n: u32| Duration::from_nanos(1_000_000_007 + 7_919_001 * u64::from(n));
    expect_no_drift(&simulation.reactor(), interval, |hour| simulation.advance(hour));
}

#[test]
fn a_loop_that_has_not_ended_can_not_be_started_and_one_that_has_can() {
    let (clock, (work, promise)) = (Clock::new(), Deferred::pending());
    let work = Cell::new(Some(work));
    let looping = LoopingCall::new(&clock, move || work.take().unwrap_or_else(|| defer::succeed(())));
    assert_eq!(looping.stop(), Err(LoopNotRunning::default()));
    assert_eq!(looping.reset(), Err(LoopNotRunning::default()));

    let first = looping.start(SECOND, true);
    assert!(failure_result_of(looping.start(SECOND, true)).check::<LoopAlreadyRunning>());
    looping.stop().unwrap();
    assert!(!looping.running() && !first.is_fired(), "it waits for the Deferred of its last call");
    assert_eq!(looping.stop(), Err(LoopNotRunning::default()));
    assert!(failure_result_of(looping.start(SECOND, true)).check::<LoopAlreadyRunning>());

    promise.callback(());
    first.now().unwrap().unwrap();
    let second = looping.start(SECOND * 2, false);
    assert_eq!((looping.running(), looping.interval()), (true, Some(SECOND * 2)));
    assert_eq!(clock.get_delayed_calls()[0].get_time(), SECOND * 2);
    looping.stop().unwrap();
    second.now().unwrap().unwrap();
}

#[test]
fn a_loop_whose_function_panics_ends_with_the_panic_and_can_be_started_again() {
    let clock = Clock::new();
    let mut calls = 0;
    let looping = LoopingCall::new(&clock, move || {
        calls += 1;
        assert_ne!(calls, 2, "twice");
    });
    let ended = looping.start(SECOND, true);
    clock.advance(SECOND);
    let failure = failure_result_of(ended);
    assert!(failure.value::<Panicked>().unwrap().message().contains("twice"));
    assert!(!looping.running() && clock.get_delayed_calls().is_empty());

    let again = looping.start(SECOND, true);
    clock.advance(SECOND);
    assert!(looping.running() && !again.is_fired());
}

#[test]
fn a_function_can_stop_and_reset_its_own_loop() {
    let clock = Clock::new();
    let mut calls = 0;
    let looping = LoopingCall::with_handle(&clock, move |own| {
        calls += 1;
        assert!(own.running());
        own.reset()?; // does nothing inside of a call
        if calls == 3 { Ok(own.stop()?) } else { Ok(()) }
    });
    let ended = looping.start(SECOND, true);
    clock.pump([SECOND; 5]);
    ended.now().unwrap().unwrap();
}

#[test]
fn the_calls_and_the_failures_of_a_loop_name_the_line_that_made_it() {
    let clock = Clock::new();
    let (looping, line) = (LoopingCall::new(&clock, || ()), Location::caller().line());
    looping.start(SECOND, false).or_log("a loop");
    assert_eq!(looping.place().line(), line);
    assert_eq!(clock.get_delayed_calls()[0].place().line(), line);

    let (failure, line) = (failure_result_of(looping.start(SECOND, true)), Location::caller().line());
    assert_eq!(failure.made_at().line(), line);
}

#[test]
fn a_loop_shows_how_far_it_is() {
    let clock = Clock::new();
    let (work, _promise) = Deferred::<()>::pending();
    let work = Cell::new(Some(work));
    let looping = LoopingCall::new(&clock, move || work.take().unwrap());
    let shown = || format!("{looping:?}").split_once(", tests").unwrap().0.to_string();
    assert_eq!(shown(), "LoopingCall(stopped");
    looping.start(SECOND, false).or_log("a loop");
    assert_eq!(shown(), "LoopingCall(every 1s, next at 1s");
    clock.advance(SECOND);
    assert_eq!(shown(), "LoopingCall(every 1s, in a call");
    looping.stop().unwrap();
    assert_eq!(shown(), "LoopingCall(every 1s, in its last call");
}

/// The failure that comes of an abandoned promise ends the loop as any other does.
#[test]
fn a_loop_ends_when_nobody_can_fire_what_it_waits_for() {
    let clock = Clock::new();
    let (work, promise) = Deferred::<()>::pending();
    let work = Cell::new(Some(work));
    let looping = LoopingCall::new(&clock, move || work.take().unwrap());
    let ended = looping.start(SECOND, true);
    drop(promise);
    assert!(failure_result_of(ended).check::<Abandoned>() && !looping.running());
}

#[test]
fn what_a_function_owns_is_dropped_with_the_last_handle_of_a_loop_that_has_ended() {
    let ((drops, owned), clock) = (owned(), Clock::new());
    let looping = LoopingCall::new(&clock, move || {
        let _ = &owned;
    });
    looping.start(SECOND, true).or_log("a loop");
    clock.advance(SECOND);
    let handle = looping.clone();
    drop(looping);
    clock.advance(SECOND);
    assert_eq!(drops.get(), 0, "it runs without a handle");
    handle.stop().unwrap();
    drop(handle);
    assert_eq!(drops.get(), 1);
}

// ---- cooperators

/// Takes steps for ever.
fn endless() -> impl Iterator<Item = ()> {
    std::iter::repeat(())
}

#[test]
fn where_no_time_passes_a_tick_ends_after_a_hundred_steps() {
    let (clock, steps) = (Clock::new(), Rc::new(Cell::new(0)));
    let counter = steps.clone();
    let task = Cooperator::new(&clock).cooperate(endless().map(move |()| counter.set(counter.get() + 1)));
    clock.advance(MOMENT);
    assert_eq!(steps.get(), 100);
    clock.advance(MOMENT);
    assert_eq!(steps.get(), 200);
    task.stop().unwrap();
    assert!(clock.get_delayed_calls().is_empty());
}

#[test]
fn a_tick_ends_when_its_slice_of_time_is_over() {
    let clock = Clock::new();
    let (steps, note) = notes();
    let time = clock.clone();
    let work = endless().map(move |()| {
        note(time.now());
        time.advance(Duration::from_millis(4));
    });
    let task = Cooperator::new(&clock).cooperate(work);
    clock.advance(MOMENT);
    assert_eq!(steps.borrow().len(), 3, "4, 8 and 12 milliseconds");
    task.stop().unwrap();
}

#[test]
fn a_step_that_fails_or_panics_ends_its_task_alone() {
    let clock = Clock::new();
    let cooperator = Cooperator::new(&clock);
    let failing = (0..3).map(|n| if n == 1 { Err(Failure::msg("one")) } else { Ok(()) });
    let failing = cooperator.cooperate(failing);
    let panicking = cooperator.cooperate((0..3).map(|n| assert_ne!(n, 1, "two")));
    let well = cooperator.coiterate((0..3).map(|_| ()));
    clock.pump([MOMENT; 3]);
    assert_eq!(failure_result_of(failing.when_done()).to_string(), "one");
    assert!(failure_result_of(panicking.when_done()).check::<Panicked>());
    assert_eq!((failing.pause(), panicking.stop()), (Err(TaskFinished::Failed), Err(TaskFinished::Failed)));
    well.now().unwrap().unwrap();
}

#[test]
fn a_task_that_stops_itself_in_a_step_is_stopped() {
    let (clock, own) = (Clock::new(), Rc::new(RefCell::new(None)));
    let handle = own.clone();
    let (steps, note) = notes();
    let task = Cooperator::new(&clock).cooperate((0..5).map(move |n| {
        note(n);
        let own: std::cell::Ref<'_, Option<twistor::task::CooperativeTask>> = handle.borrow();
        if n == 2 { own.as_ref().unwrap().stop().map_err(Failure::from) } else { Ok(()) }
    }));
    own.replace(Some(task.clone()));
    clock.pump([MOMENT; 9]);
    assert_eq!(failure_result_of(task.when_done()).value(), Some(&TaskFinished::Stopped));
    assert_eq!(*steps.borrow(), [0, 1, 2]);
}

/// Twisted tells every second one, and the others never.
#[test]
fn the_stop_of_a_cooperator_ends_all_its_tasks() {
    let clock = Clock::new();
    let cooperator = Cooperator::new(&clock);
    let (told, note) = notes();
    for n in 0..5 {
        let note = note.clone();
        cooperator.coiterate(endless()).add_errback(move |_| note(n)).or_log("a task");
    }
    cooperator.stop();
    assert_eq!(*told.borrow(), [0, 1, 2, 3, 4]);
    assert!(clock.get_delayed_calls().is_empty());
    let late = cooperator.cooperate(endless());
    assert_eq!(late.stop(), Err(TaskFinished::SchedulerStopped));

    cooperator.start();
    let task = cooperator.cooperate(endless());
    clock.advance(MOMENT);
    task.stop().unwrap();
}

#[test]
fn what_an_iterator_owns_is_dropped_before_anybody_is_told_that_it_is_done() {
    let ((drops, owned), clock) = (owned(), Clock::new());
    let task = Cooperator::new(&clock).cooperate(endless().map(move |()| {
        let _ = &owned;
    }));
    let (told, note) = notes();
    let seen = drops.clone();
    task.when_done().add_errback(move |_| note(seen.get())).or_log("a task");
    clock.advance(MOMENT);
    task.stop().unwrap();
    assert_eq!(*told.borrow(), [1]);
}

#[test]
fn tasks_that_nobody_can_start_fail_and_are_dropped() {
    let ((drops, owned), clock) = (owned(), Clock::new());
    let cooperator = Cooperator::new(&clock).not_started();
    let done = cooperator.coiterate(endless().map(move |()| {
        let _ = &owned;
    }));
    drop(cooperator);
    assert_eq!((failure_result_of(done).check::<Abandoned>(), drops.get()), (true, 1));
}

#[test]
fn a_step_waits_for_a_deferred_whatever_its_type() {
    let (clock, (first, promise)) = (Clock::new(), Deferred::<u32>::pending());
    let done = Cooperator::new(&clock).coiterate([first.into(), Step::Next, defer::succeed(7_u8).into()]);
    clock.pump([MOMENT; 2]);
    assert!(!done.is_fired());
    promise.callback(1);
    clock.pump([MOMENT; 2]);
    done.now().unwrap().unwrap();
}

// ---- later

#[test]
fn a_call_that_comes_later_fails_as_its_function_does() {
    let clock = Clock::new();
    let failing = defer_later(&clock, SECOND, || Err::<(), _>(Failure::msg("late")));
    let panicking = defer_later(&clock, SECOND, || -> twistor::Result<()> { panic!("late too") });
    let (inner, promise) = Deferred::pending();
    let waiting = defer_later(&clock, SECOND, || inner);
    clock.advance(SECOND);
    assert_eq!(failure_result_of(failing).to_string(), "late");
    assert!(failure_result_of(panicking).check::<Panicked>());
    assert!(!waiting.is_fired());
    promise.callback(5);
    assert_eq!(waiting.now().unwrap().unwrap(), 5);
}

#[test]
fn a_call_that_is_cancelled_is_never_made_and_what_it_owns_is_dropped() {
    let ((drops, owned), clock) = (owned(), Clock::new());
    let later = defer_later(&clock, SECOND, move || drop(owned));
    later.cancel();
    assert_eq!((drops.get(), clock.get_delayed_calls().len()), (1, 0));
    assert!(failure_result_of(later).check::<CancelledError>());

    let dropped = Rc::new(Cell::new(false));
    let seen = dropped.clone();
    drop(defer_later(&clock, SECOND, move || seen.set(true)));
    clock.advance(SECOND);
    assert!(dropped.get(), "to drop the Deferred cancels nothing");
}

#[test]
fn a_clock_that_goes_takes_what_was_to_come_later_along() {
    let ((drops, owned), clock) = (owned(), Clock::new());
    let later = defer_later(&clock, SECOND, move || drop(owned));
    drop(clock);
    assert!(failure_result_of(later).check::<Abandoned>());
    assert_eq!(drops.get(), 1);
}

// ---- on a reactor

on_both!(loops_and_tasks_and_later_calls_run_on_a_reactor);
/// Everything at once: the reactor stops when each has had enough.
fn loops_and_tasks_and_later_calls_run_on_a_reactor(reactor: &Reactor) {
    let mut beats = 0;
    let heart = LoopingCall::with_handle(reactor, move |own| {
        beats += 1;
        if beats == 3 { own.stop().map_err(Failure::from) } else { Ok(()) }
    });
    let work =
        reactor.coiterate((0..1000).map(|n| if n % 100 == 0 { defer_now().into() } else { Step::Next }));
    let later = defer_later(reactor, MOMENT, || Ok(7));
    let all = defer::gather_results([heart.start(MOMENT, true), work, later.map(|n| assert_eq!(n, 7))]);
    let r = reactor.clone();
    let all = all.add_both(move |result| {
        r.stop()?;
        result
    });
    reactor.run().unwrap();
    all.now().unwrap().unwrap();
}

fn defer_now() -> Deferred<()> {
    defer_later(&Reactor::current(), Duration::ZERO, || ())
}

on_both!(at_the_end_of_a_run_loops_tasks_and_later_calls_end_unreported);
fn at_the_end_of_a_run_loops_tasks_and_later_calls_end_unreported(reactor: &Reactor) {
    let (reports, hook) = notes();
    let _hook = report::hook(move |report| hook(report.to_string()));
    let looping = LoopingCall::new(reactor, || ());
    let own = Cooperator::new(reactor);
    let ends = [
        looping.start(SECOND, false),
        reactor.coiterate(endless()),
        own.coiterate(endless()),
        defer_later(reactor, SECOND, || ()),
    ];
    let r = reactor.clone();
    reactor.call_later(MOMENT, move || r.stop().unwrap());
    reactor.run().unwrap();
    for end in ends {
        assert!(failure_result_of(end).check::<ReactorNotRunning>());
    }
    assert!(!looping.running());

    // In the next run all of them work again.
    let again =
        defer::gather_results([looping.start(MOMENT, false), own.coiterate([()]), reactor.coiterate([()])]);
    let (r, l) = (reactor.clone(), looping.clone());
    reactor.call_later(Duration::from_millis(2), move || {
        l.stop().unwrap();
        r.call_later(MOMENT, || Reactor::current().stop().unwrap());
    });
    reactor.run().unwrap();
    again.now().unwrap().unwrap();
    assert!(reports.borrow().is_empty(), "{reports:?}");
}

#[test]
fn to_await_a_later_call_of_a_reactor_that_nobody_turns_is_an_error() {
    let reactor = Reactor::new().unwrap();
    let later = defer_later(&reactor, SECOND, || Ok(1)).add_callback(|n| Ok(n + 1));
    let awaited = futures_lite::future::block_on(later);
    assert!(awaited.unwrap_err().check::<NotDriven>());
}

/// The reactor's own cooperator does not keep it from its end.
#[test]
fn a_reactor_that_never_ran_ends_its_tasks_with_its_last_handle() {
    let ((drops, owned), reactor) = (owned(), Reactor::new().unwrap());
    let done = reactor.coiterate(endless().map(move |()| {
        let _ = &owned;
    }));
    drop(reactor);
    assert!(failure_result_of(done).check::<ReactorNotRunning>());
    assert_eq!(drops.get(), 1);
}
