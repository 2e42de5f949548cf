//! Several Deferreds as one.

use super::{Deferred, IntoDeferred, value::Value};
use twistor::{Result, defer as typed};

#[doc(inline)]
pub use twistor::defer::Listed;

/// Waits for several Deferreds. It begins when it is turned into a Deferred: by `.into()`, or where a stage returns it.
///
/// Flags and results are those of [`twistor::defer::DeferredList`]. The handles stay good: as in Twisted a failure stays in the child's own chain too, unless
/// [`consume_errors`](Self::consume_errors) is set; a value is moved into the list.
///
/// # Examples
/// ```
/// use twisted::internet::defer::{Deferred, DeferredList, Listed};
/// use twistor::Failure;
///
/// let (a, b) = (Deferred::<u8>::new(), Deferred::new());
/// let both: Deferred<Listed<u8>> = DeferredList::new([a.clone(), b.clone()]).consume_errors().into();
/// both.add_callback(|listed| {
///     let Listed::All(results) = listed else { unreachable!("without a flag all are waited for") };
///     assert_eq!(*results[0].as_ref().unwrap(), 1);
///     assert_eq!(results[1].as_ref().unwrap_err().to_string(), "no");
/// });
/// b.errback(Failure::msg("no"))?;
/// a.callback(1)?;
/// assert!(both.called());
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
#[must_use = "a list begins to wait when it is turned into a Deferred"]
pub struct DeferredList<T: 'static> {
    children: Vec<Deferred<T>>,
    one_callback: bool,
    one_errback: bool,
    consume: bool,
}

impl<T: 'static> DeferredList<T> {
    /// A list without flags: it fires when all have a result.
    pub fn new(deferreds: impl IntoIterator<Item = Deferred<T>>) -> DeferredList<T> {
        let children = deferreds.into_iter().collect();
        DeferredList { children, one_callback: false, one_errback: false, consume: false }
    }

    /// Fires with the first value.
    #[doc(alias = "fireOnOneCallback")]
    pub fn fire_on_one_callback(mut self) -> DeferredList<T> {
        self.one_callback = true;
        self
    }

    /// Fails with the first failure, as a [`FirstError`](super::FirstError).
    #[doc(alias = "fireOnOneErrback")]
    pub fn fire_on_one_errback(mut self) -> DeferredList<T> {
        self.one_errback = true;
        self
    }

    /// Takes the failures out of the children's own chains.
    #[doc(alias = "consumeErrors")]
    pub fn consume_errors(mut self) -> DeferredList<T> {
        self.consume = true;
        self
    }

    #[track_caller]
    fn typed(self) -> typed::DeferredList<T> {
        let mut children = vec![];
        for child in &self.children {
            children.push(child.given_to_list(self.consume));
        }
        // The children's own chains tell of their failures, so the list need not.
        let mut list = typed::DeferredList::new(children).consume_errors();
        if self.one_callback {
            list = list.fire_on_one_callback();
        }
        if self.one_errback {
            list = list.fire_on_one_errback();
        }
        list
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static> IntoDeferred for DeferredList<T> {
    type Output = Listed<T>;

    #[track_caller]
    fn into_typed(self) -> typed::Deferred<Listed<T>> {
        typed::IntoDeferred::into_deferred(self.typed())
    }
}

impl<T: 'static> From<DeferredList<T>> for Deferred<Listed<T>> {
    #[track_caller]
    fn from(list: DeferredList<T>) -> Deferred<Listed<T>> {
        list.into_typed().into()
    }
}

/// All values, in the order of the Deferreds; the first failure fails it, as a [`FirstError`](super::FirstError). The others are not cancelled.
///
/// `gatherResults(ds, consumeErrors=True)` is `DeferredList::new(ds).consume_errors()` with [`fire_on_one_errback`](DeferredList::fire_on_one_errback).
///
/// # Examples
/// ```
/// use twisted::internet::defer::{gather_results, succeed};
/// let sum = gather_results([succeed(20), succeed(22)]).add_callback(|all| Ok(all.iter().sum::<u32>()));
/// assert_eq!(sum.result().unwrap()?, 42);
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "gatherResults")]
#[track_caller]
pub fn gather_results<T: 'static>(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Deferred<Vec<T>> {
    DeferredList::new(deferreds).typed().gather().into()
}

/// The first value, and which one it is of, from 0; the others are cancelled. If all fail it fails, with a
/// [`FailureGroup`](twistor::error::FailureGroup).
#[track_caller]
pub fn race<T: 'static>(deferreds: impl IntoIterator<Item = Deferred<T>>) -> Deferred<(usize, T)> {
    typed::race(deferreds.into_iter().map(typed::Deferred::from)).into()
}

impl<T: 'static> Deferred<T> {
    /// The result for a list. A failure stays here too, unless it is consumed.
    #[track_caller]
    fn given_to_list(&self, consume: bool) -> typed::Deferred<T> {
        let at = std::panic::Location::caller();
        let split = move |result: Result<Value>| {
            let stays = match &result {
                Err(failure) if !consume => Err(failure.clone()),
                _ => Ok(Value::none()),
            };
            (result, stays)
        };
        self.chain().branch(split).add_callback(move |value| value.take(at))
    }
}
