//! [`Secured`]: a protocol or factory whose connections begin with TLS.

use super::Tls;
use crate::{
    address::Address,
    failure::Failure,
    protocol::{ClientFactory, Connector, Factory, HasProtocol, IntoLayer, Layer, Transport},
};
use std::any::{Any, TypeId};

/// A protocol, a framer around one, or a factory of them, whose connections begin with TLS, on any carrier. From [`secured`].
#[derive(Clone, Debug)]
#[doc(alias = "TLSMemoryBIOFactory")]
#[doc(alias = "wrapClientTLS")]
#[doc(alias = "wrapServerTLS")]
pub struct Secured<T> {
    tls: Tls,
    inner: T,
}

/// Has each connection of a factory, or that of a protocol, begin with TLS.
///
/// As in Twisted the protocol is told `connection_made` before the handshake, and may write: what it writes leaves when the peer is verified. Then it is
/// told [`handshake_completed`](crate::Protocol::handshake_completed). A Deferred of the connection, such as that of
/// [`connect_protocol`](crate::Reactor::connect_protocol), fires only then.
///
/// What is secured twice is TLS in TLS; the outer one is next to the carrier.
///
/// # Examples
/// See [`options_for_client_tls`](super::options_for_client_tls).
pub fn secured<T>(tls: impl Into<Tls>, inner: T) -> Secured<T> {
    Secured { tls: tls.into(), inner }
}

/// The layer of a [`Secured`] protocol.
#[derive(Debug)]
pub struct SecuredLayer<L> {
    tls: Tls,
    next: L,
}

impl<L: Layer> Layer for SecuredLayer<L> {
    fn connection_made(&self, transport: &Transport) {
        transport.begin_tls(&self.tls);
        self.next.connection_made(transport);
    }

    #[inline]
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        self.next.data_received(transport, data);
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        self.next.connection_lost(transport, why);
    }

    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.next)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<I: IntoLayer> IntoLayer for Secured<I> {
    type Layer = SecuredLayer<I::Layer>;

    fn into_layer(self) -> SecuredLayer<I::Layer> {
        SecuredLayer { tls: self.tls, next: self.inner.into_layer() }
    }
}

impl<I: HasProtocol> HasProtocol for Secured<I> {
    type Protocol = I::Protocol;
}

impl<F: Factory> Factory for Secured<F> {
    type Protocol = Secured<F::Protocol>;

    fn build_protocol(&self, peer: &Address) -> Option<Secured<F::Protocol>> {
        let inner = self.inner.build_protocol(peer)?;
        Some(Secured { tls: self.tls.clone(), inner })
    }

    fn start_factory(&self) {
        self.inner.start_factory();
    }

    fn stop_factory(&self) {
        self.inner.stop_factory();
    }

    fn find_factory(&self, id: TypeId) -> Option<&dyn Any> {
        if TypeId::of::<Self>() == id { Some(self) } else { self.inner.find_factory(id) }
    }

    fn factory_name(&self) -> &'static str {
        self.inner.factory_name()
    }
}

impl<F: ClientFactory> ClientFactory for Secured<F> {
    fn started_connecting(&self, connector: &Connector) {
        self.inner.started_connecting(connector);
    }

    fn client_connection_failed(&self, connector: &Connector, why: Failure) {
        self.inner.client_connection_failed(connector, why);
    }

    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        self.inner.client_connection_lost(connector, why);
    }
}
