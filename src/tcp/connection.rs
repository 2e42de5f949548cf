//! Bytes between a socket and a transport.
//!
//! The way in: one read into the reactor's buffer, lent to the layers. The way out: what the callback wrote, in one send after it.

use crate::{
    error::{ConnectionAborted, ConnectionLost},
    failure::Failure,
    protocol::{
        Layer, Transport,
        transport::{Connection, Link},
        wire::{Owner, Then, Wire, done},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Key, Ready},
    },
};
use std::{
    io::{self, IoSlice},
    rc::Rc,
};

/// At most so many parts of what waits go into one send.
const PARTS: usize = 64;
/// At most so often in a row a producer is asked for more, then others get their turn.
const REFILLS: usize = 16;

impl<L: Layer> Socket for Connection<L> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        event(core, self, ready);
    }

    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        let link: Rc<dyn Link> = self;
        if link.wire().take_touched() {
            serve(core, &link, false);
        }
    }

    fn go_on(self: Rc<Self>, core: &Rc<Core>) {
        let link: Rc<dyn Link> = self;
        link.wire().set_held(false);
        link.wire().touch();
        link.layer().go_on(&Transport { link: link.clone() });
        serve(core, &link, false);
    }

    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        let link: Rc<dyn Link> = self;
        end(core, &link, why);
    }

    fn serial(&self) -> u32 {
        self.wire.serial
    }

    fn owner(&self) -> Option<&dyn Owner> {
        Some(&*self.wire.owner)
    }
}

fn key(wire: &Wire) -> Key {
    Key(wire.socket)
}

/// The connection is there: its protocol is told.
pub(super) fn begin<L: Layer>(core: &Rc<Core>, connection: Rc<Connection<L>>) {
    core.add(key(&connection.wire), connection.clone());
    let link: Rc<dyn Link> = connection;
    link.wire().touch();
    link.layer().connection_made(&Transport { link: link.clone() });
    serve(core, &link, false);
}

/// The driver has told of the socket.
fn event(core: &Rc<Core>, link: Rc<dyn Link>, ready: Ready) {
    let wire = link.wire();
    // What is written from here on leaves at the end: it need not leave word.
    wire.touch();
    if ready.read && wire.wants_read() {
        read(core, &link);
    }
    serve(core, &link, ready.write);
}

/// One read, so that one peer's flood does not starve the others.
fn read(core: &Rc<Core>, link: &Rc<dyn Link>) {
    let mut buffer = core.buffer();
    match core.driver.receive(key(link.wire()), &mut buffer.bytes) {
        Ok(0) => read_ended(link),
        Ok(length) => {
            link.layer().data_received(&Transport { link: link.clone() }, &buffer.bytes[..length]);
        }
        Err(error) if is_momentary(&error) => {}
        Err(error) => link.wire().fail(Failure::new(ConnectionLost::because(error))),
    }
}

/// The peer has ended its direction. Unless the protocol tells the two apart, that ends the connection, once what was written is sent.
fn read_ended(link: &Rc<dyn Link>) {
    link.wire().read_ended();
    if link.layer().half_closeable() {
        link.layer().read_connection_lost(&Transport { link: link.clone() });
    } else {
        link.wire().lose_connection();
    }
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Does what the callback left word of: sends, ends, and says what is to be told of the socket from now on.
fn serve(core: &Rc<Core>, link: &Rc<dyn Link>, writable: bool) {
    let wire = link.wire();
    if wire.is_lost() {
        return;
    }
    if wire.is_held() {
        core.set_interest(key(wire), false, false);
        return core.hold(key(wire));
    }
    let mut sent = writable;
    for _ in 0..REFILLS {
        wire.take_touched();
        if let Some(why) = wire.failing() {
            return end(core, link, why);
        }
        match send(core, wire) {
            Ok(progress) => sent |= progress,
            Err(error) => return end(core, link, Failure::new(ConnectionLost::because(error))),
        }
        if wire.buffered() > 0 {
            break;
        }
        if !then(core, link, sent) && !wire.take_touched() {
            break;
        }
        if wire.is_lost() {
            return;
        }
    }
    if wire.take_touched() {
        // The producer is quicker than its turns: the rest is for the next one.
        wire.touch();
        core.touch(key(wire));
    }
    core.set_interest(key(wire), wire.wants_read(), wire.wants_write());
}

/// One send of what waits. Whether something left.
fn send(core: &Core, wire: &Wire) -> io::Result<bool> {
    if !wire.wants_write() {
        return Ok(false);
    }
    wire.with_out(|out| {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let count = out.slices(&mut parts);
        match core.driver.send(key(wire), &parts[..count]) {
            Ok(sent) => {
                out.advance(sent);
                Ok(sent > 0)
            }
            Err(error) if is_momentary(&error) => Ok(false),
            Err(error) => Err(error),
        }
    })
}

/// All is sent: what now? Whether to look again.
fn then(core: &Rc<Core>, link: &Rc<dyn Link>, sent: bool) -> bool {
    let wire = link.wire();
    if !sent && !wire.is_ending() {
        return false;
    }
    match wire.drained() {
        Then::Wait => false,
        Then::Again => true,
        Then::Shutdown => {
            wire.write_ended();
            if let Err(error) = core.driver.shutdown(key(wire)) {
                wire.fail(Failure::new(ConnectionLost::because(error)));
                return true;
            }
            link.layer().write_connection_lost(&Transport { link: link.clone() });
            true
        }
        Then::Close => {
            end(core, link, done());
            true
        }
    }
}

/// The connection is over: flags, producer, socket, protocol, factory, in Twisted's order.
fn end(core: &Rc<Core>, link: &Rc<dyn Link>, why: Failure) {
    let wire = link.wire();
    if !wire.end(&why) {
        return;
    }
    core.forget(key(wire));
    if why.check::<ConnectionAborted>() {
        core.driver.reset(key(wire));
    } else {
        core.driver.close(key(wire));
    }
    link.layer().connection_lost(&Transport { link: link.clone() }, why.clone());
    wire.owner.lost(why);
}
