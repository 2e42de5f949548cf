//! Connecting, accepting, and the bytes of connections.

use super::{Fault, Key, Kind, Network, Owner, Packet, Phase, Port, Reuse, Socket, Stream};
use crate::{
    reactor::driver::{Listen, Refused},
    testing::simulation::{
        addresses::{self, Protocol},
        trace::{Came, What},
    },
};
use rustix::io::Errno;
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    net::SocketAddr,
    time::Duration,
};

/// As long Linux waits before it asks again a port whose queue was full.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// SOMAXCONN of Linux: no port's queue is longer.
const LONGEST_QUEUE: u32 = 4096;

/// Connections that begin.
impl Network {
    pub(in crate::testing) fn listen(&mut self, owner: Owner, listen: &Listen) -> io::Result<Key> {
        let reuse = Reuse { address: listen.reuse_address, port: listen.reuse_port };
        let listened = self.bind_to(Protocol::Tcp, listen.at, reuse).map(|at| {
            let queue = listen.backlog.min(LONGEST_QUEUE) as usize + 1; // Linux takes one more
            (self.insert(owner, at, reuse, Kind::Port(Port { waiting: VecDeque::new(), queue })), at)
        });
        let key = listened.as_ref().map(|(key, _)| *key).map_err(copied);
        self.note_new(owner, What::Listen, listened);
        key
    }

    pub(in crate::testing) fn accept(&mut self, port: Key) -> io::Result<(Key, SocketAddr)> {
        let nobody = matches!(&self.get(port)?.kind, Kind::Port(port) if port.waiting.is_empty());
        let accepted = if !nobody && self.strikes(Fault::NoDescriptor, port).is_some() {
            Err(Errno::MFILE.into())
        } else {
            self.take_waiting(port)
        };
        self.note(port, What::Accept, &accepted, |(_, remote)| Came::At(*remote));
        accepted
    }

    fn take_waiting(&mut self, port: Key) -> io::Result<(Key, SocketAddr)> {
        let Socket { options, kind: Kind::Port(port), .. } = self.get(port)? else {
            return Err(Errno::INVAL.into());
        };
        let (key, inherited) = (port.waiting.pop_front().ok_or(Errno::AGAIN)?, *options);
        self.get(key)?.options = inherited;
        let remote = self.stream(key)?.remote;
        Ok((key, remote))
    }

    /// Closes one that waits.
    pub(in crate::testing) fn turn_away(&mut self, port: Key) -> bool {
        self.take_waiting(port).map(|(key, _)| self.close(key)).is_ok()
    }

    pub(in crate::testing) fn connect(
        &mut self,
        owner: Owner,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> Result<Key, Refused> {
        let connecting = self.begin(owner, to, from);
        self.note_new(
            owner,
            What::Connect,
            match &connecting {
                Ok(key) => Ok((*key, to)),
                Err(Refused::Bind(error) | Refused::Connect(error)) => Err(copied(error)),
            },
        );
        let key = connecting?;
        if self.strikes(Fault::Refusal, key).is_some() {
            self.refuse(key);
        } else if let Some(delay) = self.lasts(Fault::Delay, key) {
            self.schedule(self.now + delay, key);
        } else {
            self.ask(key);
        }
        Ok(key)
    }

    fn begin(&mut self, owner: Owner, to: SocketAddr, from: Option<SocketAddr>) -> Result<Key, Refused> {
        if self.strikes_at(Fault::NoDescriptor, owner) {
            return Err(Refused::Bind(Errno::MFILE.into()));
        }
        let to = self.addresses.normal(to);
        let reuse = Reuse::default();
        let from = from.map(|from| self.bind_to(Protocol::Tcp, from, reuse));
        let from = from.transpose().map_err(Refused::Bind)?;
        if from.is_some_and(|from| from.is_ipv4() != to.is_ipv4()) {
            return Err(Refused::Bind(Errno::AFNOSUPPORT.into()));
        }
        if !self.addresses.has(to.ip()) {
            return Err(Refused::Connect(Errno::NETUNREACH.into()));
        }
        let at = match from {
            Some(from) if !from.ip().is_unspecified() => from,
            Some(from) => SocketAddr::new(to.ip(), from.port()),
            None => {
                let any = SocketAddr::new(to.ip(), 0);
                self.bind_to(Protocol::Tcp, any, reuse).map_err(Refused::Bind)?
            }
        };
        let stream = Stream::new(Phase::Connecting, None, to);
        Ok(self.insert(owner, at, reuse, Kind::Stream(stream)))
    }

    /// The request of one that connects comes to its port.
    pub(super) fn ask(&mut self, client: Key) {
        let Socket { at, kind: Kind::Stream(stream), .. } = &self.sockets[client.0] else { return };
        let (from, to) = (*at, stream.remote);
        let Some(port) = self.port_for(to, from) else { return self.refuse(client) };
        let Socket { owner, at, kind: Kind::Port(queue), .. } = &self.sockets[port.0] else { return };
        if queue.waiting.len() >= queue.queue {
            return self.schedule(self.now + ASK_AGAIN, client);
        }
        let (owner, six) = (*owner, at.is_ipv6());
        let (local, remote) = (addresses::seen(to, six), addresses::seen(from, six));
        let stream = Stream::new(Phase::Open, Some(client), remote);
        let accepted = self.insert(owner, local, Reuse::default(), Kind::Stream(stream));
        if let Kind::Port(port) = &mut self.sockets[port.0].kind {
            port.waiting.push_back(accepted);
        }
        if let Ok(stream) = self.stream(client) {
            (stream.phase, stream.peer) = (Phase::Open, Some(accepted));
        }
        self.changed(port);
        self.changed(client);
    }

    fn refuse(&mut self, client: Key) {
        if let Ok(stream) = self.stream(client) {
            stream.over(Errno::CONNREFUSED);
            self.changed(client);
        }
    }

    /// Who listens there. Of several that share the port, always the same one gets the same client, as from the kernel.
    fn port_for(&self, to: SocketAddr, from: SocketAddr) -> Option<Key> {
        let ports = self.bound(to, |socket| matches!(socket.kind, Kind::Port(_)));
        ports.get(usize::from(from.port()) % ports.len().max(1)).copied()
    }

    pub(in crate::testing) fn take_error(&mut self, key: Key) -> io::Result<()> {
        let connected = self.stream(key).and_then(|stream| {
            stream.check()?;
            if stream.phase == Phase::Open { Ok(()) } else { Err(Errno::AGAIN.into()) }
        });
        self.note(key, What::Connected, &connected, |()| Came::Done);
        connected
    }
}

/// Connections that there are.
impl Network {
    /// Lets so many bytes wait on the way to each end.
    #[cfg(test)]
    pub(in crate::testing) fn widen(&mut self, capacity: usize) {
        for (_, socket) in &mut self.sockets {
            if let Kind::Stream(stream) = &mut socket.kind {
                stream.capacity = capacity;
            }
        }
    }

    /// How many bytes a stream may send: to one that has gone, any.
    pub(super) fn room(&self, stream: &Stream) -> usize {
        match stream.peer.map(|peer| &self.sockets[peer.0].kind) {
            _ if stream.is_stuck(self.now) => 0,
            Some(Kind::Stream(peer)) => peer.room(),
            _ => usize::MAX,
        }
    }

    pub(in crate::testing) fn receive(&mut self, key: Key, buffer: &mut [u8]) -> io::Result<usize> {
        self.cut(key);
        let here = self.stream(key)?.available().min(buffer.len());
        let part = self.leaves(Fault::PartialRead, key, here);
        let stream = self.stream(key)?;
        let received = if part < here { stream.receive(&mut buffer[..part]) } else { stream.receive(buffer) };
        // The peer has room.
        let peer = stream.peer;
        peer.into_iter().for_each(|peer| self.changed(peer));
        self.note(key, What::Receive, &received, |length| Came::Length(*length, buffer.len()));
        received
    }

    pub(in crate::testing) fn send(&mut self, key: Key, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.cut(key);
        let length = data.iter().map(|slice| slice.len()).sum();
        let sent = self.send_part(key, data, length);
        self.note(key, What::Send, &sent, |sent| Came::Length(*sent, length));
        sent
    }

    fn send_part(&mut self, key: Key, data: &[IoSlice<'_>], length: usize) -> io::Result<usize> {
        if self.stream(key)?.may_send()
            && let Some(lasting) = self.lasts(Fault::FullBuffer, key)
        {
            let until = self.now + lasting;
            self.stream(key)?.stick(until);
            self.schedule(until, key);
        }
        let room = self.room_of(key);
        let room = self.leaves(Fault::PartialWrite, key, room.min(length)).min(room);
        let stream = self.stream(key)?;
        let taken = stream.take_from(data, room)?;
        let (sent, peer) = (taken.len(), stream.peer);
        match peer {
            Some(peer) if sent > 0 => self.travel(peer, Packet::Data(taken)),
            // Nobody is there any more, and says so.
            None if sent > 0 => self.travel(key, Packet::Reset),
            _ => {}
        }
        Ok(sent)
    }

    fn room_of(&self, key: Key) -> usize {
        match &self.sockets[key.0].kind {
            Kind::Stream(stream) => self.room(stream),
            Kind::Port(_) | Kind::Udp(_) => 0,
        }
    }

    /// An occasion for the connection to end by itself.
    fn cut(&mut self, key: Key) {
        let Some(peer) =
            self.stream(key).ok().filter(|stream| stream.may_send()).and_then(|stream| stream.peer)
        else {
            return;
        };
        let last = if self.strikes(Fault::Reset, key).is_some() {
            || Packet::Reset
        } else if self.strikes(Fault::Close, key).is_some() {
            || Packet::End
        } else {
            return;
        };
        for end in [key, peer] {
            self.travel(end, last());
            // What it sends from now on meets nobody.
            if let Ok(stream) = self.stream(end) {
                stream.peer = None;
            }
        }
    }

    pub(in crate::testing) fn is_at_end(&mut self, key: Key) -> bool {
        self.stream(key).is_ok_and(|stream| stream.is_at_end())
    }

    pub(in crate::testing) fn shutdown(&mut self, key: Key) -> io::Result<()> {
        let ended = self.end_direction(key);
        self.note(key, What::Shutdown, &ended, |()| Came::Done);
        ended
    }

    fn end_direction(&mut self, key: Key) -> io::Result<()> {
        let stream = self.stream(key)?;
        if stream.phase != Phase::Open {
            // Linux gives up an attempt to connect here, which nobody means.
            return Err(Errno::NOTCONN.into());
        }
        if std::mem::replace(&mut stream.shut, true) {
            return Ok(());
        }
        let peer = stream.peer;
        peer.into_iter().for_each(|peer| self.travel(peer, Packet::End));
        self.changed(key);
        Ok(())
    }

    /// Sends a packet to a stream.
    fn travel(&mut self, to: Key, packet: Packet) {
        let delay = self.lasts(Fault::Delay, to).unwrap_or_default();
        let now = self.now;
        let Ok(stream) = self.stream(to) else { return };
        let at = (now + delay).max(stream.not_before());
        stream.travel(at, packet);
        self.come(at, to);
    }

    /// The end of a connection has closed: the other one is told, by a reset if something that it sent was not read.
    pub(super) fn part(&mut self, gone: Stream, reset: bool) {
        let Some(peer) = gone.peer else { return };
        if reset || gone.has_unread() {
            self.travel(peer, Packet::Reset);
        } else if !gone.shut {
            self.travel(peer, Packet::End);
        }
        if let Ok(peer) = self.stream(peer) {
            peer.peer = None;
        }
    }
}

/// The same error again: what has a number is that number.
pub(super) fn copied(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
