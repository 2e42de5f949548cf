//! SIGINT and SIGTERM, each in a process of its own.

use crate::child::{self, Running};
use std::{os::unix::process::ExitStatusExt, thread, time::Duration};
use twistor::{
    Context, Failure, Protocol, Reactor,
    defer::Deferred,
    factory,
    reactor::{Phase, Signal},
};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn send(signal: i32, to: &Running) {
    let pid = rustix::process::Pid::from_raw(to.id() as i32).unwrap();
    let signal = match signal {
        SIGHUP => rustix::process::Signal::HUP,
        SIGINT => rustix::process::Signal::INT,
        _ => rustix::process::Signal::TERM,
    };
    rustix::process::kill_process(pid, signal).unwrap();
}

struct Telling;

impl Protocol for Telling {
    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        child::tell(format!("lost: {}", why.message()));
    }
}

/// For ever.
fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// What a child tells of its shutdown.
fn tell_phases(reactor: &Reactor) {
    for (phase, text) in [(Phase::Before, "before"), (Phase::During, "during"), (Phase::After, "after")] {
        reactor.add_system_event_trigger(phase, "shutdown", move || child::tell(text));
    }
}

#[test]
fn a_signal_stops_in_order() {
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Telling)).unwrap();
        let address = port.get_host().unwrap().as_inet().unwrap();
        tell_phases(&reactor);
        reactor.call_when_running(move || {
            let peer = std::net::TcpStream::connect(address).unwrap();
            // Accepted by the time of the second turn.
            Reactor::current().call_later(Duration::from_millis(20), move || {
                child::tell("ready");
                let _still_open = Box::leak(Box::new(peer));
            });
        });
        reactor.run().unwrap();
        return child::tell("returned");
    }
    for signal in [SIGINT, SIGTERM] {
        let child = child::start("signals::a_signal_stops_in_order", "server");
        assert_eq!(child.told().as_deref(), Some("ready"));
        send(signal, &child);
        let (told, status) = child.ended();
        let lost = "lost: connection to the other side was lost";
        assert_eq!(told, ["before", lost, "during", "after", "returned"]);
        assert!(status.success());
    }
}

#[test]
fn a_second_signal_ends_the_process() {
    if let Some(role) = child::role() {
        let reactor = Reactor::new().unwrap();
        // A shutdown that never comes to its end, or a callback that never returns.
        reactor.add_system_event_trigger(Phase::Before, "shutdown", || {
            child::tell("stopping");
            let (deferred, promise) = Deferred::<()>::pending();
            std::mem::forget(promise);
            deferred
        });
        reactor.call_when_running(move || {
            child::tell("ready");
            if role == "stuck" {
                park();
            }
        });
        return reactor.run().unwrap();
    }
    for role in ["stopping", "stuck"] {
        let child = child::start("signals::a_second_signal_ends_the_process", role);
        assert_eq!(child.told().as_deref(), Some("ready"));
        send(SIGTERM, &child);
        if role == "stopping" {
            assert_eq!(child.told().as_deref(), Some("stopping"));
        }
        send(SIGINT, &child);
        let (_, status) = child.ended();
        assert!([Some(SIGINT), Some(SIGTERM)].contains(&status.signal()), "{status}");
    }
}

#[test]
fn the_default_is_back_after_the_run() {
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        for _ in 0..2 {
            reactor.call_when_running(|| Reactor::current().stop().unwrap());
            reactor.run().unwrap();
        }
        child::tell("returned");
        park();
    }
    let child = child::start("signals::the_default_is_back_after_the_run", "runs twice");
    assert_eq!(child.told().as_deref(), Some("returned"));
    send(SIGINT, &child);
    assert_eq!(child.ended().1.signal(), Some(SIGINT));
}

/// They stop it from before "startup" on, also while that waits.
#[test]
fn a_signal_while_startup_waits() {
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        tell_phases(&reactor);
        reactor.add_system_event_trigger(Phase::Before, "startup", || {
            child::tell("ready");
            let (deferred, promise) = Deferred::<()>::pending();
            std::mem::forget(promise);
            deferred
        });
        reactor.run().unwrap();
        return child::tell("returned");
    }
    let child = child::start("signals::a_signal_while_startup_waits", "waits");
    assert_eq!(child.told().as_deref(), Some("ready"));
    send(SIGTERM, &child);
    let (told, status) = child.ended();
    assert_eq!(told, ["before", "during", "after", "returned"]);
    assert!(status.success());
}

/// It hears SIGHUP again and again; SIGINT, which it hears too, does not stop it, and a second one does not end it; SIGTERM still stops it.
#[test]
fn what_the_program_hears_itself_does_nothing_else() {
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        let _hup = reactor.on_signal(Signal::HUP, || child::tell("hup")).unwrap();
        let _int = reactor.on_signal(Signal::INT, || child::tell("int")).unwrap();
        reactor.call_when_running(|| child::tell("ready"));
        reactor.run().unwrap();
        return child::tell("returned");
    }
    let child = child::start("signals::what_the_program_hears_itself_does_nothing_else", "server");
    assert_eq!(child.told().as_deref(), Some("ready"));
    for (signal, told) in [(SIGHUP, "hup"), (SIGINT, "int"), (SIGINT, "int"), (SIGHUP, "hup")] {
        send(signal, &child);
        assert_eq!(child.told().as_deref(), Some(told));
    }
    send(SIGTERM, &child);
    let (told, status) = child.ended();
    assert_eq!(told, ["returned"]);
    assert!(status.success());
}

/// When nobody hears it any more, in whatever way, the signal does what it did before.
#[test]
fn what_a_signal_did_before_it_does_again() {
    if let Some(role) = child::role() {
        let reactor = Reactor::new().unwrap();
        match role.as_str() {
            "dropped" => drop(reactor.on_signal(Signal::HUP, || {}).unwrap()),
            "cancelled" => {
                let next = reactor.next_signal(Signal::HUP);
                next.cancel();
                next.or_log("cancelled");
            }
            _ => {
                let _hup = reactor.on_signal(Signal::HUP, || {}).unwrap();
                reactor.call_when_running(|| Reactor::current().stop().unwrap());
                reactor.run().unwrap();
            }
        }
        child::tell("ready");
        park();
    }
    for role in ["dropped", "cancelled", "after the run"] {
        let child = child::start("signals::what_a_signal_did_before_it_does_again", role);
        assert_eq!(child.told().as_deref(), Some("ready"));
        send(SIGHUP, &child);
        assert_eq!(child.ended().1.signal(), Some(SIGHUP), "{role}");
    }
}

/// As `nohup` starts it.
#[test]
fn what_was_ignored_is_ignored_again() {
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        drop(reactor.on_signal(Signal::HUP, || {}).unwrap());
        reactor.call_when_running(|| child::tell("ready"));
        reactor.run().unwrap();
        return child::tell("returned");
    }
    let child = child::start_in_shell("trap '' HUP", "signals::what_was_ignored_is_ignored_again", "server");
    assert_eq!(child.told().as_deref(), Some("ready"));
    send(SIGHUP, &child);
    send(SIGTERM, &child);
    let (told, status) = child.ended();
    assert_eq!(told, ["returned"]);
    assert!(status.success(), "{status}");
}

/// The signal comes to the process: each of its reactors that listens is told, on its own thread.
#[test]
fn several_reactors_hear_one_signal() {
    fn hear(what: &'static str, reactor: &Reactor) {
        let hup = reactor.on_signal(Signal::HUP, move || {
            child::tell(what);
            Reactor::current().stop().unwrap();
        });
        std::mem::forget(hup.unwrap()); // until the end of the run
    }
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        let main = reactor.remote();
        hear("main", &reactor);
        let thread = thread::spawn(move || {
            let reactor = Reactor::new().unwrap();
            hear("thread", &reactor);
            reactor.call_when_running(move || {
                main.call_from_thread(|_| child::tell("ready")).unwrap();
            });
            reactor.run_without_signal_handlers().unwrap();
        });
        reactor.run().unwrap();
        return thread.join().unwrap();
    }
    let child = child::start("signals::several_reactors_hear_one_signal", "two");
    assert_eq!(child.told().as_deref(), Some("ready"));
    send(SIGHUP, &child);
    let (mut told, status) = child.ended();
    told.sort();
    assert_eq!(told, ["main", "thread"]);
    assert!(status.success(), "{status}");
}

/// A connection that stays: the first signal lets nobody else in, and the second one ends the process, an hour before the deadline.
#[test]
fn a_second_signal_ends_a_stop_that_drains() {
    if child::role().is_some() {
        let reactor = Reactor::new().unwrap();
        reactor.drain_at_stop(Duration::from_secs(3600));
        let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Telling)).unwrap();
        let address = port.get_host().unwrap().as_inet().unwrap();
        let _peer = std::net::TcpStream::connect(address).unwrap();
        reactor.add_system_event_trigger(Phase::Before, "shutdown", move || {
            // The port stops when this has returned.
            Reactor::current().call_later(Duration::ZERO, move || {
                let refused = std::net::TcpStream::connect(address).is_err();
                child::tell(format!("refused: {refused}"));
            });
        });
        reactor.call_later(Duration::from_millis(20), || child::tell("ready"));
        return reactor.run().unwrap();
    }
    let child = child::start("signals::a_second_signal_ends_a_stop_that_drains", "server");
    assert_eq!(child.told().as_deref(), Some("ready"));
    send(SIGTERM, &child);
    assert_eq!(child.told().as_deref(), Some("refused: true"));
    send(SIGTERM, &child);
    let (told, status) = child.ended();
    assert_eq!((told, status.signal()), (vec![], Some(SIGTERM)));
}
