//! An echo in async code: an async fn for each connection, which may hand it over to callbacks.
//!
//! Run with: `cargo run --example async_echo -- --port 8007`, then `nc 127.0.0.1 8007` and type.
//!
//! You will see your lines come back, until you say `count`: from then on a protocol answers, with the number of each line. Ctrl-C ends it.

mod support;

use futures_lite::{AsyncBufReadExt, AsyncWriteExt};
use twistor::{
    Context, Reactor, Result, Stream,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    serve,
};

/// Line by line, as it is read: each step waits for the one before.
async fn echo(mut stream: Stream) -> Result<()> {
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        if line.trim_end() == "count" {
            stream.write_all(b"counting\n").await?;
            stream.into_protocol(LineReceiver::new(Count { lines: 0 }).with_delimiter("\n"));
            return Ok(());
        }
        stream.write_all(line.as_bytes()).await?;
        line.clear();
    }
    Ok(()) // the stream is dropped: what was written leaves, then it is closed
}

/// The rest of the connection in callbacks: its state is a field.
struct Count {
    lines: usize,
}

impl LineProtocol for Count {
    fn line_received(&mut self, cx: &Context<Self>, _line: &[u8]) {
        self.lines += 1;
        cx.send_line(self.lines.to_string());
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", support::port(8007)?), serve(echo))?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
