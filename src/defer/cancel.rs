//! [`CancelHandle`]: to cancel a Deferred whose handle is elsewhere.

use super::record::{self, Id};
use std::{fmt, marker::PhantomData, panic::Location, rc::Rc};

/// Cancels a chain whose Deferred was handed to a stage, is awaited, or is in a list; from
/// [`Deferred::cancel_handle`](super::Deferred::cancel_handle).
///
/// It names the chain and keeps nothing alive. When the chain has its result, it does nothing.
///
/// # Examples
/// ```
/// use twistor::defer::{Deferred, succeed};
/// use twistor::error::CancelledError;
///
/// let (inner, _promise) = Deferred::<u8>::pending();
/// let stop = inner.cancel_handle();
/// let outer = succeed(()).add_callback(|()| inner); // the chain has the handle now
/// stop.cancel();
/// assert!(outer.now().unwrap().unwrap_err().check::<CancelledError>());
/// ```
#[derive(Clone, Copy)]
pub struct CancelHandle {
    id: Id,
    /// The chain is of this thread.
    thread: PhantomData<Rc<()>>,
}

impl CancelHandle {
    pub(super) fn new(id: Id) -> CancelHandle {
        CancelHandle { id, thread: PhantomData }
    }

    /// Cancels the chain as [`Deferred::cancel`](super::Deferred::cancel) does.
    #[track_caller]
    pub fn cancel(self) {
        record::cancel(self.id, Location::caller());
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").finish_non_exhaustive()
    }
}
