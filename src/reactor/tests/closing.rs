//! The end of a run, and of a reactor: nothing is left open, and who waits is told.

use super::*;
use crate::{ClientFactory, Connector, defer::Deferred, error::ReactorNotRunning, protocol::Factory};
use futures_lite::future::{block_on, pending, zip};
use std::{net::SocketAddr, thread};

/// Does something when it is dropped.
struct AtDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> AtDrop<F> {
    fn new(f: F) -> AtDrop<F> {
        AtDrop(Some(f))
    }
}

impl<F: FnOnce()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

#[test]
fn everything_is_closed_and_what_waits_is_told_but_not_reported() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    let call = reactor.call_later(secs(9), || ());
    let task = reactor.spawn(pending::<crate::Result<()>>());
    let (of_timer, promise) = Deferred::<()>::pending();
    reactor.call_later(secs(9), move || {
        promise.callback(());
    });
    // Nobody looks at this one.
    reactor.spawn(pending::<crate::Result<()>>()).or_log("test");
    world.stop_after(1);
    world.run();
    assert_eq!(log.take(), ["made", "lost: connection to the other side was lost"]);
    assert_eq!(peer.received(), "end");
    assert!(port.get_host().is_err());
    assert!(!call.active() && reactor.get_delayed_calls().is_empty());
    for pending in [task, of_timer] {
        assert!(pending.now().unwrap().unwrap_err().check::<ReactorNotRunning>());
    }
    assert_eq!(world.sim.sockets(), 1); // the peer's
    assert!(world.reports.take().is_empty());
}

#[test]
fn what_closing_makes_is_closed_too() {
    let world = World::new();
    let (reactor, log) = (&world.reactor, &world.log);
    let dropped = log.note("dropped");
    let last = AtDrop::new(dropped);
    let guard = AtDrop::new(move || {
        let task = async move {
            let _last = last;
            pending().await
        };
        let spawn = AtDrop::new(move || Reactor::current().spawn::<()>(task).or_log("test"));
        Reactor::current().call_later(secs(1), move || drop(spawn));
    });
    reactor
        .spawn::<()>(async move {
            let _guard = guard;
            pending().await
        })
        .or_log("test");
    world.stop_after(1);
    world.run();
    assert_eq!(log.take(), ["dropped"]);
}

/// Connects again whenever it is told of an end.
struct Stubborn(Log);

impl Factory for Stubborn {
    type Protocol = Noting;
    fn build_protocol(&self, _peer: &crate::Address) -> Option<Noting> {
        Some(Noting(self.0.clone()))
    }
    fn stop_factory(&self) {
        self.0.add("stop_factory");
    }
}

impl ClientFactory for Stubborn {
    fn client_connection_failed(&self, connector: &Connector, _why: Failure) {
        connector.connect().unwrap();
    }
    fn client_connection_lost(&self, connector: &Connector, _why: Failure) {
        self.0.add("again");
        connector.connect().unwrap();
    }
}

#[test]
fn a_client_that_connects_again_does_not_do_so_at_the_end() {
    struct Silent;
    impl Protocol for Silent {}
    let world = World::new();
    let port = world.serve(|| Silent);
    let to = port.get_host().unwrap().as_inet().unwrap();
    world.reactor.connect_tcp(to, Stubborn(world.log.clone()));
    world.stop_after(1);
    world.run();
    let order = ["made", "lost: connection to the other side was lost", "again", "stop_factory"];
    assert_eq!(world.log.take(), order);
    assert_eq!(world.sim.sockets(), 0);
}

/// Open ports, connections, timers and tasks do not hold a reactor that has never run.
#[test]
fn a_reactor_that_never_ran_closes_with_its_last_handle() {
    let world = busy_world();
    let core = world.core();
    let World { reactor, sim, ends: _ends, log, reports, _hook } = world;
    let another = reactor.clone();
    drop(reactor);
    assert!(sim.sockets() > 1);
    drop(another);
    assert_eq!(log.take(), ["made", "lost: connection to the other side was lost"]);
    assert_eq!((sim.sockets(), core.strong_count()), (1, 0));
    assert!(reports.take().is_empty());
}

#[test]
fn a_reactor_that_crashed_closes_with_its_last_handle() {
    let world = busy_world();
    world.later(0, || Reactor::current().crash().unwrap());
    world.run();
    let core = world.core();
    let World { reactor, sim, ends: _ends, log, .. } = world;
    assert!(sim.sockets() > 1);
    drop(reactor);
    assert_eq!(log.take().len(), 2);
    assert_eq!((sim.sockets(), core.strong_count()), (1, 0));
}

/// A world with a port, a connection, a timer and a task, none of which holds a handle.
fn busy_world() -> World {
    let world = World::new();
    let noting = world.log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    world.connect(&port);
    world.settle();
    world.later(9, || ());
    world.reactor.spawn(pending::<crate::Result<()>>()).or_log("test");
    world
}

#[test]
fn to_drop_the_last_handle_in_a_callback_of_the_end_is_no_second_end() {
    let world = World::new();
    let end = AtDrop::new(|| drop(Reactor::current()));
    world.later(9, move || drop(end));
    let core = world.core();
    let World { reactor, sim: _sim, .. } = world;
    drop(reactor);
    assert_eq!(core.strong_count(), 0);
}

#[test]
fn a_guest_drops_its_tasks_at_the_end_and_not_with_the_future() {
    let world = World::new();
    let dropped = AtDrop::new(world.log.note("dropped"));
    let task = world.reactor.spawn::<()>(async move {
        let _dropped = dropped;
        pending().await
    });
    world.stop_after(1);
    let drive = &mut world.reactor.drive();
    block_on(drive).unwrap();
    assert_eq!(world.log.take(), ["dropped"]);
    assert!(task.now().unwrap().unwrap_err().check::<ReactorNotRunning>());
}

#[test]
fn a_guest_that_is_dropped_crashes() {
    let world = World::new();
    world.later(0, world.log.note("first"));
    let mut drive = world.reactor.drive();
    // Until it sleeps for ever.
    assert!(block_on(futures_lite::future::poll_once(&mut drive)).is_none());
    assert!(world.reactor.running());
    world.later(1, world.log.note("second"));
    drop(drive);
    assert!(!world.reactor.running());
    world.stop_after(1);
    block_on(world.reactor.drive()).unwrap();
    assert_eq!(world.log.take(), ["first", "second"]);
}

/// The future is a handle too.
#[test]
fn a_guest_without_another_handle() {
    let world = World::new();
    let log = world.log.clone();
    world.later(1, move || {
        log.add("timer");
        Reactor::current().stop().unwrap();
    });
    let core = world.core();
    let World { reactor, sim: _sim, log, .. } = world;
    let drive = reactor.drive();
    drop(reactor);
    block_on(drive).unwrap();
    assert_eq!(log.take(), ["timer"]);
    assert_eq!(core.strong_count(), 0);
}

#[test]
fn who_awaits_what_only_the_loop_fires_is_told_when_nobody_turns_it() {
    let world = World::new();
    let reactor = &world.reactor;
    let failure = block_on(reactor.spawn(async { Ok(()) })).unwrap_err();
    assert!(failure.check::<crate::error::NotDriven>());
    let text = failure.message();
    assert!(text.contains("reactor.run()") && text.contains("reactor.drive()"), "{text}");

    // Beside the guest it can be awaited, before the first poll too, and as long as one of two is there.
    let other = reactor.drive();
    let value = reactor.spawn(async {
        Reactor::current().stop()?;
        Ok(7)
    });
    drop(reactor.drive());
    let (value, ended) = block_on(zip(value, other));
    ended.unwrap();
    assert_eq!(value.unwrap(), 7);
    let iterated = reactor.spawn(async { Reactor::current().spawn(async { Ok(8) }).await });
    world.settle();
    assert_eq!(iterated.now().unwrap().unwrap(), 8);
}

#[test]
fn one_after_another_and_side_by_side() {
    let rounds = || {
        for _ in 0..100 {
            let world = busy_world();
            let peer_of: SocketAddr = ([127, 0, 0, 1], 32_768).into();
            world.reactor.connect_tcp(peer_of, Stubborn(Log::default()));
            world.stop_after(1);
            world.run();
            let core = world.core();
            let World { reactor, sim, ends: _ends, .. } = world;
            drop(reactor);
            assert_eq!((sim.sockets(), core.strong_count()), (1, 0));
        }
    };
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(rounds)).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// One reactor may run in a callback of another.
#[test]
fn one_inside_another() {
    let (outer, inner) = (World::new(), World::new());
    let log = outer.log.clone();
    let (outside, within) = (outer.reactor.clone(), inner.reactor.clone());
    inner.later(1, {
        let (log, within, outside) = (log.clone(), within.clone(), outside.clone());
        move || {
            log.add("inner");
            assert!(Rc::ptr_eq(&Reactor::current().core, &within.core));
            outside.call_later(secs(1), log.note("outer again"));
            within.stop().unwrap();
        }
    });
    outer.later(1, move || {
        log.add("outer");
        within.run_without_signal_handlers().unwrap();
        assert!(Rc::ptr_eq(&Reactor::current().core, &outside.core));
        log.add("back");
    });
    outer.stop_after(3);
    outer.run();
    assert_eq!(outer.log.take(), ["outer", "inner", "back", "outer again"]);
}
