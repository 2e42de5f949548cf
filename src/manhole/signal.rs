//! SIGUSR1. The handler writes one byte to a socket pair, whose other end is in the poll set.

use super::{copying::Copying, question::Question};
use crate::{
    failure::Failure,
    protocol::socket::{Interest, OwnedSocket},
    reactor::{
        core::{Core, Socket},
        driver::Ready,
        signals::{Lease, Signal},
    },
};
use signal_hook::{SigId, consts::SIGUSR1, low_level};
use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    rc::Rc,
};

struct Bell {
    socket: OwnedSocket,
    handler: SigId,
    copying: Copying,
}

pub(super) fn install(core: &Rc<Core>) -> io::Result<()> {
    Lease::for_good(Signal::USR1).map_err(io::Error::other)?;
    let (inbox, outbox) = UnixStream::pair()?;
    inbox.set_nonblocking(true)?;
    let socket = core.driver.adopt(OwnedFd::from(inbox))?.into();
    let handler = low_level::pipe::register(SIGUSR1, outbox)?;
    let bell = Rc::new(Bell { socket, handler, copying: Copying::default() });
    core.add(&bell.socket, bell.clone());
    core.watch(&bell.socket, Interest::READ).inspect_err(|_| core.close_socket(&bell.socket))
}

impl Socket for Bell {
    /// Signals that come in a row are one.
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        if matches!(self.socket.with(|handle| core.driver.receive(handle, &mut [0; 64])), Ok(1..)) {
            self.copying.begin(core, self.socket.token());
        }
    }

    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        if let Some(read) = self.copying.go_on(core, self.socket.token()) {
            let print = move || {
                let text = Question::Tree.answer(read);
                let _ = io::stderr().lock().write_all(text.as_bytes()); // closed: nobody wants to know
            };
            blocking::unblock(print).detach();
        }
    }

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, _why: Failure) {
        self.copying.stop();
        core.close_socket(&self.socket);
    }

    fn serial(&self) -> u32 {
        0
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        low_level::unregister(self.handler);
    }
}
