//! [`attach()`]: a protocol on any futures I/O, the way back from async code to callbacks.

use super::attached::{Attached, Room};
use crate::{
    address::Address,
    defer::{current_host, start},
    error::NoHost,
    failure::{Failure, Result},
    protocol::{
        Context, HasProtocol, Transport,
        socket::OwnedSocket,
        transport::{Connection, Link},
        wire::{Owner, Wire},
    },
    trace::Place,
};
use futures::io::{AsyncRead, AsyncWrite};
use std::{
    any::{Any, TypeId},
    panic::Location,
    rc::Rc,
};

/// Drives a protocol, or a framer around one, by any futures I/O: the pipe of another crate, a TLS stream, a socket of async-io.
///
/// `connection_made` has been called when it returns, and the I/O was polled once: `data_received`, even `connection_lost`, may have
/// come too. The rest is done by a task of the current [`Host`](crate::defer::Host), in a reactor's callback or task of
/// that reactor. Its transport is like any other: writes wait in it and have its limits, reading can be paused, either direction can
/// be ended, `connection_lost` comes once. `abort_connection` drops the I/O without closing it. Both addresses are
/// [`Address::Pipe`]. In a snapshot it is a task, not a connection: it has no port or connector to stand under.
///
/// # Errors
/// [`NoHost`] if nothing here would poll the task.
///
/// # Examples
/// ```
/// use futures_lite::{AsyncBufReadExt, AsyncWriteExt, io::BufReader};
/// use twistor::{Context, Reactor, error::NoHost, stream::attach};
/// use twistor::protocols::basic::{LineControl, LineProtocol, LineReceiver};
///
/// struct Shout;
/// impl LineProtocol for Shout {
///     fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) { cx.send_line(line.to_ascii_uppercase()) }
/// }
/// let reactor = Reactor::new()?;
/// let r = reactor.clone();
/// reactor.spawn(async move {
///     // A pair of UNIX sockets, which async-io drives.
///     let (here, there) = std::os::unix::net::UnixStream::pair()?;
///     let (here, mut there) = (async_io::Async::new(here)?, BufReader::new(async_io::Async::new(there)?));
///     attach(LineReceiver::new(Shout), here)?;
///
///     there.get_mut().write_all(b"hello\r\n").await?;
///     let mut answer = String::new();
///     there.read_line(&mut answer).await?;
///     assert_eq!(answer, "HELLO\r\n");
///     r.stop()?;
///     Ok(())
/// }).or_log("the program");
/// reactor.run()?;
///
/// let nobody_polls = attach(LineReceiver::new(Shout), futures_lite::io::Cursor::new(vec![]));
/// assert!(nobody_polls.unwrap_err().check::<NoHost>());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[track_caller]
pub fn attach<I: HasProtocol>(
    protocol: I,
    io: impl AsyncRead + AsyncWrite + 'static,
) -> Result<Context<I::Protocol>> {
    attach_with(protocol, Location::caller(), |_| io)
}

/// The same with I/O that knows its transport.
pub(crate) fn attach_with<I: HasProtocol, S: AsyncRead + AsyncWrite + 'static>(
    protocol: I,
    place: Place,
    io: impl FnOnce(&Transport) -> S,
) -> Result<Context<I::Protocol>> {
    let Some(host) = current_host() else { return Err(Failure::new(NoHost)) };
    let room = Room::new(host);
    let wire = Wire::new(Some(room.clone()), Rc::new(Alone), OwnedSocket::default(), Address::Pipe);
    let link: Rc<Link> = Rc::new(Connection { wire, layer: protocol.into_layer() });
    let transport = Transport { link };
    let io = io(&transport);
    start(Attached::begin(&transport, room, io), place).or_log("attach");
    Ok(Context::of(&transport))
}

/// A connection without a factory.
struct Alone;

impl Owner for Alone {
    fn factory(&self, _id: TypeId) -> Option<&dyn Any> {
        None
    }

    fn factory_name(&self) -> &'static str {
        "protocol attached without a factory"
    }

    fn lost(&self, _why: Failure) {}
}
