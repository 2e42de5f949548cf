//! A UDP port of the network, as the kernel keeps it.

use rustix::io::Errno;
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// So many bytes at most wait for the reader; what comes then is lost. About the default of Linux, which counts its own overhead too.
const INBOX: usize = 212_992;
/// The longest datagram: 65,535 without the two headers.
const LONGEST: usize = 65_507;

#[derive(Debug, Default)]
pub(super) struct UdpPort {
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
    /// What is on its way here, with the time of its arrival.
    flight: Vec<(Duration, SocketAddr, Vec<u8>)>,
    /// How many bytes are in the inbox.
    queued: usize,
    /// The only peer.
    pub(super) to: Option<SocketAddr>,
    pub(super) groups: Vec<IpAddr>,
    /// Told once.
    error: Option<Errno>,
}

impl UdpPort {
    /// Whether it hears what that address sends.
    pub(super) fn hears(&self, from: SocketAddr) -> bool {
        self.to.is_none_or(|to| to == from)
    }

    pub(super) fn travel(&mut self, at: Duration, from: SocketAddr, data: Vec<u8>) {
        let behind = self.flight.partition_point(|(other, ..)| *other <= at); // equal times stay in order
        self.flight.insert(behind, (at, from, data));
    }

    /// Takes in what has come by now, as far as there is room.
    pub(super) fn arrive(&mut self, now: Duration) {
        let come = self.flight.iter().take_while(|(at, ..)| *at <= now).count();
        for (_, from, data) in self.flight.drain(..come) {
            if self.queued + data.len() <= INBOX {
                self.queued += data.len();
                self.inbox.push_back((from, data));
            }
        }
    }

    /// Nobody has such a port open as it has sent to.
    pub(super) fn refuse(&mut self) {
        self.error = Some(Errno::CONNREFUSED);
    }

    /// The error that waits, once.
    pub(super) fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), |error| Err(error.into()))
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.check()?;
        let (from, data) = self.inbox.pop_front().ok_or(Errno::AGAIN)?;
        self.queued -= data.len();
        let length = data.len().min(buffer.len());
        buffer[..length].copy_from_slice(&data[..length]);
        Ok((length, from))
    }

    /// Where a datagram of that length goes.
    pub(super) fn destination(&self, length: usize, to: Option<SocketAddr>) -> io::Result<SocketAddr> {
        let to = to.or(self.to).ok_or(Errno::DESTADDRREQ)?;
        if length > LONGEST { Err(Errno::MSGSIZE.into()) } else { Ok(to) }
    }

    pub(super) fn join(&mut self, group: IpAddr) -> io::Result<()> {
        if !group.is_multicast() {
            return Err(Errno::INVAL.into());
        }
        if self.groups.contains(&group) {
            return Err(Errno::ADDRINUSE.into());
        }
        self.groups.push(group);
        Ok(())
    }

    pub(super) fn leave(&mut self, group: IpAddr) -> io::Result<()> {
        let at = self.groups.iter().position(|joined| *joined == group).ok_or(Errno::ADDRNOTAVAIL)?;
        self.groups.remove(at);
        Ok(())
    }

    pub(super) fn readiness(&self) -> (bool, bool) {
        (!self.inbox.is_empty() || self.error.is_some(), true)
    }
}
