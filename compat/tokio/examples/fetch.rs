//! A protocol that asks reqwest, from a callback: each line is the URL of a page, and the answer says what came.
//!
//! Run with: `cargo run -p twistor-tokio --example fetch -- 8007`, then `nc 127.0.0.1 8007` and type the URL that it prints.
//!
//! You will see `200 OK, 6 bytes` for it, and why not for `http://127.0.0.1:1/`. Ctrl-C ends it.

use twistor::{
    Address, Context, Reactor, Result,
    defer::Deferred,
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};
use twistor_tokio::Tokio;

/// Asks for what its peer names. Answers come as they are there: two URLs at once are fetched side by side.
struct Fetch {
    tokio: Tokio,
    /// Its sockets belong to the runtime, so there is one for all connections.
    client: reqwest::Client,
}

impl LineProtocol for Fetch {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.ask(String::from_utf8_lossy(line).into_owned())
            .add_both(cx.bind(Self::fetched))
            .or_log("the answer");
    }
}

impl Fetch {
    /// What is in the async block runs on the runtime's thread; what is added to the Deferred, on the reactor's.
    fn ask(&self, url: String) -> Deferred<String> {
        let client = self.client.clone();
        self.tokio.run(async move {
            let response = client.get(url).send().await?;
            let status = response.status();
            Ok(format!("{status}, {} bytes", response.bytes().await?.len()))
        })
    }

    fn fetched(&mut self, cx: &Context<Self>, came: Result<String>) {
        cx.send_line(came.unwrap_or_else(|failure| failure.message()));
    }
}

/// A page to ask for: the smallest server of HTTP that there is.
struct Page;

impl LineProtocol for Page {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        if line.is_empty() {
            cx.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
            cx.lose_connection();
        }
    }
}

/// Listens with both: where the lines go, and where the page is.
pub(crate) fn listen(reactor: &Reactor, port: u16) -> Result<(Address, String)> {
    let (tokio, client) = (Tokio::new(reactor)?, reqwest::Client::new());
    let fetch = factory(move |_| LineReceiver::new(Fetch { tokio: tokio.clone(), client: client.clone() }));
    let fetch = reactor.listen_tcp(("127.0.0.1", port), fetch)?;
    let page = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| LineReceiver::new(Page)))?;
    Ok((fetch.get_host()?, format!("http://{}/", page.get_host()?)))
}

fn main() -> Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(8007), |port| port.parse())?;
    let reactor = Reactor::new()?;
    let (at, page) = listen(&reactor, port)?;
    println!("listening on {at}; a page is at {page}");
    reactor.run()
}
