//! What a stage may give.

use super::{Deferred, deferred::succeed};
use crate::failure::{Failure, Result};

/// What a stage may give: a `Result<U, Failure>`, a `Deferred<U>`, or `()`.
#[diagnostic::on_unimplemented(
    message = "a stage gives `Result<U, Failure>`, `Deferred<U>` or `()`, not `{Self}`",
    label = "not something that a stage can give",
    note = "for a plain value write `Ok(value)`, or use `map`",
    note = "an error becomes a `Failure` by `?` or `.into()`: `Ok(call()?)`, `Err(error.into())`",
    note = "for async code use `add_async`"
)]
pub trait IntoDeferred: 'static {
    /// The type of the value.
    type Output: 'static;
    /// As a Deferred, fired already unless it was one.
    fn into_deferred(self) -> Deferred<Self::Output>;
}

#[diagnostic::do_not_recommend]
impl<U: 'static> IntoDeferred for Result<U, Failure> {
    type Output = U;

    #[inline]
    fn into_deferred(self) -> Deferred<U> {
        match self {
            Ok(value) => succeed(value),
            Err(failure) => Deferred::failed(failure),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<U: 'static> IntoDeferred for Deferred<U> {
    type Output = U;

    #[inline]
    fn into_deferred(self) -> Deferred<U> {
        self
    }
}

#[diagnostic::do_not_recommend]
impl IntoDeferred for () {
    type Output = ();

    #[inline]
    fn into_deferred(self) -> Deferred<()> {
        succeed(())
    }
}

/// The type of `todo!()` and `panic!()`, which edition 2024 infers for a stage that only has that. It can only be named
/// as what such a function returns.
pub trait Ret {
    type Out;
}

impl<T> Ret for fn() -> T {
    type Out = T;
}

#[diagnostic::do_not_recommend]
impl IntoDeferred for <fn() -> ! as Ret>::Out {
    type Output = std::convert::Infallible;

    fn into_deferred(self) -> Deferred<Self::Output> {
        self
    }
}
