//! A server to be measured, written as a user would write it.
//!
//! Run with: `cargo run --release --example bench_server -- MODE PORT`; port 0 picks a free one. MODE: `echo`, `line`, `udp`, `async` or `await`.
//! `--spin` has the reactor look for messages for 20 µs before it sleeps; `--foreign` has a timer and a socket of async-io live beside.
//! It prints `listening ADDRESS` and serves until it is interrupted.

use async_io::{Async, Timer};
use futures_lite::{StreamExt, future::or, io::copy};
use std::{env, io::Write, net::UdpSocket, process::ExitCode, time::Duration};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Protocol, Reactor, Result, Stream,
    defer::{Deferred, Promise},
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    serve,
};

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

struct EchoLines;

impl LineProtocol for EchoLines {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        cx.send_line(line);
    }
}

struct EchoDatagrams;

impl DatagramProtocol for EchoDatagrams {
    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        if let Err(error) = cx.write_to(data, from) {
            eprintln!("not sent: {error}");
        }
    }
}

/// The echo of `async`: the handler of a connection as an async fn.
async fn echo(stream: Stream) -> Result<()> {
    let (mut from, mut to) = stream.split();
    copy(&mut from, &mut to).await?;
    Ok(())
}

/// The echo of `await`: a task for each message, which awaits the answer of a back-end. The Deferred is pending then: the back-end fires it after
/// the task has begun, when it goes through what it was asked.
#[derive(Default)]
struct AskingEcho {
    back_end: BackEnd,
}

impl Protocol for AskingEcho {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let (answer, to) = (self.back_end.ask(data), cx.clone());
        let task = async move {
            to.write(answer.await?);
            Ok(())
        };
        cx.spawn(task).or_log("an answer");
        self.back_end.answer();
    }
}

/// Gives its answers by Deferred.
#[derive(Default)]
struct BackEnd {
    asked: Vec<(Vec<u8>, Promise<Vec<u8>>)>,
}

impl BackEnd {
    fn ask(&mut self, question: &[u8]) -> Deferred<Vec<u8>> {
        let (answer, promise) = Deferred::pending();
        self.asked.push((question.to_vec(), promise));
        answer
    }

    fn answer(&mut self) {
        for (question, promise) in self.asked.drain(..) {
            promise.callback(question);
        }
    }
}

/// A timer of async-io that ticks ten times a second, and a socket of its that waits for what nobody sends.
async fn foreign() -> Result<()> {
    let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
    let mut ticks = Timer::interval(Duration::from_millis(100));
    let ticking = async { while ticks.next().await.is_some() {} };
    or(ticking, async { drop(socket.readable().await) }).await;
    Ok(())
}

const USAGE: &str =
    "usage: bench_server MODE PORT [--spin] [--foreign], with MODE one of echo, line, udp, async, await";

/// Begins to serve on a port, and gives where.
type Listen = fn(&Reactor, (&'static str, u16)) -> Result<Address>;

fn listen(mode: &str) -> Option<Listen> {
    Some(match mode {
        "echo" => |on, at| on.listen_tcp(at, factory(|_| Echo))?.get_host(),
        "line" => |on, at| on.listen_tcp(at, factory(|_| LineReceiver::new(EchoLines)))?.get_host(),
        "udp" => |on, at| on.listen_udp(at, EchoDatagrams)?.get_host(),
        "async" => |on, at| on.listen_tcp(at, serve(echo))?.get_host(),
        "await" => |on, at| on.listen_tcp(at, factory(|_| AskingEcho::default()))?.get_host(),
        _ => return None,
    })
}

fn run(listen: Listen, port: u16, options: &[String]) -> Result<()> {
    let given = |name| options.iter().any(|option| option == name);
    let spin = Duration::from_micros(if given("--spin") { 20 } else { 0 });
    let reactor = Reactor::builder().spin(spin).build()?;
    if given("--foreign") {
        reactor.spawn(foreign()).or_log("the foreign timer and socket");
    }
    let host = listen(&reactor, ("127.0.0.1", port))?;
    println!("listening {host}");
    std::io::stdout().flush()?;
    reactor.run()
}

/// What was asked for cannot be: how to ask, and the exit code for that.
fn misused(what: &str) -> ExitCode {
    eprintln!("{what}{USAGE}");
    ExitCode::from(64)
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (Some(mode), Some(Ok(port))) = (arguments.next(), arguments.next().map(|port| port.parse())) else {
        return misused("");
    };
    let Some(listen) = listen(&mode) else { return misused(&format!("{mode}: no such mode\n")) };
    let options: Vec<String> = arguments.collect();
    if let Some(unknown) = options.iter().find(|option| !["--spin", "--foreign"].contains(&option.as_str())) {
        return misused(&format!("{unknown}: no such option\n"));
    }
    let Err(failure) = run(listen, port, &options) else { return ExitCode::SUCCESS };
    eprintln!("bench_server: {}", failure.message());
    ExitCode::FAILURE
}
