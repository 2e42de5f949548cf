//! [`Carrier`]: what joins two ends, and the ends.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Address, ClientFactory, Connector, Factory, Failure, HasProtocol, IntoLayer, Layer, Reactor, Transport,
};

/// So long a case may take. Nothing waits for it unless the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A kind of connection.
pub(crate) trait Carrier {
    /// Whether the peer of an aborted connection is told that it was no end in order.
    const TELLS_ABORT: bool;
    /// Whether the server runs in this process, so that what it was told is seen.
    const SHOWS_SERVER: bool = true;

    /// Joins a server and a client, and runs until both were told of the end.
    fn carry(server: Side, client: Side);
}

/// One end of a connection: a protocol, made where the carrier wants it.
pub(crate) struct Side {
    /// What [`cases::server`](crate::cases::server) makes such a server of, where it is another process.
    pub(crate) name: &'static str,
    make: Box<dyn FnOnce() -> Box<dyn Layer>>,
}

impl Side {
    pub(crate) fn new<I: IntoLayer + 'static>(
        name: &'static str,
        make: impl FnOnce() -> I + 'static,
    ) -> Side {
        Side { name, make: Box::new(move || twistor::boxed(make())) }
    }

    /// The protocol. When its connection is over, and so are all others that wait for `open`, the reactor stops.
    pub(crate) fn end(self, open: &Open) -> End {
        open.one_more();
        End { open: open.clone(), writes: Cell::new(true), next: (self.make)() }
    }

    /// The same for who listens or connects.
    pub(crate) fn once(self, open: &Open) -> Once {
        Once(RefCell::new(Some(self.end(open))))
    }
}

/// How many ends are open.
#[derive(Clone, Default)]
pub(crate) struct Open(Rc<Cell<usize>>);

impl Open {
    pub(crate) fn is_over(&self) -> bool {
        self.0.get() == 0
    }

    /// One more thing is open, until [`lost`](Self::lost).
    pub(crate) fn one_more(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(crate) fn lost(&self) {
        self.0.set(self.0.get() - 1);
        if self.is_over()
            && let Some(reactor) = Reactor::try_current()
        {
            let _ = reactor.stop(); // it may stop already
        }
    }
}

/// A protocol that says when it is over. It changes nothing else.
pub(crate) struct End {
    open: Open,
    /// Until its own direction has ended.
    pub(crate) writes: Cell<bool>,
    next: Box<dyn Layer>,
}

impl Layer for End {
    fn connection_made(&self, transport: &Transport) {
        self.next.connection_made(transport);
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        self.next.data_received(transport, data);
    }

    fn write_connection_lost(&self, transport: &Transport) {
        self.writes.set(false);
        self.next.write_connection_lost(transport);
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        self.next.connection_lost(transport, why);
        self.open.lost();
    }

    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.next)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl IntoLayer for End {
    type Layer = End;

    fn into_layer(self) -> End {
        self
    }
}

impl HasProtocol for End {
    type Protocol = Self;
}

/// A factory of one protocol.
pub(crate) struct Once(RefCell<Option<End>>);

impl Factory for Once {
    type Protocol = End;

    fn build_protocol(&self, _peer: &Address) -> Option<End> {
        self.0.take()
    }
}

impl ClientFactory for Once {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        panic!("not connected: {why}");
    }
}

/// Runs until both ends are over, which must be before the deadline.
pub(crate) fn run(reactor: &Reactor, open: &Open) {
    let deadline = reactor.call_later(DEADLINE, || {
        let _ = Reactor::current().stop();
    });
    reactor.run_without_signal_handlers().expect("a run");
    let _ = deadline.cancel(); // it may be what has ended it
    assert!(open.is_over(), "not over after {DEADLINE:?}");
}
