//! Paths through the kernel's sockets, with both ends in one reactor.

use futures_lite::io::copy;
use std::{cell::Cell, env, rc::Rc};
use twistor::{
    Address, ClientFactory, Connector, Context, DatagramContext, DatagramProtocol, Factory, Failure,
    Protocol, Reactor, Stream, defer::Deferred, factory, manhole, serve, tcp::ListeningPort,
};

const HERE: (&str, u16) = ("127.0.0.1", 0);

const MESSAGE: [u8; 64] = [b'x'; 64];

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

/// Sends a message, waits for it to come back, and sends the next.
struct Peer {
    left: Rc<Cell<usize>>,
}

impl Protocol for Peer {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write(MESSAGE);
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        assert_eq!(data, MESSAGE, "it comes back whole: nothing else is on its way");
        self.left.set(self.left.get() - 1);
        match self.left.get() {
            0 => Reactor::current().stop().expect("it runs"),
            _ => cx.write(MESSAGE),
        }
    }
}

pub(crate) fn echo(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    echo_on(&reactor, reactor.listen_tcp(HERE, factory(|_| Echo)), times);
}

pub(crate) fn echo_beside_a_manhole(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    let path = env::temp_dir().join(format!("twistor-bench-{}.sock", std::process::id()));
    manhole::listen(&reactor, path).expect("it listens");
    manhole::print_on_sigusr1(&reactor).expect("it is installed");
    echo_on(&reactor, reactor.listen_tcp(HERE, factory(|_| Echo)), times);
}

/// As its documentation has it.
pub(crate) fn async_echo(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    let handler = serve(|stream: Stream| async move {
        let (mut from, mut to) = stream.split();
        copy(&mut from, &mut to).await?;
        Ok(())
    });
    echo_on(&reactor, reactor.listen_tcp(HERE, handler), times);
}

/// Answers when a Deferred has fired, which it fires itself.
struct Asks;

impl Asks {
    fn answer(&mut self, cx: &Context<Self>, data: [u8; 64]) {
        cx.write(data);
    }
}

impl Protocol for Asks {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let (answer, promise) = Deferred::pending();
        answer.add_callback(cx.bind(Self::answer)).or_log("an answer");
        promise.callback(data.try_into().expect("a message comes whole: nothing else is on its way"));
    }
}

pub(crate) fn bound_echo(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    echo_on(&reactor, reactor.listen_tcp(HERE, factory(|_| Asks)), times);
}

fn echo_on(reactor: &Reactor, port: twistor::Result<ListeningPort>, times: usize) {
    let to = port.and_then(|port| port.get_host()).expect("a free port");
    let left = Rc::new(Cell::new(times));
    reactor.connect_tcp(&to, factory(move |_| Peer { left: left.clone() }));
    reactor.run().expect("it ends");
}

// ---- datagrams ------------------------------------------------------------------------------------------------------

struct EchoDatagrams;

impl DatagramProtocol for EchoDatagrams {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        cx.write_to(data, from).expect("there is room");
    }
}

/// Sends a datagram, waits for it to come back, and sends the next.
struct Sender {
    to: Address,
    left: usize,
}

impl DatagramProtocol for Sender {
    fn start_protocol(&mut self, cx: &DatagramContext<Self>) {
        cx.write_to(MESSAGE, &self.to).expect("there is room");
    }

    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], _from: &Address) {
        assert_eq!(data, MESSAGE, "it comes back whole");
        self.left -= 1;
        match self.left {
            0 => Reactor::current().stop().expect("it runs"),
            _ => cx.write_to(MESSAGE, &self.to).expect("there is room"),
        }
    }
}

pub(crate) fn datagrams(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    let server = reactor.listen_udp(HERE, EchoDatagrams).expect("a free port");
    let to = server.get_host().expect("it listens");
    reactor.listen_udp(HERE, Sender { to, left: times }).expect("a free port");
    reactor.run().expect("it ends");
}

// ---- connections ----------------------------------------------------------------------------------------------------

struct Quiet;

impl Protocol for Quiet {}

struct Brief;

impl Protocol for Brief {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.lose_connection();
    }
}

/// Connects, hangs up, and connects again.
struct Again {
    left: Cell<usize>,
}

impl Factory for Again {
    type Protocol = Brief;

    fn build_protocol(&self, _peer: &Address) -> Option<Brief> {
        Some(Brief)
    }
}

impl ClientFactory for Again {
    fn client_connection_lost(&self, connector: &Connector, _why: Failure) {
        self.left.set(self.left.get() - 1);
        match self.left.get() {
            0 => Reactor::current().stop().expect("it runs"),
            _ => connector.connect().expect("it is idle"),
        }
    }
}

pub(crate) fn connections(times: usize) {
    let reactor = Reactor::new().expect("a reactor");
    let port = reactor.listen_tcp(HERE, factory(|_| Quiet)).expect("a free port");
    reactor.connect_tcp(&port.get_host().expect("it listens"), Again { left: Cell::new(times) });
    reactor.run().expect("it ends");
}
