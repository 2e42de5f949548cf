//! [`Incoming`]: a listening port as a stream of connections.

use super::{made::Made, pipe::Pipe, whole::Stream};
use crate::{
    address::Address,
    failure::Result,
    protocol::Factory,
    reactor::Reactor,
    sockets::port::WeakPort,
    tcp::{ListeningPort, TcpListen},
};
use futures::stream::FusedStream;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};

/// At most so many connections are accepted and not taken; the others wait in the system's backlog.
const WAITING: usize = 16;

impl Reactor {
    /// Listens on a TCP port, and gives its connections to whoever asks for the next one.
    ///
    /// `at` is as for [`listen_tcp`](Self::listen_tcp).
    ///
    /// # Errors
    /// As of [`listen_tcp`](Self::listen_tcp).
    ///
    /// # Examples
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
    /// use twistor::{Reactor, error::CannotListenError};
    ///
    /// let reactor = Reactor::new()?;
    /// let mut incoming = reactor.incoming(("127.0.0.1", 0))?;
    /// let to = incoming.get_host()?;
    /// assert!(reactor.incoming(&to).unwrap_err().check::<CannotListenError>());
    ///
    /// let r = reactor.clone();
    /// reactor.spawn(async move {
    ///     let mut client = r.connect_stream(&to).await?;
    ///     let mut server = incoming.next().await.expect("it listens");
    ///     server.write_all(b"hello").await?;
    ///     drop(server);
    ///     let mut said = String::new();
    ///     client.read_to_string(&mut said).await?;
    ///     assert_eq!(said, "hello");
    ///     r.stop()?;
    ///     Ok(())
    /// }).or_log("the program");
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn incoming(&self, at: impl Into<TcpListen>) -> Result<Incoming> {
        let queue = Rc::new(Queue::default());
        let port = self.listen_tcp(at, Arrivals(Rc::downgrade(&queue)))?;
        queue.port.replace(Some(port.downgrade()));
        Ok(Incoming { port, queue })
    }
}

/// A listening port as futures' `Stream` of [`Stream`]s; from [`Reactor::incoming`].
///
/// At most 16 connections are accepted that nobody has taken yet. It ends when the port is stopped, also at the end of the
/// reactor's run. To drop it stops the port, and closes what was not taken.
#[must_use = "to drop it stops the port"]
pub struct Incoming {
    port: ListeningPort,
    queue: Rc<Queue>,
}

/// Between the port and who takes.
#[derive(Default)]
struct Queue {
    waiting: RefCell<VecDeque<Stream>>,
    taker: Cell<Option<Waker>>,
    /// The port was stopped.
    over: Cell<bool>,
    port: RefCell<Option<WeakPort>>,
}

impl Queue {
    fn push(&self, stream: Stream) {
        self.waiting.borrow_mut().push_back(stream);
        if self.waiting.borrow().len() == WAITING {
            self.set_accepting(false);
        }
        self.wake();
    }

    fn pop(&self) -> Option<Stream> {
        let stream = self.waiting.borrow_mut().pop_front()?;
        if self.waiting.borrow().len() == WAITING - 1 {
            self.set_accepting(true);
        }
        Some(stream)
    }

    fn set_accepting(&self, on: bool) {
        if let Some(port) = &*self.port.borrow() {
            port.set_accepting(on);
        }
    }

    fn wake(&self) {
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }
}

impl Incoming {
    /// The address it listens at.
    ///
    /// # Errors
    /// [`NotListeningError`](crate::error::NotListeningError) if it was stopped.
    #[doc(alias = "getHost")]
    pub fn get_host(&self) -> Result<Address> {
        self.port.get_host()
    }

    /// The port, to stop or to drain it.
    pub fn port(&self) -> &ListeningPort {
        &self.port
    }
}

impl futures::Stream for Incoming {
    type Item = Stream;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Stream>> {
        if let Some(stream) = self.queue.pop() {
            return Poll::Ready(Some(stream));
        }
        if self.queue.over.get() {
            return Poll::Ready(None);
        }
        self.queue.taker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl FusedStream for Incoming {
    fn is_terminated(&self) -> bool {
        self.queue.over.get() && self.queue.waiting.borrow().is_empty()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        drop(self.port.stop_listening());
        drop(self.queue.waiting.take());
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("port", &self.port)
            .field("waiting", &self.queue.waiting.borrow().len())
            .finish()
    }
}

/// The factory: its connections wait to be taken. Of a port that listens again when its [`Incoming`] is gone they are closed.
struct Arrivals(Weak<Queue>);

impl Factory for Arrivals {
    type Protocol = Made<Pipe>;

    fn build_protocol(&self, _peer: &Address) -> Option<Made<Pipe>> {
        let queue = self.0.upgrade()?;
        Some(Made::new(Pipe::default(), move |transport| queue.push(Stream::new(transport))))
    }

    fn start_factory(&self) {
        if let Some(queue) = self.0.upgrade() {
            queue.over.set(false);
        }
    }

    fn stop_factory(&self) {
        if let Some(queue) = self.0.upgrade() {
            queue.over.set(true);
            queue.wake();
        }
    }
}
