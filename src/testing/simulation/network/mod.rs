//! The network of a world: all sockets of all its reactors, their addresses, what is on its way, and what goes wrong.
//!
//! Nothing here calls anybody: a call changes what is there, and the reactors look at it when they wait.

mod datagrams;
mod streams;
mod watch;

use super::{
    addresses::{self, Addresses, Protocol},
    faults::{Chance, Fault},
    random::{Random, below},
    stream::{Packet, Phase, Stream},
    trace::{Came, Trace, What},
    udp_port::UdpPort,
};
use crate::{
    protocol::socket::{Interest, Token},
    reactor::driver::{Interface, Membership, OptionName, Ready, SocketOption},
};
use rustix::io::Errno;
use slab::Slab;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    task::Waker,
    time::Duration,
};

/// Whose a socket is: the number of a reactor.
pub(super) type Owner = usize;
/// Nobody's: a socket of the test itself. Its calls meet no fault.
pub(super) const NOBODY: Owner = usize::MAX;

/// The name of a socket here. Used again when it has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::testing) struct Key(pub(in crate::testing) usize);

#[derive(Default)]
pub(in crate::testing) struct Network {
    now: Duration,
    pub(super) addresses: Addresses,
    pub(super) chance: Chance,
    pub(super) trace: Trace,
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
    /// What its reactor is told of it under.
    token: Token,
    options: Options,
    kind: Kind,
}

enum Kind {
    Port(Port),
    Stream(Stream),
    Udp(UdpPort),
}

/// A port that listens.
struct Port {
    /// The ends of those who have connected.
    waiting: VecDeque<Key>,
    queue: usize,
}

/// With whom a socket shares its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reuse {
    address: bool,
    port: bool,
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
            Kind::Udp(_) => Protocol::Udp,
            Kind::Port(_) | Kind::Stream(_) => Protocol::Tcp,
        }
    }
}

/// Time.
impl Network {
    pub(super) fn new(seed: u64) -> Network {
        Network { chance: Chance::new(seed), ..Network::default() }
    }

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

    /// Something comes to a socket then, which may be now.
    fn come(&mut self, at: Duration, key: Key) {
        if at > self.now { self.schedule(at, key) } else { self.due(key) }
    }

    /// Something has come to a socket.
    fn due(&mut self, key: Key) {
        let now = self.now;
        match &mut self.sockets[key.0].kind {
            Kind::Stream(stream) if stream.phase == Phase::Connecting => return self.ask(key),
            Kind::Stream(stream) => stream.arrive(now),
            Kind::Udp(port) => port.arrive(now),
            Kind::Port(_) => {}
        }
        self.changed(key);
    }
}

/// What goes wrong, and what is told of it.
impl Network {
    /// Notes what came of a call.
    fn note<T>(&mut self, key: Key, what: What, result: &io::Result<T>, came: impl FnOnce(&T) -> Came) {
        let came = Came::of(result, came);
        let Some(socket) = self.sockets.get(key.0) else { return };
        self.trace.add(self.now, socket.owner, Some(socket.number), what, came);
    }

    /// Notes what came of a call that made a socket, or did not.
    fn note_new(&mut self, owner: Owner, what: What, result: io::Result<(Key, SocketAddr)>) {
        match result {
            Ok((key, address)) => self.note(key, what, &Ok(address), |address| Came::At(*address)),
            Err(error) => {
                self.trace.add(self.now, owner, None, what, Came::of::<()>(&Err(error), |()| Came::Done))
            }
        }
    }

    /// The clock has gone on since all slept.
    pub(super) fn note_clock(&mut self) {
        self.trace.add(self.now, NOBODY, None, What::Clock, Came::Done);
    }

    /// An occasion for a fault at a socket of a reactor.
    fn strikes(&mut self, kind: Fault, key: Key) -> Option<u64> {
        self.occasion(key, kind, |chance| chance.strikes(kind))
    }

    /// The same for one that lasts.
    fn lasts(&mut self, kind: Fault, key: Key) -> Option<Duration> {
        self.occasion(key, kind, |chance| chance.lasts(kind))
    }

    /// The same for one that leaves a part.
    fn leaves(&mut self, kind: Fault, key: Key, whole: usize) -> usize {
        let left =
            self.occasion(key, kind, |chance| Some(chance.leaves(kind, whole)).filter(|left| *left < whole));
        left.unwrap_or(whole)
    }

    fn occasion<R>(&mut self, key: Key, kind: Fault, f: impl FnOnce(&mut Chance) -> Option<R>) -> Option<R> {
        let Socket { owner, number, .. } = *self.sockets.get(key.0)?;
        let struck = if owner == NOBODY { None } else { f(&mut self.chance) };
        if struck.is_some() {
            self.trace.add(self.now, owner, Some(number), What::Fault(kind), Came::Done);
        }
        struck
    }

    /// An occasion for a fault of a reactor that has no socket for it yet.
    fn strikes_at(&mut self, kind: Fault, owner: Owner) -> bool {
        let struck = owner != NOBODY && self.chance.strikes(kind).is_some();
        if struck {
            self.trace.add(self.now, owner, None, What::Fault(kind), Came::Done);
        }
        struck
    }

    /// By how much the clock goes further than it was to.
    pub(super) fn clock_jump(&mut self) -> Duration {
        let jump = self.chance.lasts(Fault::ClockJump);
        if jump.is_some() {
            self.trace.add(self.now, NOBODY, None, What::Fault(Fault::ClockJump), Came::Done);
        }
        jump.unwrap_or_default()
    }

    /// Has what is ready told in another order.
    pub(super) fn shuffle(&mut self, owner: Owner, ready: &mut [Ready]) {
        if ready.len() < 2 {
            return;
        }
        let Some(how) = self.chance.strikes(Fault::Order) else { return };
        self.trace.add(self.now, owner, None, What::Fault(Fault::Order), Came::Done);
        let mut random = Random::new(how);
        for last in (1..ready.len()).rev() {
            ready.swap(last, below(random.next(), last as u64 + 1) as usize);
        }
    }
}

/// Any socket.
impl Network {
    /// What of a reactor's is ready, in the order of the keys.
    pub(super) fn ready(&mut self, owner: Owner) -> Vec<Ready> {
        let Some(candidates) = self.candidates.remove(&owner) else { return Vec::new() };
        let all = candidates.into_iter().filter_map(|key| Some((key, self.readiness(Key(key))?)));
        let (again, ready): (BTreeSet<_>, Vec<_>) = all.unzip();
        if !again.is_empty() {
            // Those are told again until they are dealt with.
            self.candidates.insert(owner, again);
        }
        ready
    }

    /// What of a socket was asked for and is there.
    fn readiness(&self, key: Key) -> Option<Ready> {
        let socket = self.sockets.get(key.0)?;
        let (read, write) = self.is_ready(socket);
        let (read, write) = (read && socket.interest.read, write && socket.interest.write);
        (read || write).then_some(Ready { token: socket.token, read, write })
    }

    /// Whether it can be read, and written.
    fn is_ready(&self, socket: &Socket) -> (bool, bool) {
        match &socket.kind {
            Kind::Port(port) => (!port.waiting.is_empty(), false),
            Kind::Udp(port) => port.readiness(),
            Kind::Stream(stream) => stream.readiness(self.room(stream)),
        }
    }

    fn insert(&mut self, owner: Owner, at: SocketAddr, reuse: Reuse, kind: Kind) -> Key {
        let number = self.made;
        self.made += 1;
        let (interest, token, options) = (Interest::NONE, Token::NONE, Options::default());
        Key(self.sockets.insert(Socket { owner, number, at, reuse, interest, token, options, kind }))
    }

    fn get(&mut self, key: Key) -> io::Result<&mut Socket> {
        Ok(self.sockets.get_mut(key.0).ok_or(Errno::BADF)?)
    }

    fn stream(&mut self, key: Key) -> io::Result<&mut Stream> {
        match &mut self.get(key)?.kind {
            Kind::Stream(stream) => Ok(stream),
            Kind::Port(_) | Kind::Udp(_) => Err(Errno::OPNOTSUPP.into()),
        }
    }

    fn udp(&mut self, key: Key) -> io::Result<&mut UdpPort> {
        match &mut self.get(key)?.kind {
            Kind::Udp(port) => Ok(port),
            Kind::Port(_) | Kind::Stream(_) => Err(Errno::OPNOTSUPP.into()),
        }
    }

    /// The address, with a port that is free, if nobody is in the way.
    fn bind_to(&mut self, protocol: Protocol, at: SocketAddr, reuse: Reuse) -> io::Result<SocketAddr> {
        let sockets = &self.sockets;
        let is_taken = |at: SocketAddr| {
            let taken = |other: &Socket| {
                other.protocol() == protocol
                    && other.at.port() == at.port()
                    && addresses::overlap(other.at.ip(), at.ip())
                    && !shares(protocol, reuse, other)
            };
            sockets.iter().any(|(_, other)| taken(other))
        };
        self.addresses.bind(protocol, at, is_taken)
    }

    /// The sockets of that kind that are bound there: those at the very address, or else those at any.
    fn bound(&self, to: SocketAddr, kind: impl Fn(&Socket) -> bool) -> Vec<Key> {
        let here = |rank: u8| {
            let all = self.sockets.iter().filter(|(_, socket)| kind(socket));
            let here = all.filter(|(_, socket)| addresses::rank(socket.at, to) == Some(rank));
            here.map(|(key, _)| Key(key)).collect::<Vec<_>>()
        };
        let exact = here(0);
        if exact.is_empty() { here(1) } else { exact }
    }

    pub(super) fn watch(&mut self, key: Key, token: Token, interest: Interest) -> io::Result<()> {
        let socket = self.get(key)?;
        (socket.token, socket.interest) = (token, interest);
        self.changed(key);
        Ok(())
    }

    pub(in crate::testing) fn local_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        Ok(self.get(key)?.at)
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
            SocketOption::Join(membership) => return self.udp(key)?.join(group(membership)?),
            SocketOption::Leave(membership) => return self.udp(key)?.leave(group(membership)?),
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
            Kind::Udp(_) => format!("a UDP port at {at}"),
        })
        .collect()
    }

    /// Closes a socket, whatever it is.
    pub(in crate::testing) fn close(&mut self, key: Key) {
        self.note(key, What::Close, &Ok(()), |()| Came::Done);
        self.end(key, false);
    }

    /// Closes a connection with a reset.
    pub(in crate::testing) fn reset(&mut self, key: Key) {
        self.note(key, What::Abort, &Ok(()), |()| Came::Done);
        self.end(key, true);
    }

    fn end(&mut self, key: Key, reset: bool) {
        let Some(socket) = self.sockets.try_remove(key.0) else { return };
        if let Some(candidates) = self.candidates.get_mut(&socket.owner) {
            candidates.remove(&key.0);
        }
        self.rouse(key);
        match socket.kind {
            Kind::Stream(stream) => self.part(stream, reset),
            // Who was not accepted yet is reset.
            Kind::Port(port) => port.waiting.into_iter().for_each(|waiting| self.end(waiting, true)),
            Kind::Udp(_) => {}
        }
    }
}

/// The group of a membership; its interface is the only one, but is named as the family does.
fn group(Membership { group, interface }: Membership) -> io::Result<IpAddr> {
    if group.is_ipv6() {
        interface.map(Interface::index).transpose()?;
    }
    Ok(group)
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
