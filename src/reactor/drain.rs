//! An orderly stop that lets the connections of its ports come to their end, up to a deadline.

use super::{core::Core, triggers::Phase};
use crate::defer::{Deferred, gather_results, succeed};
use std::{collections::BTreeSet, rc::Rc, time::Duration};

impl Core {
    /// A stop was asked for. It is one of what "shutdown" waits for; the triggers of the program are called before it.
    pub(crate) fn drain_before_shutdown(self: &Rc<Self>) {
        let Some(deadline) = self.draining.get() else { return };
        let this = Rc::downgrade(self);
        self.triggers.add(Phase::Before, "shutdown", move || match this.upgrade() {
            Some(core) => core.drain(deadline),
            None => succeed(()),
        });
    }

    /// All ports stop; done when none of their connections is open. Those of ports that were stopped before are waited for too.
    fn drain(self: &Rc<Self>, deadline: Duration) -> Deferred<()> {
        let (mut seen, mut drains) = (BTreeSet::new(), vec![]);
        for socket in self.all_sockets() {
            let Some(owner) = socket.accepts().or_else(|| socket.owner()) else { continue };
            if seen.insert(std::ptr::from_ref(owner).cast::<()>()) {
                drains.extend(owner.drain(deadline));
            }
        }
        gather_results(drains).map(tell)
    }
}

/// How many were open at the deadline.
fn tell(aborted: Vec<usize>) {
    let aborted: usize = aborted.into_iter().sum();
    if aborted > 0 {
        tracing::warn!(aborted, "connections were open at the deadline of the stop and were aborted");
    }
}
