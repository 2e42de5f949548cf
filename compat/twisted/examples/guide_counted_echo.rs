//! Echo, for three at a time: the factory is where the connections count themselves.

use std::{cell::Cell, env};
use twisted::internet::{
    address::Address,
    protocol::{self, Context},
    reactor,
};
use twisted::python::failure::Failure;

const LIMIT: usize = 3;

struct Echo;

impl protocol::Protocol for Echo {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let open = &cx.factory::<EchoFactory>().open;
        open.set(open.get() + 1);
        if open.get() > LIMIT {
            cx.write("full, come again\r\n");
            cx.lose_connection();
            return;
        }
        cx.write(format!("{} of {LIMIT}\r\n", open.get()));
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }

    fn connection_lost(&mut self, cx: &Context<Self>, _reason: Failure) {
        let open = &cx.factory::<EchoFactory>().open;
        open.set(open.get() - 1);
    }
}

#[derive(Default)]
struct EchoFactory {
    open: Cell<usize>, // a factory is lent shared: its state is in cells
}

impl protocol::Factory for EchoFactory {
    type Protocol = Echo;

    fn build_protocol(&self, _addr: &Address) -> Option<Echo> {
        Some(Echo)
    }
}

fn main() -> twistor::Result<()> {
    let number: u16 = env::args().nth(1).as_deref().unwrap_or("8000").parse()?;
    let port = reactor::listen_tcp(("127.0.0.1", number), EchoFactory::default())?;
    println!("listening on port {}", port.get_host()?.port().unwrap_or_default());
    reactor::run()
}
