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
        reset_signals()?;
        descriptors.close_others();
        Ok(())
    };
    // SAFETY: the closure runs in the child, where it must not touch what another thread may have left half done: the allocator, locks, the
    // environment. What it calls, in this file, of libc and of rustix, are bare system calls, and it reads and writes memory that it owns: vectors
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

/// No signal reaches this thread while it lives, so that no handler of ours runs in the child before that has reset it.
pub(crate) struct Deaf {
    former: libc::sigset_t,
}

impl Deaf {
    pub(crate) fn now() -> io::Result<Deaf> {
        let (mut all, mut former) =
            (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
        // SAFETY: `all` is writable and of the type that sigfillset fills, which pthread_sigmask then reads; it fills `former`. Both are of this thread alone.
        let failed = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), former.as_mut_ptr())
        };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        // SAFETY: pthread_sigmask returned 0, so it has filled it.
        Ok(Deaf { former: unsafe { former.assume_init() } })
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        // SAFETY: it reads the mask that this thread had, and gives it back.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.former, ptr::null_mut()) };
    }
}

/// What is ignored here, as SIGHUP under nohup, is not ignored in the child; what has a handler here has none there; and then none is blocked. The
/// parent has blocked all of them, see [`Deaf`].
fn reset_signals() -> io::Result<()> {
    for signal in 1..SIGNALS {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: no new action is given, and `action` is writable and of the type that is filled. A number that is no signal is an error.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            continue;
        }
        // SAFETY: sigaction returned 0, so it has filled it.
        if unsafe { action.assume_init() }.sa_sigaction != libc::SIG_DFL {
            // SAFETY: the default action runs no code of ours, and the exec would take the handler off anyway.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `none` is writable and of the type that sigemptyset fills, which pthread_sigmask then reads. Both are safe after a fork.
    let failed = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
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

    /// First all of them away from the numbers that are wanted, so that none is overwritten before it is copied, also in a circle; then
    /// each to its place, where it stays open at the exec.
    fn put(&mut self) -> io::Result<()> {
        for ((_, descriptor), lifted) in self.map.iter().zip(&mut self.lifted) {
            *lifted = lift(descriptor, &self.wanted)?;
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

/// A copy under a number that is not wanted. One under a number that is, which was free, is overwritten later.
fn lift(descriptor: &OwnedFd, wanted: &[RawFd]) -> io::Result<RawFd> {
    let mut from = 0;
    loop {
        let copy = fcntl_dupfd_cloexec(descriptor, from)?.into_raw_fd();
        if wanted.binary_search(&copy).is_err() {
            return Ok(copy);
        }
        from = copy + 1;
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

    /// The mask of whose status this is.
    fn blocked(status: &str) -> u64 {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    }

    #[test]
    fn what_this_thread_blocks_is_not_blocked_in_the_child_and_stays_blocked_here() {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset fills it before the others use it.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR2);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
        }
        let (read, end) = io::pipe().unwrap();
        let mut spawn = crate::Spawn::new("cat");
        spawn.args(["/proc/self/status"]).descriptor(1, end.into());
        spawn.spawn().unwrap().wait().unwrap();
        drop(spawn);
        assert_eq!(blocked(&io::read_to_string(read).unwrap()), 0);
        let here = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert_eq!(blocked(&here), 1 << (libc::SIGUSR2 - 1));
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
