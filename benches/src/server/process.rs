//! A server as a child process.

use std::io::{self, ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Seconds a server may take to say that it listens.
const START: i64 = 10;

/// A running program; dropping it kills it.
pub struct Process {
    child: Child,
    /// Where the server listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts a server with the affinity of this thread and reads where it listens.
    ///
    /// # Errors
    ///
    /// It cannot be started, ends at once, or does not say where it listens.
    pub fn start(mut command: Command) -> io::Result<Process> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("{}: {e}", command.get_program().to_string_lossy()))
        })?;
        let mut process = Process { child, address: (Ipv4Addr::UNSPECIFIED, 0).into() };
        process.address = read_address(process.child.stdout.as_mut().expect("stdout is piped"))?;
        Ok(process)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_address(stdout: &mut ChildStdout) -> io::Result<SocketAddr> {
    let deadline = Timespec { tv_sec: START, tv_nsec: 0 };
    let mut line = String::new();
    while !line.ends_with('\n') {
        if poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&deadline))? == 0 {
            return Err(io::Error::new(ErrorKind::TimedOut, "no `listening` line"));
        }
        let mut byte = [0];
        if stdout.read(&mut byte)? == 0 {
            return Err(io::Error::other("it ended without a `listening` line"));
        }
        line.push(char::from(byte[0]));
    }
    let address = line.trim_end().strip_prefix("listening ").and_then(|text| text.parse().ok());
    address.ok_or_else(|| io::Error::other(format!("expected `listening ADDRESS`, got {line:?}")))
}
