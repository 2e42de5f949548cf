//! Datagrams between processes of one machine.

use super::{file::SocketFile, opening::file_of, options::UnixDatagrams};
use crate::{
    address::{Address, InvalidAddressError, UnixAddress},
    error::{CannotListenError, ConnectError},
    failure::Result,
    protocol::{DatagramContext, DatagramProtocol, socket::Handle},
    reactor::{Reactor, core::Core, driver::BindUnix},
    snapshot::here::Birth,
    sockets::datagrams::{DatagramPort, Family},
};
use std::{cell::Cell, io, panic::Location};

/// Twisted's `IReactorUNIXDatagram`.
impl Reactor {
    /// Opens a UNIX socket of datagrams for a protocol, whose `start_protocol` is called inside.
    ///
    /// What is given reaches the protocol from outside, and is its transport. `at` is a path, a [`UnixAddress`], or [`UnixDatagrams`] with options; the file is
    /// treated as that of [`listen_unix`](Self::listen_unix). Whoever has no name of its own cannot be answered:
    /// its datagrams come from an [unnamed](UnixAddress::unnamed) address. Nothing is lost on the way: a datagram for which the receiver has no room is an error
    /// of the kind `WouldBlock`.
    ///
    /// # Errors
    /// [`CannotListenError`], as of [`listen_unix`](Self::listen_unix).
    ///
    /// # Examples
    /// ```
    /// use twistor::{Address, DatagramContext, DatagramProtocol, Reactor, unix::UnixDatagrams};
    /// struct Echo;
    /// impl DatagramProtocol for Echo {
    ///     fn datagram_received(&mut self, cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
    ///         cx.write_to(data, from).unwrap_or_else(|error| println!("not sent: {error}"));
    ///     }
    /// }
    /// let reactor = Reactor::new()?;
    /// # let path = std::env::temp_dir().join(format!("twistor-doc-datagrams-{}", std::process::id()));
    /// let port = reactor.listen_unix_datagram(UnixDatagrams::new(&path).mode(0o600), Echo)?;
    /// assert_eq!(port.get_host()?, Address::Unix(path.into()));
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "listenUNIXDatagram")]
    #[track_caller]
    pub fn listen_unix_datagram<P: DatagramProtocol>(
        &self,
        at: impl Into<UnixDatagrams>,
        protocol: P,
    ) -> Result<DatagramContext<P>> {
        open(&self.core, &at.into(), None, protocol)
    }

    /// Opens a UNIX socket of datagrams whose only peer is `to`.
    ///
    /// `from` is its own name, as for [`listen_unix_datagram`](Self::listen_unix_datagram): empty for none, and then the peer cannot answer.
    ///
    /// # Errors
    /// [`ConnectError`] if nobody is there; [`CannotListenError`] if its own name cannot be had.
    #[doc(alias = "connectUNIXDatagram")]
    #[track_caller]
    pub fn connect_unix_datagram<P: DatagramProtocol>(
        &self,
        to: impl Into<UnixAddress>,
        from: impl Into<UnixDatagrams>,
        protocol: P,
    ) -> Result<DatagramContext<P>> {
        open(&self.core, &from.into(), Some(to.into().into()), protocol)
    }
}

#[track_caller]
fn open<P: DatagramProtocol>(
    core: &std::rc::Rc<Core>,
    options: &UnixDatagrams,
    to: Option<Address>,
    protocol: P,
) -> Result<DatagramContext<P>> {
    let birth = Birth::at(Location::caller());
    let at = options.at.as_ref().map_err(Clone::clone)?;
    let cannot = |error| CannotListenError::new(at.to_string(), error);
    let bind = BindUnix { at, mode: options.mode };
    let handle = core.driver.bind_unix(&bind).map_err(cannot)?;
    let file = match file_of(at) {
        Ok(file) => Cell::new(file),
        Err(error) => {
            core.driver.close(handle);
            return Err(cannot(error).into());
        }
    };
    let port = DatagramPort::new(core, handle, Unix { file }, options.max_packet_size, birth, protocol);
    if let Some(to) = to {
        port.connect_first(&to).map_err(|error| ConnectError::from_system(to.to_string(), error))?;
    }
    Ok(port.open(core).map_err(cannot)?)
}

struct Unix {
    /// Gone before the socket is closed.
    file: Cell<Option<SocketFile>>,
}

impl Family for Unix {
    /// Whoever is not there is seen at once.
    const REFUSES_LATE: bool = false;
    type To = UnixAddress;

    fn of<'a>(&self, address: &'a Address) -> Result<&'a UnixAddress, InvalidAddressError> {
        let advice = "this is a UNIX socket: send to such an address";
        address.as_unix().ok_or_else(|| InvalidAddressError::new(&address.to_string(), advice))
    }

    fn receive_from(
        core: &Core,
        handle: &Handle,
        buffer: &mut [u8],
        from: &mut Address,
    ) -> io::Result<usize> {
        core.driver.receive_from_unix(handle, buffer, from)
    }

    fn send_to(core: &Core, handle: &Handle, data: &[u8], to: Option<&UnixAddress>) -> io::Result<usize> {
        core.driver.send_to_unix(handle, data, to)
    }

    fn connect(core: &Core, handle: &Handle, to: &UnixAddress) -> io::Result<()> {
        core.driver.connect_datagrams_unix(handle, to)
    }

    fn closes(&self) {
        self.file.take();
    }
}
