//! Why a simulation cannot go on.

use std::{error::Error, fmt, time::Duration};

/// A [simulation](crate::testing::Simulation) cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimulationError {
    /// A reactor sleeps and nothing would ever wake it: no timer, nothing on its way in the network, no other thread.
    #[non_exhaustive]
    SleepsForEver {
        /// The simulation's time.
        at: Duration,
        /// What is open and waits.
        pending: Vec<String>,
    },
    /// There is always something to do, so that no time ever goes by.
    #[non_exhaustive]
    NeverSleeps {
        /// The simulation's time.
        at: Duration,
    },
    /// A virtual reactor was given a socket of the system.
    RealSocket,
    /// A virtual reactor was asked for a UNIX socket.
    NoUnixSockets,
}

/// So much of what waits is shown.
const SHOWN: usize = 20;

impl Error for SimulationError {}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SimulationError::SleepsForEver { at, pending } => {
                let (shown, more) = pending.split_at(pending.len().min(SHOWN));
                let mut waits = if shown.is_empty() { "nothing".into() } else { shown.join("; ") };
                if !more.is_empty() {
                    waits += &format!("; and {} more", more.len());
                }
                write!(
                    f,
                    "nothing would ever end this sleep, at {at:?} of the simulation: no timer is set, no byte is on its way and no \
                     thread has called; what waits: {waits}; set a timeout, or stop the reactor when the work is done"
                )
            }
            SimulationError::NeverSleeps { at } => write!(
                f,
                "there is always something to do, so time stands still, at {at:?} of the simulation: something calls itself again \
                 and again without a delay, such as two peers that answer each other's answers; give it a delay or an end, or allow \
                 more with Simulation::busy_at_most if it is to go on for so long"
            ),
            SimulationError::RealSocket => {
                f.write_str("a virtual reactor has no real sockets: give it to a reactor from Reactor::new")
            }
            SimulationError::NoUnixSockets => {
                f.write_str("the network in memory has no UNIX sockets: listen and connect by TCP there")
            }
        }
    }
}
