//! Twisted's `twisted.python.log`, as far as errbacks use it.

use twistor::{Failure, defer};

/// Tells of a failure, and is done with it: `d.add_errback(log::err)`.
///
/// It is told to the [report hook](twistor::report::hook); without one it is a `tracing` event at error level.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use twisted::{internet::defer::fail, python::{failure::Failure, log}};
///
/// let told = Rc::new(Cell::new(0));
/// let count = told.clone();
/// let _guard = twistor::report::hook(move |_report| count.set(count.get() + 1));
/// let d = fail::<u8>(Failure::msg("no disk"));
/// d.add_errback(log::err);
/// drop(d);
/// assert_eq!(told.get(), 1);
/// ```
#[doc(alias = "log.err")]
#[track_caller]
pub fn err(failure: Failure) {
    defer::fail::<()>(failure).or_log("log.err");
}
