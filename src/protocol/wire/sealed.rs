//! The wire of a connection whose bytes are changed on their way, by [`Filters`].

use super::{Life, Reading, Then, Wire, Writing};
use crate::{
    failure::Failure,
    protocol::{
        filter::{Filter, Filters},
        transport::Link,
    },
};
use std::{rc::Rc, time::Duration};

impl Wire {
    #[inline]
    pub(crate) fn filters(&self) -> Option<Rc<Filters>> {
        if self.has_rare() { self.rare_filters() } else { None }
    }

    #[cold]
    pub(super) fn rare_filters(&self) -> Option<Rc<Filters>> {
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
    pub(super) fn filters_are_late(&self) {
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

    /// What is below the filters has ended. Unless the peer has said so, that is this failure.
    pub(crate) fn cut_off(&self, filters: &Filters, why: impl FnOnce() -> Failure) {
        self.read_ended();
        if self.is_closing() && self.buffered() == 0 {
            filters.part_now(); // it has gone rather than say so: all of ours is sent, and nothing of its is wanted
        } else {
            self.fail(why());
        }
    }

    #[cold]
    pub(super) fn filters_want_read(&self) -> bool {
        let asked = self.is_alive() && self.reading.get() != Reading::Ended;
        asked && self.filters().is_some_and(|filters| filters.needs_bytes(self.is_closing()))
    }

    /// Seals some of what waits; whether there was something.
    pub(crate) fn seal_more(&self) -> bool {
        self.filters().is_some_and(|filters| self.seal(&filters) == Some(Then::Again))
    }

    /// What there is to do for the filters when the socket has taken all, before anybody is told of room or the connection ends. None: nothing.
    pub(super) fn seal(&self, filters: &Filters) -> Option<Then> {
        let mut out = self.out.borrow_mut();
        filters.seal(&mut out);
        if !out.is_drained() {
            return Some(Then::Again);
        }
        (filters.waiting() > 0).then_some(Then::Wait) // for the peer, to begin
    }

    /// This side's direction ends, or all does. None: the peer has been told, and is not waited for.
    pub(super) fn part(&self, filters: &Filters) -> Option<Then> {
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
}

/// The peer was waited for long enough.
fn end_now(link: &Link) {
    link.wire().fail(link.wire().why_closed());
}
