//! The reactor as the guest of tokio: a program of tokio's, with its own listener, that drives a reactor beside it. What needs tokio works bare.
//!
//! Run with: `cargo run -p twistor-tokio --example guest -- 8007`, then `nc 127.0.0.1 8007` and type a URL, for example the one it prints.
//!
//! You will see the status of that page. Ctrl-C ends it.

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::LocalSet,
};
use twistor::{
    Address, Context, Reactor, Result, factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

/// Asks reqwest in a task of the reactor: tokio polls the reactor, so it is there.
struct Status;

impl LineProtocol for Status {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let url = String::from_utf8_lossy(line).into_owned();
        cx.spawn(async { Ok(reqwest::get(url).await?.status().to_string()) })
            .add_both(cx.bind(Self::answered))
            .or_log("the answer");
    }
}

impl Status {
    fn answered(&mut self, cx: &Context<Self>, came: Result<String>) {
        cx.send_line(came.unwrap_or_else(|failure| failure.message()));
    }
}

/// A page, served by a task of tokio's.
async fn page(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let mut request = BufReader::new(&mut socket).lines();
        while request.next_line().await?.is_some_and(|line| !line.is_empty()) {}
        socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await?;
    }
}

/// A program of tokio's: it goes on until the reactor stops.
pub(crate) async fn program(reactor: Reactor, port: u16, tell: impl FnOnce(Address, String)) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let page_at = format!("http://{}/", listener.local_addr()?);
    let status = reactor.listen_tcp(("127.0.0.1", port), factory(|_| LineReceiver::new(Status)))?;
    let at = status.get_host()?;
    let page = tokio::spawn(page(listener));
    tell(at, page_at);
    let result = reactor.drive().await;
    page.abort();
    result
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(8007), |port| port.parse())?;
    let tell = |at: Address, page: String| println!("listening on {at}; a page is at {page}");
    // `drive` is not `Send`, so it is not for `tokio::spawn`: a LocalSet, or `block_on` itself.
    LocalSet::new().run_until(program(Reactor::new()?, port, tell)).await
}
