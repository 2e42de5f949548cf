//! Step 2: the question is an async fn; the protocol that asks it is still made of callbacks, and hardly knows.

use async_io::Async;
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, io::BufReader};
use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use twistor::{
    Context, Reactor, Result,
    defer::ensure_deferred,
    error::ConnectionDone,
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    tcp::{ListeningPort, TcpListen},
};

pub(crate) fn listen(reactor: &Reactor, at: TcpListen, almanac: SocketAddr) -> Result<ListeningPort> {
    reactor.listen_tcp(at, factory(move |_peer| LineReceiver::new(Weather { almanac })))
}

struct Weather {
    almanac: SocketAddr,
}

impl LineProtocol for Weather {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let city = String::from_utf8_lossy(line).into_owned();
        ensure_deferred(ask(self.almanac, city.clone())) // the one line that has changed
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

/// Connects, asks, and gives the answer: two types and six methods less.
pub(crate) async fn ask(almanac: SocketAddr, city: String) -> Result<String> {
    let mut stream = BufReader::new(Async::<TcpStream>::connect(almanac).await?);
    stream.get_mut().write_all(format!("{city}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    if stream.read_line(&mut answer).await? == 0 {
        return Err(ConnectionDone::default().into());
    }
    Ok(answer.trim_end().to_string())
}
