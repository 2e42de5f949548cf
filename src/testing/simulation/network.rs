//! The network of a world: all sockets of all its reactors, their addresses, and what is on its way.
//!
//! Nothing here calls anybody: a call changes what is there, and the reactors look at it when they wait.

use super::{
    addresses::{Addresses, Protocol},
    datagrams::Datagrams,
    stream::{Packet, Phase, Stream},
};
use crate::reactor::driver::{Bind, Interest, Key, Listen, OptionName, Ready, Refused, SocketOption};
use rustix::io::Errno;
use slab::Slab;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::{self, IoSlice},
    net::SocketAddr,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// As long Linux waits before it asks again a port whose queue was full.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// SOMAXCONN of Linux: no port's queue is longer.
const LONGEST_QUEUE: u32 = 4096;

/// Whose a socket is: the number of a reactor.
pub(super) type Owner = usize;
/// Nobody's: a socket of the test itself.
pub(super) const NOBODY: Owner = usize::MAX;

#[derive(Default)]
pub(in crate::testing) struct Network {
    now: Duration,
    pub(super) addresses: Addresses,
    /// Named by their index, which is given again when a socket has closed.
    sockets: Slab<Socket>,
    /// How many there have been: tells one from another with the same name.
    made: u64,
    /// Those of each reactor that may be ready.
    candidates: BTreeMap<Owner, BTreeSet<usize>>,
    /// Who waits for a socket of the test itself.
    watchers: BTreeMap<usize, Vec<Waker>>,
    /// Those whose socket has changed; they are woken when nothing is borrowed.
    woken: Vec<Waker>,
    /// What happens later, in order; equal times first come, first served.
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    /// How often something was sent.
    pub(super) sends: usize,
}

/// Something is due at a socket, unless it has closed.
struct Event {
    key: usize,
    number: u64,
}

struct Socket {
    owner: Owner,
    number: u64,
    at: SocketAddr,
    reuse: Reuse,
    interest: Interest,
    options: Options,
    kind: Kind,
}

enum Kind {
    Port(Port),
    Stream(Stream),
    Datagrams(Datagrams),
}

/// A port that listens.
struct Port {
    /// The ends of those who have connected.
    waiting: VecDeque<Key>,
    queue: usize,
}

/// With whom a socket shares its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reuse {
    pub(super) address: bool,
    pub(super) port: bool,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    no_delay: bool,
    keep_alive: bool,
    broadcast: bool,
    ttl: u32,
    loopback: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { no_delay: false, keep_alive: false, broadcast: false, ttl: 1, loopback: true }
    }
}

impl Socket {
    fn protocol(&self) -> Protocol {
        match self.kind {
            Kind::Datagrams(_) => Protocol::Udp,
            Kind::Port(_) | Kind::Stream(_) => Protocol::Tcp,
        }
    }
}

/// Time, and any socket.
impl Network {
    /// The clock goes on. What is due is delivered.
    pub(super) fn advance_to(&mut self, now: Duration) {
        self.now = now;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let Event { key, number } = entry.remove();
            if self.sockets.get(key).is_some_and(|socket| socket.number == number) {
                self.due(Key(key));
            }
        }
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    fn schedule(&mut self, at: Duration, key: Key) {
        let Some(number) = self.sockets.get(key.0).map(|socket| socket.number) else { return };
        self.events.insert((at, self.scheduled), Event { key: key.0, number });
        self.scheduled += 1;
    }

    /// Something has come to a socket.
    fn due(&mut self, key: Key) {
        let now = self.now;
        match &mut self.sockets[key.0].kind {
            Kind::Stream(stream) if stream.phase == Phase::Connecting => self.ask(key),
            Kind::Stream(stream) => {
                stream.arrive(now);
                self.changed(key);
            }
            Kind::Port(_) | Kind::Datagrams(_) => {}
        }
    }

    /// Whether it is ready may have changed.
    fn changed(&mut self, key: Key) {
        let owner = self.sockets[key.0].owner;
        if owner != NOBODY {
            self.candidates.entry(owner).or_default().insert(key.0);
        } else if let Some(watchers) = self.watchers.remove(&key.0) {
            self.woken.extend(watchers);
        }
    }

    /// Who waited for a socket of the test itself that has changed since the last time.
    pub(super) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Ready when a socket of the test itself is, in the way that is asked for of readable and writable.
    pub(super) fn poll(
        &mut self,
        key: Key,
        cx: &Context<'_>,
        ask: impl FnOnce((bool, bool)) -> bool,
    ) -> Poll<io::Result<()>> {
        let socket = self.sockets.get(key.0).ok_or(Errno::BADF)?;
        if ask(self.is_ready(socket)) {
            return Poll::Ready(Ok(()));
        }
        let watchers = self.watchers.entry(key.0).or_default();
        if !watchers.iter().any(|watcher| watcher.will_wake(cx.waker())) {
            watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// What of a reactor's is ready, in the order of the keys.
    pub(super) fn ready(&mut self, owner: Owner) -> Vec<Ready> {
        let Some(candidates) = self.candidates.remove(&owner) else { return Vec::new() };
        let all = candidates.into_iter().filter_map(|key| self.readiness(Key(key)));
        let ready: Vec<Ready> = all.collect();
        if !ready.is_empty() {
            // Those are told again until they are dealt with.
            self.candidates.insert(owner, ready.iter().map(|ready| ready.key.0).collect());
        }
        ready
    }

    /// What of a socket was asked for and is there.
    fn readiness(&self, key: Key) -> Option<Ready> {
        let socket = self.sockets.get(key.0)?;
        let (read, write) = self.is_ready(socket);
        let told = Ready { key, read: read && socket.interest.read, write: write && socket.interest.write };
        (told.read || told.write).then_some(told)
    }

    /// Whether it can be read, and written.
    fn is_ready(&self, socket: &Socket) -> (bool, bool) {
        match &socket.kind {
            Kind::Port(port) => (!port.waiting.is_empty(), false),
            Kind::Datagrams(port) => port.readiness(),
            Kind::Stream(stream) => stream.readiness(self.room(stream)),
        }
    }

    /// How many bytes a stream may send: to one that has gone, any.
    fn room(&self, stream: &Stream) -> usize {
        stream.peer.map_or(usize::MAX, |peer| self.room_of(peer))
    }

    /// How many bytes that stream may be sent.
    fn room_of(&self, peer: Key) -> usize {
        match &self.sockets[peer.0].kind {
            Kind::Stream(peer) => peer.room(),
            Kind::Port(_) | Kind::Datagrams(_) => 0,
        }
    }

    fn insert(&mut self, owner: Owner, at: SocketAddr, reuse: Reuse, kind: Kind) -> Key {
        let number = self.made;
        self.made += 1;
        let (interest, options) = (Interest::default(), Options::default());
        Key(self.sockets.insert(Socket { owner, number, at, reuse, interest, options, kind }))
    }

    fn get(&mut self, key: Key) -> io::Result<&mut Socket> {
        Ok(self.sockets.get_mut(key.0).ok_or(Errno::BADF)?)
    }

    fn stream(&mut self, key: Key) -> io::Result<&mut Stream> {
        match &mut self.get(key)?.kind {
            Kind::Stream(stream) => Ok(stream),
            _ => Err(Errno::OPNOTSUPP.into()),
        }
    }

    fn datagrams(&mut self, key: Key) -> io::Result<&mut Datagrams> {
        match &mut self.get(key)?.kind {
            Kind::Datagrams(datagrams) => Ok(datagrams),
            _ => Err(Errno::OPNOTSUPP.into()),
        }
    }

    pub(super) fn set_interest(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        self.get(key)?.interest = interest;
        self.changed(key);
        Ok(())
    }

    pub(in crate::testing) fn local_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        Ok(self.get(key)?.at)
    }

    pub(in crate::testing) fn remote_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        let stream = self.stream(key)?;
        if stream.phase == Phase::Open { Ok(stream.remote) } else { Err(Errno::NOTCONN.into()) }
    }

    pub(super) fn set_option(&mut self, key: Key, option: SocketOption) -> io::Result<()> {
        let options = &mut self.get(key)?.options;
        match option {
            SocketOption::NoDelay(on) => options.no_delay = on,
            SocketOption::KeepAlive(on) => options.keep_alive = on,
            SocketOption::Broadcast(on) => options.broadcast = on,
            SocketOption::MulticastTtl(hops) => options.ttl = hops,
            SocketOption::MulticastLoopback(on) => options.loopback = on,
            // There is one interface.
            SocketOption::MulticastInterface(_) => {}
            SocketOption::Join(membership) => return self.datagrams(key)?.join(membership.group),
            SocketOption::Leave(membership) => return self.datagrams(key)?.leave(membership.group),
        }
        Ok(())
    }

    /// A switch is 0 or 1.
    pub(super) fn option(&mut self, key: Key, name: OptionName) -> io::Result<u32> {
        let options = self.get(key)?.options;
        Ok(match name {
            OptionName::NoDelay => options.no_delay.into(),
            OptionName::KeepAlive => options.keep_alive.into(),
            OptionName::Broadcast => options.broadcast.into(),
            OptionName::MulticastTtl => options.ttl,
            OptionName::MulticastLoopback => options.loopback.into(),
        })
    }

    /// How many sockets are open; those too that wait to be accepted.
    pub(super) fn open(&self) -> usize {
        self.sockets.len()
    }

    /// The sockets of a reactor, each in a few words.
    pub(super) fn describe(&self, owner: Owner) -> Vec<String> {
        let own = self.sockets.iter().filter(|(_, socket)| socket.owner == owner);
        own.map(|(_, Socket { at, kind, .. })| match kind {
            Kind::Port(_) => format!("a port that listens at {at}"),
            Kind::Stream(stream) if stream.phase == Phase::Connecting => {
                format!("a connection that begins, to {}", stream.remote)
            }
            Kind::Stream(stream) => format!("a connection from {at} to {}", stream.remote),
            Kind::Datagrams(_) => format!("a UDP port at {at}"),
        })
        .collect()
    }

    /// Closes a socket, whatever it is.
    pub(super) fn close(&mut self, key: Key) {
        self.end(key, false);
    }

    /// Closes a connection with a reset.
    pub(in crate::testing) fn reset(&mut self, key: Key) {
        self.end(key, true);
    }

    fn end(&mut self, key: Key, reset: bool) {
        let Some(socket) = self.sockets.try_remove(key.0) else { return };
        if let Some(candidates) = self.candidates.get_mut(&socket.owner) {
            candidates.remove(&key.0);
        }
        self.woken.extend(self.watchers.remove(&key.0).into_iter().flatten());
        match socket.kind {
            Kind::Stream(stream) => self.part(stream, reset),
            // Who was not accepted yet is reset.
            Kind::Port(port) => port.waiting.into_iter().for_each(|waiting| self.reset(waiting)),
            Kind::Datagrams(_) => {}
        }
    }

    /// The end of a connection has closed: the other one is told, by a reset if something that it sent was not read.
    fn part(&mut self, gone: Stream, reset: bool) {
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

/// Streams.
impl Network {
    pub(super) fn listen(&mut self, owner: Owner, listen: &Listen) -> io::Result<Key> {
        let reuse = Reuse { address: listen.reuse_address, port: listen.reuse_port };
        let at = self.bind_to(Protocol::Tcp, listen.at, reuse)?;
        let queue = listen.backlog.min(LONGEST_QUEUE) as usize + 1; // Linux takes one more
        Ok(self.insert(owner, at, reuse, Kind::Port(Port { waiting: VecDeque::new(), queue })))
    }

    /// The address, with a port that is free, if nobody is in the way.
    fn bind_to(&mut self, protocol: Protocol, at: SocketAddr, reuse: Reuse) -> io::Result<SocketAddr> {
        let sockets = &self.sockets;
        let is_taken = |at: SocketAddr| {
            let taken = |other: &Socket| {
                other.protocol() == protocol
                    && other.at.port() == at.port()
                    && super::addresses::overlap(other.at.ip(), at.ip())
                    && !shares(protocol, reuse, other)
            };
            sockets.iter().any(|(_, other)| taken(other))
        };
        self.addresses.bind(protocol, at, is_taken)
    }

    pub(super) fn accept(&mut self, port: Key) -> io::Result<(Key, SocketAddr)> {
        let Kind::Port(waiting) = &mut self.get(port)?.kind else { return Err(Errno::INVAL.into()) };
        let key = waiting.waiting.pop_front().ok_or(Errno::AGAIN)?;
        let remote = self.stream(key)?.remote;
        Ok((key, remote))
    }

    pub(super) fn connect(
        &mut self,
        owner: Owner,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> Result<Key, Refused> {
        let to = self.addresses.normal(to);
        if from.is_some_and(|from| from.is_ipv4() != to.is_ipv4()) {
            return Err(Refused::Bind(Errno::AFNOSUPPORT.into()));
        }
        let reuse = Reuse::default();
        let from = from.map(|from| self.bind_to(Protocol::Tcp, from, reuse));
        let from = from.transpose().map_err(Refused::Bind)?;
        if !self.addresses.has(to.ip()) {
            return Err(Refused::Connect(Errno::NETUNREACH.into()));
        }
        let any = SocketAddr::new(to.ip(), 0);
        let at = match from {
            Some(from) if !from.ip().is_unspecified() => from,
            Some(from) => SocketAddr::new(to.ip(), from.port()),
            None => self.bind_to(Protocol::Tcp, any, reuse).map_err(Refused::Bind)?,
        };
        let stream = Stream::new(Phase::Connecting, None, to);
        let key = self.insert(owner, at, reuse, Kind::Stream(stream));
        self.ask(key);
        Ok(key)
    }

    /// The request of one that connects comes to its port.
    fn ask(&mut self, client: Key) {
        let Socket { at, kind: Kind::Stream(stream), .. } = &self.sockets[client.0] else { return };
        let (from, to) = (*at, stream.remote);
        let Some(port) = self.port_for(to, from) else {
            if let Ok(stream) = self.stream(client) {
                stream.over(Errno::CONNREFUSED);
            }
            return self.changed(client);
        };
        let Socket { owner, at, kind: Kind::Port(queue), .. } = &self.sockets[port.0] else { return };
        if queue.waiting.len() >= queue.queue {
            return self.schedule(self.now + ASK_AGAIN, client);
        }
        let (owner, six) = (*owner, at.is_ipv6());
        let (local, remote) = (super::addresses::seen(to, six), super::addresses::seen(from, six));
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

    /// Who listens there. Of several that share the port, always the same one gets the same client, as from the kernel.
    fn port_for(&self, to: SocketAddr, from: SocketAddr) -> Option<Key> {
        let is_port = |socket: &Socket| matches!(socket.kind, Kind::Port(_));
        let ports = self.bound(to, is_port);
        ports.get(usize::from(from.port()) % ports.len().max(1)).copied()
    }

    /// The sockets of that kind that are bound there: those at the very address, or else those at any.
    fn bound(&self, to: SocketAddr, kind: impl Fn(&Socket) -> bool) -> Vec<Key> {
        let here = |rank: u8| {
            let all = self.sockets.iter().filter(|(_, socket)| kind(socket));
            let here = all.filter(|(_, socket)| super::addresses::rank(socket.at, to) == Some(rank));
            here.map(|(key, _)| Key(key)).collect::<Vec<_>>()
        };
        let exact = here(0);
        if exact.is_empty() { here(1) } else { exact }
    }

    pub(super) fn take_error(&mut self, key: Key) -> io::Result<()> {
        let stream = self.stream(key)?;
        stream.check()?;
        if stream.phase == Phase::Open { Ok(()) } else { Err(Errno::AGAIN.into()) }
    }

    pub(in crate::testing) fn receive(&mut self, key: Key, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = self.stream(key)?;
        let received = stream.receive(buffer);
        // The peer has room.
        let peer = stream.peer;
        peer.into_iter().for_each(|peer| self.changed(peer));
        received
    }

    pub(in crate::testing) fn send(&mut self, key: Key, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sends += 1;
        let room = match &self.get(key)?.kind {
            Kind::Stream(stream) => stream.peer,
            _ => return Err(Errno::OPNOTSUPP.into()),
        };
        let room = room.map_or(usize::MAX, |peer| self.room_of(peer));
        let stream = self.stream(key)?;
        let taken = stream.take_from(data, room)?;
        let (length, peer) = (taken.len(), stream.peer);
        match peer {
            Some(peer) if length > 0 => self.travel(peer, Packet::Data(taken)),
            // Nobody is there any more, and says so.
            None if length > 0 => self.travel(key, Packet::Reset),
            _ => {}
        }
        Ok(length)
    }

    pub(in crate::testing) fn is_at_end(&mut self, key: Key) -> bool {
        self.stream(key).is_ok_and(|stream| stream.is_at_end())
    }

    pub(in crate::testing) fn shutdown(&mut self, key: Key) -> io::Result<()> {
        let stream = self.stream(key)?;
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
        let now = self.now;
        let Ok(stream) = self.stream(to) else { return };
        let at = now.max(stream.not_before());
        stream.travel(at, packet);
        if at > now {
            self.schedule(at, to);
        } else {
            stream.arrive(now);
            self.changed(to);
        }
    }
}

/// Datagrams.
impl Network {
    pub(super) fn bind(&mut self, owner: Owner, bind: &Bind) -> io::Result<Key> {
        let reuse = Reuse { address: bind.reuse_address, port: bind.reuse_port };
        let at = self.bind_to(Protocol::Udp, bind.at, reuse)?;
        Ok(self.insert(owner, at, reuse, Kind::Datagrams(Datagrams::default())))
    }

    pub(super) fn connect_datagrams(&mut self, key: Key, to: SocketAddr) -> io::Result<()> {
        let to = self.addresses.normal(to);
        if !self.addresses.has(to.ip()) {
            return Err(Errno::NETUNREACH.into());
        }
        self.datagrams(key)?.to = Some(to);
        let at = &mut self.get(key)?.at;
        if at.ip().is_unspecified() {
            at.set_ip(to.ip());
        }
        Ok(())
    }

    pub(in crate::testing) fn receive_from(
        &mut self,
        key: Key,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        self.datagrams(key)?.receive(buffer)
    }

    pub(in crate::testing) fn send_to(
        &mut self,
        key: Key,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> io::Result<usize> {
        let port = self.datagrams(key)?;
        port.check()?;
        let to = port.destination(data.len(), to)?;
        let to = self.addresses.normal(to);
        let Socket { at, options, .. } = *self.get(key)?;
        if super::addresses::is_broadcast(to.ip()) && !options.broadcast {
            return Err(Errno::ACCESS.into());
        }
        if !self.addresses.has(to.ip()) && !to.ip().is_multicast() && !super::addresses::is_broadcast(to.ip())
        {
            return Err(Errno::NETUNREACH.into());
        }
        let from = if at.ip().is_unspecified() { self.addresses.source(to, at.port()) } else { at };
        let readers = self.readers(from, to, options.loopback);
        if readers.is_empty() && !to.ip().is_multicast() {
            let port = self.datagrams(key)?;
            if port.to.is_some() {
                port.refuse();
                self.changed(key);
            }
        }
        for reader in readers {
            let six = self.sockets[reader.0].at.is_ipv6();
            self.datagrams(reader)?.put(super::addresses::seen(from, six), data.to_vec());
            self.changed(reader);
        }
        Ok(data.len())
    }

    /// Who gets a datagram: all of the group, or one.
    fn readers(&self, from: SocketAddr, to: SocketAddr, loopback: bool) -> Vec<Key> {
        let group = to.ip().is_multicast();
        if group && !loopback {
            return Vec::new(); // all are on this machine
        }
        let hears = |socket: &Socket| {
            let Kind::Datagrams(port) = &socket.kind else { return false };
            port.hears(super::addresses::seen(from, socket.at.is_ipv6()))
                && (!group || port.groups.contains(&to.ip()))
        };
        let mut readers = self.bound(to, hears);
        if !group && !super::addresses::is_broadcast(to.ip()) {
            // One that is connected to the sender comes first, then the one that was opened last.
            let connected = |key: &Key| {
                let socket = &self.sockets[key.0];
                let Kind::Datagrams(port) = &socket.kind else { return (false, 0) };
                (port.to.is_some(), socket.number)
            };
            readers.sort_by_key(connected);
            readers.drain(..readers.len().saturating_sub(1));
        }
        readers
    }
}

/// Whether two sockets may have the same address.
fn shares(protocol: Protocol, reuse: Reuse, other: &Socket) -> bool {
    let both_ports = reuse.port && other.reuse.port;
    let both_addresses = reuse.address && other.reuse.address;
    match (protocol, &other.kind) {
        (Protocol::Udp, _) => both_ports || both_addresses,
        // What was accepted has the port's address, which can be listened at again.
        (Protocol::Tcp, Kind::Stream(_)) => reuse.address || reuse.port,
        (Protocol::Tcp, _) => both_ports,
    }
}
