//! Shutdown, in Twisted's order; crash; and again.

use super::*;
use crate::{defer::Deferred, error::ReactorNotRunning, reactor::Phase};

/// `stop` only asks: the timers of the same pass are made, then "shutdown" is fired, then sockets have their turn.
#[test]
fn a_stop_lets_the_pass_finish() {
    let world = World::new();
    let log = &world.log;
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    world.settle();
    log.take();
    peer.send(b"never read");
    let stop = log.note("stop");
    world.later(0, move || {
        stop();
        Reactor::current().stop().unwrap();
    });
    world.later(0, log.note("timer of the same pass"));
    world.later(1, log.note("timer that is not due"));
    world.run();
    let order = ["stop", "timer of the same pass", "lost: connection to the other side was lost"];
    assert_eq!(log.take(), order);
    // As the kernel tells who has sent what was never read.
    assert_eq!(peer.received(), "ConnectionReset");
}

#[test]
fn the_phases_the_connections_between_them_and_when_it_says_that_it_runs() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let _peer = world.connect(&port);
    for (phase, what) in [
        (Phase::After, "after"),
        (Phase::During, "during"),
        (Phase::Before, "before 1"),
        (Phase::Before, "before 2"),
    ] {
        let log = log.clone();
        reactor.add_system_event_trigger(phase, "shutdown", move || {
            log.add(format!("{what} {}", Reactor::current().running()));
        });
    }
    world.stop_after(1);
    world.run();
    let order = [
        "made",
        "before 1 true",
        "before 2 true",
        "lost: connection to the other side was lost",
        "during false",
        "after false",
    ];
    assert_eq!(log.take(), order);
}

/// Twisted's test_shutdownFiresTriggersAsynchronously.
#[test]
fn a_deferred_of_a_before_trigger_is_waited_for_while_everything_works() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let noting = log.clone();
    let port = Rc::new(world.serve(move || Noting(noting.clone())));
    let (deferred, promise) = Deferred::<()>::pending();
    reactor.add_system_event_trigger(Phase::Before, "shutdown", move || deferred);
    reactor.add_system_event_trigger(Phase::During, "shutdown", log.note("during"));
    world.stop_after(1);
    let end = Rc::new(Cell::default());
    let (sim, keep) = (world.sim.clone(), end.clone());
    let to = port.get_host().unwrap().as_inet().unwrap();
    world.later(2, move || keep.set(sim.connect(to).ok()));
    let task = log.note("task");
    world.later(3, || {
        Reactor::current()
            .spawn(async {
                task();
                Ok(())
            })
            .or_log("test")
    });
    let fire = log.note("fire");
    world.later(4, move || {
        assert!(Reactor::current().running());
        assert_eq!(Reactor::current().stop(), Err(ReactorNotRunning::default()));
        fire();
        promise.callback(());
    });
    world.run();
    let order = ["made", "task", "fire", "lost: connection to the other side was lost", "during"];
    assert_eq!(log.take(), order);
}

#[test]
fn a_before_trigger_that_fails_counts_as_done() {
    let world = World::new();
    let (deferred, promise) = Deferred::<()>::pending();
    world.reactor.add_system_event_trigger(Phase::Before, "shutdown", move || deferred);
    world.reactor.add_system_event_trigger(Phase::After, "shutdown", world.log.note("after"));
    world.stop_after(1);
    world.later(2, move || {
        promise.errback(Failure::msg("not saved"));
    });
    world.run();
    assert_eq!(world.log.take(), ["after"]);
    assert_eq!(world.reports.take().len(), 1);
}

#[test]
fn it_runs_again_after_a_stop() {
    let world = World::new();
    for _ in 0..3 {
        world.reactor.call_when_running(world.log.note("running"));
        world.later(1, world.log.note("timer"));
        world.stop_after(1);
        world.run();
    }
    assert_eq!(world.log.take(), ["running", "timer"].repeat(3));
}

#[test]
fn a_crash_closes_nothing_and_the_next_run_goes_on() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    reactor.add_system_event_trigger(Phase::Before, "shutdown", log.note("shutdown"));
    world.later(1, || Reactor::current().crash().unwrap());
    world.later(2, log.note("timer"));
    let (deferred, promise) = Deferred::<()>::pending();
    world.later(3, move || {
        promise.callback(());
    });
    let task = log.note("task");
    reactor
        .spawn(async move {
            deferred.await?;
            task();
            Ok(())
        })
        .or_log("test");
    world.run();
    assert!(!reactor.running());
    assert_eq!(log.take(), ["made"]);

    // Also for other threads: the call is for the next run.
    let call = log.note("call");
    reactor.remote().call_from_thread(move |_| call()).unwrap();
    peer.send(b"x");
    world.stop_after(4);
    world.run();
    let order =
        ["call", "data x", "timer", "task", "shutdown", "lost: connection to the other side was lost"];
    assert_eq!(log.take(), order);
}

/// What a crashed run was waiting for is not taken for what the next one waits for.
#[test]
fn an_event_of_a_crashed_run_does_not_end_the_next() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let (deferred, promise) = Deferred::<()>::pending();
    reactor.add_system_event_trigger(Phase::Before, "shutdown", move || deferred);
    world.stop_after(1);
    world.later(2, || Reactor::current().crash().unwrap());
    world.run();

    let (deferred, second) = Deferred::<()>::pending();
    reactor.add_system_event_trigger(Phase::Before, "shutdown", move || deferred);
    reactor.add_system_event_trigger(Phase::After, "shutdown", log.note("after"));
    world.stop_after(1);
    let late = log.note("late");
    world.later(2, move || {
        promise.callback(());
        late();
    });
    world.later(3, move || {
        second.callback(());
    });
    world.run();
    assert_eq!(log.take(), ["late", "after"]);
}

#[test]
fn a_crash_while_shutdown_waits_leaves_at_once() {
    let world = World::new();
    let (deferred, _promise) = Deferred::<()>::pending();
    world.reactor.add_system_event_trigger(Phase::Before, "shutdown", move || deferred);
    world.reactor.add_system_event_trigger(Phase::After, "shutdown", world.log.note("after"));
    world.stop_after(1);
    world.later(2, || Reactor::current().crash().unwrap());
    world.run();
    assert!(world.log.take().is_empty());
}

#[test]
fn an_event_of_the_program_s_own() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let (deferred, promise) = Deferred::<()>::pending();
    reactor.add_system_event_trigger(Phase::After, "reload", log.note("after"));
    reactor.add_system_event_trigger(Phase::Before, "reload", move || deferred);
    reactor.fire_system_event("reload");
    assert!(log.take().is_empty());
    promise.callback(());
    assert_eq!(log.take(), ["after"]);
    reactor.fire_system_event("reload");
    assert!(log.take().is_empty());
}
