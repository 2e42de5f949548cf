//! [`Connector`]: a client's attempt to connect, and its connection.

use crate::{
    error::{AlreadyConnecting, NotConnectingError},
    failure::Result,
};
use std::{
    fmt,
    rc::{Rc, Weak},
};

/// How far a connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorState {
    /// Neither connecting nor connected.
    Disconnected,
    /// An attempt is under way.
    Connecting,
    /// There is a connection.
    Connected,
}

/// What a [`Connector`] does; a reactor's TCP client is one, and a test may make another.
#[doc(alias = "IConnector")]
pub trait Connects: 'static {
    /// Begins an attempt.
    ///
    /// # Errors
    /// [`AlreadyConnecting`] unless it is disconnected.
    fn connect(&self) -> Result<(), AlreadyConnecting>;
    /// Gives the attempt up.
    ///
    /// # Errors
    /// [`NotConnectingError`] unless it is connecting.
    fn stop_connecting(&self) -> Result<(), NotConnectingError>;
    /// Gives the attempt up, or closes the connection in order.
    fn disconnect(&self);
    /// How far it is.
    fn state(&self) -> ConnectorState;
    /// Where it connects to, as it was asked for.
    fn destination(&self) -> String;
}

/// A client's attempt to connect, and its connection. A cheap handle.
///
/// It is what `connect_tcp` gives, and what a [`ClientFactory`](super::ClientFactory)'s methods are given: to call
/// [`connect`](Self::connect) there connects again.
#[derive(Clone)]
pub struct Connector(Rc<dyn Connects>);

impl Connector {
    /// A connector that does what `connects` does.
    pub fn new(connects: impl Connects) -> Connector {
        Connector(Rc::new(connects))
    }

    pub(crate) fn shared(connects: Rc<dyn Connects>) -> Connector {
        Connector(connects)
    }

    pub(crate) fn downgrade(&self) -> Weak<dyn Connects> {
        Rc::downgrade(&self.0)
    }

    /// Begins an attempt, again.
    ///
    /// # Errors
    /// [`AlreadyConnecting`] while it connects or is connected.
    pub fn connect(&self) -> Result<(), AlreadyConnecting> {
        self.0.connect()
    }

    /// Gives the attempt up: the factory is told inside this call, with [`UserError`](crate::error::UserError).
    ///
    /// # Errors
    /// [`NotConnectingError`] if it does not connect.
    #[doc(alias = "stopConnecting")]
    pub fn stop_connecting(&self) -> Result<(), NotConnectingError> {
        self.0.stop_connecting()
    }

    /// Gives the attempt up, or closes the connection in order; otherwise does nothing.
    pub fn disconnect(&self) {
        self.0.disconnect();
    }

    /// How far it is.
    pub fn state(&self) -> ConnectorState {
        self.0.state()
    }

    /// Where it connects to.
    #[doc(alias = "getDestination")]
    pub fn get_destination(&self) -> String {
        self.0.destination()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("to", &self.get_destination())
            .field("state", &self.state())
            .finish()
    }
}
