//! A descriptor that is waited for once.

use super::{close, proved, watch};
use crate::{
    defer::{Deferred, Promise},
    error::ReactorNotRunning,
    failure::{Failure, Result},
    protocol::socket::{Interest, OwnedSocket},
    reactor::{
        core::{Core, Socket},
        driver::Ready,
    },
    snapshot::here::Birth,
    trace::Place,
};
use std::{cell::Cell, io, os::fd::BorrowedFd, rc::Rc};

/// Somebody who waits.
struct Once {
    copy: OwnedSocket,
    promise: Cell<Option<Promise<()>>>,
    birth: Birth,
}

/// Fires when the descriptor is ready, or if the system cannot tell.
pub(super) fn wait(
    core: &Rc<Core>,
    descriptor: BorrowedFd<'_>,
    interest: Interest,
    place: Place,
) -> Deferred<()> {
    match begin(core, descriptor, interest, place) {
        Ok(Some(waits)) => waits,
        Ok(None) => Deferred::ready_at(Ok(()), place),
        Err(error) => Deferred::ready_at(Err(error.into()), place),
    }
}

fn begin(
    core: &Rc<Core>,
    descriptor: BorrowedFd<'_>,
    interest: Interest,
    place: Place,
) -> io::Result<Option<Deferred<()>>> {
    let copy = core.driver.adopt(descriptor.try_clone_to_owned()?)?.into();
    let once = Rc::new(Once { copy, promise: Cell::default(), birth: Birth::at(place) });
    core.add(&once.copy, once.clone());
    match watch(core, &once.copy, interest) {
        Ok(true) => {}
        told => {
            core.close_socket(&once.copy);
            return told.map(|_| None);
        }
    }
    let (weak, of) = (Rc::downgrade(&once), Rc::downgrade(core));
    let (deferred, promise) = Deferred::cancellable_at(place, move |_promise| {
        if let (Some(once), Some(core)) = (weak.upgrade(), of.upgrade()) {
            once.end(&core);
        }
    });
    once.promise.set(Some(promise));
    Ok(Some(deferred))
}

impl Once {
    /// It is watched no more.
    fn end(&self, core: &Core) -> Option<Promise<()>> {
        close(core, &self.copy);
        self.promise.take()
    }

    fn fire(&self, core: &Core, result: Result<()>) {
        if let Some(promise) = self.end(core) {
            promise.fire_at(result, self.birth.place);
        }
    }
}

impl Socket for Once {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        let (asked, ready) = (self.copy.watched(), proved(&self.copy, ready));
        if (ready.read && asked.read) || (ready.write && asked.write) {
            self.fire(core, Ok(()));
        }
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, _why: Failure) {
        self.fire(core, Err(Failure::quiet(ReactorNotRunning::default())));
    }

    fn serial(&self) -> u32 {
        self.birth.serial
    }
}
