//! [`Attached`]: the world below a protocol that foreign I/O drives. It does for that what `tcp::connection` does for a socket.

use crate::{
    address::Address,
    defer::{Host, Polled},
    error::ConnectionLost,
    failure::{Failure, Result},
    protocol::{
        Layer, Transport,
        transport::Link,
        upcalls::{broken, read_ended, received, tell, tell_opened},
        wire::{Below, Then, Wire},
    },
    reactor::core::Core,
    report,
    time::DelayedCall,
};
use futures::io::{AsyncRead, AsyncWrite};
use std::{
    cell::Cell,
    future::Future,
    io,
    panic::Location,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// At most so much is read at once, in bytes.
const BUFFER: usize = 16 << 10;
/// At most so many rounds in one poll, so that others get their turn.
const ROUNDS: usize = 16;

/// Where word is left for the task.
pub(super) struct Room {
    host: Rc<dyn Host>,
    /// Whose clock it has, if a reactor's.
    core: Option<Weak<Core>>,
    waker: Cell<Option<Waker>>,
}

impl Room {
    pub(super) fn new(host: Rc<dyn Host>) -> Rc<Room> {
        let core = Core::current().map(|core| Rc::downgrade(&core));
        Rc::new(Room { host, core, waker: Cell::new(None) })
    }
}

impl Host for Room {
    fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
        self.host.spawn_local(task);
    }

    fn spawn_polled(&self, task: Polled) {
        self.host.spawn_polled(task);
    }
}

impl Below for Room {
    fn touched(&self, _link: &Rc<Link>) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn call_later(&self, after: Duration, call: Box<dyn FnOnce()>) -> Option<DelayedCall> {
        let core = self.core.as_ref()?.upgrade()?;
        Some(core.call_later(Location::caller(), after, call))
    }

    fn local_address(&self, _wire: &Wire) -> io::Result<Address> {
        Ok(Address::Pipe)
    }

    fn no_delay(&self, _wire: &Wire) -> io::Result<bool> {
        Err(no_socket())
    }

    fn set_no_delay(&self, _wire: &Wire, _on: bool) -> io::Result<()> {
        Err(no_socket())
    }

    fn keep_alive(&self, _wire: &Wire) -> io::Result<bool> {
        Err(no_socket())
    }

    fn set_keep_alive(&self, _wire: &Wire, _on: bool) -> io::Result<()> {
        Err(no_socket())
    }
}

fn no_socket() -> io::Error {
    let advice = "this connection is attached to foreign I/O: set the socket's options before you attach it";
    io::Error::new(io::ErrorKind::Unsupported, advice)
}

/// The task: polls the I/O, calls the protocol.
pub(super) struct Attached<S> {
    transport: Transport,
    room: Rc<Room>,
    /// None when it is over.
    io: Option<Pin<Box<S>>>,
    buffer: Box<[u8]>,
    outgoing: Outgoing,
}

/// How far what was written has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outgoing {
    /// All of it has left the I/O.
    Flushed,
    /// Some is in the I/O's own buffers, or in the transport's.
    Waiting,
    /// The direction is being ended; nothing is written any more.
    Closing,
    Closed,
}

/// What comes after a round.
enum Next {
    /// Something was done that may have made more to do.
    Again,
    /// It waits for the I/O, or for its protocol.
    Rest,
    /// It is over.
    Nothing,
}

impl<S: AsyncRead + AsyncWrite> Attached<S> {
    /// Tells the protocol that it is connected.
    pub(super) fn begin(transport: &Transport, room: Rc<Room>, io: S) -> Attached<S> {
        let attached = Attached {
            transport: transport.clone(),
            room,
            io: Some(Box::pin(io)),
            buffer: vec![0; BUFFER].into(),
            outgoing: Outgoing::Flushed,
        };
        attached.tell("connection_made", |layer, transport| layer.connection_made(transport));
        attached
    }

    /// Writes, ends, reads: in the order of a socket's.
    fn round(&mut self, cx: &mut Context<'_>) -> io::Result<Next> {
        if let Some(why) = self.wire().failing() {
            return Ok(self.end(why));
        }
        self.send(cx)?;
        if self.wire().is_held() {
            self.wire().set_held(false);
            self.tell("a call", |layer, transport| {
                layer.go_on(transport);
            });
            return Ok(Next::Again);
        }
        if tell_opened(&self.transport) {
            return Ok(Next::Again);
        }
        match self.settle(cx)? {
            Next::Rest => self.read(cx),
            next => Ok(next),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.wire().wants_write() {
            self.outgoing = Outgoing::Waiting;
            if self.write(cx)?.is_pending() {
                return Ok(());
            }
        }
        if self.outgoing == Outgoing::Waiting
            && let Some(io) = lent(self.transport.wire(), &mut self.io)
            && let Poll::Ready(flushed) = io.poll_flush(cx)
        {
            flushed?;
            self.outgoing = Outgoing::Flushed;
        }
        Ok(())
    }

    /// One write of what waits.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let wire = self.transport.wire();
        let Some(io) = lent(wire, &mut self.io) else { return Ok(Poll::Pending) };
        let mut out = wire.with_out(std::mem::take);
        let sent = match out.lend(|parts| io.poll_write_vectored(cx, parts)) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            sent => sent,
        };
        if let Poll::Ready(Ok(sent)) = sent {
            out.advance(sent);
        }
        out.append(wire.with_out(std::mem::take)); // what the I/O itself may have written meanwhile
        wire.with_out(|place| *place = out);
        Ok(match sent {
            Poll::Ready(sent) => Poll::Ready(sent.map(drop)?),
            Poll::Pending => Poll::Pending,
        })
    }

    /// When all is sent: who waits for that is told, and an end that waited for it comes.
    fn settle(&mut self, cx: &mut Context<'_>) -> io::Result<Next> {
        if self.outgoing == Outgoing::Waiting {
            return Ok(Next::Rest);
        }
        self.wire().touch(); // who is told may write: the next round sees it
        match (self.outgoing, self.wire().drained()) {
            (_, Then::Again) => Ok(Next::Again),
            (Outgoing::Closed, Then::Close) => Ok(self.end(self.wire().why_closed())),
            (Outgoing::Closing, _) | (Outgoing::Flushed, Then::Shutdown | Then::Close) => self.close(cx),
            _ => Ok(Next::Rest),
        }
    }

    fn close(&mut self, cx: &mut Context<'_>) -> io::Result<Next> {
        self.outgoing = Outgoing::Closing;
        self.wire().write_ended();
        let Some(io) = lent(self.transport.wire(), &mut self.io) else { return Ok(Next::Nothing) };
        let Poll::Ready(closed) = io.poll_close(cx) else { return Ok(Next::Rest) };
        self.outgoing = Outgoing::Closed;
        if self.wire().is_closing() {
            return Ok(self.end(self.wire().why_closed())); // all is flushed: a peer that was faster to close is no error, as with a socket
        }
        closed?;
        self.tell("write_connection_lost", |layer, transport| layer.write_connection_lost(transport));
        Ok(Next::Again)
    }

    /// One read, so that writes get their turn.
    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<Next> {
        if !self.wire().wants_read() {
            return Ok(Next::Rest);
        }
        let Some(io) = lent(self.transport.wire(), &mut self.io) else { return Ok(Next::Rest) };
        let Poll::Ready(length) = io.poll_read(cx, &mut self.buffer) else { return Ok(Next::Rest) };
        match length? {
            0 => {
                self.wire().touch();
                read_ended(&self.transport);
            }
            length => {
                self.wire().touch();
                received(&self.transport, &self.buffer[..length]);
            }
        }
        Ok(Next::Again)
    }
}

/// The I/O, to be polled. That is somebody else's code: nothing of ours is borrowed while it runs, and what it does to its own transport
/// leaves word, since no round need come after it.
fn lent<'a, S>(wire: &Wire, io: &'a mut Option<Pin<Box<S>>>) -> Option<Pin<&'a mut S>> {
    wire.take_touched();
    io.as_mut().map(Pin::as_mut)
}

impl<S> Attached<S> {
    fn wire(&self) -> &Wire {
        self.transport.wire()
    }

    /// Calls up. Another round comes: what is written meanwhile need not leave word.
    fn tell(&self, what: &'static str, f: impl FnOnce(&dyn Layer, &Transport)) {
        self.wire().touch();
        tell(&self.transport, what, f);
    }

    /// It is over: flags, producer, I/O, protocol. Once.
    fn end(&mut self, why: Failure) -> Next {
        if self.wire().end(&why) {
            drop(self.io.take());
            drop(self.room.waker.take());
            self.tell("connection_lost", |layer, transport| layer.connection_lost(transport, why));
        }
        Next::Nothing
    }
}

impl<S: AsyncRead + AsyncWrite> Future for Attached<S> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        this.room.waker.set(Some(cx.waker().clone()));
        for _ in 0..ROUNDS {
            let next = match report::guarded(|| this.round(cx)) {
                Ok(Ok(next)) => next,
                Ok(Err(error)) => this.end(broken(&this.transport, error)),
                Err(panicked) => {
                    report::unhandled("the I/O of attach", panicked.clone());
                    this.end(panicked)
                }
            };
            match next {
                Next::Again => {}
                Next::Rest => {
                    this.wire().take_touched();
                    return Poll::Pending;
                }
                Next::Nothing => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S> Drop for Attached<S> {
    /// Nobody polls it any more: its host is gone.
    fn drop(&mut self) {
        self.end(Failure::quiet(ConnectionLost::default()));
    }
}
