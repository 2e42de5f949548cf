//! Why tokio is not to be had.

use std::{error::Error, fmt};

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

plain! {
    /// The runtime has stopped, because its reactor has.
    TokioStopped: "the tokio runtime of this reactor has stopped with it; make a new Tokio for the next run";
    /// tokio's clock and sockets are the system's: beside a reactor of a [`Simulation`](twistor::testing::Simulation) they would take time that does
    /// not pass there, and a run of it would not be the same twice.
    VirtualReactor: "this reactor is virtual, and tokio's clock and sockets are the system's; test on Reactor::new(), or give \
        the code under test a Deferred of its own in place of what asks tokio";
    /// A runtime without a worker would never run anything.
    NoWorkers: "a tokio runtime needs at least one worker; Tokio::new has one";
}
