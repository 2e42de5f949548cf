//! What comes of an attempt when `connect` has returned.

use super::{Client, Target};
use crate::{error::ReactorNotRunning, failure::Failure, protocol::ClientFactory, reactor::core::Core};
use std::rc::Rc;

/// What comes of an attempt later, from the loop. If it is let go before, its reactor has closed, and the factory is told so.
pub(super) struct Later<T: Target, F: ClientFactory> {
    pub(super) client: Option<Rc<Client<T, F>>>,
    pub(super) number: u64,
}

impl<T: Target, F: ClientFactory> Later<T, F> {
    /// It has come: the client, if the attempt is still the same.
    pub(super) fn now(mut self) -> Option<(Rc<Client<T, F>>, Rc<Core>)> {
        self.take()
    }

    /// The client, if the attempt is still the same, and something is to come still.
    pub(super) fn peek(&self) -> Option<(Rc<Client<T, F>>, Rc<Core>)> {
        let client = self.client.clone().filter(|client| client.is_attempt(self.number))?;
        let core = client.core.upgrade()?;
        Some((client, core))
    }

    fn take(&mut self) -> Option<(Rc<Client<T, F>>, Rc<Core>)> {
        let client = self.client.take().filter(|client| client.is_attempt(self.number))?;
        let core = client.core.upgrade()?;
        Some((client, core))
    }
}

impl<T: Target, F: ClientFactory> Drop for Later<T, F> {
    fn drop(&mut self) {
        if let Some((client, core)) = self.take() {
            client.failed(&core, Failure::quiet(ReactorNotRunning::default()));
        }
    }
}
