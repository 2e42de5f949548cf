//! The two directions of a connection end one by one.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use twistor::{Reactor, Transport, factory, testing::on_both};

on_both!(the_peers_end_leaves_this_side_writing);
fn the_peers_end_leaves_this_side_writing(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            HalfProbe::new(&seen)
                .read_lost(|cx| {
                    cx.write("bye");
                    cx.lose_write_connection();
                })
                .write_lost(|cx| cx.lose_connection())
        }),
        async |mut stream| {
            stream.write_all(b"hello").await.unwrap();
            stream.close().await.unwrap();
            read_all(&mut stream).await
        },
    );
    assert_eq!((&all[..], end), (&b"bye"[..], None));
    assert_eq!(log.all(), ["made", "data hello", "read lost", "write lost", "lost done"]);
}

on_both!(this_sides_end_leaves_it_reading);
fn this_sides_end_leaves_it_reading(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
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
        async |mut stream| {
            assert_eq!(read_all(&mut stream).await.0, b"the last, or nearly");
            stream.write_all(b"and you").await.unwrap();
            stream.close().await.unwrap();
            read_all(&mut stream).await;
        },
    );
    assert_eq!(log.all(), ["made", "write lost", "data and you", "read lost", "lost done"]);
}

on_both!(with_both_ended_it_stays_until_it_is_closed);
fn with_both_ended_it_stays_until_it_is_closed(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            HalfProbe::new(&seen).made(|cx| {
                keep(Transport::clone(cx));
                cx.lose_write_connection();
            })
        }),
        async |mut stream| {
            stream.close().await.unwrap();
            read_all(&mut stream).await;
            turns().await;
            assert!(served().is_connected());
            served().lose_connection();
            assert!(served().is_connected(), "connection_lost comes from the loop");
        },
    );
    let log = log.all();
    assert_eq!(log.len(), 4, "{log:?}");
    assert_eq!((&log[0][..], &log[3][..]), ("made", "lost done"));
}

on_both!(lose_write_connection_of_a_plain_protocol);
/// A protocol that does not tell the two apart may still end its own direction.
fn lose_write_connection_of_a_plain_protocol(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                cx.write("x");
                cx.lose_write_connection();
            })
        }),
        async |mut stream| {
            assert_eq!(read_all(&mut stream).await.0, b"x");
            stream.write_all(b"y").await.unwrap();
        },
    );
    assert_eq!(log.all(), ["made", "write lost", "data y", "lost done"]);
}

on_both!(both_ends_at_once_send_all);
fn both_ends_at_once_send_all(reactor: &Reactor) {
    let log = Log::default();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            HalfProbe::new(&log).made(|cx| {
                cx.write(vec![b'x'; MUCH]);
                cx.lose_write_connection();
                cx.lose_connection();
            })
        }),
        async |mut stream| read_all(&mut stream).await,
    );
    assert_eq!((all.len(), end), (MUCH, None));
}

on_both!(the_peers_end_may_come_while_much_waits);
fn the_peers_end_may_come_while_much_waits(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let all = serve(
        reactor,
        factory(move |_| {
            HalfProbe::new(&seen).made(|cx| cx.write(vec![b'x'; MUCH])).read_lost(|cx| cx.lose_connection())
        }),
        async |mut stream| {
            stream.close().await.unwrap();
            let mut some = vec![0; 1000];
            stream.read_exact(&mut some).await.unwrap();
            read_all(&mut stream).await.0.len() + some.len()
        },
    );
    assert_eq!(all, MUCH);
    assert_eq!(log.all(), ["made", "read lost", "lost done"]);
}
