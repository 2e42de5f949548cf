//! What happened in a simulation, for a person to read and for two runs to compare.

use super::{
    faults::Fault,
    network::{NOBODY, Owner},
};
use std::{collections::VecDeque, fmt, io, net::SocketAddr, time::Duration};

/// So many lines are kept, the last ones. All of them are in the hash.
const KEPT: usize = 20_000;

/// What happened in a [`Simulation`](super::Simulation), a line for each call on a socket, each fault and each sleep; from
/// [`Simulation::trace`](super::Simulation::trace).
///
/// A line has the time in seconds, the number of the reactor (`test` for the test's own sockets), the number of the socket and what it was asked, with what came
/// of it. Faults have lines of their own, before what they changed. The same seed gives the same lines, on any machine.
///
/// # Examples
/// ```
/// use twistor::{Factory, Protocol, factory, testing::Simulation};
/// struct Silent;
/// impl Protocol for Silent {}
/// let sim = Simulation::new();
/// let reactor = sim.reactor();
/// reactor.listen_tcp(7, factory(|_peer| Silent))?;
/// let peer = sim.connect(([127, 0, 0, 1], 7))?;
/// peer.send("hello")?;
/// sim.pump();
/// let text = sim.trace().to_string();
/// assert_eq!(text.lines().last(), Some("0.000000000 reactor 0 #2 receive: 5 of 262144"));
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone)]
pub struct Trace {
    lines: VecDeque<Line>,
    length: u64,
    hash: u64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    at: Duration,
    owner: Owner,
    /// How many sockets were made before it; none for what is of no socket.
    socket: Option<u64>,
    what: What,
    came: Came,
}

/// What a socket was asked, or what happened to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Listen,
    Bind,
    Connect,
    ConnectDatagrams,
    Accept,
    Connected,
    Receive,
    Send,
    ReceiveFrom,
    SendTo,
    Shutdown,
    Close,
    Abort,
    /// The clock went on, since all slept.
    Clock,
    Fault(Fault),
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Came {
    Done,
    /// So many, of so many that could have been.
    Length(usize, usize),
    At(SocketAddr),
    Error(i32),
}

impl Came {
    pub(super) fn of<T>(result: &io::Result<T>, came: impl FnOnce(&T) -> Came) -> Came {
        match result {
            Ok(value) => came(value),
            // What has no number is of the simulation's own making.
            Err(error) => Came::Error(error.raw_os_error().unwrap_or(0)),
        }
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { lines: VecDeque::new(), length: 0, hash: BASIS }
    }
}

/// FNV-1a of 64 bits, by Fowler, Noll and Vo: the offset basis and the prime.
const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

impl Trace {
    pub(super) fn add(&mut self, at: Duration, owner: Owner, socket: Option<u64>, what: What, came: Came) {
        let line = Line { at, owner, socket, what, came };
        self.length += 1;
        self.hash = line.numbers().into_iter().flat_map(u64::to_le_bytes).fold(self.hash, fnv);
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A number that is the same for the same trace, and hardly for another.
    ///
    /// It is FNV-1a over all that is in the lines, those too that are not kept.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The last lines, at most so many, each as [`Display`](fmt::Display) shows it.
    pub fn tail(&self, at_most: usize) -> impl Iterator<Item = String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(at_most)).map(Line::to_string)
    }
}

fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(PRIME)
}

impl Line {
    /// All that is in it.
    fn numbers(&self) -> [u64; 6] {
        let (kind, one, two) = match self.came {
            Came::Done => (0, 0, 0),
            Came::Length(some, all) => (1, some as u64, all as u64),
            Came::At(address) => (2, address.port().into(), of_address(address)),
            Came::Error(number) => (3, number as u64, 0),
        };
        let place =
            (self.owner as u64) << 32 | self.socket.map_or(u32::MAX.into(), |number| number & 0xFFFF_FFFF);
        [self.at.as_nanos() as u64, place, self.what.number(), kind, one, two]
    }
}

/// The address itself, mixed into one number.
fn of_address(address: SocketAddr) -> u64 {
    match address {
        SocketAddr::V4(address) => u64::from(address.ip().to_bits()),
        SocketAddr::V6(address) => address.ip().octets().into_iter().fold(BASIS, fnv),
    }
}

impl What {
    fn number(self) -> u64 {
        match self {
            What::Listen => 0,
            What::Bind => 1,
            What::Connect => 2,
            What::ConnectDatagrams => 3,
            What::Accept => 4,
            What::Connected => 5,
            What::Receive => 6,
            What::Send => 7,
            What::ReceiveFrom => 8,
            What::SendTo => 9,
            What::Shutdown => 10,
            What::Close => 11,
            What::Abort => 12,
            What::Clock => 13,
            What::Fault(kind) => 64 + kind as u64,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Listen => "listen",
            What::Bind => "bind",
            What::Connect => "connect",
            What::ConnectDatagrams => "connect datagrams",
            What::Accept => "accept",
            What::Connected => "connected",
            What::Receive => "receive",
            What::Send => "send",
            What::ReceiveFrom => "receive from",
            What::SendTo => "send to",
            What::Shutdown => "end",
            What::Close => "close",
            What::Abort => "abort",
            What::Clock => "all sleep until now",
            What::Fault(kind) => return write!(f, "fault: {kind}"),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { at, owner, socket, what, came } = self;
        write!(f, "{}.{:09}", at.as_secs(), at.subsec_nanos())?;
        match (*owner, socket) {
            (NOBODY, None) => {}
            (NOBODY, Some(number)) => write!(f, " test #{number}")?,
            (owner, None) => write!(f, " reactor {owner}")?,
            (owner, Some(number)) => write!(f, " reactor {owner} #{number}")?,
        }
        write!(f, " {what}")?;
        match came {
            Came::Done => Ok(()),
            Came::Length(some, all) => write!(f, ": {some} of {all}"),
            Came::At(address) => write!(f, ": {address}"),
            Came::Error(0) => f.write_str(": error"),
            Came::Error(number) => write!(f, ": error {number}{}", name(*number)),
        }
    }
}

/// The names of the errors that there are here.
fn name(number: i32) -> &'static str {
    match number {
        9 => " EBADF",
        11 => " EAGAIN",
        13 => " EACCES",
        22 => " EINVAL",
        24 => " EMFILE",
        32 => " EPIPE",
        107 => " ENOTCONN",
        90 => " EMSGSIZE",
        98 => " EADDRINUSE",
        99 => " EADDRNOTAVAIL",
        101 => " ENETUNREACH",
        104 => " ECONNRESET",
        111 => " ECONNREFUSED",
        _ => "",
    }
}

/// All lines that are kept.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropped = self.length - self.lines.len() as u64;
        if dropped > 0 {
            writeln!(f, "({dropped} lines before these are not kept)")?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} lines, hash {:016x})", self.length, self.hash)
    }
}
