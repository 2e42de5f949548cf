//! What is called before, during and after a system event.

use crate::defer::{Deferred, DeferredList, IntoDeferred, maybe_deferred};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

/// A phase of a system event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// First. The event waits for the Deferreds that these triggers give.
    Before,
    /// Then.
    During,
    /// Last.
    After,
}

/// Names a trigger, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TriggerId(u64);

struct Trigger {
    id: TriggerId,
    call: Box<dyn FnOnce() -> Deferred<()>>,
}

/// The triggers of one event, by phase.
#[derive(Default)]
struct Phases([Vec<Trigger>; 3]);

#[derive(Clone, Default)]
pub(crate) struct Triggers {
    /// By name, so that those that are never fired are dropped in the same order in each run.
    events: Rc<RefCell<BTreeMap<&'static str, Phases>>>,
    ids: Rc<Cell<u64>>,
}

impl Triggers {
    #[track_caller]
    pub(crate) fn add<R: IntoDeferred>(
        &self,
        phase: Phase,
        event: &'static str,
        f: impl FnOnce() -> R + 'static,
    ) -> TriggerId {
        let id = TriggerId(self.ids.get());
        self.ids.set(id.0 + 1);
        let call = Box::new(move || maybe_deferred(f).map(|_| ()));
        self.events.borrow_mut().entry(event).or_default().0[phase as usize].push(Trigger { id, call });
        id
    }

    pub(crate) fn remove(&self, id: TriggerId) -> bool {
        let mut events = self.events.borrow_mut();
        let removed = events.values_mut().flat_map(|phases| &mut phases.0).find_map(|triggers| {
            let at = triggers.iter().position(|trigger| trigger.id == id)?;
            Some(triggers.remove(at))
        });
        drop(events);
        removed.is_some()
    }

    /// Fires an event. `first` is called at the beginning of its `during` phase, which is inside this call if no `before` trigger gave
    /// something pending; it says whether the event goes on.
    pub(crate) fn fire(&self, event: &'static str, first: impl FnOnce() -> bool + 'static) {
        let mut waited_for = vec![];
        while let Some(trigger) = self.next(event, Phase::Before) {
            waited_for.push((trigger.call)());
        }
        let triggers = self.clone();
        // Failures among them are reported, and count as done.
        let ready = DeferredList::new(waited_for).into_deferred();
        ready.add_both(move |_| {
            if first() {
                triggers.call_all(event, Phase::During);
                triggers.call_all(event, Phase::After);
            }
        });
    }

    fn call_all(&self, event: &'static str, phase: Phase) {
        while let Some(trigger) = self.next(event, phase) {
            // What it gives is not waited for; a failure is reported when it is dropped.
            drop((trigger.call)());
        }
    }

    /// The next trigger, which is then forgotten: one may take back another that is still to come.
    fn next(&self, event: &'static str, phase: Phase) -> Option<Trigger> {
        let mut events = self.events.borrow_mut();
        let triggers = &mut events.get_mut(event)?.0[phase as usize];
        (!triggers.is_empty()).then(|| triggers.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dropped(&'static str, Rc<RefCell<Vec<&'static str>>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    /// In the order of a table with a random hash, what was dropped last differed from run to run.
    #[test]
    fn triggers_that_are_never_fired_are_dropped_in_the_order_of_their_events() {
        let (triggers, order) = (Triggers::default(), Rc::<RefCell<Vec<_>>>::default());
        for event in ["h", "c", "a", "f", "b", "g", "e", "d"] {
            let dropped = Dropped(event, order.clone());
            triggers.add(Phase::During, event, move || drop(dropped));
        }
        drop(triggers);
        assert_eq!(*order.borrow(), ["a", "b", "c", "d", "e", "f", "g", "h"]);
    }
}
