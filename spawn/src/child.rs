//! A child that was started: its end, and signals to it.

#[cfg(target_os = "linux")]
use crate::reaper;
use crate::{handover::Bell, raw};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

/// How a child has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal.
    Killed {
        /// Its number.
        signal: i32,
        /// Whether it has left a core dump.
        core: bool,
    },
    /// It has, but nobody knows how: somebody else in this process has waited for it, or SIGCHLD is ignored here.
    Unknown,
}

/// A child process.
///
/// As a descriptor ([`AsFd`]) it becomes readable when the child has ended; nothing is to be read from it. Then [`try_wait`](Child::try_wait) tells how.
/// Dropped before, it is no zombie: somebody waits for it.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    watch: Watch,
    ended: Option<Status>,
}

/// How its end is told.
#[derive(Debug)]
enum Watch {
    /// By the kernel.
    #[cfg(target_os = "linux")]
    Pidfd(Arc<OwnedFd>),
    /// By a thread that waits for this child alone, where the kernel cannot.
    Thread(Bell),
}

impl Child {
    /// Takes a child over that nobody else waits for. If that cannot be, it is killed.
    pub(crate) fn watch(pid: u32) -> io::Result<Child> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the system's number of a process");
        match Watch::new(pid) {
            Ok(watch) => Ok(Child { pid, watch, ended: None }),
            Err(error) => {
                let _ = kill_process(pid, Signal::KILL); // it has not been waited for: the number is still its own
                let _ = wait(WaitId::Pid(pid), WaitIdOptions::EXITED); // at once, unless a call of its own cannot be interrupted
                Err(error)
            }
        }
    }

    /// The same without a pidfd.
    #[cfg(test)]
    pub(crate) fn watch_by_thread(pid: u32) -> io::Result<Child> {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
        Ok(Child { pid, watch: Watch::Thread(Bell::hang(pid)?), ended: None })
    }

    /// Its number. Once it has been waited for it may be another process's.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it has ended, or nothing if it runs. It is waited for here, and only here and in [`wait`](Child::wait).
    ///
    /// # Errors
    /// What the system said, if it could not tell.
    pub fn try_wait(&mut self) -> io::Result<Option<Status>> {
        if self.ended.is_none() {
            self.ended = wait(self.watch.id(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        }
        Ok(self.ended)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// What the system said, if it could not tell.
    pub fn wait(&mut self) -> io::Result<Status> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            // By its descriptor: who has a copy of that may have made it such that no call blocks.
            match poll(&mut [PollFd::new(self, PollFlags::IN)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends it a signal, by number; 0 sends none and only asks. A child that has ended, but was not waited for, takes it and does nothing.
    ///
    /// # Errors
    /// `ESRCH` if it has been waited for; `EINVAL` if there is no such signal; `EPERM` if it may not be sent.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        if self.ended.is_some() {
            return Err(Errno::SRCH.into());
        }
        raw::send(self.pid, self.watch.pidfd(), signal)
    }

    /// A second handle of [`AsFd`]'s descriptor, for who must own what is polled.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub fn bell(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}

impl Watch {
    fn new(pid: Pid) -> io::Result<Watch> {
        #[cfg(target_os = "linux")]
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
            && wait(
                WaitId::PidFd(pidfd.as_fd()),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
            )
            .is_ok()
        {
            // Linux 5.3 has a pidfd and does not wait by it.
            return Ok(Watch::Pidfd(Arc::new(pidfd)));
        }
        Bell::hang(pid).map(Watch::Thread)
    }

    /// Whom to wait for.
    fn id(&self, pid: Pid) -> WaitId<'_> {
        match self.pidfd() {
            #[cfg(target_os = "linux")]
            Some(pidfd) => WaitId::PidFd(pidfd),
            _ => WaitId::Pid(pid),
        }
    }

    fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            #[cfg(target_os = "linux")]
            Watch::Pidfd(pidfd) => Some(pidfd.as_fd()),
            Watch::Thread(_) => None,
        }
    }
}

/// Waits for an end, by the options as long as it takes or not at all.
pub(crate) fn wait(whom: WaitId<'_>, options: WaitIdOptions) -> io::Result<Option<Status>> {
    loop {
        match waitid(whom.clone(), options) {
            Ok(status) => return Ok(status.map(Status::from)),
            Err(Errno::CHILD) => return Ok(Some(Status::Unknown)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl From<WaitIdStatus> for Status {
    fn from(status: WaitIdStatus) -> Status {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Status::Exited(code),
            (_, Some(signal)) => Status::Killed { signal, core: status.dumped() },
            _ => Status::Unknown,
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.watch {
            #[cfg(target_os = "linux")]
            Watch::Pidfd(pidfd) => pidfd.as_fd(),
            Watch::Thread(bell) => bell.as_fd(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.try_wait(), Ok(Some(_))) {
            return;
        }
        match &self.watch {
            #[cfg(target_os = "linux")]
            Watch::Pidfd(pidfd) => reaper::leave(pidfd.clone()),
            Watch::Thread(bell) => bell.leave(self.pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        path::Path,
        process::{Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    #[expect(clippy::zombie_processes, reason = "this module is what waits for it")]
    /// A child that exits with the code it is told, and the pipe to tell it.
    fn child() -> (Child, std::process::ChildStdin) {
        let mut child =
            Command::new("sh").args(["-c", "read code; exit $code"]).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (Child::watch_by_thread(child.id()).unwrap(), stdin)
    }

    fn readable(child: &Child) {
        let mut bell = child.bell().unwrap();
        let mut byte = [0];
        assert_eq!(
            rustix::io::read(&mut bell, &mut byte).unwrap(),
            1,
            "it waits, and then there is something"
        );
    }

    #[test]
    fn without_a_pidfd_a_thread_tells_of_the_end() {
        let (mut child, mut stdin) = child();
        assert_eq!(child.try_wait().unwrap(), None);
        stdin.write_all(b"9\n").unwrap();
        readable(&child);
        assert_eq!(child.try_wait().unwrap(), Some(Status::Exited(9)));
        assert_eq!(child.signal(9).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn without_a_pidfd_a_signal_is_sent_by_the_number() {
        let (mut child, _stdin) = child();
        child.signal(libc::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap(), Status::Killed { signal: libc::SIGTERM, core: false });
    }

    #[test]
    fn without_a_pidfd_nobody_is_left_a_zombie() {
        let (left, stdin) = child();
        let (ended, mut told) = child();
        let pids = [left.pid(), ended.pid()];
        drop(left);
        drop(stdin);
        told.write_all(b"1\n").unwrap();
        readable(&ended);
        drop(ended);
        let until = Instant::now() + Duration::from_secs(20);
        while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            assert!(Instant::now() < until, "one is still there");
            thread::yield_now();
        }
    }
}
