//! Peer: tokio with `LinesCodec`, a line a `String`, forwarded from the reading half to the writing one. It has `line` alone.
#![forbid(unsafe_code)]

use std::io;

use futures::StreamExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::bytes::{BufMut as _, BytesMut};
use tokio_util::codec::{Encoder, FramedRead, FramedWrite, LinesCodec, LinesCodecError};
use twistor_bench::{BUFFER, Mode, listen, server_args};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (mode, port) = server_args()?;
    if mode != Mode::Line {
        return Err(io::Error::other("peer_tokio_codec has the mode line alone"));
    }
    let listener = TcpListener::from_std(listen(port)?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(lines(stream));
    }
}

async fn lines(mut stream: TcpStream) -> Result<(), LinesCodecError> {
    let (reader, writer) = stream.split();
    let lines = FramedRead::with_capacity(reader, LinesCodec::new(), BUFFER);
    lines.forward(FramedWrite::new(writer, Crlf)).await
}

/// `LinesCodec` takes CRLF and LF for an end, and writes LF; this writes CRLF.
struct Crlf;

impl Encoder<String> for Crlf {
    type Error = LinesCodecError;

    fn encode(&mut self, line: String, output: &mut BytesMut) -> Result<(), LinesCodecError> {
        output.reserve(line.len() + 2);
        output.put_slice(line.as_bytes());
        output.put_slice(b"\r\n");
        Ok(())
    }
}
