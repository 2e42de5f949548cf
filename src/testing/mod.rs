//! Tests without a socket, an await or a sleep.
//!
//! | file | idea |
//! |---|---|
//! | `assertions` | what a test says of a Deferred that needs no waiting |
//! | `connected` | the string transport: [`connect`] puts a protocol on a connection that exists in memory alone |
//! | `simulation` | the virtual reactor: [`Simulation`] is a clock and a network in memory |
//!
//! The test says what comes in, and looks at what went out and at the state in the middle.

mod assertions;
mod connected;
mod simulation;

pub use assertions::{assert_no_result, failure_result_of, success_result_of};
pub use connected::{Connected, accept, connect};
pub use simulation::{Peer, Simulation};
