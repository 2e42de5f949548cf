//! A reactor leaves no descriptor behind, however it ends.

use crate::child;
use futures_lite::future::pending;
use std::{fs, net::TcpStream, time::Duration};
use twistor::{Protocol, Reactor, factory};

/// Those of the process; the one that reads the list is in it each time.
fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

struct Silent;

impl Protocol for Silent {}

/// A reactor with a port, two connections, a client, a timer and a task. Nothing of it holds a handle.
fn busy() -> (Reactor, [TcpStream; 2]) {
    let reactor = Reactor::new().unwrap();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Silent)).unwrap();
    let to = port.get_host().unwrap().as_inet().unwrap();
    let peers = [TcpStream::connect(to).unwrap(), TcpStream::connect(to).unwrap()];
    reactor.connect_tcp(to, factory(|_| Silent));
    reactor.call_later(Duration::from_secs(9), || ());
    reactor.spawn(pending::<twistor::Result<()>>()).or_log("test");
    while port.connections() < 3 {
        reactor.iterate(Duration::from_secs(1)).unwrap();
    }
    (reactor, peers)
}

fn crash_at_once(reactor: &Reactor) {
    reactor.call_when_running(|| Reactor::current().crash().unwrap());
}

/// The ways in which a reactor may end.
const WAYS: [fn(Reactor); 5] = [
    drop,
    |reactor| {
        reactor.call_when_running(|| Reactor::current().stop().unwrap());
        reactor.run().unwrap();
    },
    |reactor| {
        crash_at_once(&reactor);
        reactor.run().unwrap();
    },
    |reactor| {
        crash_at_once(&reactor);
        futures_lite::future::block_on(reactor.drive()).unwrap();
    },
    |reactor| drop(reactor.drive()),
];

#[test]
fn none_is_left_open() {
    if child::role().is_none() {
        // In a process of its own, where no other test opens any.
        let (told, status) = child::start("descriptors::none_is_left_open", "counts").ended();
        assert!(status.success() && told == ["counted"], "{told:?}");
        return;
    }
    let round = || {
        WAYS.iter().for_each(|end| {
            let (reactor, _peers) = busy();
            end(reactor);
        })
    };
    // async-io and the signals keep theirs for good from their first use on.
    round();
    let before = open();
    (0..4).for_each(|_| round());
    assert_eq!(open(), before);
    child::tell("counted");
}
