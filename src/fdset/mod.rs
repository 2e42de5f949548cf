//! Any descriptor that can be polled: who hears when it can be read or written.
//!
//! Twisted's `IReactorFDSet`. For what has a descriptor and no transport: the queue of a C library, a device, an inotify. What does the reading itself is
//! a [`ReadDescriptor`] or a [`WriteDescriptor`], called until it is taken out again. Who waits once takes [`Reactor::readable`] or
//! [`Reactor::writable`]: a Deferred, which can be awaited.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | the traits, and what a reactor does with them |
//! | `watched` | one descriptor in the loop, with who reads and who writes it |
//! | `once` | a descriptor that is waited for once |

mod once;
mod watched;

use self::watched::Watched;
use crate::{
    defer::Deferred,
    failure::{Failure, Result},
    protocol::socket::{Handle, Interest, OwnedSocket},
    reactor::{Reactor, core::Core, driver::Ready},
    snapshot::here::Birth,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    panic::Location,
    rc::Rc,
};

/// What has a descriptor, and hears of its end.
///
/// Its methods take `&self`, for they may be called while another of them runs.
#[doc(alias = "IFileDescriptor")]
#[doc(alias = "ILoggingContext")]
pub trait FileDescriptor {
    /// The descriptor, which stays the same; None when it is closed. Twisted's `fileno`.
    ///
    /// Take it out of the reactor before you close it. The reactor watches a copy, so that what it stands for stays open until then; it finds out with the next
    /// event, and tells [`connection_lost`](Self::connection_lost).
    #[doc(alias = "fileno")]
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// It has failed, has panicked, was closed behind the reactor's back, or the reactor has closed. It is in the reactor no more. Comes once.
    #[doc(alias = "connectionLost")]
    fn connection_lost(&self, why: Failure) {
        let _ = why;
    }

    /// What it is called in the log.
    #[doc(alias = "logPrefix")]
    fn log_prefix(&self) -> String {
        "-".into()
    }
}

/// What reads a descriptor; for [`Reactor::add_reader`].
///
/// # Examples
/// ```
/// use std::{cell::RefCell, io::{self, Read, Write}, os::{fd::{AsFd, BorrowedFd}, unix::net::UnixStream}, rc::Rc};
/// use twistor::{Failure, Reactor, Result, error::ConnectionLost, fdset::{FileDescriptor, ReadDescriptor}};
///
/// /// Reads what comes, until the other side ends.
/// struct Ear { from: UnixStream, heard: RefCell<String> }
/// impl FileDescriptor for Ear {
///     fn descriptor(&self) -> Option<BorrowedFd<'_>> { Some(self.from.as_fd()) }
///     fn connection_lost(&self, _why: Failure) { Reactor::current().stop().expect("it runs") }
/// }
/// impl ReadDescriptor for Ear {
///     fn do_read(&self) -> Result<()> {
///         let mut buffer = [0; 100];
///         match (&self.from).read(&mut buffer)? {
///             0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()), // out of the reactor with it
///             length => { self.heard.borrow_mut().push_str(&String::from_utf8_lossy(&buffer[..length])); Ok(()) }
///         }
///     }
/// }
/// let (from, mut to) = UnixStream::pair()?;
/// from.set_nonblocking(true)?;
/// let (reactor, ear) = (Reactor::new()?, Rc::new(Ear { from, heard: RefCell::default() }));
/// reactor.add_reader(ear.clone())?;
/// to.write_all(b"hello")?;
/// drop(to);
/// reactor.run()?;
/// assert_eq!(*ear.heard.borrow(), "hello");
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "IReadDescriptor")]
pub trait ReadDescriptor: FileDescriptor {
    /// There is something to read, or an end or an error to meet. Called again until it is dealt with.
    ///
    /// # Errors
    /// Takes it out of the reactor; `connection_lost` is told this reason. The moment without anything, `WouldBlock`, is none: return `Ok` then.
    #[doc(alias = "doRead")]
    fn do_read(&self) -> Result<()>;
}

/// What writes to a descriptor; for [`Reactor::add_writer`].
#[doc(alias = "IWriteDescriptor")]
#[doc(alias = "IReadWriteDescriptor")]
pub trait WriteDescriptor: FileDescriptor {
    /// There is room, or an error to meet. Called again until it is taken out.
    ///
    /// # Errors
    /// As [`do_read`](ReadDescriptor::do_read).
    #[doc(alias = "doWrite")]
    fn do_write(&self) -> Result<()>;
}

/// Twisted's `IReactorFDSet`.
///
/// What epoll does not know, such as a regular file, counts as always ready: it is called in each turn, and the loop does not sleep meanwhile. A turn is as long as the
/// call then: what may be slow is read better on a pool, as [`standard_io`](Self::standard_io) does.
impl Reactor {
    /// Calls [`do_read`](ReadDescriptor::do_read) whenever there is something to read. To add the same again changes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` if another one reads that descriptor here, `EBADF` if it has none; the system's; on a virtual reactor
    /// [`RealSocket`](crate::error::SimulationError::RealSocket).
    #[doc(alias = "addReader")]
    #[doc(alias = "IReactorFDSet")]
    #[track_caller]
    pub fn add_reader(&self, reader: Rc<dyn ReadDescriptor>) -> Result<()> {
        let birth = Birth::at(Location::caller());
        Ok(Watched::of(&self.core, reader.descriptor(), birth)?.add_reader(&self.core, reader)?)
    }

    /// Calls [`do_write`](WriteDescriptor::do_write) whenever there is room. To add the same again changes nothing.
    ///
    /// # Errors
    /// As [`add_reader`](Self::add_reader).
    #[doc(alias = "addWriter")]
    #[track_caller]
    pub fn add_writer(&self, writer: Rc<dyn WriteDescriptor>) -> Result<()> {
        let birth = Birth::at(Location::caller());
        Ok(Watched::of(&self.core, writer.descriptor(), birth)?.add_writer(&self.core, writer)?)
    }

    /// Does not call it any more, not for what is told already either. Nothing if it is not there.
    #[doc(alias = "removeReader")]
    pub fn remove_reader(&self, reader: &dyn ReadDescriptor) {
        let watched = watched::having(&self.core, reader.descriptor());
        watched.iter().for_each(|watched| watched.remove_reader(&self.core, reader));
    }

    /// The same for one that writes.
    #[doc(alias = "removeWriter")]
    pub fn remove_writer(&self, writer: &dyn WriteDescriptor) {
        let watched = watched::having(&self.core, writer.descriptor());
        watched.iter().for_each(|watched| watched.remove_writer(&self.core, writer));
    }

    /// Takes all of them out, and gives them. Connections, ports and what the reactor itself watches stay.
    #[doc(alias = "removeAll")]
    pub fn remove_all(&self) -> (Vec<Rc<dyn ReadDescriptor>>, Vec<Rc<dyn WriteDescriptor>>) {
        let removed = (self.get_readers(), self.get_writers());
        watched::all(&self.core).iter().for_each(|watched| watched.remove_both(&self.core));
        removed
    }

    /// Those that read, in the order of their descriptors.
    #[doc(alias = "getReaders")]
    pub fn get_readers(&self) -> Vec<Rc<dyn ReadDescriptor>> {
        watched::all(&self.core).iter().filter_map(|watched| watched.reader()).collect()
    }

    /// Those that write, in the order of their descriptors.
    #[doc(alias = "getWriters")]
    pub fn get_writers(&self) -> Vec<Rc<dyn WriteDescriptor>> {
        watched::all(&self.core).iter().filter_map(|watched| watched.writer()).collect()
    }

    /// Fires when there is something to read, or an end or an error to meet. Cancelled, it is watched no more.
    ///
    /// What epoll does not know is always readable. It fails with the system's error, and if the reactor closes before.
    ///
    /// # Examples
    /// ```
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream};
    /// let reactor = twistor::Reactor::new()?;
    /// let (mut from, mut to) = UnixStream::pair()?;
    /// let r = reactor.clone();
    /// reactor.spawn(async move {
    ///     to.write_all(b"hello")?;
    ///     r.readable(&from).await?;
    ///     let mut hello = [0; 5];
    ///     from.read_exact(&mut hello)?;
    ///     Ok(r.stop()?)
    /// }).or_log("the program");
    /// reactor.run()?;
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn readable(&self, descriptor: &impl AsFd) -> Deferred<()> {
        once::wait(&self.core, descriptor.as_fd(), Interest::READ, Location::caller())
    }

    /// Fires when there is room, or an error to meet. Else as [`readable`](Self::readable).
    #[track_caller]
    pub fn writable(&self, descriptor: &impl AsFd) -> Deferred<()> {
        once::wait(&self.core, descriptor.as_fd(), Interest::WRITE, Location::caller())
    }
}

/// Has the driver tell of it. False if that is what the system cannot watch.
fn watch(core: &Core, copy: &OwnedSocket, interest: Interest) -> io::Result<bool> {
    let (token, from) = (copy.token(), copy.watched());
    core.check_fork()?;
    match copy.with(|handle| core.driver.watch(handle, token, from, interest)) {
        Ok(()) => copy.set_watched(interest),
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => return Ok(false),
        Err(error) => return Err(error),
    }
    core.wake_if_asleep();
    Ok(true)
}

/// Watches it no more, and closes it. In that order: the set would keep a copy that is closed for the sake of the program's own descriptor, and tell of it for ever.
fn close(core: &Core, copy: &OwnedSocket) {
    let _ = core.watch(copy, Interest::NONE);
    core.close_socket(copy);
}

/// What of an event is so. The first one may have been told of what had this place before, and to read then might block.
fn proved(copy: &OwnedSocket, ready: Ready) -> Ready {
    let flags = copy.with(|handle| match handle {
        Handle::Socket(descriptor) => {
            let mut asked = [PollFd::new(descriptor, PollFlags::IN | PollFlags::OUT)];
            poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
            Ok(asked[0].revents())
        }
        _ => Ok(PollFlags::empty()),
    });
    let flags = flags.unwrap_or(PollFlags::ERR); // whoever is called meets it
    let broken = flags.intersects(PollFlags::ERR | PollFlags::HUP);
    let read = ready.read && (broken || flags.contains(PollFlags::IN));
    let write = ready.write && (broken || flags.contains(PollFlags::OUT));
    Ready { read, write, ..ready }
}
