//! [`Lock`]: the file beside a socket's that says whether somebody listens.
//!
//! Twisted's `FilesystemLock` is a symbolic link to the number of a process, and to ask whether that one still lives is a guess: the number may be another's by
//! now. Here it is a file that holds the number for people, and a lock of the kernel's on it (flock), which goes with the process. A link of Twisted's is respected.

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
    process::{Pid, getpid, test_kill_process},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A lock that is held. It is released, and its file removed, when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

/// So often at most the file is gone or another one when it has been locked: each time somebody else has let go of it.
const TRIES: usize = 100;

/// The name of a socket's lock file: Twisted's.
pub(super) fn beside(socket: &Path) -> PathBuf {
    let mut name = OsString::from(socket);
    name.push(".lock");
    name.into()
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `AddrInUse` if another one has it; else the system's.
    pub(super) fn take(path: PathBuf) -> io::Result<Lock> {
        for _ in 0..TRIES {
            if let Some(file) = attempt(&path)? {
                let lock = Lock { path, file };
                lock.write_number()?;
                return Ok(lock);
            }
        }
        Err(in_use())
    }

    fn write_number(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(&self.file, "{}", getpid().as_raw_nonzero())
    }
}

impl Drop for Lock {
    /// First the file goes, then the lock with the descriptor: who opened the file meanwhile sees that it is not there any more.
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path); // else the next one takes the lock on it as it is
        }
    }
}

/// No link is followed, and nobody waits: a pipe with a name in the place of the file would have the opener wait for its other end.
const HOW: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Whether somebody has the lock.
///
/// To ask, it is shared for a moment: who takes it in that moment is told that it is in use.
pub(super) fn is_held(path: &Path) -> bool {
    match open(path, OFlags::RDONLY | HOW, Mode::empty()) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK),
        Err(Errno::LOOP) => twisted_owner(path).is_some(),
        Err(_) => false,
    }
}

/// Opens and locks the file. None if it has vanished meanwhile.
fn attempt(path: &Path) -> io::Result<Option<File>> {
    let file = match open(path, OFlags::RDWR | OFlags::CREATE | HOW, Mode::from_raw_mode(0o644)) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return remove_twisted(path).map(|()| None),
        Err(error) => return Err(error.into()),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(is_at(&file, path).then_some(file)),
        Err(Errno::WOULDBLOCK) => Err(in_use()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file of that name is still this one.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(here), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (here.dev(), here.ino()) == (there.dev(), there.ino())
}

/// Removes a link of Twisted's whose process is gone.
fn remove_twisted(path: &Path) -> io::Result<()> {
    if twisted_owner(path).is_some() {
        return Err(in_use());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The process that a link of Twisted's names, if there is one of that number. It may be another user's.
fn twisted_owner(path: &Path) -> Option<Pid> {
    let to = fs::read_link(path).ok()?;
    let pid = Pid::from_raw(to.to_str()?.parse().ok()?)?;
    (test_kill_process(pid) != Err(Errno::SRCH)).then_some(pid)
}

fn in_use() -> io::Error {
    io::ErrorKind::AddrInUse.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, process::Command};

    /// A directory of its own, and the name of a lock in it.
    fn place(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("twistor-lock-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        directory.join("socket.lock")
    }

    fn clear(path: &Path) {
        fs::remove_dir_all(path.parent().expect("a directory")).expect("it is there");
    }

    fn kind(lock: io::Result<Lock>) -> io::ErrorKind {
        lock.expect_err("it is held").kind()
    }

    #[test]
    fn one_has_it_until_it_lets_go() {
        let path = place("one");
        let lock = Lock::take(path.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert!(is_held(&path));
        assert_eq!(kind(Lock::take(path.clone())), io::ErrorKind::AddrInUse);
        drop(lock);
        assert!(!path.exists() && !is_held(&path));
        drop(Lock::take(path.clone()).unwrap());
        clear(&path);
    }

    #[test]
    fn a_file_that_was_left_behind_is_no_lock() {
        let path = place("left");
        fs::write(&path, "1\n").unwrap(); // of a process that lives, which does not matter
        assert!(!is_held(&path));
        let lock = Lock::take(path.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(lock);
        clear(&path);
    }

    #[test]
    fn a_link_of_twisteds_holds_as_long_as_its_process() {
        let path = place("link");
        symlink(std::process::id().to_string(), &path).unwrap();
        assert!(is_held(&path));
        assert_eq!(kind(Lock::take(path.clone())), io::ErrorKind::AddrInUse);
        fs::remove_file(&path).unwrap();

        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        symlink(gone.id().to_string(), &path).unwrap();
        assert!(!is_held(&path));
        drop(Lock::take(path.clone()).unwrap());
        clear(&path);
    }

    /// A pipe with that name is no lock, and whoever looks does not wait for its other end: once the loop stood still at one.
    #[test]
    fn nobody_waits_at_a_pipe_in_the_place_of_the_file() {
        let path = place("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let (say, hear) = std::sync::mpsc::channel();
        let at = path.clone();
        std::thread::spawn(move || say.send(is_held(&at)));
        assert_eq!(hear.recv_timeout(std::time::Duration::from_secs(20)), Ok(false));
        clear(&path);
    }

    /// Somebody else has put a file there meanwhile: that one is not removed.
    #[test]
    fn another_ones_file_stays() {
        let path = place("other");
        let lock = Lock::take(path.clone()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(lock);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        clear(&path);
    }
}
