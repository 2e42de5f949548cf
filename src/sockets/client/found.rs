//! What a resolver tells who connects.

use super::{Client, Target, later::Later};
use crate::{failure::Result, names::ResolutionReceiver, protocol::ClientFactory, reactor::core::Core};
use std::{io, net::SocketAddr, rc::Rc};

/// The addresses of a name, as they come, for an attempt to connect there.
pub(super) struct Found<T: Target, F: ClientFactory>(Option<Later<T, F>>);

impl<T: Target, F: ClientFactory> Found<T, F> {
    pub(super) fn new(later: Later<T, F>) -> Found<T, F> {
        Found(Some(later))
    }

    /// No more will come. The client, if the attempt is still the same.
    fn over(&mut self) -> Option<(Rc<Client<T, F>>, Rc<Core>, u64)> {
        let later = self.0.take()?;
        let number = later.number;
        let (client, core) = later.now()?;
        Some((client, core, number))
    }
}

impl<T: Target, F: ClientFactory> ResolutionReceiver for Found<T, F> {
    fn address_resolved(&mut self, address: SocketAddr) {
        let Some((client, core)) = self.0.as_ref().and_then(Later::peek) else { return };
        client.found(&core, address.into());
    }

    fn resolution_complete(mut self: Box<Self>, result: Result<()>) {
        if let Some((client, core, number)) = self.over() {
            client.looked_up(&core, number, result.map_err(io::Error::from));
        }
    }
}

impl<T: Target, F: ClientFactory> Drop for Found<T, F> {
    /// The resolver has given up, unless it is the reactor, which then tells the client itself.
    fn drop(&mut self) {
        let core = self.0.as_ref().and_then(|later| later.client.as_ref()?.core.upgrade());
        if core.is_none_or(|core| core.is_closing()) {
            return;
        }
        if let Some((client, core, number)) = self.over() {
            let no_answer = io::Error::new(io::ErrorKind::NotFound, "the resolver has given no answer");
            client.looked_up(&core, number, Err(no_answer));
        }
    }
}
