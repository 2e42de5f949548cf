//! A tool for pipelines and terminals: it numbers the lines that it reads, and says at the end how many there were.
//!
//! Run with: `printf 'one\ntwo\n' | cargo run --example line_tool`; or without the pipe, and end your input with Ctrl-D.
//!
//! The protocol is one as for a socket. With `--half-close` it ends its output first, and prints on stderr what its reader makes of that.

use std::env;
use twistor::{
    Context, Failure, Reactor, Result,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

#[derive(Default)]
struct Numbering {
    lines: usize,
    half_close: bool,
}

impl LineProtocol for Numbering {
    const HALF_CLOSEABLE: bool = true;

    fn connection_made(&mut self, cx: &Context<Self>) {
        if self.half_close {
            cx.send_line("no more than this");
            cx.lose_write_connection();
        }
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.lines += 1;
        cx.send_line([format!("{} ", self.lines).as_bytes(), line].concat());
    }

    /// The input is at its end.
    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        cx.send_line(format!("{} lines", self.lines));
        cx.lose_connection();
    }

    fn write_connection_lost(&mut self, _cx: &Context<Self>) {
        eprintln!("the output is at its end");
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        eprintln!("{}", why.message());
        Reactor::current().stop().expect("it runs");
    }
}

fn main() -> Result<()> {
    let half_close = env::args().any(|argument| argument == "--half-close");
    let numbering = Numbering { half_close, ..Numbering::default() };
    let reactor = Reactor::new()?;
    reactor.call_when_running(move || {
        let reactor = Reactor::current();
        let driven = reactor.standard_io(LineReceiver::new(numbering).with_delimiter("\n"));
        if let Err(failure) = driven {
            eprintln!("{}", failure.message());
            reactor.stop().expect("it runs");
        }
    });
    reactor.run()
}
