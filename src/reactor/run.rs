//! Who turns the loop, and where it sleeps.
//!
//! `run` owns the thread and sleeps on the driver's poll set itself; async-io's own thread drives the async-io futures of other crates meanwhile, and wakes the
//! loop for them. While such wakes keep coming, `run` [parks](parked) in async-io instead, with the poll set nested there: then those futures cost no second
//! thread. `drive` is the same inside another executor, whose guest the reactor is.

use super::{core::Core, driver::Alarm, life::Life, signals::Signals, turn::Turn};
use crate::{
    defer::record::{self, Driven},
    error::{ReactorAlreadyRunning, ReactorNotRunning},
    failure::Result,
};
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
    let _entered = core.enter();
    core.start()?;
    let _end = End(core);
    let _signals = if signals { Some(Signals::install(core)?) } else { None };
    run_loop(core)?;
    Ok(())
}

/// Closes what is to be closed, panic or not.
struct End<'a>(&'a Rc<Core>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.finish();
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
        if habit.slept(core.wakes.rings() != rings) == Sleep::InAsyncIo {
            async_io::block_on(parked(core, &mut habit))?;
            core.driver.disarm();
        }
    }
}

/// Where to sleep.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sleep {
    /// On the poll set.
    #[default]
    Directly,
    /// In async-io.
    InAsyncIo,
}

/// Learns from the wakes where to sleep.
#[derive(Default)]
struct Habit {
    sleep: Sleep,
    /// How many sleeps in a row spoke for the other way.
    against: u32,
}

impl Habit {
    /// So many sleeps in a row that a task's wake ended: a foreign future is at work.
    const ENTER: u32 = 8;
    /// So many sleeps in a row that no task's wake ended: it has stopped.
    const LEAVE: u32 = 64;

    fn slept(&mut self, ended_by_wake: bool) -> Sleep {
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
    loop {
        let woken = Sleeping::new(core.clone()).await?;
        let sleep = habit.slept(woken);
        core.turn();
        if core.is_over() || sleep == Sleep::Directly {
            return Ok(());
        }
    }
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
        let _time = record::enter(self.core.now(), 0);
        tick.as_mut().poll(cx).is_ready()
    }
}

impl Future for Sleeping {
    type Output = io::Result<bool>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.poll_tasks(cx) {
            self.tick = None;
            return Poll::Ready(self.core.look().map(|()| true));
        }
        self.core.poll_wait(cx).map_ok(|()| false)
    }
}

pub(crate) fn iterate(core: &Rc<Core>, delay: Duration) -> Result<()> {
    if core.turning.get() || core.life.get() != Life::Idle {
        return Err(ReactorAlreadyRunning::default().into());
    }
    let _entered = core.enter();
    core.turn();
    core.wait(Some(delay))?;
    core.turn();
    Ok(())
}

/// The run of a reactor as a future; from [`Reactor::drive`](super::Reactor::drive).
pub struct Drive {
    sleeping: Sleeping,
    state: State,
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
    /// So many turns in one poll, then the other tasks of the host get theirs.
    const TURNS: usize = 16;

    pub(crate) fn new(core: Rc<Core>) -> Drive {
        core.driven.set(Driven::Yes);
        Drive { sleeping: Sleeping::new(core), state: State::New }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let core = self.sleeping.core.clone();
        let _entered = core.enter();
        if self.state == State::New {
            core.start()?;
            self.state = State::Running;
            core.turn();
        }
        for _ in 0..Self::TURNS {
            if core.is_over() {
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.sleeping).poll(cx) {
                Poll::Ready(result) => drop(result?),
                Poll::Pending => return Poll::Pending,
            }
            core.turn();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The run is over: in order, or crashed if it was let go.
    fn end(&mut self) {
        let core = &self.sleeping.core;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Running => {
                core.driver.disarm();
                if !core.is_over() {
                    core.life.set(Life::Crashed);
                }
                let _entered = core.enter();
                core.finish();
            }
            State::New if core.life.get() == Life::Idle => core.driven.set(Driven::No),
            State::New | State::Over => {}
        }
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
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("state", &self.state).finish_non_exhaustive()
    }
}
