//! Without sockets: two connections of the test kit, joined; and pipes in memory, behind `attach`.

use crate::{
    both_ways::BothWays,
    carrier::{Carrier, End, Open, Side, run},
};
use twistor::{
    HasProtocol, Reactor,
    stream::attach,
    testing::{self, Connected},
};

pub(crate) struct Memory;

impl Carrier for Memory {
    const TELLS_ABORT: bool = false;

    fn carry(server: Side, client: Side) {
        let open = Open::default();
        let mut server = testing::connect(server.end(&open));
        let mut client = testing::connect(client.end(&open));
        let (mut there, mut back) = (false, false);
        while !open.is_over() {
            let moved = hand_on(&mut client, &mut server, &mut there);
            assert!(hand_on(&mut server, &mut client, &mut back) || moved, "nothing moves any more");
        }
    }
}

/// What one end has written, and then its end, once. Whether there was something.
fn hand_on(from: &mut Connected<End>, to: &mut Connected<End>, ended: &mut bool) -> bool {
    if to.transport().is_paused() {
        return false;
    }
    let data = from.sent();
    to.receive(&data);
    let closes = from.connected() && from.disconnecting() && from.transport().buffered() == 0;
    if closes {
        from.lose();
    }
    let open = from.connected() && from.protocol().writes.get();
    let ends = !*ended && !open;
    if ends {
        *ended = true;
        to.end();
    }
    closes || ends || !data.is_empty()
}

pub(crate) struct Attached;

impl Carrier for Attached {
    const TELLS_ABORT: bool = false;

    fn carry(server: Side, client: Side) {
        let open = Open::default();
        attach_both(&open, server.end(&open), client.end(&open));
    }
}

/// Attaches both to a pair of pipes.
pub(crate) fn attach_both(
    open: &Open,
    server: impl HasProtocol + 'static,
    client: impl HasProtocol + 'static,
) {
    let reactor = Reactor::new().expect("a reactor");
    let ((read, write), (answer, ask)) = (piper::pipe(SIZE), piper::pipe(SIZE));
    reactor.call_later(std::time::Duration::ZERO, move || {
        attach(server, BothWays(read, ask)).expect("a reactor");
        attach(client, BothWays(answer, write)).expect("a reactor");
    });
    run(&reactor, open);
}

const SIZE: usize = 64 << 10;
