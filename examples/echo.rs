//! Echo, whose factory counts its connections and turns away number 101: the second Echo of Twisted's guide.
//!
//! Run with: `cargo run --example echo -- --port 8007`, then `nc 127.0.0.1 8007` and type.
//!
//! You will see how many are connected whenever that changes, and your lines come back. Ctrl-C ends it.

mod support;

use std::cell::Cell;
use twistor::{Address, Context, Factory, Failure, Protocol, Reactor, Result};

/// The factory is where connections share. There is one, and one thread, so a `Cell` does.
#[derive(Default)]
pub(crate) struct EchoFactory {
    open: Cell<usize>,
}

impl EchoFactory {
    const MOST: usize = 100;

    fn count(&self, open: usize) {
        self.open.set(open);
        println!("{open} connected");
    }
}

impl Factory for EchoFactory {
    type Protocol = Echo;

    fn build_protocol(&self, _peer: &Address) -> Option<Echo> {
        Some(Echo)
    }
}

pub(crate) struct Echo;

impl Protocol for Echo {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let factory = cx.factory::<EchoFactory>();
        factory.count(factory.open.get() + 1);
        if factory.open.get() > EchoFactory::MOST {
            cx.write("Too many users, try again later!");
            cx.lose_connection();
        }
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }

    fn connection_lost(&mut self, cx: &Context<Self>, _why: Failure) {
        let factory = cx.factory::<EchoFactory>();
        factory.count(factory.open.get() - 1);
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", support::port(8007)?), EchoFactory::default())?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
