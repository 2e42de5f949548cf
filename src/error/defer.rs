//! Of Deferreds, of those who wait together, and of the locks made of them.

use crate::failure::Failure;
use std::{error::Error, fmt, time::Duration};

plain! {
    /// A Deferred was cancelled.
    CancelledError: "cancelled";
    /// A promise was dropped without having been fired.
    Abandoned: "the promise was dropped unfired; keep it until there is a result, or fire it with a failure";
    /// A stage returned the Deferred of its own chain, which would wait for itself for ever.
    WaitsForItself: "a stage returned the Deferred of its own chain, which would wait for itself; return the inner one";
    /// Async code that did not finish at once needs somebody to poll it.
    NoHost: "async code is pending and nothing here polls it; run it inside a reactor's callback, or use Reactor::spawn";
    /// A `DeferredQueue` is full.
    QueueOverflow: "the queue is full; take something out first, or make it with a larger size";
    /// A `DeferredQueue` has as many waiting gets as it allows.
    QueueUnderflow: "the queue is empty and as many wait for it as its backlog allows";
    /// A lock or semaphore was released more often than it was acquired.
    NotAcquired: "released more often than acquired; release once for each acquire";
    /// A semaphore of no tokens could never be acquired.
    NoTokens: "a semaphore needs at least one token";
}

/// It took too long: a Deferred's `add_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutError {
    /// How long was waited.
    pub after: Duration,
}

impl TimeoutError {
    /// A timeout after so long.
    pub fn new(after: Duration) -> TimeoutError {
        TimeoutError { after }
    }
}

impl Error for TimeoutError {}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.after)
    }
}

/// One of several Deferreds failed first; from `gather_results` and `DeferredList`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FirstError {
    /// What it failed with.
    pub failure: Failure,
    /// Which one of them it was, from 0.
    pub index: usize,
}

impl FirstError {
    pub(crate) fn new(failure: Failure, index: usize) -> FirstError {
        FirstError { failure, index }
    }
}

impl Error for FirstError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.failure.error())
    }
}

impl fmt::Display for FirstError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {} failed first", self.index)
    }
}

/// All of several Deferreds failed; from `race`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailureGroup {
    /// Their failures, in the order of the Deferreds.
    pub failures: Vec<Failure>,
}

impl FailureGroup {
    pub(crate) fn new(failures: Vec<Failure>) -> FailureGroup {
        FailureGroup { failures }
    }
}

impl Error for FailureGroup {}

impl fmt::Display for FailureGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {} failed", self.failures.len())?;
        for failure in &self.failures {
            write!(f, "; {}", failure.message())?;
        }
        Ok(())
    }
}
