//! A client that sends a number of bytes to a server which sends them back, and looks at each.

use std::{cell::Cell, rc::Rc};
use twistor::{Address, ClientFactory, Connector, Context, Factory, Failure, Protocol};

/// What came of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing yet.
    Pending,
    /// All bytes have come back.
    Complete,
    /// The connection was lost before.
    Cut,
    /// There was no connection.
    NotConnected,
}

pub(crate) struct Talker {
    pub(crate) bytes: usize,
    pub(crate) outcome: Rc<Cell<Outcome>>,
}

pub(crate) struct Talking {
    bytes: usize,
    received: usize,
    outcome: Rc<Cell<Outcome>>,
}

/// The byte at that place. Bytes that are lost, doubled or moved do not fit the ones around them.
fn byte(at: usize) -> u8 {
    ((at as u32).wrapping_mul(2_654_435_761) >> 24) as u8
}

impl Protocol for Talking {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let all: Vec<u8> = (0..self.bytes).map(byte).collect();
        // In writes of all sizes, small and large.
        let mut rest = &all[..];
        let mut size = 1;
        while !rest.is_empty() {
            let (write, more) = rest.split_at(size.min(rest.len()));
            cx.write(write);
            (rest, size) = (more, size * 3);
        }
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        for found in data {
            assert!(self.received < self.bytes, "more bytes came back than were sent");
            assert_eq!(*found, byte(self.received), "byte {} of {}", self.received, self.bytes);
            self.received += 1;
        }
        if self.received == self.bytes {
            self.outcome.set(Outcome::Complete);
            cx.lose_connection();
        }
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        if self.outcome.get() == Outcome::Pending {
            self.outcome.set(Outcome::Cut);
        }
    }
}

impl Factory for Talker {
    type Protocol = Talking;

    fn build_protocol(&self, _peer: &Address) -> Option<Talking> {
        Some(Talking { bytes: self.bytes, received: 0, outcome: self.outcome.clone() })
    }
}

impl ClientFactory for Talker {
    fn client_connection_failed(&self, _connector: &Connector, _why: Failure) {
        self.outcome.set(Outcome::NotConnected);
    }
}
