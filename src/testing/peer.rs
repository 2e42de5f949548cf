//! The other side of a connection: a socket that no reactor serves, whose script is the test.

use crate::reactor::Reactor;
use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use std::{
    fmt,
    future::Future,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// So long the system may take to answer a peer that connects.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest datagram.
const DATAGRAM: usize = 65_536;

/// One end of a TCP connection, in the hands of the test: a futures `AsyncRead` and `AsyncWrite`.
///
/// On a reactor of the system it is a socket of the kernel, and the test is on loopback. On a virtual one it is a socket of the simulation's
/// network. Poll it in a task of the reactor, or by [`run`](super::run). Closing it as a writer ends that direction; dropping it closes it.
pub struct Peer {
    stream: Async<TcpStream>,
}

impl Peer {
    /// Connects to an address of the network that the reactor is on.
    ///
    /// # Errors
    /// As the system gives them: `ConnectionRefused` if nothing listens there.
    pub fn dial(_reactor: &Reactor, to: SocketAddr) -> io::Result<Peer> {
        let stream = Async::new(TcpStream::connect_timeout(&to, PATIENCE)?)?;
        Ok(Peer { stream })
    }

    /// The address that it calls from.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    /// The system's, when the connection is over.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }

    /// Closes it with a reset instead of an end: the other side's `connection_lost` has an error of the system.
    ///
    /// # Errors
    /// The system's.
    pub fn reset(self) -> io::Result<()> {
        SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO))
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends this direction.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}

/// A listening TCP port in the hands of the test, for clients to connect to.
#[derive(Debug)]
pub struct PeerListener {
    listener: Async<TcpListener>,
}

impl PeerListener {
    /// Listens. Port 0 is any that is free.
    ///
    /// # Errors
    /// As the system gives them: `AddrInUse` for example.
    pub fn bind(_reactor: &Reactor, at: impl Into<SocketAddr>) -> io::Result<PeerListener> {
        Ok(PeerListener { listener: Async::<TcpListener>::bind(at)? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.get_ref().local_addr()
    }

    /// The next connection.
    ///
    /// # Errors
    /// The system's.
    pub fn accept(&self) -> impl Future<Output = io::Result<Peer>> {
        async { self.listener.accept().await.map(|(stream, _)| Peer { stream }) }
    }
}

/// A UDP socket in the hands of the test.
#[derive(Debug)]
pub struct PeerDatagrams {
    socket: Async<UdpSocket>,
}

impl PeerDatagrams {
    /// Opens one. Port 0 is any that is free.
    ///
    /// # Errors
    /// As the system gives them: `AddrInUse` for example.
    pub fn bind(_reactor: &Reactor, at: impl Into<SocketAddr>) -> io::Result<PeerDatagrams> {
        Ok(PeerDatagrams { socket: Async::<UdpSocket>::bind(at)? })
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// The system's.
    pub fn send_to(&self, data: impl AsRef<[u8]>, to: SocketAddr) -> io::Result<()> {
        self.socket.get_ref().send_to(data.as_ref(), to).map(drop)
    }

    /// The next datagram, and who has sent it.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&self) -> impl Future<Output = io::Result<(Vec<u8>, SocketAddr)>> {
        async {
            let mut buffer = vec![0; DATAGRAM];
            let (length, from) = self.socket.recv_from(&mut buffer).await?;
            buffer.truncate(length);
            Ok((buffer, from))
        }
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; or the system's.
    pub fn try_receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; DATAGRAM];
        let (length, from) = self.socket.get_ref().recv_from(&mut buffer)?;
        buffer.truncate(length);
        Ok((buffer, from))
    }
}
