//! The state of a stream transport, without I/O: what waits to be sent, which directions are open, how it ends.
//!
//! A [`Transport`](super::Transport) changes it, and leaves word with the world below. That one (a reactor's `tcp`, the
//! test kit) sends and reads, and tells it what happened.

mod below;
mod rare;
mod sealed;

pub(crate) use below::{Below, Owner};

use self::rare::Rare;
use super::{
    data::Outgoing,
    producer::Producer,
    socket::{Interest, OwnedSocket},
};
use crate::{
    address::Address,
    defer::fire_all,
    error::{ConnectionAborted, ConnectionDone, WriteBufferFull},
    failure::Failure,
    snapshot::{
        Entry, Kind, age,
        here::{self, Birth, Stamp},
    },
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// Producers pause when more than this waits, in bytes; Twisted's `bufferSize`.
pub(crate) const HIGH_WATER: usize = 64 << 10;
/// The connection fails when more than this waited before a write, in bytes.
pub(crate) const WRITE_LIMIT: usize = 16 << 20;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Both sides may write and read.
    Open,
    /// `lose_connection`: nothing is read; what waits is sent, then it is closed.
    Closing,
    /// It ends now, with the reason that [`Rare`] has; what waits is dropped.
    Failing,
    /// The protocol has been told, or is being told.
    Lost,
}

/// The outgoing direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Open,
    /// `lose_write_connection`: ends when what waits is sent.
    Ending,
    Ended,
}

/// The incoming direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    On,
    Paused,
    /// The peer has ended it.
    Ended,
}

/// What to do with a connection whose bytes are all sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Wait for more.
    Wait,
    /// The producer has written, or may have: look again.
    Again,
    /// End the outgoing direction.
    Shutdown,
    /// Close the connection.
    Close,
}

pub(crate) struct Wire {
    pub(crate) below: Option<Rc<dyn Below>>,
    pub(crate) owner: Rc<dyn Owner>,
    /// Closed from the beginning, where the world below has none for it.
    pub(crate) socket: OwnedSocket,
    /// Its number among all that is shown in the tree of what is pending.
    pub(crate) serial: u32,
    /// When it began, as in a [`Stamp`].
    born: u32,
    /// When its reading was paused, while it is.
    paused: Cell<u32>,
    peer: Address,
    out: RefCell<Outgoing>,
    life: Cell<Life>,
    writing: Cell<Writing>,
    reading: Cell<Reading>,
    /// It is on the list of those with something to do, or its callback runs.
    touched: Cell<bool>,
    /// Calls of the protocol wait for their turn: no event and no line comes before them.
    held: Cell<bool>,
    /// Whether there is one below: each message asks.
    has_rare: Cell<bool>,
    rare: Cell<Option<Box<Rare>>>,
}

impl Wire {
    pub(crate) fn new(
        below: Option<Rc<dyn Below>>,
        owner: Rc<dyn Owner>,
        socket: OwnedSocket,
        peer: Address,
    ) -> Wire {
        Wire {
            below,
            owner,
            socket,
            serial: here::next_serial(),
            born: here::stamp().now,
            paused: Cell::new(0),
            peer,
            out: RefCell::default(),
            life: Cell::new(Life::Open),
            writing: Cell::new(Writing::Open),
            reading: Cell::new(Reading::On),
            touched: Cell::new(false),
            held: Cell::new(false),
            has_rare: Cell::new(false),
            rare: Cell::new(None),
        }
    }

    pub(crate) fn peer(&self) -> &Address {
        &self.peer
    }

    #[inline]
    fn has_rare(&self) -> bool {
        self.has_rare.get()
    }

    // ---- what the transport asks --------------------------------------------------------------------------------

    /// Whether bytes that are written now can still go out.
    #[inline]
    fn takes_bytes(&self) -> bool {
        self.writing.get() != Writing::Ended && self.is_alive()
    }

    /// Whether what is written now would be the next to be sent, and may go to the socket as it is. This is the one gate of what does not go through
    /// the queue: a connection whose bytes are changed on their way out, as TLS does, is never clear, or a large write would leave unchanged.
    pub(crate) fn is_clear(&self) -> bool {
        self.takes_bytes() && self.is_drained() && !self.has_passing() && self.filters().is_none()
    }

    /// Queues bytes. Gives the producer to be paused, if that filled the queue.
    #[inline]
    pub(crate) fn write(&self, put: impl FnOnce(&mut Outgoing)) -> Option<Rc<dyn Producer>> {
        if !self.takes_bytes() {
            return self.write_in_vain();
        }
        if self.has_rare() {
            return self.write_rare(put);
        }
        let mut out = self.out.borrow_mut();
        if out.len() <= WRITE_LIMIT || self.is_below_limit(out.len()) {
            put(&mut out);
        }
        None
    }

    /// Whether no more waits than may. If more does, it fails.
    fn is_below_limit(&self, queued: usize) -> bool {
        let limit = self.limit();
        if queued > limit {
            self.fail(WriteBufferFull { queued, limit }.into());
        }
        queued <= limit
    }

    #[inline]
    pub(crate) fn buffered(&self) -> usize {
        self.out.borrow().len() + self.filters().map_or(0, |filters| filters.waiting())
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub(crate) fn is_drained(&self) -> bool {
        self.out.borrow().is_drained()
    }

    pub(crate) fn lose_connection(&self) {
        if self.life.get() == Life::Open {
            self.life.set(Life::Closing);
            self.ask_once_more();
        }
    }

    pub(crate) fn lose_write_connection(&self) {
        if self.writing.get() == Writing::Open {
            self.writing.set(Writing::Ending);
            self.ask_once_more();
        }
    }

    /// Ends it with this reason, unless it has ended.
    pub(crate) fn fail(&self, why: Failure) {
        if self.is_alive() {
            self.life.set(Life::Failing);
            self.rare(|rare| rare.why = Some(why));
        }
    }

    pub(crate) fn abort(&self) {
        self.fail(Failure::new(ConnectionAborted::default()));
    }

    pub(crate) fn pause_reading(&self) {
        if self.reading.get() == Reading::On {
            self.reading.set(Reading::Paused);
            self.paused.set(here::stamp().now);
        }
    }

    pub(crate) fn resume_reading(&self) {
        if self.reading.get() == Reading::Paused {
            self.reading.set(Reading::On);
        }
    }

    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.reading.get() == Reading::Paused
    }

    /// False from `lose_write_connection` on.
    #[inline]
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.get() == Writing::Open
    }

    /// False from `lose_connection` or any other end on.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.life.get() == Life::Open
    }

    /// Whether it is closed when all is sent.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.life.get() == Life::Closing
    }

    /// False when it is failing or lost.
    #[inline]
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.life.get(), Life::Open | Life::Closing)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.life.get() == Life::Lost
    }

    // ---- what is shown of it ------------------------------------------------------------------------------------

    /// As an entry of a snapshot that is taken `now`. So many bytes wait in its framer.
    pub(crate) fn entry(&self, incoming: usize, now: u32) -> Option<Entry> {
        let owner = self.owner.birth()?;
        let kind = Kind::Connection {
            peer: self.peer.to_string(),
            incoming,
            outgoing: self.buffered(),
            reading_paused: self.is_paused().then(|| age(now, self.paused.get())),
            producer_paused: self.producer_paused(now),
            closing: self.is_closing(),
        };
        let stamp = Stamp { now: self.born, owner: owner.serial, ..owner.stamp };
        Some(Entry::of(&Birth { serial: self.serial, stamp, place: owner.place }, kind, now))
    }

    // ---- touched and held ---------------------------------------------------------------------------------------

    /// Notes that there is something to do; true if that is news.
    #[inline]
    pub(crate) fn touch(&self) -> bool {
        !self.touched.replace(true)
    }

    pub(crate) fn take_touched(&self) -> bool {
        self.touched.replace(false)
    }

    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.held.get()
    }

    pub(crate) fn set_held(&self, held: bool) {
        self.held.set(held);
    }

    // ---- what the world below does ------------------------------------------------------------------------------

    /// Whether bytes are to be read now.
    #[inline]
    pub(crate) fn wants_read(&self) -> bool {
        (self.reading.get() == Reading::On && self.is_open() && !self.held.get())
            || (self.has_rare() && self.filters_want_read())
    }

    /// Whether what comes can be told to the protocol now.
    pub(crate) fn can_be_told(&self) -> bool {
        self.reading.get() != Reading::Paused && self.is_open() && !self.held.get()
    }

    /// Whether bytes wait that can still be sent.
    #[inline]
    pub(crate) fn wants_write(&self) -> bool {
        !self.is_drained() && self.takes_bytes()
    }

    /// Whether nothing is to be done for it: nothing to send, to tell or to end, and it is watched for what it waits for.
    #[inline]
    pub(crate) fn is_at_rest(&self) -> bool {
        let plain = self.is_open() && self.is_writing() && !self.is_held() && !self.has_rare();
        let reads = self.reading.get() == Reading::On;
        plain && self.is_drained() && self.socket.watched() == Interest { read: reads, write: false }
    }

    /// What the socket is to be watched for now.
    pub(crate) fn wants(&self) -> Interest {
        Interest { read: self.wants_read(), write: self.wants_write() }
    }

    #[inline]
    pub(crate) fn with_out<R>(&self, f: impl FnOnce(&mut Outgoing) -> R) -> R {
        f(&mut self.out.borrow_mut())
    }

    /// The peer has ended its direction.
    pub(crate) fn read_ended(&self) {
        self.reading.set(Reading::Ended);
    }

    pub(crate) fn has_read_end(&self) -> bool {
        self.reading.get() == Reading::Ended
    }

    /// All bytes are sent. Who waits for that is told; a producer goes before an end, as in Twisted.
    #[inline]
    pub(crate) fn drained(&self) -> Then {
        if self.has_rare()
            && let Some(then) = self.drained_rare()
        {
            return then;
        }
        if self.is_closing() {
            return Then::Close;
        }
        match self.writing.get() {
            Writing::Ending => Then::Shutdown,
            Writing::Open | Writing::Ended => Then::Wait,
        }
    }

    pub(crate) fn write_ended(&self) {
        self.writing.set(Writing::Ended);
    }

    /// Why it is closing, if that is no end in order.
    #[inline]
    pub(crate) fn closing_for(&self) -> Option<Failure> {
        if self.has_rare() && self.is_closing() { self.why() } else { None }
    }

    /// Why it has ended, when it is closed because all is sent.
    pub(crate) fn why_closed(&self) -> Failure {
        self.closing_for().unwrap_or_else(done)
    }

    /// Why it is to end now, if it is.
    #[inline]
    pub(crate) fn failing(&self) -> Option<Failure> {
        if self.life.get() == Life::Failing { self.why() } else { None }
    }

    /// It is over: flags first, then the producer is stopped, as in Twisted. False if it was over before.
    ///
    /// The protocol will be told why: so who waits for `drained` and does not look is no news.
    pub(crate) fn end(&self, why: &Failure) -> bool {
        if self.life.replace(Life::Lost) == Life::Lost {
            return false;
        }
        self.out.borrow_mut().clear();
        self.has_rare.set(false);
        if let Some(rare) = self.rare.take() {
            if let Some(registered) = rare.producer {
                self.call("stop_producing", || registered.producer.stop_producing());
            }
            let why = why.clone().hushed();
            fire_all(rare.drained, &Err(why.clone()));
            rare.filters.inspect(|filters| filters.end(&why));
        }
        true
    }
}

/// The reason of an end in order.
pub(crate) fn done() -> Failure {
    Failure::of_the_loop(ConnectionDone::default())
}
