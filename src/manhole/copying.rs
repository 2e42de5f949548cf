//! A snapshot in slices, a turn each, so that a large table holds nobody up.

use crate::{
    protocol::socket::Token,
    reactor::{Read, Reading, core::Core},
};
use std::{cell::Cell, rc::Rc};

/// So many things are copied in one turn.
const SLICE: usize = 4096;

/// A copying that may be under way.
#[derive(Default)]
pub(super) struct Copying(Cell<Option<Reading>>);

impl Copying {
    /// Begins, unless one is under way. The socket is served until it is done.
    pub(super) fn begin(&self, core: &Rc<Core>, token: Token) {
        let reading = self.0.take().unwrap_or_else(|| Reading::of(core));
        self.0.set(Some(reading));
        core.touch(token);
    }

    /// Copies one more slice. What was read, when that was the last one; else the socket is served again in the next turn.
    pub(super) fn go_on(&self, core: &Core, token: Token) -> Option<Read> {
        let mut reading = self.0.take()?;
        if !reading.read(SLICE) {
            return Some(reading.finish());
        }
        self.0.set(Some(reading));
        core.touch(token);
        None
    }

    /// It is not needed any more.
    pub(super) fn stop(&self) {
        drop(self.0.take());
    }
}
