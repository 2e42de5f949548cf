//! What is in the file system.

use super::{folder::Folder, loopback::*};
use rustix::{
    io::Errno,
    net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with},
};
use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixListener,
    },
    path::Path,
};
use twistor::{Address, Failure, Reactor, error::CannotListenError, factory, unix::UnixListen};

fn nobody(_peer: &Address) -> Option<Probe> {
    None
}

fn listen(reactor: &Reactor, at: UnixListen) -> twistor::Result<twistor::tcp::ListeningPort> {
    reactor.listen_unix(at, factory(nobody))
}

/// Why it cannot listen there.
fn refused(reactor: &Reactor, at: UnixListen) -> (io::ErrorKind, Failure) {
    let failure = listen(reactor, at).expect_err("it cannot listen there");
    let kind = failure.value::<CannotListenError>().expect("by name").cause().kind();
    (kind, failure)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn a_socket_has_its_mode_whatever_the_mask_of_the_process() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("mode"));
    for (name, bits) in [("all", 0o666), ("mine", 0o600), ("odd", 0o757), ("none", 0)] {
        let path = folder.at(name);
        let _port = listen(&reactor, UnixListen::new(&path).mode(bits)).unwrap();
        assert_eq!(mode(&path), bits, "{name}");
    }
    let _port = listen(&reactor, UnixListen::new(folder.at("usual"))).unwrap();
    assert_eq!(mode(&folder.at("usual")), 0o666);
}

#[test]
fn its_file_goes_with_the_port_and_comes_back_with_it() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("goes"));
    let path = folder.at("s");
    let port = listen(&reactor, UnixListen::new(&path)).unwrap();
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    drop(port.stop_listening());
    assert!(!path.exists());
    port.start_listening().unwrap();
    assert!(path.exists());
    drop((reactor, port)); // with the reactor all is closed
    assert!(!path.exists());
}

#[test]
fn another_ones_file_is_left_alone() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("another"));
    let path = folder.at("s");
    let port = listen(&reactor, UnixListen::new(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    let _another = UnixListener::bind(&path).unwrap();
    drop(port.stop_listening());
    assert!(path.exists());
}

#[test]
fn what_is_in_use_is_told_by_name() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("in-use"));
    let path = folder.at("s");
    let _port = listen(&reactor, UnixListen::new(&path)).unwrap();
    for lock in [false, true] {
        let (kind, failure) = refused(&reactor, UnixListen::new(&path).want_pid(lock));
        assert_eq!(kind, io::ErrorKind::AddrInUse);
        let advice = "something listens there, or has left its file behind; stop it, or remove the file";
        assert_eq!(failure.to_string(), format!("cannot listen on unix:{}: {advice}", path.display()));
    }
    assert!(path.exists());
    assert!(!folder.at("s.lock").exists(), "the lock is let go again");
}

#[test]
fn a_socket_that_was_left_behind_is_removed_under_a_lock_alone() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("left"));
    let path = folder.at("s");
    drop(UnixListener::bind(&path).unwrap());
    fs::write(folder.at("s.lock"), "1\n").unwrap(); // as a process leaves it that was killed
    assert_eq!(refused(&reactor, UnixListen::new(&path)).0, io::ErrorKind::AddrInUse);

    let port = listen(&reactor, UnixListen::new(&path).want_pid(true)).unwrap();
    let pid = format!("{}\n", std::process::id());
    assert_eq!(fs::read_to_string(folder.at("s.lock")).unwrap(), pid);
    assert_eq!(
        refused(&reactor, UnixListen::new(&path).want_pid(true)).0,
        io::ErrorKind::AddrInUse,
        "now it is used"
    );
    drop(port.stop_listening());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "neither is left");
}

/// Once the reactor waited here for room in the queue of a listener that does not accept.
#[test]
fn a_listener_that_is_too_busy_to_answer_is_in_use() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("busy"));
    let path = folder.at("s");
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let open = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let (at, listener) = (SocketAddrUnix::new(&path).unwrap(), open());
    bind(&listener, &at).unwrap();
    net::listen(&listener, 0).unwrap();
    let mut waiting = vec![];
    while waiting.len() < 1_000 {
        waiting.push(open());
        if connect(waiting.last().unwrap(), &at) == Err(Errno::AGAIN) {
            break;
        }
    }
    assert!(waiting.len() < 1_000, "its queue is full");
    assert_eq!(refused(&reactor, UnixListen::new(&path).want_pid(true)).0, io::ErrorKind::AddrInUse);
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("no-socket"));
    let path = folder.at("letters");
    fs::write(&path, "dear").unwrap();
    assert_eq!(refused(&reactor, UnixListen::new(&path).want_pid(true)).0, io::ErrorKind::AddrInUse);
    assert_eq!(fs::read_to_string(&path).unwrap(), "dear");
}

#[test]
fn where_nothing_can_be_bound_is_told_by_name() {
    let (reactor, folder) = (Reactor::new().unwrap(), Folder::new("nowhere"));
    let (kind, _) = refused(&reactor, UnixListen::new(folder.at("no/such/folder")));
    assert_eq!(kind, io::ErrorKind::NotFound);
    let (_, failure) = refused(&reactor, UnixListen::new(folder.at(&"x".repeat(200))));
    let cause = failure.value::<CannotListenError>().unwrap().cause();
    assert_eq!(cause.raw_os_error(), Some(36), "ENAMETOOLONG");
}

#[test]
fn an_abstract_name_is_no_file_and_goes_with_its_socket() {
    let reactor = Reactor::new().unwrap();
    let name = format!("\0twistor-test-{}", std::process::id());
    let port = listen(&reactor, UnixListen::new(&name).want_pid(true)).unwrap();
    let Address::Unix(host) = port.get_host().unwrap() else { panic!("it is a UNIX socket") };
    assert_eq!(host.as_abstract_name(), Some(&name.as_bytes()[1..]));
    assert_eq!(refused(&reactor, UnixListen::new(&name)).0, io::ErrorKind::AddrInUse);
    drop(port.stop_listening());
    drop(listen(&reactor, UnixListen::new(&name)).unwrap());

    let free = listen(&reactor, UnixListen::new("")).unwrap().get_host().unwrap();
    assert!(free.as_unix().unwrap().as_abstract_name().is_some_and(|name| !name.is_empty()), "{free}");
}
