//! Signals on both drivers: who hears them, and when not. What they do to a process is in `tests/reactor/signals.rs`.
//!
//! The real ones are sent to the process of all these tests, so each test has signals of its own.

use futures_lite::StreamExt;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Reactor, Result,
    error::{CancelledError, Panicked, ReactorNotRunning},
    reactor::{Signal, SignalError, SignalHandler},
    report,
    testing::{self, Simulation, failure_result_of, on_both, success_result_of},
};

const LIMIT: Duration = Duration::from_secs(10);

/// A real-time signal, which nothing else in the process sends.
fn own(number: i32) -> Signal {
    Signal::from_raw(40 + number).expect("there is one")
}

type Told = Rc<RefCell<Vec<Signal>>>;

/// Hears a signal, and keeps what it was told.
fn note(reactor: &Reactor, signal: Signal, told: &Told) -> SignalHandler {
    let told = told.clone();
    reactor.on_signal(signal, move || told.borrow_mut().push(signal)).expect("it is heard")
}

/// Turns the reactor until what has come by now was told.
fn turn(reactor: &Reactor) {
    testing::run(reactor, LIMIT, twistor::task::defer_later(reactor, Duration::from_millis(1), || Ok(())))
        .expect("it runs");
}

fn a_callback_hears_until_its_handle_goes(reactor: &Reactor) {
    let (told, signal) = (Told::default(), own(0));
    let handler = note(reactor, signal, &told);
    assert_eq!(handler.signal(), signal);
    for _ in 0..2 {
        testing::raise(reactor, signal).expect("it is heard");
        turn(reactor);
    }
    assert_eq!(*told.borrow(), [signal, signal]);
    drop(handler);
    assert_eq!(testing::raise(reactor, signal), Err(SignalError::Unheard(signal)));
}
on_both!(a_callback_hears_until_its_handle_goes);

fn what_comes_before_the_loop_looks_is_one_of_each_kind_in_the_order_of_numbers(reactor: &Reactor) {
    let told = Told::default();
    let _handlers = [own(2), own(1)].map(|signal| note(reactor, signal, &told));
    for signal in [own(2), own(1), own(2), own(2)] {
        testing::raise(reactor, signal).expect("it is heard");
    }
    turn(reactor);
    assert_eq!(*told.borrow(), [own(1), own(2)]);
}
on_both!(what_comes_before_the_loop_looks_is_one_of_each_kind_in_the_order_of_numbers);

fn all_who_hear_it_are_told_in_the_order_in_which_they_asked(reactor: &Reactor) {
    let (told, signal) = (Rc::new(RefCell::new(vec![])), own(3));
    let hear = |number: u32| {
        let told = told.clone();
        reactor.on_signal(signal, move || told.borrow_mut().push(number)).expect("it is heard")
    };
    let (first, _second, _third) = (hear(1), hear(2), hear(3));
    testing::raise(reactor, signal).expect("it is heard");
    turn(reactor);
    drop(first);
    testing::raise(reactor, signal).expect("it is heard");
    turn(reactor);
    assert_eq!(*told.borrow(), [1, 2, 3, 2, 3]);
}
on_both!(all_who_hear_it_are_told_in_the_order_in_which_they_asked);

fn who_was_taken_off_by_another_one_is_not_told_and_one_that_came_then_is_told_next_time(reactor: &Reactor) {
    let (told, signal) = (Told::default(), own(4));
    let second: Rc<RefCell<Option<SignalHandler>>> = Rc::default();
    let third: Rc<RefCell<Option<SignalHandler>>> = Rc::default();
    let first = {
        let (second, third, told) = (second.clone(), third.clone(), told.clone());
        reactor.on_signal(signal, move || {
            drop(second.take());
            third.borrow_mut().get_or_insert_with(|| note(&Reactor::current(), own(4), &told));
        })
    };
    let _first = first.expect("it is heard");
    second.replace(Some(reactor.on_signal(signal, || panic!("it was taken off")).expect("it is heard")));
    testing::raise(reactor, signal).expect("it is heard");
    turn(reactor);
    assert_eq!(*told.borrow(), []);
    testing::raise(reactor, signal).expect("it is heard");
    turn(reactor);
    assert_eq!(*told.borrow(), [signal]);
}
on_both!(who_was_taken_off_by_another_one_is_not_told_and_one_that_came_then_is_told_next_time);

fn one_that_ends_its_own_handle_is_told_once(reactor: &Reactor) {
    let (own_handle, count) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let (handle, counted) = (own_handle.clone(), count.clone());
    let handler = reactor.on_signal(own(5), move || {
        counted.set(counted.get() + 1);
        drop(handle.take());
    });
    own_handle.replace(Some(handler.expect("it is heard")));
    testing::raise(reactor, own(5)).expect("it is heard");
    turn(reactor);
    assert_eq!(count.get(), 1);
    assert_eq!(testing::raise(reactor, own(5)), Err(SignalError::Unheard(own(5))));
}
on_both!(one_that_ends_its_own_handle_is_told_once);

fn a_panic_is_reported_and_keeps_nobody_from_being_told(reactor: &Reactor) {
    let panics = Rc::new(Cell::new(0));
    let count = panics.clone();
    let _hook = report::hook(move |report| {
        assert!(report.failure.check::<Panicked>());
        count.set(count.get() + 1);
    });
    let told = Told::default();
    let _panics = reactor.on_signal(own(6), || panic!("planned")).expect("it is heard");
    let _after = note(reactor, own(6), &told);
    for times in 1..=2 {
        testing::raise(reactor, own(6)).expect("it is heard");
        turn(reactor);
        assert_eq!((panics.get(), told.borrow().len()), (times, times));
    }
}
on_both!(a_panic_is_reported_and_keeps_nobody_from_being_told);

fn a_stream_has_each_kind_once_and_ends_with_the_run(reactor: &Reactor) -> Result<()> {
    let mut signals = reactor.signals(&[own(7), own(8)])?;
    for signal in [own(8), own(7), own(8)] {
        testing::raise(reactor, signal)?;
        turn(reactor);
    }
    let all = Told::default();
    let told = all.clone();
    reactor
        .spawn(async move {
            // Taken off here: the program goes on to the end of the run.
            for _ in 0..2 {
                let signal = signals.next().await.expect("it runs");
                told.borrow_mut().push(signal);
            }
            Reactor::current().add_system_event_trigger(
                twistor::reactor::Phase::After,
                "shutdown",
                move || {
                    let end = futures_lite::future::block_on(signals.next());
                    assert_eq!(end, None);
                },
            );
            Reactor::current().stop()?;
            Ok(())
        })
        .or_log("the program");
    reactor.run_without_signal_handlers()?;
    assert_eq!(*all.borrow(), [own(8), own(7)]);
    assert_eq!(testing::raise(reactor, own(8)), Err(SignalError::Unheard(own(8))));
    Ok(())
}
on_both!(a_stream_has_each_kind_once_and_ends_with_the_run);

fn a_deferred_fires_with_the_next_one(reactor: &Reactor) -> Result<()> {
    let next = reactor.next_signal(own(9));
    testing::raise(reactor, own(9))?;
    assert!(!next.is_fired());
    turn(reactor);
    assert_eq!(success_result_of(next), own(9));
    assert_eq!(testing::raise(reactor, own(9)), Err(SignalError::Unheard(own(9))));
    Ok(())
}
on_both!(a_deferred_fires_with_the_next_one);

fn a_deferred_that_is_cancelled_hears_no_more(reactor: &Reactor) {
    let next = reactor.next_signal(own(10));
    next.cancel();
    assert!(failure_result_of(next).check::<CancelledError>());
    assert_eq!(testing::raise(reactor, own(10)), Err(SignalError::Unheard(own(10))));
}
on_both!(a_deferred_that_is_cancelled_hears_no_more);

fn nobody_hears_anything_after_the_end_of_the_run(reactor: &Reactor) -> Result<()> {
    let held = Rc::new(());
    let (told, next) = (held.clone(), reactor.next_signal(own(11)));
    let _handler = reactor.on_signal(own(11), move || drop(told.clone()))?;
    reactor.call_when_running(|| Reactor::current().stop().expect("it runs"));
    reactor.run_without_signal_handlers()?;
    assert!(failure_result_of(next).check::<ReactorNotRunning>());
    assert_eq!(Rc::strong_count(&held), 1, "what it held is let go");
    assert_eq!(testing::raise(reactor, own(11)), Err(SignalError::Unheard(own(11))));
    // The next run can.
    let told = Told::default();
    let _handler = note(reactor, own(11), &told);
    testing::raise(reactor, own(11))?;
    turn(reactor);
    assert_eq!(*told.borrow(), [own(11)]);
    Ok(())
}
on_both!(nobody_hears_anything_after_the_end_of_the_run);

fn what_no_program_can_hear_is_refused(reactor: &Reactor) {
    for number in [4, 7, 8, 9, 11, 19] {
        let signal = Signal::from_raw(number).expect("there is one");
        let refused = reactor.on_signal(signal, || {}).expect_err("it is refused");
        assert_eq!(refused, SignalError::Forbidden(signal));
        let refused = failure_result_of(reactor.next_signal(signal));
        assert_eq!(refused.value::<SignalError>(), Some(&SignalError::Forbidden(signal)));
        assert!(reactor.signals(&[own(12), signal]).is_err());
    }
    assert_eq!(
        testing::raise(reactor, own(12)),
        Err(SignalError::Unheard(own(12))),
        "the first one of each list"
    );
}
on_both!(what_no_program_can_hear_is_refused);

#[test]
fn what_the_system_keeps_for_itself_is_its_refusal() {
    let reactor = Reactor::new().expect("a reactor");
    // The C library has the first two real-time signals for its threads.
    let signal = Signal::from_raw(32).expect("there is one");
    let refused = reactor.on_signal(signal, || {}).expect_err("it is refused");
    assert!(matches!(refused, SignalError::System { .. }), "{refused}");
    assert_eq!(refused.to_string(), "the system does not let this process hear signal 32");
}

#[test]
fn names_and_numbers() {
    for (text, signal) in
        [("HUP", Signal::HUP), ("SIGWINCH", Signal::WINCH), ("15", Signal::TERM), ("40", own(0))]
    {
        assert_eq!(text.parse(), Ok(signal));
    }
    for text in ["", "hup", "SIG", "SIGSIGHUP", "0", "65", "-1", "KILLS"] {
        assert_eq!(text.parse::<Signal>(), Err(SignalError::Unknown(text.into())));
    }
    assert_eq!((own(0).to_string(), Signal::CHLD.to_string()), ("signal 40".into(), "SIGCHLD".into()));
    assert_eq!((Signal::from_raw(0), Signal::from_raw(65)), (None, None));
}

/// Each reactor of a world is a program's, in one process.
#[test]
fn all_reactors_of_a_process_hear_it() {
    let sim = Simulation::new();
    let told = Told::default();
    let reactors = [sim.reactor(), sim.reactor(), sim.reactor()];
    let _handlers = [note(&reactors[0], Signal::HUP, &told), note(&reactors[2], Signal::HUP, &told)];
    testing::raise(&reactors[1], Signal::HUP).expect("others hear it");
    sim.pump();
    assert_eq!(*told.borrow(), [Signal::HUP, Signal::HUP]);
}

/// While the program hears SIGINT itself, it is not what stops the run; afterwards it is again.
#[test]
fn to_hear_what_stops_a_run_replaces_the_stop() {
    let reactor = Simulation::new().reactor();
    let told = Told::default();
    let handler = note(&reactor, Signal::INT, &told);
    reactor.call_when_running(move || {
        let reactor = Reactor::current();
        for _ in 0..3 {
            testing::raise(&reactor, Signal::INT).expect("it is heard");
        }
        reactor.call_later(Duration::from_secs(1), move || {
            assert!(Reactor::current().running());
            drop(handler);
            testing::raise(&Reactor::current(), Signal::INT).expect("it stops the run");
        });
    });
    reactor.run().expect("it ends");
    assert_eq!((told.borrow().len(), reactor.now()), (1, Duration::from_secs(1)));
}
