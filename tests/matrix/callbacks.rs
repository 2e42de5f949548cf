//! The callbacks, and how each is brought about.

use crate::{
    actions::Datagram,
    scene::{HERE, Scene},
};
use std::{cell::Cell, rc::Rc, time::Duration};
use twistor::{
    Address, ClientFactory, Connector, Context, DatagramContext, DatagramProtocol, Factory, Failure, Layer,
    Protocol, boxed,
    defer::Deferred,
    factory,
    protocols::basic::{LineProtocol, LineReceiver},
    reactor::Phase,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    ConnectionMade,
    DataReceived,
    LineReceived,
    ConnectionLost,
    DatagramReceived,
    BuildProtocol,
    Timer,
    /// Before "shutdown", which waits for it.
    Trigger,
    Stage,
    Task,
    /// Of a protocol, after its connection was lost.
    Drop,
}

impl Callback {
    #[rustfmt::skip]
    pub(crate) const ALL: [Callback; 11] = [
        Callback::ConnectionMade, Callback::DataReceived, Callback::LineReceived, Callback::ConnectionLost,
        Callback::DatagramReceived, Callback::BuildProtocol, Callback::Timer, Callback::Trigger, Callback::Stage,
        Callback::Task, Callback::Drop,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Callback::ConnectionMade => "connection_made",
            Callback::DataReceived => "data_received",
            Callback::LineReceived => "line_received",
            Callback::ConnectionLost => "connection_lost",
            Callback::DatagramReceived => "datagram_received",
            Callback::BuildProtocol => "build_protocol",
            Callback::Timer => "a timer",
            Callback::Trigger => "a trigger",
            Callback::Stage => "a Deferred stage",
            Callback::Task => "an async task",
            Callback::Drop => "a drop",
        }
    }

    /// Has it called, now that the connection is there at both ends.
    pub(crate) fn provoke(self, scene: &Rc<Scene>, client: &Context<Client>) {
        let s = scene.clone();
        match self {
            Callback::ConnectionMade => {} // it was the connection's own
            Callback::DataReceived => client.write("go"),
            Callback::LineReceived => client.write("go\r\n"),
            Callback::ConnectionLost | Callback::Drop => client.lose_connection(),
            Callback::DatagramReceived => send_datagram(scene),
            Callback::BuildProtocol => {
                let second = factory(move |_| Client { scene: s.clone(), name: "second" });
                scene.reactor.connect_tcp(&scene.address.get().expect("it listens"), second);
            }
            Callback::Timer => drop(scene.reactor.call_later(Duration::ZERO, move || s.callback(None))),
            Callback::Trigger => trigger(scene),
            Callback::Stage => {
                let (deferred, promise) = Deferred::<()>::pending();
                deferred.add_callback(move |()| s.callback(None)).or_log("a stage");
                promise.callback(());
            }
            Callback::Task => {
                let task = async move {
                    s.callback(None);
                    Ok(())
                };
                scene.reactor.spawn(task).or_log("a task");
            }
        }
    }
}

fn trigger(scene: &Rc<Scene>) {
    let s = scene.clone();
    scene.reactor.add_system_event_trigger(Phase::Before, "shutdown", move || {
        let (over, promise) = Deferred::<()>::pending();
        s.over.set(Some(promise));
        s.callback(None);
        over
    });
    scene.reactor.stop().expect("it runs");
}

fn send_datagram(scene: &Rc<Scene>) {
    let port = scene.reactor.listen_udp(HERE, Datagrams { scene: scene.clone() }).expect("a port");
    let sender = scene.reactor.listen_udp(HERE, Sender { scene: scene.clone() }).expect("a port");
    sender.write_to("go", &port.get_host().expect("it listens")).expect("there is room");
    // For the next datagram, which shows that the port is still there.
    scene.datagrams.set(Some((sender, port.get_host().expect("it listens"))));
}

/// The server's: the first connection is the one of the cell, the others are for whoever looks whether it still serves.
pub(crate) struct Server {
    pub(crate) scene: Rc<Scene>,
    pub(crate) first: Cell<bool>,
}

impl Factory for Server {
    type Protocol = Box<dyn Layer>;

    fn build_protocol(&self, _peer: &Address) -> Option<Box<dyn Layer>> {
        let scene = &self.scene;
        if self.first.replace(false) {
            let acting = Acting {
                scene: scene.clone(),
                at_drop: (scene.callback == Callback::Drop).then(|| AtDrop(scene.clone())),
            };
            let lines = scene.callback == Callback::LineReceived;
            return Some(if lines { boxed(LineReceiver::new(acting)) } else { boxed(acting) });
        }
        if scene.callback == Callback::BuildProtocol && !scene.has_acted() {
            scene.callback(None);
        }
        Some(boxed(Echo { scene: scene.clone() }))
    }
}

/// The protocol that does it: the server's end of the connection.
pub(crate) struct Acting {
    pub(crate) scene: Rc<Scene>,
    /// Acts when the protocol is dropped.
    at_drop: Option<AtDrop>,
}

struct AtDrop(Rc<Scene>);

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.callback(None);
    }
}

impl Acting {
    fn made(&mut self, cx: &Context<Self>) {
        self.scene.opened();
        self.scene.is_made(cx);
        self.callback_if(Callback::ConnectionMade);
    }

    fn lost(&mut self, why: &Failure) {
        debug_assert!(self.at_drop.is_some() == (self.scene.callback == Callback::Drop));
        self.scene.closed("own", why);
        self.callback_if(Callback::ConnectionLost);
    }

    fn callback_if(&self, callback: Callback) {
        if self.scene.callback == callback {
            self.scene.callback(None);
        }
    }
}

impl Protocol for Acting {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.made(cx);
    }

    fn data_received(&mut self, _cx: &Context<Self>, _data: &[u8]) {
        self.callback_if(Callback::DataReceived);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.lost(&why);
    }
}

impl LineProtocol for Acting {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.made(cx);
    }

    fn line_received(&mut self, _cx: &Context<Self>, _line: &[u8]) {
        self.callback_if(Callback::LineReceived);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.lost(&why);
    }
}

/// For whoever looks whether the port still serves.
struct Echo {
    scene: Rc<Scene>,
}

impl Protocol for Echo {
    fn connection_made(&mut self, _cx: &Context<Self>) {
        self.scene.opened();
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        self.scene.closed_unseen();
    }
}

/// The factory of the cell's connection at the client's end.
pub(crate) struct Peer(pub(crate) Rc<Scene>);

impl Factory for Peer {
    type Protocol = Client;

    fn build_protocol(&self, _peer: &Address) -> Option<Client> {
        Some(Client { scene: self.0.clone(), name: "peer" })
    }
}

impl ClientFactory for Peer {
    /// The server may abort it before the client has looked: to the one it is lost, to the other it never was.
    fn client_connection_failed(&self, _connector: &Connector, _why: Failure) {
        self.0.log("peer lost: lost");
    }
}

/// A client's end: of the cell's connection, of the one that `build_protocol` is asked for, or of a new one.
pub(crate) struct Client {
    pub(crate) scene: Rc<Scene>,
    pub(crate) name: &'static str,
}

impl Protocol for Client {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.scene.opened();
        match self.name {
            "peer" => self.scene.peer_is_made(cx),
            "second" => {}
            _ => {
                self.scene.log("made");
                cx.lose_connection();
            }
        }
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.scene.log(format!("{} got {}", self.name, String::from_utf8_lossy(data)));
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        match self.name {
            "peer" | "second" => self.scene.closed(self.name, &why),
            _ => self.scene.closed_unseen(),
        }
    }
}

/// The UDP port of the cell.
pub(crate) struct Datagrams {
    pub(crate) scene: Rc<Scene>,
}

impl DatagramProtocol for Datagrams {
    fn start_protocol(&mut self, _cx: &DatagramContext<Self>) {
        self.scene.opened();
    }

    fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        if data == b"go" {
            let datagram: Datagram<'_> = Some((cx, from));
            return self.scene.callback(datagram);
        }
        self.scene.log("another datagram");
    }

    fn stop_protocol(&mut self, _cx: &DatagramContext<Self>) {
        self.scene.log("port stopped");
        self.scene.closed_unseen();
    }
}

/// Who sends it datagrams.
pub(crate) struct Sender {
    scene: Rc<Scene>,
}

impl DatagramProtocol for Sender {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, data: &[u8], _from: &Address) {
        self.scene.log(format!("sender got {}", String::from_utf8_lossy(data)));
    }
}
