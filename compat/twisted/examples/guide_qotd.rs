//! A quote of the day, for whoever connects.

use std::env;
use twisted::internet::{
    address::Address,
    protocol::{self, Context},
    reactor,
};

struct Qotd;

impl protocol::Protocol for Qotd {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write("Whoever asks is a fool for five minutes.\r\n");
        cx.lose_connection();
    }
}

struct QotdFactory;

impl protocol::Factory for QotdFactory {
    type Protocol = Qotd;

    fn build_protocol(&self, _addr: &Address) -> Option<Qotd> {
        Some(Qotd)
    }
}

fn main() -> twistor::Result<()> {
    let number: u16 = env::args().nth(1).as_deref().unwrap_or("8007").parse()?;
    let port = reactor::listen_tcp(("127.0.0.1", number), QotdFactory)?;
    println!("listening on port {}", port.get_host()?.port().unwrap_or_default());
    reactor::run()
}
