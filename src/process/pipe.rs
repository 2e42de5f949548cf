//! A pipe of a child process: a transport of its own, whose bytes and whose end are told to the protocol of the process.

use super::child::Process;
use crate::{
    address::Address,
    error::ConnectionLost,
    failure::Failure,
    protocol::{
        Layer, ProcessProtocol, Transport,
        transport::Connection,
        wire::{Owner, Wire, done},
    },
    reactor::core::Core,
    snapshot::here::Birth,
};
use std::{
    any::{Any, TypeId},
    io,
    os::fd::RawFd,
    rc::{Rc, Weak},
};

/// What a pipe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is read from.
    Read,
    /// It is written to. It is read as well, which fails: that the child has closed its end is told like that, and at once.
    Write,
    /// Both. When nobody has the other end any more, reading fails.
    Terminal,
}

/// The layer between a pipe and the slot of the process's protocol.
pub(super) struct Pipe<P: ProcessProtocol> {
    process: Weak<Process<P>>,
    /// The child's number of it.
    descriptor: RawFd,
    kind: Kind,
}

impl<P: ProcessProtocol> Pipe<P> {
    /// What the system says when nothing more can come, or be taken.
    fn judge(&self, why: Failure) -> Failure {
        /// The same numbers on every UNIX.
        const EIO: i32 = 5;
        const EBADF: i32 = 9;
        const EPIPE: i32 = 32;
        let cause =
            why.value::<ConnectionLost>().and_then(ConnectionLost::cause).and_then(io::Error::raw_os_error);
        match (self.kind, cause) {
            (Kind::Terminal, Some(EIO)) => done(),
            (Kind::Write, Some(EBADF)) => {
                Failure::of_the_loop(ConnectionLost::because(io::Error::from_raw_os_error(EPIPE)))
            }
            _ => why,
        }
    }
}

impl<P: ProcessProtocol> Layer for Pipe<P> {
    /// The protocol has been told of the process before.
    fn connection_made(&self, _transport: &Transport) {}

    fn data_received(&self, _transport: &Transport, data: &[u8]) {
        if let Some(process) = self.process.upgrade() {
            process.received(self.descriptor, data);
        }
    }

    fn connection_lost(&self, _transport: &Transport, why: Failure) {
        if let Some(process) = self.process.upgrade() {
            process.pipe_lost(self.descriptor, self.judge(why));
        }
    }

    fn next(&self) -> Option<&dyn Layer> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn go_on(&self, _transport: &Transport) -> bool {
        self.process.upgrade().is_none_or(|process| process.go_on())
    }
}

/// A pipe that is open and nobody reads yet; what its callbacks make is shown under the process.
pub(super) fn open<P: ProcessProtocol>(
    core: &Rc<Core>,
    process: Weak<Process<P>>,
    descriptor: RawFd,
    kind: Kind,
    file: std::os::fd::OwnedFd,
    birth: &Birth,
) -> io::Result<Rc<Connection<Pipe<P>>>> {
    let socket = core.driver.adopt_file(file)?.into();
    let mut wire = Wire::new(Some(core.clone()), Rc::new(Unmade), socket, Address::Pipe);
    wire.serial = birth.serial;
    if kind == Kind::Read {
        wire.write_ended();
    }
    Ok(Rc::new(Connection { wire, layer: Pipe { process, descriptor, kind } }))
}

/// No factory has made the protocol of a process.
struct Unmade;

impl Owner for Unmade {
    fn factory(&self, _id: TypeId) -> Option<&dyn Any> {
        None
    }

    fn factory_name(&self) -> &'static str {
        "child process, whose protocol no factory has made"
    }

    fn lost(&self, _why: Failure) {}
}
