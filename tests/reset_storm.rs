//! The RST storm: connections that the peer closes with a reset, at every moment. Each end is told once, and nothing is left.
//!
//! 5,000 of each kind; all 50,000 with `TWISTOR_COUNTS=10 cargo test --release --test reset_storm`.
#![cfg(target_os = "linux")]

#[path = "support/counts.rs"]
mod counts;
#[path = "support/heap.rs"]
mod heap;

use counts::{count, descriptors};
use fastrand::Rng;
use futures_lite::future::yield_now;
use heap::{alone, heap};
use socket2::SockRef;
use std::{
    cell::{Cell, RefCell},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    rc::Rc,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};
use twistor::{
    Context, Failure, Producer, Protocol, Reactor, Result, Transport,
    defer::gather_results,
    error::{ConnectError, ConnectionLost},
    factory,
    tcp::ListeningPort,
    testing,
};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the other thread waits for an end to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many connections at most are open at once.
const AT_ONCE: usize = 100;

/// Done before the baseline is taken, so that what is made once is there.
const FIRST: usize = 500;

/// More than the system keeps for a peer that does not read.
const MUCH: usize = 8 << 20;
const PIECE: usize = 64 << 10;

/// Closes with a reset: nothing waits, in either direction, and no port is held afterwards.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// What all the connections of a test were told.
#[derive(Clone, Default)]
struct Told(Rc<Count>);

#[derive(Default)]
struct Count {
    made: Cell<usize>,
    lost: Cell<usize>,
    /// Producers that were registered, and those that were told to stop.
    producing: Cell<usize>,
    stopped: Cell<usize>,
}

fn add(to: &Cell<usize>) {
    to.set(to.get() + 1);
}

/// Writes as it is asked to, until it is lost.
struct Victim {
    told: Told,
    is_lost: bool,
    /// Given back at the end, so that the peer may begin another connection.
    permit: Option<SyncSender<()>>,
}

impl Victim {
    fn new(told: &Told, permit: Option<SyncSender<()>>) -> Victim {
        Victim { told: told.clone(), is_lost: false, permit }
    }
}

impl Protocol for Victim {
    fn connection_made(&mut self, _cx: &Context<Self>) {
        add(&self.told.0.made);
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        assert!(!self.is_lost, "after its end");
        match data[0] {
            b'w' => cx.write(vec![b'x'; MUCH]),
            b'p' => Push::begin(cx.transport(), &self.told),
            _ => cx.write(data),
        }
    }

    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        assert!(!std::mem::replace(&mut self.is_lost, true), "its end, once more");
        assert!(why.check::<ConnectionLost>(), "{why}");
        assert!(!cx.is_connected());
        add(&self.told.0.lost);
        if let Some(permit) = self.permit.take() {
            permit.try_send(()).expect("there are as many as places");
        }
    }
}

/// Writes whenever it may, without an end.
struct Push {
    to: RefCell<Option<Transport>>,
    paused: Cell<bool>,
    told: Told,
}

#[derive(Clone)]
struct Shared(Rc<Push>);

impl Push {
    fn begin(to: Transport, told: &Told) {
        let (target, paused, told) = (RefCell::new(Some(to.clone())), Cell::new(false), told.clone());
        add(&told.0.producing);
        let push = Shared(Rc::new(Push { to: target, paused, told }));
        to.register_producer(push.clone(), true).expect("the first");
        push.resume_producing();
    }
}

impl Producer for Shared {
    fn resume_producing(&self) {
        self.0.paused.set(false);
        let Some(to) = self.0.to.borrow().clone() else { return };
        while !self.0.paused.get() {
            to.write([b'x'; PIECE]);
        }
    }

    fn pause_producing(&self) {
        self.0.paused.set(true);
    }

    fn stop_producing(&self) {
        self.0.paused.set(true);
        self.0.to.take().expect("it is told once");
        add(&self.0.told.0.stopped);
    }
}

/// When a peer resets: at once, after bytes of its own, while the other side writes to who does not read, to who has read some, from a producer.
fn strike(mut stream: TcpStream, rng: &mut Rng) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let moment = rng.usize(0..6);
    let asked = [&b""[..], b"bytes", b"w", b"w", b"p", b"p"][moment];
    // The other side may not be there to be written to, but it ends nothing by itself.
    stream.write_all(asked).expect("it listens");
    if matches!(moment, 3 | 5) {
        let some = rng.usize(1..PIECE);
        stream.read_exact(&mut vec![0; some]).expect("it writes");
    }
    reset(stream);
}

/// Connects that often, with no more open than there are permits.
fn storm(to: SocketAddr, times: usize, seed: u64, permits: &Receiver<()>) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..times {
        permits.recv_timeout(PATIENCE).expect("an end is told");
        strike(TcpStream::connect(to).expect("it listens"), &mut rng);
    }
}

/// As many as places, all of them there.
fn permits() -> (SyncSender<()>, Receiver<()>) {
    let (give, permits) = sync_channel(AT_ONCE);
    (0..AT_ONCE).for_each(|_| give.send(()).expect("there is room"));
    (give, permits)
}

/// Connects so often from another thread, until each end was told. The permits come back for the next time.
async fn weather(
    reactor: &Reactor,
    port: &ListeningPort,
    times: usize,
    permits: Receiver<()>,
) -> Result<Receiver<()>> {
    let to = port.get_host()?.as_inet().expect("TCP");
    let permits = reactor.defer_to_thread(move || {
        storm(to, times, times as u64, &permits);
        Ok(permits)
    });
    let permits = permits.await?;
    while port.connections() > 0 {
        yield_now().await;
    }
    Ok(permits)
}

/// What the process holds: its live heap and its descriptors.
struct Held(usize, Vec<String>);

impl Held {
    fn now() -> Held {
        Held(heap(), descriptors())
    }

    fn assert_no_more_than(&self, before: &Held, what: &str) {
        let grown = self.0.saturating_sub(before.0);
        println!("{what}: the heap grew by {grown} bytes");
        assert!(grown <= 16 << 10, "the heap grew by {grown} bytes");
        assert_eq!(self.1, before.1, "the descriptors");
    }
}

#[test]
fn clients_that_reset_leave_nothing_behind() {
    let _alone = alone();
    let (reactor, told) = (Reactor::new().unwrap(), Told::default());
    let (give, permits) = permits();
    let victims = told.clone();
    let victim = factory(move |_peer| Victim::new(&victims, Some(give.clone())));
    let port = reactor.listen_tcp(("127.0.0.1", 0), victim).unwrap();
    let (r, times) = (reactor.clone(), count(50_000));
    let (before, after) = testing::run(&reactor, LIMIT, async move {
        let permits = weather(&r, &port, FIRST, permits).await?;
        let before = Held::now();
        let _permits = weather(&r, &port, times, permits).await?;
        Ok((before, Held::now()))
    })
    .unwrap();
    after.assert_no_more_than(&before, &format!("{times} clients reset"));
    let told = &*told.0;
    assert_eq!((told.made.get(), told.lost.get()), (FIRST + times, FIRST + times));
    assert!(told.producing.get() > times / 10, "some are lost while they produce");
    assert_eq!(told.stopped.get(), told.producing.get());
}

/// Accepts that many, and resets each.
fn resetting(listener: &TcpListener, times: usize) {
    let mut rng = Rng::with_seed(times as u64);
    for _ in 0..times {
        strike(listener.accept().expect("it is connected to").0, &mut rng);
    }
}

/// Connects so often to who resets. How often nothing came of it, for the reset was there first.
async fn connect(reactor: &Reactor, listener: &TcpListener, told: &Told, times: usize) -> Result<usize> {
    let (to, listener, mut failed) = (listener.local_addr()?, listener.try_clone()?, 0);
    let server = reactor.defer_to_thread(move || {
        resetting(&listener, times);
        Ok(())
    });
    for begun in (0..times).step_by(AT_ONCE) {
        let attempts: Vec<_> = (begun..times.min(begun + AT_ONCE))
            .map(|_| {
                let attempt = reactor.connect_protocol(to, Victim::new(told, None));
                attempt.map(|_cx| 0).add_errback(|why| {
                    assert!(why.check::<ConnectError>(), "{why}");
                    Ok(1)
                })
            })
            .collect();
        failed += gather_results(attempts).await?.iter().sum::<usize>();
        while told.0.lost.get() < told.0.made.get() {
            yield_now().await;
        }
    }
    server.await?;
    Ok(failed)
}

#[test]
fn servers_that_reset_leave_nothing_behind() {
    let _alone = alone();
    let (reactor, told) = (Reactor::new().unwrap(), Told::default());
    let (r, times, seen) = (reactor.clone(), count(50_000), told.clone());
    let (failed, before, after) = testing::run(&reactor, LIMIT, async move {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let first = connect(&r, &listener, &seen, FIRST).await?;
        let before = Held::now();
        let failed = connect(&r, &listener, &seen, times).await?;
        Ok((first + failed, before, Held::now()))
    })
    .unwrap();
    after.assert_no_more_than(
        &before,
        &format!("{times} servers reset, {failed} before they were connected to"),
    );
    let told = &*told.0;
    assert_eq!((told.made.get() + failed, told.lost.get()), (FIRST + times, told.made.get()));
    assert_eq!(told.stopped.get(), told.producing.get());
}
