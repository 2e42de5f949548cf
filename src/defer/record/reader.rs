//! Copies the records out, for who looks at what is pending.

use super::{Below, Record, Role, with};
use crate::{
    defer::chain::Peek,
    snapshot::{Entry, Kind, STAGES, State, age, here, some},
    trace::Place,
};
use std::rc::Rc;

/// At most so many nodes are looked at from one source, so that a chain of millions does not hold the loop up.
const NODES: usize = 100_000;

/// Copies the records of this thread out, all at once or in slices. It runs no code of anybody's.
#[derive(Default)]
pub(crate) struct Reader {
    /// The reactor whose records are read, and those of none. None is all.
    of: Option<u32>,
    next: usize,
    entries: Vec<Entry>,
    /// The stages of chains that wait, which are found from the source of what they wait for.
    stages: Vec<(u32, Stages)>,
}

/// The stages of a chain that are still to run.
#[derive(Default)]
struct Stages {
    places: Vec<Place>,
    more: usize,
}

impl Stages {
    fn push(&mut self, place: Place) {
        if self.places.len() < STAGES { self.places.push(place) } else { self.more += 1 }
    }
}

impl Reader {
    pub(crate) fn of(reactor: u32) -> Reader {
        Reader { of: Some(reactor), ..Reader::default() }
    }

    /// Looks at the next so many records; whether there are more.
    pub(crate) fn read(&mut self, at_most: usize) -> bool {
        with(|r| {
            let all = r.all.borrow();
            let polled = r.polling.take();
            let end = self.next.saturating_add(at_most).min(all.len());
            for record in &all[self.next.min(end)..end] {
                let is_polled = polled.as_ref().is_some_and(|polled| Rc::ptr_eq(polled, record));
                if let Some(entry) = record.read(self.of, is_polled) {
                    self.entries.push(entry);
                    self.walk(record);
                }
            }
            r.polling.set(polled);
            self.next = end;
            end < all.len()
        })
    }

    /// From what is unfired or paused along its stages, and on into the chain that waits for it, and so on.
    fn walk(&mut self, record: &Rc<Record>) {
        let Some(mut next) = record.first() else { return };
        let (mut record, mut stages) = (record.clone(), Stages::default());
        for _ in 0..NODES {
            match next {
                Peek::Stage(stage) => {
                    stages.push(stage.place());
                    next = stage.peek();
                }
                Peek::Outer(stage) => {
                    self.stages.push((record.serial.get(), std::mem::take(&mut stages)));
                    let Some(waiter) = record.waiter() else { return };
                    record = waiter;
                    next = stage.peek();
                }
                Peek::End => break,
            }
        }
        self.stages.push((record.serial.get(), stages));
    }

    /// What was read, in no order.
    pub(crate) fn finish(mut self) -> Vec<Entry> {
        self.stages.sort_unstable_by_key(|(id, _)| *id);
        for entry in &mut self.entries {
            let Ok(at) = self.stages.binary_search_by_key(&entry.id, |(id, _)| *id) else { continue };
            let found = std::mem::take(&mut self.stages[at].1);
            (entry.then, entry.more) = (found.places, found.more);
        }
        self.entries
    }
}

impl Record {
    fn state(&self) -> State {
        if self.pauses.get() > 0 {
            return State::Paused;
        }
        self.with_below(|below| match below {
            Below::Nothing => State::Firing,
            Below::Chain(_) => State::Waiting,
            Below::Source(_) => match self.role.get() {
                Role::Combined => State::Combined,
                Role::InLine => State::InLine,
                Role::Queued => State::Queued,
                Role::Free | Role::Chain | Role::Task | Role::Blocked => State::Unfired,
            },
        })
    }

    /// The one that waits, if it still does.
    fn waiter(&self) -> Option<Rc<Record>> {
        let link = self.link.take();
        let waiter = link.clone().filter(|w| w.is_alive() && w.serial.get() == self.linked.get());
        self.link.set(link);
        // A task or combinator that is only shown waits no more when it has fired, though its callbacks may go on.
        waiter.filter(|w| self.owns.get() || w.is_unfired())
    }

    #[inline]
    fn read(&self, of: Option<u32>, is_polled: bool) -> Option<Entry> {
        let stamp = self.stamp.get();
        if !self.is_alive() || of.is_some_and(|reactor| stamp.reactor != 0 && stamp.reactor != reactor) {
            return None;
        }
        let state = if is_polled { State::Running } else { self.state() };
        let kind = match self.role.get() {
            Role::Task => Kind::Task(state),
            Role::Blocked => Kind::Blocked,
            _ => Kind::Chain(state),
        };
        let here = here::stamp();
        Some(Entry {
            id: self.serial.get(),
            kind,
            made: self.place.get()?,
            age: (stamp.reactor != 0 && stamp.reactor == here.reactor).then(|| age(here.now, stamp.now)),
            waiter: self.waiter().map(|waiter| waiter.serial.get()),
            made_in: some(stamp.owner),
            holder: some(stamp.holder),
            at: self.at.get().filter(|_| self.with_below(|below| !matches!(below, Below::Nothing))),
            then: Vec::new(),
            more: 0,
        })
    }

    /// What comes after the node that the chain stands at. None of one that waits: that is found from what it waits for.
    #[inline]
    fn first(&self) -> Option<Peek> {
        let parked = self.parked.take();
        let step = parked.as_ref().map(|parked| parked.step.clone());
        self.parked.set(parked);
        let source = self.with_below(|below| match below {
            Below::Source(source) => source.upgrade(),
            Below::Nothing | Below::Chain(_) => None,
        });
        match (step, source) {
            (Some(step), _) => Some(step.peek()),
            (None, source) => source.map(|source| source.peek()),
        }
    }
}

/// The chains of this thread that have no result yet: unfired, waiting for another, or paused.
///
/// It copies plain data and runs no code of anybody's. [`Reactor::snapshot`](crate::Reactor::snapshot) has these and all else.
///
/// # Examples
/// ```
/// use twistor::defer::{Deferred, pending};
/// let (inner, promise) = Deferred::<u8>::pending();
/// let (outer, start) = Deferred::<()>::pending();
/// let outer = outer.add_callback(|()| inner);
/// start.callback(());
///
/// let list = pending();
/// assert_eq!(list.len(), 2);
/// assert_eq!(list[0].waiter, Some(list[1].id)); // the first made is what the second waits for
/// promise.callback(7);
/// assert!(pending().is_empty());
/// # drop(outer);
/// ```
pub fn pending() -> Vec<Entry> {
    let mut reader = Reader::default();
    reader.read(usize::MAX);
    reader.finish()
}
