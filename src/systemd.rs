//! Socket activation: the listening sockets that a service manager has opened, and gives the process that it starts.
//!
//! ```no_run
//! use twistor::{Context, Protocol, Reactor, factory, systemd::ListenFds};
//! struct Echo;
//! impl Protocol for Echo {
//!     fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) { cx.write(data) }
//! }
//! // At the beginning of `main`, before there is another thread.
//! let mut inherited = ListenFds::from_environment()?;
//! let reactor = Reactor::new()?;
//! // With `FileDescriptorName=web` in the .socket file; without a manager, a port of its own.
//! match inherited.take("web") {
//!     Some(socket) => reactor.adopt_stream_port(socket, factory(|_peer| Echo))?,
//!     None => reactor.listen_tcp(8007, factory(|_peer| Echo))?,
//! };
//! reactor.run()?;
//! # Ok::<(), twistor::Failure>(())
//! ```
//! `systemd-socket-activate -l 8007 --fdname=web target/debug/PROGRAM` starts it so without a manager.

use listenfd::ListenFd;
use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt, io,
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    process,
};

/// The sockets that the process was started with, each with its name; from [`from_environment`](Self::from_environment).
///
/// Each is taken once. Those that are left when this is dropped are closed, and a warning names them.
#[derive(Debug, Default)]
#[doc(alias = "ListenFDs")]
pub struct ListenFds {
    /// In the order of the manager. None: taken.
    sockets: Vec<(String, Option<OwnedFd>)>,
}

/// What sd_listen_fds_with_names(3) calls a descriptor that has no name.
const UNNAMED: &str = "unknown";

/// No process is given more: a larger number is a mistake, and not worth a look at each.
const MOST: usize = 65_536;

impl ListenFds {
    /// Those that `LISTEN_FDS` tells of, if `LISTEN_PID` is this process. None of them is inherited by a child.
    ///
    /// The two variables are removed: a second call, and a child, find nothing. The order of the sockets is the manager's; it promises none, so give them names,
    /// by which `LISTEN_FDNAMES` tells them apart. Without that they are all named `unknown`.
    ///
    /// Call it at the beginning of `main`: while other threads read or write the environment, to change it is not sound on any UNIX.
    ///
    /// # Errors
    /// [`ListenFdsError`] if what the environment says makes no sense, or one of the descriptors is no socket of IPv4, IPv6 or UNIX.
    ///
    /// # Examples
    /// ```
    /// use twistor::systemd::ListenFds;
    /// // Not started by a manager.
    /// let mut inherited = ListenFds::from_environment()?;
    /// assert!(inherited.is_empty() && inherited.take("web").is_none());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "fromEnvironment")]
    pub fn from_environment() -> Result<ListenFds, ListenFdsError> {
        let Some(count) = told(|name| env::var(name).ok(), process::id())? else {
            return Ok(ListenFds::default());
        };
        let names = names(env::var("LISTEN_FDNAMES").ok(), count)?;
        let mut inherited = ListenFd::from_env();
        let mut sockets = vec![];
        for (index, name) in names.into_iter().enumerate() {
            let socket = take(&mut inherited, index)
                .map_err(|cause| ListenFdsError::NotASocket { name: name.clone(), cause })?;
            sockets.push((name, Some(socket)));
        }
        Ok(ListenFds { sockets })
    }

    /// The first one of this name that is there still.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.sockets.iter_mut().filter(|(other, _)| other == name).find_map(|(_, socket)| socket.take())
    }

    /// The one at this place in the manager's order, from 0, if it is there still.
    pub fn take_at(&mut self, index: usize) -> Option<OwnedFd> {
        self.sockets.get_mut(index)?.1.take()
    }

    /// All that are there still, in the manager's order.
    #[doc(alias = "inheritedDescriptors")]
    pub fn inherited_descriptors(&mut self) -> Vec<OwnedFd> {
        self.sockets.iter_mut().filter_map(|(_, socket)| socket.take()).collect()
    }

    /// All that are there still, by name: several may have one.
    #[doc(alias = "inheritedNamedDescriptors")]
    pub fn inherited_named_descriptors(&mut self) -> BTreeMap<String, Vec<OwnedFd>> {
        let mut named = BTreeMap::<_, Vec<_>>::new();
        for (name, socket) in &mut self.sockets {
            if let Some(socket) = socket.take() {
                named.entry(name.clone()).or_default().push(socket);
            }
        }
        named
    }

    /// The names of those that are there still.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sockets.iter().filter(|(_, socket)| socket.is_some()).map(|(name, _)| &**name)
    }

    /// How many are there still.
    pub fn len(&self) -> usize {
        self.names().count()
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for ListenFds {
    fn drop(&mut self) {
        for name in self.names() {
            tracing::warn!("the inherited socket {name:?} was not taken, and is closed");
        }
    }
}

/// How many sockets there are, if they are for the process of this number.
fn told(read: impl Fn(&str) -> Option<String>, process: u32) -> Result<Option<usize>, ListenFdsError> {
    let (Some(pid), Some(count)) = (read("LISTEN_PID"), read("LISTEN_FDS")) else { return Ok(None) };
    let no_number = |variable, text: &String| ListenFdsError::NoNumber { variable, text: text.clone() };
    if pid.parse::<u32>().map_err(|_| no_number("LISTEN_PID", &pid))? != process {
        return Ok(None); // they were for the one that has started this one
    }
    match count.parse() {
        Ok(number) if number <= MOST => Ok(Some(number)),
        _ => Err(no_number("LISTEN_FDS", &count)),
    }
}

/// The names of so many.
fn names(told: Option<String>, count: usize) -> Result<Vec<String>, ListenFdsError> {
    let Some(told) = told.filter(|told| !told.is_empty()) else {
        return Ok(vec![UNNAMED.to_string(); count]);
    };
    let names: Vec<String> = told.split(':').map(str::to_string).collect();
    if names.len() != count {
        return Err(ListenFdsError::Names { names: names.len(), sockets: count });
    }
    Ok(names)
}

/// As whatever socket it is; then nothing else of the process has it.
fn take(inherited: &mut ListenFd, index: usize) -> io::Result<OwnedFd> {
    let taken = |socket: Option<OwnedFd>| socket.ok_or_else(|| io::ErrorKind::NotFound.into());
    if let Ok(stream) = inherited.take_tcp_listener(index) {
        return taken(stream.map(OwnedFd::from));
    }
    if let Ok(stream) = inherited.take_unix_listener(index) {
        return taken(stream.map(|stream: UnixListener| stream.into()));
    }
    if let Ok(datagrams) = inherited.take_udp_socket(index) {
        return taken(datagrams.map(OwnedFd::from));
    }
    taken(inherited.take_unix_datagram(index)?.map(|datagrams: UnixDatagram| datagrams.into()))
}

/// What is wrong with the sockets that the process was started with.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenFdsError {
    /// A variable is no number, or one that cannot be.
    #[non_exhaustive]
    NoNumber {
        /// `LISTEN_PID` or `LISTEN_FDS`.
        variable: &'static str,
        /// What it is.
        text: String,
    },
    /// `LISTEN_FDNAMES` has more or fewer names than there are sockets.
    #[non_exhaustive]
    Names {
        /// How many names.
        names: usize,
        /// How many sockets.
        sockets: usize,
    },
    /// A descriptor is closed, or no socket of IPv4, IPv6 or UNIX.
    #[non_exhaustive]
    NotASocket {
        /// Its name.
        name: String,
        /// What was found.
        cause: io::Error,
    },
}

impl Error for ListenFdsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ListenFdsError::NotASocket { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for ListenFdsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenFdsError::NoNumber { variable, text } => {
                write!(f, "{variable} is {text:?}, which is no number that a service manager gives")
            }
            ListenFdsError::Names { names, sockets } => {
                write!(f, "LISTEN_FDNAMES has {names} names for {sockets} sockets")
            }
            ListenFdsError::NotASocket { name, .. } => write!(
                f,
                "the inherited descriptor {name:?} is no socket of IPv4, IPv6 or UNIX; look at the Listen lines of the .socket file"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pid: Option<&str>, fds: Option<&str>) -> Result<Option<usize>, String> {
        let of = |name: &str| if name == "LISTEN_PID" { pid } else { fds }.map(str::to_string);
        told(of, 7).map_err(|error| error.to_string())
    }

    #[test]
    fn they_are_for_the_process_that_is_named() {
        assert_eq!(count(Some("7"), Some("2")), Ok(Some(2)));
        assert_eq!(count(Some("7"), Some("0")), Ok(Some(0)));
        assert_eq!(count(Some("8"), Some("2")), Ok(None));
        assert_eq!(count(Some("8"), Some("what")), Ok(None), "another one's");
        assert_eq!(count(None, Some("2")), Ok(None));
        assert_eq!(count(Some("7"), None), Ok(None));
    }

    #[test]
    fn what_is_no_number_is_told() {
        for fds in ["", "-1", "two", "65537", "99999999999999999999"] {
            let told = format!("LISTEN_FDS is {fds:?}, which is no number that a service manager gives");
            assert_eq!(count(Some("7"), Some(fds)), Err(told));
        }
        assert!(count(Some("me"), Some("1")).is_err());
    }

    #[test]
    fn there_are_as_many_names_as_sockets_or_none() {
        let names =
            |told: &str, count| names(Some(told.to_string()), count).map_err(|error| error.to_string());
        assert_eq!(names("web:admin", 2), Ok(vec!["web".into(), "admin".into()]));
        assert_eq!(names("web::x", 3), Ok(vec!["web".into(), String::new(), "x".into()]));
        assert_eq!(names("", 1), Ok(vec!["unknown".into()]));
        assert_eq!(names("web", 2), Err("LISTEN_FDNAMES has 1 names for 2 sockets".into()));
        assert_eq!(super::names(None, 2).unwrap(), ["unknown", "unknown"]);
    }
}
