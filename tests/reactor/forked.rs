//! A child that goes on with its parent's reactor, each in a process of its own that forks.

use crate::child;
use fork::Fork;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process,
    time::Duration,
};
use twistor::{Context, Failure, Protocol, Reactor, error::ReactorForked, factory};

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        child::tell("lost");
    }
}

/// A reactor with a port, and a connection that it accepts as soon as it runs.
fn serving() -> (Reactor, TcpStream) {
    let reactor = Reactor::new().unwrap();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo)).unwrap();
    let at: SocketAddr = port.get_host().unwrap().as_inet().unwrap();
    (reactor, TcpStream::connect(at).unwrap())
}

/// The connection is there and is served; then the reactor stops.
fn ask(reactor: &Reactor, mut client: TcpStream) {
    let remote = reactor.remote();
    std::thread::spawn(move || {
        let mut answer = [0; 5];
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut answer).unwrap();
        child::tell(String::from_utf8_lossy(&answer));
        remote.call_from_thread(|reactor| reactor.stop().unwrap()).unwrap();
    });
}

/// What the child gets when it asks for anything, and its end. It closes what it can.
fn try_all(reactor: Reactor) -> ! {
    let is_told = |failure: Failure| failure.check::<ReactorForked>();
    let listens = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Echo)).unwrap_err();
    let told = [
        is_told(reactor.run().unwrap_err()),
        is_told(reactor.iterate(Duration::ZERO).unwrap_err()),
        is_told(futures_lite::future::block_on(reactor.drive()).unwrap_err()),
        format!("{:?}", listens.error()).contains("ReactorForked"),
    ];
    drop(reactor);
    child::tell(format!("{told:?}"));
    process::exit(0);
}

/// A run in which the process forks: the child leaves it.
fn run_in_both(reactor: Reactor) {
    let parent = process::id();
    let ended = reactor.run();
    if process::id() != parent {
        assert!(ended.unwrap_err().check::<ReactorForked>());
        try_all(reactor);
    }
    ended.unwrap();
}

/// What the parent of such a process is told.
fn check(role: &str, expected: &[&str]) {
    let child = child::start("forked::a_child_gets_an_error_and_its_parent_goes_on", role);
    let (told, status) = child.ended();
    assert_eq!(told, expected, "{role}");
    assert!(status.success(), "{role}: {status}");
}

fn fork_before_the_run() {
    let (reactor, client) = serving();
    match fork::fork().unwrap() {
        Fork::Child => try_all(reactor),
        Fork::Parent(child) => fork::waitpid(child).unwrap(),
    };
    ask(&reactor, client);
    reactor.run().unwrap();
}

fn fork_in_a_callback() {
    let (reactor, client) = serving();
    reactor.call_later(Duration::from_millis(20), move || match fork::fork().unwrap() {
        Fork::Child => {}
        Fork::Parent(child) => {
            fork::waitpid(child).unwrap();
            ask(&Reactor::current(), client);
        }
    });
    run_in_both(reactor);
}

/// Its poll set is nested in async-io's at the time, which the child has too.
fn fork_while_it_sleeps_in_async_io() {
    let (reactor, client) = serving();
    let task = reactor.spawn(async move {
        for _ in 0..50 {
            async_io::Timer::after(Duration::from_micros(500)).await;
        }
        match fork::fork()? {
            Fork::Child => {}
            Fork::Parent(child) => {
                fork::waitpid(child)?;
                ask(&Reactor::current(), client);
            }
        }
        // It has something foreign to wait for until its end.
        async_io::Timer::never().await;
        Ok(())
    });
    task.or_log("the task");
    run_in_both(reactor);
}

/// As a daemon does it that forks first.
fn fork_before_there_is_a_reactor() {
    match fork::fork().unwrap() {
        Fork::Child => {
            let (reactor, client) = serving();
            ask(&reactor, client);
            reactor.run().unwrap();
            process::exit(0);
        }
        Fork::Parent(child) => fork::waitpid(child).unwrap(),
    };
}

/// One that was made while the process had a reactor, which the child never touches.
fn a_new_one_in_the_child() {
    let (reactor, client) = serving();
    match fork::fork().unwrap() {
        Fork::Child => fork_before_the_run_of(serving()),
        Fork::Parent(child) => fork::waitpid(child).unwrap(),
    };
    ask(&reactor, client);
    reactor.run().unwrap();
}

fn fork_before_the_run_of((reactor, client): (Reactor, TcpStream)) -> ! {
    ask(&reactor, client);
    reactor.run().unwrap();
    process::exit(0);
}

#[test]
fn a_child_gets_an_error_and_its_parent_goes_on() {
    match child::role().as_deref() {
        Some("before the run") => return fork_before_the_run(),
        Some("in a callback") => return fork_in_a_callback(),
        Some("in async-io") => return fork_while_it_sleeps_in_async_io(),
        Some("before the reactor") => return fork_before_there_is_a_reactor(),
        Some(_) => return a_new_one_in_the_child(),
        None => {}
    }
    let refused = "[true, true, true, true]";
    check("before the run", &[refused, "hello", "lost"]);
    check("in a callback", &[refused, "hello", "lost"]);
    check("in async-io", &[refused, "hello", "lost"]);
    check("before the reactor", &["hello", "lost"]);
    check("a new one in the child", &["hello", "lost", "hello", "lost"]);
}
