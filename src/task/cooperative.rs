//! [`CooperativeTask`]: an iterator that takes turns with others; [`Step`]: what it may give.

use super::cooperator::Scheduler;
use crate::{
    defer::{Deferred, Kind, Promise, succeed},
    error::{NotPaused, TaskFinished},
    failure::{Failure, Result},
    report,
    trace::{At, Place},
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::Location,
    rc::Rc,
};

/// What an iterator gives to its cooperator. `()`, a `Result` and a Deferred become one by themselves.
#[derive(Debug)]
pub enum Step {
    /// It has done a piece of its work.
    Next,
    /// It goes on when this has a value, and fails if that fails.
    Wait(Deferred<()>),
    /// It has failed: there is no further step.
    Fail(Failure),
}

impl From<()> for Step {
    fn from((): ()) -> Step {
        Step::Next
    }
}

impl<T> From<Result<T>> for Step {
    fn from(result: Result<T>) -> Step {
        result.map_or_else(Step::Fail, |_| Step::Next)
    }
}

impl<T> From<Deferred<T>> for Step {
    fn from(deferred: Deferred<T>) -> Step {
        Step::Wait(deferred.map(drop))
    }
}

/// An iterator that takes turns with others; from [`Cooperator::cooperate`](super::Cooperator::cooperate).
///
/// It is a handle; clones are the same task. Dropping it does not stop the task.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::{error::{NotPaused, TaskFinished}, task::Cooperator, time::Clock};
///
/// let clock = Clock::new();
/// let task = Cooperator::new(&clock).cooperate((0..1_000_000).map(|_| ()));
/// task.pause()?;
/// clock.advance(Duration::from_secs(1)); // no step
/// task.resume()?;
/// assert_eq!(task.resume(), Err(NotPaused::default()));
///
/// let done = task.when_done();
/// task.stop()?;
/// assert_eq!(done.now().unwrap().unwrap_err().value(), Some(&TaskFinished::Stopped));
/// assert_eq!(task.pause(), Err(TaskFinished::Stopped));
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
#[doc(alias = "task.CooperativeTask")]
pub struct CooperativeTask(Rc<Task>);

impl CooperativeTask {
    /// Takes no further steps until as many [`resume`](Self::resume).
    ///
    /// # Errors
    /// [`TaskFinished`] if it is over.
    pub fn pause(&self) -> Result<(), TaskFinished> {
        self.0.check()?;
        let task = &self.0;
        task.pauses.set(task.pauses.get() + 1);
        if task.pauses.get() == 1 && !task.waits.get() {
            task.scheduler.remove(task);
        }
        Ok(())
    }

    /// Takes one [`pause`](Self::pause) back. After the last one it goes on, as the last in line.
    ///
    /// The Deferred that it waits for, if there is one, is waited for all the same. (Twisted's goes on early then.)
    ///
    /// # Errors
    /// [`NotPaused`] if there is no pause left. One from before its end may be taken back after it, which does nothing.
    #[track_caller]
    pub fn resume(&self) -> Result<(), NotPaused> {
        let task = &self.0;
        let left = task.pauses.get().checked_sub(1).ok_or_else(NotPaused::default)?;
        task.pauses.set(left);
        if task.takes_turns() {
            task.scheduler.add(task);
        }
        Ok(())
    }

    /// Ends it: its iterator is dropped, and [`when_done`](Self::when_done) fails with [`TaskFinished::Stopped`].
    ///
    /// What it waits for is not cancelled, and what comes of that does not matter any more.
    ///
    /// # Errors
    /// [`TaskFinished`] if it is over already.
    #[track_caller]
    pub fn stop(&self) -> Result<(), TaskFinished> {
        self.0.check()?;
        self.0.finish_with(TaskFinished::Stopped, Location::caller());
        Ok(())
    }

    /// Fires when the iterator has no more items, or fails as it does. It may be asked often, also afterwards.
    ///
    /// If nobody asks, nobody is told of a failure. Cancelling the Deferred does not stop the task.
    #[doc(alias = "whenDone")]
    #[track_caller]
    pub fn when_done(&self) -> Deferred<()> {
        let place = Location::caller();
        if let Some((_, result)) = &*self.0.finished.borrow() {
            return Deferred::ready_at(result.clone(), place);
        }
        let (deferred, promise) = Deferred::pending_at(place);
        self.0.waiting.borrow_mut().push(promise);
        deferred
    }

    /// The line of code that began it.
    pub fn place(&self) -> Place {
        self.0.place
    }
}

impl fmt::Debug for CooperativeTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = &self.0;
        let state = match (task.check(), task.pauses.get(), task.waits.get()) {
            (Err(TaskFinished::Done), ..) => "done",
            (Err(TaskFinished::Failed), ..) => "failed",
            (Err(TaskFinished::Stopped | TaskFinished::SchedulerStopped), ..) => "stopped",
            (Ok(()), 1.., _) => "paused",
            (Ok(()), 0, true) => "waits for a Deferred",
            (Ok(()), 0, false) => "takes turns",
        };
        write!(f, "CooperativeTask({state}, {})", At(task.place))
    }
}

pub(super) struct Task {
    scheduler: Rc<Scheduler>,
    /// Taken out while it is asked, and for good at the end.
    work: Cell<Option<Work>>,
    pauses: Cell<usize>,
    /// For the Deferred that its last step gave.
    waits: Cell<bool>,
    finished: RefCell<Option<(TaskFinished, Result<()>)>>,
    /// Who asked when it is done.
    waiting: RefCell<Vec<Promise<()>>>,
    place: Place,
}

pub(super) type Work = Box<dyn FnMut() -> Option<Step>>;

impl Task {
    pub(super) fn begin(scheduler: &Rc<Scheduler>, work: Work, place: Place) -> CooperativeTask {
        let task = Rc::new(Task {
            scheduler: scheduler.clone(),
            work: Cell::new(Some(work)),
            pauses: Cell::new(0),
            waits: Cell::new(false),
            finished: RefCell::default(),
            waiting: RefCell::default(),
            place,
        });
        scheduler.add(&task);
        CooperativeTask(task)
    }

    /// An error if it is over.
    fn check(&self) -> Result<(), TaskFinished> {
        self.finished.borrow().as_ref().map_or(Ok(()), |(how, _)| Err(*how))
    }

    /// Whether the scheduler has it in its list.
    fn takes_turns(&self) -> bool {
        self.pauses.get() == 0 && !self.waits.get() && self.check().is_ok()
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Takes one item from the iterator.
    pub(super) fn step(self: &Rc<Self>) {
        let Some(mut work) = self.work.take() else { return }; // it is in a step, which has turned the clock
        let step = report::guarded(&mut work).unwrap_or_else(|panicked| Some(Step::Fail(panicked)));
        if self.check().is_err() {
            return; // it was stopped by its own step
        }
        self.work.set(Some(work));
        match step {
            Some(Step::Next) => {}
            Some(Step::Wait(deferred)) => self.wait_for(deferred),
            Some(Step::Fail(failure)) => self.finish(TaskFinished::Failed, Err(failure)),
            None => self.finish(TaskFinished::Done, Ok(())),
        }
    }

    /// It leaves the list, and comes back to its end: also if the result is there already, as in Twisted.
    fn wait_for(self: &Rc<Self>, deferred: Deferred<()>) {
        if self.takes_turns() {
            self.scheduler.remove(self);
        }
        self.waits.set(true);
        let task = self.clone();
        drop(deferred.stage(Kind::Both, self.place, move |result| {
            task.waited(result);
            succeed(())
        }));
    }

    fn waited(self: &Rc<Self>, result: Result<()>) {
        if self.check().is_err() {
            return; // it was stopped meanwhile: nobody asks for this
        }
        match result {
            Err(failure) => self.finish(TaskFinished::Failed, Err(failure)),
            Ok(()) => {
                self.waits.set(false);
                if self.takes_turns() {
                    self.scheduler.add(self);
                }
            }
        }
    }

    /// Ends it from outside, with a failure that says so.
    pub(super) fn finish_with(self: &Rc<Self>, how: TaskFinished, place: Place) {
        self.finish(how, Err(Failure::new(how).with_place(place)));
    }

    fn finish(self: &Rc<Self>, how: TaskFinished, result: Result<()>) {
        if self.takes_turns() {
            self.scheduler.remove(self);
        }
        self.finished.replace(Some((how, result.clone())));
        drop(self.work.take());
        // The list and the state are as they will stay: those who are told now may do anything.
        for promise in self.waiting.take() {
            promise.fire_at(result.clone(), self.place);
        }
    }

    /// Ends it when nobody can go on with it.
    pub(super) fn abandon(&self) {
        let stopped = Failure::new(TaskFinished::SchedulerStopped).with_place(self.place);
        self.finished.replace(Some((TaskFinished::SchedulerStopped, Err(stopped))));
        drop((self.work.take(), self.waiting.take())); // which fails who waits
    }
}
