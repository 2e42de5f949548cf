//! The string transport: a connection in memory, whose test is the peer.

use crate::{
    address::Address,
    error::ConnectionDone,
    failure::Failure,
    protocol::{
        Context, Factory, IntoLayer, Layer, LayerOf, Transport, build,
        socket::OwnedSocket,
        transport::{Connection, Link},
        upcalls::{read_ended, received, tell_opened},
        wire::{Owner, Then, Wire},
    },
};
use std::{
    any::{Any, TypeId},
    fmt,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};

/// Connects a protocol, or a framer around one. `connection_made` has been called.
///
/// # Examples
/// ```
/// use twistor::{Context, Protocol, testing};
/// struct Greeter;
/// impl Protocol for Greeter {
///     fn connection_made(&mut self, cx: &Context<Self>) { cx.write("hello") }
/// }
/// assert_eq!(testing::connect(Greeter).sent(), b"hello");
/// ```
pub fn connect<I: IntoLayer>(protocol: I) -> Connected<I::Layer> {
    Connected::new(protocol.into_layer(), Rc::new(Alone))
}

/// Connects a peer to a factory; None if the factory refuses it.
///
/// # Panics
/// If the factory panics.
pub fn accept<F: Factory>(factory: &Rc<F>) -> Option<Connected<LayerOf<F>>> {
    let layer = match build(&**factory, &peer()) {
        Ok(layer) => layer?,
        Err(failure) => panic!("build_protocol failed: {failure}"),
    };
    Some(Connected::new(layer, Rc::new(Made(factory.clone()))))
}

/// The peer's address, Twisted's.
fn peer() -> Address {
    SocketAddr::from((Ipv4Addr::new(192, 168, 1, 1), 54321)).into()
}

/// A connection in memory; from [`connect`] and [`accept`].
pub struct Connected<L> {
    transport: Transport,
    /// What was sent to it and is not read yet, because reading is paused.
    unread: Vec<u8>,
    /// What it had written when the peer's end ended it.
    last: Vec<u8>,
    layer: PhantomData<L>,
}

impl<L: Layer> Connected<L> {
    fn new(layer: L, owner: Rc<dyn Owner>) -> Connected<L> {
        let wire = Wire::new(None, owner, OwnedSocket::default(), peer());
        let link: Rc<Link> = Rc::new(Connection { wire, layer });
        let mut connected = Connected {
            transport: Transport { link },
            unread: Vec::new(),
            last: Vec::new(),
            layer: PhantomData,
        };
        connected.transport.link.layer().connection_made(&connected.transport);
        connected.settle();
        connected
    }

    /// Bytes come in. While the protocol has paused reading they wait, as they would in the system.
    pub fn receive(&mut self, data: impl AsRef<[u8]>) {
        self.unread.extend_from_slice(data.as_ref());
        self.settle();
    }

    /// What was written since the last call. It counts as sent: producers are resumed, who waits for `drained` is told, a
    /// `lose_write_connection` is done.
    ///
    /// A `lose_connection` is not: the test looks at the protocol as long as it likes, and says [`lose`](Self::lose).
    pub fn sent(&mut self) -> Vec<u8> {
        let wire = self.transport.wire();
        let mut sent = take_sent(wire, &mut self.last);
        let then = wire.drained();
        if then == Then::Again && wire.filters().is_some() {
            sent.append(&mut take_sent(wire, &mut self.last)); // what TLS says at the end
        }
        match then {
            Then::Shutdown => {
                wire.write_ended();
                self.transport.link.layer().write_connection_lost(&self.transport);
            }
            Then::Wait | Then::Again | Then::Close => {}
        }
        self.settle();
        sent
    }

    /// The peer ends its direction. Unless the protocol [tells the two apart](crate::Protocol::HALF_CLOSEABLE), that is the end of the
    /// connection, in order; what was written is still sent.
    pub fn end(&mut self) {
        if self.transport.wire().filters().is_some() {
            read_ended(&self.transport);
            return self.settle();
        }
        let layer = self.transport.link.layer();
        self.transport.wire().read_ended();
        if layer.half_closeable() {
            layer.read_connection_lost(&self.transport);
            return self.settle();
        }
        self.last.append(&mut self.transport.wire().with_out(|out| out.take_all()));
        self.lose();
    }

    /// The connection is closed in order: `connection_lost` with [`ConnectionDone`]. If it is over, nothing happens.
    pub fn lose(&mut self) {
        self.lose_with(Failure::new(ConnectionDone::default()));
    }

    /// The connection is lost for this reason.
    pub fn lose_with(&mut self, why: impl Into<Failure>) {
        let why = why.into();
        let wire = self.transport.wire();
        if wire.end(&why) {
            self.transport.link.layer().connection_lost(&self.transport, why.clone());
            wire.owner.lost(why);
        }
    }

    /// What a reactor would do after each callback.
    fn settle(&mut self) {
        loop {
            let wire = self.transport.wire();
            wire.take_touched();
            if let Some(why) = wire.failing() {
                return self.lose_with(why);
            }
            if let Some(why) = wire.closing_for() {
                self.last = take_sent(wire, &mut self.last);
                return self.lose_with(why);
            }
            if tell_opened(&self.transport) {
                continue;
            }
            if self.unread.is_empty() || !wire.wants_read() {
                return;
            }
            let data = std::mem::take(&mut self.unread);
            if wire.filters().is_some() {
                received(&self.transport, &data);
            } else {
                self.transport.link.layer().data_received(&self.transport, &data);
            }
        }
    }

    /// The protocol's transport.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The connection as the context of the protocol `P`.
    ///
    /// # Panics
    /// If the protocol is of another type.
    pub fn context<P: 'static>(&self) -> Context<P> {
        let Some(cx) = self.transport.context() else {
            panic!("the protocol of this connection is not a {}", std::any::type_name::<P>());
        };
        cx
    }

    /// What was connected: the framer, or the slot of the protocol.
    pub fn protocol(&self) -> &L {
        self.layer()
    }

    /// A layer, by its type.
    ///
    /// # Panics
    /// If there is none of this type.
    pub fn layer<M: 'static>(&self) -> &M {
        let Some(layer) = self.transport.layer() else {
            panic!("this connection has no layer {}", std::any::type_name::<M>());
        };
        layer
    }

    /// Looks at the protocol of type `P`.
    ///
    /// # Panics
    /// If the protocol is of another type, or the connection is lost.
    pub fn peek<P: 'static, R>(&self, f: impl FnOnce(&P) -> R) -> R {
        let Some(result) = self.context::<P>().peek(f) else {
            panic!("the protocol is gone: its connection is lost");
        };
        result
    }

    /// Whether the protocol has asked for an end, or it is over.
    pub fn disconnecting(&self) -> bool {
        self.transport.is_disconnecting()
    }

    /// Whether the protocol is still to be told of an end.
    pub fn connected(&self) -> bool {
        self.transport.is_connected()
    }
}

impl<L> fmt::Debug for Connected<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connected").field(&self.transport).finish()
    }
}

/// What was sent before, and all that waits: what is sealed bit by bit for a socket, too.
fn take_sent(wire: &Wire, before: &mut Vec<u8>) -> Vec<u8> {
    let mut sent = std::mem::take(before);
    loop {
        sent.append(&mut wire.with_out(|out| out.take_all()));
        if !wire.seal_more() {
            return sent;
        }
    }
}

/// A connection without a factory.
struct Alone;

impl Owner for Alone {
    fn factory(&self, _id: TypeId) -> Option<&dyn Any> {
        None
    }

    fn factory_name(&self) -> &'static str {
        "protocol connected without a factory"
    }

    fn lost(&self, _why: Failure) {}
}

/// A connection of a factory.
struct Made<F>(Rc<F>);

impl<F: Factory> Owner for Made<F> {
    fn factory(&self, id: TypeId) -> Option<&dyn Any> {
        self.0.find_factory(id)
    }

    fn factory_name(&self) -> &'static str {
        self.0.factory_name()
    }

    fn lost(&self, _why: Failure) {}
}
