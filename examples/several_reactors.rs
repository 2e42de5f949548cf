//! A server on several cores: a reactor on each of several threads, all of them on one port.
//!
//! Run with: `cargo run --release --example several_reactors -- --port 8007 --reactors 4`, then `nc 127.0.0.1 8007` a few times, and type.
//!
//! Your lines come back with the number of the reactor that has the connection; `count` tells how many each of them has answered. Ctrl-C ends all of them.

mod support;

use std::{cell::Cell, iter, net::SocketAddr, sync::mpsc, thread};
use twistor::{
    Context, Failure, Reactor, Result,
    defer::{Deferred, gather_results},
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    reactor::Remote,
    tcp::TcpListen,
};

thread_local! {
    /// How many lines this thread's reactor has answered. No other thread touches it, so there is no lock.
    static ANSWERED: Cell<u64> = const { Cell::new(0) };
}

/// Answers lines with the number of its reactor.
struct Numbered {
    number: usize,
    all: Vec<Remote>,
}

impl LineProtocol for Numbered {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        if line == b"count" {
            self.count().add_callback(cx.bind(Self::counted)).or_log("count");
            return;
        }
        ANSWERED.set(ANSWERED.get() + 1);
        cx.send_line(format!("{}: {}", self.number, line.escape_ascii()));
    }
}

impl Numbered {
    /// Asks each of them, this one too, in its own thread.
    fn count(&self) -> Deferred<Vec<u64>> {
        let here = Reactor::current();
        let ask = |remote: &Remote| here.spawn(remote.spawn(|| async { Ok(ANSWERED.get()) }));
        gather_results(self.all.iter().map(ask))
    }

    fn counted(&mut self, cx: &Context<Self>, counts: Vec<u64>) -> Result<()> {
        cx.send_line(format!("{counts:?}"));
        Ok(())
    }
}

/// The system spreads the connections over all reactors that listen on the port like this.
fn listen(reactor: &Reactor, number: usize, at: SocketAddr, all: Vec<Remote>) -> Result<SocketAddr> {
    let factory = factory(move |_peer| LineReceiver::new(Numbered { number, all: all.clone() }));
    let port = reactor.listen_tcp(TcpListen::from(at).reuse_port(true), factory)?;
    port.get_host()?.as_inet().ok_or_else(|| Failure::msg("it is a port of TCP"))
}

/// The reactor of a thread, until it is stopped.
fn run(tell: mpsc::Sender<Remote>) -> Result<()> {
    let reactor = Reactor::new()?;
    tell.send(reactor.remote())?;
    drop(tell); // the list of all is complete when nobody has more to tell
    reactor.run_without_signal_handlers()
}

fn main() -> Result<()> {
    let count = support::option("--reactors")?.unwrap_or(2_usize).max(1);
    // The first one is of the main thread, and takes the signals.
    let reactor = Reactor::new()?;
    let (tell, told) = mpsc::channel();
    let start = |_| {
        let tell = tell.clone();
        thread::spawn(move || run(tell))
    };
    let threads: Vec<_> = (1..count).map(start).collect();
    drop(tell); // a thread that fails is not waited for
    let all: Vec<Remote> = iter::once(reactor.remote()).chain(told).collect();

    let at = listen(&reactor, 0, ([127, 0, 0, 1], support::port(8007)?).into(), all.clone())?;
    for (number, remote) in all.iter().enumerate().skip(1) {
        let all = all.clone();
        remote.blocking_call_from_thread(move |reactor| listen(reactor, number, at, all))?;
    }
    println!("listening on {at}");
    reactor.run()?;

    // A signal has stopped this one: the others too, each in order, and their connections are told.
    for remote in &all[1..] {
        remote.call_from_thread(|reactor| reactor.stop().expect("it runs: it makes this call"))?;
    }
    threads.into_iter().try_for_each(|thread| thread.join().map_err(Failure::from_panic)?)
}
