//! TCP, on the system and simulated; UNIX sockets.

use crate::carrier::{Carrier, Open, Side, run};
use twistor::{Reactor, testing::Simulation, unix::UnixListen};

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

pub(crate) struct Unix;

impl Carrier for Unix {
    const TELLS_ABORT: bool = false;

    fn carry(server: Side, client: Side) {
        let (reactor, open) = (Reactor::new().expect("a reactor"), Open::default());
        let port = reactor.listen_unix(UnixListen::new(""), server.once(&open)).expect("a port");
        let _connector = reactor.connect_unix(&port.get_host().expect("it listens"), client.once(&open));
        run(&reactor, &open);
    }
}
