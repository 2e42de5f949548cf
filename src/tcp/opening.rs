//! What is asked of the system for a port of TCP, and for a connection.

use super::options::{TcpConnect, TcpListen, To};
use crate::{
    address::{Address, invalid},
    error::ConnectErrorKind,
    failure::Result,
    protocol::socket::Handle,
    reactor::{
        core::Core,
        driver::{Refused, SocketOption},
    },
    sockets::{
        client::{Places, Target},
        connection::Plain,
        port::Opens,
    },
};
use std::{io, time::Duration};

impl Opens for TcpListen {
    type Passage = Plain;
    type Kept = ();

    fn place(&self) -> Result<String> {
        Ok(self.resolve()?.at.to_string())
    }

    fn open(&self, core: &Core) -> io::Result<(Handle, ())> {
        let listen = self.resolve().map_err(|error| invalid(&error))?;
        let port = core.driver.listen(&listen)?;
        if self.no_delay
            && let Err(error) = core.driver.set_option(&port, SocketOption::NoDelay(true))
        {
            core.driver.close(port);
            return Err(error);
        }
        Ok((port, ()))
    }
}

impl Target for TcpConnect {
    type Passage = Plain;

    fn destination(&self) -> String {
        self.destination()
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn places(&self) -> Places {
        match &self.to {
            To::Address(address) => Places::Known((*address).into()),
            To::Host(host, port) => Places::Named(host.clone(), *port),
            To::Invalid(error) => Places::Missing(ConnectErrorKind::Other, Some(invalid(error))),
        }
    }

    fn open(&self, core: &Core, to: &Address) -> Result<Handle, Refused> {
        let Some(to) = to.as_inet() else {
            return Err(Refused::Connect(io::ErrorKind::InvalidInput.into()));
        };
        core.driver.connect(to, self.bind)
    }
}
