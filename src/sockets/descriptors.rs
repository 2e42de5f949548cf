//! Bytes and descriptors between a UNIX socket and a transport. A connection that has none pays for one look at each read and send.

use super::connection::{Passage, end, go_on, react, send_bytes, serve_touched};
use crate::{
    error::FileDescriptorsLost,
    failure::Failure,
    protocol::{
        Layer,
        passing::Passing,
        transport::{Connection, Transport},
        upcalls::tell,
        wire::{Owner, Wire},
    },
    reactor::{
        core::{Core, Socket},
        driver::{Ready, is_momentary},
    },
    snapshot::Entry,
};
use std::{
    io::{self, IoSlice},
    rc::Rc,
};

/// Bytes, and descriptors in their places among them.
pub(crate) struct Descriptors;

impl Passage for Descriptors {
    const TELLS_BEFORE: bool = true;

    fn socket<L: Layer>(connection: Rc<Connection<L>>) -> Rc<dyn Socket> {
        Rc::new(WithDescriptors(connection))
    }

    fn receive(core: &Rc<Core>, transport: &Transport, buffer: &mut [u8]) -> io::Result<usize> {
        let wire = transport.wire();
        let mut came = Vec::new();
        let received = wire.socket.with(|handle| core.driver.receive_with(handle, buffer, &mut came))?;
        if wire.filters().is_some() {
            came.clear(); // beside TLS: nobody has proved to have sent them
        }
        for descriptor in came {
            tell(transport, "file_descriptor_received", |layer, transport| {
                layer.file_descriptor_received(transport, descriptor);
            });
        }
        if received.truncated {
            wire.fail(Failure::of_the_loop(FileDescriptorsLost::default()));
        }
        Ok(received.length)
    }

    fn send(core: &Core, wire: &Wire) -> io::Result<()> {
        if !wire.has_passing() {
            return send_bytes(core, wire);
        }
        if wire.is_drained() {
            return Ok(()); // they wait for a byte
        }
        wire.with_passing(|passing| send_some(core, wire, passing)).unwrap_or(Ok(()))
    }
}

/// One send: the descriptors that are due, and the bytes up to the next.
fn send_some(core: &Core, wire: &Wire, passing: &mut Passing) -> io::Result<()> {
    let next = passing.next();
    let sent = wire.with_out(|out| {
        let sent = out.lend(|parts| {
            let parts = up_to(parts, next.bytes);
            wire.socket.with(|handle| match &next.descriptors[..] {
                [] => core.driver.send(handle, &parts),
                due => core.driver.send_with(handle, &parts, due),
            })
        })?;
        out.advance(sent);
        Ok(sent)
    });
    let descriptors = next.descriptors.len();
    match sent {
        Ok(sent) => passing.advance(descriptors, sent),
        Err(error) if is_momentary(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// At most so many bytes of them.
fn up_to<'a>(parts: &'a [IoSlice<'_>], bytes: Option<usize>) -> Vec<IoSlice<'a>> {
    let mut left = bytes.unwrap_or(usize::MAX);
    let mut cut = Vec::with_capacity(parts.len());
    for part in parts {
        let part = &part[..part.len().min(left)];
        if part.is_empty() {
            break;
        }
        left -= part.len();
        cut.push(IoSlice::new(part));
    }
    cut
}

/// A connection whose socket passes descriptors too.
struct WithDescriptors<L>(Rc<Connection<L>>);

impl<L: Layer> WithDescriptors<L> {
    fn transport(&self) -> Transport {
        Transport { link: self.0.clone() }
    }
}

impl<L: Layer> Socket for WithDescriptors<L> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        react::<Descriptors>(core, &self.transport(), ready);
    }

    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        serve_touched::<Descriptors>(core, &self.transport());
    }

    fn go_on(self: Rc<Self>, core: &Rc<Core>) {
        go_on::<Descriptors>(core, &self.transport());
    }

    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        end(core, &self.transport(), why);
    }

    fn serial(&self) -> u32 {
        Socket::serial(&*self.0)
    }

    fn entry(&self, core: &Core, now: u32) -> Option<Entry> {
        self.0.entry(core, now)
    }

    fn owner(&self) -> Option<&dyn Owner> {
        self.0.owner()
    }
}
