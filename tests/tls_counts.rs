//! TLS many times over, with an eye on the heap: handshakes that fail, certificates that are replaced, a peer that does not read.
//!
//! Each count is a tenth here; all of it with `TWISTOR_COUNTS=10 cargo test --release --test tls_counts`.

#[path = "tls/certificates.rs"]
#[allow(dead_code, reason = "the other tests of TLS use the rest")]
mod certificates;

use certificates::{OTHER, ROOT, client, server, server_options};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::yield_now};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
    rc::Rc,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use twistor::{
    Context, Failure, Producer, Protocol, Reactor, Result, Transport,
    defer::{Deferred, Promise},
    error::{ConnectionDone, WriteBufferFull},
    factory,
    testing::{self, Peer},
    tls::{CertificateOptions, TlsError, TlsErrorKind, options_for_client_tls, secured},
};

#[global_allocator]
static HEAP: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(300);

/// One test at a time: the heap is that of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Live bytes of this process.
fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// A tenth of what is asked for, or so many tenths as `TWISTOR_COUNTS` says.
fn count(whole: usize) -> usize {
    let tenths = env::var("TWISTOR_COUNTS").map_or(1, |tenths| tenths.parse().expect("a number of tenths"));
    whole / 10 * tenths
}

/// How connections have ended, by the name of the reason.
#[derive(Clone, Default)]
struct Ends(Rc<RefCell<BTreeMap<String, usize>>>);

impl Ends {
    fn add(&self, why: &Failure) {
        let kind = why.value::<TlsError>().map(|error| format!("{:?}", error.kind()));
        *self.0.borrow_mut().entry(kind.unwrap_or_else(|| why.to_string())).or_default() += 1;
    }

    fn of(&self, kind: TlsErrorKind) -> usize {
        self.0.borrow().get(&format!("{kind:?}")).copied().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.0.borrow().values().sum()
    }
}

/// Notes its end.
struct Ending(Ends);

impl Protocol for Ending {
    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.add(&why);
    }
}

/// So many handshakes that fail in each of three ways: the server was told of each, once.
async fn fail(reactor: Reactor, to: std::net::SocketAddr, each: usize) -> Result<()> {
    let strict = options_for_client_tls("localhost").trust_roots(OTHER.roots()).build()?;
    for begun in (0..each).step_by(20) {
        let mut peers = vec![];
        for _ in begun..each.min(begun + 20) {
            let why =
                reactor.connect_protocol(to, secured(&strict, Ending(Ends::default()))).await.unwrap_err();
            assert_eq!(why.value::<TlsError>().expect("it is not trusted").kind(), TlsErrorKind::Certificate);
            let mut cut = Peer::connect(&reactor, to)?;
            cut.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await?; // the beginning of a hello
            drop(cut);
            peers.push(Peer::connect(&reactor, to)?); // says nothing
        }
        for mut silent in peers {
            assert_eq!(silent.read(&mut [0]).await?, 0, "it is closed");
        }
    }
    Ok(())
}

#[test]
fn handshakes_that_fail_leave_nothing_behind() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let tls = server_options().handshake_timeout(Duration::from_millis(20)).build().unwrap();
    let ends = Ends::default();
    let told = ends.clone();
    let port = reactor.listen_ssl(("127.0.0.1", 0), tls, factory(move |_| Ending(told.clone()))).unwrap();
    let to = port.get_host().unwrap().as_inet().unwrap();
    let fail = |each| {
        testing::run(&reactor, LIMIT, fail(reactor.clone(), to, each)).unwrap();
        heap()
    };
    fail(50);
    let baseline = fail(50);
    let each = count(20_000) / 3 + 1;
    let after = fail(each);
    let grown = after.saturating_sub(baseline);
    println!("{} handshakes failed: the heap grew by {grown} bytes", ends.all());
    assert!(grown <= 16 << 10, "the heap grew by {grown} bytes");
    let kinds = [TlsErrorKind::Refused, TlsErrorKind::Truncated, TlsErrorKind::TimedOut];
    assert_eq!(kinds.map(|kind| ends.of(kind)), [each + 100; 3], "{:?}", ends.0);
    assert_eq!((ends.all(), port.connections()), (3 * (each + 100), 0));
}

/// So many connections live through all replacements.
const LONG: usize = 10;

/// Plays a ball to and fro, once at least, and as long as it goes on.
struct Rally {
    ends: Ends,
    goes_on: Rc<Cell<bool>>,
    rounds: Rc<Cell<usize>>,
    over: Option<Promise<()>>,
}

impl Protocol for Rally {
    fn handshake_completed(&mut self, cx: &Context<Self>) {
        cx.write("ball");
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.rounds.set(self.rounds.get() + 1);
        if self.goes_on.get() { cx.write(data) } else { cx.lose_connection() }
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.ends.add(&why);
        if let Some(over) = self.over.take() {
            over.callback(());
        }
    }
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

#[test]
fn certificates_are_replaced_under_traffic_and_no_connection_is_lost() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let tls = server();
    let port = reactor.listen_ssl(("127.0.0.1", 0), &tls, factory(|_| Echo)).unwrap();
    let (to, r) = (port.get_host().unwrap().as_inet().unwrap(), reactor.clone());
    let (ends, rounds) = (Ends::default(), Rc::new(Cell::new(0)));
    let rally = {
        let (ends, rounds) = (ends.clone(), rounds.clone());
        move |goes_on: &Rc<Cell<bool>>| {
            let (over, promise) = Deferred::pending();
            let (ends, rounds, goes_on) = (ends.clone(), rounds.clone(), goes_on.clone());
            (Rally { ends, goes_on, rounds, over: Some(promise) }, over)
        }
    };
    let certificates: Vec<_> = (0..4).map(|_| ROOT.signs("localhost")).collect();
    let replacements = count(1_000);
    let (baseline, after) = testing::run(&reactor, LIMIT, async move {
        let (mut long, go_on, once) = (vec![], Rc::new(Cell::new(true)), Rc::new(Cell::new(false)));
        for _ in 0..LONG {
            let (rally, over) = rally(&go_on);
            long.push((r.connect_protocol(to, secured(client(), rally)).await?, over));
        }
        let (mut shown, mut baseline) = (vec![], 0);
        for number in 0..replacements {
            let (chain, key) = &certificates[number % certificates.len()];
            let own = twistor::tls::PrivateCertificate::from_pem(chain, key)?;
            tls.replace(CertificateOptions::new(own))?;
            let (rally, over) = rally(&once);
            let cx = r.connect_protocol(to, secured(client(), rally)).await?;
            shown.push(cx.negotiated().expect("it is over").peer_certificates);
            over.await?;
            if number == replacements / 2 {
                baseline = heap();
            }
        }
        let news = shown.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(news, replacements - 1, "each saw the one of its time");
        let after = heap();
        assert!(long.iter().all(|(cx, _)| cx.is_connected()));
        go_on.set(false);
        for (_, over) in long {
            over.await?;
        }
        Ok((baseline, after))
    })
    .unwrap();
    let done = ends.0.borrow().get(&ConnectionDone::default().to_string()).copied();
    let all = LONG + replacements;
    assert_eq!((ends.all(), done), (all, Some(all)), "{:?}", ends.0);
    let grown = after.saturating_sub(baseline);
    println!(
        "{replacements} certificates replaced, {} messages: the heap grew by {grown} bytes",
        rounds.get()
    );
    // The certificates that were shown are kept by the test: some 500 bytes each.
    assert!(grown < replacements * 1_000 + (64 << 10), "the heap grew by {grown} bytes");
}

const OFFERED: usize = 200 << 20;
const PIECE: usize = 64 << 10;

/// Reads nothing until it is told to; then counts.
struct Slow {
    got: Rc<Cell<usize>>,
    all: Option<Promise<()>>,
}

impl Protocol for Slow {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.pause_producing();
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.got.set(self.got.get() + data.len());
        if self.got.get() == OFFERED
            && let Some(all) = self.all.take()
        {
            all.callback(());
        }
    }
}

/// Who produces: as fast as it may.
struct Pushing {
    left: Cell<usize>,
    paused: Cell<bool>,
    to: RefCell<Option<Transport>>,
}

#[derive(Clone)]
struct Pushes(Rc<Pushing>);

impl Producer for Pushes {
    fn resume_producing(&self) {
        self.0.paused.set(false);
        let Some(to) = self.0.to.borrow().clone() else { return };
        while !self.0.paused.get() && self.0.left.get() > 0 {
            self.0.left.set(self.0.left.get() - PIECE);
            to.write(vec![7; PIECE]);
        }
        if self.0.left.get() == 0 {
            to.unregister_producer();
        }
    }

    fn pause_producing(&self) {
        self.0.paused.set(true);
    }

    fn stop_producing(&self) {
        self.0.to.take();
    }
}

/// Is handed the transport of a server's connection.
struct Offering(RefCell<Option<Promise<Transport>>>);

impl Protocol for Offering {
    fn handshake_completed(&mut self, cx: &Context<Self>) {
        if let Some(promise) = self.0.take() {
            promise.callback(cx.transport());
        }
    }
}

/// A server's connection, whose peer reads nothing until it is resumed, and what is fired when all that is offered has come.
async fn slow(reactor: &Reactor) -> Result<(Transport, Context<Slow>, Deferred<()>, Rc<Cell<usize>>)> {
    let (made, promise) = Deferred::pending();
    let promise = Cell::new(Some(promise));
    let offering = factory(move |_| Offering(RefCell::new(promise.take())));
    let port = reactor.listen_ssl(("127.0.0.1", 0), server(), offering)?;
    let (all, got) = (Deferred::pending(), Rc::new(Cell::new(0)));
    let peer = Slow { got: got.clone(), all: Some(all.1) };
    let peer = reactor.connect_protocol(&port.get_host()?, secured(client(), peer)).await?;
    let transport = made.await?;
    port.stop_listening().await?;
    Ok((transport, peer, all.0, got))
}

/// So many turns that nothing moves any more.
async fn settled() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}

#[test]
fn a_producer_is_paused_by_a_peer_that_does_not_read_and_goes_on_when_it_does() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        let (transport, peer, all, got) = slow(&r).await?;
        let before = heap();
        let producer = Pushes(Rc::new(Pushing {
            left: Cell::new(OFFERED),
            paused: Cell::new(false),
            to: RefCell::new(Some(transport.clone())),
        }));
        transport.register_producer(producer.clone(), true)?;
        producer.resume_producing();
        settled().await;
        let grown = heap().saturating_sub(before);
        println!("200 MiB offered by a producer: the heap grew by {grown} bytes");
        assert!(producer.0.paused.get() && grown <= 1 << 20, "the heap grew by {grown} bytes");
        peer.resume_producing();
        all.await?;
        assert_eq!(got.get(), OFFERED);
        transport.lose_connection();
        Ok(())
    })
    .unwrap();
}

#[test]
fn who_waits_for_drained_waits_for_a_peer_that_does_not_read() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        let (transport, peer, all, got) = slow(&r).await?;
        let (before, to) = (heap(), transport.clone());
        let offered = r.spawn(async move {
            for _ in 0..OFFERED / PIECE {
                to.write(vec![7; PIECE]);
                to.drained().await?;
            }
            Ok(())
        });
        settled().await;
        let grown = heap().saturating_sub(before);
        println!("200 MiB offered piece by piece: the heap grew by {grown} bytes");
        assert!(transport.buffered() > 0 && grown <= 1 << 20, "the heap grew by {grown} bytes");
        peer.resume_producing();
        offered.await?;
        all.await?;
        assert_eq!(got.get(), OFFERED);
        transport.lose_connection();
        Ok(())
    })
    .unwrap();
}

#[test]
fn who_waits_for_nobody_fails_at_the_limit() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        let (transport, _peer, _all, _got) = slow(&r).await?;
        let mut offered = 0;
        while offered < OFFERED && !transport.is_disconnecting() {
            transport.write(vec![7; PIECE]);
            offered += PIECE;
        }
        let why = transport.drained().await.unwrap_err();
        let full = why.value::<WriteBufferFull>().expect("by name");
        assert_eq!(full.limit, 16 << 20);
        assert!(offered <= (16 << 20) + 2 * PIECE, "{offered}");
        Ok(())
    })
    .unwrap();
}

/// Writes on, whatever the other side says.
struct Deaf;

impl Protocol for Deaf {
    const HALF_CLOSEABLE: bool = true;
}

/// Ends at the first word.
struct Rude;

impl Protocol for Rude {
    fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
        cx.lose_connection();
    }
}

#[test]
fn what_comes_after_a_close_is_kept_nowhere() {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    let r = reactor.clone();
    testing::run(&reactor, LIMIT, async move {
        let port = r.listen_ssl(("127.0.0.1", 0), server(), factory(|_| Rude))?;
        let cx = r.connect_protocol(&port.get_host()?, secured(client(), Deaf)).await?;
        while port.connections() == 0 {
            yield_now().await;
        }
        cx.write("go away");
        cx.drained().await?;
        let before = heap();
        for _ in 0..(32 << 20) / PIECE {
            cx.write(vec![7; PIECE]);
            cx.drained().await?;
        }
        let grown = heap().saturating_sub(before);
        println!("32 MiB sent to who has closed: the heap grew by {grown} bytes");
        assert!(port.connections() == 1 && grown <= 2 << 20, "the heap grew by {grown} bytes");
        cx.abort_connection();
        port.stop_and_drain(Duration::from_secs(10)).await?;
        Ok(())
    })
    .unwrap();
}
