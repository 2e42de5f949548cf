//! TLS many times over, with an eye on the heap: handshakes that fail, certificates that are replaced, a peer that does not read.
//!
//! Each count is a tenth here; all of it with `TWISTOR_COUNTS=10 cargo test --release --test tls_counts`.

#[path = "tls/certificates.rs"]
#[allow(dead_code, reason = "the other tests of TLS use the rest")]
mod certificates;
#[path = "support/counts.rs"]
#[allow(dead_code, reason = "descriptors are counted elsewhere")]
mod counts;
#[path = "support/heap.rs"]
mod heap;

use certificates::{OTHER, ROOT, client, server, server_options};
use counts::count;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future::yield_now};
use heap::{alone, heap};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    rc::Rc,
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

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a test alone, on a reactor of its own.
fn run<T: Future<Output = Result<()>> + 'static>(test: impl FnOnce(Reactor) -> T) {
    let _alone = alone();
    let reactor = Reactor::new().unwrap();
    testing::run(&reactor, LIMIT, test(reactor.clone())).unwrap();
}

/// By how many bytes the heap has grown.
fn grown(what: impl fmt::Display, before: usize, after: usize) -> usize {
    let grown = after.saturating_sub(before);
    println!("{what}: the heap grew by {grown} bytes");
    grown
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
    for begun in (0..each).step_by(50) {
        let mut peers = vec![];
        for _ in begun..each.min(begun + 50) {
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
    // Long enough for what does not wait for it, on a busy machine too.
    let tls = server_options().handshake_timeout(Duration::from_millis(200)).build().unwrap();
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
    let grown = grown(format_args!("{} handshakes failed", ends.all()), baseline, after);
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
    let what = format_args!("{replacements} certificates replaced, {} messages", rounds.get());
    let grown = grown(what, baseline, after);
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

/// A server's connection, whose peer reads nothing until it is told to.
struct ToSlow {
    transport: Transport,
    peer: Context<Slow>,
    /// Fired when all that is offered has come.
    all: Deferred<()>,
    got: Rc<Cell<usize>>,
}

impl ToSlow {
    async fn new(reactor: &Reactor) -> Result<ToSlow> {
        let (made, promise) = Deferred::pending();
        let promise = Cell::new(Some(promise));
        let offering = factory(move |_| Offering(RefCell::new(promise.take())));
        let port = reactor.listen_ssl(("127.0.0.1", 0), server(), offering)?;
        let ((all, promise), got) = (Deferred::pending(), Rc::new(Cell::new(0)));
        let slow = Slow { got: got.clone(), all: Some(promise) };
        let peer = reactor.connect_protocol(&port.get_host()?, secured(client(), slow)).await?;
        let transport = made.await?;
        port.stop_listening().await?;
        Ok(ToSlow { transport, peer, all, got })
    }

    /// All that was offered comes; then it ends.
    async fn all_comes(self) -> Result<()> {
        self.all.await?;
        assert_eq!(self.got.get(), OFFERED);
        self.transport.lose_connection();
        Ok(())
    }
}

/// So many turns that nothing moves any more.
async fn settled() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}

#[test]
fn a_producer_is_paused_by_a_peer_that_does_not_read_and_goes_on_when_it_does() {
    run(async |r| {
        let slow = ToSlow::new(&r).await?;
        let transport = slow.transport.clone();
        let before = heap();
        let producer = Pushes(Rc::new(Pushing {
            left: Cell::new(OFFERED),
            paused: Cell::new(false),
            to: RefCell::new(Some(transport.clone())),
        }));
        transport.register_producer(producer.clone(), true)?;
        producer.resume_producing();
        settled().await;
        let grown = grown("200 MiB offered by a producer", before, heap());
        assert!(producer.0.paused.get() && grown <= 1 << 20, "the heap grew by {grown} bytes");
        slow.peer.resume_producing();
        slow.all_comes().await
    });
}

#[test]
fn who_waits_for_drained_waits_for_a_peer_that_does_not_read() {
    run(async |r| {
        let slow = ToSlow::new(&r).await?;
        let transport = slow.transport.clone();
        let (before, to) = (heap(), transport.clone());
        let offered = r.spawn(async move {
            for _ in 0..OFFERED / PIECE {
                to.write(vec![7; PIECE]);
                to.drained().await?;
            }
            Ok(())
        });
        settled().await;
        let grown = grown("200 MiB offered piece by piece", before, heap());
        assert!(transport.buffered() > 0 && grown <= 1 << 20, "the heap grew by {grown} bytes");
        slow.peer.resume_producing();
        offered.await?;
        slow.all_comes().await
    });
}

#[test]
fn who_waits_for_nobody_fails_at_the_limit() {
    run(async |r| {
        let slow = ToSlow::new(&r).await?;
        let transport = &slow.transport;
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
    });
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
    run(async |r| {
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
        let grown = grown("32 MiB sent to who has closed", before, heap());
        assert!(port.connections() == 1 && grown <= 2 << 20, "the heap grew by {grown} bytes");
        cx.abort_connection();
        port.stop_and_drain(Duration::from_secs(10)).await?;
        Ok(())
    });
}
