//! A connection as tokio's and as hyper's I/O.

use futures::io::{AsyncRead, AsyncWrite};
use smol_hyper::rt::FuturesIo;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// A connection of twistor's, or any other I/O of the futures crate, for libraries that take tokio's or hyper's. No runtime is needed for it.
///
/// # Examples
/// ```
/// use std::io::ErrorKind;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use twistor::{Stream, serve, testing::Simulation};
/// use twistor_tokio::StreamExt as _;
///
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.listen_tcp(7, serve(|stream: Stream| async move {
///     let (mut from, mut to) = tokio::io::split(stream.into_tokio());
///     tokio::io::copy(&mut from, &mut to).await?;
///     Ok(())
/// }))?;
/// let r = reactor.clone();
/// let done = reactor.spawn(async move {
///     let mut stream = r.connect_stream(("127.0.0.1", 7)).await?.into_tokio();
///     stream.write_all(b"hello").await?;
///     stream.shutdown().await?; // this direction alone
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer).await?;
///     assert_eq!(answer, "hello");
///
///     let error = stream.write(b"more").await.unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::BrokenPipe);
///     Ok(())
/// });
/// sim.wait_for(done)?;
/// # Ok::<(), twistor::Failure>(())
/// ```
pub trait StreamExt: AsyncRead + AsyncWrite + Sized {
    /// As tokio's `AsyncRead` and `AsyncWrite`. `shutdown` ends this side's direction, as `close` does.
    fn into_tokio(self) -> Compat<Self> {
        self.compat()
    }

    /// As hyper's `Read` and `Write`, for `serve_connection` and `handshake`; see the example of [`OnReactor`](crate::OnReactor).
    fn into_hyper(self) -> FuturesIo<Self> {
        FuturesIo::new(self)
    }
}

impl<S: AsyncRead + AsyncWrite> StreamExt for S {}
