//! [`Datagrams`]: a UDP port as a stream and a sink.

use crate::{
    address::Address,
    failure::{Failure, Result},
    protocol::{DatagramContext, DatagramProtocol, DatagramTransport},
    reactor::Reactor,
    udp::UdpListen,
};
use bytes::Bytes;
use futures::{Sink, stream::FusedStream};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

/// At most so many datagrams wait to be taken, if the caller does not say.
const WAITING: usize = 256;

impl Reactor {
    /// Opens a UDP port, for async code.
    ///
    /// `at` is as for [`listen_udp`](Self::listen_udp).
    ///
    /// # Errors
    /// As of [`listen_udp`](Self::listen_udp).
    ///
    /// # Examples
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use twistor::{Reactor, error::MessageLengthError};
    ///
    /// let reactor = Reactor::new()?;
    /// let mut server = reactor.datagrams(("127.0.0.1", 0))?;
    /// let mut client = reactor.datagrams(("127.0.0.1", 0))?;
    /// let to = server.get_host()?.as_inet().expect("it is UDP");
    /// let r = reactor.clone();
    /// reactor.spawn(async move {
    ///     client.send(("hello".into(), to)).await?;
    ///     let (data, from) = server.next().await.expect("it is open");
    ///     server.send((data, from)).await?; // an echo
    ///     let (echo, _) = client.next().await.expect("it is open");
    ///     assert_eq!(echo, "hello");
    ///
    ///     let too_long = client.send((vec![0; 70_000].into(), to)).await.unwrap_err();
    ///     assert!(too_long.check::<MessageLengthError>());
    ///     r.stop()?;
    ///     Ok(())
    /// }).or_log("the program");
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn datagrams(&self, at: impl Into<UdpListen>) -> Result<Datagrams> {
        let inbox = Rc::new(Inbox::new());
        let cx = self.listen_udp(at, Receiver(inbox.clone()))?;
        Ok(Datagrams { transport: cx.transport(), inbox, unsent: None })
    }
}

/// A UDP port as futures' `Stream` of what comes, and `Sink` of what is to be sent, each with the peer's address; from
/// [`Reactor::datagrams`].
///
/// At most 256 datagrams wait to be taken, or as many as [`set_limit`](Self::set_limit) says: one that comes then is dropped, as the system does
/// when its own buffer is full, and [counted](Self::dropped). The sink holds at most one, while the system takes none. The stream ends
/// when the port is stopped, after what had come. To drop it stops the port.
#[must_use = "to drop it stops the port"]
pub struct Datagrams {
    transport: DatagramTransport,
    inbox: Rc<Inbox>,
    /// The system did not take it yet.
    unsent: Option<(Bytes, SocketAddr)>,
}

/// Between the port and who takes.
struct Inbox {
    waiting: RefCell<VecDeque<(Bytes, SocketAddr)>>,
    limit: Cell<usize>,
    dropped: Cell<u64>,
    taker: Cell<Option<Waker>>,
    /// The port was stopped.
    over: Cell<bool>,
}

impl Inbox {
    fn new() -> Inbox {
        Inbox {
            waiting: RefCell::default(),
            limit: Cell::new(WAITING),
            dropped: Cell::new(0),
            taker: Cell::new(None),
            over: Cell::new(false),
        }
    }

    fn push(&self, data: &[u8], from: SocketAddr) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.limit.get() {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        waiting.push_back((Bytes::copy_from_slice(data), from));
        drop(waiting);
        self.wake();
    }

    fn wake(&self) {
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }
}

struct Receiver(Rc<Inbox>);

impl DatagramProtocol for Receiver {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        if let Some(from) = from.as_inet() {
            self.0.push(data, from);
        }
    }

    fn stop_protocol(&mut self, _cx: &DatagramContext<Self>) {
        self.0.over.set(true);
        self.0.wake();
    }
}

impl Datagrams {
    /// The port's address.
    ///
    /// # Errors
    /// [`NotListeningError`](crate::error::NotListeningError) if it was stopped.
    #[doc(alias = "getHost")]
    pub fn get_host(&self) -> Result<Address> {
        self.transport.get_host()
    }

    /// The port, for all that can be asked of one: multicast, broadcast, stopping.
    pub fn transport(&self) -> &DatagramTransport {
        &self.transport
    }

    /// How many datagrams were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.inbox.dropped.get()
    }

    /// Sets how many datagrams may wait to be taken. What waits already is kept.
    pub fn set_limit(&self, datagrams: usize) {
        self.inbox.limit.set(datagrams);
    }

    /// Sends what the system did not take, if it takes it now. A datagram that cannot be sent at all is gone.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some((data, to)) = &self.unsent else { return Poll::Ready(Ok(())) };
        let sent = self.transport.write_to(data, &Address::from(*to));
        if sent.as_ref().is_err_and(is_full) {
            self.transport.0.when_writable(cx.waker().clone())?;
            return Poll::Pending;
        }
        self.unsent = None;
        Poll::Ready(sent)
    }
}

fn is_full(why: &Failure) -> bool {
    why.value::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl futures::Stream for Datagrams {
    type Item = (Bytes, SocketAddr);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.inbox.waiting.borrow_mut().pop_front();
        if next.is_some() || self.inbox.over.get() {
            return Poll::Ready(next);
        }
        self.inbox.taker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl FusedStream for Datagrams {
    fn is_terminated(&self) -> bool {
        self.inbox.over.get() && self.inbox.waiting.borrow().is_empty()
    }
}

impl Sink<(Bytes, SocketAddr)> for Datagrams {
    type Error = Failure;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, (data, to): (Bytes, SocketAddr)) -> Result<()> {
        match self.transport.write_to(&data, &Address::from(to)) {
            Err(why) if is_full(&why) => {
                self.unsent = Some((data, to));
                Ok(())
            }
            sent => sent,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_unsent(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_unsent(cx))?;
        drop(this.transport.stop_listening());
        Poll::Ready(Ok(()))
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        drop(self.transport.stop_listening());
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams")
            .field("transport", &self.transport)
            .field("waiting", &self.inbox.waiting.borrow().len())
            .field("dropped", &self.dropped())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        defer::Deferred,
        protocol::{Multicast, Port},
        trace::Place,
    };
    use futures::SinkExt;
    use std::{
        any::Any,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A port whose system takes as many datagrams as the test says.
    #[derive(Default)]
    struct Slow {
        room: Cell<usize>,
        sent: RefCell<Vec<Vec<u8>>>,
        writer: Cell<Option<Waker>>,
    }

    impl Port for Slow {
        fn slot(&self) -> &dyn Any {
            self
        }

        fn hold(&self) -> bool {
            false
        }

        fn send(&self, data: &[u8], _to: Option<&Address>) -> Result<()> {
            let Some(left) = self.room.get().checked_sub(1) else {
                return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
            };
            self.room.set(left);
            self.sent.borrow_mut().push(data.to_vec());
            Ok(())
        }

        fn connect(&self, _to: &Address) -> Result<()> {
            Ok(())
        }

        fn local_address(&self) -> Result<Address> {
            Ok(Address::Pipe)
        }

        fn stop(&self, _place: Place) -> Deferred<()> {
            crate::defer::succeed(())
        }

        fn set_broadcast(&self, _on: bool) -> io::Result<()> {
            Ok(())
        }

        fn broadcast(&self) -> io::Result<bool> {
            Ok(false)
        }

        fn multicast(&self, _what: Multicast) -> Result<()> {
            Ok(())
        }

        fn multicast_ttl(&self) -> io::Result<u32> {
            Ok(1)
        }

        fn multicast_loopback(&self) -> io::Result<bool> {
            Ok(true)
        }

        fn when_writable(&self, waker: Waker) -> Result<()> {
            self.writer.set(Some(waker));
            Ok(())
        }
    }

    #[test]
    fn what_the_system_does_not_take_now_is_sent_when_it_does_in_order_and_once() {
        let port = Rc::new(Slow::default());
        let inbox = Rc::new(Inbox::new());
        let mut datagrams = Datagrams { transport: DatagramTransport(port.clone()), inbox, unsent: None };
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let cx = &mut Context::from_waker(&waker);

        port.room.set(1);
        assert!(datagrams.feed(("one".into(), to)).now(cx).is_ready());
        assert!(datagrams.feed(("two".into(), to)).now(cx).is_ready(), "one is held");
        assert!(datagrams.poll_ready_unpin(cx).is_pending(), "but not more");
        assert!(datagrams.poll_flush_unpin(cx).is_pending());
        assert_eq!((port.sent.borrow().len(), wakes.0.load(Ordering::Relaxed)), (1, 0));
        port.room.set(2);
        port.writer.take().expect("it waits").wake();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(datagrams.feed(("three".into(), to)).now(cx).is_ready());
        assert!(datagrams.flush().now(cx).is_ready());
        assert_eq!(*port.sent.borrow(), [&b"one"[..], b"two", b"three"]);
    }

    trait Now: Future + Sized + Unpin {
        fn now(mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
            Pin::new(&mut self).poll(cx)
        }
    }

    impl<F: Future + Unpin> Now for F {}

    /// A socket that can be written to wakes who waits for that, once, and is not watched for it any more.
    #[test]
    fn a_port_that_is_writable_wakes_who_waits_once() {
        let reactor = Reactor::new().unwrap();
        let port = reactor.datagrams(("127.0.0.1", 0)).unwrap();
        let wakes = Arc::new(Wakes::default());
        port.transport.0.when_writable(wakes.clone().into()).unwrap();
        for _ in 0..5 {
            reactor.iterate(std::time::Duration::ZERO).unwrap();
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        port.transport.0.when_writable(wakes.clone().into()).unwrap();
        drop(port);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "the end of the port is told, too");
    }
}
