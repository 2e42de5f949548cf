//! What is asked of the system for a port of TCP, and for a connection.

use super::options::{TcpConnect, TcpListen};
use crate::{
    address::Address,
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
use std::{io, net::SocketAddr, time::Duration};

impl Opens for TcpListen {
    type Passage = Plain;
    type Kept = ();

    fn place(&self) -> Result<String> {
        Ok(self.resolve()?.at.to_string())
    }

    fn open(&self, core: &Core) -> io::Result<(Handle, ())> {
        let listen = self.resolve().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
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
        match self.literal {
            Some(ip) => Places::Known(SocketAddr::new(ip, self.port).into()),
            None => Places::Named(self.host.clone(), self.port),
        }
    }

    fn open(&self, core: &Core, to: &Address) -> Result<Handle, Refused> {
        let Some(to) = to.as_inet() else {
            return Err(Refused::Connect(io::ErrorKind::InvalidInput.into()));
        };
        core.driver.connect(to, self.bind)
    }
}
