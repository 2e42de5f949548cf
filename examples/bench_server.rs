//! A server to be measured, written as a user would write it.
//!
//! Run with: `cargo run --release --example bench_server -- MODE PORT`, MODE one of `echo`, `line`, `udp`, `async`, `await`; port
//! 0 picks a free one.
//! `--spin` has the reactor look for messages for 20 µs before it sleeps; `--foreign` has a timer and a socket of async-io live beside.
//! It prints `listening ADDRESS` and serves until it is interrupted.

use async_io::{Async, Timer};
use futures_lite::{StreamExt, io::copy};
use std::{env, io::Write, net::UdpSocket, process::ExitCode, rc::Rc, time::Duration};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Failure, Protocol, Reactor, Result, Stream,
    defer::{Deferred, DeferredQueue, Promise},
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

/// Answers by Deferred. A question waits in a queue for the worker, which comes to it when the callbacks of this turn are through: whoever awaits
/// the answer is pending until then.
struct BackEnd {
    questions: DeferredQueue<(Vec<u8>, Promise<Vec<u8>>)>,
}

impl BackEnd {
    fn start(reactor: &Reactor) -> Rc<BackEnd> {
        let back_end = Rc::new(BackEnd { questions: DeferredQueue::new() });
        let worker = back_end.clone();
        reactor.spawn(async move { worker.work().await }).or_log("the back-end");
        back_end
    }

    fn ask(&self, question: &[u8]) -> Deferred<Vec<u8>> {
        let (answer, promise) = Deferred::pending();
        self.questions.put((question.to_vec(), promise)).expect("its queue has no limit");
        answer
    }

    async fn work(&self) -> Result<()> {
        loop {
            let (question, promise) = self.questions.get()?.await?;
            promise.callback(question);
        }
    }
}

/// The echo of `await`: a protocol that asks for each message, and awaits the answer in a task.
struct AskingEcho {
    back_end: Rc<BackEnd>,
}

impl Protocol for AskingEcho {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let (answer, to) = (self.back_end.ask(data), cx.clone());
        let task = async move {
            to.write(answer.await?);
            Ok(())
        };
        cx.spawn(task).or_log("an answer");
    }
}

/// Ticks ten times a second.
async fn foreign_timer() -> Result<()> {
    let mut ticks = Timer::interval(Duration::from_millis(100));
    while ticks.next().await.is_some() {}
    Ok(())
}

/// Waits for datagrams, which nobody sends.
async fn foreign_socket() -> Result<()> {
    let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
    loop {
        socket.recv(&mut [0; 64]).await?;
    }
}

const USAGE: &str =
    "usage: bench_server MODE PORT [--spin] [--foreign], with MODE one of echo, line, udp, async, await";

fn run(mode: &str, port: u16, options: &[String]) -> Result<()> {
    let mut builder = Reactor::builder();
    if options.iter().any(|option| option == "--spin") {
        builder = builder.spin(Duration::from_micros(20));
    }
    let reactor = builder.build()?;
    if options.iter().any(|option| option == "--foreign") {
        reactor.spawn(foreign_timer()).or_log("the foreign timer");
        reactor.spawn(foreign_socket()).or_log("the foreign socket");
    }
    let at = ("127.0.0.1", port);
    let host = match mode {
        "echo" => reactor.listen_tcp(at, factory(|_peer| Echo))?.get_host()?,
        "line" => reactor.listen_tcp(at, factory(|_peer| LineReceiver::new(EchoLines)))?.get_host()?,
        "udp" => reactor.listen_udp(at, EchoDatagrams)?.get_host()?,
        "async" => reactor.listen_tcp(at, serve(echo))?.get_host()?,
        "await" => {
            let back_end = BackEnd::start(&reactor);
            let factory = factory(move |_peer| AskingEcho { back_end: back_end.clone() });
            reactor.listen_tcp(at, factory)?.get_host()?
        }
        _ => return Err(Failure::msg(USAGE)),
    };
    println!("listening {host}");
    std::io::stdout().flush()?;
    reactor.run()
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (Some(mode), Some(Ok(port))) = (arguments.next(), arguments.next().map(|port| port.parse())) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let options: Vec<String> = arguments.collect();
    if let Some(unknown) = options.iter().find(|option| !["--spin", "--foreign"].contains(&option.as_str())) {
        eprintln!("{unknown}: no such option\n{USAGE}");
        return ExitCode::from(64);
    }
    match run(&mode, port, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench_server: {}", failure.message());
            ExitCode::FAILURE
        }
    }
}
