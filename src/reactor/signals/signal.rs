//! [`Signal`]: a signal of the system, by name or number.

use signal_hook::{consts, low_level};
use std::{error::Error, fmt, io, str::FromStr};

/// A signal of the system.
///
/// # Examples
/// ```
/// use twistor::reactor::Signal;
/// assert_eq!("HUP".parse(), Ok(Signal::HUP));
/// assert_eq!("SIGHUP".parse(), Ok(Signal::HUP));
/// assert_eq!(Signal::HUP.to_string(), "SIGHUP");
/// assert_eq!(Signal::from_raw(15), Some(Signal::TERM));
/// assert!("HUMP".parse::<Signal>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// The highest number that Linux has.
const LAST: i32 = 64;

impl Signal {
    /// The terminal was closed; for a program without one: read the configuration again.
    pub const HUP: Signal = Signal(consts::SIGHUP);
    /// Ctrl-C.
    pub const INT: Signal = Signal(consts::SIGINT);
    /// Ctrl-\\; ends the process with a core dump.
    pub const QUIT: Signal = Signal(consts::SIGQUIT);
    /// The process has called `abort`.
    pub const ABRT: Signal = Signal(consts::SIGABRT);
    /// Ends the process, whatever it does.
    pub const KILL: Signal = Signal(consts::SIGKILL);
    /// Of the program's own meaning.
    pub const USR1: Signal = Signal(consts::SIGUSR1);
    /// Of the program's own meaning.
    pub const USR2: Signal = Signal(consts::SIGUSR2);
    /// A write to a pipe that nobody reads. Rust's programs ignore it.
    pub const PIPE: Signal = Signal(consts::SIGPIPE);
    /// The timer of `alarm`.
    pub const ALRM: Signal = Signal(consts::SIGALRM);
    /// The process is asked to end.
    pub const TERM: Signal = Signal(consts::SIGTERM);
    /// A child has ended or stopped.
    pub const CHLD: Signal = Signal(consts::SIGCHLD);
    /// The process goes on.
    pub const CONT: Signal = Signal(consts::SIGCONT);
    /// Stops the process, whatever it does.
    pub const STOP: Signal = Signal(consts::SIGSTOP);
    /// Ctrl-Z.
    pub const TSTP: Signal = Signal(consts::SIGTSTP);
    /// The size of the terminal has changed.
    pub const WINCH: Signal = Signal(consts::SIGWINCH);

    /// The signal of that number, if there can be one: 1 to 64.
    pub fn from_raw(number: i32) -> Option<Signal> {
        (1..=LAST).contains(&number).then_some(Signal(number))
    }

    /// Its number.
    pub fn as_raw(self) -> i32 {
        self.0
    }

    /// Its name, such as `SIGHUP`. The real-time signals have none.
    pub fn name(self) -> Option<&'static str> {
        low_level::signal_name(self.0)
    }

    /// Whether nobody may hear it: the system gives it to no program, or it tells of a mistake of the code that runs, which a handler would go back to for ever.
    pub(super) fn is_forbidden(self) -> bool {
        consts::FORBIDDEN.contains(&self.0) || self.0 == consts::SIGBUS
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// By name, with or without `SIG`, or by number.
impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Signal, SignalError> {
        let is_named = |signal: &Signal| {
            signal.name().is_some_and(|name| name == text || name.strip_prefix("SIG") == Some(text))
        };
        let by_name = || (1..=LAST).map(Signal).find(is_named);
        let by_number = || Signal::from_raw(text.parse().ok()?);
        by_name().or_else(by_number).ok_or_else(|| SignalError::Unknown(text.into()))
    }
}

/// What cannot be done with a signal.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no signal of this name.
    Unknown(String),
    /// No program can hear it: the system does not let it, or it tells of a mistake of the code that runs, such as SIGSEGV.
    Forbidden(Signal),
    /// Nobody hears it, so that it would do what it does by default, which for most is to end the process. From [`raise`](crate::testing::raise()).
    Unheard(Signal),
    /// The system refused.
    #[non_exhaustive]
    System {
        /// The signal.
        signal: Signal,
        /// What it said.
        cause: io::Error,
    },
}

impl PartialEq for SignalError {
    /// Two refusals of the system are the same if they are of one kind.
    fn eq(&self, other: &SignalError) -> bool {
        match (self, other) {
            (SignalError::Unknown(one), SignalError::Unknown(two)) => one == two,
            (SignalError::Forbidden(one), SignalError::Forbidden(two))
            | (SignalError::Unheard(one), SignalError::Unheard(two)) => one == two,
            (
                SignalError::System { signal: one, cause: first },
                SignalError::System { signal: two, cause: second },
            ) => one == two && first.kind() == second.kind(),
            _ => false,
        }
    }
}

impl Error for SignalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SignalError::System { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignalError::Unknown(name) => {
                write!(
                    f,
                    "there is no signal {name:?}; a name is as SIGHUP or HUP, a number from 1 to {LAST}"
                )
            }
            SignalError::Forbidden(signal) => {
                write!(
                    f,
                    "{signal} cannot be heard: the system keeps it, or the code that it stops would meet it again at once"
                )
            }
            SignalError::Unheard(signal) => {
                write!(
                    f,
                    "nobody hears {signal}, and by default it may end the process; hear it with on_signal() first"
                )
            }
            SignalError::System { signal, .. } => {
                write!(f, "the system does not let this process hear {signal}")
            }
        }
    }
}
