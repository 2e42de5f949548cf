//! [`Layer`]: what stands between a transport and a protocol.

use super::{Context, Protocol, Slot, Transport, delimiter::Delimiter};
use crate::failure::Failure;
use std::{
    any::{Any, TypeId},
    os::fd::OwnedFd,
};

/// A framer, a policy, or the slot of a protocol: one floor of what is above a transport.
///
/// Layers take `&self` and keep their state in cells; only the user's protocol, in its [`Slot`], is `&mut`. So a whole stack is one
/// allocation, and what is asked from inside a method (a framer's raw mode, a pause) acts at once.
///
/// A layer of one's own holds the next one and passes on what it does not change:
/// ```
/// use std::{any::{Any, TypeId}, cell::Cell};
/// use twistor::{Context, Failure, IntoLayer, Layer, Protocol, Transport, testing};
///
/// struct Counting<L> { bytes: Cell<usize>, next: L }
/// impl<L: Layer> Layer for Counting<L> {
///     fn connection_made(&self, t: &Transport) { self.next.connection_made(t) }
///     fn data_received(&self, t: &Transport, data: &[u8]) {
///         self.bytes.set(self.bytes.get() + data.len());
///         self.next.data_received(t, data)
///     }
///     fn connection_lost(&self, t: &Transport, why: Failure) { self.next.connection_lost(t, why) }
///     fn next(&self) -> Option<&dyn Layer> { Some(&self.next) }
///     fn as_any(&self) -> &dyn Any { self }
/// }
/// impl<L: Layer> IntoLayer for Counting<L> {
///     type Layer = Self;
///     fn into_layer(self) -> Self { self }
/// }
///
/// struct Echo;
/// impl Protocol for Echo {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
/// }
/// let mut t = testing::connect(Counting { bytes: Cell::new(0), next: Echo.into_layer() });
/// t.receive(b"hello");
/// assert_eq!(t.layer::<Counting<twistor::Slot<Echo>>>().bytes.get(), 5);
/// assert_eq!(t.sent(), b"hello");
/// ```
#[doc(alias = "ProtocolWrapper")]
pub trait Layer: 'static {
    /// The connection is there.
    fn connection_made(&self, transport: &Transport);
    /// The TLS handshake is over; see [`Protocol::handshake_completed`].
    fn handshake_completed(&self, transport: &Transport) {
        if let Some(next) = self.next() {
            next.handshake_completed(transport);
        }
    }

    /// Bytes came.
    fn data_received(&self, transport: &Transport, data: &[u8]);
    /// The connection is over. Nothing comes after it.
    fn connection_lost(&self, transport: &Transport, why: Failure);

    /// The next layer up; None for a slot.
    fn next(&self) -> Option<&dyn Layer>;
    /// This layer, to be found by its type.
    fn as_any(&self) -> &dyn Any;

    /// Whether the protocol tells the ends of the two directions apart.
    fn half_closeable(&self) -> bool {
        self.next().is_some_and(Layer::half_closeable)
    }

    /// The peer has ended its direction.
    fn read_connection_lost(&self, transport: &Transport) {
        if let Some(next) = self.next() {
            next.read_connection_lost(transport);
        }
    }

    /// This side's direction has ended, after `lose_write_connection`.
    fn write_connection_lost(&self, transport: &Transport) {
        if let Some(next) = self.next() {
            next.write_connection_lost(transport);
        }
    }

    /// A descriptor came. One that no layer takes is closed.
    fn file_descriptor_received(&self, transport: &Transport, descriptor: OwnedFd) {
        if let Some(next) = self.next() {
            next.file_descriptor_received(transport, descriptor);
        }
    }

    /// Gives what was held back: calls that wait for the protocol, then what a framer holds. False if calls are left, and the reactor
    /// comes back once more.
    fn go_on(&self, transport: &Transport) -> bool {
        self.next().is_none_or(|next| next.go_on(transport))
    }

    /// This layer, or one above, whose type has this id.
    fn find(&self, id: TypeId) -> Option<&dyn Any> {
        let this = self.as_any();
        if this.type_id() == id { Some(this) } else { self.next()?.find(id) }
    }

    /// How many bytes of the peer's wait here and above. Asked when what is pending is shown, which runs no code of a program's, and when TLS
    /// begins: so no layer but the library's own can answer.
    #[doc(hidden)]
    fn held(&self, asked: Asked) -> usize {
        self.next().map_or(0, |next| next.held(asked))
    }

    /// Takes what waits here and above, in the order in which it came: it is not the protocol's.
    #[doc(hidden)]
    fn take_held(&self, asked: Asked) -> Vec<u8> {
        self.next().map_or_else(Vec::new, |next| next.take_held(asked))
    }

    /// What ends the lines of a protocol whose type has this id, if this layer or the next cuts them. So that a line is sent without a search
    /// of the layers.
    #[doc(hidden)]
    fn delimiter(&self, protocol: TypeId, asked: Asked) -> Option<&Delimiter> {
        self.next()?.delimiter(protocol, asked)
    }
}

/// What only this crate can name.
mod sealed {
    #[derive(Clone, Copy, Debug)]
    pub struct Asked;
}

pub(crate) use sealed::Asked;

impl Layer for Box<dyn Layer> {
    fn connection_made(&self, transport: &Transport) {
        (**self).connection_made(transport);
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        (**self).data_received(transport, data);
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        (**self).connection_lost(transport, why);
    }

    fn next(&self) -> Option<&dyn Layer> {
        Some(&**self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<P: Protocol> Layer for Slot<P> {
    fn connection_made(&self, transport: &Transport) {
        self.event(&Context::of(transport), "connection_made", P::connection_made);
    }

    fn handshake_completed(&self, transport: &Transport) {
        self.event(&Context::of(transport), "handshake_completed", P::handshake_completed);
    }

    #[inline]
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        let cx = Context::of(transport);
        if !self.enter(&cx, "data_received", |protocol, cx| protocol.data_received(cx, data)) {
            // A layer below did not wait. What is lent does not last: it is copied.
            let data = data.to_vec();
            self.event(&cx, "data_received", move |protocol, cx| protocol.data_received(cx, &data));
        }
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        let lost = move |protocol: &mut P, cx: &Context<P>| protocol.connection_lost(cx, why);
        self.lose(&Context::of(transport), "connection_lost", lost, || ());
    }

    fn next(&self) -> Option<&dyn Layer> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn half_closeable(&self) -> bool {
        P::HALF_CLOSEABLE
    }

    fn read_connection_lost(&self, transport: &Transport) {
        self.event(&Context::of(transport), "read_connection_lost", P::read_connection_lost);
    }

    fn write_connection_lost(&self, transport: &Transport) {
        self.event(&Context::of(transport), "write_connection_lost", P::write_connection_lost);
    }

    fn file_descriptor_received(&self, transport: &Transport, descriptor: OwnedFd) {
        self.event(&Context::of(transport), "file_descriptor_received", |protocol, cx| {
            protocol.file_descriptor_received(cx, descriptor);
        });
    }

    fn go_on(&self, transport: &Transport) -> bool {
        self.run_waiting(&Context::of(transport))
    }
}

/// What a factory may give: a [`Protocol`], a framer around one, or a boxed layer.
pub trait IntoLayer {
    /// The layer that it becomes.
    type Layer: Layer;
    /// Puts it into its place.
    fn into_layer(self) -> Self::Layer;
}

impl<P: Protocol> IntoLayer for P {
    type Layer = Slot<P>;

    fn into_layer(self) -> Slot<P> {
        Slot::new(self)
    }
}

impl IntoLayer for Box<dyn Layer> {
    type Layer = Box<dyn Layer>;

    fn into_layer(self) -> Box<dyn Layer> {
        self
    }
}

/// What has one protocol, of a type that is known: a [`Protocol`] itself, or a framer around one.
///
/// Whoever hands it over gets the [`Context`] of that protocol back, as from
/// [`connect_protocol`](crate::Reactor::connect_protocol) and [`attach`](crate::stream::attach()).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known to have one protocol, so there is no context to give",
    note = "for a layer of your own, implement `HasProtocol` and name the protocol; a boxed layer goes to `connect_tcp`"
)]
pub trait HasProtocol: IntoLayer {
    /// The protocol.
    type Protocol: 'static;
}

#[diagnostic::do_not_recommend]
impl<P: Protocol> HasProtocol for P {
    type Protocol = P;
}

/// Boxes a protocol, so that one factory can give several types.
///
/// # Examples
/// ```
/// use twistor::{Address, Context, Protocol, boxed, factory, testing};
/// struct Polite;
/// impl Protocol for Polite {
///     fn connection_made(&mut self, cx: &Context<Self>) { cx.write("welcome\n") }
/// }
/// struct Busy;
/// impl Protocol for Busy {
///     fn connection_made(&mut self, cx: &Context<Self>) { cx.lose_connection() }
/// }
/// let first = std::cell::Cell::new(true);
/// let mixed = factory(move |_: &Address| if first.replace(false) { boxed(Polite) } else { boxed(Busy) });
/// let mixed = std::rc::Rc::new(mixed);
/// assert_eq!(testing::accept(&mixed).expect("taken").sent(), b"welcome\n");
/// assert!(testing::accept(&mixed).expect("taken").disconnecting());
/// ```
pub fn boxed(protocol: impl IntoLayer) -> Box<dyn Layer> {
    Box::new(protocol.into_layer())
}
