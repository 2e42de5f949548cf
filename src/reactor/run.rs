//! Who turns the loop, and where it sleeps.
//!
//! `run` owns the thread and sleeps on the driver's poll set itself; async-io's own thread drives the async-io futures of other crates meanwhile, and wakes the
//! loop for them. While such wakes keep coming, `run` [parks](parked) in async-io instead, with the poll set nested there: then those futures cost no second
//! thread. `drive` is the same inside another executor, whose guest the reactor is.

use super::{
    Reactor,
    core::{Core, Entered},
    driver::Alarm,
    life::{Driving, Life},
    signals::Signals,
    turn::Turn,
};
use crate::{
    error::{ReactorAlreadyRunning, ReactorNotRunning, SimulationError},
    failure::{Failure, Result},
};
use futures_lite::future::yield_now;
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake},
    time::Duration,
};

/// What wakes the loop for a task: the driver's alarm, and a count of how often.
pub(crate) struct TaskAlarm {
    alarm: Arc<dyn Alarm>,
    rings: AtomicU32,
}

impl TaskAlarm {
    pub(crate) fn new(alarm: Arc<dyn Alarm>) -> Arc<TaskAlarm> {
        Arc::new(TaskAlarm { alarm, rings: AtomicU32::new(0) })
    }

    fn rings(&self) -> u32 {
        self.rings.load(Ordering::Relaxed)
    }
}

impl Wake for TaskAlarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rings.fetch_add(1, Ordering::Relaxed);
        self.alarm.ring();
    }
}

pub(crate) fn run(core: &Rc<Core>, signals: bool) -> Result<()> {
    core.begin()?;
    let _run = Run { core, _driving: Driving::new(core), _entered: core.enter() };
    // From before "startup", so that no code of the program runs in a loop that they do not stop.
    // A virtual reactor has no real descriptor for them.
    let _signals = if signals && !core.driver.is_virtual() { Some(Signals::install(core)?) } else { None };
    core.start_up();
    run_loop(core).map_err(named)
}

/// An error of the driver. Through the seam comes one of the system; what a virtual driver has to say is in it.
fn named(error: io::Error) -> Failure {
    error.downcast::<SimulationError>().map_or_else(Failure::from, Failure::from)
}

/// A run, which is finished when this is dropped, panic or not.
struct Run<'a> {
    core: &'a Rc<Core>,
    _driving: Driving,
    _entered: Entered,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.core.finish();
    }
}

fn run_loop(core: &Rc<Core>) -> io::Result<()> {
    let mut habit = Habit::default();
    loop {
        core.turn();
        if core.is_over() {
            return Ok(());
        }
        let rings = core.wakes.rings();
        core.wait(None)?;
        if core.driver.is_virtual() {
            continue; // async-io does not know its clock
        }
        if habit.slept(core.wakes.rings() != rings) == Sleep::InAsyncIo {
            let result = async_io::block_on(parked(core, &mut habit));
            core.driver.disarm();
            result?;
        }
    }
}

/// So many turns without a pause, then whoever else lives on the thread gets his: async-io, the other tasks of a host.
const TURNS: usize = 16;

/// Where to sleep.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sleep {
    /// On the poll set.
    #[default]
    Directly,
    /// In async-io.
    InAsyncIo,
}

/// Learns from the wakes where to sleep.
#[derive(Default)]
pub(super) struct Habit {
    sleep: Sleep,
    /// How many sleeps in a row spoke for the other way.
    against: u32,
}

impl Habit {
    /// So many sleeps in a row that a task's wake ended: a foreign future is at work.
    pub(super) const ENTER: u32 = 8;
    /// So many sleeps in a row that no task's wake ended: it has stopped.
    pub(super) const LEAVE: u32 = 64;

    pub(super) fn slept(&mut self, ended_by_wake: bool) -> Sleep {
        let (speaks_against, limit) = match self.sleep {
            Sleep::Directly => (ended_by_wake, Self::ENTER),
            Sleep::InAsyncIo => (!ended_by_wake, Self::LEAVE),
        };
        self.against = if speaks_against { self.against + 1 } else { 0 };
        if self.against == limit {
            self.against = 0;
            self.sleep = match self.sleep {
                Sleep::Directly => Sleep::InAsyncIo,
                Sleep::InAsyncIo => Sleep::Directly,
            };
        }
        self.sleep
    }
}

/// Turns the loop inside one `async_io::block_on`, for as long as foreign futures are at work: each return from it would wake async-io's thread.
async fn parked(core: &Rc<Core>, habit: &mut Habit) -> io::Result<()> {
    #[cfg(test)]
    PERIODS.set(PERIODS.get() + 1);
    loop {
        for _ in 0..TURNS {
            let woken = Sleeping::new(core.clone()).await?;
            let sleep = habit.slept(woken);
            core.turn();
            if core.is_over() || sleep == Sleep::Directly {
                return Ok(());
            }
        }
        yield_now().await;
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has parked in async-io.
    pub(super) static PERIODS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Waits, as a guest, until there is something to do. Whether a task's wake ended it.
struct Sleeping {
    core: Rc<Core>,
    /// How the executor learns who to wake. It lasts as long as the sleep: when it is dropped the executor forgets.
    tick: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Sleeping {
    fn new(core: Rc<Core>) -> Sleeping {
        Sleeping { core, tick: None }
    }

    /// Whether a task was runnable; it has been run then.
    fn poll_tasks(&mut self, cx: &mut Context<'_>) -> bool {
        if self.tick.is_none() {
            let tick = self.core.tasks().map(|executor| async move { executor.tick().await });
            self.tick = tick.map(|tick| Box::pin(tick) as _);
        }
        let Some(tick) = &mut self.tick else { return false };
        let _turn = Turn::begin(&self.core);
        tick.as_mut().poll(cx).is_ready()
    }
}

impl Future for Sleeping {
    type Output = io::Result<bool>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let woken = self.poll_tasks(cx);
        let poll = if woken { Poll::Ready(self.core.look()) } else { self.core.poll_wait(cx) };
        if poll.is_ready() {
            // Else the turn that comes would wake the host for the tasks that it polls itself.
            self.tick = None;
        }
        poll.map_ok(|()| woken)
    }
}

pub(crate) fn iterate(core: &Rc<Core>, delay: Duration) -> Result<()> {
    if core.turning.get() || core.life.get() != Life::Idle {
        return Err(ReactorAlreadyRunning::default().into());
    }
    let (_driving, _entered) = (Driving::new(core), core.enter());
    core.turn();
    core.wait(Some(delay)).map_err(named)?;
    core.turn();
    Ok(())
}

/// The run of a reactor as a future; from [`Reactor::drive`](super::Reactor::drive).
pub struct Drive {
    /// Keeps it open: to drop the last handle closes it.
    _reactor: Reactor,
    sleeping: Sleeping,
    state: State,
    /// Until it is over.
    driving: Option<Driving>,
}

/// How far a [`Drive`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not polled yet.
    New,
    /// The reactor runs.
    Running,
    /// The run is over.
    Over,
}

impl Drive {
    pub(crate) fn new(reactor: Reactor) -> Drive {
        let core = reactor.core.clone();
        let driving = Some(Driving::new(&core));
        Drive { _reactor: reactor, sleeping: Sleeping::new(core), state: State::New, driving }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let core = self.sleeping.core.clone();
        let _entered = core.enter();
        if self.state == State::New {
            core.begin()?;
            self.state = State::Running;
            core.start_up();
            core.turn();
        }
        for _ in 0..TURNS {
            if core.is_over() {
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.sleeping).poll(cx) {
                Poll::Ready(result) => drop(result.map_err(named)?),
                Poll::Pending => return Poll::Pending,
            }
            core.turn();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The run is over.
    fn end(&mut self) {
        let core = &self.sleeping.core;
        if std::mem::replace(&mut self.state, State::Over) == State::Running {
            // It holds the executor, whose tasks are dropped now.
            self.sleeping.tick = None;
            core.driver.disarm();
            let _entered = core.enter();
            core.finish();
        }
        self.driving = None;
    }
}

impl Future for Drive {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.state == State::Over {
            return Poll::Ready(Err(ReactorNotRunning::default().into()));
        }
        let poll = self.turn(cx);
        if poll.is_ready() {
            self.end();
        }
        poll
    }
}

impl Drop for Drive {
    /// Dropped in the middle of a run, it leaves as `crash` does.
    fn drop(&mut self) {
        let core = &self.sleeping.core;
        if self.state == State::Running && !core.is_over() {
            core.life.set(Life::Crashed);
        }
        self.end();
    }
}

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("state", &self.state).finish_non_exhaustive()
    }
}
