//! Peer: calloop as its book has it, an event source a connection, level-triggered, one 64 KiB buffer for all of them.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;

use calloop::generic::Generic;
use calloop::{EventLoop, EventSource, Interest, LoopHandle, Mode as Trigger, Poll, PostAction};
use calloop::{Readiness, Token, TokenFactory};
use twistor_bench::{BUFFER, Mode, answer, bind_udp, listen, server_args};

/// Input and output of whichever connection is served.
type Buffers = Rc<RefCell<(Vec<u8>, Vec<u8>)>>;

struct Connection {
    mode: Mode,
    socket: Generic<TcpStream>,
    buffers: Buffers,
    unfinished: Vec<u8>,
    unsent: Vec<u8>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mode, port) = server_args()?;
    let mut event_loop: EventLoop<'_, ()> = EventLoop::try_new()?;
    let handle = event_loop.handle();
    if mode == Mode::Udp {
        let socket = Generic::new(bind_udp(port)?, Interest::READ, Trigger::Level);
        let mut buffer = vec![0; BUFFER];
        handle.insert_source(socket, move |_, socket, ()| datagrams(socket, &mut buffer))?;
    } else {
        let listener = Generic::new(listen(port)?, Interest::READ, Trigger::Level);
        let buffers = Rc::new(RefCell::new((vec![0; BUFFER], Vec::new())));
        let connections = handle.clone();
        handle
            .insert_source(listener, move |_, listener, ()| accept(listener, mode, &connections, &buffers))?;
    }
    Ok(event_loop.run(None, &mut (), |()| {})?)
}

fn accept(
    listener: &TcpListener,
    mode: Mode,
    connections: &LoopHandle<'_, ()>,
    buffers: &Buffers,
) -> io::Result<PostAction> {
    while let Some((stream, _)) = unless_blocked(listener.accept())? {
        stream.set_nonblocking(true)?;
        let socket = Generic::new(stream, Interest::READ, Trigger::Level);
        let (unfinished, unsent) = (Vec::new(), Vec::new());
        let connection = Connection { mode, socket, buffers: buffers.clone(), unfinished, unsent };
        connections.insert_source(connection, |(), (), ()| ()).map_err(|refused| refused.error)?;
    }
    Ok(PostAction::Continue)
}

impl Connection {
    /// Sends what is left, or reads and answers once; an error ends the connection.
    fn serve(&mut self) -> io::Result<PostAction> {
        let mut stream = self.socket.get_ref();
        if self.unsent.is_empty() {
            let (buffer, output) = &mut *self.buffers.borrow_mut();
            let n = stream.read(buffer)?;
            if n == 0 {
                return Ok(PostAction::Remove);
            }
            let answer = answer(self.mode, &mut self.unfinished, &buffer[..n], output);
            if answer.is_empty() {
                return Ok(PostAction::Continue);
            }
            let sent = unless_blocked(stream.write(answer))?.unwrap_or(0);
            if sent == answer.len() {
                return Ok(PostAction::Continue);
            }
            self.unsent.extend_from_slice(&answer[sent..]);
            self.socket.interest = Interest::WRITE;
        } else {
            let sent = unless_blocked(stream.write(&self.unsent))?.unwrap_or(0);
            self.unsent.drain(..sent);
            if !self.unsent.is_empty() {
                return Ok(PostAction::Continue);
            }
            self.socket.interest = Interest::READ;
        }
        Ok(PostAction::Reregister)
    }
}

impl EventSource for Connection {
    type Event = ();
    type Metadata = ();
    type Ret = ();
    type Error = io::Error;

    fn process_events<F>(&mut self, readiness: Readiness, token: Token, _: F) -> io::Result<PostAction>
    where
        F: FnMut((), &mut ()),
    {
        let mut ready = false;
        self.socket.process_events(readiness, token, |_, _| {
            ready = true;
            Ok(PostAction::Continue)
        })?;
        if !ready {
            return Ok(PostAction::Continue);
        }
        self.serve().or(Ok(PostAction::Remove))
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.socket.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.socket.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.socket.unregister(poll)
    }
}

fn datagrams(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<PostAction> {
    while let Some((n, from)) = unless_blocked(socket.recv_from(buffer))? {
        unless_blocked(socket.send_to(&buffer[..n], from))?;
    }
    Ok(PostAction::Continue)
}

/// Nothing where the call would have blocked.
fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}
