//! What is run, and with what.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    sync::Arc,
};
use twistor_spawn::{Child, Terminal, WindowSize};

/// A child process that is to be started; for [`spawn_process`](crate::Reactor::spawn_process).
///
/// It gets this process's environment, directory and user, and pipes at 0, 1 and 2, if nothing else is said. Of descriptors it has what is said here and no
/// others; no signal is ignored or blocked in it.
///
/// # Examples
/// ```
/// use twistor::process::Spawn;
/// // `LANG=C sort -u` in /tmp, whose errors are ours, and which can be told something by its descriptor 3.
/// let errors = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned()?;
/// let how = Spawn::new("sort").args(["-u"]).env("LANG", "C").current_dir("/tmp").give(2, errors).write_to(3);
/// # let _ = how;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is started until spawn_process"]
pub struct Spawn {
    name: String,
    inner: twistor_spawn::Spawn,
    descriptors: BTreeMap<RawFd, End>,
    terminal: Option<WindowSize>,
}

/// What a descriptor of the child is.
#[derive(Clone, Debug)]
enum End {
    /// A pipe that we read.
    Read,
    /// A pipe that we write to.
    Write,
    /// What was given.
    Given(Arc<OwnedFd>),
}

/// Our end of a pipe, and what it is to the child.
pub(super) struct OurEnd {
    pub(super) descriptor: RawFd,
    pub(super) reads: bool,
    pub(super) file: OwnedFd,
}

/// A process that has started.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) ends: Vec<OurEnd>,
    /// One of the ends is a terminal, all of 0, 1 and 2.
    pub(super) terminal: bool,
}

impl Spawn {
    /// A process that is to run `executable`: a path, or a name that is looked for in the `PATH` that the child gets.
    pub fn new(executable: impl Into<OsString>) -> Spawn {
        let executable = executable.into();
        Spawn {
            name: executable.to_string_lossy().into_owned(),
            inner: twistor_spawn::Spawn::new(executable),
            descriptors: BTreeMap::from([(0, End::Write), (1, End::Read), (2, End::Read)]),
            terminal: None,
        }
    }

    /// Its arguments, after the one that is its name.
    pub fn args(mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Spawn {
        self.inner.args(args);
        self
    }

    /// The name it is told it has, as its argument 0. The executable if not set.
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Spawn {
        self.inner.arg0(name);
        self
    }

    /// Without this process's environment, and without what was set before: then only what is set after it is there.
    pub fn env_clear(mut self) -> Spawn {
        self.inner.env_clear();
        self
    }

    /// With this variable in its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Spawn {
        self.inner.env(name, value);
        self
    }

    /// In this directory. A relative path of the executable starts there, too.
    #[doc(alias = "path")]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Spawn {
        self.inner.current_dir(directory);
        self
    }

    /// As this user. It takes the right to be anybody. Of our supplementary groups it keeps none: it has those of [`groups`](Self::groups).
    pub fn uid(mut self, id: u32) -> Spawn {
        self.inner.uid(id);
        self
    }

    /// As this group. Of our supplementary groups it keeps none.
    pub fn gid(mut self, id: u32) -> Spawn {
        self.inner.gid(id);
        self
    }

    /// With these supplementary groups, if a user or a group is given.
    pub fn groups(mut self, ids: impl IntoIterator<Item = u32>) -> Spawn {
        self.inner.groups(ids);
        self
    }

    /// What the child writes to this descriptor is told to its protocol. So are 1 and 2 if nothing else is said.
    #[doc(alias = "childFDs")]
    pub fn read_from(self, descriptor: RawFd) -> Spawn {
        self.end(descriptor, End::Read)
    }

    /// The child reads from this descriptor what is written to it here. So is 0 if nothing else is said.
    #[doc(alias = "childFDs")]
    pub fn write_to(self, descriptor: RawFd) -> Spawn {
        self.end(descriptor, End::Write)
    }

    /// The child has `file` as this descriptor: a file, a socket, an end of another process's pipe. No copy stays open here once it has started, but in
    /// clones of this.
    #[doc(alias = "childFDs")]
    pub fn give(self, descriptor: RawFd, file: impl Into<OwnedFd>) -> Spawn {
        self.end(descriptor, End::Given(Arc::new(file.into())))
    }

    /// The child has nothing as this descriptor.
    #[doc(alias = "childFDs")]
    pub fn close(mut self, descriptor: RawFd) -> Spawn {
        self.descriptors.remove(&descriptor);
        self
    }

    /// On a terminal of this size, in a session of its own: it is the child's 0, 1 and 2, whatever was said of those. What is written to it, and to the error output, comes
    /// as from the standard output.
    #[doc(alias = "usePTY")]
    pub fn terminal(mut self, rows: u16, columns: u16) -> Spawn {
        self.terminal = Some(WindowSize { rows, columns });
        self
    }

    fn end(mut self, descriptor: RawFd, end: End) -> Spawn {
        self.descriptors.insert(descriptor, end);
        self
    }

    /// What it is called where it is shown.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn start(mut self) -> io::Result<Started> {
        let mut ends = Vec::new();
        let terminal = self.terminal.is_some();
        if let Some(size) = self.terminal {
            let Terminal { outer, inner } = Terminal::open(Some(size))?;
            (0..3).for_each(|descriptor| drop(self.descriptors.remove(&descriptor)));
            self.inner.terminal(inner);
            ends.push(OurEnd { descriptor: 1, reads: true, file: outer });
        }
        for (descriptor, end) in std::mem::take(&mut self.descriptors) {
            ends.extend(self.open(descriptor, end)?);
        }
        Ok(Started { child: self.inner.spawn()?, ends, terminal })
    }

    fn open(&mut self, descriptor: RawFd, end: End) -> io::Result<Option<OurEnd>> {
        if descriptor < 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "descriptors are numbered from 0"));
        }
        let (theirs, ours) = match end {
            End::Given(file) => {
                (Arc::try_unwrap(file).or_else(|file| file.as_fd().try_clone_to_owned())?, None)
            }
            End::Read => {
                let (read, write) = io::pipe()?;
                (write.into(), Some((true, read.into())))
            }
            End::Write => {
                let (read, write) = io::pipe()?;
                (read.into(), Some((false, write.into())))
            }
        };
        self.inner.descriptor(descriptor, theirs);
        Ok(ours.map(|(reads, file)| OurEnd { descriptor, reads, file }))
    }
}

impl From<&str> for Spawn {
    fn from(executable: &str) -> Spawn {
        Spawn::new(executable)
    }
}

impl From<String> for Spawn {
    fn from(executable: String) -> Spawn {
        Spawn::new(executable)
    }
}

impl From<&Path> for Spawn {
    fn from(executable: &Path) -> Spawn {
        Spawn::new(executable)
    }
}

impl From<PathBuf> for Spawn {
    fn from(executable: PathBuf) -> Spawn {
        Spawn::new(executable)
    }
}

impl<E: Into<OsString>, A: AsRef<OsStr>, const N: usize> From<(E, [A; N])> for Spawn {
    fn from((executable, args): (E, [A; N])) -> Spawn {
        Spawn::new(executable).args(args)
    }
}
