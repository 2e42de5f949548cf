//! [`Protocol`]: what a user writes for a stream.

use super::Context;
use crate::failure::Failure;
use std::os::fd::OwnedFd;

/// The user's side of a connection. Every method is optional.
///
/// The methods take `&mut self` and are never re-entered: a call that would do so waits until the method that runs has returned. A panic
/// ends this connection alone.
///
/// # Examples
/// ```
/// use twistor::{Context, Protocol, testing};
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
///         cx.write(data);
///     }
/// }
/// let mut t = testing::connect(Echo);
/// t.receive(b"hello");
/// assert_eq!(t.sent(), b"hello");
/// ```
#[doc(alias = "IProtocol")]
#[doc(alias = "BaseProtocol")]
pub trait Protocol: Sized + 'static {
    /// Whether the ends of the two directions are told apart: then the peer's end calls
    /// [`read_connection_lost`](Self::read_connection_lost) and the connection stays until this side closes it. Otherwise the peer's end
    /// ends it, when what was written is sent.
    #[doc(alias = "IHalfCloseableProtocol")]
    const HALF_CLOSEABLE: bool = false;

    /// The connection is there. Comes once, and first.
    #[doc(alias = "connectionMade")]
    #[doc(alias = "makeConnection")]
    fn connection_made(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }

    /// The TLS handshake is over and the peer verified: of a connection that began with one, or after
    /// [`start_tls`](super::Transport::start_tls). Comes before any byte of the peer's. With TLS in TLS it comes when the innermost is through.
    #[doc(alias = "handshakeCompleted")]
    #[doc(alias = "IHandshakeListener")]
    fn handshake_completed(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }

    /// Bytes came: any number, cut anywhere. They are lent; who keeps them copies them.
    #[doc(alias = "dataReceived")]
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let _ = (cx, data);
    }

    /// The peer of a UNIX socket has sent a descriptor, which is this process's now. It comes before the bytes it was sent with, and may come before
    /// earlier ones that are read together with those. Unless this method is there, it is closed.
    #[doc(alias = "fileDescriptorReceived")]
    #[doc(alias = "IFileDescriptorReceiver")]
    fn file_descriptor_received(&mut self, cx: &Context<Self>, descriptor: OwnedFd) {
        let _ = (cx, descriptor);
    }

    /// The connection is over. Comes once, and last; the protocol is dropped after it.
    ///
    /// `why` is [`ConnectionDone`](crate::error::ConnectionDone) for an end in order, [`ConnectionLost`](crate::error::ConnectionLost),
    /// [`ConnectionAborted`](crate::error::ConnectionAborted), or what [`fail`](super::Transport::fail) was given.
    #[doc(alias = "connectionLost")]
    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        let _ = (cx, why);
    }

    /// The peer has ended its direction; see [`HALF_CLOSEABLE`](Self::HALF_CLOSEABLE).
    #[doc(alias = "readConnectionLost")]
    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }

    /// This side's direction has ended, after `lose_write_connection`.
    #[doc(alias = "writeConnectionLost")]
    fn write_connection_lost(&mut self, cx: &Context<Self>) {
        let _ = cx;
    }
}
