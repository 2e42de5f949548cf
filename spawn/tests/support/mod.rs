//! What the tests share.
#![allow(dead_code, reason = "not every test uses all of it")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{self, Read},
    os::fd::BorrowedFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use twistor_spawn::Spawn;

/// A shell that is to run this.
pub(crate) fn sh(script: &str) -> Spawn {
    let mut spawn = Spawn::new("/bin/sh");
    spawn.args(["-c", script]);
    spawn
}

/// What the child writes to its descriptor 1, to the end; it has the 0 and 2 of this process.
pub(crate) fn output(spawn: &mut Spawn) -> String {
    let (mut read, end) = io::pipe().unwrap();
    let null = || std::fs::File::open("/dev/null").unwrap().into();
    let stderr = rustix::stdio::stderr().try_clone_to_owned().unwrap();
    spawn.descriptor(0, null()).descriptor(1, end.into()).descriptor(2, stderr);
    let mut child = spawn.spawn().unwrap();
    spawn.descriptor(1, null());
    let said = end_of(&mut read);
    child.wait().unwrap();
    said
}

/// What comes until the end.
pub(crate) fn end_of(pipe: &mut impl Read) -> String {
    let mut said = String::new();
    pipe.read_to_string(&mut said).unwrap();
    said
}

/// Whether it becomes readable within so many milliseconds.
pub(crate) fn readable(descriptor: BorrowedFd<'_>, within: i64) -> bool {
    let timeout = Timespec { tv_sec: within / 1000, tv_nsec: within % 1000 * 1_000_000 };
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// Waits until there is no such process, not even a zombie.
pub(crate) fn gone(pid: u32) {
    let until = Instant::now() + Duration::from_secs(20);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < until, "{pid} is still there");
        thread::yield_now();
    }
}
