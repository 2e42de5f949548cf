//! The errors of networking and of Deferreds, with Twisted's names and meaning.
//!
//! Each is a type of its own where code wants to tell it apart with
//! [`Failure::check`](crate::Failure::check) or [`trap`](crate::Failure::trap).

mod adopt;

use crate::failure::Failure;
use std::{error::Error, fmt, io, time::Duration};

pub use adopt::{AdoptError, AdoptErrorKind};

pub use crate::{address::InvalidAddressError, report::Panicked};

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
    /// The connection was closed in order, by either side.
    ConnectionDone: "connection was closed cleanly";
    /// The connection was ended by `abort_connection` on this side.
    ConnectionAborted: "connection was aborted by this side";
    /// A Deferred was cancelled.
    CancelledError: "cancelled";
    /// A promise was dropped without having been fired.
    Abandoned: "the promise was dropped unfired; keep it until there is a result, or fire it with a failure";
    /// A stage returned the Deferred of its own chain, which would wait for itself for ever.
    WaitsForItself: "a stage returned the Deferred of its own chain, which would wait for itself; return the inner one";
    /// Async code that did not finish at once needs somebody to poll it.
    NoHost: "async code is pending and nothing here polls it; run it inside a reactor's callback, or use Reactor::spawn";
    /// The protocol this was for has lost its connection.
    ProtocolGone: "the connection of this protocol is gone";
    /// A half of a stream whose connection was handed over to a protocol, with `into_protocol`.
    HandedOver: "the connection of this stream was handed over to a protocol, with into_protocol; use the context that gave";
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
    /// The attempt to connect was given up by this side.
    UserError: "connecting was stopped by this side";
    /// `stop_connecting` on a connector that is not connecting.
    NotConnectingError: "not connecting; stop_connecting is for a connector in the state Connecting";
    /// The port does not listen: it was stopped.
    NotListeningError: "the port was stopped and does not listen; listen again with listen_tcp or listen_udp";
    /// Descriptors were sent, and the connection was ended without a byte after them that they could go with.
    FileDescriptorOverrun: "descriptors were sent and no byte after them: write one, which they go with, before the connection is ended";
    /// Descriptors that the peer sent could not be taken: bytes will speak of what is not there.
    FileDescriptorsLost: "descriptors that the peer sent were lost: this process has no room for them; raise the limit on open files";
    /// A `DeferredQueue` is full.
    QueueOverflow: "the queue is full; take something out first, or make it with a larger size";
    /// A `DeferredQueue` has as many waiting gets as it allows.
    QueueUnderflow: "the queue is empty and as many wait for it as its backlog allows";
    /// A lock or semaphore was released more often than it was acquired.
    NotAcquired: "released more often than acquired; release once for each acquire";
    /// A semaphore of no tokens could never be acquired.
    NoTokens: "a semaphore needs at least one token";
    /// A second producer for one transport.
    ProducerRegistered: "a producer is registered already; call unregister_producer first";
    /// `start` of a loop that runs, or whose last call has not ended.
    LoopAlreadyRunning: "the loop runs, or its last call has not ended; start it again when the Deferred of start() fires";
    /// `stop` or `reset` of a loop that does not run.
    LoopNotRunning: "the loop does not run; ask running() first, or start() it";
    /// `resume` of a task that is not paused.
    NotPaused: "the task is not paused; resume once for each pause";
    /// `connect` on a connector that connects or is connected.
    AlreadyConnecting: "the connector is connecting or connected; wait for the connection to be lost, or call disconnect first";
    /// A child process has ended with code 0.
    ProcessDone: "the process has ended with code 0";
    /// A signal to a child process that has ended.
    ProcessExitedAlready: "the process has exited already, and its number may be another one's; process_exited tells when";
    /// `retry` of a factory that has not been given a connector, or whose connector is gone.
    NoConnector: "there is no connector to retry; connect with this factory first";
}

/// The connection ended out of order: reset by the peer, broken by an error, or closed with its reactor.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ConnectionLost {
    cause: Option<io::Error>,
}

impl ConnectionLost {
    pub(crate) fn because(cause: io::Error) -> ConnectionLost {
        ConnectionLost { cause: Some(cause) }
    }

    /// What the system said, if it said something.
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }
}

impl Error for ConnectionLost {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|e| e as _)
    }
}

impl fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection to the other side was lost")
    }
}

/// More was written than the peer takes: the connection's write buffer is over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteBufferFull {
    /// How many bytes were queued before the write.
    pub queued: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl Error for WriteBufferFull {}

impl fmt::Display for WriteBufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WriteBufferFull { queued, limit } = self;
        write!(
            f,
            "the peer does not read: {queued} bytes were queued, over the limit of {limit}; register a producer, wait \
             for drained(), or raise the limit with set_write_limit"
        )
    }
}

/// Why a connection was not made.
#[derive(Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    to: String,
    cause: Option<io::Error>,
}

/// The kinds of [`ConnectError`]; Twisted has a class for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The local address could not be bound.
    #[doc(alias = "ConnectBindError")]
    Bind,
    /// The name has no address.
    #[doc(alias = "DNSLookupError")]
    #[doc(alias = "UnknownHostError")]
    UnknownHost,
    /// There is no route to the network or host.
    #[doc(alias = "NoRouteError")]
    NoRoute,
    /// The peer refused: nothing listens there.
    #[doc(alias = "ConnectionRefusedError")]
    Refused,
    /// Of a UNIX socket: there is no such file, or nobody has the lock beside it though that was to be checked.
    #[doc(alias = "BadFileError")]
    BadFile,
    /// The system gave up waiting for the peer, or the timeout was over.
    #[doc(alias = "TCPTimedOutError")]
    TimedOut,
    /// Anything else; see the cause.
    Other,
}

impl ConnectError {
    pub(crate) fn new(
        kind: ConnectErrorKind,
        to: impl Into<String>,
        cause: Option<io::Error>,
    ) -> ConnectError {
        ConnectError { kind, to: to.into(), cause }
    }

    /// Which kind the system's error is. Twisted's `getConnectError`.
    pub(crate) fn from_system(to: impl Into<String>, cause: io::Error) -> ConnectError {
        let kind = match cause.kind() {
            io::ErrorKind::ConnectionRefused => ConnectErrorKind::Refused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => ConnectErrorKind::NoRoute,
            io::ErrorKind::TimedOut => ConnectErrorKind::TimedOut,
            io::ErrorKind::NotFound => ConnectErrorKind::BadFile,
            _ => ConnectErrorKind::Other,
        };
        ConnectError::new(kind, to, Some(cause))
    }

    /// Which kind of error it is.
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// What was to be connected to.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// What the system said, if it said something.
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|e| e as _)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = &self.to;
        match self.kind {
            ConnectErrorKind::Bind => {
                write!(
                    f,
                    "cannot connect to {to}: the bind address is not usable here; use an address of this machine"
                )
            }
            ConnectErrorKind::UnknownHost => {
                write!(
                    f,
                    "cannot connect to {to}: the name does not resolve; check its spelling and this machine's DNS"
                )
            }
            ConnectErrorKind::NoRoute => write!(f, "cannot connect to {to}: no route to it from here"),
            ConnectErrorKind::Refused => {
                write!(f, "cannot connect to {to}: refused; is a server listening there?")
            }
            ConnectErrorKind::BadFile => write!(f, "cannot connect to {to}: nobody listens there"),
            ConnectErrorKind::TimedOut => write!(f, "cannot connect to {to}: no answer in time"),
            ConnectErrorKind::Other => write!(f, "cannot connect to {to}"),
        }
    }
}

/// The addresses of a name could not be found.
#[derive(Debug)]
#[doc(alias = "DNSLookupError")]
pub struct DnsLookupError {
    name: String,
    cause: io::Error,
}

impl DnsLookupError {
    /// Of that name; the cause has the resolver's words, and the kind `NotFound`, or `TimedOut` if no answer came.
    pub fn new(name: impl Into<String>, cause: io::Error) -> DnsLookupError {
        DnsLookupError { name: name.into(), cause }
    }

    /// The name that was looked up.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the resolver said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl Error for DnsLookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for DnsLookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot look up {:?}", self.name)
    }
}

/// A port could not be opened.
#[derive(Debug)]
pub struct CannotListenError {
    at: String,
    cause: io::Error,
}

impl CannotListenError {
    pub(crate) fn new(at: impl Into<String>, cause: io::Error) -> CannotListenError {
        CannotListenError { at: at.into(), cause }
    }

    /// Where it was to listen.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What the system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl Error for CannotListenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for CannotListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_unix = self.at.starts_with("unix:");
        let advice = match self.cause.kind() {
            io::ErrorKind::AddrInUse if is_unix => {
                "something listens there, or has left its file behind; stop it, or remove the file"
            }
            io::ErrorKind::PermissionDenied if is_unix => {
                "this user may not write to that directory; take another one"
            }
            io::ErrorKind::AddrInUse => {
                "something listens there already; stop it, or take another port (0 picks a free one)"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need the right to bind them; take a higher port"
            }
            io::ErrorKind::AddrNotAvailable => "that address is not of this machine",
            _ => "the system refused",
        };
        write!(f, "cannot listen on {}: {advice}", self.at)
    }
}

/// A child process could not be started.
#[derive(Debug)]
pub struct SpawnError {
    executable: String,
    cause: io::Error,
}

impl SpawnError {
    pub(crate) fn new(executable: impl Into<String>, cause: io::Error) -> SpawnError {
        SpawnError { executable: executable.into(), cause }
    }

    /// What was to be run.
    pub fn executable(&self) -> &str {
        &self.executable
    }

    /// What the system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.cause.kind() {
            io::ErrorKind::NotFound => {
                "there is no such file, no such directory to run it in, or no such interpreter of a script"
            }
            io::ErrorKind::PermissionDenied => {
                "it may not be executed, or not in that directory or by that user"
            }
            io::ErrorKind::Unsupported => {
                "this reactor is a simulation, which has no processes; give the code under test another way to run it"
            }
            _ => "the system refused",
        };
        write!(f, "cannot run {}: {advice}", self.executable)
    }
}

/// A child process has ended, and not with code 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProcessTerminated {
    /// The code it has exited with. None if it was ended by a signal.
    pub exit_code: Option<i32>,
    /// The signal that has ended it.
    pub signal: Option<i32>,
    /// Whether it has left a core dump.
    pub core: bool,
}

impl Error for ProcessTerminated {}

impl fmt::Display for ProcessTerminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.exit_code, self.signal) {
            (Some(code), _) => write!(f, "the process has ended with code {code}"),
            (None, Some(signal)) => {
                let core = if self.core { ", and has left a core dump" } else { "" };
                write!(f, "the process was ended by signal {signal}{core}")
            }
            (None, None) => f.write_str(
                "the process has ended, and nobody knows how: somebody else in this program has waited for it, or ignores SIGCHLD",
            ),
        }
    }
}

/// No pipe leads to this descriptor of the child process, or it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoChildPipe {
    /// The child's number of it.
    pub descriptor: i32,
}

impl Error for NoChildPipe {}

impl fmt::Display for NoChildPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptor = self.descriptor;
        write!(
            f,
            "no pipe leads to descriptor {descriptor} of the process, or it has ended; ask pipe({descriptor}) first"
        )
    }
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

/// A cooperative task is over: nothing can be asked of it any more. It is also what [`when_done`] fails with, if somebody stopped the task.
///
/// Twisted raises an exception for each of them.
///
/// [`when_done`]: crate::task::CooperativeTask::when_done
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskFinished {
    /// Its iterator has no more items.
    #[doc(alias = "TaskDone")]
    Done,
    /// Its iterator panicked or gave a failure, or a Deferred that failed.
    #[doc(alias = "TaskFailed")]
    Failed,
    /// It was stopped.
    #[doc(alias = "TaskStopped")]
    Stopped,
    /// Its cooperator was stopped.
    SchedulerStopped,
}

impl Error for TaskFinished {}

impl fmt::Display for TaskFinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskFinished::Done => "the task is done already; when_done() tells when",
            TaskFinished::Failed => "the task has failed already; when_done() tells with what",
            TaskFinished::Stopped => "the task was stopped; start another one with cooperate()",
            TaskFinished::SchedulerStopped => {
                "the cooperator was stopped and takes no tasks; start() it first"
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

/// It took too long: a Deferred's `add_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutError {
    /// How long was waited.
    pub after: Duration,
}

impl TimeoutError {
    /// A timeout after so long.
    pub fn new(after: Duration) -> TimeoutError {
        TimeoutError { after }
    }
}

impl Error for TimeoutError {}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {:?}", self.after)
    }
}

/// One of several Deferreds failed first; from `gather_results` and `DeferredList`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FirstError {
    /// What it failed with.
    pub failure: Failure,
    /// Which one of them it was, from 0.
    pub index: usize,
}

impl FirstError {
    pub(crate) fn new(failure: Failure, index: usize) -> FirstError {
        FirstError { failure, index }
    }
}

impl Error for FirstError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.failure.error())
    }
}

impl fmt::Display for FirstError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {} failed first", self.index)
    }
}

/// All of several Deferreds failed; from `race`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailureGroup {
    /// Their failures, in the order of the Deferreds.
    pub failures: Vec<Failure>,
}

impl FailureGroup {
    pub(crate) fn new(failures: Vec<Failure>) -> FailureGroup {
        FailureGroup { failures }
    }
}

impl Error for FailureGroup {}

impl fmt::Display for FailureGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {} failed", self.failures.len())?;
        for failure in &self.failures {
            write!(f, "; {}", failure.message())?;
        }
        Ok(())
    }
}

/// A datagram is longer than the system sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLengthError {
    /// Its length in bytes.
    pub length: usize,
}

impl MessageLengthError {
    pub(crate) fn new(length: usize) -> MessageLengthError {
        MessageLengthError { length }
    }
}

impl Error for MessageLengthError {}

impl fmt::Display for MessageLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a datagram of {} bytes is too long to send; split it", self.length)
    }
}

/// What a failure is among the system's errors, for code that knows only those.
pub(crate) fn io_kind(failure: &Failure) -> io::ErrorKind {
    if let Some(error) = cause(failure) {
        return error.kind();
    }
    if let Some(error) = failure.value::<ConnectError>() {
        return match error.kind() {
            ConnectErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ConnectErrorKind::UnknownHost => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
    }
    let kinds = [
        (failure.check::<ConnectionDone>(), io::ErrorKind::BrokenPipe),
        (failure.check::<ConnectionAborted>(), io::ErrorKind::ConnectionAborted),
        (failure.check::<ConnectionLost>(), io::ErrorKind::ConnectionAborted), // with its reactor
        (failure.check::<ProtocolGone>(), io::ErrorKind::NotConnected),
        (failure.check::<HandedOver>(), io::ErrorKind::NotConnected),
        (failure.check::<NotListeningError>(), io::ErrorKind::NotConnected),
        (failure.check::<TimeoutError>(), io::ErrorKind::TimedOut),
        (failure.check::<InvalidAddressError>(), io::ErrorKind::InvalidInput),
    ];
    kinds.iter().find(|(is, _)| *is).map_or(io::ErrorKind::Other, |(_, kind)| *kind)
}

/// What the system said, if it said something.
fn cause(failure: &Failure) -> Option<&io::Error> {
    failure
        .value()
        .or_else(|| failure.value::<ConnectionLost>()?.cause())
        .or_else(|| failure.value::<ConnectError>()?.cause())
        .or_else(|| failure.value().map(CannotListenError::cause))
        .or_else(|| failure.value().map(DnsLookupError::cause))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Here and not over the network: some systems let anybody listen anywhere.
    #[test]
    fn a_port_that_needs_a_privilege() {
        /// Of Linux.
        const EACCES: i32 = 13;
        let error = CannotListenError::new("127.0.0.1:81", io::Error::from_raw_os_error(EACCES));
        let told =
            "cannot listen on 127.0.0.1:81: ports below 1024 need the right to bind them; take a higher port";
        assert_eq!(error.to_string(), told);
        assert_eq!((error.at(), error.cause().raw_os_error()), ("127.0.0.1:81", Some(EACCES)));
    }
}
