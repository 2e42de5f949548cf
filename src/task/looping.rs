//! [`LoopingCall`]: a function called every so often.

use super::grid::Grid;
use crate::{
    defer::{Deferred, IntoDeferred, Kind, Promise, maybe_deferred, succeed},
    error::{LoopAlreadyRunning, LoopNotRunning},
    failure::{Failure, Result},
    time::{DelayedCall, Time},
    trace::{At, Place},
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::Location,
    rc::Rc,
    time::Duration,
};

/// A function that is called every so often, until it is stopped or fails.
///
/// The instants of its calls are a grid that [`start`](Self::start) lays. A call that comes late, or takes long, makes the loop pass over instants: it
/// never drifts and never catches up by a burst. If the function gives a Deferred, there is no further call before that has a result: the loop never
/// overlaps itself.
///
/// It is a handle; clones are the same loop. Dropping it does not stop the loop.
///
/// # Errors
/// A function that fails, be it by an `Err`, a panic or the Deferred that it gave, ends the loop, and the Deferred of `start` fails with that. When a
/// reactor's run ends, its loops end with [`ReactorNotRunning`](crate::error::ReactorNotRunning).
///
/// # Caveats
/// It keeps what it waits on: with a reactor, one of its handles. A function that owns a handle of its own loop is never dropped; see
/// [`with_handle`](Self::with_handle).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::{Failure, task::LoopingCall, time::Clock};
///
/// let (clock, second) = (Clock::new(), Duration::from_secs(1));
/// let mut beats = 0;
/// let heart = LoopingCall::new(&clock, move || {
///     beats += 1;
///     if beats < 4 { Ok(()) } else { Err(Failure::msg("tired")) }
/// });
/// let ended = heart.start(second, true); // the first beat
/// clock.advance(second);                 // the second
/// clock.advance(second * 5 / 2);         // late for the third, and the one between is passed over
/// assert_eq!(clock.get_delayed_calls()[0].get_time(), second * 4); // the grid is as it was
///
/// clock.advance(second);
/// assert!(!heart.running());
/// assert_eq!(ended.now().unwrap().unwrap_err().to_string(), "tired");
/// ```
#[derive(Clone)]
#[doc(alias = "task.LoopingCall")]
pub struct LoopingCall(Rc<Loop>);

impl LoopingCall {
    /// A loop that calls `f`, on a reactor or a [`Clock`](crate::time::Clock). It does not run yet.
    #[track_caller]
    pub fn new<R: IntoDeferred>(
        time: &(impl Time + Clone + 'static),
        mut f: impl FnMut() -> R + 'static,
    ) -> LoopingCall {
        Loop::idle(time, Calls::All, Box::new(move |_, _| gave(&mut f)))
    }

    /// The same, and `f` is told how many instants have passed since its last call: 1 if it is on time, more after it was late, took long, or the
    /// loop was stopped and started anew.
    ///
    /// With no interval it is always 1. If no instant has passed, as may be after a [`reset`](Self::reset), `f` is not called.
    ///
    /// # Examples
    /// ```
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    /// use twistor::{task::LoopingCall, time::Clock};
    ///
    /// let (clock, frame) = (Clock::new(), Rc::new(Cell::new(0)));
    /// let shown = frame.clone();
    /// let film = LoopingCall::with_count(&clock, move |count| shown.set(shown.get() + count));
    /// film.start(Duration::from_millis(40), true).or_log("the film");
    /// clock.advance(Duration::from_millis(200)); // one call, five frames late
    /// assert_eq!(frame.get(), 6);
    /// ```
    #[doc(alias = "withCount")]
    #[track_caller]
    pub fn with_count<R: IntoDeferred>(
        time: &(impl Time + Clone + 'static),
        mut f: impl FnMut(u64) -> R + 'static,
    ) -> LoopingCall {
        Loop::idle(time, Calls::Due, Box::new(move |_, count| gave(|| f(count))))
    }

    /// The same as [`new`](Self::new) for a function that stops or resets its own loop: it is lent a handle at each call.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use twistor::{task::LoopingCall, time::Clock};
    ///
    /// let clock = Clock::new();
    /// let mut left = 3;
    /// let countdown = LoopingCall::with_handle(&clock, move |own| {
    ///     left -= 1;
    ///     if left == 0 { own.stop()?; }
    ///     Ok(())
    /// });
    /// let done = countdown.start(Duration::ZERO, true);
    /// clock.advance(Duration::ZERO);
    /// done.now().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn with_handle<R: IntoDeferred>(
        time: &(impl Time + Clone + 'static),
        mut f: impl FnMut(&LoopingCall) -> R + 'static,
    ) -> LoopingCall {
        Loop::idle(time, Calls::All, Box::new(move |own, _| gave(|| f(own))))
    }

    /// Starts the loop. The first call is made inside this one if `now`, else after one `interval`.
    ///
    /// With no interval the function is called as often as there are turns. The Deferred fires when the loop has ended: inside [`stop`](Self::stop),
    /// or after the call that is under way then. Cancelling it does not stop the loop.
    ///
    /// # Errors
    /// The Deferred has failed with [`LoopAlreadyRunning`] if the loop runs, or was stopped and its last call has not ended.
    #[track_caller]
    pub fn start(&self, interval: Duration, now: bool) -> Deferred<()> {
        self.0.start(Location::caller(), interval, now)
    }

    /// Stops the loop: there are no further calls. One that is under way gets to its end.
    ///
    /// # Errors
    /// [`LoopNotRunning`] if it does not run.
    #[track_caller]
    pub fn stop(&self) -> Result<(), LoopNotRunning> {
        self.0.stop(Location::caller())
    }

    /// Passes over the next call: it is made one interval from now, and the grid begins now.
    ///
    /// While the function is called, or its Deferred is pending, this does nothing, as in Twisted.
    ///
    /// # Errors
    /// [`LoopNotRunning`] if it does not run.
    pub fn reset(&self) -> Result<(), LoopNotRunning> {
        self.0.reset()
    }

    /// Whether it was started and has neither been stopped nor failed.
    pub fn running(&self) -> bool {
        matches!(*self.0.state.borrow(), State::Waiting(_) | State::Calling)
    }

    /// The time between two calls; none before the first start.
    pub fn interval(&self) -> Option<Duration> {
        self.0.grid.get().map(|grid| grid.interval)
    }

    /// The line of code that made it; its delayed calls are shown under it.
    pub fn place(&self) -> Place {
        self.0.made
    }
}

impl fmt::Debug for LoopingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoopingCall(")?;
        if let Some(interval) = self.interval() {
            write!(f, "every {interval:?}, ")?;
        }
        match &*self.0.state.borrow() {
            State::Idle => f.write_str("stopped")?,
            State::Waiting(call) => write!(f, "next at {:?}", call.get_time())?,
            State::Calling => f.write_str("in a call")?,
            State::Ending => f.write_str("in its last call")?,
        }
        write!(f, ", {})", At(self.0.made))
    }
}

struct Loop {
    time: Box<dyn Time>,
    made: Place,
    calls: Calls,
    /// Taken out while it is called.
    function: Cell<Option<Function>>,
    /// Never borrowed while user code runs.
    state: RefCell<State>,
    /// Of the last start, or reset.
    grid: Cell<Option<Grid>>,
    /// The last call that counted, over all starts.
    last: Cell<Option<Duration>>,
    /// Of the Deferred that `start` gave.
    ended: Cell<Option<Promise<()>>>,
}

type Function = Box<dyn FnMut(&LoopingCall, u64) -> Gave>;

/// What the function gave.
enum Gave {
    Now(Result<()>),
    Later(Deferred<()>),
}

fn gave<R: IntoDeferred>(f: impl FnOnce() -> R) -> Gave {
    match maybe_deferred(f).now() {
        Ok(result) => Gave::Now(result.map(drop)),
        Err(pending) => Gave::Later(pending.map(drop)),
    }
}

/// At which of the instants the function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// At each.
    All,
    /// Unless none has passed since the last call.
    Due,
}

enum State {
    /// It was not started, or has ended.
    Idle,
    /// The next call waits for its time.
    Waiting(DelayedCall),
    /// The function is called, or its Deferred is pending.
    Calling,
    /// The same, and the loop was stopped: it ends with this call.
    Ending,
}

impl Loop {
    #[track_caller]
    fn idle(time: &(impl Time + Clone + 'static), calls: Calls, function: Function) -> LoopingCall {
        LoopingCall(Rc::new(Loop {
            time: Box::new(time.clone()),
            made: Location::caller(),
            calls,
            function: Cell::new(Some(function)),
            state: RefCell::new(State::Idle),
            grid: Cell::new(None),
            last: Cell::new(None),
            ended: Cell::new(None),
        }))
    }

    fn start(self: &Rc<Self>, place: Place, interval: Duration, at_once: bool) -> Deferred<()> {
        if !matches!(*self.state.borrow(), State::Idle) {
            let running = Failure::new(LoopAlreadyRunning::default()).with_place(place);
            return Deferred::ready_at(Err(running), place);
        }
        let (deferred, ended) = Deferred::pending_at(place);
        self.ended.set(Some(ended));
        let grid = Grid { origin: self.time.now(), interval, at_once };
        self.grid.set(Some(grid));
        if at_once {
            self.call();
        } else {
            self.schedule(grid);
        }
        deferred
    }

    fn stop(&self, place: Place) -> Result<(), LoopNotRunning> {
        let next = match &*self.state.borrow() {
            State::Idle | State::Ending => return Err(LoopNotRunning::default()),
            State::Waiting(_) => State::Idle,
            State::Calling => State::Ending,
        };
        if let State::Waiting(call) = self.state.replace(next) {
            let _ = call.cancel(); // no error: it waits
            self.end(Ok(()), place);
        }
        Ok(())
    }

    fn reset(self: &Rc<Self>) -> Result<(), LoopNotRunning> {
        match &*self.state.borrow() {
            State::Idle | State::Ending => return Err(LoopNotRunning::default()),
            State::Calling => return Ok(()),
            State::Waiting(_) => {}
        }
        if let (State::Waiting(call), Some(grid)) = (self.state.replace(State::Calling), self.grid.get()) {
            let _ = call.cancel(); // no error: it waits
            let grid = Grid { origin: self.time.now(), ..grid };
            self.grid.set(Some(grid));
            self.schedule(grid);
        }
        Ok(())
    }

    /// Waits for the next instant.
    fn schedule(self: &Rc<Self>, grid: Grid) {
        let planned = Planned(Some(self.clone()));
        let delay = grid.until_next(self.time.now());
        let call = self.time.schedule_for(self.made, delay, Box::new(move || planned.make()));
        self.state.replace(State::Waiting(call));
    }

    fn call(self: &Rc<Self>) {
        self.state.replace(State::Calling);
        match self.call_function() {
            Gave::Now(result) => self.called(result),
            Gave::Later(pending) => {
                let own = self.clone();
                drop(pending.stage(Kind::Both, self.made, move |result| {
                    own.called(result);
                    succeed(())
                }));
            }
        }
    }

    /// Calls it, unless it counts and there is nothing to count.
    fn call_function(self: &Rc<Self>) -> Gave {
        let count = match self.calls {
            Calls::All => 1,
            Calls::Due => self.count(),
        };
        match self.function.take() {
            Some(mut function) if count > 0 => {
                let gave = function(&LoopingCall(self.clone()), count);
                self.function.set(Some(function));
                gave
            }
            function => {
                self.function.set(function);
                Gave::Now(Ok(()))
            }
        }
    }

    fn count(&self) -> u64 {
        let now = self.time.now();
        let passed = self.grid.get().map_or(0, |grid| grid.passed(self.last.get(), now));
        if passed > 0 {
            self.last.set(Some(now));
        }
        passed
    }

    fn called(self: &Rc<Self>, result: Result<()>) {
        let goes_on = matches!(*self.state.borrow(), State::Calling) && result.is_ok();
        match self.grid.get() {
            Some(grid) if goes_on => self.schedule(grid),
            _ => {
                self.state.replace(State::Idle);
                self.end(result, self.made);
            }
        }
    }

    fn end(&self, result: Result<()>, place: Place) {
        if let Some(ended) = self.ended.take() {
            ended.fire_at(result, place);
        }
    }

    /// The next call will not be made: its reactor has closed.
    fn abandon(&self) {
        let waits = matches!(*self.state.borrow(), State::Waiting(_));
        if waits {
            self.state.replace(State::Idle);
            drop(self.ended.take()); // which fails it
        }
    }
}

/// The next call of a loop. Dropped instead of made, it ends the loop: nobody would call it any more.
struct Planned(Option<Rc<Loop>>);

impl Planned {
    fn make(mut self) {
        if let Some(own) = self.0.take() {
            own.call();
        }
    }
}

impl Drop for Planned {
    fn drop(&mut self) {
        if let Some(own) = self.0.take() {
            own.abandon();
        }
    }
}
