//! [`Filter`]: what changes the bytes between a transport and its socket. And [`Filters`], those of one connection.
//!
//! What is written waits here as it is, and is sealed when the socket has taken what was sealed before: so small writes fill whole records, and a peer that
//! does not read holds up both. What comes is opened into a buffer of its own before any code of the user's runs.

use super::{
    data::Outgoing,
    spare::{self, Spare},
    transport::Link,
};
use crate::{
    defer::{Promise, fire_all},
    failure::{Failure, Result},
    time::DelayedCall,
};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    rc::Weak,
    time::Duration,
};

/// One filter, such as TLS. It does no I/O and reads no clock.
pub(crate) trait Filter {
    /// Bytes came from below. What they hold for above is appended to `plain`, also before an error.
    fn open(&mut self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<()>;
    /// Takes from `plain` what it can, and appends to `sealed` what is to leave: its own words too. It stops when enough waits there.
    fn seal(&mut self, plain: &mut Outgoing, sealed: &mut Outgoing);
    /// This side's direction ends after all that was sealed.
    fn close(&mut self);
    fn stage(&self) -> Stage;
    /// Whether the two directions end one by one.
    fn half_closes(&self) -> bool;
    /// Why the connection fails if what is below ends now.
    fn cut_off(&self) -> Failure;
    /// Why it fails when it has taken too long to begin.
    fn late(&self) -> Failure;
    /// This filter, to be found by its type.
    fn as_any(&self) -> &dyn Any;
}

/// How far a filter is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The two sides agree on how to go on; nothing of above passes.
    Beginning,
    /// What is written passes.
    Open,
    /// The peer has said that its direction ends.
    Ended,
}

/// How far this side's end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// It has not been asked for.
    No,
    /// The peer was told; it may be waited for until it says the same.
    Told,
    /// It is waited for.
    Waiting,
    /// Nobody is waited for any more.
    Over,
}

/// The filters of a connection, and what waits between them.
pub(crate) struct Filters {
    /// The lowest first.
    floors: RefCell<Vec<Floor>>,
    /// What came for above and was not told yet.
    plain: RefCell<Vec<u8>>,
    parting: Cell<Parting>,
    /// Whether one of them has begun, and that it is through has not been told.
    begun: Cell<bool>,
    /// Who waits until they are through.
    waiting: RefCell<Vec<Promise<()>>>,
    link: Weak<Link>,
    deadline: Cell<Option<DelayedCall>>,
    /// How long the peer may take to say that it ends too.
    patience: Cell<Duration>,
}

struct Floor {
    filter: Box<dyn Filter>,
    /// What it is to seal.
    waits: Outgoing,
}

thread_local! {
    /// What is opened into.
    static SPARE: Spare = const { Spare::new(512 << 10) };
}

impl Filters {
    pub(super) fn new(link: Weak<Link>) -> Filters {
        Filters {
            floors: RefCell::default(),
            plain: RefCell::default(),
            parting: Cell::new(Parting::No),
            begun: Cell::new(false),
            waiting: RefCell::default(),
            link,
            deadline: Cell::new(None),
            patience: Cell::new(Duration::ZERO),
        }
    }

    // ---- what the transport asks --------------------------------------------------------------------------------

    /// Puts one on top. What was written before stays below it.
    pub(super) fn push(&self, filter: Box<dyn Filter>, patience: Duration) {
        self.floors.borrow_mut().push(Floor { filter, waits: Outgoing::default() });
        self.begun.set(true);
        self.patience.set(patience);
    }

    /// Queues bytes for the uppermost.
    pub(super) fn write(&self, put: impl FnOnce(&mut Outgoing)) {
        if let Some(top) = self.floors.borrow_mut().last_mut() {
            put(&mut top.waits);
        }
    }

    /// How many bytes wait to be sealed.
    pub(super) fn waiting(&self) -> usize {
        self.floors.borrow().iter().map(|floor| floor.waits.len()).sum()
    }

    /// How many bytes came that were not told yet.
    pub(crate) fn held(&self) -> usize {
        self.plain.borrow().len()
    }

    /// Looks at the uppermost of this type.
    pub(crate) fn find<F: 'static, R>(&self, f: impl FnOnce(&F) -> R) -> Option<R> {
        let floors = self.floors.borrow();
        floors.iter().rev().find_map(|floor| floor.filter.as_any().downcast_ref()).map(f)
    }

    pub(super) fn is_beginning(&self) -> bool {
        self.floors.borrow().iter().any(|floor| floor.filter.stage() == Stage::Beginning)
    }

    pub(crate) fn wait(&self, promise: Promise<()>) {
        self.waiting.borrow_mut().push(promise);
    }

    // ---- in -----------------------------------------------------------------------------------------------------

    /// Bytes came from the socket. What they hold can be [taken](Self::take), also before an error.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<()> {
        let mut floors = self.floors.borrow_mut();
        let mut plain = self.plain.borrow_mut();
        if plain.capacity() == 0 {
            *plain = spare::take(&SPARE);
        }
        let Some((top, below)) = floors.split_last_mut() else { return Ok(()) };
        let (mut opened, mut failed) = (None::<Vec<u8>>, Ok(()));
        for floor in below {
            let mut next = Vec::new();
            failed = failed.and(floor.filter.open(opened.as_deref().unwrap_or(sealed), &mut next));
            opened = Some(next); // what was good before an error, too
        }
        failed.and(top.filter.open(opened.as_deref().unwrap_or(sealed), &mut plain))?;
        let cut = top.filter.stage() != Stage::Ended
            && floors.iter().any(|floor| floor.filter.stage() == Stage::Ended);
        if cut { Err(self.cut_off_at(&floors)) } else { Ok(()) }
    }

    fn cut_off_at(&self, floors: &[Floor]) -> Failure {
        floors.last().map_or_else(super::wire::done, |top| top.filter.cut_off())
    }

    /// Takes what came for above.
    pub(super) fn take(&self) -> Vec<u8> {
        self.plain.take()
    }

    /// Gives the buffer back.
    pub(super) fn give_back(&self, plain: Vec<u8>) {
        spare::give(&SPARE, plain);
    }

    /// The peer has said that its direction ends, and all before it was told.
    pub(super) fn has_ended(&self) -> bool {
        self.held() == 0 && self.top_stage() == Some(Stage::Ended)
    }

    pub(super) fn half_closes(&self) -> bool {
        self.floors.borrow().iter().all(|floor| floor.filter.half_closes())
    }

    fn top_stage(&self) -> Option<Stage> {
        self.floors.borrow().last().map(|floor| floor.filter.stage())
    }

    /// Whether bytes are to be read for the filters' own sake, whatever is above.
    pub(super) fn needs_bytes(&self, closing: bool) -> bool {
        match self.parting.get() {
            Parting::No => self.is_beginning(),
            // If only one direction has ended, who reads the other one says when.
            Parting::Told | Parting::Waiting => closing && self.top_stage() == Some(Stage::Open),
            Parting::Over => false,
        }
    }

    /// What is below has ended. Why that is a failure, unless the peer had said so before.
    pub(super) fn cut_off(&self) -> Option<Failure> {
        let ended = self.top_stage() == Some(Stage::Ended);
        (!ended).then(|| self.cut_off_at(&self.floors.borrow()))
    }

    /// Who waited until all are through, if they are now and that is news.
    pub(super) fn through(&self) -> Option<Vec<Promise<()>>> {
        if self.is_beginning() || !self.begun.replace(false) {
            return None;
        }
        self.set_deadline(None);
        Some(self.waiting.take())
    }

    // ---- out ----------------------------------------------------------------------------------------------------

    /// Seals what can be, for the socket.
    pub(super) fn seal(&self, out: &mut Outgoing) {
        let mut floors = self.floors.borrow_mut();
        for at in (0..floors.len()).rev() {
            let (below, floor) = floors.split_at_mut(at);
            let under = below.last_mut().map_or(&mut *out, |floor| &mut floor.waits);
            floor[0].filter.seal(&mut floor[0].waits, under);
        }
    }

    /// Nothing waits and this side's direction ends: the peer is told. False if that was done.
    pub(super) fn part(&self, out: &mut Outgoing) -> bool {
        if self.parting.get() != Parting::No {
            return false;
        }
        self.parting.set(Parting::Told);
        let mut floors = self.floors.borrow_mut();
        for at in (0..floors.len()).rev() {
            let (below, floor) = floors.split_at_mut(at);
            let under = below.last_mut().map_or(&mut *out, |floor| &mut floor.waits);
            let Floor { filter, waits } = &mut floor[0];
            filter.seal(waits, under); // what the filter above has just said
            filter.close();
            filter.seal(waits, under);
        }
        true
    }

    /// The connection ends without a word of the peer's: nothing more passes.
    pub(super) fn part_now(&self) {
        self.parting.set(Parting::Over);
    }

    /// It ends for an error: what waits will not be sent. What a filter has to say of it will.
    pub(super) fn fail(&self) {
        self.part_now();
        self.plain.take();
        self.floors.borrow_mut().iter_mut().for_each(|floor| floor.waits.clear());
    }

    /// Whether what is written can still be sealed: not after the word that this side ends.
    pub(super) fn takes_bytes(&self) -> bool {
        self.parting.get() == Parting::No
    }

    pub(super) fn is_over(&self) -> bool {
        self.parting.get() == Parting::Over
    }

    /// Whether this side has told the peer of the end, and the peer is still to say the same.
    pub(super) fn is_parting(&self) -> bool {
        matches!(self.parting.get(), Parting::Told | Parting::Waiting)
            && self.top_stage() == Some(Stage::Open)
    }

    /// It is waited for from now on: true if that is news.
    pub(super) fn begin_to_wait(&self) -> bool {
        self.parting.replace(Parting::Waiting) != Parting::Waiting
    }

    // ---- time ---------------------------------------------------------------------------------------------------

    /// The peer has so long, and then `late` is done. A former deadline is none any more. False if there is no clock.
    pub(super) fn begin_deadline(&self, after: Duration, late: fn(&Link)) -> bool {
        self.set_deadline(None);
        let Some(link) = self.link.upgrade() else { return false };
        let Some(below) = &link.wire().below else { return false };
        let weak = self.link.clone();
        let call = move || {
            if let Some(link) = weak.upgrade() {
                late(&link);
                super::Transport { link }.touch();
            }
        };
        let call = below.call_later(after, Box::new(call));
        let ticks = call.is_some();
        self.set_deadline(call);
        ticks
    }

    /// How long the peer is waited for at the end.
    pub(super) fn patience(&self) -> Duration {
        self.patience.get()
    }

    fn set_deadline(&self, call: Option<DelayedCall>) {
        if let Some(former) = self.deadline.replace(call) {
            let _ = former.cancel(); // it may be what came here
        }
    }

    /// Why it fails that a filter has not begun in time.
    pub(super) fn late(&self) -> Option<Failure> {
        let floors = self.floors.borrow();
        let late = floors.iter().find(|floor| floor.filter.stage() == Stage::Beginning)?;
        Some(late.filter.late())
    }

    /// The connection is over.
    pub(super) fn end(&self, why: &Failure) {
        self.set_deadline(None);
        fire_all(self.waiting.take(), &Err(why.clone()));
    }
}
