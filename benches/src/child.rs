//! A server as a child process, and what the kernel says it has used.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use twistor_bench::Mode;

/// Seconds a server may take to say that it listens.
const START: i64 = 10;
/// How long to wait for a server to fall asleep before it is measured as it is.
const SETTLE: Duration = Duration::from_millis(20);

/// A running server; dropping it kills the process.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Time of all threads of a process since it began.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// On a processor, user and system together.
    pub ran: Duration,
    /// Ready to run, but waiting for a processor.
    pub waited: Duration,
}

impl Server {
    /// Starts `path MODE 0` with the affinity of this thread and reads where it listens.
    pub fn start(path: &Path, mode: Mode) -> io::Result<Server> {
        let child = Command::new(path)
            .args([mode.name(), "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut server = Server { child, address: (Ipv4Addr::UNSPECIFIED, 0).into() };
        server.address = server.read_address()?;
        Ok(server)
    }

    fn read_address(&mut self) -> io::Result<SocketAddr> {
        let stdout = self.child.stdout.as_mut().expect("stdout is piped");
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

    /// What the server has used so far, taken when all its threads sleep: only then are the
    /// kernel's nanosecond counters up to date.
    pub fn usage(&self) -> io::Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let start = Instant::now();
        loop {
            let mut total = Usage::default();
            let mut asleep = true;
            for task in fs::read_dir(format!("{process}/task"))? {
                let task = task?.path();
                // A thread may end meanwhile.
                let Ok((state, _)) = stat(&task) else { continue };
                asleep &= state == "S";
                // Absent in some kernels; then the process's own counters below are all there is.
                let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
                let mut fields = text.split(' ').map(|n| Duration::from_nanos(n.parse().unwrap_or(0)));
                total.ran += fields.next().unwrap_or_default();
                total.waited += fields.next().unwrap_or_default();
            }
            if asleep || start.elapsed() > SETTLE {
                // Coarse, but counts threads that have ended.
                total.ran = total.ran.max(stat(process.as_ref())?.1);
                return Ok(total);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// State and processor time from the `stat` file of a process or thread.
fn stat(of: &Path) -> io::Result<(String, Duration)> {
    let text = fs::read_to_string(of.join("stat"))?;
    // The name before the last parenthesis may hold anything.
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    if let [state, _, _, _, _, _, _, _, _, _, _, user, system, ..] = fields[..]
        && let (Ok(user), Ok(system)) = (user.parse::<u64>(), system.parse::<u64>())
    {
        let tick = rustix::param::clock_ticks_per_second();
        let ran = Duration::from_secs(user + system) / tick as u32;
        return Ok((state.to_owned(), ran));
    }
    Err(io::Error::other(format!("cannot read {}/stat", of.display())))
}
