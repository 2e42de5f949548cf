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

    /// The slot has the Deferred that `former` had.
    pub(crate) fn same(&self, slot: i64, former: i64) {
        copy(&mut self.on.borrow_mut(), slot, former);
        let mut lists = self.lists.borrow_mut();
        if lists.contains(&former) {
            lists.insert(slot)
        } else {
            lists.remove(&slot)
        };
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

fn copy<V: Copy>(map: &mut BTreeMap<i64, V>, to: i64, from: i64) {
    match map.get(&from).copied() {
        Some(value) => map.insert(to, value),
        None => map.remove(&to),
    };
}
