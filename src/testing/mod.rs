//! Tests without a socket, an await or a sleep.
//!
//! | file | idea |
//! |---|---|
//! | `connected` | the string transport: [`connect`] puts a protocol on a connection that exists in memory alone |
//! | `simulation` | the virtual reactor: [`Simulation`] is a clock and a network in memory |
//!
//! The test says what comes in, and looks at what went out and at the state in the middle.

mod connected;
mod simulation;

pub use connected::{Connected, accept, connect};
pub use simulation::{Peer, Simulation};
