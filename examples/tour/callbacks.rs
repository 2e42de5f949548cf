//! A server and a client, both made of callbacks.

use crate::narrator::{quoted, say};
use std::{cell::Cell, time::Duration};
use twistor::{
    Address, ClientFactory, Connector, Context, Factory, Failure, Protocol, Reactor, Result,
    defer::{Deferred, Promise},
    factory,
};

struct Echo;

impl Protocol for Echo {
    fn connection_made(&mut self, _cx: &Context<Self>) {
        say("server", "connection_made: the factory has made a protocol for this peer");
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        say(
            "server",
            format!(
                "data_received {}: writes it back, which leaves when this method has returned",
                quoted(data)
            ),
        );
        cx.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        say("server", format!("connection_lost: {why}"));
    }
}

/// Says two words, and closes when both are back.
struct Talker {
    back: Vec<u8>,
}

impl Protocol for Talker {
    fn connection_made(&mut self, cx: &Context<Self>) {
        say("client", "connection_made: writes \"hello \" and \"there\", which leave as one");
        cx.write("hello ");
        cx.write("there");
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.back.extend_from_slice(data);
        say("client", format!("data_received {}", quoted(data)));
        if self.back == b"hello there" {
            say(
                "client",
                "has all of it back: lose_connection, and its connection_lost comes later, from the loop",
            );
            cx.lose_connection();
        }
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        say("client", format!("connection_lost: {why}"));
    }
}

/// Is told how connecting goes, and fires a Deferred at the end.
struct TalkerFactory {
    over: Cell<Option<Promise<Failure>>>,
}

impl Factory for TalkerFactory {
    type Protocol = Talker;

    fn build_protocol(&self, peer: &Address) -> Option<Talker> {
        say("client's factory", format!("build_protocol for {}, which has accepted", peer.host()));
        Some(Talker { back: vec![] })
    }
}

impl ClientFactory for TalkerFactory {
    fn started_connecting(&self, connector: &Connector) {
        say("client's factory", format!("started_connecting, {:?}: nothing here waits", connector.state()));
    }

    fn client_connection_lost(&self, _connector: &Connector, why: Failure) {
        say(
            "client's factory",
            "client_connection_lost: after the protocol's; fires the Deferred of this chapter",
        );
        if let Some(promise) = self.over.take() {
            promise.callback(why);
        }
    }
}

pub(crate) async fn tour() -> Result<()> {
    let reactor = Reactor::current();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_peer| Echo))?;
    let here = port.get_host()?.as_inet().expect("TCP has such addresses");
    say("server", "listens on a port that the system picked");
    let (over, promise) = Deferred::pending();
    let _connector = reactor.connect_tcp(here, TalkerFactory { over: Some(promise).into() });
    say("tour", "connect_tcp has returned, and nothing has happened yet; awaits the Deferred");
    let why = over.await?;
    say("tour", format!("the await has returned: {why}"));
    port.stop_and_drain(Duration::from_secs(1)).await?;
    say("tour", "the port is closed, and so is every connection that it accepted");
    Ok(())
}
