//! Forwards a port: two transports, each the other's producer, so that a slow side slows the quick one instead of filling memory.
//!
//! Run with: `cargo run --example portforward -- --port 8080 --to 127.0.0.1:8007`, beside `cargo run --example echo`.
//!
//! You will see each connection come and go; what is sent to the one port reaches the other. Ctrl-C ends it.

mod support;

use twistor::{
    Address, ClientFactory, Connector, Context, Factory, Failure, Protocol, Reactor, Result, Transport,
    factory, tcp::TcpConnect,
};

/// The side that connected to us. It reads nothing before the other side is there.
pub(crate) struct Outside {
    to: TcpConnect,
    inside: Option<Transport>,
}

impl Protocol for Outside {
    fn connection_made(&mut self, cx: &Context<Self>) {
        println!("{} has connected", cx.get_peer());
        cx.pause_producing();
        Reactor::current().connect_tcp(self.to.clone(), ToInside { outside: cx.clone() });
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        if let Some(inside) = &self.inside {
            inside.write(data);
        }
    }

    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        println!("{} is gone: {why}", cx.get_peer());
        if let Some(inside) = &self.inside {
            close(inside);
        }
    }
}

impl Outside {
    pub(crate) fn new(to: TcpConnect) -> Outside {
        Outside { to, inside: None }
    }

    /// The other side is there: the two are joined.
    fn join(&mut self, cx: &Context<Self>, inside: Transport) -> Result<()> {
        cx.register_producer(inside.clone(), true)?;
        inside.register_producer(cx.transport(), true)?;
        self.inside = Some(inside);
        cx.resume_producing();
        Ok(())
    }
}

/// The side that we connected to.
struct Inside {
    outside: Context<Outside>,
}

impl Protocol for Inside {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let inside = cx.transport();
        self.outside.call(move |outside, cx| outside.join(cx, inside)).or_log("joining two sides");
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.outside.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        close(&self.outside);
    }
}

/// The other side is gone: what it sent still goes out. It would wait for its producer, which will not come back.
fn close(transport: &Transport) {
    transport.unregister_producer();
    transport.lose_connection();
}

struct ToInside {
    outside: Context<Outside>,
}

impl Factory for ToInside {
    type Protocol = Inside;

    fn build_protocol(&self, _peer: &Address) -> Option<Inside> {
        Some(Inside { outside: self.outside.clone() })
    }
}

impl ClientFactory for ToInside {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        eprintln!("{}", why.message());
        self.outside.lose_connection();
    }
}

fn main() -> Result<()> {
    let to: Address =
        support::option("--to")?.ok_or_else(|| Failure::msg("where to? --to 127.0.0.1:8007"))?;
    let to = TcpConnect::new(to.host(), to.port().unwrap_or_default());
    let reactor = Reactor::new()?;
    let port = reactor
        .listen_tcp(("127.0.0.1", support::port(8080)?), factory(move |_peer| Outside::new(to.clone())))?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
