//! Child processes.
//!
//! | file | idea |
//! |---|---|
//! | `options` | [`Spawn`]: what is run, and with what |
//! | `child` | a process and its end |
//! | `pipe` | bytes between a pipe and the process's protocol |
//! | `signal` | signals by their names |
//!
//! A process is waited for by its pidfd, which the loop watches like a socket: SIGCHLD stays the program's, and nobody else's children are
//! waited for. On a kernel without (before Linux 5.4) a thread for each child does it. What the child does between its fork and its exec
//! needs `unsafe`, and is in a package of its own, `twistor-spawn`.

mod child;
mod options;
mod pipe;
mod signal;

pub use crate::protocol::{ProcessContext, ProcessProtocol, ProcessTransport, SignalId};
pub use options::Spawn;

use crate::{failure::Result, reactor::Reactor, snapshot::here::Birth};
use std::panic::Location;

/// Twisted's `IReactorProcess`.
impl Reactor {
    /// Starts a process, whose protocol is told of what it says and of its end; `connection_made` is called inside.
    ///
    /// `how` is an executable, a `(executable, [arguments])` pair, or a [`Spawn`] with options. What is given reaches the protocol from outside, and is
    /// its transport. Processes can be started before the reactor runs, and are waited for when it does.
    ///
    /// The loop stands still until the process executes its program: mostly a millisecond, more in a program that has gigabytes of memory, which is forked.
    ///
    /// # Errors
    /// [`SpawnError`](crate::error::SpawnError) if it cannot be executed, always: then there is no process, and the protocol was told nothing.
    /// [`ReactorNotRunning`](crate::error::ReactorNotRunning) while the reactor closes.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Failure, ProcessContext, ProcessProtocol, Reactor, error::{ProcessTerminated, SpawnError}};
    ///
    /// struct Watch;
    /// impl ProcessProtocol for Watch {
    ///     fn out_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
    ///         assert_eq!(data, b"hello\n");
    ///     }
    ///     fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
    ///         let code = why.value::<ProcessTerminated>().and_then(|ended| ended.exit_code);
    ///         assert_eq!(code, Some(3));
    ///         Reactor::current().stop().expect("it runs");
    ///     }
    /// }
    /// let reactor = Reactor::new()?;
    /// reactor.spawn_process(Watch, ("sh", ["-c", "echo hello; exit 3"]))?;
    /// reactor.run()?;
    ///
    /// let error = reactor.spawn_process(Watch, "/no/such/program").unwrap_err();
    /// assert!(error.check::<SpawnError>());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "spawnProcess")]
    #[track_caller]
    pub fn spawn_process<P: ProcessProtocol>(
        &self,
        protocol: P,
        how: impl Into<Spawn>,
    ) -> Result<ProcessContext<P>> {
        child::spawn(&self.core, how.into(), Birth::at(Location::caller()), protocol)
    }
}
