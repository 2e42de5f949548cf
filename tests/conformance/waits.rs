//! Which cancels Twisted loses: who waits for whom, as far as that takes.

use crate::divergences::LIST_CANCEL;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    iter,
};

/// Who waits for whom, by slots, and which slots are lists.
///
/// A list of Twisted's that is cancelled cancels its children while it has not fired, and nothing else ever. So a cancel
/// ends at a list that has fired and waits for what its stages gave.
#[derive(Default)]
pub(crate) struct Waits {
    /// What a chain has waited for last.
    on: RefCell<BTreeMap<i64, i64>>,
    lists: RefCell<BTreeSet<i64>>,
}

impl Waits {
    /// A handler of the chain in this slot gives the Deferred of another one to wait for.
    pub(crate) fn wait(&self, slot: i64, on: i64) {
        self.on.borrow_mut().insert(slot, on);
    }

    pub(crate) fn is_list(&self, slot: i64) {
        self.lists.borrow_mut().insert(slot);
    }

    /// The slot does not wait for the Deferred that `former` had, as its handler has told: it has that very one.
    pub(crate) fn same(&self, slot: i64, former: i64) {
        let mut on = self.on.borrow_mut();
        match on.get(&former).copied() {
            Some(further) => on.insert(slot, further),
            None => on.remove(&slot),
        };
        let is_list = self.lists.borrow().contains(&former);
        if is_list {
            self.is_list(slot);
        }
    }

    /// How Twisted loses a cancel of this slot, if it does.
    ///
    /// What a chain has waited for last may be over. Then the chain does not wait any more, and a cancel of it, or of
    /// what waits for it, does nothing, here as there: so it may be taken for a lost one.
    pub(crate) fn loses_cancel_of(&self, slot: i64) -> Option<&'static str> {
        let (on, lists) = (self.on.borrow(), self.lists.borrow());
        let mut way = iter::successors(Some(slot), |slot| on.get(slot).copied());
        way.any(|slot| lists.contains(&slot) && on.contains_key(&slot)).then_some(LIST_CANCEL)
    }
}
