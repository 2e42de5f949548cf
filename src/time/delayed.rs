//! [`DelayedCall`]: one call that waits for its time.

use super::queue::Queue;
use crate::{
    error::NotActive,
    snapshot::here::{self, Birth},
    trace::{At, Place},
};
use std::{
    cell::Cell,
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
        let queue = self.0.waiting()?;
        self.0.state.set(State::Cancelled);
        queue.gone();
        // The queue is whole again: what the function owned may use it when it is dropped.
        self.0.forget();
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
        let queue = self.0.waiting()?;
        self.0.move_to(&queue, nanos(queue.now().saturating_add(delay)));
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
        let queue = self.0.waiting()?;
        self.0.move_to(&queue, self.0.at.get().saturating_add(nanos(more)));
        Ok(())
    }

    /// Whether the call still waits: it was neither made nor cancelled, and does not run just now.
    pub fn active(&self) -> bool {
        self.0.state.get() == State::Waiting
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
            State::Waiting | State::Found => "waiting",
            State::Called => "called",
            State::Cancelled => "cancelled",
        };
        write!(f, "DelayedCall({state}, {:?}, {})", self.get_time(), At(self.place()))
    }
}

/// What a call has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its queue has it.
    Waiting,
    /// The same, while the queue looks through all that it has and has come upon this call already. Nobody else sees that.
    Found,
    /// It was taken out of the queue to be made: it runs, or has run, or has panicked.
    Called,
    /// It was cancelled, or its queue was emptied or dropped.
    Cancelled,
}

/// One call, in one allocation with its function.
pub(super) struct Node<C: ?Sized = dyn Call> {
    /// When it is due, in nanoseconds.
    at: Cell<u64>,
    /// Its turn among those that are due at the same instant.
    number: u64,
    state: Cell<State>,
    birth: Birth,
    /// Weak, for the queue owns the calls that wait.
    queue: Weak<Queue>,
    /// The function; gone as soon as the call does not wait any more.
    call: C,
}

impl Node {
    pub(super) fn new(
        at: u64,
        number: u64,
        place: Place,
        queue: &Rc<Queue>,
        call: impl FnOnce() + 'static,
    ) -> Rc<Node> {
        Rc::new(Node {
            at: Cell::new(at),
            number,
            state: Cell::new(State::Waiting),
            birth: Birth::at(place),
            queue: Rc::downgrade(queue),
            call: Cell::new(Some(call)),
        })
    }

    pub(super) fn at(&self) -> u64 {
        self.at.get()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.set(state);
    }

    /// Whether it waits, and is come upon for the first time.
    pub(super) fn is_found_anew(&self) -> bool {
        let waits = self.state.get() == State::Waiting;
        if waits {
            self.state.set(State::Found);
        }
        waits
    }

    /// Calls its function, for whoever it was scheduled by. A panic comes out of here.
    pub(super) fn make(&self) {
        let _owner = here::owned_by(self.birth.stamp.owner);
        self.call.make();
    }

    /// Drops its function, which is user code.
    pub(super) fn forget(&self) {
        self.call.forget();
    }

    pub(super) fn place(&self) -> Place {
        self.birth.place
    }

    /// The queue, of a call that waits.
    fn waiting(&self) -> Result<Rc<Queue>, NotActive> {
        match self.state.get() {
            State::Called => Err(NotActive::AlreadyCalled),
            State::Cancelled => Err(NotActive::AlreadyCancelled),
            State::Waiting | State::Found => self.queue.upgrade().ok_or(NotActive::AlreadyCancelled),
        }
    }

    fn move_to(self: &Rc<Self>, queue: &Queue, at: u64) {
        let sooner = at < self.at.replace(at);
        if sooner {
            queue.sooner(self);
        }
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

/// A time that never comes. As nanoseconds it is 584 years.
pub(super) const NEVER: u64 = u64::MAX;

/// In nanoseconds; what is too long for them is [`NEVER`].
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER)
}
