//! Waiting in line: [`DeferredLock`], [`DeferredSemaphore`], [`DeferredQueue`].
//!
//! All serve first come, first served, and hand over inside `release` and `put`. Who is cancelled leaves the line.

use super::{
    Deferred, IntoDeferred, Promise, maybe_deferred, record::Role, source::Canceller, stage::Kind, succeed,
};
use crate::{
    error::{NoTokens, NotAcquired, QueueOverflow, QueueUnderflow},
    trace::Place,
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    panic::Location,
    rc::Rc,
};

/// Those who wait, each with a ticket by which a cancel finds it.
struct Line<T: 'static> {
    waiting: RefCell<VecDeque<(u64, Promise<T>)>>,
    tickets: Cell<u64>,
}

impl<T: 'static> Line<T> {
    fn new() -> Rc<Line<T>> {
        Rc::new(Line { waiting: RefCell::default(), tickets: Cell::new(0) })
    }

    /// A place at the end of the line.
    fn wait(self: &Rc<Self>, made: Place) -> Deferred<T> {
        let ticket = self.tickets.get();
        self.tickets.set(ticket + 1);
        let line = Rc::downgrade(self);
        let canceller = Canceller::Once(Box::new(move |promise: Promise<T>| {
            let left = line.upgrade().and_then(|line| line.leave(ticket));
            drop((left, promise));
        }));
        let (deferred, source) = Deferred::with_canceller(made, canceller);
        deferred.describe(Role::InLine, 0);
        self.waiting.borrow_mut().push_back((ticket, Promise::new(source)));
        deferred
    }

    fn leave(&self, ticket: u64) -> Option<Promise<T>> {
        let mut waiting = self.waiting.borrow_mut();
        let at = waiting.iter().position(|(other, _)| *other == ticket)?;
        waiting.remove(at).map(|(_, promise)| promise)
    }

    fn next(&self) -> Option<Promise<T>> {
        self.waiting.borrow_mut().pop_front().map(|(_, promise)| promise)
    }

    fn len(&self) -> usize {
        self.waiting.borrow().len()
    }
}

/// At most so many at a time.
///
/// A cheap handle: clones are the same semaphore. An acquisition ends with [`release`](Self::release), or at the end of
/// [`run`](Self::run); never by dropping something.
///
/// # Examples
/// ```
/// use twistor::defer::{Deferred, DeferredSemaphore};
/// let two = DeferredSemaphore::new(2)?;
/// let (a, b, c) = (two.acquire(), two.acquire(), two.acquire());
/// assert!(a.is_fired() && b.is_fired() && !c.is_fired());
/// two.release()?;
/// assert!(c.is_fired()); // inside the release
///
/// assert!(DeferredSemaphore::new(0).is_err());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
pub struct DeferredSemaphore(Rc<Semaphore>);

struct Semaphore {
    tokens: Cell<usize>,
    limit: usize,
    line: Rc<Line<()>>,
}

impl DeferredSemaphore {
    /// A semaphore of so many tokens.
    ///
    /// # Errors
    /// [`NoTokens`] if there are none.
    pub fn new(tokens: usize) -> Result<DeferredSemaphore, NoTokens> {
        if tokens == 0 {
            return Err(NoTokens::default());
        }
        Ok(DeferredSemaphore(Rc::new(Semaphore {
            tokens: Cell::new(tokens),
            limit: tokens,
            line: Line::new(),
        })))
    }

    /// Fires when there is a token for this one.
    #[track_caller]
    pub fn acquire(&self) -> Deferred<()> {
        let made = Location::caller();
        match self.0.tokens.get().checked_sub(1) {
            Some(left) => {
                self.0.tokens.set(left);
                Deferred::ready_at(Ok(()), made)
            }
            None => self.0.line.wait(made),
        }
    }

    /// Gives a token back: to the next in line, whose callbacks run inside this call.
    ///
    /// # Errors
    /// [`NotAcquired`] if none is out.
    #[track_caller]
    pub fn release(&self) -> Result<(), NotAcquired> {
        let at = Location::caller();
        if self.0.tokens.get() == self.0.limit {
            return Err(NotAcquired::default());
        }
        match self.0.line.next() {
            Some(promise) => {
                promise.fire_at(Ok(()), at);
            }
            None => self.0.tokens.set(self.0.tokens.get() + 1),
        }
        Ok(())
    }

    /// Calls `f` when there is a token, and gives it back when what `f` gave has a result.
    #[track_caller]
    pub fn run<R: IntoDeferred>(&self, f: impl FnOnce() -> R + 'static) -> Deferred<R::Output> {
        let place = Location::caller();
        // Weak: the line must not keep its own semaphore. Who is served is served by a live one.
        let semaphore = Rc::downgrade(&self.0);
        self.acquire().stage(Kind::Callback, place, move |acquired| match acquired {
            Err(failure) => Deferred::failed(failure),
            Ok(()) => {
                let semaphore = semaphore.upgrade().map(DeferredSemaphore);
                maybe_deferred(f).stage(Kind::Both, place, move |result| {
                    match semaphore.map_or(Ok(()), |semaphore| semaphore.release()) {
                        Ok(()) => Deferred::ready_at(result, place),
                        Err(error) => Deferred::failed(error.into()),
                    }
                })
            }
        })
    }

    /// How many tokens are free.
    pub fn tokens(&self) -> usize {
        self.0.tokens.get()
    }

    /// How many tokens there are.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many wait for one.
    pub fn waiting(&self) -> usize {
        self.0.line.len()
    }
}

impl fmt::Debug for DeferredSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("DeferredSemaphore");
        s.field("tokens", &self.tokens())
            .field("limit", &self.limit())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// One at a time: a semaphore of one token, with Twisted's names.
///
/// # Examples
/// ```
/// use twistor::defer::{Deferred, DeferredLock};
/// let lock = DeferredLock::new();
/// let (work, done) = Deferred::<()>::pending();
/// let first = lock.run(move || work);
/// let second = lock.run(|| Ok("second"));
/// assert!(lock.locked() && !second.is_fired());
/// done.callback(());
/// assert_eq!(second.now().unwrap().unwrap(), "second");
/// assert!(lock.release().is_err()); // released more often than acquired
/// # drop(first);
/// ```
#[derive(Clone)]
pub struct DeferredLock(DeferredSemaphore);

impl DeferredLock {
    /// A free lock.
    pub fn new() -> DeferredLock {
        let semaphore = Semaphore { tokens: Cell::new(1), limit: 1, line: Line::new() };
        DeferredLock(DeferredSemaphore(Rc::new(semaphore)))
    }

    /// Fires when the lock is this one's.
    #[track_caller]
    pub fn acquire(&self) -> Deferred<()> {
        self.0.acquire()
    }

    /// Gives the lock to the next in line, whose callbacks run inside this call, or frees it.
    ///
    /// # Errors
    /// [`NotAcquired`] if it is free.
    #[track_caller]
    pub fn release(&self) -> Result<(), NotAcquired> {
        self.0.release()
    }

    /// Calls `f` when the lock is ours, and releases it when what `f` gave has a result.
    #[track_caller]
    pub fn run<R: IntoDeferred>(&self, f: impl FnOnce() -> R + 'static) -> Deferred<R::Output> {
        self.0.run(f)
    }

    /// Whether somebody has it.
    pub fn locked(&self) -> bool {
        self.0.tokens() == 0
    }

    /// How many wait for it.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

impl Default for DeferredLock {
    fn default() -> DeferredLock {
        DeferredLock::new()
    }
}

impl fmt::Debug for DeferredLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("DeferredLock");
        s.field("locked", &self.locked()).field("waiting", &self.waiting()).finish()
    }
}

/// A queue whose `get` gives a Deferred.
///
/// A cheap handle: clones are the same queue.
///
/// # Examples
/// ```
/// use twistor::{defer::DeferredQueue, error::{QueueOverflow, QueueUnderflow}};
/// let queue = DeferredQueue::bounded(Some(1), Some(1));
/// let waiting = queue.get()?;
/// assert_eq!(queue.get().unwrap_err(), QueueUnderflow::default());
/// queue.put("first")?; // goes to the one that waits
/// assert_eq!(waiting.now().unwrap()?, "first");
/// queue.put("second")?;
/// assert_eq!(queue.put("third").unwrap_err(), QueueOverflow::default());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
pub struct DeferredQueue<T: 'static>(Rc<Queue<T>>);

struct Queue<T: 'static> {
    values: RefCell<VecDeque<T>>,
    line: Rc<Line<T>>,
    size: Option<usize>,
    backlog: Option<usize>,
}

impl<T: 'static> DeferredQueue<T> {
    /// A queue without limits.
    pub fn new() -> DeferredQueue<T> {
        DeferredQueue::bounded(None, None)
    }

    /// A queue of at most `size` values, with at most `backlog` who wait for one. A size of 0 only hands over.
    pub fn bounded(size: Option<usize>, backlog: Option<usize>) -> DeferredQueue<T> {
        DeferredQueue(Rc::new(Queue { values: RefCell::default(), line: Line::new(), size, backlog }))
    }

    /// Gives the value to the first who waits, whose callbacks run inside this call, or puts it at the end.
    ///
    /// # Errors
    /// [`QueueOverflow`] if nobody waits and the queue is full.
    #[track_caller]
    pub fn put(&self, value: T) -> Result<(), QueueOverflow> {
        let at = Location::caller();
        if let Some(promise) = self.0.line.next() {
            promise.fire_at(Ok(value), at);
            return Ok(());
        }
        let mut values = self.0.values.borrow_mut();
        if self.0.size.is_some_and(|size| values.len() >= size) {
            return Err(QueueOverflow::default());
        }
        values.push_back(value);
        Ok(())
    }

    /// Fires with the first value, now or when there is one.
    ///
    /// # Errors
    /// [`QueueUnderflow`] if there is none and as many wait as may.
    #[track_caller]
    pub fn get(&self) -> Result<Deferred<T>, QueueUnderflow> {
        let made = Location::caller();
        let first = self.0.values.borrow_mut().pop_front();
        if let Some(value) = first {
            return Ok(succeed(value));
        }
        if self.0.backlog.is_some_and(|backlog| self.0.line.len() >= backlog) {
            return Err(QueueUnderflow::default());
        }
        Ok(self.0.line.wait(made))
    }

    /// Copies of the values in it, the first first.
    #[doc(alias = "pending")]
    pub fn values(&self) -> Vec<T>
    where
        T: Clone,
    {
        // Out of its place: `clone` is the user's, and may use the queue.
        let lent = Lent { queue: &self.0, values: self.0.values.take() };
        lent.values.iter().cloned().collect()
    }

    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.0.values.borrow().len()
    }

    /// Whether no value is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait for a value.
    pub fn waiting(&self) -> usize {
        self.0.line.len()
    }
}

/// The values of a queue, which go back before those that were put meanwhile.
struct Lent<'a, T: 'static> {
    queue: &'a Queue<T>,
    values: VecDeque<T>,
}

impl<T: 'static> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let mut values = std::mem::take(&mut self.values);
        values.append(&mut self.queue.values.borrow_mut());
        self.queue.values.replace(values);
    }
}

impl<T: 'static> Default for DeferredQueue<T> {
    fn default() -> DeferredQueue<T> {
        DeferredQueue::new()
    }
}

impl<T: 'static> fmt::Debug for DeferredQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeferredQueue")
            .field("values", &self.len())
            .field("waiting", &self.waiting())
            .finish()
    }
}
