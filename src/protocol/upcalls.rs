//! What every carrier of bytes, a socket or foreign I/O, tells the layers of its connection, and how it judges an end.

use super::{layer::Layer, transport::Transport, wire::done};
use crate::{error::ConnectionLost, failure::Failure, report};
use std::io;

/// Calls up. The slot of a protocol has caught its panic; that of anybody else's layer is reported here, and ends the connection.
#[inline]
pub(crate) fn tell(transport: &Transport, what: &'static str, f: impl FnOnce(&dyn Layer, &Transport)) {
    if let Err(failure) = report::guarded(|| f(transport.link.layer(), transport)) {
        report::unhandled(what, failure.clone());
        transport.wire().fail(failure);
    }
}

/// The peer has ended its direction. Unless the protocol tells the two apart, that ends the connection, once what was written is sent.
pub(crate) fn read_ended(transport: &Transport) {
    transport.wire().read_ended();
    if transport.link.layer().half_closeable() {
        tell(transport, "read_connection_lost", |layer, transport| layer.read_connection_lost(transport));
    } else {
        transport.wire().lose_connection();
    }
}

/// Why a connection is over that takes no bytes any more.
pub(crate) fn broken(transport: &Transport, error: io::Error) -> Failure {
    // A peer that ended its direction has ended the connection in order, as in Twisted, whether or not it wanted what was still on its way.
    if transport.wire().has_read_end() && !transport.link.layer().half_closeable() {
        return done();
    }
    Failure::of_the_loop(ConnectionLost::because(error))
}
