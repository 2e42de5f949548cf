//! A connection as tokio's and as hyper's I/O.

use futures::io::{AsyncRead, AsyncWrite};
use smol_hyper::rt::FuturesIo;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// A connection of twistor's, or any other I/O of the futures crate, for libraries that take tokio's or hyper's. No runtime is needed for it.
pub trait StreamExt: AsyncRead + AsyncWrite + Sized {
    /// As tokio's `AsyncRead` and `AsyncWrite`. `shutdown` ends this side's direction, as `close` does.
    fn into_tokio(self) -> Compat<Self> {
        self.compat()
    }

    /// As hyper's `Read` and `Write`.
    fn into_hyper(self) -> FuturesIo<Self> {
        FuturesIo::new(self)
    }
}

impl<S: AsyncRead + AsyncWrite> StreamExt for S {}
