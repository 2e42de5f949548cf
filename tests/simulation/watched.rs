//! A factory whose connections are watched.

use std::{
    any::{Any, TypeId},
    cell::Cell,
    rc::Rc,
};
use twistor::{Address, ClientFactory, Connector, Factory, Failure, IntoLayer, Layer, Transport};

/// How many connections of a factory were made, and lost.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) made: Cell<usize>,
    pub(crate) lost: Cell<usize>,
}

/// Makes what another factory makes, and keeps book.
pub(crate) struct Watched<F> {
    pub(crate) factory: F,
    pub(crate) book: Rc<Book>,
}

impl<F: Factory> Factory for Watched<F> {
    type Protocol = Watch<<F::Protocol as IntoLayer>::Layer>;

    fn build_protocol(&self, peer: &Address) -> Option<Self::Protocol> {
        let next = self.factory.build_protocol(peer)?.into_layer();
        Some(Watch { state: Cell::new(State::New), book: self.book.clone(), next })
    }

    fn find_factory(&self, id: TypeId) -> Option<&dyn Any> {
        self.factory.find_factory(id)
    }
}

impl<F: ClientFactory> ClientFactory for Watched<F> {
    fn started_connecting(&self, connector: &Connector) {
        self.factory.started_connecting(connector);
    }

    fn client_connection_failed(&self, connector: &Connector, why: Failure) {
        self.factory.client_connection_failed(connector, why);
    }

    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        self.factory.client_connection_lost(connector, why);
    }
}

/// Below the protocol: sees all that it is told.
pub(crate) struct Watch<L> {
    state: Cell<State>,
    book: Rc<Book>,
    next: L,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Made,
    Lost,
}

impl<L: Layer> Layer for Watch<L> {
    fn connection_made(&self, transport: &Transport) {
        assert_eq!(self.state.replace(State::Made), State::New, "made");
        self.book.made.set(self.book.made.get() + 1);
        self.next.connection_made(transport);
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        assert_eq!(self.state.get(), State::Made, "data");
        assert!(!data.is_empty(), "no data");
        self.next.data_received(transport, data);
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        assert_eq!(self.state.replace(State::Lost), State::Made, "lost");
        self.book.lost.set(self.book.lost.get() + 1);
        self.next.connection_lost(transport, why);
    }

    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.next)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<L: Layer> IntoLayer for Watch<L> {
    type Layer = Self;

    fn into_layer(self) -> Self {
        self
    }
}
