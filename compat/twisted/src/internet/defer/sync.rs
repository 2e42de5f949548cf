//! Locks, semaphores and queues whose Deferreds are shared ones. The state is in twistor's.

use super::{Deferred, IntoDeferred};
use twistor::{Result, defer as typed};

/// One at a time. A handle; clones are the same lock.
///
/// # Examples
/// ```
/// use twisted::internet::defer::DeferredLock;
/// let lock = DeferredLock::new();
/// let (first, second) = (lock.acquire(), lock.acquire());
/// second.add_callback(|lock: DeferredLock| lock.release()); // fires with the lock
/// assert!(first.called() && !second.called());
/// lock.release()?;                                          // hands over inside
/// assert!(second.called() && !lock.locked());
/// assert!(lock.release().is_err());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DeferredLock(typed::DeferredLock);

impl DeferredLock {
    /// A lock that nobody has.
    pub fn new() -> DeferredLock {
        DeferredLock::default()
    }

    /// Fires with the lock when its turn comes; first come, first served. To cancel it gives the turn up.
    #[track_caller]
    pub fn acquire(&self) -> Deferred<DeferredLock> {
        let lock = self.clone();
        self.0.acquire().map(|()| lock).into()
    }

    /// Gives it to the next one, inside this call.
    ///
    /// # Errors
    /// [`NotAcquired`](twistor::error::NotAcquired) if nobody has it.
    #[track_caller]
    pub fn release(&self) -> Result<()> {
        Ok(self.0.release()?)
    }

    /// Calls `f` with the lock acquired, and releases it when what `f` gives has a result.
    #[track_caller]
    pub fn run<R: IntoDeferred>(&self, f: impl FnOnce() -> R + 'static) -> Deferred<R::Output> {
        self.0.run(|| f().into_typed()).into()
    }

    /// Whether somebody has it.
    pub fn locked(&self) -> bool {
        self.0.locked()
    }

    /// How many wait for it.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

/// So many at a time. A handle; clones are the same semaphore.
#[derive(Clone, Debug)]
pub struct DeferredSemaphore(typed::DeferredSemaphore);

impl DeferredSemaphore {
    /// A semaphore of so many tokens.
    ///
    /// # Errors
    /// [`NoTokens`](twistor::error::NoTokens) if there is none.
    pub fn new(tokens: usize) -> Result<DeferredSemaphore> {
        Ok(DeferredSemaphore(typed::DeferredSemaphore::new(tokens)?))
    }

    /// Fires with the semaphore when there is a token; first come, first served. To cancel it gives the turn up.
    #[track_caller]
    pub fn acquire(&self) -> Deferred<DeferredSemaphore> {
        let semaphore = self.clone();
        self.0.acquire().map(|()| semaphore).into()
    }

    /// Gives the token to the next one, inside this call.
    ///
    /// # Errors
    /// [`NotAcquired`](twistor::error::NotAcquired) if all tokens are there.
    #[track_caller]
    pub fn release(&self) -> Result<()> {
        Ok(self.0.release()?)
    }

    /// Calls `f` with a token, and releases it when what `f` gives has a result.
    #[track_caller]
    pub fn run<R: IntoDeferred>(&self, f: impl FnOnce() -> R + 'static) -> Deferred<R::Output> {
        self.0.run(|| f().into_typed()).into()
    }

    /// How many tokens are there.
    pub fn tokens(&self) -> usize {
        self.0.tokens()
    }

    /// How many tokens there are in all.
    pub fn limit(&self) -> usize {
        self.0.limit()
    }

    /// How many wait for one.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

/// Values that are put in by some and got by others, first come, first served. A handle; clones are the same queue.
#[derive(Clone, Debug, Default)]
pub struct DeferredQueue<T: 'static>(typed::DeferredQueue<T>);

impl<T: 'static> DeferredQueue<T> {
    /// A queue of any length.
    pub fn new() -> DeferredQueue<T> {
        DeferredQueue(typed::DeferredQueue::new())
    }

    /// A queue of at most `size` values, for which at most `backlog` may wait; None is no limit.
    pub fn bounded(size: Option<usize>, backlog: Option<usize>) -> DeferredQueue<T> {
        DeferredQueue(typed::DeferredQueue::bounded(size, backlog))
    }

    /// Puts a value in, or fires the first who waits, inside this call.
    ///
    /// # Errors
    /// [`QueueOverflow`](super::QueueOverflow) if it is full.
    #[track_caller]
    pub fn put(&self, value: T) -> Result<()> {
        Ok(self.0.put(value)?)
    }

    /// Gets a value, when there is one. To cancel it gives the turn up.
    ///
    /// # Errors
    /// [`QueueUnderflow`](super::QueueUnderflow) if too many wait already.
    #[track_caller]
    pub fn get(&self) -> Result<Deferred<T>> {
        Ok(self.0.get()?.into())
    }

    /// Copies of the values that wait to be got.
    #[doc(alias = "pending")]
    pub fn values(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.0.values()
    }

    /// How many wait for a value.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }
}
