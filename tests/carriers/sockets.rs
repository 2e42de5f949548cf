//! TCP, on the system and simulated.

use crate::carrier::{Carrier, Open, Side, run};
use twistor::{Reactor, testing::Simulation};

pub(crate) struct Tcp;

impl Carrier for Tcp {
    const TELLS_ABORT: bool = true;

    fn carry(server: Side, client: Side) {
        over_tcp(&Reactor::new().expect("a reactor"), server, client);
    }
}

pub(crate) struct Simulated;

impl Carrier for Simulated {
    const TELLS_ABORT: bool = true;

    fn carry(server: Side, client: Side) {
        over_tcp(&Simulation::new().reactor(), server, client);
    }
}

fn over_tcp(reactor: &Reactor, server: Side, client: Side) {
    let open = Open::default();
    let port = reactor.listen_tcp(("127.0.0.1", 0), server.once(&open)).expect("a port");
    let _connector = reactor.connect_tcp(&port.get_host().expect("it listens"), client.once(&open));
    run(reactor, &open);
}
