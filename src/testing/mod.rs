//! Tests without a socket, an await or a sleep.
//!
//! | file | idea |
//! |---|---|
//! | `assertions` | what a test says of a Deferred that needs no waiting |
//! | `both` | one test on both drivers, and a run that ends |
//! | `guard` | a test that leaves something behind fails, and says what and from where |
//! | `connected` | the string transport: [`connect`] puts a protocol on a connection that exists in memory alone |
//! | `peer` | the other side of a connection, whose script is the test |
//! | `raise` | a signal, as if somebody had sent it |
//! | `seeds` | [`seeds()`] runs a test in many simulations, and says the least with which it fails |
//! | `simulation` | the virtual reactor: [`Simulation`] is a clock and a network in memory |
//!
//! The test says what comes in, and looks at what went out and at the state in the middle.

mod assertions;
mod both;
mod connected;
mod guard;
mod peer;
mod raise;
mod seeds;
mod simulation;

pub use assertions::{assert_no_result, failure_result_of, success_result_of};
pub use both::{in_a_simulation, on_both, on_the_system, run};
pub use connected::{Connected, accept, connect};
pub use guard::{DirtyReactor, Guard};
pub use peer::{Peer, PeerDatagrams, PeerListener};
pub use raise::raise;
pub use seeds::seeds;
pub use simulation::{Fault, Faults, Simulation, Trace};
