//! Connecting to a Deferred: of a protocol's context, or of a stream.

use super::{made::Made, pipe::Pipe, whole::Stream};
use crate::{
    address::Address,
    defer::{Deferred, Promise, record::Role, source::Canceller},
    failure::Failure,
    protocol::{ClientFactory, Connector, Connects, Context, Factory, HasProtocol, IntoLayer, Transport},
    reactor::Reactor,
    tcp::TcpConnect,
};
use std::{
    cell::{Cell, RefCell},
    panic::Location,
    rc::{Rc, Weak},
};

/// Connecting without a factory.
impl Reactor {
    /// Connects to a TCP port and gives the connection to `protocol`, or to a framer around one.
    ///
    /// The Deferred fires when `connection_made` has returned, with the protocol's context. To cancel it gives the attempt up; to drop
    /// it does not: the protocol gets its connection all the same. Twisted's `connectProtocol`, `ClientCreator` and `endpoint.connect`.
    ///
    /// # Errors
    /// The Deferred fails with [`ConnectError`](crate::error::ConnectError), or with what ended the connection while it was made. When the
    /// reactor closes before, that is [`ConnectionLost`](crate::error::ConnectionLost), or
    /// [`ReactorNotRunning`](crate::error::ReactorNotRunning) while the host's name is looked up.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Context, Protocol, Reactor, error::{ConnectError, ConnectErrorKind}, factory};
    /// struct Quiet;
    /// impl Protocol for Quiet {}
    ///
    /// let reactor = Reactor::new()?;
    /// let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_peer| Quiet))?;
    /// let (to, r) = (port.get_host()?, reactor.clone());
    /// reactor.spawn(async move {
    ///     let cx: Context<Quiet> = r.connect_protocol(&to, Quiet).await?;
    ///     cx.write("hello");
    ///
    ///     port.stop_listening().await?;
    ///     let refused = r.connect_protocol(&to, Quiet).await.unwrap_err();
    ///     assert_eq!(refused.trap::<ConnectError>()?.kind(), ConnectErrorKind::Refused);
    ///     r.stop()?;
    ///     Ok(())
    /// }).or_log("the client");
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "connectProtocol")]
    #[doc(alias = "ClientCreator")]
    #[track_caller]
    pub fn connect_protocol<I: HasProtocol + 'static>(
        &self,
        to: impl Into<TcpConnect>,
        protocol: I,
    ) -> Deferred<Context<I::Protocol>> {
        connect(self, to.into(), protocol).map(|transport| Context::of(&transport))
    }

    /// Connects to a TCP port, for async code.
    ///
    /// To cancel the Deferred gives the attempt up; to drop it closes the connection when it is there.
    ///
    /// # Errors
    /// The Deferred fails as that of [`connect_protocol`](Self::connect_protocol).
    ///
    /// # Examples
    /// See [`Stream`].
    #[track_caller]
    pub fn connect_stream(&self, to: impl Into<TcpConnect>) -> Deferred<Stream> {
        connect(self, to.into(), Pipe::default()).map(|transport| Stream::new(&transport))
    }
}

/// Fires when the layer has been told that its connection is made.
#[track_caller]
fn connect<I: IntoLayer + 'static>(reactor: &Reactor, to: TcpConnect, layer: I) -> Deferred<Transport> {
    let connector = Rc::new(RefCell::new(None::<Weak<dyn Connects>>));
    let given_up = connector.clone();
    let canceller = move |promise| {
        drop(promise); // it fails now, as cancelled; what the attempt's end says comes too late
        if let Some(connector) = given_up.take().and_then(|connector| connector.upgrade()) {
            connector.disconnect();
        }
    };
    let driven = reactor.core.driven.clone();
    let (deferred, promise) =
        Deferred::driven(Location::caller(), driven, Canceller::Once(Box::new(canceller)));
    let once = Once { layer: Cell::new(Some(layer)), promise: Rc::new(Cell::new(Some(promise))) };
    let (client, serial) = reactor.connect_tcp_shown(to, once);
    deferred.describe(Role::Chain, serial);
    connector.replace(Some(client.downgrade()));
    deferred
}

/// The factory of one connection.
struct Once<I> {
    layer: Cell<Option<I>>,
    promise: Rc<Cell<Option<Promise<Transport>>>>,
}

impl<I: IntoLayer + 'static> Factory for Once<I> {
    type Protocol = Made<I::Layer>;

    fn build_protocol(&self, _peer: &Address) -> Option<Made<I::Layer>> {
        let (layer, promise) = (self.layer.take()?.into_layer(), self.promise.clone());
        Some(Made::new(layer, move |transport| made(transport, promise.take())))
    }
}

fn made(transport: &Transport, promise: Option<Promise<Transport>>) {
    let Some(promise) = promise else { return };
    match transport.wire().failing() {
        // A panic was reported, and a `fail` is what the protocol chose.
        Some(why) => promise.errback(why.hushed()),
        None => promise.callback(transport.clone()),
    };
}

impl<I: IntoLayer + 'static> ClientFactory for Once<I> {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        if let Some(promise) = self.promise.take() {
            promise.errback(why);
        }
    }

    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        self.client_connection_failed(connector, why); // unless it has been made
    }
}
