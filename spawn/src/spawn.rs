//! What is to be started, and how.

use crate::{
    Child,
    claims::Claims,
    raw::{self, Deaf, Setup},
};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{OwnedFd, RawFd},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
    sync::Arc,
};

/// How often a start is tried whose error would not have come through. See [`Claims`].
const TRIES: usize = 8;

/// A child process that is to be started.
///
/// The words are those of [`std::process::Command`], but for the descriptors: the child has those that were given with
/// [`descriptor`](Spawn::descriptor), and no others, not even 0, 1 and 2. Its signal mask is empty, and no signal is ignored.
#[derive(Clone, Debug)]
pub struct Spawn {
    executable: OsString,
    arg0: Option<OsString>,
    args: Vec<OsString>,
    clear: bool,
    env: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Vec<u32>,
    terminal: bool,
    /// By the child's number, which is there once.
    descriptors: Vec<(RawFd, Arc<OwnedFd>)>,
}

impl Spawn {
    /// A child that is to run `executable`: a path, or a name that is looked for in the `PATH` that the child gets.
    pub fn new(executable: impl Into<OsString>) -> Spawn {
        Spawn {
            executable: executable.into(),
            arg0: None,
            args: Vec::new(),
            clear: false,
            env: Vec::new(),
            directory: None,
            uid: None,
            gid: None,
            groups: Vec::new(),
            terminal: false,
            descriptors: Vec::new(),
        }
    }

    /// Its arguments, after the one that is its name.
    pub fn args(&mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> &mut Spawn {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// The name it is told it has: its argument 0, which is the executable otherwise.
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Spawn {
        self.arg0 = Some(name.as_ref().to_os_string());
        self
    }

    /// Without the environment of this process, and without what was set before.
    pub fn env_clear(&mut self) -> &mut Spawn {
        self.clear = true;
        self.env.clear();
        self
    }

    /// With this variable set.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Spawn {
        self.env.push((name.as_ref().to_os_string(), value.as_ref().to_os_string()));
        self
    }

    /// In this directory. A relative path of the executable starts there, too.
    pub fn current_dir(&mut self, directory: impl Into<PathBuf>) -> &mut Spawn {
        self.directory = Some(directory.into());
        self
    }

    /// As this user, real, effective and saved. It takes the right to be anybody.
    ///
    /// With a user or a group come the [`groups`](Spawn::groups): none of this process's own stays.
    pub fn uid(&mut self, id: u32) -> &mut Spawn {
        self.uid = Some(id);
        self
    }

    /// As this group, real, effective and saved.
    pub fn gid(&mut self, id: u32) -> &mut Spawn {
        self.gid = Some(id);
        self
    }

    /// With these supplementary groups, if a user or a group is given; with none otherwise.
    pub fn groups(&mut self, ids: impl IntoIterator<Item = u32>) -> &mut Spawn {
        self.groups = ids.into_iter().collect();
        self
    }

    /// With `descriptor` under the number `number` in the child, instead of what was named for that number before.
    ///
    /// It stays open here until this is dropped.
    ///
    /// # Panics
    /// If the number is negative.
    pub fn descriptor(&mut self, number: RawFd, descriptor: OwnedFd) -> &mut Spawn {
        self.place(number, Arc::new(descriptor))
    }

    /// In a session of its own whose terminal is `inner`, the inner end of a [`Terminal`](crate::Terminal): that is its 0, 1 and 2.
    pub fn terminal(&mut self, inner: OwnedFd) -> &mut Spawn {
        let inner = Arc::new(inner);
        self.terminal = true;
        (0..3).fold(self, |this, number| this.place(number, inner.clone()))
    }

    fn place(&mut self, number: RawFd, descriptor: Arc<OwnedFd>) -> &mut Spawn {
        assert!(number >= 0, "{number} is no number of a descriptor: they start at 0");
        self.descriptors.retain(|(named, _)| *named != number);
        self.descriptors.push((number, descriptor));
        self
    }

    /// Starts it. What it was given is still to be closed here: drop this.
    ///
    /// # Errors
    /// What the system said: the executable is not there or not to be executed, the directory is not there, the user may not be changed, there
    /// are too many processes or descriptors. Then there is no child.
    pub fn spawn(&self) -> io::Result<Child> {
        let mut tries = 1;
        loop {
            match self.start() {
                Err(error) if raw::is_taken(&error) && tries < TRIES => tries += 1,
                started => return started,
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        let claims = Claims::stake(&self.descriptors)?;
        let mut command = self.command();
        raw::prepare(&mut command, self.setup(&claims));
        let deaf = Deaf::now()?;
        let started = command.spawn();
        drop(deaf);
        Child::watch(started?.id())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(&self.args);
        if let Some(name) = &self.arg0 {
            command.arg0(name);
        }
        if self.clear {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    fn setup(&self, claims: &Claims) -> Setup {
        Setup {
            terminal: self.terminal,
            uid: self.uid,
            gid: self.gid,
            groups: self.groups.clone(),
            descriptors: self.descriptors.clone(),
            strangers: claims.strangers().collect(),
        }
    }
}
