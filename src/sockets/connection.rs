//! Bytes between a socket and a transport, whatever the family of the socket.
//!
//! The way in: one read into the reactor's buffer, lent to the layers. The way out: what the callback wrote, in one send after it.

use crate::{
    error::{ConnectionAborted, ConnectionLost},
    failure::Failure,
    protocol::{
        Asked, Layer,
        transport::{Connection, Transport},
        upcalls::{broken, read_ended, read_failed, received, tell, tell_opened},
        wire::{Owner, Then, Wire},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Ready, is_momentary},
    },
    snapshot::Entry,
};
#[cfg(feature = "planted-bugs")]
use crate::{
    planted::{Bug, is_planted},
    protocol::socket::Interest,
};
use std::{io, rc::Rc};

/// At most so often in a row a connection that writes whenever there is room is looked after, then others get their turn.
const ROUNDS: usize = 16;

/// How the bytes of a kind of socket come and go.
pub(crate) trait Passage: Sized + 'static {
    /// Whether what comes with the bytes is told before them, so that they may not be wanted any more.
    const TELLS_BEFORE: bool = false;

    /// What is told of the connection's socket.
    fn socket<L: Layer>(connection: Rc<Connection<L>>) -> Rc<dyn Socket>;

    /// Reads what is there; 0 at the end.
    #[inline]
    fn receive(core: &Rc<Core>, transport: &Transport, buffer: &mut [u8]) -> io::Result<usize> {
        transport.wire().socket.with(|handle| core.driver.receive(handle, buffer))
    }

    /// One send of what waits.
    #[inline]
    fn send(core: &Core, wire: &Wire) -> io::Result<()> {
        send_bytes(core, wire)
    }
}

/// Bytes alone.
pub(crate) struct Plain;

impl Passage for Plain {
    fn socket<L: Layer>(connection: Rc<Connection<L>>) -> Rc<dyn Socket> {
        connection
    }
}

impl<L: Layer> Socket for Connection<L> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        react::<Plain>(core, &Transport { link: self }, ready);
    }

    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        serve_touched::<Plain>(core, &Transport { link: self });
    }

    fn go_on(self: Rc<Self>, core: &Rc<Core>) {
        go_on::<Plain>(core, &Transport { link: self });
    }

    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        end(core, &Transport { link: self }, why);
    }

    fn serial(&self) -> u32 {
        self.wire.serial
    }

    fn entry(&self, _core: &Core, now: u32) -> Option<Entry> {
        self.wire.entry(self.layer.held(Asked), now)
    }

    fn owner(&self) -> Option<&dyn Owner> {
        Some(&*self.wire.owner)
    }
}

/// The connection is there: its protocol is told.
pub(crate) fn begin<P: Passage, L: Layer>(core: &Rc<Core>, connection: Rc<Connection<L>>) {
    core.add(&connection.wire.socket, P::socket(connection.clone()));
    let transport = Transport { link: connection };
    transport.wire().touch();
    tell(&transport, "connection_made", |layer, transport| layer.connection_made(transport));
    serve_touched::<P>(core, &transport);
}

/// The driver has told of it. Reads come before writes, as in Twisted. One piece of code for all layers, in which the steps of an event are no calls.
#[inline(never)]
pub(super) fn react<P: Passage>(core: &Rc<Core>, transport: &Transport, ready: Ready) {
    let wire = transport.wire();
    // What is written from here on leaves at the end: it need not leave word.
    wire.touch();
    if ready.read && wire.wants_read() {
        read::<P>(core, transport);
    }
    serve::<P>(core, transport);
}

/// It was touched, outside of its own event or before what has just been told.
#[inline(never)]
pub(super) fn serve_touched<P: Passage>(core: &Rc<Core>, transport: &Transport) {
    if transport.wire().take_touched() {
        serve::<P>(core, transport);
    }
}

/// Calls of its protocol waited.
pub(super) fn go_on<P: Passage>(core: &Rc<Core>, transport: &Transport) {
    transport.wire().set_held(false);
    transport.wire().touch();
    tell(transport, "a call", |layer, transport| {
        layer.go_on(transport);
    });
    serve_touched::<P>(core, transport);
}

/// Reads once; once more only while the buffer comes back full, which is a stream, what it is answered with finds room, and its share of the turn lasts.
fn read<P: Passage>(core: &Rc<Core>, transport: &Transport) {
    let wire = transport.wire();
    let mut buffer = core.buffer();
    let mut share = core.share();
    while share > 0 {
        let room = share.min(buffer.bytes.len());
        let length = match P::receive(core, transport, &mut buffer.bytes[..room]) {
            Ok(0) => return read_ended(transport),
            Ok(length) => length,
            Err(error) if is_momentary(&error) => return,
            Err(error) => return read_failed(transport, error),
        };
        if P::TELLS_BEFORE && !wire.is_open() && !wire.wants_read() {
            return;
        }
        received(transport, &buffer.bytes[..length]);
        if length < room || wire.buffered() > 0 || !wire.wants_read() {
            return;
        }
        share -= length;
    }
}

/// What comes after [`settle`].
pub(super) enum Next {
    /// Somebody was told of the room that there is, and may have written.
    Again,
    /// It waits for the socket, or for its protocol.
    Rest,
    /// It is over.
    Nothing,
}

/// Does what a callback left word of: sends, ends, and says what is to be told of the socket from now on.
#[inline(always)]
fn serve<P: Passage>(core: &Rc<Core>, transport: &Transport) {
    let wire = transport.wire();
    for _ in 0..ROUNDS {
        // What is written meanwhile is seen by the next round: it need not leave word.
        wire.touch();
        let sent = P::send(core, wire);
        if sent.is_ok() && wire.is_at_rest() {
            wire.take_touched();
            return;
        }
        if !goes_on(core, transport, sent) {
            return;
        }
    }
    core.touch(wire.socket.token());
    watch(core, wire);
}

/// What is more to be done after a send, which is mostly nothing. Whether to look again.
fn goes_on(core: &Rc<Core>, transport: &Transport, sent: io::Result<()>) -> bool {
    let wire = transport.wire();
    if let Err(error) = sent {
        end(core, transport, broken(transport, error));
        return false;
    }
    match settle(core, transport) {
        Next::Rest if watch(core, wire) => {
            wire.take_touched();
            false
        }
        Next::Again | Next::Rest => true,
        Next::Nothing => false,
    }
}

/// One send of the bytes that wait.
#[inline]
pub(super) fn send_bytes(core: &Core, wire: &Wire) -> io::Result<()> {
    if !wire.wants_write() {
        return Ok(());
    }
    wire.with_out(|out| {
        match out.lend(|parts| wire.socket.with(|handle| core.driver.send(handle, parts))) {
            #[cfg(feature = "planted-bugs")]
            Ok(sent) if sent < out.len() && is_planted(Bug::DoubleFlush) => {}
            #[cfg(feature = "planted-bugs")]
            Ok(sent) if sent + 1 == out.len() && is_planted(Bug::OffByOne) => out.advance(sent + 1),
            Ok(sent) => out.advance(sent),
            Err(error) if is_momentary(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    })
}

/// Has the driver tell of it. False if it cannot: the connection would hang, so it fails.
fn watch(core: &Core, wire: &Wire) -> bool {
    let wants = wire.wants();
    #[cfg(feature = "planted-bugs")]
    let wants = Interest { write: wants.write && !is_planted(Bug::LostWake), ..wants };
    if wire.socket.watched() == wants {
        return true;
    }
    if let Err(error) = core.watch(&wire.socket, wants) {
        wire.fail(Failure::of_the_loop(ConnectionLost::because(error)));
        return false;
    }
    true
}

/// What was written is sent, or has found no room: what comes of that, and of what else was left word of.
fn settle(core: &Rc<Core>, transport: &Transport) -> Next {
    let wire = transport.wire();
    if wire.is_lost() {
        return Next::Nothing;
    }
    if let Some(why) = wire.failing() {
        return end(core, transport, why);
    }
    if wire.is_held() {
        core.hold(wire.socket.token());
        return Next::Rest;
    }
    if tell_opened(transport) {
        return Next::Again;
    }
    if !wire.is_drained() {
        return Next::Rest;
    }
    match wire.drained() {
        Then::Wait => Next::Rest,
        Then::Again => Next::Again,
        Then::Shutdown => {
            end_writing(core, transport);
            Next::Again
        }
        Then::Close => end(core, transport, wire.why_closed()),
    }
}

fn end_writing(core: &Rc<Core>, transport: &Transport) {
    let wire = transport.wire();
    wire.write_ended();
    match wire.socket.with(|handle| core.driver.shutdown(handle)) {
        Ok(()) => tell(transport, "write_connection_lost", |layer, transport| {
            layer.write_connection_lost(transport);
        }),
        Err(error) => wire.fail(Failure::of_the_loop(ConnectionLost::because(error))),
    }
}

/// The connection is over: flags, producer, socket, protocol, owner, in Twisted's order. Once.
pub(super) fn end(core: &Rc<Core>, transport: &Transport, why: Failure) -> Next {
    let wire = transport.wire();
    if !wire.end(&why) {
        return Next::Nothing;
    }
    if why.check::<ConnectionAborted>() {
        core.reset_socket(&wire.socket);
    } else {
        core.close_socket(&wire.socket);
    }
    tell(transport, "connection_lost", |layer, transport| layer.connection_lost(transport, why.clone()));
    wire.owner.lost(why);
    Next::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Protocol, Reactor, factory, report};
    use std::cell::RefCell;

    /// Its socket goes behind its back, so that it cannot be watched.
    struct Unwatched(Rc<RefCell<Option<Failure>>>);

    impl Protocol for Unwatched {
        fn connection_made(&mut self, cx: &Context<Self>) {
            let core = Core::current().expect("it runs");
            core.close_socket(&cx.wire().socket);
        }

        fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
            self.0.replace(Some(why));
            Reactor::current().stop().expect("it runs");
        }
    }

    #[test]
    fn a_connection_that_cannot_be_watched_is_lost() {
        let reports = Rc::new(RefCell::new(vec![]));
        let seen = reports.clone();
        let _hook = report::hook(move |report| seen.borrow_mut().push(report.to_string()));
        let reactor = Reactor::new().unwrap();
        let lost: Rc<RefCell<Option<Failure>>> = Rc::default();
        let why = lost.clone();
        let port = reactor.listen_tcp(("127.0.0.1", 0), factory(move |_| Unwatched(why.clone()))).unwrap();
        let to = port.get_host().unwrap().as_inet().unwrap();
        let _peer = std::net::TcpStream::connect(to).unwrap();
        reactor.run_without_signal_handlers().unwrap();
        let why = lost.take().expect("it is lost");
        let lost = why.value::<ConnectionLost>().expect("out of order");
        assert_eq!(lost.cause().and_then(io::Error::raw_os_error), Some(9), "EBADF");
        assert_eq!(*reports.borrow(), [""; 0]);
    }
}
