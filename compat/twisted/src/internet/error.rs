//! Twisted's `twisted.internet.error`.
//!
//! The subclasses of Twisted's `ConnectError` are the kinds of one [`ConnectError`]; `AlreadyCalled` and `AlreadyCancelled` of a delayed call are the values of
//! [`NotActive`].

use std::{error::Error, fmt};

#[doc(inline)]
pub use twistor::error::*;

/// A call from a thread, and no thread has a reactor that it could go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NoReactor;

impl Error for NoReactor {}

impl fmt::Display for NoReactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no reactor was made or installed yet that this call could go to: start the reactor's thread first")
    }
}

/// [`reactor::install`](super::reactor::install) in a thread that has a reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReactorAlreadyInstalledError;

impl Error for ReactorAlreadyInstalledError {}

impl fmt::Display for ReactorAlreadyInstalledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this thread has a reactor already, installed or made at its first use: call install() before anything else of the reactor module",
        )
    }
}
