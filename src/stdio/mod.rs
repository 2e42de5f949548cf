//! Standard input and output as a transport; or any other pair of descriptors.
//!
//! Twisted's `twisted.internet.stdio`. The protocol is driven by [`attach`](crate::stream::attach), over descriptors of these kinds:
//!
//! * Pipes, terminals, sockets are polled. For that they must not block, and whether they do is shared with every process that has them from the same source: a
//!   shell's terminal must not be left so. A pipe or a terminal is opened anew by `/proc/self/fd`, which is not shared. Where that cannot be, the flag is set, and set back
//!   when the connection is over, also by a panic.
//! * What cannot be polled, such as a regular file or `/dev/null`, is read and written by a thread of the process's pool: a slow disk keeps nobody else waiting.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | what is asked of a reactor |
//! | `pair` | the two directions as one I/O |
//! | `half` | one direction, polled or on the pool |

mod half;
mod pair;

use self::pair::Pair;
use crate::{
    error::SimulationError,
    failure::Result,
    protocol::{Context, HasProtocol},
    reactor::Reactor,
    stream::attach_with,
    trace::Place,
};
use std::{
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    panic::Location,
};

/// Twisted's `StandardIO`.
impl Reactor {
    /// Has a protocol read standard input and write standard output. `connection_made` has been called when it returns.
    ///
    /// The end of the input is the peer's end: `read_connection_lost` of a half-closeable protocol, else what was written is sent and the connection is over. Of the
    /// ends that the protocol asks for, `lose_connection` sends what was written and leaves the process its descriptors: what it prints afterwards is printed. `lose_write_connection` also
    /// ends standard output for the process, so that who reads it reads the end: descriptor 1 is `/dev/null` from then on. That the reader has gone is a
    /// [`ConnectionLost`](crate::error::ConnectionLost) with the cause `BrokenPipe`, of a pipe at once, of anything else with the next write: Rust programs ignore SIGPIPE from their beginning.
    ///
    /// What the program itself has read of [`std::io::stdin`] before is not seen here. Both addresses are [`Address::Pipe`](crate::Address::Pipe). In a snapshot it is a task.
    ///
    /// # Errors
    /// The system's, such as that a descriptor is closed; on a virtual reactor [`SimulationError::RealSocket`].
    ///
    /// # Examples
    /// ```no_run
    /// use twistor::{Context, Reactor, protocols::basic::{LineControl, LineProtocol, LineReceiver}};
    /// struct Shout;
    /// impl LineProtocol for Shout {
    ///     fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) { cx.send_line(line.to_ascii_uppercase()) }
    ///     fn connection_lost(&mut self, _cx: &Context<Self>, _why: twistor::Failure) { let _ = Reactor::current().stop(); }
    /// }
    /// let reactor = Reactor::new()?;
    /// reactor.standard_io(LineReceiver::new(Shout).with_delimiter("\n"))?;
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "StandardIO")]
    #[track_caller]
    pub fn standard_io<I: HasProtocol>(&self, protocol: I) -> Result<Context<I::Protocol>> {
        let place = Location::caller();
        io::stdout().flush()?;
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        self.drive_pair(protocol, place, input, output, true)
    }

    /// The same with any two descriptors, one to read and one to write, such as the ends of two pipes. Both are closed when the connection is over; the one that is written, with its direction.
    ///
    /// # Errors
    /// As [`standard_io`](Self::standard_io).
    #[track_caller]
    pub fn standard_io_on<I: HasProtocol>(
        &self,
        input: impl Into<OwnedFd>,
        output: impl Into<OwnedFd>,
        protocol: I,
    ) -> Result<Context<I::Protocol>> {
        self.drive_pair(protocol, Location::caller(), input.into(), output.into(), false)
    }

    fn drive_pair<I: HasProtocol>(
        &self,
        protocol: I,
        place: Place,
        input: OwnedFd,
        output: OwnedFd,
        standard: bool,
    ) -> Result<Context<I::Protocol>> {
        if self.core.driver.is_virtual() {
            return Err(SimulationError::RealSocket.into());
        }
        let pair = Pair::open(input, output, standard)?;
        let _entered = self.core.enter();
        attach_with(protocol, place, |transport| pair.of(transport))
    }
}
