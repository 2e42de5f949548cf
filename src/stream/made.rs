//! [`Made`]: a layer that tells somebody when the connection is made.

use crate::{
    failure::Failure,
    protocol::{IntoLayer, Layer, Transport},
};
use std::{any::Any, cell::Cell, fmt};

/// Calls `then`, once, when the layers above have been told of their connection, and of the TLS handshake if it begins with one; passes everything else on.
pub struct Made<L> {
    next: L,
    then: Cell<Option<Box<dyn FnOnce(&Transport)>>>,
}

impl<L: Layer> Made<L> {
    pub(super) fn new(next: L, then: impl FnOnce(&Transport) + 'static) -> Made<L> {
        Made { next, then: Cell::new(Some(Box::new(then))) }
    }
}

impl<L> Made<L> {
    fn tell(&self, transport: &Transport) {
        if let Some(then) = self.then.take() {
            then(transport);
        }
    }
}

impl<L: Layer> Layer for Made<L> {
    fn connection_made(&self, transport: &Transport) {
        self.next.connection_made(transport);
        if !transport.wire().is_beginning() {
            self.tell(transport);
        }
    }

    fn handshake_completed(&self, transport: &Transport) {
        self.next.handshake_completed(transport);
        self.tell(transport);
    }

    #[inline]
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        self.next.data_received(transport, data);
    }

    fn connection_lost(&self, transport: &Transport, why: Failure) {
        self.next.connection_lost(transport, why);
    }

    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.next)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<L: Layer> IntoLayer for Made<L> {
    type Layer = Self;

    fn into_layer(self) -> Self {
        self
    }
}

impl<L> fmt::Debug for Made<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").finish_non_exhaustive()
    }
}
