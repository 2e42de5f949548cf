//! A quote of the day, for whoever connects: the smallest server, Twisted's first.
//!
//! Run with: `cargo run --example qotd -- --port 8007`, then `nc 127.0.0.1 8007`.
//!
//! You will see `listening on 127.0.0.1:8007`, and in the other window a sentence; then the server closes. Ctrl-C ends it.

mod support;

use twistor::{Context, Protocol, Reactor, Result, factory};

struct Qotd;

impl Protocol for Qotd {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write("An apple a day keeps the doctor away\r\n");
        cx.lose_connection(); // when what was written is sent
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", support::port(8007)?), factory(|_peer| Qotd))?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
