//! What few connections have: a producer, who waits for room, a limit of its own, descriptors on their way. All of it stands in one box, and what asks for
//! it is out of the way of those that have none.

use super::{HIGH_WATER, Then, WRITE_LIMIT, Wire, Writing};
use crate::{
    defer::{Promise, fire_all},
    error::FileDescriptorOverrun,
    failure::Failure,
    protocol::{data::Outgoing, filter::Filters, passing::Passing, producer::Producer},
    report,
    snapshot::{age, here},
};
use std::{os::fd::OwnedFd, rc::Rc, time::Duration};

/// Producers pause when more descriptors than this wait; Twisted's `_fileDescriptorBufferSize`.
const MANY_DESCRIPTORS: usize = 64;

/// What few connections have.
pub(super) struct Rare {
    pub(super) producer: Option<Registered>,
    pub(super) drained: Vec<Promise<()>>,
    pub(super) limit: usize,
    /// Why it is failing, while it is; or closing, if that is for a reason.
    pub(super) why: Option<Failure>,
    /// Descriptors that wait to be sent.
    pub(super) passing: Option<Box<Passing>>,
    pub(super) filters: Option<Rc<Filters>>,
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

pub(super) struct Registered {
    pub(super) producer: Rc<dyn Producer>,
    streaming: bool,
    /// A resume is due when all is sent: a push producer was paused, or a pull producer's piece is on its way.
    waits: bool,
    /// Since when, as in a [`Stamp`](crate::snapshot::here::Stamp).
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
    pub(super) fn rare<R>(&self, f: impl FnOnce(&mut Rare) -> R) -> R {
        let mut rare = self.rare.take().unwrap_or_default();
        let result = f(&mut rare);
        self.rare.set(Some(rare));
        self.has_rare.set(true);
        result
    }

    /// Gives the producer to be paused, for the connection has failed, and it may have done so in this very call. Nothing waits, so nothing else would pause it,
    /// and who writes until it is paused would do so for ever.
    #[cold]
    pub(super) fn write_in_vain(&self) -> Option<Rc<dyn Producer>> {
        if self.is_alive() || !self.has_rare() {
            return None;
        }
        self.rare(|rare| {
            let registered = rare.producer.as_mut()?;
            registered.written(true).then(|| registered.producer.clone())
        })
    }

    /// The same of a connection that has filters, a producer, or a limit of its own.
    #[inline(never)]
    pub(super) fn write_rare(&self, put: impl FnOnce(&mut Outgoing)) -> Option<Rc<dyn Producer>> {
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
    pub(super) fn filled(&self) -> Option<Rc<dyn Producer>> {
        let full = self.buffered() > HIGH_WATER;
        self.rare(|rare| {
            let registered = rare.producer.as_mut()?;
            registered.written(full).then(|| registered.producer.clone())
        })
    }

    pub(super) fn limit(&self) -> usize {
        if self.has_rare() { self.rare(|rare| rare.limit) } else { WRITE_LIMIT }
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.rare(|rare| rare.limit = limit);
    }

    /// An end waits for a pull producer, which may have had nothing to write when it was asked: as in Twisted, it is asked again.
    pub(super) fn ask_once_more(&self) {
        if self.has_rare() {
            self.rare(|rare| rare.producer.iter_mut().for_each(|r| r.waits |= !r.streaming));
        }
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

    pub(super) fn producer_paused(&self, now: u32) -> Option<Duration> {
        if !self.has_rare() {
            return None;
        }
        self.rare(|rare| {
            let paused = rare.producer.as_ref().filter(|registered| registered.waits && registered.streaming);
            paused.map(|registered| age(now, registered.since))
        })
    }

    #[cold]
    pub(super) fn why(&self) -> Option<Failure> {
        self.rare(|rare| rare.why.clone())
    }

    pub(super) fn drained_rare(&self) -> Option<Then> {
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
    pub(super) fn tell_of_room(&self) -> Option<Then> {
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
    pub(super) fn take_due(&self) -> Option<Rc<dyn Producer>> {
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
}
