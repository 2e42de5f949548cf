//! SIGUSR1. The handler writes one byte to a socket pair, whose other end is in the poll set.

use super::{copying::Copying, question::Question};
use crate::{
    failure::Failure,
    reactor::{
        core::{Core, Socket},
        driver::{Key, Ready},
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
    key: Key,
    handler: SigId,
    copying: Copying,
}

pub(super) fn install(core: &Rc<Core>) -> io::Result<()> {
    Lease::for_good(Signal::USR1).map_err(io::Error::other)?;
    let (inbox, outbox) = UnixStream::pair()?;
    inbox.set_nonblocking(true)?;
    let key = core.driver.adopt(OwnedFd::from(inbox))?;
    let handler = low_level::pipe::register(SIGUSR1, outbox).inspect_err(|_| core.driver.close(key))?;
    core.add(key, Rc::new(Bell { key, handler, copying: Copying::default() }));
    core.set_interest(key, true, false).inspect_err(|_| {
        core.forget(key);
        core.driver.close(key);
    })
}

impl Socket for Bell {
    /// Signals that come in a row are one.
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        if matches!(core.driver.receive(self.key, &mut [0; 64]), Ok(1..)) {
            self.copying.begin(core, self.key);
        }
    }

    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        if let Some(read) = self.copying.go_on(core, self.key) {
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
        core.forget(self.key);
        core.driver.close(self.key);
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
