//! [`serve()`]: an async fn as the handler of each connection.

use super::{made::Made, pipe::Pipe, whole::Stream};
use crate::{
    address::Address,
    failure::{Failure, FailureError, Result},
    protocol::{Factory, Transport},
    trace::Place,
};
use std::{error::Error, fmt, io, panic::Location, rc::Rc};

/// A factory whose protocol is an async fn: it is called with each connection.
///
/// The handler runs in a task of the connection's reactor, begins inside `connection_made`, and may be pending as long as it likes. When it
/// drops its [`Stream`] the connection is closed in order, so also when it returns an error or panics: that ends its own
/// connection alone. The failure is reported once, unless it is the loss of that very connection. At the end of the reactor's run the
/// tasks are dropped.
///
/// # Examples
/// ```
/// use futures_lite::io::{AsyncReadExt, AsyncWriteExt, copy};
/// use std::{cell::RefCell, rc::Rc};
/// use twistor::{Reactor, Stream, report, serve};
///
/// let reactor = Reactor::new()?;
/// let echo = reactor.listen_tcp(("127.0.0.1", 0), serve(|stream: Stream| async move {
///     let (mut from, mut to) = stream.split();
///     copy(&mut from, &mut to).await?;
///     Ok(())
/// }))?;
/// let broken = reactor.listen_tcp(("127.0.0.1", 0), serve(|mut stream: Stream| async move {
///     stream.write_all(b"wait").await?;
///     let _port: u16 = "http".parse()?; // this handler fails, and its connection ends
///     Ok(())
/// }))?;
///
/// let reported = Rc::new(RefCell::new(vec![]));
/// let seen = reported.clone();
/// let _hook = report::hook(move |report| seen.borrow_mut().push(report.failure.to_string()));
///
/// let (echo, broken, r) = (echo.get_host()?, broken.get_host()?, reactor.clone());
/// reactor.spawn(async move {
///     let mut said = String::new();
///     r.connect_stream(&broken).await?.read_to_string(&mut said).await?;
///     assert_eq!(said, "wait");
///
///     let mut stream = r.connect_stream(&echo).await?; // the others go on
///     stream.write_all(b"hello").await?;
///     stream.close().await?;
///     said.clear();
///     stream.read_to_string(&mut said).await?;
///     assert_eq!(said, "hello");
///     r.stop()?;
///     Ok(())
/// }).or_log("the client");
/// reactor.run()?;
/// assert_eq!(*reported.borrow(), ["invalid digit found in string"]);
/// # Ok::<(), twistor::Failure>(())
/// ```
#[track_caller]
pub fn serve<H: AsyncFn(Stream) -> Result<()> + 'static>(handler: H) -> Serve<H> {
    Serve { handler: Rc::new(handler), place: Location::caller() }
}

/// The factory of [`serve()`].
pub struct Serve<H> {
    handler: Rc<H>,
    place: Place,
}

impl<H: AsyncFn(Stream) -> Result<()> + 'static> Serve<H> {
    fn begin(handler: Rc<H>, place: Place, transport: &Transport) {
        let (stream, of) = (Stream::new(transport), transport.clone());
        transport
            .spawn_at(place, async move { handler(stream).await })
            .add_errback(move |why| {
                of.lose_connection(); // the handler may have kept the stream elsewhere
                if is_loss_of(&of, &why) { Ok(()) } else { Err(why) }
            })
            .or_log("serve");
    }
}

/// Whether a failure is what the handler's own connection was lost with, however it was wrapped.
fn is_loss_of(transport: &Transport, why: &Failure) -> bool {
    let Some(lost) = super::half::pipe(transport).lost() else { return false };
    let mut error: Option<&(dyn Error + 'static)> = Some(why.error());
    while let Some(one) = error {
        let inside = one.downcast_ref::<io::Error>().and_then(|error| error.get_ref()?.downcast_ref());
        let failure = inside.map(FailureError::failure);
        if std::ptr::addr_eq(one, lost.error())
            || failure.is_some_and(|it| std::ptr::addr_eq(it.error(), lost.error()))
        {
            return true;
        }
        error = one.source();
    }
    false
}

impl<H: AsyncFn(Stream) -> Result<()> + 'static> Factory for Serve<H> {
    type Protocol = Made<Pipe>;

    fn build_protocol(&self, _peer: &Address) -> Option<Made<Pipe>> {
        let (handler, place) = (self.handler.clone(), self.place);
        Some(Made::new(Pipe::default(), move |transport| Self::begin(handler, place, transport)))
    }
}

impl<H> fmt::Debug for Serve<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("at", &format_args!("{}", self.place)).finish_non_exhaustive()
    }
}
