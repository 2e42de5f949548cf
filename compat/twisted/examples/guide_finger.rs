//! Finger: a chain of callbacks that waits for two look-ups, one after the other.

use std::{env, error::Error, fmt, time::Duration};
use twisted::internet::{
    address::Address,
    defer::Deferred,
    protocol::{self, Context},
    reactor,
};
use twisted::protocols::basic::{LineControl, LineProtocol, LineReceiver};
use twisted::python::{failure::Failure, log};

type Table = &'static [(&'static str, &'static str)];
const STATUS: Table = &[("moshez", "Happy and well"), ("ada", "At the mill"), ("boole", "Out")];
const PLAN: Table = &[("moshez", "none"), ("ada", "to weave numbers")];

#[derive(Debug)]
struct NoSuchUser(String);

impl Error for NoSuchUser {}

impl fmt::Display for NoSuchUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing is known of {}", self.0)
    }
}

struct Finger;

impl LineProtocol for Finger {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        let d = cx.factory::<FingerFactory>().look_up(STATUS, line.clone());
        let transport = cx.clone();
        d.add_callback(move |status| Finger::with_plan(&transport, status, line));
        d.add_errback(Finger::unknown);
        d.add_callback(cx.bind(Finger::answer));
        d.add_errback(log::err);
    }
}

impl Finger {
    fn with_plan(cx: &Context<Self>, status: String, user: String) -> Deferred<String> {
        let d = cx.factory::<FingerFactory>().look_up(PLAN, user);
        d.add_callback(move |plan| Ok(status + "; plan: " + &plan));
        d
    }

    fn unknown(failure: Failure) -> twistor::Result<String> {
        let unknown = failure.trap::<NoSuchUser>()?;
        Ok(unknown.to_string())
    }

    fn answer(&mut self, cx: &Context<Self>, message: String) {
        cx.send_line(message);
        cx.lose_connection();
    }
}

struct FingerFactory;

impl protocol::ServerFactory for FingerFactory {
    type Protocol = LineReceiver<Finger>;

    fn build_protocol(&self, _addr: &Address) -> Option<LineReceiver<Finger>> {
        Some(LineReceiver::new(Finger))
    }
}

impl FingerFactory {
    fn look_up(&self, table: Table, user: String) -> Deferred<String> {
        let d = Deferred::new();
        let found = d.clone();
        reactor::call_later(Duration::from_millis(1), move || FingerFactory::found(found, table, user));
        d
    }

    fn found(d: Deferred<String>, table: Table, user: String) -> twistor::Result<()> {
        match table.iter().find(|(name, _)| *name == user) {
            Some((_, text)) => d.callback(text.to_string()),
            None => d.errback(NoSuchUser(user)),
        }
    }
}

fn main() -> twistor::Result<()> {
    let number: u16 = env::args().nth(1).as_deref().unwrap_or("1079").parse()?;
    let port = reactor::listen_tcp(("127.0.0.1", number), FingerFactory)?;
    println!("listening on port {}", port.get_host()?.port().unwrap_or_default());
    reactor::run()
}
