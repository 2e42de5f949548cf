//! [`ReadHalf`] and [`WriteHalf`]: the two directions of a stream.

use super::pipe::Pipe;
use crate::{
    defer::Deferred,
    error::HandedOver,
    failure::Failure,
    protocol::{Context as Connection, HasProtocol, Transport, boxed, wire::HIGH_WATER},
};
use futures::io::{AsyncBufRead, AsyncRead, AsyncWrite};
use std::{
    fmt,
    future::Future,
    io::{self, IoSlice, Read},
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The layer of a stream, on whose connection alone there are halves.
pub(super) fn pipe(transport: &Transport) -> &Pipe {
    let Some(pipe) = transport.layer() else { unreachable!("a stream is made on a connection with a pipe") };
    pipe
}

/// The reading half of a [`Stream`](super::Stream); from [`split`](super::Stream::split).
///
/// When it is dropped what comes is not read any more: once 64 KiB of it are there the peer has to wait. With the other half gone too, the connection is closed in order.
pub struct ReadHalf {
    transport: Transport,
    /// What was taken from the pipe; read up to `at`.
    chunk: Vec<u8>,
    at: usize,
}

impl ReadHalf {
    pub(super) fn new(transport: Transport) -> ReadHalf {
        ReadHalf { transport, chunk: Vec::new(), at: 0 }
    }

    /// The connection, for all that can be asked of one.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Hands the connection over to a protocol; see [`Stream::into_protocol`](super::Stream::into_protocol). A [`WriteHalf`] that is
    /// kept elsewhere fails from now on with [`HandedOver`].
    pub fn into_protocol<I: HasProtocol>(mut self, protocol: I) -> Connection<I::Protocol> {
        let mut unread = std::mem::take(&mut self.chunk);
        unread.drain(..std::mem::take(&mut self.at));
        pipe(&self.transport).hand_over(&self.transport, unread, boxed(protocol));
        Connection::of(&self.transport)
    }
}

impl AsyncBufRead for ReadHalf {
    /// Lends what came, without a copy.
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let ReadHalf { transport, chunk, at } = self.get_mut();
        if *at == chunk.len() {
            *at = 0;
            ready!(pipe(transport).poll_take(transport, chunk, cx))?;
        }
        Poll::Ready(Ok(&chunk[*at..]))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.at = (self.at + amount).min(self.chunk.len());
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = ready!(self.as_mut().poll_fill_buf(cx))?.read(into)?;
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        pipe(&self.transport).reader_gone(&self.transport);
    }
}

/// The writing half of a [`Stream`](super::Stream); from [`split`](super::Stream::split).
///
/// When it is dropped the peer reads an end, after what was written; with the other half gone too, the connection is closed in
/// order.
pub struct WriteHalf {
    transport: Transport,
    /// The wait until all is sent.
    draining: Option<Deferred<()>>,
    closed: bool,
}

impl WriteHalf {
    pub(super) fn new(transport: Transport) -> WriteHalf {
        WriteHalf { transport, draining: None, closed: false }
    }

    /// The connection, for all that can be asked of one.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Whether this half can still do something.
    fn check(&self) -> io::Result<()> {
        let pipe = pipe(&self.transport);
        if pipe.is_handed_over() {
            return Err(Failure::new(HandedOver::default()).into());
        }
        match pipe.lost().or_else(|| self.transport.wire().failing()) {
            Some(why) => Err(why.into()),
            None => Ok(()),
        }
    }

    /// How many bytes may be written now; waits for room if there is none.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.closed || !self.transport.wire().is_writing() {
            return Poll::Ready(Err(closed()));
        }
        if self.transport.buffered() >= HIGH_WATER {
            ready!(self.poll_drained(cx))?;
        }
        Poll::Ready(Ok(HIGH_WATER - self.transport.buffered()))
    }

    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transport = &self.transport;
        while transport.buffered() > 0 {
            // One from an earlier wait may have fired, and then more was written.
            let draining = self.draining.get_or_insert_with(|| transport.drained());
            let drained = ready!(Pin::new(draining).poll(cx));
            self.draining = None;
            drained?;
        }
        self.draining = None;
        Poll::Ready(Ok(()))
    }
}

/// A write after `close`, or after `lose_write_connection` of the transport.
fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "this side of the stream was closed: write before close()")
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let room = ready!(this.poll_room(cx))?;
        let mut left = room;
        for piece in pieces {
            let part = &piece[..piece.len().min(left)];
            this.transport.write(part);
            left -= part.len();
        }
        Poll::Ready(Ok(room - left))
    }

    /// Until all that was written is sent to the system.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        this.poll_drained(cx)
    }

    /// Ends the outgoing direction, after what was written. The other one is read on.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closed && this.draining.is_none() {
            return Poll::Ready(Ok(()));
        }
        this.check()?;
        this.closed = true;
        this.transport.lose_write_connection();
        this.poll_drained(cx)
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        pipe(&self.transport).writer_gone(&self.transport);
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").field("peer", self.transport.get_peer()).finish_non_exhaustive()
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf")
            .field("peer", self.transport.get_peer())
            .field("buffered", &self.transport.buffered())
            .finish_non_exhaustive()
    }
}
