//! One who asks: the question, the copying, the answer.

use super::{
    copying::Copying,
    question::{LONGEST, Question},
};
use crate::{
    failure::Failure,
    protocol::socket::{Interest, OwnedSocket},
    reactor::{
        Read,
        core::{Core, Socket},
        driver::Ready,
    },
    time::DelayedCall,
};
use std::{
    cell::{Cell, RefCell},
    io::{self, Read as _, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    panic::Location,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// So long who says nothing may think about it, and is then shown the tree.
const PATIENCE: Duration = Duration::from_millis(250);
/// So long a write of the answer may take: who does not read is left.
const WRITE: Duration = Duration::from_secs(10);
/// Of what is no question so many pages are taken: who talks without an end is left.
const MOST_READS: usize = 64;

struct Visitor {
    socket: OwnedSocket,
    /// Taken by the thread that answers.
    stream: Cell<Option<UnixStream>>,
    /// What was said so far.
    said: RefCell<Vec<u8>>,
    patience: Cell<Option<DelayedCall>>,
    asked: Cell<Option<Question>>,
    copying: Copying,
    place: Cell<Option<Arc<()>>>,
}

/// The socket is in the poll set by a clone of its descriptor.
pub(super) fn let_in(core: &Rc<Core>, stream: UnixStream, place: Arc<()>) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let socket = core.driver.adopt(OwnedFd::from(stream.try_clone()?))?.into();
    let visitor = Rc::new(Visitor {
        socket,
        stream: Cell::new(Some(stream)),
        said: RefCell::default(),
        patience: Cell::new(None),
        asked: Cell::new(None),
        copying: Copying::default(),
        place: Cell::new(Some(place)),
    });
    let (weak, weak_core) = (Rc::downgrade(&visitor), Rc::downgrade(core));
    let patience = core.timers.schedule(core.now().saturating_add(PATIENCE), Location::caller(), move || {
        if let (Some(visitor), Some(core)) = (weak.upgrade(), weak_core.upgrade()) {
            visitor.has_asked(&core);
        }
    });
    visitor.patience.set(Some(patience));
    core.add(&visitor.socket, visitor.clone());
    if let Err(error) = core.watch(&visitor.socket, Interest::READ) {
        visitor.leave(core);
        return Err(error);
    }
    Ok(())
}

/// There are too many.
pub(super) fn send_away(mut stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let _ = stream.write_all(b"others are being served: ask again\n"); // there is room for it, or nobody who reads it
    hear_out(&stream)
}

/// Takes what was said and is no question. If it were left unread, the other side would see a reset where the answer ends.
fn hear_out(mut stream: &UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut rest = [0; 4096];
    for _ in 0..MOST_READS {
        if !matches!(stream.read(&mut rest), Ok(1..)) {
            break; // there is no more
        }
    }
    Ok(())
}

impl Visitor {
    fn listen(&self, core: &Rc<Core>) {
        let mut bytes = [0; LONGEST];
        match self.socket.with(|handle| core.driver.receive(handle, &mut bytes)) {
            Ok(0) => self.has_asked(core),
            Ok(length) => {
                let mut said = self.said.borrow_mut();
                said.extend_from_slice(&bytes[..length]);
                let whole = said.contains(&b'\n') || said.len() >= LONGEST;
                drop(said);
                if whole {
                    self.has_asked(core);
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.leave(core),
        }
    }

    fn has_asked(&self, core: &Rc<Core>) {
        self.forget_patience();
        if core.watch(&self.socket, Interest::NONE).is_err() {
            return self.leave(core);
        }
        let said = self.said.take();
        let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match Question::parse(line) {
            Ok(question) => {
                self.asked.set(Some(question));
                self.copying.begin(core, self.socket.token());
            }
            Err(advice) => self.answer(core, move || advice),
        }
    }

    fn copied(&self, core: &Rc<Core>, read: Read) {
        if let Some(question) = self.asked.take() {
            self.answer(core, move || question.answer(read));
        }
    }

    /// The rest happens on another thread.
    fn answer(&self, core: &Rc<Core>, text: impl FnOnce() -> String + Send + 'static) {
        let (stream, place) = (self.stream.take(), self.place.take());
        self.leave(core);
        let Some(mut stream) = stream else { return };
        let write = move || {
            stream.set_nonblocking(false)?;
            stream.set_write_timeout(Some(WRITE))?;
            stream.write_all(text().as_bytes())?;
            hear_out(&stream)
        };
        blocking::unblock(move || {
            if let Err(error) = write() {
                tracing::debug!("who asked for the live tree did not read it: {error}");
            }
            drop(place);
        })
        .detach();
    }

    fn forget_patience(&self) {
        if let Some(patience) = self.patience.take() {
            let _ = patience.cancel(); // it may be what came here
        }
    }

    fn leave(&self, core: &Core) {
        self.forget_patience();
        self.copying.stop();
        core.close_socket(&self.socket);
    }
}

impl Socket for Visitor {
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        self.listen(core);
    }

    fn serve(self: Rc<Self>, core: &Rc<Core>) {
        if let Some(read) = self.copying.go_on(core, self.socket.token()) {
            self.copied(core, read);
        }
    }

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {}

    fn close(self: Rc<Self>, core: &Rc<Core>, _why: Failure) {
        self.leave(core);
    }

    fn serial(&self) -> u32 {
        0
    }
}
