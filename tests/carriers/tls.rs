//! TLS over TCP, on the system and simulated, and TLS in it; over a UNIX socket; TLS behind `attach`.

#[path = "../tls/certificates.rs"]
#[allow(dead_code, reason = "the tests of TLS use the rest")]
mod certificates;

use crate::{
    carrier::{Carrier, Open, Side},
    memory::attach_both,
    sockets::{join, join_unix},
};
use certificates::{client, server};
use twistor::{Reactor, testing::Simulation, tls::secured};

pub(crate) struct Tls;

impl Carrier for Tls {
    const TELLS_ABORT: bool = true;

    fn carry(server: Side, client: Side) {
        over_tls(&Reactor::new().expect("a reactor"), server, client);
    }
}

pub(crate) struct Simulated;

impl Carrier for Simulated {
    const TELLS_ABORT: bool = true;

    fn carry(server: Side, client: Side) {
        over_tls(&Simulation::new().reactor(), server, client);
    }
}

fn over_tls(reactor: &Reactor, serves: Side, asks: Side) {
    let open = Open::default();
    let (serves, asks) = (secured(server(), serves.once(&open)), secured(client(), asks.once(&open)));
    join(reactor, &open, serves, asks);
}

pub(crate) struct OverUnix;

impl Carrier for OverUnix {
    const TELLS_ABORT: bool = true;

    fn carry(serves: Side, asks: Side) {
        let open = Open::default();
        join_unix(&open, secured(server(), serves.once(&open)), secured(client(), asks.once(&open)));
    }
}

pub(crate) struct TlsInTls;

impl Carrier for TlsInTls {
    const TELLS_ABORT: bool = true;

    fn carry(serves: Side, asks: Side) {
        let open = Open::default();
        let serves = secured(server(), secured(server(), serves.once(&open)));
        let asks = secured(client(), secured(client(), asks.once(&open)));
        join(&Reactor::new().expect("a reactor"), &open, serves, asks);
    }
}

pub(crate) struct Attached;

impl Carrier for Attached {
    const TELLS_ABORT: bool = true;

    fn carry(serves: Side, asks: Side) {
        let open = Open::default();
        attach_both(&open, secured(server(), serves.end(&open)), secured(client(), asks.end(&open)));
    }
}
