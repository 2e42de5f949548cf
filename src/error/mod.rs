//! The errors of networking and of Deferreds, with Twisted's names and meaning.
//!
//! Each is a type of its own where code wants to tell it apart with
//! [`Failure::check`](crate::Failure::check) or [`trap`](crate::Failure::trap).
//!
//! | file | of what |
//! |---|---|
//! | `connection` | a connection's end, and what is sent |
//! | `connect` | connecting, and looking a name up |
//! | `listen` | ports |
//! | `adopt` | sockets that the program has already |
//! | `process` | child processes |
//! | `defer` | Deferreds, and the locks and queues of them |
//! | `task` | loops and cooperative tasks |
//! | `reactor` | a reactor, its run and its delayed calls |
//! | `simulation` | a simulation |
//! | `kind` | what they all are among the system's errors |

/// Errors that have nothing to tell but their text.
macro_rules! plain {
    ($($(#[$meta:meta])* $name:ident: $text:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct $name;

        impl Error for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
    )*};
}

mod adopt;
mod connect;
mod connection;
mod defer;
mod kind;
mod listen;
mod process;
mod reactor;
mod simulation;
mod task;

pub use adopt::{AdoptError, AdoptErrorKind};
pub use connect::{
    AlreadyConnecting, ConnectError, ConnectErrorKind, DnsLookupError, NoConnector, NotConnectingError,
    UserError,
};
pub use connection::{
    ConnectionAborted, ConnectionDone, ConnectionLost, FileDescriptorOverrun, FileDescriptorsLost,
    HandedOver, MessageLengthError, ProducerRegistered, ProtocolGone, WriteBufferFull,
};
pub use defer::{
    Abandoned, CancelledError, FailureGroup, FirstError, NoHost, NoTokens, NotAcquired, QueueOverflow,
    QueueUnderflow, TimeoutError, WaitsForItself,
};
pub(crate) use kind::io_kind;
pub use listen::{CannotListenError, NotListeningError};
pub use process::{NoChildPipe, ProcessDone, ProcessExitedAlready, ProcessTerminated, SpawnError};
pub use reactor::{
    NotActive, NotDriven, ReactorAlreadyRunning, ReactorForked, ReactorNotRunning, SystemExit, WouldDeadlock,
};
pub use simulation::SimulationError;
pub use task::{LoopAlreadyRunning, LoopNotRunning, NotPaused, TaskFinished};

pub use crate::{address::InvalidAddressError, report::Panicked};
