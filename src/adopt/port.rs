//! A socket that listens already, as a port.

use crate::{
    error::AdoptError,
    failure::Result,
    protocol::{Factory, socket::Handle},
    reactor::{
        core::Core,
        driver::{Adopted, Family},
    },
    sockets::{
        connection::{Passage, Plain},
        descriptors::Descriptors,
        port::{self, Opens},
    },
    tcp::ListeningPort,
};
use std::{cell::Cell, io, marker::PhantomData, rc::Rc};

/// It opens once: with the socket that it has.
struct Once<P> {
    socket: Cell<Option<Handle>>,
    place: String,
    passage: PhantomData<fn() -> P>,
}

impl<P: Passage> Opens for Once<P> {
    type Passage = P;
    type Kept = ();

    fn place(&self) -> Result<String> {
        Ok(self.place.clone())
    }

    fn open(&self, _core: &Core) -> io::Result<(Handle, ())> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "its socket was adopted, and is closed");
        Ok((self.socket.take().ok_or_else(gone)?, ()))
    }
}

#[track_caller]
pub(super) fn listen<F: Factory>(
    core: &Rc<Core>,
    adopted: Adopted,
    factory: F,
) -> Result<ListeningPort, AdoptError> {
    let listening = match adopted.family {
        Family::V4 | Family::V6 => port::listen(core, once::<Plain>(core, adopted.handle), factory),
        Family::Unix => port::listen(core, once::<Descriptors>(core, adopted.handle), factory),
    };
    listening.map_err(AdoptError::failed)
}

fn once<P: Passage>(core: &Core, socket: Handle) -> Once<P> {
    let place = core.driver.local_address(&socket).map_or("an adopted socket".into(), |at| at.to_string());
    Once { socket: Cell::new(Some(socket)), place, passage: PhantomData }
}
