//! [`Cooperator`]: iterators that take turns, a slice of time after the other.

use super::cooperative::{CooperativeTask, Step, Task};
use crate::{
    defer::Deferred,
    error::TaskFinished,
    time::{DelayedCall, Time},
    trace::Place,
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::Location,
    rc::Rc,
    time::Duration,
};

/// Lets iterators take turns: each item is a piece of work, and between two pieces everything else goes on.
///
/// For long computations in pieces, for many things of which a few are to be under way at a time, or one after another: an item that is a
/// Deferred is waited for. An iterator that fails gives an `Err`; see [`Step`].
///
/// The work is done in ticks. A tick goes round the tasks, one step each, where the last one left off, and ends after ten milliseconds; on a clock
/// that stands still, after a hundred steps. Then comes whatever else the reactor has to do.
///
/// It is a handle; clones are the same cooperator. A reactor has one of its own: [`Reactor::cooperate`](crate::Reactor::cooperate). Two cooperators do
/// not know of each other.
///
/// # Examples
/// At most two lookups at a time, of as many as there are:
/// ```
/// use std::{cell::RefCell, rc::Rc, time::Duration};
/// use twistor::{defer::gather_results, task::{Cooperator, defer_later}, time::Clock};
///
/// let (clock, found) = (Clock::new(), Rc::new(RefCell::new(vec![])));
/// let look_up = {
///     let (clock, found) = (clock.clone(), found.clone());
///     move |name| {
///         let found = found.clone();
///         defer_later(&clock, Duration::from_secs(1), move || found.borrow_mut().push(name))
///     }
/// };
/// let names = Rc::new(RefCell::new(["ada", "bob", "cyd"].into_iter()));
/// let cooperator = Cooperator::new(&clock);
/// let workers = (0..2).map(|_| {
///     let (names, look_up) = (names.clone(), look_up.clone());
///     cooperator.coiterate(std::iter::from_fn(move || names.borrow_mut().next().map(&look_up)))
/// });
/// let done = gather_results(workers);
/// clock.pump([Duration::from_millis(1), Duration::from_secs(1), Duration::from_millis(1)]);
/// assert_eq!(*found.borrow(), ["ada", "bob"]);
/// clock.pump([Duration::from_secs(1), Duration::from_millis(1)]);
/// assert_eq!(*found.borrow(), ["ada", "bob", "cyd"]);
/// assert!(done.is_fired());
/// ```
#[derive(Clone)]
#[doc(alias = "task.Cooperator")]
pub struct Cooperator(Rc<Handle>);

/// How long a tick is; Twisted's `_Timer.MAX_SLICE`.
const SLICE: Duration = Duration::from_millis(10);
/// So many steps are a slice where no time passes meanwhile.
const STANDING: usize = 100;
/// From one tick to the next; Twisted's `_EPSILON`. With no delay at all the ticks of a clock would follow each other inside one `advance`.
const PAUSE: Duration = Duration::from_nanos(10);

impl Cooperator {
    /// A cooperator on a reactor or a [`Clock`](crate::time::Clock).
    pub fn new(time: &(impl Time + Clone + 'static)) -> Cooperator {
        let (clock, time) = (time.clone(), time.clone());
        Cooperator::of(
            move || clock.now(),
            move |place, delay, tick| Some(time.schedule_for(place, delay, tick)),
        )
    }

    /// The same on a time that may be gone when it is wanted.
    pub(crate) fn of(
        now: impl Fn() -> Duration + Clone + 'static,
        schedule: impl Fn(Place, Duration, Box<dyn FnOnce()>) -> Option<DelayedCall> + 'static,
    ) -> Cooperator {
        let slice = move || slice(now.clone());
        Cooperator::from_parts(slice, move |place, tick| schedule(place, PAUSE, tick))
    }

    /// A cooperator with slices and pauses of your own.
    ///
    /// `slices` is called at the beginning of each tick; what it gives is asked after each step whether the tick is over. `schedule` has the tick
    /// made later.
    ///
    /// # Examples
    /// One step a second:
    /// ```
    /// use std::time::Duration;
    /// use twistor::{task::Cooperator, time::Clock};
    ///
    /// let (clock, second) = (Clock::new(), Duration::from_secs(1));
    /// let time = clock.clone();
    /// let slowly = Cooperator::with(|| || true, move |tick| time.call_later(second, tick));
    /// let done = slowly.coiterate((1..=2).map(|n| println!("{n}")));
    /// clock.pump([second; 2]);
    /// assert!(!done.is_fired()); // that there is no third is found out by asking
    /// clock.advance(second);
    /// assert!(done.is_fired());
    /// ```
    #[doc(alias = "terminationPredicateFactory")]
    pub fn with<P: FnMut() -> bool + 'static>(
        slices: impl Fn() -> P + 'static,
        schedule: impl Fn(Box<dyn FnOnce()>) -> DelayedCall + 'static,
    ) -> Cooperator {
        Cooperator::from_parts(slices, move |_, tick| Some(schedule(tick)))
    }

    fn from_parts<P: FnMut() -> bool + 'static>(
        slices: impl Fn() -> P + 'static,
        schedule: impl Fn(Place, Box<dyn FnOnce()>) -> Option<DelayedCall> + 'static,
    ) -> Cooperator {
        Cooperator(Rc::new(Handle(Rc::new(Scheduler {
            state: Cell::new(State::Running),
            tasks: RefCell::default(),
            turn: Cell::new(0),
            tick: RefCell::default(),
            slices: Box::new(move || Box::new(slices())),
            schedule: Box::new(schedule),
        }))))
    }

    /// This cooperator, whose tasks wait until it is [started](Self::start). For one that is new.
    pub fn not_started(self) -> Cooperator {
        self.scheduler().state.set(State::New);
        self
    }

    /// Begins to take items from an iterator, some in each tick, until it has no more.
    ///
    /// If the cooperator is stopped the task is over at once, with [`TaskFinished::SchedulerStopped`].
    #[track_caller]
    pub fn cooperate<I>(&self, work: I) -> CooperativeTask
    where
        I: IntoIterator<IntoIter: 'static, Item: Into<Step>>,
    {
        let mut items = work.into_iter();
        let work = Box::new(move || items.next().map(Into::into));
        Task::begin(self.scheduler(), work, Location::caller())
    }

    /// The same, for who only wants to know when it is done.
    #[track_caller]
    pub fn coiterate<I>(&self, work: I) -> Deferred<()>
    where
        I: IntoIterator<IntoIter: 'static, Item: Into<Step>>,
    {
        self.cooperate(work).when_done()
    }

    /// Begins to make ticks, or begins again after a [`stop`](Self::stop).
    pub fn start(&self) {
        let scheduler = self.scheduler();
        scheduler.state.set(State::Running);
        scheduler.plan_tick();
    }

    /// Ends all tasks that take turns, each with [`TaskFinished::SchedulerStopped`], and takes no further ones. One that is paused or waits
    /// ends so when it would go on.
    #[track_caller]
    pub fn stop(&self) {
        self.scheduler().stop(Location::caller());
    }

    /// Whether it makes ticks: it was neither stopped nor is it still to be started.
    pub fn running(&self) -> bool {
        self.scheduler().state.get() == State::Running
    }

    fn scheduler(&self) -> &Rc<Scheduler> {
        &(self.0).0
    }
}

impl fmt::Debug for Cooperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, tasks) = (self.scheduler().state.get(), self.scheduler().tasks.borrow().len());
        f.debug_struct("Cooperator").field("state", &state).field("tasks", &tasks).finish()
    }
}

/// Says when a slice of time is over that begins now.
fn slice(now: impl Fn() -> Duration) -> impl FnMut() -> bool {
    let (begun, mut steps) = (now(), 0);
    move || {
        steps += 1;
        let passed = now().saturating_sub(begun);
        passed >= SLICE || (passed.is_zero() && steps >= STANDING)
    }
}

/// What the handles share. Its end is that of who could start it.
struct Handle(Rc<Scheduler>);

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0.state.get() == State::New {
            self.0.let_go();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Tasks wait until it is started.
    New,
    /// It makes ticks while there are tasks.
    Running,
    /// It takes no tasks.
    Stopped,
}

/// The tasks that take turns. Nothing is borrowed while user code runs.
pub(super) struct Scheduler {
    state: Cell<State>,
    tasks: RefCell<Vec<Rc<Task>>>,
    /// Whose turn it is, by the place in the list. As in Twisted, who leaves makes the one behind him lose a turn.
    turn: Cell<usize>,
    /// The next tick; none while one is made.
    tick: RefCell<Option<DelayedCall>>,
    slices: Box<dyn Fn() -> Box<dyn FnMut() -> bool>>,
    schedule: Box<dyn Fn(Place, Box<dyn FnOnce()>) -> Option<DelayedCall>>,
}

impl Scheduler {
    pub(super) fn add(self: &Rc<Self>, task: &Rc<Task>) {
        if self.state.get() == State::Stopped {
            return task.finish_with(TaskFinished::SchedulerStopped, task.place());
        }
        self.tasks.borrow_mut().push(task.clone());
        self.plan_tick();
    }

    pub(super) fn remove(&self, task: &Rc<Task>) {
        self.tasks.borrow_mut().retain(|other| !Rc::ptr_eq(other, task));
        if self.tasks.borrow().is_empty() {
            self.cancel_tick();
        }
    }

    fn stop(&self, place: Place) {
        self.state.set(State::Stopped);
        let tasks = self.tasks.take();
        self.cancel_tick();
        tasks.iter().for_each(|task| task.finish_with(TaskFinished::SchedulerStopped, place));
    }

    fn tick(self: &Rc<Self>) {
        self.tick.take();
        let _next = NextTick(self);
        let mut is_over = (self.slices)();
        while let Some(task) = self.next_turn() {
            task.step();
            if is_over() {
                break;
            }
        }
    }

    fn next_turn(&self) -> Option<Rc<Task>> {
        let tasks = self.tasks.borrow();
        let turn = Some(self.turn.get()).filter(|turn| *turn < tasks.len()).unwrap_or(0);
        let task = tasks.get(turn).cloned();
        self.turn.set(if task.is_some() { turn + 1 } else { 0 });
        task
    }

    fn plan_tick(self: &Rc<Self>) {
        let planned = self.tick.borrow().as_ref().is_some_and(DelayedCall::active);
        let Some(place) = self.tasks.borrow().first().map(|task| task.place()) else { return };
        if planned || self.state.get() != State::Running {
            return;
        }
        let tick = Tick(Some(self.clone()));
        let call = (self.schedule)(place, Box::new(move || tick.make()));
        self.tick.replace(call);
    }

    fn cancel_tick(&self) {
        if let Some(call) = self.tick.take() {
            let _ = call.cancel(); // no error: it waits, or its reactor has closed
        }
    }

    /// Nobody will make ticks: those who wait for the tasks are told.
    fn let_go(&self) {
        self.tasks.take().iter().for_each(|task| task.abandon());
    }
}

/// Plans the next tick at the end of one, also of one that panics.
struct NextTick<'a>(&'a Rc<Scheduler>);

impl Drop for NextTick<'_> {
    fn drop(&mut self) {
        self.0.plan_tick();
    }
}

/// A tick that is planned. Dropped instead of made, because its reactor closes, it ends the tasks.
struct Tick(Option<Rc<Scheduler>>);

impl Tick {
    fn make(mut self) {
        if let Some(scheduler) = self.0.take() {
            scheduler.tick();
        }
    }
}

impl Drop for Tick {
    fn drop(&mut self) {
        if let Some(scheduler) = self.0.take() {
            scheduler.let_go();
        }
    }
}
