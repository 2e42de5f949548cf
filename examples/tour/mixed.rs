//! Async code and callbacks on one loop, each on both sides of a connection.

use crate::narrator::{quoted, say};
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use twistor::{
    Context, Reactor, Result,
    defer::{DeferredQueue, succeed},
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

/// A callback server whose answers come out of a chain.
struct Lengths;

impl LineProtocol for Lengths {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        say("callback server", format!("line_received {}: begins a chain", quoted(line)));
        succeed(line.to_vec())
            .map(|line| line.len())
            .add_async(async |length| {
                say(
                    "chain",
                    "its async stage waits for a timer of async-io; the chain waits for it, nobody else does",
                );
                async_io::Timer::after(Duration::from_millis(2)).await;
                Ok(length)
            })
            .add_callback(cx.bind(|_: &mut Self, cx: &Context<Self>, length: usize| {
                say("callback server", "the bound method is called with the result, and has &mut self again");
                cx.send_line(format!("{length} bytes"));
            }))
            .or_log("an answer");
    }
}

/// A protocol that is only the ear of an async fn.
struct Handler {
    lines: DeferredQueue<String>,
}

impl LineProtocol for Handler {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let (lines, cx) = (self.lines.clone(), cx.clone());
        cx.clone().spawn(handle(lines, cx)).or_log("the handler");
    }

    fn line_received(&mut self, _cx: &Context<Self>, line: &[u8]) {
        self.lines
            .put(String::from_utf8_lossy(line).into_owned())
            .unwrap_or_else(|full| say("async handler", full.to_string()));
    }
}

/// The whole conversation from top to bottom.
async fn handle(lines: DeferredQueue<String>, cx: Context<Handler>) -> Result<()> {
    say("async handler", "began inside connection_made; awaits the first line");
    let first = lines.get()?.await?;
    say("async handler", format!("has {first:?}, awaits the second"));
    let second = lines.get()?.await?;
    say("async handler", format!("has {second:?}, answers with both"));
    cx.send_line(format!("{second} {first}"));
    cx.drained().await?;
    cx.lose_connection();
    Ok(())
}

/// An async client, on a socket of async-io: any future of that world works here.
async fn ask(server: SocketAddr, lines: &str) -> Result<String> {
    let mut stream = Async::<TcpStream>::connect(server).await?;
    say("async client", format!("is connected, writes {lines:?}"));
    stream.write_all(lines.as_bytes()).await?;
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await?;
    Ok(quoted(&answer[..length]))
}

pub(crate) async fn tour() -> Result<()> {
    let reactor = Reactor::current();
    let callbacks = reactor.listen_tcp(("127.0.0.1", 0), factory(|_peer| LineReceiver::new(Lengths)))?;
    let asynchronous = reactor.listen_tcp(
        ("127.0.0.1", 0),
        factory(|_peer| LineReceiver::new(Handler { lines: DeferredQueue::new() })),
    )?;
    for (port, lines) in [(callbacks, "measure me\r\n"), (asynchronous, "one\r\ntwo\r\n")] {
        let server = port.get_host()?.as_inet().expect("TCP has such addresses");
        let answer = ask(server, lines).await?;
        say("async client", format!("was answered {answer}"));
        port.stop_and_drain(Duration::from_secs(1)).await?;
    }
    Ok(())
}
