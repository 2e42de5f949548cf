//! The live tree of a program that runs: at a signal on its standard error, or on a UNIX socket for who asks.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | [`listen`], [`print_on_sigusr1`]: the lines that switch it on |
//! | `door` | the UNIX socket: who may come in, and what becomes of its file |
//! | `visitor` | one who asks: the question, the copying, the answer |
//! | `signal` | SIGUSR1 |
//! | `copying` | a snapshot in slices, a turn each |
//! | `question` | what may be asked, and the answer |
//!
//! Both are read-only: there is nothing to type that a program would run. While nobody asks they cost nothing: a descriptor in the poll set, no timer, no
//! task, no wake-up. Who asks costs a copy of plain data, in slices of 4,096 things a turn (of the timers a list of pointers first, at once); sorting and writing are done on another thread.
//!
//! The page [`live_tree`](crate::manual::live_tree) shows how to read what they give.

mod copying;
mod door;
mod question;
mod signal;
mod visitor;

use crate::{failure::Result, reactor::Reactor};
use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

/// Serves the live tree on a UNIX socket at this path, until the run of the reactor has ended. Only the user of the process may connect: its mode is 0600.
///
/// Whoever connects may send one line, `tree`, `json`, `lints` or `lints SECONDS`, and is sent the text, and an end. Without a line it is the tree: at the end
/// of what is sent, or after a quarter of a second. `socat - UNIX-CONNECT:/run/prog.sock </dev/null` shows it, or `nc -U`.
///
/// A socket that a program left behind which is not there any more is replaced. At the end of the run the file is removed. Give each program a path of its
/// own: of two that open the same one in the same instant, the later may take the first one, which does not listen yet, for such a relic.
///
/// # Errors
/// [`ManholeError`]: another program listens there, there is a file that is no socket, the system refuses, or the reactor is a virtual one.
///
/// # Examples
/// ```
/// use std::{io::{Read, Write}, os::unix::net::UnixStream};
/// use twistor::{Reactor, manhole};
///
/// let path = std::env::temp_dir().join(format!("twistor-{}.sock", std::process::id()));
/// let reactor = Reactor::new()?;
/// manhole::listen(&reactor, &path)?;
/// assert!(manhole::listen(&reactor, &path).unwrap_err().to_string().contains("something listens there"));
///
/// // Somebody else, while it runs.
/// let remote = reactor.remote();
/// let asks = std::thread::spawn({
///     let path = path.clone();
///     move || -> std::io::Result<String> {
///         let (mut stream, mut tree) = (UnixStream::connect(path)?, String::new());
///         stream.write_all(b"tree\n")?;
///         stream.read_to_string(&mut tree)?;
///         remote.call_from_thread(|reactor| reactor.stop().expect("it runs")).expect("it is there");
///         Ok(tree)
///     }
/// });
/// reactor.run()?;
/// assert!(asks.join().expect("no panic")?.starts_with("reactor  up "));
/// assert!(!path.exists());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "conch.manhole")]
pub fn listen(reactor: &Reactor, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    if reactor.is_virtual() {
        return Err(ManholeError::Virtual.into());
    }
    Ok(door::open(&reactor.core, path)?)
}

/// Prints the live tree to standard error at each SIGUSR1, until the run of the reactor has ended. After that the signal does nothing.
///
/// Of several reactors that were switched on each prints its own.
///
/// # Errors
/// [`ManholeError`]: the system refuses, or the reactor is a virtual one.
///
/// # Examples
/// ```no_run
/// use twistor::{Reactor, manhole};
/// let reactor = Reactor::new()?;
/// manhole::print_on_sigusr1(&reactor)?; // then: kill -USR1 PID
/// reactor.run()?;
/// # Ok::<(), twistor::Failure>(())
/// ```
pub fn print_on_sigusr1(reactor: &Reactor) -> Result<()> {
    if reactor.is_virtual() {
        return Err(ManholeError::Virtual.into());
    }
    signal::install(&reactor.core).map_err(|cause| ManholeError::System { what: "SIGUSR1".into(), cause })?;
    Ok(())
}

/// Why the live tree cannot be shown.
#[derive(Debug)]
#[non_exhaustive]
pub enum ManholeError {
    /// Something listens at this path already.
    InUse(PathBuf),
    /// There is something at this path that is no socket. It is left as it is.
    NotASocket(PathBuf),
    /// The system refused.
    #[non_exhaustive]
    System {
        /// The path, or the signal.
        what: String,
        /// What it said.
        cause: io::Error,
    },
    /// The reactor is a virtual one: it has neither descriptors nor signals.
    Virtual,
}

impl Error for ManholeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ManholeError::System { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for ManholeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManholeError::InUse(path) => {
                let path = path.display();
                write!(f, "no manhole at {path}: something listens there; stop it, or take another path")
            }
            ManholeError::NotASocket(path) => {
                let path = path.display();
                write!(f, "no manhole at {path}: that is a file and no socket; take another path")
            }
            ManholeError::System { what, .. } => {
                write!(f, "no manhole at {what}: the system refused; the cause says why")
            }
            ManholeError::Virtual => f.write_str(
                "no manhole: a virtual reactor has neither descriptors nor signals; take its snapshot() in the test",
            ),
        }
    }
}
