//! Starting, stopping, closing.

use super::core::Core;
use crate::{
    defer::{promise_closing, record::Driven},
    error::{ConnectionLost, ReactorAlreadyRunning, ReactorNotRunning},
    failure::{Failure, Result},
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
    /// In a run that was asked to stop: the turn that is on gets to its end first.
    Asked,
    /// In a run; `before` triggers of "shutdown" are waited for. Everything works still.
    Stopping,
    /// The run ends after this turn, and everything is closed.
    Over,
    /// The run ends after this turn, and nothing is closed.
    Crashed,
}

impl Core {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life.get(), Life::Running | Life::Asked | Life::Stopping)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.life.get(), Life::Over | Life::Crashed)
    }

    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.life.get() == Life::Asked
    }

    /// A run begins: "startup" is fired.
    pub(crate) fn start(self: &Rc<Self>) -> Result<(), ReactorAlreadyRunning> {
        if self.life.get() != Life::Idle || self.turning.get() {
            return Err(ReactorAlreadyRunning::default());
        }
        self.life.set(Life::Starting);
        self.driven.set(Driven::Yes);
        self.mailbox.open();
        let core = self.clone();
        // A stop that came meanwhile stays.
        self.triggers.fire("startup", move || {
            if core.life.get() == Life::Starting {
                core.life.set(Life::Running);
            }
        });
        Ok(())
    }

    pub(crate) fn stop(&self) -> Result<(), ReactorNotRunning> {
        match self.life.get() {
            Life::Starting | Life::Running => {
                self.life.set(Life::Asked);
                self.wake_if_asleep();
                Ok(())
            }
            _ => Err(ReactorNotRunning::default()),
        }
    }

    pub(crate) fn crash(&self) -> Result<(), ReactorNotRunning> {
        match self.life.get() {
            Life::Idle | Life::Over | Life::Crashed => Err(ReactorNotRunning::default()),
            _ => {
                self.life.set(Life::Crashed);
                self.wake_if_asleep();
                Ok(())
            }
        }
    }

    /// A step of the turn: "shutdown" is fired. Its `during` phase begins with the end of the run and of all connections, as in Twisted; the triggers
    /// of the program come after.
    pub(crate) fn stop_if_asked(self: &Rc<Self>) {
        if self.life.get() != Life::Asked {
            return;
        }
        self.life.set(Life::Stopping);
        let core = self.clone();
        self.triggers.fire("shutdown", move || {
            if core.life.get() == Life::Stopping {
                core.life.set(Life::Over);
                core.disconnect_all();
            }
        });
    }

    fn disconnect_all(self: &Rc<Self>) {
        for socket in self.all_sockets() {
            socket.close(self, Failure::new(ConnectionLost::default()));
        }
    }

    /// The run has ended. Unless it crashed, everything is closed: what closing makes is closed too, a few times over, since a client may
    /// try to connect again.
    pub(crate) fn finish(self: &Rc<Self>) {
        const ROUNDS: usize = 16;
        let crashed = self.life.replace(Life::Idle) == Life::Crashed;
        self.driven.set(Driven::No);
        if crashed {
            return;
        }
        self.mailbox.close();
        for _ in 0..ROUNDS {
            self.disconnect_all();
            promise_closing(|| {
                self.drop_tasks();
                self.timers.clear();
            });
            if self.all_sockets().is_empty() && self.timers.len() == 0 && self.tasks().is_none() {
                break;
            }
        }
        self.take_touched();
        self.held.take();
        self.batch.take();
    }
}
