//! The driver against the kernel, on loopback. No test sleeps; whatever is waited for has a deadline.

mod alarm;
mod datagrams;
mod exhaustion;
mod nesting;
mod spinning;
mod streams;
mod waiting;

use super::*;
use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream},
    ops::Deref,
};

/// How long what must happen may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long what must not happen is given to happen.
const GRACE: Duration = Duration::from_millis(30);

const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;
const BOTH: Interest = Interest { read: true, write: true };
const NONE: Interest = Interest::NONE;

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LOCAL_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

fn driver() -> EpollDriver {
    EpollDriver::new(Duration::ZERO).unwrap()
}

/// A socket with the token that it is watched under.
struct Known {
    handle: Handle,
    token: Token,
    watched: Cell<Interest>,
}

impl Known {
    /// No two of a thread have the same token.
    fn new(handle: Handle) -> Known {
        thread_local!(static TOKENS: Cell<u32> = const { Cell::new(0) });
        TOKENS.set(TOKENS.get() + 1);
        Known { handle, token: Token(TOKENS.get()), watched: Cell::default() }
    }

    fn watch(&self, driver: &EpollDriver, interest: Interest) {
        driver.watch(&self.handle, self.token, self.watched.replace(interest), interest).unwrap();
    }
}

impl Deref for Known {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

fn listening(driver: &EpollDriver, at: SocketAddr) -> (Known, SocketAddr) {
    let port = driver.listen(&Listen { at, backlog: 50, reuse_address: true, reuse_port: false }).unwrap();
    let address = driver.local_address(&port).unwrap().as_inet().unwrap();
    (Known::new(port), address)
}

/// A connection of the driver with its peer, which is a plain blocking socket.
fn connection(driver: &EpollDriver) -> (Known, TcpStream) {
    let (port, address) = listening(driver, LOCAL);
    let peer = TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (socket, from) = driver.accept(&port).unwrap();
    assert_eq!(from.as_inet().unwrap(), peer.local_addr().unwrap());
    (Known::new(socket), peer)
}

/// A connection whose peer has sent something that has arrived.
fn readable(driver: &EpollDriver) -> (Known, TcpStream) {
    let (socket, mut peer) = connection(driver);
    peer.write_all(b"x").unwrap();
    socket.watch(driver, READ);
    until(driver, |told| told.read);
    (socket, peer)
}

/// What is ready now.
fn look(driver: &EpollDriver) -> Vec<Ready> {
    let mut ready = Vec::new();
    driver.wait(Some(Duration::ZERO), &mut ready).unwrap();
    ready
}

/// What is told within a time in which nothing need be.
fn overhear(driver: &EpollDriver) -> Vec<Ready> {
    let mut ready = Vec::new();
    driver.wait(Some(GRACE), &mut ready).unwrap();
    ready
}

/// Waits for the first thing told of the kind.
fn until(driver: &EpollDriver, wanted: impl Fn(Ready) -> bool) -> Ready {
    let deadline = Instant::now() + PATIENCE;
    let mut ready = Vec::new();
    while Instant::now() < deadline {
        driver.wait(Some(deadline - Instant::now()), &mut ready).unwrap();
        if let Some(found) = ready.drain(..).find(|ready| wanted(*ready)) {
            return found;
        }
    }
    panic!("nothing of the kind was told")
}

/// Waits until the call no longer blocks.
fn once_ready<R>(
    driver: &EpollDriver,
    socket: &Known,
    call: impl Fn(&Handle) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        match call(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                until(driver, |ready| ready.token == socket.token);
            }
            done => return done,
        }
    }
}

fn ready(socket: &Known, Interest { read, write }: Interest) -> Ready {
    Ready { token: socket.token, read, write }
}
