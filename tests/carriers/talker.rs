//! [`Talker`]: the protocol of most ends, which does what its case says and logs what it is told.

use std::{cell::RefCell, rc::Rc, time::Duration};
use twistor::{
    Context, Failure, Protocol, Reactor,
    error::{ConnectionAborted, ConnectionDone, ConnectionLost, WriteBufferFull},
    tls::{TlsError, TlsErrorKind},
};

/// What an end was told, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

type Made<const HALF: bool> = Box<dyn FnMut(&Context<Talker<HALF>>)>;
/// It is given all that came and was not taken yet.
type Heard<const HALF: bool> = Box<dyn FnMut(&mut Vec<u8>, &Context<Talker<HALF>>)>;

pub(crate) struct Talker<const HALF: bool> {
    log: Log,
    all: Vec<u8>,
    made: Option<Made<HALF>>,
    heard: Option<Heard<HALF>>,
    read_lost: Option<Heard<HALF>>,
    lost: Option<Box<dyn FnMut()>>,
}

impl<const HALF: bool> Talker<HALF> {
    pub(crate) fn new(log: &Log) -> Self {
        Talker { log: log.clone(), all: vec![], made: None, heard: None, read_lost: None, lost: None }
    }

    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    pub(crate) fn made(mut self, f: impl FnMut(&Context<Self>) + 'static) -> Self {
        self.made = Some(Box::new(f));
        self
    }

    pub(crate) fn heard(mut self, f: impl FnMut(&mut Vec<u8>, &Context<Self>) + 'static) -> Self {
        self.heard = Some(Box::new(f));
        self
    }

    pub(crate) fn read_lost(mut self, f: impl FnMut(&mut Vec<u8>, &Context<Self>) + 'static) -> Self {
        self.read_lost = Some(Box::new(f));
        self
    }

    pub(crate) fn lost(mut self, f: impl FnMut() + 'static) -> Self {
        self.lost = Some(Box::new(f));
        self
    }
}

impl<const HALF: bool> Protocol for Talker<HALF> {
    const HALF_CLOSEABLE: bool = HALF;

    fn connection_made(&mut self, cx: &Context<Self>) {
        self.log.add("made");
        if let Some(made) = &mut self.made {
            made(cx);
        }
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.all.extend_from_slice(data);
        if let Some(heard) = &mut self.heard {
            heard(&mut self.all, cx);
        }
    }

    fn read_connection_lost(&mut self, cx: &Context<Self>) {
        self.log.add("read lost");
        if let Some(read_lost) = &mut self.read_lost {
            read_lost(&mut self.all, cx);
        }
    }

    fn write_connection_lost(&mut self, _cx: &Context<Self>) {
        self.log.add("write lost");
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.log.add(format!("lost {}", reason(&why)));
        if let Some(lost) = &mut self.lost {
            lost();
        }
    }
}

fn reason(why: &Failure) -> String {
    let names = [
        (why.check::<ConnectionDone>(), "done"),
        (why.check::<ConnectionAborted>(), "aborted"),
        (why.check::<ConnectionLost>(), "lost"),
        (why.value::<TlsError>().is_some_and(|error| error.kind() == TlsErrorKind::Truncated), "lost"),
        (why.check::<WriteBufferFull>(), "full"),
    ];
    names.iter().find(|(is, _)| *is).map_or_else(|| why.to_string(), |(_, name)| (*name).into())
}

/// Some turns of the reactor later; at once where there is none.
pub(crate) fn later(f: impl FnOnce() + 'static) {
    turns(3, f);
}

fn turns(left: usize, f: impl FnOnce() + 'static) {
    match Reactor::try_current() {
        Some(reactor) if left > 0 => {
            reactor.call_later(Duration::ZERO, move || turns(left - 1, f));
        }
        _ => f(),
    }
}
