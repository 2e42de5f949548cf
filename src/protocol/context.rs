//! [`Context`]: a connection with the type of its protocol.

use super::{Slot, Transport};
use crate::{
    defer::{Deferred, IntoDeferred},
    error::ProtocolGone,
    failure::Failure,
    trace::Place,
};
use std::{
    any::{Any, TypeId},
    fmt,
    marker::PhantomData,
    ops::Deref,
    panic::Location,
};

/// What every kind of transport can do for the protocol above it.
pub trait Carrier: sealed::Carrier {}

impl<T: sealed::Carrier> Carrier for T {}

pub(crate) mod sealed {
    use super::*;

    pub trait Carrier: Clone + 'static {
        /// The layer with this id.
        fn find(&self, id: TypeId) -> Option<&dyn Any>;
        /// A callback failed: the carrier ends with this reason.
        fn failed(&self, why: Failure);
        /// Many calls wait for the protocol: whether somebody will come back for them, before any other event.
        fn hold(&self) -> bool;
    }
}

impl sealed::Carrier for Transport {
    fn find(&self, id: TypeId) -> Option<&dyn Any> {
        self.link.layer().find(id)
    }

    fn failed(&self, why: Failure) {
        self.fail(why);
    }

    fn hold(&self) -> bool {
        let Some(below) = &self.wire().below else { return false };
        self.wire().set_held(true);
        self.wire().touch();
        below.touched(&self.link);
        true
    }
}

/// The connection of a protocol `P`: what its methods are given, and how other code reaches it.
///
/// A cheap handle that may be kept, in the protocol too: when the connection is lost the protocol goes, whoever holds a
/// context. It derefs to its carrier, a [`Transport`] or a [`DatagramTransport`](super::DatagramTransport).
///
/// # Examples
/// ```
/// use twistor::{Context, Protocol, Result, defer::{Deferred, Promise}, testing};
///
/// /// Answers each piece with its length, which somebody else finds out.
/// #[derive(Default)]
/// struct Lengths { asked: Vec<(usize, Promise<usize>)>, told: usize }
///
/// impl Lengths {
///     fn ask(&mut self, data: &[u8]) -> Deferred<usize> {
///         let (deferred, promise) = Deferred::pending();
///         self.asked.push((data.len(), promise));
///         deferred
///     }
///     fn tell(&mut self, cx: &Context<Self>, length: usize) {
///         self.told += 1;
///         cx.write(format!("{length}\n"));
///     }
/// }
/// impl Protocol for Lengths {
///     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
///         self.ask(data).add_callback(cx.bind(Self::tell)); // a method as a callback
///     }
/// }
///
/// let mut t = testing::connect(Lengths::default());
/// t.receive(b"hello");
/// let cx: Context<Lengths> = t.context();
/// // From outside: enter the protocol, then fire what it waits for.
/// let asked = cx.call(|protocol, _| Ok(protocol.asked.pop())).now().unwrap()?;
/// let (length, promise) = asked.expect("one");
/// promise.callback(length);
/// assert_eq!(t.sent(), b"5\n");
///
/// t.lose();
/// assert!(cx.call(|_, _| Ok(())).now().unwrap().is_err()); // the protocol is gone
/// # Ok::<(), twistor::Failure>(())
/// ```
pub struct Context<P, T = Transport> {
    carrier: T,
    protocol: PhantomData<fn(P)>,
}

impl<P, T: Clone> Context<P, T> {
    /// The carrier alone, for who needs not know the protocol: a handle of the same connection.
    pub fn transport(&self) -> T {
        self.carrier.clone()
    }

    #[inline]
    pub(crate) fn of(carrier: &T) -> Context<P, T> {
        Context { carrier: carrier.clone(), protocol: PhantomData }
    }
}

impl<P: 'static, T: Carrier> Context<P, T> {
    /// Enters the protocol: now, if it is idle, else as soon as the method that runs returns, before the next line or event.
    ///
    /// Gives what `f` gives. If the connection is lost it fails with [`ProtocolGone`], which is not reported if nobody
    /// handles it. A call that waits and is cancelled never runs.
    #[track_caller]
    pub fn call<R: IntoDeferred>(&self, f: impl FnOnce(&mut P, &Self) -> R + 'static) -> Deferred<R::Output> {
        self.call_at(Location::caller(), f)
    }

    fn call_at<R: IntoDeferred>(
        &self,
        place: Place,
        f: impl FnOnce(&mut P, &Self) -> R + 'static,
    ) -> Deferred<R::Output> {
        match self.slot() {
            Some(slot) => slot.call(self, place, f),
            None => Deferred::failed(Failure::quiet(ProtocolGone::default())),
        }
    }

    /// A method of the protocol as a callback, for a stage, a timer or anything else that takes a closure of one argument.
    ///
    /// It is entered as [`call`](Self::call) enters it.
    #[track_caller]
    pub fn bind<A: 'static, R: IntoDeferred, F: FnOnce(&mut P, &Self, A) -> R + 'static>(
        &self,
        f: F,
    ) -> impl FnOnce(A) -> Deferred<R::Output> + use<P, T, A, R, F> {
        let (cx, place) = (self.clone(), Location::caller());
        move |argument| cx.call_at(place, move |protocol, cx| f(protocol, cx, argument))
    }

    /// Looks at the protocol from outside; None while one of its methods runs, and when the connection is lost.
    pub fn peek<R>(&self, f: impl FnOnce(&P) -> R) -> Option<R> {
        self.slot()?.peek(f)
    }

    fn slot(&self) -> Option<&Slot<P, T>> {
        self.carrier.find(TypeId::of::<Slot<P, T>>())?.downcast_ref()
    }
}

impl<P, T: Clone> Clone for Context<P, T> {
    fn clone(&self) -> Context<P, T> {
        Context::of(&self.carrier)
    }
}

impl<P, T> Deref for Context<P, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.carrier
    }
}

impl<P, T: fmt::Debug> fmt::Debug for Context<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.carrier).finish()
    }
}
