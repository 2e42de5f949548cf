//! Descriptors among the bytes.

use super::loopback::{Log, Noting, reports, run, stop};
use rustix::{
    fd::OwnedFd,
    io::{FdFlags, fcntl_getfd},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    cell::{Cell, RefCell},
    env,
    fs::File,
    io::{Read, Write, pipe},
    process::Command,
    rc::Rc,
};
use twistor::{
    Address, Context, Failure, Protocol, Reactor, Transport,
    error::{ConnectionAborted, ConnectionDone, FileDescriptorOverrun, FileDescriptorsLost},
    unix::UnixListen,
};

/// A descriptor whose one byte tells it from others.
fn marked(mark: u8) -> OwnedFd {
    let (read, mut write) = pipe().expect("descriptors");
    write.write_all(&[mark]).expect("there is room");
    read.into()
}

/// One that can be had often, of mark 0.
fn common() -> OwnedFd {
    File::open("/dev/zero").expect("it is there").into()
}

fn mark_of(descriptor: OwnedFd) -> u8 {
    let mut mark = [0];
    File::from(descriptor).read_exact(&mut mark).expect("a mark");
    mark[0]
}

/// What came: after how many bytes each descriptor, and all bytes.
#[derive(Default)]
struct Came {
    descriptors: Vec<(u8, usize)>,
    bytes: Vec<u8>,
    end: Option<Failure>,
}

/// Takes what comes, until the connection is over.
struct Taker {
    came: Rc<RefCell<Came>>,
}

impl Protocol for Taker {
    fn file_descriptor_received(&mut self, _cx: &Context<Self>, descriptor: OwnedFd) {
        assert!(fcntl_getfd(&descriptor).unwrap().contains(FdFlags::CLOEXEC), "no child is to inherit it");
        let mut came = self.came.borrow_mut();
        let before = came.bytes.len();
        came.descriptors.push((mark_of(descriptor), before));
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.came.borrow_mut().bytes.extend_from_slice(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.came.borrow_mut().end = Some(why);
        stop();
    }
}

/// Does something when it is connected.
struct Sender<F> {
    f: F,
    end: Rc<RefCell<Option<Failure>>>,
}

impl<F: FnMut(&Transport) + 'static> Protocol for Sender<F> {
    fn connection_made(&mut self, cx: &Context<Self>) {
        (self.f)(&cx.transport());
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.end.replace(Some(why));
    }
}

/// A server that does `f`, and a client.
fn send_to<P: twistor::IntoLayer + 'static>(
    client: impl Fn() -> P + 'static,
    f: impl FnMut(&Transport) + Clone + 'static,
) -> Option<Failure> {
    let (reactor, end) = (Reactor::new().unwrap(), Rc::new(RefCell::new(None)));
    let told = end.clone();
    let server = twistor::factory(move |_: &Address| Sender { f: f.clone(), end: told.clone() });
    let port = reactor.listen_unix(UnixListen::new(""), server).unwrap();
    let _connector = reactor.connect_unix(&port.get_host().unwrap(), move |_: &Address| client());
    run(&reactor);
    drop((reactor, port));
    end.take()
}

/// What came of it, and how the sender's connection ended.
fn sent(f: impl FnMut(&Transport) + Clone + 'static) -> (Came, Option<Failure>) {
    let came: Rc<RefCell<Came>> = Rc::default();
    let takes = came.clone();
    let end = send_to(move || Taker { came: takes.clone() }, f);
    (came.take(), end)
}

fn marks(came: &Came) -> Vec<u8> {
    came.descriptors.iter().map(|(mark, _)| *mark).collect()
}

#[test]
fn each_comes_in_order_and_before_the_byte_that_was_written_after_it() {
    let (came, _) = sent(|transport| {
        transport.write("ab");
        transport.send_file_descriptor(marked(1)).unwrap();
        transport.send_file_descriptor(marked(2)).unwrap();
        transport.write("cd");
        transport.send_file_descriptor(marked(3)).unwrap();
        transport.write("ef");
        transport.lose_connection();
    });
    assert_eq!(came.bytes, b"abcdef");
    assert_eq!(marks(&came), [1, 2, 3]);
    let not_after = [2, 2, 4];
    for ((mark, after), latest) in came.descriptors.iter().zip(not_after) {
        assert!(*after <= latest, "{mark} came after {after} bytes");
    }
}

/// However much waits, they keep their places.
#[test]
fn those_between_large_writes_keep_their_places() {
    const LARGE: usize = 3 << 20;
    let (came, _) = sent(|transport| {
        for mark in 0..3 {
            transport.send_file_descriptor(marked(mark)).unwrap();
            let large = vec![b'a' + mark; LARGE];
            if mark == 1 { transport.write(large) } else { transport.write(&large) }
        }
        transport.lose_connection();
    });
    assert_eq!(came.bytes.len(), 3 * LARGE);
    assert!(came.bytes.iter().enumerate().all(|(at, byte)| usize::from(byte - b'a') == at / LARGE));
    assert_eq!(marks(&came), [0, 1, 2]);
    for (mark, after) in &came.descriptors {
        assert!(*after <= usize::from(*mark) * LARGE, "{mark} came after {after} bytes");
    }
    assert_eq!(came.descriptors[0].1, 0);
}

#[test]
fn one_waits_for_the_next_byte() {
    let (came, end) = sent(|transport| {
        transport.send_file_descriptor(marked(7)).unwrap();
        let transport = transport.clone();
        Reactor::current().spawn(async move {
            super::loopback::turns().await;
            transport.write("!");
            transport.lose_connection();
            Ok(())
        });
    });
    assert_eq!((marks(&came), &came.bytes[..]), (vec![7], &b"!"[..]));
    assert!(end.unwrap().check::<ConnectionDone>());
}

/// More than the kernel takes with one message.
#[test]
fn many_go_with_few_bytes() {
    let (came, _) = sent(|transport| {
        (0..300).for_each(|_| transport.send_file_descriptor(common()).unwrap());
        transport.write("two");
        transport.lose_connection();
    });
    assert_eq!(came.bytes, b"two");
    assert_eq!(came.descriptors.len(), 300);
}

#[test]
fn without_a_byte_to_go_with_the_connection_ends_by_name() {
    for half in [false, true] {
        let (came, end) = sent(move |transport| {
            transport.write("x");
            transport.send_file_descriptor(marked(1)).unwrap();
            if half { transport.lose_write_connection() } else { transport.lose_connection() }
        });
        assert!(end.unwrap().check::<FileDescriptorOverrun>());
        assert!(came.descriptors.is_empty());
    }
}

/// Whether the writing end of this pipe is closed everywhere.
fn is_closed(read: &OwnedFd) -> bool {
    File::from(read.try_clone().unwrap()).read(&mut [0]).expect("it does not wait") == 0
}

fn watched_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&read, true).unwrap();
    (read.into(), write.into())
}

#[test]
fn one_that_nobody_takes_is_closed() {
    struct Deaf;
    impl Protocol for Deaf {
        fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
            stop();
        }
    }
    let (read, write) = watched_pipe();
    let write = Rc::new(Cell::new(Some(write)));
    let end = send_to(
        || Deaf,
        move |transport| {
            transport.send_file_descriptor(write.take().expect("one connection")).unwrap();
            transport.write("!");
            transport.lose_connection();
        },
    );
    assert!(end.unwrap().check::<ConnectionDone>());
    assert!(is_closed(&read));
}

#[test]
fn one_that_was_not_sent_is_closed_with_the_connection() {
    let (read, write) = watched_pipe();
    let write = Rc::new(Cell::new(Some(write)));
    let (_, end) = sent(move |transport| {
        transport.send_file_descriptor(write.take().expect("one connection")).unwrap();
        transport.write("!");
        transport.abort_connection();
        transport.send_file_descriptor(marked(1)).unwrap(); // closed at once
    });
    assert!(end.unwrap().check::<ConnectionAborted>());
    assert!(is_closed(&read));
}

#[test]
fn a_producer_pauses_when_many_wait() {
    let log = Log::default();
    let seen = log.clone();
    let (came, _) = sent(move |transport| {
        transport.register_producer(Noting(seen.clone()), true).unwrap();
        for count in 1..=65 {
            transport.send_file_descriptor(common()).unwrap();
            assert_eq!(seen.count("pause"), usize::from(count > 64));
        }
        transport.write("!");
        transport.unregister_producer();
        transport.lose_connection();
    });
    assert_eq!(came.descriptors.len(), 65);
}

/// Whoever closes when a descriptor comes is not given the bytes that came with it.
#[test]
fn no_bytes_come_after_an_end_that_a_descriptor_brought() {
    struct Once;
    impl Protocol for Once {
        fn file_descriptor_received(&mut self, cx: &Context<Self>, _descriptor: OwnedFd) {
            cx.lose_connection();
        }
        fn data_received(&mut self, _cx: &Context<Self>, _data: &[u8]) {
            panic!("it has closed");
        }
        fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
            stop();
        }
    }
    let (log, _guard) = reports();
    send_to(
        || Once,
        |transport| {
            transport.send_file_descriptor(marked(1)).unwrap();
            transport.write("!");
        },
    );
    assert_eq!(log.all(), [""; 0]);
}

/// In a process of its own: the limit is the whole process's.
#[test]
fn what_there_is_no_room_for_ends_the_connection_by_name() {
    const HERE: &str = "TWISTOR_TEST_FEW_DESCRIPTORS";
    if env::var_os(HERE).is_none() {
        let test = "descriptors::what_there_is_no_room_for_ends_the_connection_by_name";
        let child = Command::new(env::current_exe().unwrap()).args(["--exact", test]).env(HERE, "1").output();
        let child = child.unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let (came, _) = sent(|transport| {
        (0..8).for_each(|_| transport.send_file_descriptor(common()).unwrap());
        transport.write("!");
        // As many as are open now, and two: the eight are closed here before they come.
        Reactor::current().spawn(async {
            let probe = File::open("/dev/null").unwrap();
            let next = rustix::fd::AsRawFd::as_raw_fd(&probe) as u64;
            let hard = getrlimit(Resource::Nofile).maximum;
            setrlimit(Resource::Nofile, Rlimit { current: Some(next + 2), maximum: hard }).unwrap();
            Ok(())
        });
    });
    assert!(came.descriptors.len() < 8);
    assert_eq!(came.bytes, b"", "they would speak of what is not there");
    assert!(came.end.unwrap().check::<FileDescriptorsLost>());
}
