//! Echo by datagrams, for whoever sends.

use std::env;
use twisted::internet::{
    address::Address,
    protocol::{self, DatagramContext},
    reactor,
};
use twisted::python::log;

struct Echo;

impl protocol::DatagramProtocol for Echo {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], addr: &Address) {
        cx.write_to(data, addr).unwrap_or_else(log::err); // what Python raises, and Twisted logs
    }
}

fn main() -> twistor::Result<()> {
    let number: u16 = env::args().nth(1).as_deref().unwrap_or("9999").parse()?;
    let port = reactor::listen_udp(("127.0.0.1", number), Echo)?;
    println!("listening on port {}", port.get_host()?.port().unwrap_or_default());
    reactor::run()
}
