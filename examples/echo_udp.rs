//! Echo by datagrams.
//!
//! Run with: `cargo run --example echo_udp -- --port 9999`, then `nc -u 127.0.0.1 9999` and type.
//!
//! You will see each datagram's length and sender, and your lines come back. Ctrl-C ends it.

mod support;

use twistor::{Address, DatagramContext, DatagramProtocol, Reactor, Result};

pub(crate) struct Echo;

impl DatagramProtocol for Echo {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        println!("{} bytes from {from}", data.len());
        // A datagram leaves now or not at all: there is no queue that could hide a failure.
        if let Err(failure) = cx.write_to(data, from) {
            eprintln!("not sent to {from}: {}", failure.message());
        }
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_udp(("127.0.0.1", support::port(9999)?), Echo)?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
