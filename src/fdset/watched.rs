//! [`Watched`]: one descriptor in the loop.

use super::{FileDescriptor, ReadDescriptor, WriteDescriptor, close, proved, watch};
use crate::{
    error::ConnectionLost,
    failure::{Failure, Result},
    protocol::socket::{Interest, OwnedSocket},
    reactor::{
        core::{Core, Socket},
        driver::Ready,
    },
    report,
    snapshot::here::Birth,
};
use rustix::io::Errno;
use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::addr_eq,
    rc::Rc,
};

/// A descriptor that is watched, and for whom. It goes with the last of them.
pub(super) struct Watched {
    number: i32,
    /// A copy of the program's. So it can be taken out of the poll set whatever became of that one: else the system would tell of it for ever.
    copy: OwnedSocket,
    reader: RefCell<Option<Rc<dyn ReadDescriptor>>>,
    writer: RefCell<Option<Rc<dyn WriteDescriptor>>>,
    told: Cell<Told>,
    birth: Birth,
}

/// What is known of its events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The first one may be of a socket that had its place before, and is looked at twice.
    Unproved,
    Proved,
    /// There are none: the system does not know how to watch it.
    Never,
}

/// All that are watched.
pub(super) fn all(core: &Core) -> Vec<Rc<Watched>> {
    core.descriptors.borrow().values().filter_map(|watched| watched.clone().downcast().ok()).collect()
}

/// The one with that descriptor; all, if that tells nothing.
pub(super) fn having(core: &Core, descriptor: Option<BorrowedFd<'_>>) -> Vec<Rc<Watched>> {
    let known = descriptor.and_then(|descriptor| {
        core.descriptors.borrow().get(&descriptor.as_raw_fd())?.clone().downcast().ok()
    });
    known.map_or_else(|| all(core), |watched| vec![watched])
}

fn same<A: ?Sized, B: ?Sized>(one: &A, other: &B) -> bool {
    addr_eq(one, other)
}

impl Watched {
    /// The one of that descriptor, which is made if there is none.
    pub(super) fn of(
        core: &Rc<Core>,
        descriptor: Option<BorrowedFd<'_>>,
        birth: Birth,
    ) -> io::Result<Rc<Watched>> {
        let descriptor = descriptor.ok_or(Errno::BADF)?;
        let number = descriptor.as_raw_fd();
        let known = core.descriptors.borrow().get(&number).cloned();
        if let Some(watched) = known.and_then(|watched| watched.downcast::<Watched>().ok())
            && watched.is_current(core)
        {
            return Ok(watched);
        }
        let handle = core.driver.adopt(descriptor.try_clone_to_owned()?)?;
        let watched = Rc::new(Watched {
            number,
            copy: handle.into(),
            reader: RefCell::default(),
            writer: RefCell::default(),
            told: Cell::new(Told::Unproved),
            birth,
        });
        core.add(&watched.copy, watched.clone());
        core.descriptors.borrow_mut().insert(number, watched.clone());
        Ok(watched)
    }

    /// Whether it is still of that descriptor. Else those who had it are lost: the number is another one's now.
    fn is_current(self: &Rc<Self>, core: &Rc<Core>) -> bool {
        let reader = self.reader().is_none_or(|reader| self.has(&*reader));
        let writer = self.writer().is_none_or(|writer| self.has(&*writer));
        if !(reader && writer) {
            self.lose_both(core, &gone());
        }
        reader && writer
    }

    /// Whether its descriptor is this one.
    fn has<D: FileDescriptor + ?Sized>(&self, of: &D) -> bool {
        of.descriptor().is_some_and(|descriptor| descriptor.as_raw_fd() == self.number)
    }

    pub(super) fn reader(&self) -> Option<Rc<dyn ReadDescriptor>> {
        self.reader.borrow().clone()
    }

    pub(super) fn writer(&self) -> Option<Rc<dyn WriteDescriptor>> {
        self.writer.borrow().clone()
    }

    // ---- in and out ---------------------------------------------------------------------------------------------

    pub(super) fn add_reader(&self, core: &Core, reader: Rc<dyn ReadDescriptor>) -> io::Result<()> {
        match self.reader() {
            Some(there) if same(&*there, &*reader) => return Ok(()),
            Some(_) => return Err(taken()),
            None => drop(self.reader.replace(Some(reader.clone()))),
        }
        self.watch(core).inspect_err(|_| self.remove_reader(core, &*reader))
    }

    pub(super) fn add_writer(&self, core: &Core, writer: Rc<dyn WriteDescriptor>) -> io::Result<()> {
        match self.writer() {
            Some(there) if same(&*there, &*writer) => return Ok(()),
            Some(_) => return Err(taken()),
            None => drop(self.writer.replace(Some(writer.clone()))),
        }
        self.watch(core).inspect_err(|_| self.remove_writer(core, &*writer))
    }

    pub(super) fn remove_reader(&self, core: &Core, reader: &dyn ReadDescriptor) {
        if self.reader().is_some_and(|there| same(&*there, reader)) {
            let _gone = self.reader.take();
            let _ = self.watch(core); // what is told all the same is not looked at
        }
    }

    pub(super) fn remove_writer(&self, core: &Core, writer: &dyn WriteDescriptor) {
        if self.writer().is_some_and(|there| same(&*there, writer)) {
            let _gone = self.writer.take();
            let _ = self.watch(core);
        }
    }

    pub(super) fn remove_both(&self, core: &Core) {
        let _gone = (self.reader.take(), self.writer.take());
        let _ = self.watch(core);
    }

    /// Has the driver tell of what somebody waits for. Without anybody it is over.
    fn watch(&self, core: &Core) -> io::Result<()> {
        let wants = Interest { read: self.reader().is_some(), write: self.writer().is_some() };
        if wants == Interest::NONE {
            close(core, &self.copy);
            if self.is_listed(core) {
                core.descriptors.borrow_mut().remove(&self.number);
            }
            return Ok(());
        }
        if self.told.get() == Told::Never {
            return Ok(()); // it is called in each turn
        }
        self.told.set(Told::Unproved);
        if !watch(core, &self.copy, wants)? {
            self.told.set(Told::Never);
            core.touch(self.copy.token());
        }
        Ok(())
    }

    /// Whether the number is not another one's by now.
    fn is_listed(&self, core: &Core) -> bool {
        let listed = core.descriptors.borrow().get(&self.number).cloned();
        listed.is_some_and(|listed| same(&*listed, self))
    }

    // ---- events -------------------------------------------------------------------------------------------------

    /// Reads come before writes, as in Twisted; a failed one takes the other with it, if both are of one object.
    fn call(&self, core: &Core, ready: Ready) {
        if let Some(reader) = self.reader().filter(|_| ready.read) {
            let told = self.guarded("do_read", &*reader, || reader.do_read());
            told.unwrap_or_else(|why| self.lose(core, &*reader, why));
        }
        if let Some(writer) = self.writer().filter(|_| ready.write) {
            let told = self.guarded("do_write", &*writer, || writer.do_write());
            told.unwrap_or_else(|why| self.lose(core, &*writer, why));
        }
    }

    fn guarded<D: FileDescriptor + ?Sized>(
        &self,
        what: &'static str,
        of: &D,
        call: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let told = report::guarded(|| if self.has(of) { call() } else { Err(gone()) });
        told.unwrap_or_else(|panicked| {
            let prefix = report::guarded(|| of.log_prefix()).unwrap_or_default();
            tracing::warn!("{what} of {prefix} has panicked: its descriptor is lost");
            report::unhandled(what, panicked.clone());
            Err(panicked)
        })
    }

    /// It is out of the reactor, as reader and as writer, and is told why.
    fn lose<D: FileDescriptor + ?Sized>(&self, core: &Core, who: &D, why: Failure) {
        let is_reader = self.reader().is_some_and(|there| same(&*there, who));
        let is_writer = self.writer().is_some_and(|there| same(&*there, who));
        let _reader = is_reader.then(|| self.reader.take());
        let _writer = is_writer.then(|| self.writer.take());
        let _ = self.watch(core);
        tell_lost(who, why);
    }

    fn lose_both(&self, core: &Core, why: &Failure) {
        if let Some(reader) = self.reader() {
            self.lose(core, &*reader, why.clone());
        }
        if let Some(writer) = self.writer() {
            self.lose(core, &*writer, why.clone());
        }
    }
}

fn tell_lost<D: FileDescriptor + ?Sized>(who: &D, why: Failure) {
    if let Err(failure) = report::guarded(|| who.connection_lost(why)) {
        report::unhandled("connection_lost", failure);
    }
}

/// Twisted's `ConnectionFdescWentAway`.
fn gone() -> Failure {
    Failure::of_the_loop(ConnectionLost::because(Errno::BADF.into()))
}

fn taken() -> io::Error {
    let advice = "another one has this descriptor in the reactor: take that out first";
    io::Error::new(io::ErrorKind::AlreadyExists, advice)
}

impl Socket for Watched {
    fn ready(self: Rc<Self>, core: &Rc<Core>, ready: Ready) {
        let ready = if self.told.get() == Told::Unproved { proved(&self.copy, ready) } else { ready };
        if ready.read || ready.write {
            self.told.set(Told::Proved);
            self.call(core, ready);
        }
    }

    /// In each turn, for what the system does not watch.
    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        if self.told.get() == Told::Never {
            self.call(core, Ready { token: self.copy.token(), read: true, write: true });
            if self.copy.is_open() {
                core.touch(self.copy.token());
            }
        }
    }

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        self.lose_both(core, &why);
    }

    fn serial(&self) -> u32 {
        self.birth.serial
    }
}
