//! [`Pools`]: all pools of a reactor.

use super::{Pool, Whose};
use crate::{reactor::core::Core, snapshot::Entry};
use std::{
    cell::{Cell, OnceCell, RefCell},
    ops::RangeInclusive,
    rc::Rc,
};

/// Twisted's.
const SIZE: RangeInclusive<usize> = 0..=10;

/// The pools of a reactor.
#[derive(Default)]
pub(crate) struct Pools {
    /// The one for all. Made when it is first asked for.
    main: OnceCell<Rc<Pool>>,
    all: RefCell<Vec<Rc<Pool>>>,
    open: Cell<bool>,
}

impl Pools {
    pub(crate) fn main(&self, core: &Core) -> &Rc<Pool> {
        self.main.get_or_init(|| Pool::new(core, "pool".to_string(), SIZE, Whose::Program))
    }

    pub(super) fn add(&self, pool: Rc<Pool>) {
        if self.open.get() {
            pool.open();
        }
        let mut all = self.all.borrow_mut();
        // Those that nobody has any more, and that have nothing to do.
        let gone: Vec<_> =
            all.extract_if(.., |pool| Rc::strong_count(pool) == 1 && pool.is_at_rest()).collect();
        all.push(pool);
        drop(all);
        drop(gone);
    }

    pub(crate) fn open(&self) {
        if !self.open.replace(true) {
            self.each(Pool::open);
        }
    }

    /// Waits for all threads.
    pub(crate) fn close(&self) {
        self.open.set(false);
        self.each(Pool::close);
    }

    /// Nothing is borrowed meanwhile: a job in memory is the program's code.
    fn each(&self, f: impl Fn(&Pool)) {
        let all = self.all.borrow().clone();
        all.iter().for_each(|pool| f(pool));
    }

    pub(crate) fn entries(&self, now: u32) -> Vec<Entry> {
        self.all.borrow().iter().flat_map(|pool| pool.entries(now)).collect()
    }
}
