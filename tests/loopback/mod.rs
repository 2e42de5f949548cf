//! What the tests of transports share: a run with a deadline, a log of what happened, a protocol that writes it, and scripts that play the
//! peer.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use futures_lite::AsyncReadExt;
use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use twistor::{
    Address, ClientFactory, Connector, Context, Factory, Failure, IntoLayer, Producer, Protocol, Reactor,
    Result, Transport,
    defer::Deferred,
    error::{
        ConnectError, ConnectionAborted, ConnectionDone, ConnectionLost, ReactorNotRunning, UserError,
        WriteBufferFull,
    },
    report::{self, Report},
    tcp::ListeningPort,
    testing::{Peer, Simulation},
};

/// So long a test may take. Nothing waits for it unless the test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Larger than what the system buffers between two sockets, so that some of it waits.
pub const MUCH: usize = 12 << 20;

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    pub fn count(&self, what: &str) -> usize {
        self.0.borrow().iter().filter(|line| *line == what).count()
    }
}

/// A producer that notes what it is told.
pub struct Noting(pub Log);

impl Producer for Noting {
    fn resume_producing(&self) {
        self.0.add("resume");
    }
    fn pause_producing(&self) {
        self.0.add("pause");
    }
    fn stop_producing(&self) {
        self.0.add("stop");
    }
}

/// What went unhandled on this thread, as `origin: message`, until the guard goes.
pub fn reports() -> (Log, impl Drop) {
    let (log, seen) = (Log::default(), Log::default());
    let hook = {
        let log = log.clone();
        report::hook(move |Report { origin, failure, .. }| {
            log.add(format!("{origin}: {}", failure.message()))
        })
    };
    drop(seen);
    (log, hook)
}

/// A short name for why a connection ended.
pub fn reason(why: &Failure) -> String {
    if let Some(error) = why.value::<ConnectError>() {
        return format!("{:?}", error.kind());
    }
    let names: [(bool, &str); 6] = [
        (why.check::<ConnectionDone>(), "done"),
        (why.check::<ConnectionAborted>(), "aborted"),
        (why.check::<ConnectionLost>(), "lost"),
        (why.check::<WriteBufferFull>(), "full"),
        (why.check::<UserError>(), "user"),
        (why.check::<ReactorNotRunning>(), "not running"),
    ];
    names.iter().find(|(is, _)| *is).map_or_else(|| why.to_string(), |(_, name)| (*name).into())
}

type Hook<P, A> = Option<Box<dyn FnMut(&Context<P>, A)>>;

/// A protocol that logs its events, and does what the test says.
pub struct Probe<const HALF: bool = false> {
    log: Log,
    made: Hook<Self, ()>,
    data: Option<Box<dyn FnMut(&Context<Self>, &[u8])>>,
    read_lost: Hook<Self, ()>,
    write_lost: Hook<Self, ()>,
    lost: Hook<Self, Failure>,
}

pub type HalfProbe = Probe<true>;

impl<const HALF: bool> Probe<HALF> {
    pub fn new(log: &Log) -> Self {
        Probe { log: log.clone(), made: None, data: None, read_lost: None, write_lost: None, lost: None }
    }

    pub fn made(mut self, mut f: impl FnMut(&Context<Self>) + 'static) -> Self {
        self.made = Some(Box::new(move |cx, ()| f(cx)));
        self
    }

    pub fn data(mut self, f: impl FnMut(&Context<Self>, &[u8]) + 'static) -> Self {
        self.data = Some(Box::new(f));
        self
    }

    pub fn read_lost(mut self, mut f: impl FnMut(&Context<Self>) + 'static) -> Self {
        self.read_lost = Some(Box::new(move |cx, ()| f(cx)));
        self
    }

    pub fn write_lost(mut self, mut f: impl FnMut(&Context<Self>) + 'static) -> Self {
        self.write_lost = Some(Box::new(move |cx, ()| f(cx)));
        self
    }

    pub fn lost(mut self, f: impl FnMut(&Context<Self>, Failure) + 'static) -> Self {
        self.lost = Some(Box::new(f));
        self
    }
}

fn call<P, A>(hook: &mut Hook<P, A>, cx: &Context<P>, argument: A) {
    if let Some(hook) = hook {
        hook(cx, argument);
    }
}

impl<const HALF: bool> Protocol for Probe<HALF> {
    const HALF_CLOSEABLE: bool = HALF;

    fn connection_made(&mut self, cx: &Context<Self>) {
        self.log.add("made");
        call(&mut self.made, cx, ());
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        if data.len() < 32 {
            self.log.add(format!("data {}", String::from_utf8_lossy(data)));
        }
        if let Some(hook) = &mut self.data {
            hook(cx, data);
        }
    }

    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        self.log.add("read lost");
        call(&mut self.read_lost, cx, ());
    }

    fn write_connection_lost(&mut self, cx: &Context<Self>) {
        self.log.add("write lost");
        call(&mut self.write_lost, cx, ());
    }

    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        self.log.add(format!("lost {}", reason(&why)));
        call(&mut self.lost, cx, why);
    }
}

/// A factory, of a server or a client, that logs its events.
pub struct Recorder<P> {
    log: Log,
    build: Box<dyn Fn(&Address) -> Option<P>>,
    failed: Box<dyn Fn(&Connector)>,
    lost: Box<dyn Fn(&Connector)>,
    connecting: Box<dyn Fn(&Connector)>,
}

impl<P: IntoLayer + 'static> Recorder<P> {
    pub fn new(log: &Log, build: impl Fn(&Address) -> Option<P> + 'static) -> Recorder<P> {
        Recorder {
            log: log.clone(),
            build: Box::new(build),
            failed: Box::new(|_| ()),
            lost: Box::new(|_| ()),
            connecting: Box::new(|_| ()),
        }
    }

    pub fn connecting(mut self, f: impl Fn(&Connector) + 'static) -> Self {
        self.connecting = Box::new(f);
        self
    }

    pub fn failed(mut self, f: impl Fn(&Connector) + 'static) -> Self {
        self.failed = Box::new(f);
        self
    }

    pub fn lost(mut self, f: impl Fn(&Connector) + 'static) -> Self {
        self.lost = Box::new(f);
        self
    }
}

impl<P: IntoLayer + 'static> Factory for Recorder<P> {
    type Protocol = P;

    fn build_protocol(&self, peer: &Address) -> Option<P> {
        self.log.add("build");
        (self.build)(peer)
    }

    fn start_factory(&self) {
        self.log.add("start factory");
    }

    fn stop_factory(&self) {
        self.log.add("stop factory");
    }
}

impl<P: IntoLayer + 'static> ClientFactory for Recorder<P> {
    fn started_connecting(&self, connector: &Connector) {
        self.log.add("connecting");
        (self.connecting)(connector);
    }

    fn client_connection_failed(&self, connector: &Connector, why: Failure) {
        self.log.add(format!("factory: failed {}", reason(&why)));
        (self.failed)(connector);
    }

    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        self.log.add(format!("factory: lost {}", reason(&why)));
        (self.lost)(connector);
    }
}

/// Runs until somebody stops it, which must be before the deadline.
pub fn run(reactor: &Reactor) {
    let late = Rc::new(Cell::new(false));
    let deadline = reactor.call_later(DEADLINE, {
        let (late, reactor) = (late.clone(), reactor.clone());
        move || {
            late.set(true);
            reactor.stop().expect("it runs");
        }
    });
    reactor.run_without_signal_handlers().expect("a run");
    let _ = deadline.cancel();
    assert!(!late.get(), "not over after {DEADLINE:?}");
}

/// Another reactor of the same kind, with a world of its own.
pub fn another(reactor: &Reactor) -> Reactor {
    if reactor.is_virtual() { Simulation::new().reactor() } else { Reactor::new().expect("a reactor") }
}

/// Stops the reactor that calls this.
pub fn stop() {
    Reactor::current().stop().expect("it runs");
}

thread_local! {
    static KEPT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// Keeps something for [`kept`], for a script that has to reach it.
pub fn keep(what: impl Any) {
    KEPT.set(Some(Box::new(what)));
}

/// What was kept on this thread.
pub fn kept<T: Clone + 'static>() -> T {
    KEPT.with_borrow(|kept| kept.as_ref().expect("kept").downcast_ref::<T>().expect("of this type").clone())
}

/// The transport that was kept.
pub fn served() -> Transport {
    kept()
}

/// Some turns of the reactor that calls this: what the system knew of has happened then.
pub async fn turns() {
    for _ in 0..3 {
        let (next, promise) = Deferred::<()>::pending();
        Reactor::current().call_later(Duration::ZERO, move || {
            promise.callback(());
        });
        next.await.expect("it was fired");
    }
}

pub const HERE: (&str, u16) = ("127.0.0.1", 0);

pub fn at(port: &ListeningPort) -> SocketAddr {
    port.get_host().expect("it listens").as_inet().expect("it is TCP")
}

/// A peer that calls, of the reactor that calls this.
pub fn dial(to: SocketAddr) -> Peer {
    Peer::connect(&Reactor::current(), to).expect("connected")
}

/// All that comes, and how it ends.
pub async fn read_all(peer: &mut Peer) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut all = Vec::new();
    let end = peer.read_to_end(&mut all).await;
    (all, end.err().map(|error| error.kind()))
}

/// Listens, has `script` play a peer, and runs until that is over and so are all connections. Its connection has been made when it begins.
pub fn serve<F: Factory, R: 'static>(
    reactor: &Reactor,
    factory: F,
    script: impl AsyncFnOnce(Peer) -> R + 'static,
) -> R {
    let port = reactor.listen_tcp(HERE, factory).expect("a port");
    let to = at(&port);
    play(reactor, port, async move || {
        let peer = dial(to);
        turns().await;
        script(peer).await
    })
}

/// The same with a port that is there, and peers that connect themselves.
pub fn play<R: 'static>(
    reactor: &Reactor,
    port: ListeningPort,
    script: impl AsyncFnOnce() -> R + 'static,
) -> R {
    run_until(reactor, async move {
        let result = script().await;
        turns().await; // an end that the peer has sent is seen before the port is stopped
        let drained = port.stop_and_drain(DEADLINE / 2).await?;
        assert_eq!(drained.aborted, 0, "a connection was still open at the end");
        Ok(result)
    })
}

/// Runs until a script is over.
pub fn play_alone<R: 'static>(reactor: &Reactor, script: impl AsyncFnOnce() -> R + 'static) -> R {
    run_until(reactor, async move { Ok(script().await) })
}

fn run_until<R: 'static>(reactor: &Reactor, end: impl Future<Output = Result<R>> + 'static) -> R {
    let done = reactor.spawn(end).add_both(|result| {
        let _ = Reactor::current().stop(); // else its end is what has failed this
        result
    });
    run(reactor);
    match done.now() {
        Ok(result) => result.expect("the script"),
        Err(_) => panic!("the script is not over"),
    }
}
