//! What is to come from other threads, by the number of the job that brings it.

use super::core::Core;
use crate::{
    defer::{Canceller, Deferred, Promise},
    failure::Result,
    trace::Place,
};
use std::{any::Any, cell::RefCell, collections::BTreeMap, rc::Rc};

/// The promises of what other threads are to bring. They fail with the end of the run, whoever has the work.
#[derive(Default)]
pub(crate) struct Awaited(RefCell<BTreeMap<u32, Box<dyn Any>>>);

impl Awaited {
    /// Fires the promise of that number, if it is still there.
    pub(crate) fn fire<T: 'static>(&self, number: u32, result: Result<T>, place: Place) {
        let promise = self.0.borrow_mut().remove(&number);
        if let Some(promise) = promise.and_then(|promise| promise.downcast::<Promise<T>>().ok()) {
            promise.fire_at(result, place);
        }
    }

    fn forget(&self, number: u32) {
        let promise = self.0.borrow_mut().remove(&number);
        drop(promise);
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

/// A Deferred for what another thread brings under that number. `stop` is called if it is cancelled before.
pub(crate) fn awaited<T: 'static>(
    core: &Rc<Core>,
    number: u32,
    place: Place,
    stop: impl FnOnce() + 'static,
) -> Deferred<T> {
    let weak = Rc::downgrade(core);
    let cancel = move |promise| {
        if let Some(core) = weak.upgrade() {
            core.awaited.forget(number);
        }
        stop();
        drop(promise); // which fails it
    };
    let (deferred, promise) = Deferred::driven(place, core.driven.clone(), Canceller::Once(Box::new(cancel)));
    core.awaited.0.borrow_mut().insert(number, Box::new(promise));
    deferred
}
