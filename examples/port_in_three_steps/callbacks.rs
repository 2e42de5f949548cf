//! Step 1: as in Twisted, name for name. `lineReceived` is `line_received`, `addCallback` is `add_callback`, and `self.answer` is
//! `cx.bind(Self::answer)`.

use std::{cell::Cell, net::SocketAddr, time::Duration};
use twistor::{
    Address, ClientFactory, Connector, Context, Factory, Failure, Reactor, Result,
    defer::{Deferred, Promise},
    error::ConnectionDone,
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    tcp::{ListeningPort, TcpListen},
};

pub(crate) fn listen(reactor: &Reactor, at: TcpListen, almanac: SocketAddr) -> Result<ListeningPort> {
    reactor.listen_tcp(at, factory(move |_peer| LineReceiver::new(Weather { almanac })))
}

/// Answers each line, the name of a city, with its weather.
struct Weather {
    almanac: SocketAddr,
}

impl LineProtocol for Weather {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let city = String::from_utf8_lossy(line).into_owned();
        ask(self.almanac, city.clone())
            .add_timeout(Duration::from_secs(5), &Reactor::current())
            .add_callback({
                let city = city.clone();
                move |weather| Ok(format!("{city}: {weather}"))
            })
            .add_errback(move |failure| {
                failure.trap::<ConnectionDone>()?; // it closed without an answer
                Ok(format!("nobody knows the weather of {city}"))
            })
            .add_callback(cx.bind(Self::answer))
            .or_log("a question to the almanac");
    }
}

impl Weather {
    fn answer(&mut self, cx: &Context<Self>, answer: String) {
        cx.send_line(answer);
    }
}

/// Connects, asks, and gives the answer.
fn ask(almanac: SocketAddr, city: String) -> Deferred<String> {
    let (answer, promise) = Deferred::pending();
    Reactor::current().connect_tcp(almanac, AskFactory { city, promise: Cell::new(Some(promise)) });
    answer
}

struct AskFactory {
    city: String,
    promise: Cell<Option<Promise<String>>>,
}

impl Factory for AskFactory {
    type Protocol = LineReceiver<Ask>;

    fn build_protocol(&self, _peer: &Address) -> Option<LineReceiver<Ask>> {
        Some(LineReceiver::new(Ask { city: self.city.clone(), promise: self.promise.take() }))
    }
}

impl ClientFactory for AskFactory {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        if let Some(promise) = self.promise.take() {
            promise.errback(why);
        }
    }
}

struct Ask {
    city: String,
    promise: Option<Promise<String>>,
}

impl LineProtocol for Ask {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.send_line(&self.city);
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        if let Some(promise) = self.promise.take() {
            promise.callback(String::from_utf8_lossy(line).into_owned());
        }
        cx.lose_connection();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        if let Some(promise) = self.promise.take() {
            promise.errback(why);
        }
    }
}
