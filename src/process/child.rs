//! A child process and its end.

use super::{
    Spawn,
    options::{OurEnd, Started},
    pipe::{self, Kind, Pipe},
};
use crate::{
    defer::{Deferred, Promise, fire_all, record::Role},
    error::{ConnectionLost, ProcessDone, ProcessTerminated, ReactorNotRunning, SpawnError},
    failure::{Failure, Result},
    protocol::{
        Child, Context, ProcessContext, ProcessProtocol, ProcessTransport, SignalId, Slot, Transport,
        exited_already,
        socket::{Handle, Interest, OwnedSocket},
        transport::Connection,
    },
    reactor::{
        core::{Core, Socket},
        driver::Ready,
    },
    snapshot::{
        Entry, Kind as Shown,
        here::{self, Birth},
    },
    sockets::connection::{Plain, begin},
    trace::Place,
};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    os::fd::RawFd,
    rc::{Rc, Weak},
};
use twistor_spawn::{Status, WindowSize, set_window_size};

/// A process, its protocol, and what is open of its pipes.
pub(super) struct Process<P: ProcessProtocol> {
    this: Weak<Process<P>>,
    core: Weak<Core>,
    slot: Slot<P, ProcessTransport>,
    /// None when it has been waited for, or left.
    child: RefCell<Option<twistor_spawn::Child>>,
    /// Readable when it has exited; in the table until its end has been told.
    bell: OwnedSocket,
    state: Cell<State>,
    /// How it has exited, if it has.
    why: RefCell<Option<Failure>>,
    /// Those that are open, in the order of their numbers.
    pipes: RefCell<Vec<Open>>,
    /// Its 0, 1 and 2 are one terminal, which is the pipe with the number 1.
    has_terminal: bool,
    /// Who waits for the end.
    ending: RefCell<Vec<Promise<()>>>,
    executable: String,
    birth: Birth,
}

/// A pipe that is open.
struct Open {
    descriptor: RawFd,
    reads: bool,
    transport: Transport,
}

/// How far a process is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// It has exited, and pipes are open still.
    Exited,
    /// All is over; `process_ended` may still be to return.
    Ended,
    /// `process_ended` has returned.
    Told,
}

/// Starts it. The protocol is told of the process first, then its pipes are watched.
pub(super) fn spawn<P: ProcessProtocol>(
    core: &Rc<Core>,
    how: Spawn,
    birth: Birth,
    protocol: P,
) -> Result<ProcessContext<P>> {
    if core.is_closing() {
        return Err(ReactorNotRunning::default().into());
    }
    let executable = how.name().to_string();
    let failed = |error| Failure::from(SpawnError::new(executable.clone(), error));
    if core.driver.is_virtual() {
        return Err(failed(io::ErrorKind::Unsupported.into()));
    }
    let started = how.start().map_err(failed)?;
    let (process, pipes) = adopt(core, started, birth, executable.clone(), protocol).map_err(failed)?;
    let cx = process.context();
    let (_reactor, _owner) = (core.enter(), here::owned_by(process.birth.serial));
    process.slot.enter(&cx, "connection_made", P::connection_made);
    pipes.into_iter().for_each(|pipe| begin::<Plain, _>(core, pipe));
    Ok(cx)
}

type Pipes<P> = Vec<Rc<Connection<Pipe<P>>>>;

/// Takes a process over that has started. If that cannot be, it is killed.
fn adopt<P: ProcessProtocol>(
    core: &Rc<Core>,
    started: Started,
    birth: Birth,
    executable: String,
    protocol: P,
) -> io::Result<(Rc<Process<P>>, Pipes<P>)> {
    const SIGKILL: i32 = 9;
    let Started { child, ends, terminal } = started;
    let mut pipes = Vec::with_capacity(ends.len());
    let process = Rc::new_cyclic(|this| Process {
        this: this.clone(),
        core: Rc::downgrade(core),
        slot: Slot::new(protocol),
        child: RefCell::new(Some(child)),
        bell: OwnedSocket::default(),
        state: Cell::new(State::Running),
        why: RefCell::default(),
        pipes: RefCell::default(),
        has_terminal: terminal,
        ending: RefCell::default(),
        executable,
        birth,
    });
    let opened = ends.into_iter().try_for_each(|end| {
        pipes.push(process.open(core, end)?);
        Ok(())
    });
    if let Err(error) = opened.and_then(|()| process.watch(core)) {
        process.state.set(State::Told);
        process.child.borrow().iter().for_each(|child| drop(child.signal(SIGKILL)));
        core.close_socket(&process.bell);
        return Err(error);
    }
    Ok((process, pipes))
}

impl<P: ProcessProtocol> Process<P> {
    fn context(&self) -> ProcessContext<P> {
        let this = self.this.upgrade().expect("whoever calls it has it");
        Context::of(&ProcessTransport(this))
    }

    fn open(&self, core: &Rc<Core>, end: OurEnd) -> io::Result<Rc<Connection<Pipe<P>>>> {
        let OurEnd { descriptor, reads, file } = end;
        let kind = match (self.has_terminal && descriptor == 1, reads) {
            (true, _) => Kind::Terminal,
            (_, true) => Kind::Read,
            (_, false) => Kind::Write,
        };
        let pipe = pipe::open(core, self.this.clone(), descriptor, kind, file, &self.birth)?;
        let transport = Transport { link: pipe.clone() };
        self.pipes.borrow_mut().push(Open { descriptor, reads, transport });
        Ok(pipe)
    }

    /// Has its end told.
    fn watch(&self, core: &Rc<Core>) -> io::Result<()> {
        let bell = self.child.borrow().as_ref().map(twistor_spawn::Child::bell).transpose()?;
        let (Some(bell), Some(this)) = (bell, self.this.upgrade()) else { return Ok(()) };
        self.bell.open(core.driver.adopt_file(bell)?);
        core.add(&self.bell, this);
        core.watch(&self.bell, Interest::READ)
    }

    // ---- what its pipes tell ------------------------------------------------------------------------------------

    pub(super) fn received(&self, descriptor: RawFd, data: &[u8]) {
        let cx = self.context();
        let what = "child_data_received";
        if !self.slot.enter(&cx, what, |protocol, cx| protocol.child_data_received(cx, descriptor, data)) {
            // A method of it runs a turn of its own, or calls wait. What is lent does not last: it is copied.
            let data = data.to_vec();
            self.slot
                .event(&cx, what, move |protocol, cx| protocol.child_data_received(cx, descriptor, &data));
        }
    }

    pub(super) fn pipe_lost(&self, descriptor: RawFd, why: Failure) {
        let gone = self.pipes.borrow_mut().extract_if(.., |pipe| pipe.descriptor == descriptor).next();
        if gone.is_none() {
            return;
        }
        let told = move |protocol: &mut P, cx: &ProcessContext<P>| {
            protocol.child_connection_lost(cx, descriptor, why)
        };
        self.slot.event(&self.context(), "child_connection_lost", told);
        self.end_if_all_is_over();
    }

    /// Runs calls of the protocol that wait. When none is left, the pipes are read again.
    pub(super) fn go_on(&self) -> bool {
        let free = self.slot.run_waiting(&self.context());
        if free {
            for pipe in self.pipes(false) {
                pipe.wire().set_held(false);
                pipe.touch();
            }
        }
        free
    }

    // ---- its end ------------------------------------------------------------------------------------------------

    /// Waits for it, if it has exited.
    fn reap(&self) -> Option<Failure> {
        let status = self.child.borrow_mut().as_mut()?.try_wait();
        match status {
            Ok(None) => None,
            Ok(Some(status)) => Some(reason(status)),
            Err(error) => Some(Failure::of_the_loop(ConnectionLost::because(error))),
        }
    }

    fn exited(&self, core: &Core, why: Failure) {
        self.leave(core, why.clone());
        drop(self.child.take()); // waited for
        let told = move |protocol: &mut P, cx: &ProcessContext<P>| protocol.process_exited(cx, why);
        self.slot.event(&self.context(), "process_exited", told);
        self.end_if_all_is_over();
    }

    /// Nothing more is to be heard of it.
    fn leave(&self, core: &Core, why: Failure) {
        self.state.set(State::Exited);
        self.why.replace(Some(why));
        let _ = core.watch(&self.bell, Interest::NONE); // it is in the set, so that it can be taken out
    }

    fn end_if_all_is_over(&self) {
        if self.state.get() != State::Exited || !self.pipes.borrow().is_empty() {
            return;
        }
        let Some(why) = self.why.borrow().clone() else { return };
        self.state.set(State::Ended);
        let (cx, this, result) = (self.context(), self.this.clone(), why.clone());
        if let Some(core) = self.core.upgrade() {
            core.close_socket(&self.bell);
        }
        let told = move |protocol: &mut P, cx: &ProcessContext<P>| protocol.process_ended(cx, why);
        self.slot.lose(&cx, "process_ended", told, move || {
            if let Some(this) = this.upgrade() {
                this.told(result);
            }
        });
    }

    fn told(&self, why: Failure) {
        self.state.set(State::Told);
        drop(self.child.take()); // if it runs still, it is left to whoever waits for those that are left
        fire_all(self.ending.take(), &as_result(why));
    }
}

/// What its protocol is told.
fn reason(status: Status) -> Failure {
    let terminated = match status {
        Status::Exited(0) => return Failure::of_the_loop(ProcessDone::default()),
        Status::Exited(code) => ProcessTerminated { exit_code: Some(code), ..ProcessTerminated::default() },
        Status::Killed { signal, core } => ProcessTerminated { exit_code: None, signal: Some(signal), core },
        _ => ProcessTerminated::default(),
    };
    Failure::of_the_loop(terminated)
}

fn as_result(why: Failure) -> Result<()> {
    if why.check::<ProcessDone>() { Ok(()) } else { Err(why) }
}

impl<P: ProcessProtocol> Child for Process<P> {
    fn slot(&self) -> &dyn Any {
        &self.slot
    }

    fn hold(&self) -> bool {
        let Some(core) = self.core.upgrade() else { return false };
        for pipe in self.pipes(false) {
            pipe.wire().set_held(true);
            pipe.touch();
        }
        if self.bell.is_open() {
            core.hold(self.bell.token());
        }
        self.bell.is_open()
    }

    fn pid(&self) -> Option<u32> {
        self.child.borrow().as_ref().map(twistor_spawn::Child::pid)
    }

    fn pipe(&self, descriptor: RawFd) -> Option<Transport> {
        let named = if self.has_terminal && (0..3).contains(&descriptor) { 1 } else { descriptor };
        self.pipes.borrow().iter().find(|pipe| pipe.descriptor == named).map(|pipe| pipe.transport.clone())
    }

    fn pipes(&self, reading: bool) -> Vec<Transport> {
        let pipes = self.pipes.borrow();
        pipes.iter().filter(|pipe| pipe.reads || !reading).map(|pipe| pipe.transport.clone()).collect()
    }

    fn has_terminal(&self) -> bool {
        self.has_terminal
    }

    fn set_window_size(&self, rows: u16, columns: u16) -> io::Result<()> {
        let size = WindowSize { rows, columns };
        match self.pipe(1).filter(|_| self.has_terminal) {
            Some(terminal) => terminal.wire().socket.with(|handle| match handle {
                Handle::File(file) => set_window_size(file, size),
                _ => Err(io::ErrorKind::Unsupported.into()),
            }),
            None => {
                let advice = "the process has no terminal, or has ended; start it with Spawn::terminal";
                Err(io::Error::new(io::ErrorKind::Unsupported, advice))
            }
        }
    }

    fn signal(&self, signal: SignalId<'_>) -> Result<()> {
        let number = signal.number()?;
        match &*self.child.borrow() {
            Some(child) => Ok(child.signal(number)?),
            None => Err(exited_already()),
        }
    }

    fn ended(&self, place: Place) -> Deferred<()> {
        if self.state.get() == State::Told {
            let why = self.why.borrow().clone();
            return Deferred::ready_at(why.map_or(Ok(()), as_result), place);
        }
        let (deferred, promise) = Deferred::pending_at(place);
        deferred.describe(Role::Chain, self.birth.serial);
        self.ending.borrow_mut().push(promise);
        deferred
    }
}

impl<P: ProcessProtocol> Socket for Process<P> {
    fn ready(self: Rc<Self>, core: &Rc<Core>, _ready: Ready) {
        if self.state.get() == State::Running
            && let Some(why) = self.reap()
        {
            self.exited(core, why);
        }
    }

    fn serve(self: Rc<Self>, _core: &Rc<Core>) {}

    fn go_on(self: Rc<Self>, _core: &Rc<Core>) {
        Process::go_on(&self);
    }

    /// Its pipes are closed by themselves.
    fn close(self: Rc<Self>, core: &Rc<Core>, why: Failure) {
        if self.state.get() != State::Running {
            return;
        }
        match self.reap() {
            Some(why) => self.exited(core, why),
            None => {
                self.leave(core, why);
                self.end_if_all_is_over();
            }
        }
    }

    fn serial(&self) -> u32 {
        self.birth.serial
    }

    fn entry(&self, _core: &Core, now: u32) -> Option<Entry> {
        let open = self.pipes.borrow();
        let kind = Shown::Process {
            executable: self.executable.clone(),
            pid: self.pid(),
            open: open.iter().map(|pipe| pipe.descriptor).collect(),
            outgoing: open.iter().map(|pipe| pipe.transport.buffered()).sum(),
        };
        Some(Entry::of(&self.birth, kind, now))
    }
}
