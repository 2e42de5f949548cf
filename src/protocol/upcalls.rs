//! What every carrier of bytes, a socket or foreign I/O, tells the layers of its connection, and how it judges an end.

use super::{filter::Filters, layer::Layer, transport::Transport, wire::done};
use crate::{
    defer::fire_all,
    error::{ConnectionLost, Panicked},
    failure::Failure,
    report,
};
use std::io;

/// Calls up. The slot of a protocol has caught its panic; that of anybody else's layer is reported here, and ends the connection.
#[inline]
pub(crate) fn tell(transport: &Transport, what: &'static str, f: impl FnOnce(&dyn Layer, &Transport)) {
    if let Err(failure) = report::guarded(|| f(transport.link.layer(), transport)) {
        ended_by_panic(transport, what, failure);
    }
}

#[cold]
fn ended_by_panic(transport: &Transport, what: &'static str, failure: Failure) {
    report::unhandled(what, failure.clone());
    transport.wire().fail(failure);
}

/// Bytes came from the world below.
#[inline(always)]
pub(crate) fn received(transport: &Transport, data: &[u8]) {
    match transport.wire().filters() {
        None => tell(transport, "data_received", |layer, transport| layer.data_received(transport, data)),
        Some(filters) => received_by(transport, &filters, data),
    }
}

/// They go through the filters. What was good before an error is still told.
#[cold]
fn received_by(transport: &Transport, filters: &Filters, data: &[u8]) {
    let opened = report::guarded(|| filters.open(data)).and_then(|opened| opened);
    if let Some(waiting) = filters.through() {
        tell(transport, "handshake_completed", |layer, transport| layer.handshake_completed(transport));
        fire_all(waiting, &Ok(()));
    }
    tell_opened(transport);
    if !transport.wire().is_open() {
        filters.give_back(filters.take()); // nobody will be told of it
    }
    match opened {
        Err(panicked) if panicked.check::<Panicked>() => {
            report::unhandled("a filter", panicked.clone());
            transport.wire().fail(panicked);
        }
        Err(why) => transport.wire().refuse(filters, why),
        Ok(()) => {}
    }
}

/// Tells of what came through the filters, if it can be told now. Whether there was something.
#[inline]
pub(crate) fn tell_opened(transport: &Transport) -> bool {
    transport.wire().filters().is_some_and(|filters| tell_opened_by(transport, &filters))
}

#[cold]
fn tell_opened_by(transport: &Transport, filters: &Filters) -> bool {
    let wire = transport.wire();
    if !wire.can_be_told() {
        return false;
    }
    let plain = filters.take();
    let some = !plain.is_empty();
    if some {
        tell(transport, "data_received", |layer, transport| layer.data_received(transport, &plain));
    }
    filters.give_back(plain);
    let ended = filters.has_ended() && wire.can_be_told() && !wire.has_read_end();
    if ended {
        direction_ended(transport, filters.half_closes());
    }
    some || ended
}

/// The world below has no more bytes.
pub(crate) fn read_ended(transport: &Transport) {
    match transport.wire().filters() {
        None => direction_ended(transport, true),
        Some(filters) => {
            if let Some(why) = filters.cut_off() {
                transport.wire().cut_off(&filters, || why);
            }
        }
    }
}

/// The world below cannot be read any more.
pub(crate) fn read_failed(transport: &Transport, error: io::Error) {
    let lost = || Failure::of_the_loop(ConnectionLost::because(error));
    match transport.wire().filters() {
        None => transport.wire().fail(lost()),
        Some(filters) => transport.wire().cut_off(&filters, lost),
    }
}

/// The peer has ended its direction. Unless the protocol tells the two apart, that ends the connection, once what was written is sent.
fn direction_ended(transport: &Transport, half_closes: bool) {
    transport.wire().read_ended();
    if half_closes && transport.link.layer().half_closeable() {
        tell(transport, "read_connection_lost", |layer, transport| layer.read_connection_lost(transport));
    } else {
        transport.wire().lose_connection();
    }
}

/// Why a connection is over that takes no bytes any more.
pub(crate) fn broken(transport: &Transport, error: io::Error) -> Failure {
    if !transport.wire().is_open() && transport.wire().filters().is_some_and(|filters| filters.is_over()) {
        return transport.wire().why_closed();
    }
    // A peer that ended its direction has ended the connection in order, as in Twisted, whether or not it wanted what was still on its way.
    if transport.wire().has_read_end() && !transport.link.layer().half_closeable() {
        return done();
    }
    Failure::of_the_loop(ConnectionLost::because(error))
}
