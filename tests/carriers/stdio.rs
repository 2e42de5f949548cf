//! Pipes of the system, as standard input and output are.

use crate::carrier::{Carrier, Open, Side, run};
use twistor::Reactor;

pub(crate) struct Pipes;

impl Carrier for Pipes {
    const TELLS_ABORT: bool = false;

    fn carry(server: Side, client: Side) {
        let (reactor, open) = (Reactor::new().expect("a reactor"), Open::default());
        let ((asked, ask), (answered, answer)) =
            (std::io::pipe().expect("a pipe"), std::io::pipe().expect("a pipe"));
        let (server, client) = (server.end(&open), client.end(&open));
        reactor.standard_io_on(asked, answer, server).expect("pipes");
        reactor.standard_io_on(answered, ask, client).expect("pipes");
        run(&reactor, &open);
    }
}
