//! Of a reactor, its run and its delayed calls.

use std::{error::Error, fmt};

plain! {
    /// The reactor is not running.
    ReactorNotRunning: "the reactor is not running; call run(), or await drive(), first";
    /// `run`, `drive` or `iterate` inside a run of the same reactor.
    ReactorAlreadyRunning: "this reactor is running already; schedule with call_later or spawn instead of a second run()";
    /// A child process goes on with a reactor of its parent.
    ReactorForked: "this process is a child of the one that made this reactor, and would take that one's events and bytes: fork before Reactor::new(), or make a new reactor in the child";
    /// A Deferred of a reactor was awaited where nothing turns that reactor, so it could not ever fire.
    NotDriven: "this Deferred belongs to a reactor that nobody runs: call reactor.run(), or await reactor.drive() beside it";
    /// A blocking call into a reactor from that reactor's own thread.
    WouldDeadlock: "this is the reactor's own thread, which would wait for itself: call the function directly";
}

/// A delayed call cannot be cancelled or moved any more, because it does not wait any more.
///
/// Twisted raises an exception for each of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotActive {
    /// It was made. Inside its own function it already counts as made.
    AlreadyCalled,
    /// It was cancelled, or its reactor was closed.
    AlreadyCancelled,
}

impl Error for NotActive {}

impl fmt::Display for NotActive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotActive::AlreadyCalled => {
                "the call was made already; ask active() first, or schedule another one with call_later"
            }
            NotActive::AlreadyCancelled => {
                "the call was cancelled already; ask active() first, or schedule another one with call_later"
            }
        })
    }
}

/// The program is to exit with this code: what the main function of [`react`](crate::react()) fails with, if it is to be another one than 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemExit {
    code: u8,
}

impl SystemExit {
    /// An exit with this code.
    pub fn new(code: u8) -> SystemExit {
        SystemExit { code }
    }

    /// The code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl Error for SystemExit {}

impl fmt::Display for SystemExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the program exits with code {}", self.code)
    }
}
