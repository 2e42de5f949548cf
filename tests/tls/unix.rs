//! Over UNIX sockets, which pass descriptors: not beside TLS.

use super::{
    certificates::{client, server},
    recording::{kind, word},
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::{
    cell::RefCell,
    fs::File,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    rc::Rc,
    time::Duration,
};
use twistor::{
    Context, Failure, Protocol, Reactor, factory, tls::TlsErrorKind, tls::secured, unix::UnixListen,
};

const LIMIT: Duration = Duration::from_secs(20);

fn file() -> File {
    File::open("/dev/null").unwrap()
}

/// Tells what it hears, tries to send a descriptor whenever it can, and stops the reactor at its end.
struct Tries(Rc<RefCell<Vec<String>>>);

impl Tries {
    fn try_it(&self, cx: &Context<Self>) {
        let refused = cx.send_file_descriptor(file()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        self.0.borrow_mut().push("refused".into());
    }
}

impl Protocol for Tries {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.try_it(cx);
    }

    fn handshake_completed(&mut self, cx: &Context<Self>) {
        self.try_it(cx);
        cx.lose_connection();
    }

    fn file_descriptor_received(&mut self, _cx: &Context<Self>, _descriptor: OwnedFd) {
        self.0.borrow_mut().push("a descriptor".into());
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.0.borrow_mut().push(format!("lost: {}", word(&why)));
        let _ = Reactor::current().stop(); // the other end may have
    }
}

/// Runs until somebody stops it, which must be soon.
fn run(reactor: &Reactor) {
    reactor.call_later(LIMIT, || Reactor::current().stop().unwrap());
    reactor.run_without_signal_handlers().unwrap();
    assert!(reactor.now() < LIMIT, "nobody has stopped it");
}

#[test]
fn no_descriptor_is_sent_beside_it() {
    let (reactor, told) = (Reactor::new().unwrap(), Rc::new(RefCell::new(vec![])));
    let port = reactor.listen_unix(UnixListen::new(""), factory(|_| secured(server(), Tries(Rc::default()))));
    let seen = told.clone();
    let client = factory(move |_| secured(client(), Tries(seen.clone())));
    let _connector = reactor.connect_unix(&port.unwrap().get_host().unwrap(), client);
    run(&reactor);
    assert_eq!(told.borrow()[..2], ["refused", "refused"]);
}

/// Whoever sends it has not proved to be anybody.
#[test]
fn no_descriptor_is_received_beside_it() {
    let (reactor, told) = (Reactor::new().unwrap(), Rc::new(RefCell::new(vec![])));
    let seen = told.clone();
    let server = factory(move |_| secured(server(), Tries(seen.clone())));
    let port = reactor.listen_unix(UnixListen::new(""), server).unwrap();
    let at = port.get_host().unwrap();
    let name = at.as_unix().unwrap().as_abstract_name().unwrap();
    let peer = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    let (file, mut space) = (file(), [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let mut along = SendAncillaryBuffer::new(&mut space);
    let descriptors = [file.as_fd()];
    assert!(along.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(&peer, &[IoSlice::new(b"no TLS, but a descriptor")], &mut along, SendFlags::NOSIGNAL).unwrap();
    run(&reactor);
    assert_eq!(*told.borrow(), ["refused", "lost: Protocol"]);
}

#[test]
fn it_does_not_begin_while_a_descriptor_waits() {
    struct Gives;
    impl Protocol for Gives {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.send_file_descriptor(file()).unwrap();
            let why = cx.start_tls(server()).now().expect("at once").unwrap_err();
            assert_eq!(kind(&why), TlsErrorKind::Options);
            assert!(why.to_string().starts_with("descriptors wait"), "{why}");
            Reactor::current().stop().unwrap();
        }
    }
    let reactor = Reactor::new().unwrap();
    let port = reactor.listen_unix(UnixListen::new(""), factory(|_| Gives)).unwrap();
    let at = port.get_host().unwrap();
    let name = at.as_unix().unwrap().as_abstract_name().unwrap();
    let _peer = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    run(&reactor);
}
