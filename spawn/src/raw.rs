//! All unsafe code: what the child does between the fork and the exec, and a signal by its number.
//!
//! The child has one thread, and a copy of the memory as it was while other threads were at work in it: a lock may be held by a thread
//! that is not there. So until the exec nothing may allocate, lock or run somebody's code; what is called are system calls alone.
//! All memory that is needed is made before.

#![expect(
    unsafe_code,
    reason = "the child between fork and exec is nothing that std or rustix has a safe form for"
)]

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    process::{Pid, Resource, getrlimit, ioctl_tiocsctty, setsid},
};
use std::{
    io,
    mem::MaybeUninit,
    os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    process::Command,
    ptr,
    sync::Arc,
};

/// One more than the largest signal of Linux; elsewhere there are fewer, and the rest is refused.
const SIGNALS: libc::c_int = 65;

/// What a descriptor has open: device and inode.
pub(crate) type Identity = (libc::dev_t, libc::ino_t);

/// What there is to do.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The descriptor 0 becomes the terminal of a new session.
    pub(crate) terminal: bool,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) groups: Vec<libc::gid_t>,
    /// What is to be under which number.
    pub(crate) descriptors: Vec<(RawFd, Arc<OwnedFd>)>,
    /// What was there before the pipe of the exec's error was made.
    pub(crate) strangers: Vec<(RawFd, Option<Identity>)>,
}

/// Has the child do it.
pub(crate) fn prepare(command: &mut Command, setup: Setup) {
    let mut descriptors = Descriptors::new(&setup);
    let child = move || {
        setup.check_strangers()?;
        descriptors.put()?;
        setup.take_terminal()?;
        setup.change_user()?;
        reset_signals();
        descriptors.close_others();
        Ok(())
    };
    // SAFETY: the closure runs in the child, where it must not touch what another thread may have left half done: the allocator, locks, the
    // environment. It and what it calls, all of it in this file, make system calls and read and write memory that it owns: two vectors
    // whose length does not change. Errors are numbers in an `io::Error`, which does not allocate for them. Nothing of it is dropped: the
    // child ends with an exec or with `_exit`. It closes no descriptor that Rust code of the child could still use.
    unsafe { command.pre_exec(child) };
}

/// Whether the child found the pipe of the exec's error where its own descriptor is to be.
pub(crate) fn is_taken(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::BUSY.raw_os_error())
}

/// Sends a signal, 0 for none, to the process of the pidfd; without one by its number, of a child that was not waited for.
pub(crate) fn send(pid: Pid, pidfd: Option<BorrowedFd<'_>>, signal: i32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(pidfd) = pidfd {
        let pidfd = std::os::fd::AsRawFd::as_raw_fd(&pidfd);
        // SAFETY: it takes numbers, and no description of the signal, which may be left out. What is no signal is an error.
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, ptr::null::<libc::siginfo_t>(), 0)
        };
        return checked(sent as libc::c_int);
    }
    let _ = pidfd;
    // SAFETY: it takes numbers. What is no signal is an error.
    checked(unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) })
}

/// What is open under the number, if anything is.
pub(crate) fn identity(number: RawFd) -> Option<Identity> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is writable and of the type that fstat fills; a number that is not open is an error and nothing else.
    if unsafe { libc::fstat(number, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat returned 0, so it has filled it.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
}

impl Setup {
    fn check_strangers(&self) -> io::Result<()> {
        let changed = self.strangers.iter().any(|(number, before)| {
            let now = identity(*number);
            now.is_some() && now != *before
        });
        if changed { Err(Errno::BUSY.into()) } else { Ok(()) }
    }

    /// After the descriptors are in their places, and as the user that we are, who opened it.
    fn take_terminal(&self) -> io::Result<()> {
        if self.terminal {
            setsid()?;
            ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        Ok(())
    }

    /// The groups first, and the user last: they need the user that we are.
    fn change_user(&self) -> io::Result<()> {
        if self.uid.is_none() && self.gid.is_none() {
            return Ok(());
        }
        // SAFETY: the pointer and the length are of one vector, which is only read. The child has one thread, so that there is nobody
        // whom glibc would have to tell of the change.
        checked(unsafe { libc::setgroups(self.groups.len() as _, self.groups.as_ptr()) })?;
        if let Some(group) = self.gid {
            // SAFETY: it takes a number. As for the thread, see above.
            checked(unsafe { libc::setgid(group) })?;
        }
        if let Some(user) = self.uid {
            // SAFETY: it takes a number. As for the thread, see above.
            checked(unsafe { libc::setuid(user) })?;
        }
        Ok(())
    }
}

/// What is ignored here, as SIGHUP under nohup, is not ignored in the child. What has a handler is reset by the exec itself, the mask by std.
fn reset_signals() {
    for signal in 1..SIGNALS {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: no new action is given, and `action` is writable and of the type that is filled. A number that is no signal is an error.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            continue;
        }
        // SAFETY: sigaction returned 0, so it has filled it.
        if unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN {
            // SAFETY: the default action runs no code of ours, and no handler is lost: it was ignored.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// The map of descriptors, and room for what the child needs on the way.
struct Descriptors {
    map: Vec<(RawFd, Arc<OwnedFd>)>,
    /// The copies out of the way, in the order of `map`.
    lifted: Vec<RawFd>,
    /// The numbers in ascending order.
    wanted: Vec<RawFd>,
    /// No number is above, if the kernel has no close_range.
    limit: RawFd,
}

impl Descriptors {
    fn new(setup: &Setup) -> Descriptors {
        let map = setup.descriptors.clone();
        let mut wanted: Vec<_> = map.iter().map(|(number, _)| *number).collect();
        wanted.sort_unstable();
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20).min(1 << 20) as RawFd;
        Descriptors { lifted: vec![-1; map.len()], map, wanted, limit }
    }

    /// First all of them above the highest number that is wanted, so that none is overwritten before it is copied, also in a circle; then
    /// each to its place, where it stays open at the exec.
    fn put(&mut self) -> io::Result<()> {
        let above = self.wanted.last().map_or(0, |highest| highest.saturating_add(1));
        for ((_, descriptor), lifted) in self.map.iter().zip(&mut self.lifted) {
            *lifted = fcntl_dupfd_cloexec(&**descriptor, above)?.into_raw_fd();
        }
        for ((number, _), lifted) in self.map.iter().zip(&self.lifted) {
            // SAFETY: what was under `number` is closed by it. It is no descriptor that this child still uses: ours are lifted, and the
            // pipe of the exec's error is not there, which `check_strangers` has seen. Rust code that owned it does not run any more.
            checked(unsafe { libc::dup2(*lifted, *number) })?;
        }
        Ok(())
    }

    /// Everything else is closed by the exec, and no sooner: the pipe of its error is among it.
    fn close_others(&self) {
        let mut from = 0;
        for number in &self.wanted {
            self.close_at_exec(from, *number - 1);
            from = number + 1;
        }
        self.close_at_exec(from, RawFd::MAX);
    }

    fn close_at_exec(&self, from: RawFd, to: RawFd) {
        if from > to || close_range_at_exec(from, to) {
            return;
        }
        for number in from..=to.min(self.limit) {
            // SAFETY: it sets a flag, and of a number that is not open nothing.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

/// Whether the kernel could: Linux can since 5.11.
#[cfg(target_os = "linux")]
fn close_range_at_exec(from: RawFd, to: RawFd) -> bool {
    let (from, to) = (from as libc::c_uint, to as libc::c_uint);
    // SAFETY: it takes three numbers, and sets a flag of the descriptors that are open in that range.
    unsafe { libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_CLOEXEC) == 0 }
}

/// Whether the kernel could.
#[cfg(not(target_os = "linux"))]
fn close_range_at_exec(_from: RawFd, _to: RawFd) -> bool {
    false
}

fn checked(returned: libc::c_int) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// With this under a number that was in use when the child was about to be started.
    fn setup(number: RawFd, before: Option<Identity>) -> Setup {
        let strangers = vec![(number, before)];
        Setup {
            terminal: false,
            uid: None,
            gid: None,
            groups: Vec::new(),
            descriptors: Vec::new(),
            strangers,
        }
    }

    #[test]
    fn a_number_under_which_is_something_else_than_before_is_taken() {
        let (a, _b) = io::pipe().unwrap();
        let (c, _d) = io::pipe().unwrap();
        let number = a.as_raw_fd();
        assert!(setup(number, identity(number)).check_strangers().is_ok());
        for before in [None, identity(c.as_raw_fd())] {
            assert!(is_taken(&setup(number, before).check_strangers().unwrap_err()));
        }
        let closed = RawFd::MAX;
        assert!(
            setup(closed, identity(number)).check_strangers().is_ok(),
            "closed since: the pipe is not there"
        );
    }
}
