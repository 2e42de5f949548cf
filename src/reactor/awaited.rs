//! What is to come from other threads, by the number of the job that brings it.

use super::{
    core::Core,
    pool::{Pool, Work},
};
use crate::{failure::Result, report, snapshot::here::Birth};
use std::{any::Any, cell::RefCell, collections::BTreeMap};

/// Who waits for what other threads bring. They are let go at the end of the run, whoever has the work.
#[derive(Default)]
pub(crate) struct Awaited(RefCell<BTreeMap<u32, Box<dyn Any>>>);

/// Is told what has come.
type Then<T> = Box<dyn FnOnce(Result<T>)>;

impl Awaited {
    /// `then` waits for what comes under that number.
    pub(crate) fn insert<T: 'static>(&self, number: u32, then: impl FnOnce(Result<T>) + 'static) {
        let then: Then<T> = Box::new(then);
        self.0.borrow_mut().insert(number, Box::new(then));
    }

    /// It has come. If nobody waits, it is let go.
    pub(crate) fn bring<T: 'static>(&self, number: u32, result: Result<T>) {
        let then = self.0.borrow_mut().remove(&number);
        if let Some(then) = then.and_then(|then| then.downcast::<Then<T>>().ok()) {
            then(result);
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn forget(&self, number: u32) {
        let then = self.0.borrow_mut().remove(&number);
        drop(then);
    }

    /// Has `f` called in a thread of the pool, and `then` with the result, in the reactor's, before the timers of its turn.
    pub(crate) fn have_done<T: Send + 'static>(
        &self,
        core: &Core,
        pool: &Pool,
        birth: Birth,
        f: impl FnOnce() -> Result<T> + Send + 'static,
        then: impl FnOnce(Result<T>) + 'static,
    ) {
        let (number, mailbox) = (birth.serial, core.mailbox.clone());
        self.insert(number, then);
        let work: Work = Box::new(move |begun| {
            let result = begun.and_then(|()| report::guarded(f)?);
            Some(Box::new(move || {
                // If the reactor is closed, nobody waits.
                let _ = mailbox.put(birth.place, Box::new(move |core| core.awaited.bring(number, result)));
            }))
        });
        pool.put(birth, work);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The run is over.
    pub(crate) fn let_go(&self) {
        let all = self.0.take();
        drop(all);
    }
}
