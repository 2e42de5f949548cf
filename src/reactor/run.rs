//! Who turns the loop, and where it sleeps.
//!
//! `run` owns the thread and sleeps on the driver's poll set itself; async-io's own thread drives the async-io futures of other crates meanwhile, and wakes the
//! loop for them. While such wakes keep coming, `run` [parks](parked) in async-io instead, with the poll set nested there: then those futures cost no second
//! thread. `drive` is the same inside another executor, whose guest the reactor is.

use super::{
    Reactor,
    core::{Core, Entered},
    habit::{Habit, Parking, Sleep},
    life::{Driving, Life},
    watch::Watch,
};
use crate::{
    error::{ReactorAlreadyRunning, ReactorForked, ReactorNotRunning, SimulationError},
    failure::{Failure, Result},
};
use futures_lite::future::{poll_fn, yield_now};
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

pub(crate) fn run(core: &Rc<Core>, signals: bool) -> Result<()> {
    core.begin()?;
    let _run = Run { core, _driving: Driving::new(core), _entered: core.enter() };
    // From before "startup", so that no code of the program runs in a loop that they do not stop.
    let _signals = if signals { Some(core.stop_by_signals()?) } else { None };
    core.start_up();
    run_loop(core).map_err(named)
}

/// An error of the loop. Through the seam comes one of the system; what a virtual driver has to say is in it, or that this is a child.
fn named(error: io::Error) -> Failure {
    let of_the_system =
        |error: io::Error| error.downcast::<ReactorForked>().map_or_else(Failure::from, Failure::from);
    error.downcast::<SimulationError>().map_or_else(of_the_system, Failure::from)
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
    let (mut watch, mut habit) = (Watch::new(core), Habit::default());
    loop {
        core.turn();
        core.check_fork()?;
        if core.is_over() {
            return Ok(());
        }
        watch.wait(None)?;
        if core.driver.is_virtual() {
            continue; // async-io does not know its clock
        }
        if slept(&watch, &mut habit) == Sleep::InAsyncIo {
            let Some(_parking) = Parking::claim() else {
                habit.stay();
                continue;
            };
            let result = async_io::block_on(parked(&mut watch, &mut habit));
            core.check_fork()?; // async-io's poll set is the parent's too, and keeps what is nested in it
            core.driver.disarm();
            result?;
        }
    }
}

/// Where to sleep next. The clock is read only for a wake that counts.
fn slept(watch: &Watch, habit: &mut Habit) -> Sleep {
    habit.slept(watch.was_woken_by_async_io().then(|| watch.core.now()))
}

/// So many turns without a pause, then whoever else lives on the thread gets his: async-io, the other tasks of a host.
const TURNS: usize = 16;

/// Turns the loop inside one `async_io::block_on`, for as long as foreign futures are at work: each return from it would wake async-io's thread.
async fn parked(watch: &mut Watch, habit: &mut Habit) -> io::Result<()> {
    #[cfg(test)]
    PERIODS.set(PERIODS.get() + 1);
    loop {
        for _ in 0..TURNS {
            poll_fn(|cx| watch.poll_wait(cx)).await?;
            let sleep = slept(watch, habit);
            watch.core.turn();
            watch.core.check_fork()?;
            if watch.core.is_over() || sleep == Sleep::Directly {
                return Ok(());
            }
            if watch.core.tasks().is_none() {
                // Nobody awaits anything foreign. Without traffic it would sleep here for ever, with a right that others may want.
                habit.stay();
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

pub(crate) fn iterate(core: &Rc<Core>, delay: Duration) -> Result<()> {
    if core.turning.get() || core.life.get() != Life::Idle {
        return Err(ReactorAlreadyRunning::default().into());
    }
    core.check_fork().map_err(named)?;
    let (_driving, _entered) = (Driving::new(core), core.enter());
    core.pools.open();
    core.turn();
    core.check_fork().and_then(|()| Watch::new(core).wait(Some(delay))).map_err(named)?;
    core.turn();
    core.check_fork().map_err(named)
}

/// The run of a reactor as a future; from [`Reactor::drive`](super::Reactor::drive).
pub struct Drive {
    /// Keeps it open: to drop the last handle closes it.
    reactor: Reactor,
    state: State,
    /// Until it is over.
    driving: Option<Driving>,
}

/// How far a [`Drive`] is.
enum State {
    /// Not polled yet.
    New,
    /// The reactor runs. Nobody else watches it meanwhile: a watch that goes gets the reactor up.
    Running(Watch),
    /// The run is over.
    Over,
}

impl Drive {
    pub(crate) fn new(reactor: Reactor) -> Drive {
        let driving = Some(Driving::new(&reactor.core));
        Drive { reactor, state: State::New, driving }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let core = self.reactor.core.clone();
        let _entered = core.enter();
        if let State::New = self.state {
            core.begin()?;
            self.state = State::Running(Watch::new(&core));
            core.start_up();
            core.turn();
        }
        core.check_fork().map_err(named)?;
        let State::Running(watch) = &mut self.state else {
            return Poll::Ready(Err(ReactorNotRunning::default().into()));
        };
        for _ in 0..TURNS {
            if core.is_over() {
                return Poll::Ready(Ok(()));
            }
            match watch.poll_wait(cx) {
                Poll::Ready(result) => result.map_err(named)?,
                Poll::Pending => return Poll::Pending,
            }
            core.turn();
            core.check_fork().map_err(named)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The run is over.
    fn end(&mut self) {
        if let State::Running(mut watch) = std::mem::replace(&mut self.state, State::Over) {
            // It holds the executor, whose tasks are dropped now.
            watch.forget();
            let core = &watch.core;
            if !core.is_forked() {
                core.driver.disarm();
            }
            let _entered = core.enter();
            core.finish();
        }
        self.driving = None;
    }
}

impl Future for Drive {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
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
        let core = &self.reactor.core;
        if matches!(self.state, State::Running(_)) && !core.is_over() {
            core.life.set(Life::Crashed);
        }
        self.end();
    }
}

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New => "New",
            State::Running(_) => "Running",
            State::Over => "Over",
        };
        f.debug_struct("Drive").field("state", &format_args!("{state}")).finish_non_exhaustive()
    }
}
