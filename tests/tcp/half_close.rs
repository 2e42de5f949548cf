//! The two directions of a connection end one by one.

use crate::loopback::*;
use std::{
    io::{Read, Write},
    net::Shutdown,
};
use twistor::{Transport, factory};

#[test]
fn the_peers_end_leaves_this_side_writing() {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        factory(move |_| {
            HalfProbe::new(&seen)
                .read_lost(|cx| {
                    cx.write("bye");
                    cx.lose_write_connection();
                })
                .write_lost(|cx| cx.lose_connection())
        }),
        |mut stream, _| {
            stream.write_all(b"hello").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            read_all(&stream)
        },
    );
    assert_eq!((&all[..], end), (&b"bye"[..], None));
    assert_eq!(log.all(), ["made", "data hello", "read lost", "write lost", "lost done"]);
}

#[test]
fn this_sides_end_leaves_it_reading() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| {
            HalfProbe::new(&seen)
                .made(|cx| {
                    cx.write("the last");
                    cx.lose_write_connection();
                    cx.write(", or nearly"); // its end is not sent yet
                })
                .write_lost(|cx| cx.write("too late"))
                .read_lost(|cx| cx.lose_connection())
        }),
        |mut stream, _| {
            assert_eq!(read_all(&stream).0, b"the last, or nearly");
            stream.write_all(b"and you").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            read_all(&stream);
        },
    );
    assert_eq!(log.all(), ["made", "write lost", "data and you", "read lost", "lost done"]);
}

#[test]
fn with_both_ended_it_stays_until_it_is_closed() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| {
            HalfProbe::new(&seen).made(|cx| {
                keep(Transport::clone(cx));
                cx.lose_write_connection();
            })
        }),
        |stream, remote| {
            stream.shutdown(Shutdown::Write).unwrap();
            read_all(&stream);
            turns(&remote);
            assert!(with_kept(&remote, |transport| transport.is_connected()));
            let still = with_kept(&remote, |transport| {
                transport.lose_connection();
                transport.is_connected()
            });
            assert!(still, "connection_lost comes from the loop");
        },
    );
    let log = log.all();
    assert_eq!(log.len(), 4, "{log:?}");
    assert_eq!((&log[0][..], &log[3][..]), ("made", "lost done"));
}

/// A protocol that does not tell the two apart may still end its own direction.
#[test]
fn lose_write_connection_of_a_plain_protocol() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                cx.write("x");
                cx.lose_write_connection();
            })
        }),
        |mut stream, _| {
            assert_eq!(read_all(&stream).0, b"x");
            stream.write_all(b"y").unwrap();
        },
    );
    assert_eq!(log.all(), ["made", "write lost", "data y", "lost done"]);
}

#[test]
fn both_ends_at_once_send_all() {
    let log = Log::default();
    let (all, end) = serve(
        factory(move |_| {
            HalfProbe::new(&log).made(|cx| {
                cx.write(vec![b'x'; MUCH]);
                cx.lose_write_connection();
                cx.lose_connection();
            })
        }),
        |stream, _| read_all(&stream),
    );
    assert_eq!((all.len(), end), (MUCH, None));
}

#[test]
fn the_peers_end_may_come_while_much_waits() {
    let log = Log::default();
    let seen = log.clone();
    let all = serve(
        factory(move |_| {
            HalfProbe::new(&seen).made(|cx| cx.write(vec![b'x'; MUCH])).read_lost(|cx| cx.lose_connection())
        }),
        |mut stream, _| {
            stream.shutdown(Shutdown::Write).unwrap();
            let mut some = vec![0; 1000];
            stream.read_exact(&mut some).unwrap();
            read_all(&stream).0.len() + some.len()
        },
    );
    assert_eq!(all, MUCH);
    assert_eq!(log.all(), ["made", "read lost", "lost done"]);
}
