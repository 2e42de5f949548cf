//! [`ProcessProtocol`]: what a user writes for a child process, and its transport.

use super::{Context, Data, Producer, Transport, carrier};
use crate::{
    defer::Deferred,
    error::{NoChildPipe, ProcessExitedAlready, ProducerRegistered, ProtocolGone},
    failure::{Failure, Result},
    trace::Place,
};
use std::{
    any::{Any, TypeId},
    fmt, io,
    os::fd::RawFd,
    panic::Location,
    rc::Rc,
};

/// The context of a [`ProcessProtocol`].
pub type ProcessContext<P> = Context<P, ProcessTransport>;

/// The user's side of a child process. Every method is optional.
///
/// Descriptors have the child's numbers: 0, 1 and 2 are its standard input, output and error output. What comes by 1 is told to
/// [`out_received`](Self::out_received), what comes by 2 to [`err_received`](Self::err_received); what comes by others, only to
/// [`child_data_received`](Self::child_data_received).
///
/// The end of the process and the ends of its pipes are told apart, and come in any order. A process may close a pipe and go on; its own children may hold
/// a pipe open when it has long ended. [`process_exited`](Self::process_exited) is its own end,
/// [`process_ended`](Self::process_ended) comes last, when its pipes have ended too.
///
/// A panic in a method is reported and closes all pipes; the ends are told all the same.
///
/// # Examples
/// ```
/// use twistor::{Failure, ProcessContext, ProcessProtocol, Reactor, error::ProcessDone, process::Spawn};
///
/// #[derive(Default)]
/// struct Sorter { sorted: Vec<u8> }
/// impl ProcessProtocol for Sorter {
///     fn connection_made(&mut self, cx: &ProcessContext<Self>) {
///         cx.write("pear\napple\n");
///         cx.close_stdin();
///     }
///     fn out_received(&mut self, _cx: &ProcessContext<Self>, data: &[u8]) {
///         self.sorted.extend_from_slice(data);
///     }
///     fn process_ended(&mut self, _cx: &ProcessContext<Self>, why: Failure) {
///         assert!(why.check::<ProcessDone>());
///         assert_eq!(self.sorted, b"apple\npear\n");
///         Reactor::current().stop().expect("it runs");
///     }
/// }
/// let reactor = Reactor::new()?;
/// reactor.spawn_process(Sorter::default(), Spawn::new("sort").env("LC_ALL", "C"))?;
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "IProcessProtocol")]
pub trait ProcessProtocol: Sized + 'static {
    /// The process runs. Comes once, first, and inside `spawn_process`.
    #[doc(alias = "connectionMade")]
    #[doc(alias = "makeConnection")]
    fn connection_made(&mut self, cx: &ProcessContext<Self>) {
        let _ = cx;
    }

    /// Bytes came by this descriptor of the child. They are lent; who keeps them copies them.
    ///
    /// Calls [`out_received`](Self::out_received) or [`err_received`](Self::err_received), if it is left as it is.
    #[doc(alias = "childDataReceived")]
    fn child_data_received(&mut self, cx: &ProcessContext<Self>, descriptor: RawFd, data: &[u8]) {
        match descriptor {
            1 => self.out_received(cx, data),
            2 => self.err_received(cx, data),
            _ => {}
        }
    }

    /// Bytes came by the standard output, or from the terminal.
    #[doc(alias = "outReceived")]
    fn out_received(&mut self, cx: &ProcessContext<Self>, data: &[u8]) {
        let _ = (cx, data);
    }

    /// Bytes came by the standard error output.
    #[doc(alias = "errReceived")]
    fn err_received(&mut self, cx: &ProcessContext<Self>, data: &[u8]) {
        let _ = (cx, data);
    }

    /// This pipe has ended. Comes once for each.
    ///
    /// `why` is [`ConnectionDone`](crate::error::ConnectionDone) if the child, or this side, has closed it in order;
    /// [`ConnectionLost`](crate::error::ConnectionLost) if the child has closed what is written to;
    /// [`WriteBufferFull`](crate::error::WriteBufferFull) if it did not read. Calls the method of the standard descriptor, if it is left as it is.
    #[doc(alias = "childConnectionLost")]
    fn child_connection_lost(&mut self, cx: &ProcessContext<Self>, descriptor: RawFd, why: Failure) {
        let _ = why;
        match descriptor {
            0 => self.in_connection_lost(cx),
            1 => self.out_connection_lost(cx),
            2 => self.err_connection_lost(cx),
            _ => {}
        }
    }

    /// The pipe to the standard input has ended.
    #[doc(alias = "inConnectionLost")]
    fn in_connection_lost(&mut self, cx: &ProcessContext<Self>) {
        let _ = cx;
    }

    /// The pipe of the standard output has ended.
    #[doc(alias = "outConnectionLost")]
    fn out_connection_lost(&mut self, cx: &ProcessContext<Self>) {
        let _ = cx;
    }

    /// The pipe of the standard error output has ended.
    #[doc(alias = "errConnectionLost")]
    fn err_connection_lost(&mut self, cx: &ProcessContext<Self>) {
        let _ = cx;
    }

    /// The process has ended. More may come by its pipes, even for long, if somebody else has them.
    ///
    /// `why` is [`ProcessDone`](crate::error::ProcessDone) or [`ProcessTerminated`](crate::error::ProcessTerminated).
    #[doc(alias = "processExited")]
    fn process_exited(&mut self, cx: &ProcessContext<Self>, why: Failure) {
        let _ = (cx, why);
    }

    /// The process has ended and so have its pipes. Comes once, and last; the protocol is dropped after it.
    ///
    /// `why` is that of [`process_exited`](Self::process_exited). If the reactor ends before the process it is
    /// [`ConnectionLost`](crate::error::ConnectionLost), without `process_exited`: the pipes are closed, and the process is left to itself. Here it can still be
    /// signalled; after it, it cannot.
    #[doc(alias = "processEnded")]
    fn process_ended(&mut self, cx: &ProcessContext<Self>, why: Failure) {
        let _ = (cx, why);
    }
}

/// What a child process does; a reactor's is one.
pub(crate) trait Child {
    fn slot(&self) -> &dyn Any;
    /// Many calls of the protocol wait: whether the process comes back for them, before any event.
    fn hold(&self) -> bool;
    /// None when it has been waited for.
    fn pid(&self) -> Option<u32>;
    /// The end here of the child's descriptor, while that is open.
    fn pipe(&self, descriptor: RawFd) -> Option<Transport>;
    /// All that are open; of those that only read, if so asked.
    fn pipes(&self, reading: bool) -> Vec<Transport>;
    /// Whether 0, 1 and 2 of the child are one terminal.
    fn has_terminal(&self) -> bool;
    fn set_window_size(&self, rows: u16, columns: u16) -> io::Result<()>;
    fn signal(&self, signal: SignalId<'_>) -> Result<()>;
    fn ended(&self, place: Place) -> Deferred<()>;
}

/// A signal for a process: by its name with or without `SIG`, by its number, or as a [`Signal`](crate::reactor::Signal). 0 is none, and only asks whether one may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalId<'a>(pub(crate) Which<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    Number(i32),
    Name(&'a str),
}

impl From<i32> for SignalId<'_> {
    fn from(number: i32) -> Self {
        SignalId(Which::Number(number))
    }
}

impl<'a> From<&'a str> for SignalId<'a> {
    fn from(name: &'a str) -> Self {
        SignalId(Which::Name(name))
    }
}

/// A child process as its protocol sees it. A cheap handle that may be kept.
///
/// Each pipe is a [`Transport`] of its own, with buffer, limit, producer and pause: [`pipe`](Self::pipe) gives it. What is here is
/// of all of them, or of the standard input alone.
#[derive(Clone)]
#[doc(alias = "IProcessTransport")]
pub struct ProcessTransport(pub(crate) Rc<dyn Child>);

impl ProcessTransport {
    /// The number of the process; None once it has exited, for then it may be another one's, and once its reactor has left it.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// Sends a signal to the process, and not to its children. Some have names: see [`SignalId`].
    ///
    /// # Errors
    /// [`ProcessExitedAlready`] once it has exited, or its reactor has left it, so that nobody else is ever hit; [`SignalError`](crate::reactor::SignalError) for a
    /// name that is none; the system's, such as if the process is another user's.
    #[doc(alias = "signalProcess")]
    pub fn signal_process<'a>(&self, signal: impl Into<SignalId<'a>>) -> Result<()> {
        self.0.signal(signal.into())
    }

    /// Fires when `process_ended` has returned, if the process has exited with code 0; fails with what that was given otherwise.
    ///
    /// # Examples
    /// ```
    /// use twistor::{ProcessProtocol, error::ProcessTerminated, process::Spawn, react};
    ///
    /// struct Unheard;
    /// impl ProcessProtocol for Unheard {}
    ///
    /// let code = react(|reactor| async move {
    ///     let child = reactor.spawn_process(Unheard, ("sh", ["-c", "exit 3"]))?;
    ///     let failure = child.ended().await.unwrap_err();
    ///     assert_eq!(failure.trap::<ProcessTerminated>()?.exit_code, Some(3));
    ///     Ok(())
    /// });
    /// assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    #[track_caller]
    pub fn ended(&self) -> Deferred<()> {
        self.0.ended(Location::caller())
    }

    /// Whether both are the same process.
    pub fn is(&self, other: &ProcessTransport) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    // ---- pipes --------------------------------------------------------------------------------------------------

    /// The pipe to this descriptor of the child, or from it; None if there is none, or it has ended. A terminal is all of 0, 1 and 2.
    ///
    /// What is written to a pipe that is read from is dropped. Only closing it ends a direction: there is no half of a pipe to be closed.
    pub fn pipe(&self, descriptor: RawFd) -> Option<Transport> {
        self.0.pipe(descriptor)
    }

    /// Queues bytes for this descriptor of the child.
    ///
    /// # Errors
    /// [`NoChildPipe`] if no pipe leads there, or it has ended.
    #[doc(alias = "writeToChild")]
    pub fn write_to_child(&self, descriptor: RawFd, data: impl Data) -> Result<(), NoChildPipe> {
        let pipe = self.0.pipe(descriptor).ok_or(NoChildPipe { descriptor })?;
        pipe.write(data);
        Ok(())
    }

    /// Closes this pipe, when all that was written is sent. Nothing if there is none. A terminal is closed as a whole, by
    /// [`lose_connection`](Self::lose_connection).
    #[doc(alias = "closeChildFD")]
    pub fn close_child_fd(&self, descriptor: RawFd) {
        if self.0.has_terminal() && (0..3).contains(&descriptor) {
            return;
        }
        self.0.pipe(descriptor).iter().for_each(Transport::lose_connection);
    }

    /// Closes the pipe to the standard input, when all that was written is sent: the process reads an end.
    #[doc(alias = "closeStdin")]
    pub fn close_stdin(&self) {
        self.close_child_fd(0);
    }

    /// Closes the pipe of the standard output.
    #[doc(alias = "closeStdout")]
    pub fn close_stdout(&self) {
        self.close_child_fd(1);
    }

    /// Closes the pipe of the standard error output.
    #[doc(alias = "closeStderr")]
    pub fn close_stderr(&self) {
        self.close_child_fd(2);
    }

    /// Closes all pipes, those that are written to when all is sent. The process is told nothing else; a terminal hangs up on it.
    #[doc(alias = "loseConnection")]
    pub fn lose_connection(&self) {
        self.0.pipes(false).iter().for_each(Transport::lose_connection);
    }

    /// Reads no pipe any more until [`resume_producing`](Self::resume_producing). Not even ends are noticed meanwhile.
    #[doc(alias = "pauseProducing")]
    pub fn pause_producing(&self) {
        self.0.pipes(true).iter().for_each(Transport::pause_producing);
    }

    /// Reads on.
    #[doc(alias = "resumeProducing")]
    pub fn resume_producing(&self) {
        self.0.pipes(true).iter().for_each(Transport::resume_producing);
    }

    /// How large its terminal is. The processes in front of it are told by a signal.
    ///
    /// # Errors
    /// `Unsupported` if it has none; the system's.
    pub fn set_window_size(&self, rows: u16, columns: u16) -> io::Result<()> {
        self.0.set_window_size(rows, columns)
    }

    // ---- the standard input -------------------------------------------------------------------------------------

    /// Queues bytes for the standard input; see [`Transport::write`]. Dropped if it has ended: a process need not read all that it is sent.
    pub fn write(&self, data: impl Data) {
        self.with_stdin(|stdin| stdin.write(data));
    }

    /// Queues several pieces for the standard input, as one write.
    #[doc(alias = "writeSequence")]
    pub fn write_sequence<D: Data>(&self, pieces: impl IntoIterator<Item = D>) {
        self.with_stdin(|stdin| stdin.write_sequence(pieces));
    }

    /// How many bytes wait for the standard input.
    pub fn buffered(&self) -> usize {
        self.with_stdin(Transport::buffered).unwrap_or(0)
    }

    /// Fires when all that was written to the standard input is in its pipe; fails if that ends before.
    #[track_caller]
    pub fn drained(&self) -> Deferred<()> {
        match self.0.pipe(0) {
            Some(stdin) => stdin.drained(),
            None => Deferred::failed(Failure::quiet(ProtocolGone::default())),
        }
    }

    /// Sets how many bytes may wait for the standard input before a write fails it. 16 MiB if not set; `usize::MAX` for no limit.
    pub fn set_write_limit(&self, bytes: usize) {
        self.with_stdin(|stdin| stdin.set_write_limit(bytes));
    }

    /// Registers who writes to the standard input in its own time; see [`Transport::register_producer`]. If that has ended, the producer is
    /// stopped at once.
    ///
    /// # Errors
    /// [`ProducerRegistered`] if there is one already.
    #[doc(alias = "registerProducer")]
    pub fn register_producer(
        &self,
        producer: impl Producer,
        streaming: bool,
    ) -> Result<(), ProducerRegistered> {
        match self.0.pipe(0) {
            Some(stdin) => stdin.register_producer(producer, streaming),
            None => {
                producer.stop_producing();
                Ok(())
            }
        }
    }

    /// Takes the producer off.
    #[doc(alias = "unregisterProducer")]
    pub fn unregister_producer(&self) {
        self.with_stdin(Transport::unregister_producer);
    }

    fn with_stdin<R>(&self, f: impl FnOnce(&Transport) -> R) -> Option<R> {
        self.0.pipe(0).as_ref().map(f)
    }
}

impl carrier::Carrier for ProcessTransport {
    fn find(&self, id: TypeId) -> Option<&dyn Any> {
        let slot = self.0.slot();
        (slot.type_id() == id).then_some(slot)
    }

    /// The pipes are its connection; the process ends by itself, or it does not.
    fn failed(&self, why: Failure) {
        self.0.pipes(false).iter().for_each(|pipe| pipe.fail(why.clone()));
    }

    fn hold(&self) -> bool {
        self.0.hold()
    }
}

/// What is asked of a process that has exited.
pub(crate) fn exited_already() -> Failure {
    Failure::new(ProcessExitedAlready::default())
}

impl fmt::Debug for ProcessTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessTransport").field("pid", &self.pid()).finish_non_exhaustive()
    }
}
