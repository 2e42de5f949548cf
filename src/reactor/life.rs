//! Starting, stopping, closing.

use super::{core::Core, turn::Turn};
use crate::{
    defer::promise_closing,
    error::{ConnectionLost, ReactorAlreadyRunning, ReactorForked, ReactorNotRunning},
    failure::{Failure, Result},
    report,
    time::Driven,
};
use std::rc::Rc;

/// How far a reactor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// No run.
    Idle,
    /// In a run; `before` triggers of "startup" are waited for. Timers and sockets work already.
    Starting,
    /// In a run.
    Running,
    /// In a run; `before` triggers of "shutdown" are waited for. Everything works still.
    Stopping,
    /// The run ends after this turn. Everything is being closed, and nothing new is begun.
    Over,
    /// The run ends after this turn, and nothing is closed.
    Crashed,
}

impl Core {
    /// From the `during` phase of "startup" to that of "shutdown".
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life.get(), Life::Running | Life::Stopping)
    }

    /// Whether it is in no run and no turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.life.get() == Life::Idle && !self.turning.get()
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.life.get(), Life::Over | Life::Crashed)
    }

    /// Whether what is asked for now would be closed at once.
    pub(crate) fn is_closing(&self) -> bool {
        self.life.get() == Life::Over
    }

    /// A run begins.
    pub(crate) fn begin(&self) -> Result<()> {
        if self.is_forked() {
            return Err(ReactorForked::default().into());
        }
        if self.life.get() != Life::Idle || self.turning.get() {
            return Err(ReactorAlreadyRunning::default().into());
        }
        self.life.set(Life::Starting);
        self.stop_asked.set(false);
        self.mailbox.open();
        Ok(())
    }

    /// Fires "startup". The run is one from the beginning of its `during` phase.
    pub(crate) fn start_up(self: &Rc<Self>) {
        let _turn = Turn::begin(self);
        self.fire_in_this_run("startup", |core| {
            // Unless it was stopped meanwhile.
            if core.life.get() == Life::Starting {
                core.life.set(Life::Running);
                core.pools.open();
            }
        });
    }

    pub(crate) fn stop(&self) -> Result<(), ReactorNotRunning> {
        if !matches!(self.life.get(), Life::Starting | Life::Running) || self.stop_asked.replace(true) {
            return Err(ReactorNotRunning::default());
        }
        self.wake_if_asleep();
        Ok(())
    }

    pub(crate) fn crash(&self) -> Result<(), ReactorNotRunning> {
        if self.life.get() == Life::Idle || self.is_over() {
            return Err(ReactorNotRunning::default());
        }
        self.life.set(Life::Crashed);
        self.wake_if_asleep();
        Ok(())
    }

    /// A step of the turn: "shutdown" is fired. Its `during` phase begins with the end of the run, of all connections and of the threads
    /// that wait; the triggers of the program come after, and may join those threads.
    pub(crate) fn stop_if_asked(self: &Rc<Self>) {
        if !self.stop_asked.take() || self.is_over() {
            return;
        }
        self.life.set(Life::Stopping);
        self.drain_before_shutdown();
        self.fire_in_this_run("shutdown", |core| {
            if core.life.get() == Life::Stopping {
                core.life.set(Life::Over);
                core.leave_threads();
                promise_closing(|| core.disconnect_all());
            }
        });
    }

    /// Fires an event. What it waits for may come after the run has crashed: then it is not for the next run to finish it.
    fn fire_in_this_run(self: &Rc<Self>, event: &'static str, first: impl FnOnce(&Rc<Core>) + 'static) {
        let (weak, run) = (Rc::downgrade(self), self.runs.get());
        self.triggers.fire(event, move || {
            let core = weak.upgrade().filter(|core| core.runs.get() == run);
            core.inspect(first).is_some()
        });
    }

    /// The run has ended. Unless it crashed, or goes on in the process that this one is a child of, everything is closed.
    pub(crate) fn finish(self: &Rc<Self>) {
        self.runs.set(self.runs.get() + 1);
        if self.life.get() == Life::Crashed || self.is_forked() {
            self.life.set(Life::Idle);
        } else {
            self.close();
        }
    }

    /// Closes everything, and what is made by that too, a few times over.
    pub(crate) fn close(self: &Rc<Self>) {
        const ROUNDS: usize = 16;
        let _turn = Turn::begin(self);
        self.life.set(Life::Over);
        self.leave_threads();
        promise_closing(|| {
            for _ in 0..ROUNDS {
                self.disconnect_all();
                // The drop of what was captured is the program's code.
                guarded("the end of a task", || self.drop_tasks());
                guarded("the end of a delayed call", || self.timers.clear());
                guarded("the end of what a thread was to bring", || self.awaited.let_go());
                if !self.has_anything() {
                    break;
                }
            }
        });
        // Nobody waits for the reactor any more, so this comes to an end.
        self.pools.close();
        self.take_touched();
        self.held.take();
        self.batch.take();
        self.life.set(Life::Idle);
    }

    /// Nobody makes calls for other threads any more.
    fn leave_threads(&self) {
        self.mailbox.close();
        self.blocked.let_go();
    }

    fn disconnect_all(self: &Rc<Self>) {
        for socket in self.all_sockets() {
            guarded("a connection's end", || {
                socket.close(self, Failure::quiet(ConnectionLost::default()));
            });
        }
        self.end_hearings();
    }

    fn has_anything(&self) -> bool {
        !self.all_sockets().is_empty()
            || self.hears()
            || self.timers.len() > 0
            || self.tasks().is_some()
            || !self.awaited.is_empty()
    }
}

/// One panic does not keep the others from their end.
fn guarded(origin: &'static str, f: impl FnOnce()) {
    if let Err(panicked) = report::guarded(f) {
        report::unhandled(origin, panicked);
    }
}

/// Somebody turns the loop, or is about to, while this is there: what only the loop can fire may be awaited.
pub(crate) struct Driving(Rc<Core>);

impl Driving {
    pub(crate) fn new(core: &Rc<Core>) -> Driving {
        core.drivings.set(core.drivings.get() + 1);
        core.driven.set(Driven::Yes);
        Driving(core.clone())
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let left = self.0.drivings.get() - 1;
        self.0.drivings.set(left);
        if left == 0 {
            self.0.driven.set(Driven::No);
        }
    }
}
