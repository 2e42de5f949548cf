//! A test that leaves something behind fails, and says what and from where.

use std::{
    panic::{self, AssertUnwindSafe},
    time::Duration,
};
use twistor::{
    Address, DatagramContext, DatagramProtocol, Failure, Protocol, Reactor,
    defer::{Deferred, fail},
    factory,
    testing::{Guard, on_both},
};

struct Quiet;

impl Protocol for Quiet {}

impl DatagramProtocol for Quiet {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
}

/// What the guard says.
#[track_caller]
fn told(guard: &Guard) -> String {
    guard.check().expect_err("something is left").to_string()
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

on_both!(a_test_that_cleans_up_passes);
fn a_test_that_cleans_up_passes(reactor: &Reactor) {
    let _guard = Guard::new().watching(reactor);
    let (deferred, promise) = Deferred::<u8>::pending();
    promise.callback(1);
    assert_eq!(deferred.now().expect("it has fired").expect("a value"), 1);
    reactor.call_later(Duration::from_secs(60), || ()).cancel().expect("it waits");
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Quiet)).expect("a free port");
    port.stop_listening().or_log("stop");
    let udp = reactor.listen_udp(("127.0.0.1", 0), Quiet).expect("a free port");
    udp.stop_listening().or_log("stop");
    fail::<()>(Failure::msg("handled")).add_errback(|_| Ok(())).or_log("it");
}

#[test]
fn a_pending_deferred_is_told_with_its_place_and_what_it_waits_for() {
    let guard = Guard::new();
    let inner_made = line!() + 1;
    let (inner, promise) = Deferred::<u8>::pending();
    let (outer, start) = Deferred::<()>::pending();
    let waits = line!() + 1;
    let outer = outer.add_callback(move |()| inner);
    start.callback(());
    let text = told(&guard);
    assert_says(
        &text,
        &[
            &format!("guard at {}:{}", file!(), inner_made - 2),
            "leaves 2 behind",
            &format!("waits in callback {}:{waits}", file!()),
            &format!("made {}:{inner_made}  promise in user code", file!()),
        ],
    );
    promise.callback(1);
    drop(outer);
    guard.check().expect("nothing is left");
}

on_both!(a_timer_a_port_a_task_and_a_udp_port_are_told_with_their_places);
fn a_timer_a_port_a_task_and_a_udp_port_are_told_with_their_places(reactor: &Reactor) {
    let guard = Guard::new().watching(reactor);
    let first = line!() + 1;
    let timer = reactor.call_later(Duration::from_secs(60), || ());
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Quiet)).expect("a free port");
    let udp = reactor.listen_udp(("127.0.0.1", 0), Quiet).expect("a free port");
    let task = reactor.spawn(futures::future::pending::<twistor::Result<()>>());
    let text = told(&guard);
    let kinds = ["timer due in ", "listen tcp 127.0.0.1:", "listen udp 127.0.0.1:", "task #"];
    for (at, kind) in kinds.iter().enumerate() {
        let line =
            text.lines().find(|line| line.contains(kind)).unwrap_or_else(|| panic!("no {kind}: {text}"));
        let place = format!("  made {}:{}", file!(), first + at as u32);
        assert!(line.contains(&place), "{line}");
    }
    assert_says(&text, &["leaves 4 behind"]);
    timer.cancel().expect("it waits");
    port.stop_listening().or_log("stop");
    udp.stop_listening().or_log("stop");
    task.cancel();
    assert!(task.now().expect("it was cancelled").is_err());
    guard.check().expect("nothing is left");
}

on_both!(a_connection_is_told_until_it_is_closed);
/// A connection, with both its ends, stands under its port and under its client.
fn a_connection_is_told_until_it_is_closed(reactor: &Reactor) {
    let guard = Guard::new().watching(reactor);
    let listened = line!() + 1;
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Quiet)).expect("a free port");
    let to = port.get_host().expect("it listens").as_inet().expect("TCP");
    let client = reactor.connect_tcp(to, factory(|_| Quiet));
    turn_until(reactor, || port.connections() == 1);
    let text = told(&guard);
    assert_says(&text, &["└─ conn ", &format!("made {}:{listened}", file!()), "connect tcp 127.0.0.1:"]);

    client.disconnect();
    port.stop_listening().or_log("stop");
    turn_until(reactor, || port.connections() == 0);
    guard.check().expect("nothing is left");
}

fn turn_until(reactor: &Reactor, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        reactor.iterate(Duration::from_millis(10)).expect("a turn");
    }
    panic!("it never came");
}

#[test]
fn a_failure_that_nobody_handled_is_told_once_with_its_way() {
    let guard = Guard::new();
    let line = line!() + 1;
    drop(fail::<u8>(Failure::msg("no such user")).map(|n| n + 1));
    let text = told(&guard);
    assert_says(&text, &["has left 1 unhandled", "no such user", &format!("{}:{line}", file!())]);
    guard.check().expect("it was told");
}

#[test]
fn its_drop_fails_the_test_unless_that_has_failed_already() {
    let (promise, left) = {
        let guard = Guard::new();
        let (deferred, promise) = Deferred::<u8>::pending();
        let dropped = panic::catch_unwind(AssertUnwindSafe(move || drop(guard)));
        let payload = dropped.expect_err("it looks");
        (promise, (deferred, payload.downcast_ref::<String>().expect("a text").clone()))
    };
    assert_says(&left.1, &["leaves 1 behind", "promise in user code"]);
    drop((promise, left.0.add_errback(|_| Ok(0))));

    // A second panic would abort the process: that this test goes on is what it asserts.
    let failed = panic::catch_unwind(|| {
        let _guard = Guard::new();
        let (_deferred, _promise) = Deferred::<u8>::pending();
        panic!("the test itself");
    });
    assert_eq!(failed.expect_err("it panics").downcast_ref(), Some(&"the test itself"));
}

#[test]
fn what_was_there_before_is_not_its_business_and_it_keeps_no_reactor_open() {
    let (_before, _promise) = Deferred::<u8>::pending();
    let reactor = Reactor::new().expect("a reactor");
    reactor.call_later(Duration::from_secs(60), || ());
    let guard = Guard::new().watching(&reactor);
    guard.check().expect("nothing is new");
    reactor.call_later(Duration::from_secs(60), || ());
    assert_says(&told(&guard), &["leaves 1 behind"]);
    drop(reactor);
    guard.check().expect("all of it was closed");
}

on_both!(a_call_that_a_thread_has_left_before_is_not_its_business);
/// It was blamed on the test: each look gave the call another number.
fn a_call_that_a_thread_has_left_before_is_not_its_business(reactor: &Reactor) {
    let leave = |remote: twistor::reactor::Remote| {
        let left = std::thread::spawn(move || remote.call_from_thread(|_| ()));
        left.join().expect("no panic").expect("it is there");
    };
    leave(reactor.remote());
    let guard = Guard::new().watching(reactor);
    guard.check().expect("nothing is new");
    leave(reactor.remote());
    assert_says(&told(&guard), &["leaves 1 behind", "call from a thread"]);
    reactor.iterate(Duration::ZERO).expect("a turn");
    guard.check().expect("they were made");
}
