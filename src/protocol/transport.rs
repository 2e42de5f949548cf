//! [`Transport`]: what a protocol may ask of its connection.

use super::{
    Context, Data, Layer, Producer,
    data::{Outgoing, sealed::Data as _},
    upcalls::broken,
    wire::Wire,
};
use crate::{
    address::{Address, Credentials},
    defer::{Deferred, HostGuard, enter_host, record::Role},
    error::ProducerRegistered,
    failure::{Failure, Result},
    trace::Place,
};
use std::{any::TypeId, fmt, io, os::fd::OwnedFd, panic::Location, rc::Rc};

/// A connection: its wire and the layers above, in one allocation.
pub(crate) struct Connection<L: ?Sized> {
    pub(crate) wire: Wire,
    pub(crate) layer: L,
}

/// A connection whose layers are known by what they do. Its wire is at hand without a call.
pub(crate) type Link = Connection<dyn Layer>;

impl Link {
    #[inline]
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    #[inline]
    pub(crate) fn layer(&self) -> &dyn Layer {
        &self.layer
    }
}

/// The connection of a protocol: a cheap handle that may be kept and cloned.
///
/// Nothing here waits, and nothing calls the protocol back before the method that runs has returned. Bytes that are
/// written by one callback leave in one system call, after it; only [large ones](Self::write) leave sooner. When the connection is over, all of it does
/// nothing.
///
/// Twisted's `ITransport`, `ITCPTransport`, `IUNIXTransport`, `IConsumer` and `IPushProducer`.
#[derive(Clone)]
#[doc(alias = "ITransport")]
#[doc(alias = "ITCPTransport")]
#[doc(alias = "IUNIXTransport")]
pub struct Transport {
    pub(crate) link: Rc<Link>,
}

impl Transport {
    #[inline]
    pub(crate) fn wire(&self) -> &Wire {
        self.link.wire()
    }

    /// Leaves word that there is something to do.
    #[inline]
    pub(crate) fn touch(&self) {
        if self.wire().touch()
            && let Some(below) = &self.wire().below
        {
            below.touched(&self.link);
        }
    }

    // ---- writing ------------------------------------------------------------------------------------------------

    /// Queues bytes to be sent, in order.
    ///
    /// Borrowed bytes from 16 KiB on that find nothing queued are sent inside this call, without a copy; what the system does not take of them
    /// is queued. If that fails, the connection ends as it would have ended when the callback returned. What is sent inside the call is gone: neither
    /// [`abort_connection`](Self::abort_connection) nor [`fail`](Self::fail) nor a panic later in the same callback takes it back, as they do what waits.
    ///
    /// More than 64 KiB that wait pause the [producer](Self::register_producer). If more than the
    /// [limit](Self::set_write_limit) waits before a write, the connection fails with
    /// [`WriteBufferFull`](crate::error::WriteBufferFull). After [`lose_connection`](Self::lose_connection), writes still go out
    /// until all is sent; after the end of the outgoing direction they are dropped.
    pub fn write(&self, data: impl Data) {
        match data.large() {
            Some(large) => self.write_large(large),
            None => self.put(|out| data.put(out)),
        }
    }

    fn write_large(&self, data: &[u8]) {
        let rest = &data[self.send_now(data)..];
        // Even if nothing is left: a pull producer has written. But nothing is gathered then: what is at rest keeps no buffer.
        self.put(|out| {
            if !rest.is_empty() {
                rest.put(out);
            }
        });
    }

    /// How many bytes need not be queued.
    fn send_now(&self, data: &[u8]) -> usize {
        let wire = self.wire();
        let Some(below) = wire.below.as_ref().filter(|_| wire.is_clear()) else { return 0 };
        below.send_now(wire, data).unwrap_or_else(|error| {
            wire.fail(broken(self, error));
            data.len()
        })
    }

    /// Queues several pieces, as one write.
    #[doc(alias = "writeSequence")]
    pub fn write_sequence<D: Data>(&self, pieces: impl IntoIterator<Item = D>) {
        // Gathered first: the iterator is the user's code, and may write itself.
        let mut gathered = Outgoing::default();
        pieces.into_iter().for_each(|piece| piece.put(&mut gathered));
        if gathered.len() == 0 {
            return;
        }
        self.put(|out| out.append(gathered));
    }

    /// Queues what `put` copies, as one write: how a framer adds its own bytes to those of a user.
    #[inline]
    pub(crate) fn put(&self, put: impl FnOnce(&mut Outgoing)) {
        if let Some(producer) = self.wire().write(put) {
            self.pause(&producer);
        }
        self.touch();
    }

    fn pause(&self, producer: &Rc<dyn Producer>) {
        self.wire().call("pause_producing", || producer.pause_producing());
    }

    /// Fires when all that was written is sent to the system; fails if the connection ends before.
    ///
    /// # Examples
    /// ```
    /// # use twistor::{Context, Protocol, testing};
    /// struct Sender;
    /// impl Protocol for Sender {
    ///     fn connection_made(&mut self, cx: &Context<Self>) {
    ///         cx.write("first");
    ///         cx.drained().add_callback(cx.bind(|_: &mut Self, cx: &Context<Self>, ()| cx.write("second")));
    ///     }
    /// }
    /// let mut t = testing::connect(Sender);
    /// assert_eq!(t.sent(), b"first");
    /// assert_eq!(t.sent(), b"second");
    /// ```
    #[track_caller]
    pub fn drained(&self) -> Deferred<()> {
        let (deferred, promise) = Deferred::pending();
        let wire = self.wire();
        if wire.is_lost() {
            promise.errback(Failure::quiet(crate::error::ProtocolGone::default()));
        } else if wire.buffered() == 0 {
            promise.callback(());
        } else {
            deferred.describe(Role::Chain, wire.serial);
            wire.wait_drained(promise);
        }
        deferred
    }

    /// Sends a descriptor to the peer of a UNIX socket, which gets one of its own for the same open file.
    ///
    /// It goes with the byte that is written next, and reaches the peer before it: so write one, else the connection ends with
    /// [`FileDescriptorOverrun`](crate::error::FileDescriptorOverrun). This one closes when it is sent, or when the connection is over. More than 64
    /// that wait pause the producer. If the connection is over, it closes at once.
    ///
    /// # Errors
    /// `Unsupported` if the connection is not a UNIX socket of the system, or TLS is on it.
    #[doc(alias = "sendFileDescriptor")]
    pub fn send_file_descriptor(&self, descriptor: impl Into<OwnedFd>) -> io::Result<()> {
        let (wire, descriptor) = (self.wire(), descriptor.into());
        let passes = wire.below.as_ref().is_some_and(|below| below.passes_descriptors(wire));
        if !passes || wire.filters().is_some() {
            let advice =
                "descriptors go over plain UNIX sockets of the system: use listen_unix, connect_unix";
            return Err(io::Error::new(io::ErrorKind::Unsupported, advice));
        }
        if let Some(producer) = wire.pass(descriptor) {
            self.pause(&producer);
        }
        self.touch();
        Ok(())
    }

    /// How many bytes wait to be sent.
    pub fn buffered(&self) -> usize {
        self.wire().buffered()
    }

    /// Sets how many bytes may wait before a write fails the connection. 16 MiB if not set; `usize::MAX` for no limit.
    pub fn set_write_limit(&self, bytes: usize) {
        self.wire().set_limit(bytes);
    }

    /// Registers who writes in its own time; see [`Producer`]. A pull producer (`streaming` false) is resumed inside this
    /// call. While one is registered that waits to be resumed, `lose_connection` waits for
    /// [`unregister_producer`](Self::unregister_producer).
    ///
    /// If the connection is over, the producer is stopped at once.
    ///
    /// # Errors
    /// [`ProducerRegistered`] if there is one already.
    #[doc(alias = "registerProducer")]
    pub fn register_producer(
        &self,
        producer: impl Producer,
        streaming: bool,
    ) -> Result<(), ProducerRegistered> {
        let producer: Rc<dyn Producer> = Rc::new(producer);
        match self.wire().register(producer.clone(), streaming) {
            None => return Err(ProducerRegistered::default()),
            Some(true) => self.wire().call("stop_producing", || producer.stop_producing()),
            Some(false) if !streaming => {
                self.wire().call("resume_producing", || producer.resume_producing());
            }
            Some(false) => {}
        }
        self.touch();
        Ok(())
    }

    /// Takes the producer off.
    #[doc(alias = "unregisterProducer")]
    pub fn unregister_producer(&self) {
        self.wire().unregister();
        self.touch();
    }

    // ---- ending -------------------------------------------------------------------------------------------------

    /// Closes the connection when all that was written is sent. Nothing is read any more.
    ///
    /// The protocol's `connection_lost` comes from the loop, with [`ConnectionDone`](crate::error::ConnectionDone).
    #[doc(alias = "loseConnection")]
    pub fn lose_connection(&self) {
        self.wire().lose_connection();
        self.touch();
    }

    /// Ends the outgoing direction when all that was written is sent; the peer reads an end. This side reads on.
    #[doc(alias = "loseWriteConnection")]
    pub fn lose_write_connection(&self) {
        self.wire().lose_write_connection();
        self.touch();
    }

    /// Ends the connection with a reset. What waits to be sent is dropped.
    ///
    /// `connection_lost` comes from the loop, with [`ConnectionAborted`](crate::error::ConnectionAborted).
    #[doc(alias = "abortConnection")]
    pub fn abort_connection(&self) {
        self.wire().abort();
        self.touch();
    }

    /// Ends the connection with this reason, which `connection_lost` is given. What waits to be sent is dropped.
    pub fn fail(&self, why: impl Into<Failure>) {
        self.wire().fail(why.into());
        self.touch();
    }

    /// Whether the connection is on its way to an end that this side asked for, or is over.
    #[doc(alias = "disconnecting")]
    pub fn is_disconnecting(&self) -> bool {
        !self.wire().is_open()
    }

    /// Whether `connection_lost` is still to come.
    #[doc(alias = "connected")]
    pub fn is_connected(&self) -> bool {
        !self.wire().is_lost()
    }

    // ---- reading ------------------------------------------------------------------------------------------------

    /// Reads no more until [`resume_producing`](Self::resume_producing). A line receiver gives no more lines either.
    ///
    /// Not even the peer's end is noticed meanwhile: what it sent before comes first, after the resume.
    #[doc(alias = "pauseProducing")]
    pub fn pause_producing(&self) {
        self.wire().pause_reading();
        self.touch();
    }

    /// Reads on. What a framer holds back is given inside this call, unless the protocol is running.
    #[doc(alias = "resumeProducing")]
    pub fn resume_producing(&self) {
        self.wire().resume_reading();
        self.touch();
        self.link.layer().go_on(self);
    }

    /// As a producer: closes the connection, like `lose_connection`.
    #[doc(alias = "stopProducing")]
    pub fn stop_producing(&self) {
        self.lose_connection();
    }

    /// Whether reading is paused.
    pub fn is_paused(&self) -> bool {
        self.wire().is_paused()
    }

    // ---- who and where ------------------------------------------------------------------------------------------

    /// The address of the peer.
    #[doc(alias = "getPeer")]
    pub fn get_peer(&self) -> &Address {
        self.wire().peer()
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The system's, such as when the connection is over.
    #[doc(alias = "getHost")]
    pub fn get_host(&self) -> io::Result<Address> {
        let wire = self.wire();
        match &wire.below {
            Some(below) if !wire.is_lost() => below.local_address(wire),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Whose process is at the other end of a UNIX socket.
    ///
    /// # Errors
    /// `Unsupported` if the connection is not a UNIX socket of the system; else the system's.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        match &self.wire().below {
            Some(below) => below.peer_credentials(self.wire()),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether small pieces are sent at once instead of being gathered by the system.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "getTcpNoDelay")]
    pub fn tcp_no_delay(&self) -> io::Result<bool> {
        self.wire().below.as_ref().map_or(Ok(false), |below| below.no_delay(self.wire()))
    }

    /// Has small pieces sent at once.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "setTcpNoDelay")]
    pub fn set_tcp_no_delay(&self, on: bool) -> io::Result<()> {
        self.wire().below.as_ref().map_or(Ok(()), |below| below.set_no_delay(self.wire(), on))
    }

    /// Whether the system probes a silent peer.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "getTcpKeepAlive")]
    pub fn tcp_keep_alive(&self) -> io::Result<bool> {
        self.wire().below.as_ref().map_or(Ok(false), |below| below.keep_alive(self.wire()))
    }

    /// Has the system probe a silent peer.
    ///
    /// # Errors
    /// The system's.
    #[doc(alias = "setTcpKeepAlive")]
    pub fn set_tcp_keep_alive(&self, on: bool) -> io::Result<()> {
        self.wire().below.as_ref().map_or(Ok(()), |below| below.set_keep_alive(self.wire(), on))
    }

    /// The factory that made the protocol: where connections share. A factory that wraps another, such as
    /// [`ReconnectingClientFactory`](super::ReconnectingClientFactory), is found, and so is the other.
    ///
    /// # Panics
    /// If it is another type than `F`: a mistake in the program, that every connection would make. See
    /// [`try_factory`](Self::try_factory).
    #[track_caller]
    pub fn factory<F: 'static>(&self) -> &F {
        let Some(factory) = self.try_factory() else {
            let (is, asked) = (self.wire().owner.factory_name(), std::any::type_name::<F>());
            panic!(
                "the factory of this connection is a {is}, not a {asked}: ask for the type that was listened with"
            );
        };
        factory
    }

    /// The factory that made the protocol, if it is an `F`.
    pub fn try_factory<F: 'static>(&self) -> Option<&F> {
        self.wire().owner.factory(TypeId::of::<F>())?.downcast_ref()
    }

    /// The layer of this type: a framer, a policy, or the slot of a protocol.
    pub fn layer<L: 'static>(&self) -> Option<&L> {
        self.link.layer().find(TypeId::of::<L>())?.downcast_ref()
    }

    /// This connection as the context of a protocol `P`, if it has one.
    pub fn context<P: 'static>(&self) -> Option<Context<P>> {
        self.layer::<super::Slot<P>>()?;
        Some(Context::of(self))
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Transport) -> bool {
        Rc::ptr_eq(&self.link, &other.link)
    }

    /// Starts async code on this connection's reactor; see [`ensure_deferred`](crate::defer::ensure_deferred).
    #[track_caller]
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = Result<T>> + 'static) -> Deferred<T> {
        self.spawn_at(Location::caller(), future)
    }

    pub(crate) fn spawn_at<T: 'static>(
        &self,
        place: Place,
        future: impl Future<Output = Result<T>> + 'static,
    ) -> Deferred<T> {
        let _host = self.host();
        crate::defer::start(future, place)
    }

    fn host(&self) -> Option<HostGuard> {
        let below = self.wire().below.clone()?;
        Some(enter_host(below))
    }
}

impl Producer for Transport {
    fn resume_producing(&self) {
        Transport::resume_producing(self);
    }

    fn pause_producing(&self) {
        Transport::pause_producing(self);
    }

    fn stop_producing(&self) {
        Transport::stop_producing(self);
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Transport");
        s.field("peer", self.get_peer()).field("buffered", &self.buffered()).finish_non_exhaustive()
    }
}
