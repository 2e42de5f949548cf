//! TCP, on the system and simulated; UNIX sockets.

use crate::carrier::{Carrier, Open, Side, run};
use twistor::{ClientFactory, Factory, Reactor, testing::Simulation, unix::UnixListen};

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
    join(reactor, &open, server.once(&open), client.once(&open));
}

/// Joins what two factories make.
pub(crate) fn join(reactor: &Reactor, open: &Open, server: impl Factory, client: impl ClientFactory) {
    let port = reactor.listen_tcp(("127.0.0.1", 0), server).expect("a port");
    let _connector = reactor.connect_tcp(&port.get_host().expect("it listens"), client);
    run(reactor, open);
}

pub(crate) struct Unix;

impl Carrier for Unix {
    const TELLS_ABORT: bool = false;

    fn carry(server: Side, client: Side) {
        let open = Open::default();
        join_unix(&open, server.once(&open), client.once(&open));
    }
}

/// Joins what two factories make.
pub(crate) fn join_unix(open: &Open, server: impl Factory, client: impl ClientFactory) {
    let reactor = Reactor::new().expect("a reactor");
    let port = reactor.listen_unix(UnixListen::new(""), server).expect("a port");
    let _connector = reactor.connect_unix(&port.get_host().expect("it listens"), client);
    run(&reactor, open);
}
