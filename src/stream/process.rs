//! [`ProcessStream`]: a child process as something to write to and to read from.

use crate::{
    error::ConnectionDone,
    failure::{Failure, Result},
    process::Spawn,
    protocol::{ProcessContext, ProcessProtocol, ProcessTransport, Transport, wire::HIGH_WATER},
    reactor::Reactor,
};
use futures::io::{AsyncRead, AsyncWrite};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io::{self, Read},
    os::fd::RawFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Processes for async code.
impl Reactor {
    /// Starts a process as a stream: what is written is its standard input, what is read is its standard output.
    ///
    /// What it says on its error output, or by other descriptors that are read, goes to the log. With [`attach`](super::attach()) it is the connection of a
    /// protocol, or of a framer around one.
    ///
    /// # Errors
    /// As those of [`spawn_process`](Self::spawn_process).
    ///
    /// # Examples
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    /// use twistor::react;
    ///
    /// let code = react(|reactor| async move {
    ///     let mut sort = reactor.connect_process("sort")?;
    ///     sort.write_all(b"pear\napple\n").await?;
    ///     sort.close().await?; // it reads an end
    ///     let mut sorted = String::new();
    ///     sort.read_to_string(&mut sorted).await?;
    ///     assert_eq!(sorted, "apple\npear\n");
    ///     sort.process().ended().await // fails if it has exited with another code than 0
    /// });
    /// assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    #[doc(alias = "ProcessEndpoint")]
    #[track_caller]
    pub fn connect_process(&self, how: impl Into<Spawn>) -> Result<ProcessStream> {
        let shared = Rc::new(Shared::default());
        let cx = self.spawn_process(Feed(shared.clone()), how)?;
        Ok(ProcessStream { process: cx.transport(), shared })
    }
}

/// A child process as `AsyncRead` and `AsyncWrite`; from [`connect_process`](Reactor::connect_process).
///
/// At most some 64 KiB wait in each direction: then the process is not read from, and a write waits. To close it closes the standard input, and waits
/// until all that was written is in its pipe; it fails if the process has closed that before. Dropped, all pipes of the process are closed, which ends most processes, and not all.
#[derive(Debug)]
pub struct ProcessStream {
    process: ProcessTransport,
    shared: Rc<Shared>,
}

impl ProcessStream {
    /// The process: its number, its signals, its end.
    pub fn process(&self) -> &ProcessTransport {
        &self.process
    }

    /// Whether all that was written has left, now that the standard input has ended.
    fn was_taken(&self) -> io::Result<()> {
        self.shared.broken.borrow().as_ref().map_or(Ok(()), in_order)
    }

    /// Waits until all that was written is in the pipe, or that has ended.
    fn wait_for_room(&self, stdin: &Transport, cx: &mut Context<'_>) {
        self.shared.writer.set(Some(cx.waker().clone()));
        if !self.shared.drains.replace(true) {
            let shared = self.shared.clone();
            stdin.drained().add_both(move |_| {
                shared.drains.set(false);
                wake(&shared.writer);
            });
        }
    }
}

/// What an end is to who reads or writes.
fn in_order(why: &Failure) -> io::Result<()> {
    if why.check::<ConnectionDone>() { Ok(()) } else { Err(why.clone().into()) }
}

/// What the protocol leaves for the stream.
#[derive(Default)]
struct Shared {
    incoming: RefCell<VecDeque<u8>>,
    /// Why nothing more comes.
    ended: RefCell<Option<Failure>>,
    /// Why nothing more is taken.
    broken: RefCell<Option<Failure>>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    /// The writer is told when there is room.
    drains: Cell<bool>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("incoming", &self.incoming.borrow().len()).finish_non_exhaustive()
    }
}

fn wake(waker: &Cell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The protocol of the process.
struct Feed(Rc<Shared>);

impl ProcessProtocol for Feed {
    fn child_data_received(&mut self, cx: &ProcessContext<Self>, descriptor: RawFd, data: &[u8]) {
        if descriptor != 1 {
            return tracing::warn!("process {:?} says: {}", cx.pid(), String::from_utf8_lossy(data));
        }
        let mut incoming = self.0.incoming.borrow_mut();
        incoming.extend(data);
        if incoming.len() > HIGH_WATER
            && let Some(stdout) = cx.pipe(1)
        {
            stdout.pause_producing();
        }
        drop(incoming);
        wake(&self.0.reader);
    }

    fn child_connection_lost(&mut self, _cx: &ProcessContext<Self>, descriptor: RawFd, why: Failure) {
        match descriptor {
            0 => {
                self.0.broken.replace(Some(why));
                wake(&self.0.writer);
            }
            1 => {
                self.0.ended.replace(Some(why));
                wake(&self.0.reader);
            }
            _ => {}
        }
    }
}

impl AsyncRead for ProcessStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut incoming = self.shared.incoming.borrow_mut();
        if incoming.is_empty() && !buffer.is_empty() {
            if let Some(why) = &*self.shared.ended.borrow() {
                return Poll::Ready(in_order(why).map(|()| 0));
            }
            self.shared.reader.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let length = incoming.read(buffer)?;
        let room = incoming.len() <= HIGH_WATER;
        drop(incoming); // to resume may call the protocol
        if room && let Some(stdout) = self.process.pipe(1).filter(Transport::is_paused) {
            stdout.resume_producing();
        }
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for ProcessStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let Some(stdin) = self.process.pipe(0).filter(|stdin| !stdin.is_disconnecting()) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if stdin.buffered() > HIGH_WATER {
            self.wait_for_room(&stdin, cx);
            return Poll::Pending;
        }
        let piece = &data[..data.len().min(HIGH_WATER)];
        stdin.write(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.process.pipe(0) {
            Some(stdin) if stdin.buffered() > 0 => {
                self.wait_for_room(&stdin, cx);
                Poll::Pending
            }
            Some(_) => Poll::Ready(Ok(())),
            None => Poll::Ready(self.was_taken()),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stdin) = self.process.pipe(0) else { return Poll::Ready(self.was_taken()) };
        self.shared.writer.set(Some(cx.waker().clone()));
        stdin.lose_connection();
        Poll::Pending
    }
}

impl Drop for ProcessStream {
    fn drop(&mut self) {
        self.process.lose_connection();
    }
}
