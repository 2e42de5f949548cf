//! [`Framed`]: a layer that cuts a stream and gives a protocol the pieces.

use super::buffer::Buffer;
use crate::{
    failure::Failure,
    protocol::{Asked, Context, Delimiter, HasProtocol, IntoLayer, Layer, Slot, Transport, wire::Wire},
};
use std::{
    any::{Any, TypeId},
    cell::Cell,
    fmt,
};

/// A protocol behind a framer: `K` says how the stream is cut.
///
/// One gets it by the name of its kind, such as [`LineReceiver`](super::basic::LineReceiver).
pub struct Framed<P, K> {
    pub(super) buffer: Buffer,
    pub(super) kind: K,
    phase: Cell<Phase>,
    pub(super) slot: Slot<P>,
}

/// Who is at the buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A loop further out on this stack gives what is held, and goes on with what comes meanwhile.
    Giving,
    /// The protocol is not free. It is in the queue of its slot to go on.
    Waiting,
}

/// A way of cutting a stream for a kind of protocols.
pub trait Framing<P>: Sized + 'static {
    /// The framer's name.
    const NAME: &'static str;
    /// Whether the protocol tells the ends of the two directions apart.
    const HALF_CLOSEABLE: bool;

    /// Tells the protocol of what is not cut.
    fn tell(protocol: &mut P, cx: &Context<P>, event: Event);

    /// Gives one piece, or some in a row. The protocol is free.
    fn look(framed: &Framed<P, Self>, cx: &Context<P>) -> Look;

    /// What ends a piece, if that is how it is cut.
    fn delimiter(&self) -> Option<&Delimiter>;
}

/// What a framer passes on as it is.
#[derive(Debug)]
pub enum Event {
    /// The connection is there.
    Made,
    /// The TLS handshake is over.
    Secured,
    /// The peer has ended its direction.
    ReadLost,
    /// This side's direction has ended.
    WriteLost,
    /// The connection is over.
    Lost(Failure),
}

/// What became of one look at the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Something was given; there may be more.
    Given,
    /// Nothing more can be given before more bytes come.
    Enough,
}

impl<P: 'static, K: Framing<P>> Framed<P, K> {
    pub(super) fn with(kind: K, protocol: P) -> Framed<P, K> {
        Framed { buffer: Buffer::default(), kind, phase: Cell::new(Phase::Idle), slot: Slot::new(protocol) }
    }

    /// How many bytes were received and not given yet.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Looks at the protocol; None while one of its methods runs, and when the connection is lost.
    pub fn peek<R>(&self, f: impl FnOnce(&P) -> R) -> Option<R> {
        self.slot.peek(f)
    }

    /// Gives what is held, as long as it is wanted and the protocol is free.
    pub(super) fn give(&self, cx: &Context<P>) {
        if self.phase.get() != Phase::Idle {
            return;
        }
        self.phase.set(Phase::Giving);
        while is_wanted(cx.wire()) && self.slot.is_free() && K::look(self, cx) == Look::Given {}
        self.buffer.trim();
        if is_wanted(cx.wire()) && !self.slot.is_free() {
            return self.give_later(cx);
        }
        self.phase.set(Phase::Idle);
    }

    /// A method runs, or others wait for their turn before.
    fn give_later(&self, cx: &Context<P>) {
        self.phase.set(Phase::Waiting);
        let transport = (**cx).clone();
        self.slot.when_free(move || {
            if let Some(framed) = transport.layer::<Self>() {
                framed.phase.set(Phase::Idle);
                framed.give(&Context::of(&transport));
            }
        });
    }

    fn tell(&self, transport: &Transport, what: &'static str, event: Event) {
        self.slot.event(&Context::of(transport), what, |protocol, cx| K::tell(protocol, cx, event));
    }
}

/// Whether anything is to be given. A `lose_connection` is looked at by the kind, which may have asked for it.
#[inline]
pub(super) fn is_wanted(wire: &Wire) -> bool {
    wire.is_alive() && !is_stopped(wire)
}

/// Whether it waits for a resume, or for calls that come before.
#[inline]
pub(super) fn is_stopped(wire: &Wire) -> bool {
    wire.is_paused() || wire.is_held()
}

impl<P: 'static, K: Framing<P>> Layer for Framed<P, K> {
    fn connection_made(&self, transport: &Transport) {
        self.tell(transport, "connection_made", Event::Made);
    }

    fn handshake_completed(&self, transport: &Transport) {
        self.tell(transport, "handshake_completed", Event::Secured);
    }

    fn data_received(&self, transport: &Transport, data: &[u8]) {
        self.buffer.push(data);
        self.give(&Context::of(transport));
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        let lost = |protocol: &mut P, cx: &Context<P>| K::tell(protocol, cx, Event::Lost(why));
        self.slot.lose(&Context::of(transport), "connection_lost", lost, || ());
        if self.slot.is_over() && self.phase.get() == Phase::Idle {
            drop(self.buffer.take());
            self.buffer.trim();
        }
    }

    fn next(&self) -> Option<&dyn Layer> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn half_closeable(&self) -> bool {
        K::HALF_CLOSEABLE
    }

    fn read_connection_lost(&self, transport: &Transport) {
        self.tell(transport, "read_connection_lost", Event::ReadLost);
    }

    fn write_connection_lost(&self, transport: &Transport) {
        self.tell(transport, "write_connection_lost", Event::WriteLost);
    }

    fn go_on(&self, transport: &Transport) -> bool {
        let cx = Context::of(transport);
        let free = self.slot.run_waiting(&cx);
        self.give(&cx);
        free
    }

    /// The slot is no layer of its own, but is found by its type.
    fn find(&self, id: TypeId) -> Option<&dyn Any> {
        if id == TypeId::of::<Self>() {
            return Some(self);
        }
        if id == TypeId::of::<Slot<P>>() { Some(&self.slot) } else { None }
    }

    fn held(&self, _asked: Asked) -> usize {
        self.buffered()
    }

    fn take_held(&self, _asked: Asked) -> Vec<u8> {
        self.buffer.take()
    }

    fn delimiter(&self, protocol: TypeId, _asked: Asked) -> Option<&Delimiter> {
        self.kind.delimiter().filter(|_| protocol == TypeId::of::<P>())
    }
}

impl<P: 'static, K: Framing<P>> IntoLayer for Framed<P, K> {
    type Layer = Self;

    fn into_layer(self) -> Self {
        self
    }
}

impl<P: 'static, K: Framing<P>> HasProtocol for Framed<P, K> {
    type Protocol = P;
}

impl<P: 'static, K: Framing<P>> fmt::Debug for Framed<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(K::NAME).field("buffered", &self.buffered()).finish_non_exhaustive()
    }
}
