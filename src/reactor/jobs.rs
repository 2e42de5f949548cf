//! Work of a reactor on other threads, for who looks at what is pending.

use crate::{
    snapshot::{Entry, Kind, here::Birth},
    trace::Place,
};
use slab::Slab;
use std::{cell::RefCell, rc::Rc};

/// What is under way. A cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Jobs(Rc<RefCell<Slab<(Birth, String)>>>);

impl Jobs {
    /// A job begins; it is over when the guard goes.
    pub(crate) fn begin(&self, what: String, place: Place) -> Job {
        let birth = Birth::at(place);
        let key = self.0.borrow_mut().insert((birth, what));
        Job { jobs: self.clone(), key, serial: birth.serial }
    }

    pub(crate) fn entries(&self, now: u32) -> Vec<Entry> {
        let entry = |(birth, what): &(Birth, String)| Entry::of(birth, Kind::Job { what: what.clone() }, now);
        self.0.borrow().iter().map(|(_, job)| entry(job)).collect()
    }
}

/// A job that is under way.
pub(crate) struct Job {
    jobs: Jobs,
    key: usize,
    serial: u32,
}

impl Job {
    /// Its number, for the Deferred that waits for it.
    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        drop(self.jobs.0.borrow_mut().try_remove(self.key));
    }
}
