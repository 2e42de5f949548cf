//! Of child processes.

use std::{error::Error, fmt, io};

plain! {
    /// A child process has ended with code 0.
    ProcessDone: "the process has ended with code 0";
    /// A signal to a child process that has ended.
    ProcessExitedAlready: "the process has exited already, and its number may be another one's; process_exited tells when";
}

/// A child process could not be started.
#[derive(Debug)]
pub struct SpawnError {
    executable: String,
    cause: io::Error,
}

impl SpawnError {
    pub(crate) fn new(executable: impl Into<String>, cause: io::Error) -> SpawnError {
        SpawnError { executable: executable.into(), cause }
    }

    /// What was to be run.
    pub fn executable(&self) -> &str {
        &self.executable
    }

    /// What the system said.
    pub fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.cause.kind() {
            io::ErrorKind::NotFound => {
                "there is no such file, no such directory to run it in, or no such interpreter of a script"
            }
            io::ErrorKind::PermissionDenied => {
                "it may not be executed, or not in that directory or by that user"
            }
            io::ErrorKind::Unsupported => {
                "this reactor is a simulation, which has no processes; give the code under test another way to run it"
            }
            _ => "the system refused",
        };
        write!(f, "cannot run {}: {advice}", self.executable)
    }
}

/// A child process has ended, and not with code 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProcessTerminated {
    /// The code it has exited with. None if it was ended by a signal.
    pub exit_code: Option<i32>,
    /// The signal that has ended it.
    pub signal: Option<i32>,
    /// Whether it has left a core dump.
    pub core: bool,
}

impl Error for ProcessTerminated {}

impl fmt::Display for ProcessTerminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.exit_code, self.signal) {
            (Some(code), _) => write!(f, "the process has ended with code {code}"),
            (None, Some(signal)) => {
                let core = if self.core { ", and has left a core dump" } else { "" };
                write!(f, "the process was ended by signal {signal}{core}")
            }
            (None, None) => f.write_str(
                "the process has ended, and nobody knows how: somebody else in this program has waited for it, or ignores SIGCHLD",
            ),
        }
    }
}

/// No pipe leads to this descriptor of the child process, or it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoChildPipe {
    /// The child's number of it.
    pub descriptor: i32,
}

impl Error for NoChildPipe {}

impl fmt::Display for NoChildPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptor = self.descriptor;
        write!(
            f,
            "no pipe leads to descriptor {descriptor} of the process, or it has ended; ask pipe({descriptor}) first"
        )
    }
}
