//! [`Stream`]: a connection that is read and written by async code.

use super::half::{ReadHalf, WriteHalf};
use crate::{
    address::Address,
    protocol::{Context as Connection, HasProtocol, Transport},
};
use futures::io::{AsyncBufRead, AsyncRead, AsyncWrite};
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

/// A connection as futures' `AsyncRead`, `AsyncBufRead` and `AsyncWrite`.
///
/// From [`serve`](super::serve()), [`connect_stream`](crate::Reactor::connect_stream) and [`incoming`](crate::Reactor::incoming). The extension traits of
/// futures and of futures-lite give it `read`, `lines`, `write_all` and the rest.
///
/// * **Reading.** When more than 64 KiB wait to be read, nothing more is taken from the system until they are: a slow reader slows its peer down. What
///   waits can be up to 256 KiB beyond that, which is one read. The peer's end is `Ok(0)`, after all that it had sent.
/// * **Writing.** While 64 KiB wait to be sent, a write is pending, and then until all of it is sent. What was written leaves in one system call when the task is
///   pending, but a write of 16 KiB or more before which nothing waits leaves inside its call. `flush` waits until all is sent; `close` ends the outgoing direction alone, and the peer's answer can still be read.
/// * **Errors.** An [`io::Error`] of the kind that the system's would have, with the [`Failure`](crate::Failure) inside: as a
///   [`FailureError`](crate::failure::FailureError), to be had by `get_ref` and `downcast_ref`.
/// * **Dropping.** The connection is closed in order: what was written leaves first. [`abort`](Self::abort) resets it instead. An await
///   that is dropped, in a `select!` or by a timeout, loses nothing: what was not read is read by the next one.
///
/// # Examples
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use std::io::ErrorKind;
/// use twistor::{Reactor, Stream, serve};
///
/// let reactor = Reactor::new()?;
/// // Doubles what the peer says, once it has said all.
/// let port = reactor.listen_tcp(("127.0.0.1", 0), serve(|mut stream: Stream| async move {
///     let mut said = String::new();
///     stream.read_to_string(&mut said).await?;
///     stream.write_all(said.repeat(2).as_bytes()).await?;
///     Ok(()) // the stream is dropped: what was written leaves, then it is closed
/// }))?;
///
/// let to = port.get_host()?;
/// let r = reactor.clone();
/// reactor.spawn(async move {
///     let mut stream = r.connect_stream(&to).await?;
///     stream.write_all(b"hello").await?;
///     stream.close().await?; // this direction alone
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer).await?;
///     assert_eq!(answer, "hellohello");
///
///     let error = stream.write(b"more").await.unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::BrokenPipe);
///     r.stop()?;
///     Ok(())
/// }).or_log("the client");
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
pub struct Stream {
    // In this order they are dropped: with the second one the connection is closed.
    read: ReadHalf,
    write: WriteHalf,
}

impl Stream {
    /// On a connection whose layer is a pipe, once.
    pub(super) fn new(transport: &Transport) -> Stream {
        Stream { read: ReadHalf::new(transport.clone()), write: WriteHalf::new(transport.clone()) }
    }

    /// The two directions, for two tasks or one.
    ///
    /// Dropping one of them does not close the connection: without the [`WriteHalf`] the peer reads an end; without the
    /// [`ReadHalf`] what comes is not read, and the peer has to wait when 64 KiB of it are there and the system's buffers are full.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }

    /// The connection, for all that can be asked of one.
    pub fn transport(&self) -> &Transport {
        self.read.transport()
    }

    /// The address of the peer.
    #[doc(alias = "getPeer")]
    pub fn get_peer(&self) -> &Address {
        self.transport().get_peer()
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The system's, such as when the connection is over.
    #[doc(alias = "getHost")]
    pub fn get_host(&self) -> io::Result<Address> {
        self.transport().get_host()
    }

    /// Ends the connection with a reset. What waits to be sent is dropped.
    pub fn abort(self) {
        self.transport().abort_connection();
    }

    /// Hands the connection over to a protocol, or to a framer around one: from async code to callbacks.
    ///
    /// `connection_made` is called inside, then `data_received` with what came and was not read, then what had ended by then; from there
    /// on it is a connection like any other. What was written leaves before what the protocol writes.
    ///
    /// # Examples
    /// A greeting in async code, the rest in callbacks.
    /// ```
    /// use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    /// use twistor::{Context, Protocol, Reactor, Stream, serve};
    ///
    /// struct Shout;
    /// impl Protocol for Shout {
    ///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data.to_ascii_uppercase()) }
    /// }
    /// let reactor = Reactor::new()?;
    /// let port = reactor.listen_tcp(("127.0.0.1", 0), serve(|mut stream: Stream| async move {
    ///     let mut name = String::new();
    ///     stream.read_line(&mut name).await?;
    ///     stream.write_all(format!("hello {name}").as_bytes()).await?;
    ///     stream.into_protocol(Shout); // what came after the line is the protocol's
    ///     Ok(())
    /// }))?;
    /// let (to, r) = (port.get_host()?, reactor.clone());
    /// reactor.spawn(async move {
    ///     let mut stream = r.connect_stream(&to).await?;
    ///     stream.write_all(b"alice\nquiet please").await?;
    ///     stream.close().await?;
    ///     let mut answer = String::new();
    ///     stream.read_to_string(&mut answer).await?;
    ///     assert_eq!(answer, "hello alice\nQUIET PLEASE");
    ///     r.stop()?;
    ///     Ok(())
    /// }).or_log("the client");
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    pub fn into_protocol<I: HasProtocol>(self, protocol: I) -> Connection<I::Protocol> {
        self.read.into_protocol(protocol)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.read).poll_read(cx, into)
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().read).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        Pin::new(&mut self.read).consume(amount);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_close(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("transport", self.transport()).finish_non_exhaustive()
    }
}
