//! One program in three steps, as Twisted code is ported: callbacks only, then callbacks and an async fn, then async code.
//!
//! Run with: `cargo run --example port_in_three_steps -- --port 8008 --step 1`, then `nc -C 127.0.0.1 8008` and type `Paris`.
//!
//! You will see the weather of Paris, of Oslo, and that nobody knows that of Atlantis; and the same in steps 2 and 3. Read `callbacks.rs`,
//! `mixed.rs` and `awaited.rs` side by side. Each asks another server for each line: that one is below.

mod awaited;
mod callbacks;
mod mixed;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use twistor::{
    Context, Failure, Reactor, Result, factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

/// Answers one line, if it knows something, and closes.
struct Almanac;

impl LineProtocol for Almanac {
    fn line_received(&mut self, cx: &Context<Self>, city: &[u8]) {
        match city {
            b"Paris" => cx.send_line("mild, with rain"),
            b"Oslo" => cx.send_line("snow"),
            _ => {}
        }
        cx.lose_connection();
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let almanac = reactor.listen_tcp(("127.0.0.1", 0), factory(|_peer| LineReceiver::new(Almanac)))?;
    let almanac: SocketAddr = almanac.get_host()?.as_inet().expect("TCP has such addresses");
    let at = ("127.0.0.1", support::port(8008)?).into();
    let port = match support::option::<u8>("--step")?.unwrap_or(1) {
        1 => callbacks::listen(&reactor, at, almanac)?,
        2 => mixed::listen(&reactor, at, almanac)?,
        3 => awaited::listen(&reactor, at, almanac)?,
        _ => return Err(Failure::msg("there are three steps: --step 1, --step 2 or --step 3")),
    };
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
