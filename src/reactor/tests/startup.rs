//! Start-up, in Twisted's order.

use super::*;
use crate::{
    defer::Deferred,
    error::{ReactorAlreadyRunning, ReactorNotRunning},
    reactor::Phase,
};

/// Notes its name and whether the reactor says that it runs.
fn note_running(log: &Log, what: &'static str) -> impl FnOnce() + 'static {
    let log = log.clone();
    move || log.add(format!("{what} {}", Reactor::current().running()))
}

#[test]
fn the_phases_and_when_it_says_that_it_runs() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    reactor.call_when_running(note_running(log, "when running"));
    for (phase, what) in [
        (Phase::After, "after"),
        (Phase::During, "during"),
        (Phase::Before, "before 1"),
        (Phase::Before, "before 2"),
    ] {
        reactor.add_system_event_trigger(phase, "startup", note_running(log, what));
    }
    world.later(0, note_running(log, "timer"));
    world.stop_after(0);
    assert!(!reactor.running());
    world.run();
    assert!(!reactor.running());
    let order =
        ["before 1 false", "before 2 false", "during true", "when running true", "after true", "timer true"];
    assert_eq!(log.take(), order);
}

/// Twisted's test_runWithAsynchronousBeforeStartupTrigger.
#[test]
fn a_deferred_of_a_before_trigger_is_waited_for_while_timers_and_sockets_work() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, world.log.clone());
    let (deferred, promise) = Deferred::<()>::pending();
    reactor.add_system_event_trigger(Phase::Before, "startup", move || deferred);
    reactor.call_when_running(note_running(&log, "when running"));
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    peer.send(b"x");
    let timer = note_running(&log, "timer");
    world.later(3, move || {
        timer();
        promise.callback(());
    });
    world.stop_after(4);
    world.run();
    let order = ["made", "data x", "timer false", "when running true"];
    assert_eq!(log.take()[..4], order);
}

#[test]
fn call_when_running_calls_at_once_when_it_runs() {
    let world = World::new();
    let log = world.log.clone();
    world.later(0, move || {
        let reactor = Reactor::current();
        reactor.call_when_running(log.note("now"));
        log.add("after the call");
        reactor.stop().unwrap();
    });
    world.run();
    assert_eq!(world.log.take(), ["now", "after the call"]);
}

#[test]
fn a_trigger_that_fails_or_panics_stops_nothing() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    for phase in [Phase::Before, Phase::During, Phase::After] {
        reactor.add_system_event_trigger(phase, "startup", || panic!("a panic"));
        reactor.add_system_event_trigger(phase, "startup", || Err::<(), _>(Failure::msg("a failure")));
        reactor.add_system_event_trigger(phase, "startup", note_running(log, "the next"));
    }
    world.stop_after(0);
    world.run();
    assert_eq!(log.take(), ["the next false", "the next true", "the next true"]);
    let reports = world.reports.take();
    assert_eq!(reports.len(), 6);
    assert_eq!(reports.iter().filter(|report| report.contains("a panic")).count(), 3);
}

#[test]
fn a_trigger_may_take_back_one_that_is_still_to_come() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, world.log.clone());
    let ids: Rc<Cell<Vec<_>>> = Rc::default();
    let take_back = ids.clone();
    reactor.add_system_event_trigger(Phase::Before, "startup", move || {
        for id in take_back.take() {
            log.add(Reactor::current().remove_system_event_trigger(id).to_string());
        }
    });
    let log = &world.log;
    let before = reactor.add_system_event_trigger(Phase::Before, "startup", log.note("before"));
    let after = reactor.add_system_event_trigger(Phase::After, "startup", log.note("after"));
    ids.set(vec![before, after, after]);
    world.stop_after(0);
    world.run();
    assert_eq!(log.take(), ["true", "true", "false"]);
}

/// The run is one all the same: what waits for it is called, then it stops in order.
#[test]
fn a_stop_inside_a_startup_trigger() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    reactor.add_system_event_trigger(Phase::Before, "startup", || Reactor::current().stop().unwrap());
    reactor.call_when_running(note_running(log, "when running"));
    reactor.add_system_event_trigger(Phase::Before, "shutdown", note_running(log, "shutdown"));
    world.run();
    assert_eq!(log.take(), ["when running true", "shutdown true"]);
}

#[test]
fn what_is_out_of_place_is_a_named_error() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, world.log.clone());
    assert_eq!(reactor.stop(), Err(ReactorNotRunning::default()));
    assert_eq!(reactor.crash(), Err(ReactorNotRunning::default()));
    let in_a_turn = move || {
        let reactor = Reactor::current();
        let errors = [
            reactor.run().unwrap_err(),
            reactor.run_without_signal_handlers().unwrap_err(),
            reactor.iterate(Duration::ZERO).unwrap_err(),
            futures_lite::future::block_on(reactor.drive()).unwrap_err(),
        ];
        assert!(errors.iter().all(Failure::check::<ReactorAlreadyRunning>));
        log.add("refused");
    };
    reactor.add_system_event_trigger(Phase::Before, "startup", in_a_turn.clone());
    reactor.add_system_event_trigger(Phase::After, "shutdown", in_a_turn.clone());
    let again = in_a_turn.clone();
    world.later(0, move || {
        again();
        let reactor = Reactor::current();
        reactor.stop().unwrap();
        assert_eq!(reactor.stop(), Err(ReactorNotRunning::default()));
    });
    world.run();
    world.later(0, in_a_turn);
    reactor.iterate(Duration::ZERO).unwrap();
    assert_eq!(world.log.take(), ["refused"; 4]);
    assert!(world.reports.take().is_empty());
}
