//! Two UDP ports that talk.

use crate::narrator::{quoted, say};
use twistor::{
    Address, DatagramContext, DatagramProtocol, Reactor, Result,
    defer::{Deferred, Promise},
};

struct Pong;

impl DatagramProtocol for Pong {
    fn start_protocol(&mut self, _cx: &DatagramContext<Self>) {
        say("pong", "start_protocol: inside listen_udp");
    }

    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        say("pong", format!("datagram_received {}: answers at once", quoted(data)));
        cx.write_to("pong", from).unwrap_or_else(|failure| say("pong", failure.message()));
    }

    fn stop_protocol(&mut self, _cx: &DatagramContext<Self>) {
        say("pong", "stop_protocol");
    }
}

struct Ping {
    to: Address,
    answered: Option<Promise<()>>,
}

impl DatagramProtocol for Ping {
    fn start_protocol(&mut self, cx: &DatagramContext<Self>) {
        say("ping", "sends \"ping\"");
        cx.write_to("ping", &self.to).unwrap_or_else(|failure| say("ping", failure.message()));
    }

    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, data: &[u8], _from: &Address) {
        say("ping", format!("datagram_received {}", quoted(data)));
        if let Some(promise) = self.answered.take() {
            promise.callback(());
        }
    }

    fn stop_protocol(&mut self, _cx: &DatagramContext<Self>) {
        say("ping", "stop_protocol: nobody had stopped this port, so the end of the run does");
    }
}

pub(crate) async fn tour() -> Result<()> {
    let reactor = Reactor::current();
    let pong = reactor.listen_udp(("127.0.0.1", 0), Pong)?;
    let (answer, promise) = Deferred::pending();
    reactor.listen_udp(("127.0.0.1", 0), Ping { to: pong.get_host()?, answered: Some(promise) })?;
    answer.await?;
    pong.stop_listening().await
}
