//! What every carrier of bytes, a socket or foreign I/O, tells the layers of its connection, and how it judges an end.

use super::{
    layer::Layer,
    transport::{Link, Transport},
    wire::done,
};
use crate::{error::ConnectionLost, failure::Failure, report};
use std::{io, rc::Rc};

/// Calls up. The slot of a protocol has caught its panic; that of anybody else's layer is reported here, and ends the connection.
#[inline]
pub(crate) fn tell(link: &Rc<Link>, what: &'static str, f: impl FnOnce(&dyn Layer, &Transport)) {
    let transport = Transport { link: link.clone() };
    if let Err(failure) = report::guarded(|| f(link.layer(), &transport)) {
        report::unhandled(what, failure.clone());
        link.wire().fail(failure);
    }
}

/// The peer has ended its direction. Unless the protocol tells the two apart, that ends the connection, once what was written is sent.
pub(crate) fn read_ended(link: &Rc<Link>) {
    link.wire().read_ended();
    if link.layer().half_closeable() {
        tell(link, "read_connection_lost", |layer, transport| layer.read_connection_lost(transport));
    } else {
        link.wire().lose_connection();
    }
}

/// Why a connection is over that takes no bytes any more.
pub(crate) fn broken(link: &Rc<Link>, error: io::Error) -> Failure {
    // A peer that ended its direction has ended the connection in order, as in Twisted, whether or not it wanted what was still on its way.
    if link.wire().has_read_end() && !link.layer().half_closeable() {
        return done();
    }
    Failure::new(ConnectionLost::because(error))
}
