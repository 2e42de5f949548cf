//! Finger: the server answers with a chain of callbacks, the client asks with an async fn. One program is both.
//!
//! Run with: `cargo run --example finger -- --port 1079`, then `cargo run --example finger -- --port 1079 --ask alice`.
//!
//! You will see what the server knows of alice. Ask for `bob`, or for somebody it does not know.

mod support;

use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{error::Error, fmt, net::SocketAddr, net::TcpStream, time::Duration};
use twistor::{
    Context, Reactor, Result,
    defer::Deferred,
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

#[derive(Debug)]
struct NoSuchUser(String);

impl Error for NoSuchUser {}

impl fmt::Display for NoSuchUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such user: {}", self.0)
    }
}

// ---- the server: callbacks ------------------------------------------------------------------------------------------

/// What a user is doing. It takes a while, as a database would.
fn look_up(user: String) -> Deferred<&'static str> {
    let (found, promise) = Deferred::pending();
    Reactor::current().call_later(Duration::from_millis(5), move || {
        let answer = match user.as_str() {
            "alice" => Ok("is climbing, back at noon"),
            "bob" => Ok("is writing a compiler"),
            _ => Err(NoSuchUser(user).into()),
        };
        promise.fire(answer);
    });
    found
}

struct Finger;

impl LineProtocol for Finger {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let user = String::from_utf8_lossy(line).into_owned();
        look_up(user.clone())
            .add_callback(move |doing| Ok(format!("{user} {doing}")))
            .add_errback(|failure| {
                let unknown = failure.trap::<NoSuchUser>()?; // any other failure passes on
                Ok(unknown.to_string())
            })
            .add_callback(cx.bind(Self::answer))
            .or_log("an answer to finger");
    }
}

impl Finger {
    fn answer(&mut self, cx: &Context<Self>, answer: String) {
        cx.send_line(answer);
        cx.lose_connection();
    }
}

fn serve(port: u16) -> Result<()> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", port), factory(|_peer| LineReceiver::new(Finger)))?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}

// ---- the client: async ----------------------------------------------------------------------------------------------

/// Sockets of async-io work on the reactor beside its own.
async fn ask(server: SocketAddr, user: &str) -> Result<String> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    stream.write_all(format!("{user}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn ask_once(port: u16, user: String) -> Result<()> {
    let reactor = Reactor::new()?;
    let answer = reactor.spawn({
        let reactor = reactor.clone();
        async move {
            let answer = ask(([127, 0, 0, 1], port).into(), &user).await;
            reactor.stop()?;
            answer
        }
    });
    reactor.run()?;
    match answer.now() {
        Ok(answer) => print!("{}", answer?),
        Err(_pending) => println!("interrupted"),
    }
    Ok(())
}

fn main() -> Result<()> {
    let port = support::port(1079)?;
    match support::option("--ask")? {
        Some(user) => ask_once(port, user),
        None => serve(port),
    }
}
