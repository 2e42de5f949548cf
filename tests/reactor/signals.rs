//! SIGINT and SIGTERM, each in a process of its own.

use crate::child::{self, Running};
use std::{os::unix::process::ExitStatusExt, time::Duration};
use twistor::{Context, Failure, Protocol, Reactor, defer::Deferred, factory, reactor::Phase};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn send(signal: i32, to: &Running) {
    let pid = rustix::process::Pid::from_raw(to.id() as i32).unwrap();
    let signal = match signal {
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
