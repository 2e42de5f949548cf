//! Datagrams on their way.

use super::{Fault, Key, Kind, Network, Owner, Reuse, Socket, UdpPort, streams::copied};
use crate::{
    reactor::driver::Bind,
    testing::simulation::{
        addresses::{self, Protocol},
        trace::{Came, What},
    },
};
use rustix::io::Errno;
use std::{io, net::SocketAddr};

impl Network {
    pub(in crate::testing) fn bind(&mut self, owner: Owner, bind: &Bind) -> io::Result<Key> {
        let reuse = Reuse { address: bind.reuse_address, port: bind.reuse_port };
        let bound = self.bind_to(Protocol::Udp, bind.at, reuse);
        let bound = bound.map(|at| (self.insert(owner, at, reuse, Kind::Udp(UdpPort::default())), at));
        let key = bound.as_ref().map(|(key, _)| *key).map_err(copied);
        self.note_new(owner, What::Bind, bound);
        key
    }

    pub(in crate::testing) fn connect_datagrams(&mut self, key: Key, to: SocketAddr) -> io::Result<()> {
        let to = self.addresses.normal(to);
        if !self.addresses.has(to.ip()) {
            return Err(Errno::NETUNREACH.into());
        }
        self.udp(key)?.to = Some(to);
        let at = &mut self.get(key)?.at;
        if at.ip().is_unspecified() {
            at.set_ip(to.ip());
        }
        self.note(key, What::ConnectDatagrams, &Ok(to), |to| Came::At(*to));
        Ok(())
    }

    pub(in crate::testing) fn receive_from(
        &mut self,
        key: Key,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        let received = self.udp(key)?.receive(buffer);
        self.note(key, What::ReceiveFrom, &received, |(length, _)| Came::Length(*length, buffer.len()));
        received
    }

    pub(in crate::testing) fn send_to(
        &mut self,
        key: Key,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> io::Result<usize> {
        let sent = self.post(key, data, to);
        self.note(key, What::SendTo, &sent, |length| Came::Length(*length, data.len()));
        sent
    }

    fn post(&mut self, key: Key, data: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        let port = self.udp(key)?;
        port.check()?;
        let to = port.destination(data.len(), to)?;
        let to = self.addresses.normal(to);
        let Socket { at, options, .. } = *self.get(key)?;
        let to_all = to.ip().is_multicast() || addresses::is_broadcast(to.ip());
        if addresses::is_broadcast(to.ip()) && !options.broadcast {
            return Err(Errno::ACCESS.into());
        }
        if !to_all && !self.addresses.has(to.ip()) {
            return Err(Errno::NETUNREACH.into());
        }
        let from = if at.ip().is_unspecified() { self.addresses.source(to, at.port()) } else { at };
        let readers = self.readers(from, to, options.loopback);
        if readers.is_empty() && !to_all {
            let port = self.udp(key)?;
            if port.to.is_some() {
                port.refuse();
                self.changed(key);
            }
        }
        readers.into_iter().for_each(|reader| self.deliver(key, reader, from, data));
        Ok(data.len())
    }

    /// Has a datagram come to its reader: never, once or twice, now or later.
    fn deliver(&mut self, sender: Key, reader: Key, from: SocketAddr, data: &[u8]) {
        if self.strikes(Fault::DatagramLoss, sender).is_some() {
            return;
        }
        let copies = 1 + usize::from(self.strikes(Fault::DatagramDuplication, sender).is_some());
        for _ in 0..copies {
            let delay = self.lasts(Fault::Delay, sender).unwrap_or_default();
            let late = self.lasts(Fault::DatagramReorder, sender).unwrap_or_default();
            let at = self.now + delay + late;
            let from = addresses::seen(from, self.sockets[reader.0].at.is_ipv6());
            if let Ok(port) = self.udp(reader) {
                port.travel(at, from, data.to_vec());
            }
            self.come(at, reader);
        }
    }

    /// Who gets a datagram: all of the group, or one.
    fn readers(&self, from: SocketAddr, to: SocketAddr, loopback: bool) -> Vec<Key> {
        let group = to.ip().is_multicast();
        if group && !loopback {
            return Vec::new(); // all are on this machine
        }
        let hears = |socket: &Socket| {
            let Kind::Udp(port) = &socket.kind else { return false };
            port.hears(addresses::seen(from, socket.at.is_ipv6()))
                && (!group || port.groups.contains(&to.ip()))
        };
        let mut readers = self.bound(to, hears);
        if !group && !addresses::is_broadcast(to.ip()) {
            // One that is connected to the sender comes first, then the one that was opened last.
            readers.sort_by_key(|key| {
                let socket = &self.sockets[key.0];
                (matches!(&socket.kind, Kind::Udp(port) if port.to.is_some()), socket.number)
            });
            readers.drain(..readers.len().saturating_sub(1));
        }
        readers
    }
}
