//! The state of a stream transport, without I/O: what waits to be sent, which directions are open, how it ends.
//!
//! A [`Transport`](super::Transport) changes it, and leaves word with the world below. That one (a reactor's `tcp`, the
//! test kit) sends and reads, and tells it what happened.

use super::{
    data::Outgoing,
    filter::{Filter, Filters},
    passing::Passing,
    producer::Producer,
    socket::{Interest, OwnedSocket},
    transport::Link,
};
use crate::{
    address::{Address, Credentials},
    defer::{Deferred, Host, Promise, fire_all},
    error::{ConnectionAborted, ConnectionDone, FileDescriptorOverrun, WriteBufferFull},
    failure::Failure,
    report,
    snapshot::{
        Entry, Kind, age,
        here::{self, Birth, Stamp},
    },
    time::DelayedCall,
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    time::Duration,
};

/// Producers pause when more than this waits, in bytes; Twisted's `bufferSize`.
pub(crate) const HIGH_WATER: usize = 64 << 10;
/// The connection fails when more than this waited before a write, in bytes.
pub(crate) const WRITE_LIMIT: usize = 16 << 20;

/// Producers pause when more descriptors than this wait; Twisted's `_fileDescriptorBufferSize`.
const MANY_DESCRIPTORS: usize = 64;

/// The world below a connection.
pub(crate) trait Below: Host {
    /// The connection has something to do when the callback that runs has returned.
    fn touched(&self, link: &Rc<Link>);
    /// Sends what it can of `data` now; nothing waits before it.
    fn send_now(&self, _wire: &Wire, _data: &[u8]) -> io::Result<usize> {
        Ok(0)
    }
    /// Calls later, if there is a clock here.
    fn call_later(&self, _after: Duration, _call: Box<dyn FnOnce()>) -> Option<DelayedCall> {
        None
    }
    fn local_address(&self, wire: &Wire) -> io::Result<Address>;
    fn no_delay(&self, wire: &Wire) -> io::Result<bool>;
    fn set_no_delay(&self, wire: &Wire, on: bool) -> io::Result<()>;
    fn keep_alive(&self, wire: &Wire) -> io::Result<bool>;
    fn set_keep_alive(&self, wire: &Wire, on: bool) -> io::Result<()>;
    /// Whether descriptors can go with its bytes.
    fn passes_descriptors(&self, _wire: &Wire) -> bool {
        false
    }
    fn peer_credentials(&self, _wire: &Wire) -> io::Result<Credentials> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The port or connector that a connection came from.
pub(crate) trait Owner {
    /// The factory, or one that it wraps, if its type has this id.
    fn factory(&self, id: TypeId) -> Option<&dyn Any>;
    /// The name of the factory's type, for the message that it is not another one.
    fn factory_name(&self) -> &'static str;
    /// The protocol has been told of its loss.
    fn lost(&self, why: Failure);
    /// Accepts no more, and waits until its connections are over; those that are open at the deadline are aborted. How many those were. None: it accepts nothing.
    fn drain(&self, _deadline: Duration) -> Option<Deferred<usize>> {
        None
    }
    /// Its beginning, which its connections are shown with. None: it is of no reactor, and they are shown nowhere.
    fn birth(&self) -> Option<&Birth> {
        None
    }
}

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

/// What few connections have.
struct Rare {
    producer: Option<Registered>,
    drained: Vec<Promise<()>>,
    limit: usize,
    /// Why it is failing, while it is; or closing, if that is for a reason.
    why: Option<Failure>,
    /// Descriptors that wait to be sent.
    passing: Option<Box<Passing>>,
    filters: Option<Rc<Filters>>,
}

impl Default for Rare {
    fn default() -> Rare {
        Rare {
            producer: None,
            drained: Vec::new(),
            limit: WRITE_LIMIT,
            why: None,
            passing: None,
            filters: None,
        }
    }
}

struct Registered {
    producer: Rc<dyn Producer>,
    streaming: bool,
    /// A resume is due when all is sent: a push producer was paused, or a pull producer's piece is on its way.
    waits: bool,
    /// Since when, as in a [`Stamp`].
    since: u32,
}

impl Registered {
    /// Something was written. Whether the producer is to be paused.
    fn written(&mut self, full: bool) -> bool {
        let news = !self.waits && (full || !self.streaming);
        if news {
            (self.waits, self.since) = (true, here::stamp().now);
        }
        news && self.streaming
    }
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

    fn rare<R>(&self, f: impl FnOnce(&mut Rare) -> R) -> R {
        let mut rare = self.rare.take().unwrap_or_default();
        let result = f(&mut rare);
        self.rare.set(Some(rare));
        self.has_rare.set(true);
        result
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
            return None;
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

    /// The same of a connection that has filters, a producer, or a limit of its own.
    #[inline(never)]
    fn write_rare(&self, put: impl FnOnce(&mut Outgoing)) -> Option<Rc<dyn Producer>> {
        let filters = self.filters();
        if filters.as_ref().is_some_and(|filters| !filters.takes_bytes())
            || !self.is_below_limit(self.buffered())
        {
            return None;
        }
        match filters {
            Some(filters) => filters.write(put),
            None => put(&mut self.out.borrow_mut()),
        }
        self.filled()
    }

    /// Whether no more waits than may. If more does, it fails.
    fn is_below_limit(&self, queued: usize) -> bool {
        let limit = self.limit();
        if queued > limit {
            self.fail(WriteBufferFull { queued, limit }.into());
        }
        queued <= limit
    }

    /// Queues a descriptor, which goes with the byte that is written next. Gives the producer to be paused, if many wait.
    pub(crate) fn pass(&self, descriptor: OwnedFd) -> Option<Rc<dyn Producer>> {
        if !self.takes_bytes() {
            return None;
        }
        let before = self.buffered();
        self.rare(|rare| {
            let passing = rare.passing.get_or_insert_default();
            passing.push(before, descriptor);
            let full = passing.len() > MANY_DESCRIPTORS;
            let registered = rare.producer.as_mut().filter(|_| full)?;
            registered.written(full).then(|| registered.producer.clone())
        })
    }

    /// Whether descriptors wait to be sent.
    pub(crate) fn has_passing(&self) -> bool {
        self.has_rare() && self.rare(|rare| rare.passing.is_some())
    }

    /// Lends the descriptors that wait, if there are some, to what sends of them. No code of the program's runs there.
    pub(crate) fn with_passing<R>(&self, f: impl FnOnce(&mut Passing) -> R) -> Option<R> {
        let mut passing = self.rare(|rare| rare.passing.take())?;
        let result = f(&mut passing);
        self.rare(|rare| rare.passing = Some(passing).filter(|passing| !passing.is_empty()));
        Some(result)
    }

    /// The producer to be paused, now that something was written.
    fn filled(&self) -> Option<Rc<dyn Producer>> {
        let full = self.buffered() > HIGH_WATER;
        self.rare(|rare| {
            let registered = rare.producer.as_mut()?;
            registered.written(full).then(|| registered.producer.clone())
        })
    }

    fn limit(&self) -> usize {
        if self.has_rare() { self.rare(|rare| rare.limit) } else { WRITE_LIMIT }
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.rare(|rare| rare.limit = limit);
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

    /// An end waits for a pull producer, which may have had nothing to write when it was asked: as in Twisted, it is asked again.
    fn ask_once_more(&self) {
        if self.has_rare() {
            self.rare(|rare| rare.producer.iter_mut().for_each(|r| r.waits |= !r.streaming));
        }
    }

    /// Ends it with this reason, unless it has ended.
    pub(crate) fn fail(&self, why: Failure) {
        if self.is_alive() {
            self.life.set(Life::Failing);
            self.rare(|rare| rare.why = Some(why));
        }
    }

    /// What came for the filters is not what it should be: it ends with this reason, when what there is to say of it to the peer is sent.
    pub(crate) fn refuse(&self, filters: &Filters, why: Failure) {
        if self.writing.get() == Writing::Ended {
            return self.fail(why); // nothing can be said any more
        }
        if self.is_alive() {
            self.life.set(Life::Closing);
            self.rare(|rare| rare.why = Some(why));
            filters.fail();
            filters.begin_deadline(filters.patience(), end_now);
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

    /// Registers a producer; false if there is one. Whether it is to be stopped at once: the connection is gone.
    pub(crate) fn register(&self, producer: Rc<dyn Producer>, streaming: bool) -> Option<bool> {
        if !self.is_alive() {
            return Some(true);
        }
        self.rare(|rare| {
            if rare.producer.is_some() {
                return None;
            }
            rare.producer = Some(Registered { producer, streaming, waits: false, since: 0 });
            Some(false)
        })
    }

    pub(crate) fn unregister(&self) {
        if self.has_rare() {
            drop(self.rare(|rare| rare.producer.take()));
        }
    }

    /// Fires when all is sent; fails with the connection.
    pub(crate) fn wait_drained(&self, promise: Promise<()>) {
        self.rare(|rare| rare.drained.push(promise));
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

    fn producer_paused(&self, now: u32) -> Option<Duration> {
        if !self.has_rare() {
            return None;
        }
        self.rare(|rare| {
            let paused = rare.producer.as_ref().filter(|registered| registered.waits && registered.streaming);
            paused.map(|registered| age(now, registered.since))
        })
    }

    // ---- filters ------------------------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn filters(&self) -> Option<Rc<Filters>> {
        if self.has_rare() { self.rare_filters() } else { None }
    }

    #[cold]
    fn rare_filters(&self) -> Option<Rc<Filters>> {
        self.rare(|rare| rare.filters.clone())
    }

    /// Puts a filter on top. It has `limit` to begin, if there is a clock, and the peer so much `patience` to say at the end that it ends too.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is the only filter"))]
    pub(crate) fn push_filter(
        &self,
        link: &Rc<Link>,
        filter: Box<dyn Filter>,
        limit: Duration,
        patience: Duration,
    ) {
        let filters = self.rare(|rare| {
            rare.filters.get_or_insert_with(|| Rc::new(Filters::new(Rc::downgrade(link)))).clone()
        });
        filters.push(filter, patience);
        filters.begin_deadline(limit, |link| link.wire().filters_are_late());
    }

    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "TLS is the only filter"))]
    fn filters_are_late(&self) {
        if let Some(filters) = self.filters()
            && let Some(why) = filters.late()
        {
            self.fail(why);
        }
    }

    /// Whether a filter has not begun yet.
    pub(crate) fn is_beginning(&self) -> bool {
        self.filters().is_some_and(|filters| filters.is_beginning())
    }

    /// What is below the filters has ended. Unless the peer has said so, that is this failure.
    pub(crate) fn cut_off(&self, filters: &Filters, why: impl FnOnce() -> Failure) {
        self.read_ended();
        if self.is_closing() && self.buffered() == 0 {
            filters.part_now(); // it has gone rather than say so: all of ours is sent, and nothing of its is wanted
        } else {
            self.fail(why());
        }
    }

    /// Seals some of what waits; whether there was something.
    pub(crate) fn seal_more(&self) -> bool {
        self.filters().is_some_and(|filters| self.seal(&filters) == Some(Then::Again))
    }

    /// What there is to do for the filters when the socket has taken all, before anybody is told of room or the connection ends. None: nothing.
    fn seal(&self, filters: &Filters) -> Option<Then> {
        let mut out = self.out.borrow_mut();
        filters.seal(&mut out);
        if !out.is_drained() {
            return Some(Then::Again);
        }
        (filters.waiting() > 0).then_some(Then::Wait) // for the peer, to begin
    }

    /// This side's direction ends, or all does. None: the peer has been told, and is not waited for.
    fn part(&self, filters: &Filters) -> Option<Then> {
        if filters.is_beginning() && !filters.is_over() {
            return Some(Then::Wait); // else the peer could not tell this from a failure
        }
        if filters.part(&mut self.out.borrow_mut()) {
            return Some(Then::Again);
        }
        if !self.is_closing() || !filters.is_parting() {
            return None;
        }
        if filters.begin_to_wait() && !filters.begin_deadline(filters.patience(), end_now) {
            filters.part_now(); // without a clock it could be waited for for ever
            return None;
        }
        Some(Then::Wait)
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

    #[cold]
    fn filters_want_read(&self) -> bool {
        let asked = self.is_alive() && self.reading.get() != Reading::Ended;
        asked && self.filters().is_some_and(|filters| filters.needs_bytes(self.is_closing()))
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

    #[cold]
    fn why(&self) -> Option<Failure> {
        self.rare(|rare| rare.why.clone())
    }

    fn drained_rare(&self) -> Option<Then> {
        let filters = self.filters();
        let sealed = filters.as_ref().and_then(|filters| self.seal(filters));
        // Who is closed for an error has not sent all: its end tells those who wait.
        let told = sealed.or_else(|| self.closing_for().is_none().then(|| self.tell_of_room())?);
        let ends = self.is_closing() || self.writing.get() == Writing::Ending;
        if told.is_none() && ends && self.has_passing() {
            self.fail(FileDescriptorOverrun::default().into());
            return Some(Then::Again);
        }
        told.or_else(|| filters.filter(|_| ends).and_then(|filters| self.part(&filters)))
    }

    /// Tells those who wait for room. None if nobody did, and no producer holds an end up.
    fn tell_of_room(&self) -> Option<Then> {
        let waiting = self.rare(|rare| std::mem::take(&mut rare.drained));
        let told = !waiting.is_empty();
        fire_all(waiting, &Ok(()));
        if !self.is_drained() || self.buffered() > 0 {
            return Some(Then::Again);
        }
        if let Some(producer) = self.take_due() {
            self.call("resume_producing", || producer.resume_producing());
            return Some(Then::Again);
        }
        if told {
            return Some(Then::Again);
        }
        let pulls = self.rare(|rare| rare.producer.as_ref().is_some_and(|registered| !registered.streaming));
        pulls.then_some(Then::Wait)
    }

    /// The producer that a resume is due to. It counts as resumed.
    fn take_due(&self) -> Option<Rc<dyn Producer>> {
        self.rare(|rare| {
            let registered = rare.producer.as_mut().filter(|registered| registered.waits)?;
            registered.waits = false;
            Some(registered.producer.clone())
        })
    }

    /// Calls a producer. Its panic is reported, and ends this connection, for which it produces, not that of whoever wrote.
    pub(crate) fn call(&self, what: &'static str, f: impl FnOnce()) {
        if let Err(failure) = report::guarded(f) {
            report::unhandled(what, failure.clone());
            self.fail(failure);
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

/// The peer was waited for long enough.
fn end_now(link: &Link) {
    link.wire().fail(link.wire().why_closed());
}

/// The reason of an end in order.
pub(crate) fn done() -> Failure {
    Failure::of_the_loop(ConnectionDone::default())
}
