//! [`DelayedCall`]: one call that waits for its time, and the queue in which it waits.

use super::heap::{Heap, Tracked};
use crate::{
    error::NotActive,
    snapshot::here::{self, Birth},
    trace::{At, Place},
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::{Rc, Weak},
    time::Duration,
};

/// A call that was scheduled for later, by a reactor or a [`Clock`](super::Clock).
///
/// It is a handle, cheap to clone; all clones are of the same call, and equal. Dropping it does not cancel the
/// call: keep it only if the call may have to be cancelled or moved.
///
/// A call waits ([`active`](DelayedCall::active)) until it is made or cancelled. While its own function runs it
/// already counts as made. As soon as it is made or cancelled, whatever the function owned is dropped, even
/// while handles are still there.
///
/// # Examples
/// Give a peer thirty seconds, and start anew whenever it says something:
/// ```
/// use std::time::Duration;
/// use twistor::{error::NotActive, time::Clock};
///
/// let clock = Clock::new();
/// let patience = clock.call_later(Duration::from_secs(30), || println!("it sleeps"));
/// clock.advance(Duration::from_secs(20));
/// patience.reset(Duration::from_secs(30))?; // it spoke
/// assert_eq!(patience.get_time(), Duration::from_secs(50));
///
/// patience.cancel()?; // it said goodbye
/// assert_eq!(patience.cancel(), Err(NotActive::AlreadyCancelled));
/// # Ok::<(), NotActive>(())
/// ```
#[derive(Clone)]
#[doc(alias = "IDelayedCall")]
pub struct DelayedCall(pub(super) Rc<Node>);

impl DelayedCall {
    /// Takes the call back: it will not be made, and what its function owned is dropped now.
    ///
    /// # Errors
    /// [`NotActive`] if it was made or cancelled already. Where both are fine, ignore it:
    /// `let _ = call.cancel();`
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::{error::NotActive, time::Clock};
    ///
    /// let clock = Clock::new();
    /// let call = clock.call_later(Duration::ZERO, || {});
    /// clock.advance(Duration::ZERO);
    /// assert_eq!(call.cancel(), Err(NotActive::AlreadyCalled));
    /// ```
    pub fn cancel(&self) -> Result<(), NotActive> {
        let (queue, slot) = self.0.waiting()?;
        self.0.state.set(State::Cancelled);
        // The same node again; its address comes from the heap so late that using that one costs 15 % here.
        drop(queue.take(slot));
        // The queue is whole again: what the function owned may use it when it is dropped.
        self.0.call.forget();
        Ok(())
    }

    /// Has the call made `delay` from now instead, be that sooner or later than planned.
    ///
    /// Among calls due at the same instant it keeps its turn, which is that of when it was first scheduled.
    ///
    /// # Errors
    /// [`NotActive`] if it was made or cancelled already.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::time::Clock;
    ///
    /// let clock = Clock::new();
    /// let call = clock.call_later(Duration::from_secs(5), || {});
    /// clock.advance(Duration::from_secs(2));
    /// call.reset(Duration::from_secs(1))?;
    /// assert_eq!(call.get_time(), Duration::from_secs(3));
    /// # Ok::<(), twistor::error::NotActive>(())
    /// ```
    pub fn reset(&self, delay: Duration) -> Result<(), NotActive> {
        let (queue, slot) = self.0.waiting()?;
        self.0.move_to(&queue, slot, nanos((queue.now)().saturating_add(delay)));
        Ok(())
    }

    /// Has the call made so much later than planned; the time counts from the planned one, not from now.
    ///
    /// Twisted also takes a negative number here; to have a call made sooner, use
    /// [`reset`](DelayedCall::reset).
    ///
    /// # Errors
    /// [`NotActive`] if it was made or cancelled already.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::time::Clock;
    ///
    /// let clock = Clock::new();
    /// let call = clock.call_later(Duration::from_secs(5), || {});
    /// clock.advance(Duration::from_secs(2));
    /// call.delay(Duration::from_secs(1))?;
    /// assert_eq!(call.get_time(), Duration::from_secs(6));
    /// # Ok::<(), twistor::error::NotActive>(())
    /// ```
    pub fn delay(&self, more: Duration) -> Result<(), NotActive> {
        let (queue, slot) = self.0.waiting()?;
        self.0.move_to(&queue, slot, self.0.at.get().saturating_add(nanos(more)));
        Ok(())
    }

    /// Whether the call still waits: it was neither made nor cancelled, and does not run just now.
    pub fn active(&self) -> bool {
        matches!(self.0.state.get(), State::Waiting(_))
    }

    /// When the call is to be made, or was to be: the time since the origin of its clock, as its
    /// [`now`](super::Time::now) gives it.
    ///
    /// A call that waits may be past that time by as long as its reactor is late. `Duration::MAX` is never.
    #[doc(alias = "getTime")]
    pub fn get_time(&self) -> Duration {
        self.deadline().unwrap_or(Duration::MAX)
    }

    /// When it is due, if ever.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let at = self.0.at.get();
        (at != NEVER).then(|| Duration::from_nanos(at))
    }

    pub(crate) fn birth(&self) -> &Birth {
        &self.0.birth
    }

    /// The number that it is shown under.
    pub(crate) fn serial(&self) -> u32 {
        self.0.birth.serial
    }

    /// The line of code that scheduled it.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::time::Clock;
    ///
    /// let (call, line) = (Clock::new().call_later(Duration::from_secs(5), || {}), line!());
    /// assert_eq!(call.place().line(), line);
    /// ```
    pub fn place(&self) -> Place {
        self.0.birth.place
    }
}

impl PartialEq for DelayedCall {
    fn eq(&self, other: &DelayedCall) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DelayedCall {}

impl fmt::Debug for DelayedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0.state.get() {
            State::Waiting(_) => "waiting",
            State::Called => "called",
            State::Cancelled => "cancelled",
        };
        write!(f, "DelayedCall({state}, {:?}, {})", self.get_time(), At(self.place()))
    }
}

/// What a call has come to.
#[derive(Clone, Copy)]
pub(super) enum State {
    /// It waits, in this slot of its queue's heap.
    Waiting(usize),
    /// It was taken out of the queue to be made: it runs, or has run, or has panicked.
    Called,
    /// It was cancelled, or its queue was emptied or dropped.
    Cancelled,
}

/// One call, in one allocation with its function.
pub(super) struct Node<C: ?Sized = dyn Call> {
    /// When it is due, in nanoseconds. While the call waits the heap has the same number in its key.
    at: Cell<u64>,
    /// `Waiting` means that the queue has it.
    state: Cell<State>,
    birth: Birth,
    /// Weak, for the queue owns the calls that wait.
    queue: Weak<Queue>,
    /// The function; gone as soon as the call does not wait any more.
    pub(super) call: C,
}

impl Node {
    /// Calls its function, for whoever it was scheduled by. A panic comes out of here.
    pub(super) fn make(&self) {
        let _owner = here::owned_by(self.birth.stamp.owner);
        self.call.make();
    }

    pub(super) fn place(&self) -> Place {
        self.birth.place
    }

    /// The queue and the slot, of a call that waits.
    fn waiting(&self) -> Result<(Rc<Queue>, usize), NotActive> {
        match self.state.get() {
            State::Waiting(slot) => {
                self.queue.upgrade().map(|q| (q, slot)).ok_or(NotActive::AlreadyCancelled)
            }
            State::Called => Err(NotActive::AlreadyCalled),
            State::Cancelled => Err(NotActive::AlreadyCancelled),
        }
    }

    fn move_to(&self, queue: &Queue, slot: usize, at: u64) {
        self.at.set(at);
        queue.heap.borrow_mut().set_time(slot, at);
    }
}

impl Tracked for Rc<Node> {
    fn moved_to(&self, slot: usize) {
        self.state.set(State::Waiting(slot));
    }
}

/// A function that is called at most once. Both methods run user code.
pub(super) trait Call {
    /// Calls it, unless it is gone.
    fn make(&self);
    /// Drops it.
    fn forget(&self);
}

impl<F: FnOnce()> Call for Cell<Option<F>> {
    fn make(&self) {
        if let Some(function) = self.take() {
            function();
        }
    }

    fn forget(&self) {
        drop(self.take());
    }
}

/// The calls that wait. `heap` is never borrowed while user code runs, nor while a call is dropped.
pub(super) struct Queue {
    heap: RefCell<Heap<Rc<Node>>>,
    /// How many calls were ever scheduled; the number of the next one.
    made: Cell<u64>,
    /// The clock, for what counts from now.
    now: Box<dyn Fn() -> Duration>,
}

impl Queue {
    pub(super) fn new(now: impl Fn() -> Duration + 'static) -> Queue {
        Queue { heap: RefCell::default(), made: Cell::new(0), now: Box::new(now) }
    }

    pub(super) fn insert(self: &Rc<Self>, at: u64, place: Place, call: impl FnOnce() + 'static) -> Rc<Node> {
        let number = self.made.replace(self.made.get() + 1);
        let state = Cell::new(State::Waiting(usize::MAX)); // the heap tells the slot
        let call = Cell::new(Some(call));
        let birth = Birth::at(place);
        let node = Rc::new(Node { at: Cell::new(at), state, birth, queue: Rc::downgrade(self), call });
        self.heap.borrow_mut().push((at, number), node.clone());
        node
    }

    /// When the first call is due, and its number.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.heap.borrow().first()
    }

    /// Takes the first call out to be made. There must be one.
    pub(super) fn take_first(&self) -> Rc<Node> {
        let node = self.take(0);
        node.state.set(State::Called);
        node
    }

    /// Takes out the call in that slot; its state is for the caller to set.
    fn take(&self, slot: usize) -> Rc<Node> {
        self.heap.borrow_mut().remove(slot)
    }

    pub(super) fn made(&self) -> u64 {
        self.made.get()
    }

    pub(super) fn len(&self) -> usize {
        self.heap.borrow().len()
    }

    /// The calls that wait, in the order they will be made.
    pub(super) fn sorted(&self) -> Vec<Rc<Node>> {
        self.heap.borrow().sorted()
    }

    pub(super) fn in_no_order(&self) -> Vec<Rc<Node>> {
        self.heap.borrow().items().cloned().collect()
    }

    /// Cancels all calls, in their order. What is scheduled by something that is dropped here stays.
    pub(super) fn clear(&self) {
        let nodes = self.sorted();
        drop(self.heap.take());
        // All of them before the first function is dropped, for that may ask for the others.
        nodes.iter().for_each(|node| node.state.set(State::Cancelled));
        nodes.iter().for_each(|node| node.call.forget());
    }
}

impl Drop for Queue {
    /// Else handles would show calls as waiting that can never be made.
    fn drop(&mut self) {
        self.clear();
    }
}

/// A time that never comes. As nanoseconds it is 584 years.
pub(super) const NEVER: u64 = u64::MAX;

/// In nanoseconds; what is too long for them is [`NEVER`].
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER)
}
