//! Who is turned when, and how time goes on.

use super::*;
use crate::error::{ReactorAlreadyRunning, SimulationError};
use futures_lite::future::{block_on, zip};
use std::thread;

#[test]
fn reactors_share_the_clock_and_are_turned_in_their_order() {
    let sim = Simulation::new();
    let reactors = [sim.reactor(), sim.reactor()];
    let log = Log::default();
    for (at, number) in [(2, 0), (1, 1), (2, 1), (1, 0)] {
        let log = log.clone();
        reactors[number].call_later(secs(at), move || {
            log.add(format!("{number} at {:?}", Reactor::current().now()));
        });
    }
    sim.advance(secs(1));
    assert_eq!(log.take(), ["0 at 1s", "1 at 1s"]);
    sim.advance(secs(10));
    assert_eq!(log.take(), ["0 at 2s", "1 at 2s"]);
    assert_eq!(sim.now(), secs(11));
}

#[test]
fn a_call_of_a_call_is_made_at_its_time_within_an_advance() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let log = Log::default();
    let second = log.clone();
    reactor.call_later(secs(1), move || {
        Reactor::current().call_later(secs(1), move || second.add(format!("{:?}", Reactor::current().now())));
    });
    sim.advance(secs(3));
    assert_eq!(log.take(), ["2s"]);
}

/// What the simulation runs is as in a run: it has been started up, and can be stopped.
#[test]
fn a_reactor_that_is_pumped_runs() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let log = Log::default();
    reactor.call_when_running(log.note("running"));
    assert!(!reactor.running());
    sim.pump();
    assert!(reactor.running());
    assert!(reactor.run().unwrap_err().check::<ReactorAlreadyRunning>());
    reactor.stop().unwrap();
    sim.pump();
    assert!(!reactor.running());
    assert_eq!(log.take(), ["running"]);
    // It may be run again, and the simulation leaves it alone.
    reactor.call_later(secs(1), || Reactor::current().stop().unwrap());
    sim.advance(secs(2));
    assert_eq!(reactor.get_delayed_calls().len(), 1);
    reactor.run().unwrap();
}

#[test]
fn a_reactor_that_sleeps_in_its_run_has_those_that_are_pumped_go_on() {
    let sim = Simulation::new();
    let server = sim.reactor();
    echo(&server);
    sim.pump();
    let client = sim.reactor();
    let peer = sim.connect(local(7)).unwrap();
    let log = Log::default();
    peer.send("x").unwrap();
    client.call_later(secs(1), {
        let log = log.clone();
        move || {
            log.add(String::from_utf8(peer.received()).unwrap());
            Reactor::current().stop().unwrap();
        }
    });
    client.run().unwrap();
    assert_eq!(log.take(), ["x"]);
}

#[test]
fn a_sleep_that_nothing_ends_is_an_error_that_says_what_waits() {
    let sim = Simulation::new();
    let (one, other) = (sim.reactor(), sim.reactor());
    echo(&one);
    let _peer = sim.connect(local(7)).unwrap();
    other.listen_udp(("127.0.0.1", 9), Deaf).unwrap();
    sim.pump();
    let (never, _promise) = Deferred::<()>::pending();
    let failure = sim.wait_for(never).unwrap_err();
    let text = failure.message();
    for part in
        ["reactor 0: a port that listens at 127.0.0.1:7", "a connection from 127.0.0.1:7 to 127.0.0.1:32768"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains("reactor 1: a UDP port at 127.0.0.1:9") && text.contains("at 0ns"), "{text}");

    // In a run, as the error of the run; of that reactor alone, for nobody turns the others.
    let sim = Simulation::new();
    let reactor = sim.reactor();
    echo(&reactor);
    let failure = reactor.run().unwrap_err();
    assert!(
        matches!(failure.value(), Some(SimulationError::SleepsForEver { pending, .. }) if pending.len() == 1)
    );
    let failure = reactor.iterate(Duration::MAX).unwrap_err();
    assert!(failure.check::<SimulationError>(), "{failure}");
}

struct Deaf;

impl crate::DatagramProtocol for Deaf {
    fn datagram_received(
        &mut self,
        _cx: &crate::DatagramContext<Self>,
        _data: &[u8],
        _from: &crate::Address,
    ) {
    }
}

/// Sends a byte for each byte, so that two of them never come to an end.
#[test]
fn what_never_sleeps_is_an_error() {
    fn again() {
        Reactor::current().call_later(Duration::ZERO, again);
    }
    let sim = Simulation::new();
    let reactor = sim.reactor();
    reactor.call_later(secs(1), again);
    let failure = reactor.run().unwrap_err();
    assert!(matches!(failure.value(), Some(SimulationError::NeverSleeps { .. })), "{failure}");
    assert!(failure.message().contains("at 1s of the simulation"), "{}", failure.message());
}

#[test]
fn a_thread_that_may_still_call_is_waited_for_and_not_for_ever() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let remote = reactor.remote();
    let thread = thread::spawn(move || {
        remote.blocking_call_from_thread(|_| Ok(())).unwrap();
        remote.call_from_thread(|reactor| reactor.stop().unwrap()).unwrap();
    });
    reactor.run().unwrap();
    thread.join().unwrap();

    let _remote = reactor.remote();
    sim.patience(Duration::from_millis(1));
    assert!(reactor.run().unwrap_err().check::<SimulationError>());
}

/// A ring that nobody answers is no reason to look again and again.
#[test]
fn a_reactor_that_nobody_runs_may_be_rung() {
    let sim = Simulation::new();
    let (one, other) = (sim.reactor(), sim.reactor());
    let _remote = one.remote();
    other.call_later(secs(1), || ()); // rings
    sim.patience(Duration::ZERO);
    let failure = one.run().unwrap_err();
    assert!(matches!(failure.value(), Some(SimulationError::SleepsForEver { .. })), "{failure}");
}

#[test]
fn of_many_that_wait_some_are_named() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    for port in 100..130 {
        reactor.listen_tcp(("127.0.0.1", port), factory(|_| Echo)).unwrap();
    }
    let failure = reactor.run().unwrap_err();
    assert!(failure.message().contains("127.0.0.1:119; and 10 more"), "{}", failure.message());
}

/// The foreign future's own clock is the system's.
#[test]
fn a_future_of_another_package_is_waited_for_while_nothing_is_due() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let foreign = async {
        async_io::Timer::after(Duration::from_millis(2)).await;
        Ok("foreign")
    };
    assert_eq!(sim.wait_for(reactor.spawn(foreign)).unwrap(), "foreign");
    assert_eq!(sim.now(), Duration::ZERO);
}

/// The wake of a task comes from outside of any reactor.
#[test]
fn a_task_that_the_test_wakes_goes_on_with_the_next_pump() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let (deferred, promise) = Deferred::pending();
    let task = reactor.spawn(async move { Ok(deferred.await? + 1) });
    sim.pump();
    promise.callback(1);
    assert_eq!(sim.wait_for(task).unwrap(), 2);
}

#[test]
fn as_a_guest_its_clock_jumps_too() {
    let sim = Simulation::new();
    let other = sim.reactor();
    sim.pump();
    let reactor = sim.reactor();
    reactor.call_later(secs(5), || Reactor::current().stop().unwrap());
    let log = Log::default();
    other.call_later(secs(3), log.note("the other"));
    let (ended, answer) = block_on(zip(reactor.drive(), reactor.spawn(async { Ok(42) })));
    ended.unwrap();
    assert_eq!((sim.now(), answer.unwrap(), log.take()), (secs(5), 42, vec!["the other".to_string()]));
}

/// Once time passed the second one's timer, which was made at ten seconds.
#[test]
fn of_two_guests_each_has_its_timers_made_at_their_time() {
    let sim = Simulation::new();
    let guests = [sim.reactor(), sim.reactor()];
    let log = Log::default();
    for (guest, times) in guests.iter().zip([&[10, 11][..], &[1, 2, 12]]) {
        for (n, at) in times.iter().copied().enumerate() {
            let (log, last) = (log.clone(), n + 1 == times.len());
            guest.call_later(secs(at), move || {
                log.add(format!("{at} at {:?}", Reactor::current().now()));
                if last {
                    Reactor::current().stop().unwrap();
                }
            });
        }
    }
    let (one, other) = block_on(zip(guests[0].drive(), guests[1].drive()));
    one.and(other).unwrap();
    assert_eq!(log.take(), ["1 at 1s", "2 at 2s", "10 at 10s", "11 at 11s", "12 at 12s"]);
}

/// One that has no timer sleeps until the other one sends it something, and answers before time goes on.
#[test]
fn a_guest_answers_another_before_time_goes_on() {
    let sim = Simulation::new();
    let (server, client) = (sim.reactor(), sim.reactor());
    let _port = echo(&server);
    let log = Log::default();
    let peer = sim.connect(local(7)).unwrap();
    let peer = Rc::new(peer);
    let sends = peer.clone();
    client.call_later(secs(1), move || assert_eq!(sends.send("x").unwrap(), 1));
    client.call_later(secs(5), || Reactor::current().stop().unwrap());
    server.call_later(secs(9), || Reactor::current().stop().unwrap());
    let heard = log.clone();
    client.call_later(secs(3), move || heard.add(String::from_utf8(peer.received()).unwrap()));
    let (one, other) = block_on(zip(client.drive(), server.drive()));
    one.and(other).unwrap();
    let trace = sim.trace().to_string();
    assert!(trace.contains("1.000000000 reactor 0 #2 send: 1 of 1\n"), "{trace}");
    assert_eq!(log.take(), ["x"]);
}

/// A run that is polled once, and then left: it does not hold up the others.
#[test]
fn a_guest_that_is_not_polled_again_holds_nobody_up() {
    let sim = Simulation::new();
    let (left, other) = (sim.reactor(), sim.reactor());
    left.call_later(secs(1), || ());
    let mut drive = left.drive();
    assert!(block_on(futures_lite::future::poll_once(&mut drive)).is_none());
    other.call_later(secs(5), || Reactor::current().stop().unwrap());
    block_on(other.drive()).unwrap();
    assert_eq!(sim.now(), secs(5));
}

/// Whoever is woken is the program's code. Once the world was borrowed then.
#[test]
fn a_waker_may_make_a_reactor() {
    struct Makes(std::sync::atomic::AtomicBool);
    thread_local! { static SIM: RefCell<Option<Simulation>> = const { RefCell::new(None) } }
    impl std::task::Wake for Makes {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
            SIM.with_borrow(|sim| drop(sim.as_ref().unwrap().reactor()));
        }
    }
    let sim = Simulation::new();
    sim.faults(Faults::none().with(Fault::Delay, 1.0));
    let reactor = sim.reactor();
    echo(&reactor);
    let mut peer = sim.connect(local(7)).unwrap();
    peer.send("x").unwrap();
    let waker = Arc::new(Makes(false.into()));
    let mut buffer = [0; 1];
    let poll = futures_lite::AsyncRead::poll_read(
        std::pin::Pin::new(&mut peer),
        &mut std::task::Context::from_waker(&waker.clone().into()),
        &mut buffer,
    );
    assert!(poll.is_pending());
    SIM.set(Some(Simulation { world: sim.world.clone() }));
    sim.advance(secs(1));
    assert!(waker.0.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(peer.received(), b"x");
    SIM.take();
}

/// Once the clock went on under the turn that was being made.
#[test]
fn to_pump_in_a_callback_is_a_panic_and_leaves_the_clock() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let seen = told.clone();
    let _hook = crate::report::hook(move |report| seen.borrow_mut().push(report.to_string()));
    let sim = Rc::new(Simulation::new());
    let reactor = sim.reactor();
    let calls: [fn(&Simulation); 3] =
        [Simulation::pump, |sim| sim.advance(secs(1)), Simulation::run_until_idle];
    for call in calls {
        let sim = sim.clone();
        reactor.call_later(secs(1), move || crate::report::hushed(|| call(&sim)));
    }
    sim.advance(secs(1));
    assert_eq!((sim.now(), told.borrow().len()), (secs(1), 3));
    assert!(told.borrow().iter().all(|text| text.contains("only the test itself")), "{told:?}");
}

#[test]
fn many_round_trips_at_one_instant_may_be_allowed() {
    fn again(left: u32) {
        match left {
            0 => Reactor::current().stop().unwrap(),
            _ => drop(Reactor::current().call_later(Duration::ZERO, move || again(left - 1))),
        }
    }
    let run = |looks| {
        let sim = Simulation::new();
        sim.busy_at_most(looks);
        let reactor = sim.reactor();
        reactor.call_later(Duration::ZERO, || again(1000));
        reactor.run()
    };
    assert!(run(900).unwrap_err().message().contains("Simulation::busy_at_most"));
    run(3000).unwrap();
}

#[test]
fn a_guest_that_has_nothing_to_do_is_woken_by_a_thread() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let remote = reactor.remote();
    let (ready, go) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        go.recv().unwrap();
        remote.call_from_thread(|reactor| reactor.stop().unwrap()).unwrap();
    });
    let mut drive = reactor.drive();
    assert!(block_on(futures_lite::future::poll_once(&mut drive)).is_none());
    ready.send(()).unwrap();
    block_on(drive).unwrap();
    thread.join().unwrap();
}

/// To drop the simulation is to leave its runs, as a crash does: nothing is closed, and the reactor's own handle closes it.
#[test]
fn to_drop_the_simulation_leaves_what_it_runs() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let port = echo(&reactor);
    sim.pump();
    drop(sim);
    assert!(!reactor.running() && port.get_host().is_ok());
    let core = Rc::downgrade(&reactor.core);
    drop(reactor);
    assert!(port.get_host().is_err());
    drop(port);
    assert!(core.upgrade().is_none());
}

#[test]
fn a_reactor_that_is_run_lives_without_a_handle_until_it_is_stopped() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    echo(&reactor);
    reactor.call_later(secs(1), || Reactor::current().stop().unwrap());
    sim.pump();
    let core = Rc::downgrade(&reactor.core);
    drop(reactor);
    assert_eq!(sim.sockets(), 1);
    sim.advance(secs(1));
    assert_eq!((sim.sockets(), core.strong_count()), (0, 0));
}

#[test]
fn descriptors_and_signals_of_the_system_are_not_of_this_world() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    assert!(reactor.is_virtual() && !Reactor::new().unwrap().is_virtual());
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let error = reactor.core.driver.adopt(one.into()).unwrap_err();
    let named = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert_eq!(named, Some(&SimulationError::RealSocket));
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("Reactor::new"), "{error}");
}

#[test]
fn worlds_are_apart() {
    let results = Arc::new(Mutex::new(vec![]));
    let threads = [1, 2].map(|n| {
        let results = results.clone();
        thread::spawn(move || {
            let sim = Simulation::new();
            let reactor = sim.reactor();
            echo(&reactor); // the same port in each
            sim.advance(secs(n));
            results.lock().unwrap().push(sim.now() == secs(n));
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*results.lock().unwrap(), [true, true]);
}
