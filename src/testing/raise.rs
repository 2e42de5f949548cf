//! [`raise`]: a signal, as if somebody had sent it.

use super::Simulation;
use crate::reactor::{Reactor, Signal, SignalError, core::Core};

/// Sends a signal: to the process of a real reactor, or to all reactors of a virtual one's [`Simulation`].
///
/// They are told by their next turn. It takes a signal that somebody hears, or that stops a [run](Reactor::run): one that would end the process is not sent, which a
/// test can make sure of.
///
/// # Errors
/// [`SignalError::Unheard`] if nobody takes it.
///
/// # Examples
/// ```
/// use twistor::{reactor::{Signal, SignalError}, testing::{self, Simulation}};
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.call_when_running(move || {
///     let reactor = twistor::Reactor::current();
///     testing::raise(&reactor, Signal::TERM).expect("it stops the run");
///     // While it stops, another one would end the process.
///     assert_eq!(testing::raise(&reactor, Signal::TERM), Err(SignalError::Unheard(Signal::TERM)));
/// });
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
pub fn raise(reactor: &Reactor, signal: Signal) -> Result<(), SignalError> {
    match Simulation::raise_by(reactor, signal) {
        Some(true) => Ok(()),
        Some(false) => Err(SignalError::Unheard(signal)),
        None => Core::send_to_self(signal),
    }
}
