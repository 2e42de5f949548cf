//! Factories: where protocols are made, and where connections share.

use super::{Connector, IntoLayer};
use crate::{address::Address, failure::Failure, report};
use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
};

/// Makes a protocol for each connection.
///
/// A closure is a factory; [`factory`] spares its argument's type. A factory that several ports share is given to each as a clone of one `Rc`.
/// A protocol reaches its factory with [`cx.factory()`](super::Transport::factory).
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use twistor::{Address, Context, Factory, Failure, Protocol, testing};
///
/// /// Counts its connections, and takes one at a time.
/// #[derive(Default)]
/// struct One { open: Cell<usize> }
/// impl Factory for One {
///     type Protocol = Counted;
///     fn build_protocol(&self, _peer: &Address) -> Option<Counted> {
///         (self.open.get() == 0).then_some(Counted) // None closes the connection
///     }
/// }
/// struct Counted;
/// impl Protocol for Counted {
///     fn connection_made(&mut self, cx: &Context<Self>) {
///         let open = &cx.factory::<One>().open;
///         open.set(open.get() + 1);
///     }
///     fn connection_lost(&mut self, cx: &Context<Self>, _why: Failure) {
///         let open = &cx.factory::<One>().open;
///         open.set(open.get() - 1);
///     }
/// }
///
/// let factory = Rc::new(One::default());
/// let mut first = testing::accept(&factory).expect("the first");
/// assert!(testing::accept(&factory).is_none());
/// first.lose();
/// assert!(testing::accept(&factory).is_some());
/// ```
#[doc(alias = "ServerFactory")]
#[doc(alias = "IProtocolFactory")]
pub trait Factory: 'static {
    /// What it makes.
    type Protocol: IntoLayer;

    /// Makes the protocol for a connection; None refuses the peer, and the connection is closed.
    #[doc(alias = "buildProtocol")]
    fn build_protocol(&self, peer: &Address) -> Option<Self::Protocol>;

    /// The first port or connector begins to use it.
    #[doc(alias = "startFactory")]
    #[doc(alias = "doStart")]
    fn start_factory(&self) {}

    /// The last port or connector has stopped using it.
    #[doc(alias = "stopFactory")]
    #[doc(alias = "doStop")]
    fn stop_factory(&self) {}

    /// What [`cx.factory()`](super::Transport::factory) finds by this type: the factory, or one that it wraps.
    #[doc(hidden)]
    fn find_factory(&self, id: TypeId) -> Option<&dyn Any>
    where
        Self: Sized,
    {
        (TypeId::of::<Self>() == id).then_some(self)
    }

    /// The name of the type that it finds.
    #[doc(hidden)]
    fn factory_name(&self) -> &'static str
    where
        Self: Sized,
    {
        std::any::type_name::<Self>()
    }
}

/// What a closure may give: a protocol, or an `Option` of one to refuse peers.
pub trait Accept {
    /// The protocol.
    type Protocol: IntoLayer;
    /// As what [`Factory::build_protocol`] gives.
    fn accept(self) -> Option<Self::Protocol>;
}

impl<T: IntoLayer> Accept for T {
    type Protocol = T;

    fn accept(self) -> Option<T> {
        Some(self)
    }
}

impl<T: IntoLayer> Accept for Option<T> {
    type Protocol = T;

    fn accept(self) -> Option<T> {
        self
    }
}

impl<F: Fn(&Address) -> T + 'static, T: Accept> Factory for F {
    type Protocol = T::Protocol;

    fn build_protocol(&self, peer: &Address) -> Option<T::Protocol> {
        self(peer).accept()
    }
}

impl<F: Factory> Factory for Rc<F> {
    type Protocol = F::Protocol;

    fn build_protocol(&self, peer: &Address) -> Option<F::Protocol> {
        (**self).build_protocol(peer)
    }

    fn start_factory(&self) {
        if used(self) == 1 {
            (**self).start_factory();
        }
    }

    fn stop_factory(&self) {
        if unused(self) == Some(0) {
            (**self).stop_factory();
        }
    }

    fn find_factory(&self, id: TypeId) -> Option<&dyn Any> {
        (**self).find_factory(id)
    }

    fn factory_name(&self) -> &'static str {
        (**self).factory_name()
    }
}

thread_local! {
    /// How many ports and connectors use a shared factory, by its address. The weak handle keeps another factory from that address.
    static USES: RefCell<HashMap<*const (), (usize, Weak<dyn Any>)>> = RefCell::default();
}

/// One more uses the factory: how many do now.
fn used<F: 'static>(factory: &Rc<F>) -> usize {
    let place = Rc::as_ptr(factory).cast();
    let weak: Weak<dyn Any> = Rc::<F>::downgrade(factory);
    let count = |uses: &RefCell<HashMap<_, (usize, _)>>| {
        let mut uses = uses.borrow_mut();
        let (count, _) = uses.entry(place).or_insert((0, weak));
        *count += 1;
        *count
    };
    USES.try_with(count).unwrap_or_default()
}

/// One less uses the factory: how many still do. None if none did.
fn unused<F>(factory: &Rc<F>) -> Option<usize> {
    let place = Rc::as_ptr(factory).cast::<()>();
    let count = |uses: &RefCell<HashMap<_, (usize, _)>>| {
        let mut uses = uses.borrow_mut();
        let (count, _) = uses.get_mut(&place)?;
        *count -= 1;
        let left = *count;
        if left == 0 {
            uses.remove(&place);
        }
        Some(left)
    };
    USES.try_with(count).ok().flatten()
}

/// A closure as a factory: the compiler then knows its argument's type.
///
/// # Examples
/// ```
/// use twistor::{Context, Protocol, factory, testing};
/// struct Qotd;
/// impl Protocol for Qotd {
///     fn connection_made(&mut self, cx: &Context<Self>) {
///         cx.write("An apple a day keeps the doctor away\r\n");
///         cx.lose_connection();
///     }
/// }
/// let quotes = std::rc::Rc::new(factory(|_peer| Qotd));
/// assert_eq!(testing::accept(&quotes).expect("anybody").sent(), b"An apple a day keeps the doctor away\r\n");
/// ```
pub fn factory<F: Fn(&Address) -> T + 'static, T: Accept>(f: F) -> F {
    f
}

/// A factory of default protocols.
///
/// # Examples
/// ```
/// # use twistor::{Protocol, for_protocol};
/// #[derive(Default)]
/// struct Discard;
/// impl Protocol for Discard {}
/// let discards = for_protocol::<Discard>();
/// # let _ = discards;
/// ```
#[doc(alias = "forProtocol")]
pub fn for_protocol<P: IntoLayer + Default + 'static>() -> impl Fn(&Address) -> P {
    |_peer: &Address| P::default()
}

/// The factory of a client: it is told how connecting goes, with the connector, so that it can connect again.
///
/// A closure is one too; it reports a failure to connect, and does nothing else.
pub trait ClientFactory: Factory {
    /// An attempt begins.
    #[doc(alias = "startedConnecting")]
    fn started_connecting(&self, connector: &Connector) {
        let _ = connector;
    }

    /// The attempt failed. To try again, call [`connector.connect()`](Connector::connect), now or later.
    ///
    /// Unless it is overridden, the failure is reported as unhandled.
    #[doc(alias = "clientConnectionFailed")]
    fn client_connection_failed(&self, connector: &Connector, why: Failure) {
        let _ = connector;
        report::unhandled("client_connection_failed", why);
    }

    /// The connection was lost, after the protocol was told. To connect again, call
    /// [`connector.connect()`](Connector::connect), now or later.
    #[doc(alias = "clientConnectionLost")]
    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        let _ = (connector, why);
    }
}

impl<F: Fn(&Address) -> T + 'static, T: Accept> ClientFactory for F {}

impl<F: ClientFactory> ClientFactory for Rc<F> {
    fn started_connecting(&self, connector: &Connector) {
        (**self).started_connecting(connector);
    }

    fn client_connection_failed(&self, connector: &Connector, why: Failure) {
        (**self).client_connection_failed(connector, why);
    }

    fn client_connection_lost(&self, connector: &Connector, why: Failure) {
        (**self).client_connection_lost(connector, why);
    }
}

/// The layer of what a factory makes.
pub(crate) type LayerOf<F> = <<F as Factory>::Protocol as IntoLayer>::Layer;

/// Calls a factory; its panic is a failure.
pub(crate) fn build<F: Factory>(factory: &F, peer: &Address) -> Result<Option<LayerOf<F>>, Failure> {
    report::guarded(|| factory.build_protocol(peer).map(IntoLayer::into_layer))
}
