//! What a stage may give.

use super::Deferred;
use std::cell::Cell;
use twistor::{Failure, Result, defer as typed};

/// What a stage of a shared chain may give: a `Result<U, Failure>`, a Deferred of either kind, or `()`.
///
/// Python's callback gives a plain value; here that is `Ok(value)`, and `Err(..)` or `?` is its `raise`.
#[diagnostic::on_unimplemented(
    message = "a stage gives `Result<U, Failure>`, a `Deferred<U>` or `()`, not `{Self}`",
    label = "not something that a stage can give",
    note = "for a plain value write `Ok(value)`",
    note = "an error becomes a `Failure` by `?` or `.into()`: `Ok(call()?)`, `Err(error.into())`"
)]
pub trait IntoDeferred: 'static {
    /// The type of the value.
    type Output: 'static;

    /// As a Deferred of twistor's, fired already unless it was one.
    fn into_typed(self) -> typed::Deferred<Self::Output>;

    /// Names the shared chain that it would wait for, so that no chain waits for itself.
    fn chain(&self) -> Option<ChainId> {
        None
    }
}

/// Names a shared chain, among all of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainId(u64);

impl ChainId {
    /// Not the chain's address: its stages outlive it, and another chain may come to be there.
    pub(super) fn next() -> ChainId {
        thread_local! {
            static LAST: Cell<u64> = const { Cell::new(0) };
        }
        let id = LAST.get() + 1;
        LAST.set(id);
        ChainId(id)
    }
}

/// What an errback of a chain of `T` may give: a `T` in one of the ways of [`IntoDeferred`], or nothing.
///
/// Who gives nothing ends the chain: later stages find no `T`. Twisted's `addErrback(log.err)` is of this kind.
#[diagnostic::on_unimplemented(
    message = "an errback gives `Result<{T}, Failure>`, a `Deferred<{T}>` or `()`, not `{Self}`",
    label = "not what this errback can give",
    note = "the value that an errback gives takes the place of the chain's, so it is of the same type",
    note = "where a callback before it changed the type, add the errback to the handle which that one gave"
)]
pub trait Handled<T>: IntoDeferred {}

#[diagnostic::do_not_recommend]
impl<U: 'static> IntoDeferred for Result<U, Failure> {
    type Output = U;

    fn into_typed(self) -> typed::Deferred<U> {
        match self {
            Ok(value) => typed::succeed(value),
            Err(failure) => typed::fail(failure),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<U: 'static> IntoDeferred for Deferred<U> {
    type Output = U;

    fn into_typed(self) -> typed::Deferred<U> {
        self.into()
    }

    fn chain(&self) -> Option<ChainId> {
        Some(self.id())
    }
}

#[diagnostic::do_not_recommend]
impl<U: 'static> IntoDeferred for typed::Deferred<U> {
    type Output = U;

    fn into_typed(self) -> typed::Deferred<U> {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoDeferred for () {
    type Output = ();

    fn into_typed(self) -> typed::Deferred<()> {
        typed::succeed(())
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static> Handled<T> for Result<T, Failure> {}

#[diagnostic::do_not_recommend]
impl<T: 'static> Handled<T> for Deferred<T> {}

#[diagnostic::do_not_recommend]
impl<T: 'static> Handled<T> for typed::Deferred<T> {}

#[diagnostic::do_not_recommend]
impl<T> Handled<T> for () {}
