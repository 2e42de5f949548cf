//! Twisted's `twisted.internet.defer`: the Deferred that everybody shares, and what is made of several.
//!
//! | file | idea |
//! |---|---|
//! | `deferred` | [`Deferred`], the handle |
//! | `chain` | the one chain of twistor's behind all handles of a Deferred |
//! | `value` | values of any type, and [`WrongType`] |
//! | `into` | [`IntoDeferred`], [`Handled`]: what a stage may give |
//! | `list` | [`DeferredList`], [`gather_results`], [`race`] |
//! | `sync` | [`DeferredLock`], [`DeferredSemaphore`], [`DeferredQueue`] |

mod chain;
mod deferred;
mod into;
mod list;
mod sync;
mod value;

pub use chain::AlreadyCalledError;
pub use deferred::Deferred;
pub use into::{ChainId, Handled, IntoDeferred};
pub use list::{DeferredList, Listed, gather_results, race};
pub use sync::{DeferredLock, DeferredQueue, DeferredSemaphore};
#[doc(inline)]
pub use twistor::error::{
    CancelledError, FailureGroup, FirstError, QueueOverflow, QueueUnderflow, TimeoutError,
};
pub use value::WrongType;

use std::future::Future;
use twistor::{Failure, Result, defer as typed};

/// A Deferred that has fired with a value.
#[track_caller]
pub fn succeed<T: 'static>(value: T) -> Deferred<T> {
    typed::succeed(value).into()
}

/// A Deferred that has failed.
#[track_caller]
pub fn fail<T: 'static>(failure: impl Into<Failure>) -> Deferred<T> {
    typed::fail(failure).into()
}

/// Calls `f`, and gives what it gives as a Deferred; a panic is a failure.
///
/// # Examples
/// ```
/// use twisted::internet::defer::maybe_deferred;
/// let port = maybe_deferred(|| Ok("http".parse::<u16>()?));
/// assert!(port.result().unwrap().unwrap_err().check::<std::num::ParseIntError>());
/// ```
#[doc(alias = "maybeDeferred")]
#[doc(alias = "execute")]
#[track_caller]
pub fn maybe_deferred<R: IntoDeferred>(f: impl FnOnce() -> R) -> Deferred<R::Output> {
    typed::maybe_deferred(|| f().into_typed()).into()
}

/// Starts async code, as Twisted starts a generator or a coroutine: what it does up to its first pending `.await` is done when this returns.
///
/// `yield d` is `d.await?`, and `raise` is `Err(..)` or `?`. What is pending is polled on by the reactor inside whose callback this is called; outside of one it fails with
/// [`NoHost`](twistor::error::NoHost), and [`reactor::spawn`](crate::internet::reactor::spawn) is the way to begin. Cancelling the Deferred drops the
/// async code where it waits.
///
/// # Examples
/// ```
/// use twisted::internet::defer::{Deferred, inline_callbacks, succeed};
/// fn total(price: Deferred<u32>) -> Deferred<u32> {
///     inline_callbacks(async move {
///         let price = price.await?;
///         Ok(price + 1)
///     })
/// }
/// assert_eq!(total(succeed(41)).result().unwrap()?, 42);
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "inlineCallbacks")]
#[doc(alias = "ensureDeferred")]
#[doc(alias = "fromCoroutine")]
#[track_caller]
pub fn inline_callbacks<T: 'static>(code: impl Future<Output = Result<T>> + 'static) -> Deferred<T> {
    typed::ensure_deferred(code).into()
}

pub use inline_callbacks as ensure_deferred;
