//! The end of a child told by a thread, where the kernel has no pidfd.

use crate::child::wait;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use std::{
    io::{self, PipeReader, PipeWriter, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Who of the two comes later waits for the child, if it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It runs, and has a handle.
    Runs,
    /// Its handle was dropped while it ran: the thread waits for it.
    Left,
    /// It has ended, and the thread with it: the handle waits for it.
    Ended,
}

/// What becomes readable when the child has ended.
#[derive(Debug)]
pub(crate) struct Bell {
    rope: PipeReader,
    stage: Arc<Mutex<Stage>>,
}

impl Bell {
    /// The thread only looks on: the child stays to be waited for, and its number its own.
    pub(crate) fn hang(pid: Pid) -> io::Result<Bell> {
        let (rope, clapper) = io::pipe()?;
        let stage = Arc::new(Mutex::new(Stage::Runs));
        let theirs = stage.clone();
        let watch = move || {
            let _ = wait(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            ended(pid, &theirs, clapper);
        };
        thread::Builder::new().name("twistor-child".into()).stack_size(64 << 10).spawn(watch)?;
        Ok(Bell { rope, stage })
    }

    /// Nobody else will wait for the child.
    pub(crate) fn leave(&self, pid: Pid) {
        if replace(&self.stage, Stage::Left) == Stage::Ended {
            reap(pid);
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rope.as_fd()
    }
}

fn ended(pid: Pid, stage: &Mutex<Stage>, mut clapper: PipeWriter) {
    if replace(stage, Stage::Ended) == Stage::Left {
        reap(pid);
    }
    let _ = clapper.write_all(b"."); // nobody may be there to hear it
}

fn replace(stage: &Mutex<Stage>, by: Stage) -> Stage {
    std::mem::replace(&mut *stage.lock().unwrap_or_else(PoisonError::into_inner), by)
}

fn reap(pid: Pid) {
    let _ = wait(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
}
