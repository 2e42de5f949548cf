//! [`Pair`]: the two directions as one I/O.

use super::half::{Flags, Half, Opened, open_half};
use crate::protocol::Transport;
use futures::io::{AsyncRead, AsyncWrite};
use rustix::{
    fs::OFlags,
    net::{Shutdown, shutdown},
    stdio::dup2_stdout,
};
use std::{
    fs::File,
    io::{self, IoSlice, Write},
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Reads one descriptor and writes the other. What was changed of them is set back last.
pub(super) struct Pair {
    input: Half,
    output: Output,
    /// Of the input, and of an output that has not ended: they may be one.
    _input_flags: Option<Flags>,
    /// Whether the output is the process's own.
    standard: bool,
}

/// The direction that is written.
enum Output {
    Open(Opened),
    Ended,
}

/// A pair that knows whose it is.
pub(super) struct Carrying {
    pair: Pair,
    transport: Transport,
}

impl Pair {
    pub(super) fn open(input: OwnedFd, output: OwnedFd, standard: bool) -> io::Result<Pair> {
        let Opened { half: input, flags, .. } = open_half(input, OFlags::RDONLY)?;
        let output = Output::Open(open_half(output, OFlags::WRONLY)?);
        Ok(Pair { input, output, _input_flags: flags, standard })
    }

    pub(super) fn of(self, transport: &Transport) -> Carrying {
        Carrying { pair: self, transport: transport.clone() }
    }

    fn with_output<T>(
        &mut self,
        call: impl FnOnce(Pin<&mut (dyn AsyncWrite + Unpin)>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let output: &mut (dyn AsyncWrite + Unpin) = match &mut self.output {
            Output::Open(Opened { half: Half::Polled(output), .. }) => output,
            Output::Open(Opened { half: Half::Pool(output), .. }) => output,
            Output::Ended => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        call(Pin::new(output))
    }

    /// Whether the reader of the output has gone. The system tells that of a pipe as an error, which is seen as something to read, where there never is.
    fn poll_has_no_reader(&self, cx: &mut Context<'_>) -> bool {
        match &self.output {
            Output::Open(Opened { half: Half::Polled(output), is_pipe: true, .. }) => {
                output.poll_readable(cx).is_ready()
            }
            _ => false,
        }
    }

    /// Its reader reads the end, though the process goes on.
    fn end_output(&mut self) -> io::Result<()> {
        let Output::Open(ended) = std::mem::replace(&mut self.output, Output::Ended) else { return Ok(()) };
        if let (true, Half::Polled(socket)) = (ended.is_socket, &ended.half) {
            shutdown(socket, Shutdown::Write)?; // others may have it too
        }
        if self.standard {
            io::stdout().flush()?;
            dup2_stdout(File::options().write(true).open("/dev/null")?)?;
        }
        Ok(())
    }
}

impl AsyncRead for Carrying {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let pair = &mut self.get_mut().pair;
        let read = match &mut pair.input {
            Half::Polled(input) => Pin::new(input).poll_read(cx, buffer),
            Half::Pool(input) => Pin::new(input).poll_read(cx, buffer),
        };
        if read.is_pending() && pair.poll_has_no_reader(cx) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        read
    }
}

impl AsyncWrite for Carrying {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().pair.with_output(|output| output.poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().pair.with_output(|output| output.poll_write_vectored(cx, parts))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pair.with_output(|output| output.poll_flush(cx))
    }

    /// Of the whole connection: then the process keeps its output. Or of the direction alone.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Carrying { pair, transport } = self.get_mut();
        ready!(pair.with_output(|output| output.poll_close(cx)))?;
        let whole = transport.wire().is_closing();
        Poll::Ready(if whole { Ok(()) } else { pair.end_output() })
    }
}
