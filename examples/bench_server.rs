//! A server to be measured, written as a user would write it.
//!
//! Run with: `cargo run --release --example bench_server -- MODE PORT`, MODE one of `echo`, `line`, `udp`; port 0 picks a free one.
//! It prints `listening ADDRESS` and serves until it is interrupted.

use std::{env, io::Write, process::ExitCode};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Failure, Protocol, Reactor, Result, factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
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

const USAGE: &str = "usage: bench_server MODE PORT, with MODE one of echo, line, udp";

fn serve(mode: &str, port: u16) -> Result<()> {
    let reactor = Reactor::new()?;
    let at = ("127.0.0.1", port);
    let host = match mode {
        "echo" => reactor.listen_tcp(at, factory(|_peer| Echo))?.get_host()?,
        "line" => reactor.listen_tcp(at, factory(|_peer| LineReceiver::new(EchoLines)))?.get_host()?,
        "udp" => reactor.listen_udp(at, EchoDatagrams)?.get_host()?,
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
    match serve(&mode, port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench_server: {}", failure.message());
            ExitCode::FAILURE
        }
    }
}
