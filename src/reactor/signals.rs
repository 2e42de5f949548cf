//! SIGINT and SIGTERM to an orderly stop.
//!
//! The handler writes one byte to a socket pair, whose other end is in the poll set: what happens then happens at the loop's boundary.

use super::{
    core::{Core, Socket},
    driver::Ready,
};
use crate::{
    failure::{Failure, Result},
    protocol::socket::{Interest, OwnedSocket},
};
use signal_hook::{
    SigId,
    consts::{SIGINT, SIGTERM},
    flag, low_level,
};
use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    rc::Rc,
    sync::{
        Arc, LazyLock, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// What the process does with the signals.
struct Process {
    /// Whether the next one ends it, as it does by default: while no reactor takes them, and once one has come.
    ends: Arc<AtomicBool>,
    /// How many reactors take them. Locked while `ends` follows it, else one thread's last might overtake another one's first.
    reactors: Mutex<usize>,
}

static PROCESS: LazyLock<Process> =
    LazyLock::new(|| Process { ends: Arc::new(AtomicBool::new(true)), reactors: Mutex::new(0) });

impl Process {
    fn one_more(&self) {
        let mut reactors = self.reactors.lock().unwrap_or_else(PoisonError::into_inner);
        *reactors += 1;
        self.ends.store(false, Ordering::SeqCst);
    }

    fn one_less(&self) {
        let mut reactors = self.reactors.lock().unwrap_or_else(PoisonError::into_inner);
        *reactors -= 1;
        if *reactors == 0 {
            self.ends.store(true, Ordering::SeqCst);
        }
    }
}

/// A handler stays for good once there is one, so the default is kept up by hand. Registered first, it is also called first.
fn process() -> io::Result<&'static Process> {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    if REGISTERED.get().is_none() {
        // Two threads may both get here; that it is asked for twice changes nothing.
        for signal in SIGNALS {
            flag::register_conditional_default(signal, PROCESS.ends.clone())?;
        }
        REGISTERED.get_or_init(|| ());
    }
    Ok(&PROCESS)
}

/// The handlers of one run; taken off when dropped.
pub(crate) struct Signals {
    core: Rc<Core>,
    inbox: Rc<Inbox>,
    handlers: Vec<SigId>,
    process: &'static Process,
}

impl Signals {
    pub(crate) fn install(core: &Rc<Core>) -> Result<Signals> {
        let process = process()?;
        let (inbox, outbox) = UnixStream::pair()?;
        inbox.set_nonblocking(true)?;
        let inbox = Rc::new(Inbox { socket: core.driver.adopt(OwnedFd::from(inbox))?.into() });
        process.one_more();
        let mut signals = Signals { core: core.clone(), inbox: inbox.clone(), handlers: vec![], process };
        for signal in SIGNALS {
            // Raised by the handler, not by the loop, which may be stuck in a callback: the second one ends the process all the same.
            signals.handlers.push(flag::register(signal, process.ends.clone())?);
            signals.handlers.push(low_level::pipe::register(signal, outbox.try_clone()?)?);
        }
        core.add(&inbox.socket, inbox.clone());
        core.watch(&inbox.socket, Interest::READ)?;
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
        self.core.close_socket(&self.inbox.socket);
        self.process.one_less();
    }
}

/// The end of the socket pair that the loop reads.
struct Inbox {
    socket: OwnedSocket,
}

impl Socket for Inbox {
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        let mut bytes = [0; 16];
        if !matches!(self.socket.with(|handle| core.driver.receive(handle, &mut bytes)), Ok(1..)) {
            return;
        }
        match core.stop() {
            Ok(()) => tracing::info!("a signal stops the reactor; a second one ends the process"),
            Err(_) => tracing::info!("a signal came while the reactor was stopping"),
        }
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    /// It is needed until the run has ended; [`Signals`] closes it.
    fn close(self: Rc<Self>, _core: &Rc<Core>, _why: Failure) {}

    fn serial(&self) -> u32 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While anybody takes the signals, the next one does not end the process, whatever others do meanwhile.
    #[test]
    fn reactors_of_several_threads_come_and_go() {
        let process = Process { ends: Arc::new(AtomicBool::new(true)), reactors: Mutex::new(0) };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        process.one_more();
                        assert!(!process.ends.load(Ordering::SeqCst));
                        process.one_less();
                    }
                });
            }
        });
        assert!(process.ends.load(Ordering::SeqCst));
    }
}
