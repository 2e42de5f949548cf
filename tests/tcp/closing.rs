//! The order of a connection's events, and how it ends.

use crate::loopback::*;
use std::{
    io::{ErrorKind, Read, Write},
    sync::mpsc,
};
use twistor::{Context, Failure, Transport, boxed, factory};

#[test]
fn events_come_in_order_each_once() {
    let log = Log::default();
    let recorder = Recorder::new(&log, {
        let log = log.clone();
        move |_| Some(Probe::<false>::new(&log).data(|cx, data| cx.write(data)))
    });
    let echoed = serve(recorder, |mut stream, _| {
        stream.write_all(b"hello").unwrap();
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).unwrap();
        echo
    });
    assert_eq!(&echoed, b"hello");
    assert_eq!(log.all(), ["start factory", "build", "made", "data hello", "lost done", "stop factory"]);
}

#[test]
fn none_refuses_the_peer() {
    let log = Log::default();
    let (all, end) = serve(Recorder::<Probe>::new(&log, |_| None), |stream, _| read_all(&stream));
    assert_eq!((all.len(), end), (0, None));
    assert_eq!(log.all(), ["start factory", "build", "stop factory"]);
}

#[test]
fn one_factory_gives_protocols_of_several_types() {
    let log = Log::default();
    let first = std::cell::Cell::new(true);
    let mixed = factory(move |_| {
        if first.replace(false) {
            boxed(Probe::<false>::new(&log).made(|cx| {
                cx.write("one");
                cx.lose_connection();
            }))
        } else {
            boxed(Probe::<true>::new(&log).made(|cx| {
                cx.write("two");
                cx.lose_connection();
            }))
        }
    });
    let both = serve(mixed, |stream, _| {
        let again = dial(stream.peer_addr().unwrap());
        [read_all(&stream).0, read_all(&again).0]
    });
    assert_eq!(both, [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn what_connection_made_writes_before_it_closes_is_delivered() {
    let log = Log::default();
    let (all, end) = serve(
        factory(move |_| {
            Probe::<false>::new(&log).made(|cx| {
                cx.write_sequence(["an ", "apple ", "a day "]);
                cx.write(vec![b'x'; MUCH]);
                cx.lose_connection();
            })
        }),
        |stream, _| read_all(&stream),
    );
    assert_eq!((all.len(), end), (MUCH + 15, None));
    assert!(all.starts_with(b"an apple a day xx"));
}

#[test]
fn what_is_written_while_the_rest_drains_still_goes_out() {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                keep(Transport::clone(cx));
                cx.write(vec![b'x'; MUCH]);
                cx.lose_connection();
            })
        }),
        |stream, remote| {
            let waits = with_kept(&remote, |transport| {
                transport.write("tail");
                (transport.buffered() > 4, transport.is_disconnecting(), transport.is_connected())
            });
            assert_eq!(waits, (true, true, true));
            read_all(&stream)
        },
    );
    assert_eq!((all.len(), end), (MUCH + 4, None));
    assert!(all.ends_with(b"xtail"));
    assert_eq!(log.all(), ["made", "lost done"]);
}

#[test]
fn nothing_is_received_after_lose_connection() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| {
            Probe::<false>::new(&seen).data(|cx, _| {
                cx.write(vec![b'x'; MUCH]); // it stays a while
                cx.lose_connection();
            })
        }),
        |mut stream, remote| {
            stream.write_all(b"one").unwrap();
            stream.read_exact(&mut [0; 1000]).unwrap();
            stream.write_all(b"two").unwrap();
            turns(&remote);
            read_all(&stream);
        },
    );
    assert_eq!(log.all(), ["made", "data one", "lost done"]);
}

#[test]
fn abort_sends_a_reset_and_drops_what_waits() {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        factory(move |_| {
            Probe::<false>::new(&seen).data(|cx, _| {
                cx.write("never sent");
                cx.abort_connection();
            })
        }),
        |mut stream, _| {
            stream.write_all(b"go").unwrap();
            read_all(&stream)
        },
    );
    assert_eq!((all.len(), end), (0, Some(ErrorKind::ConnectionReset)));
    assert_eq!(log.all(), ["made", "data go", "lost aborted"]);
}

#[test]
fn abort_of_a_connection_that_drains_ends_it() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                keep(Transport::clone(cx));
                cx.write(vec![b'x'; MUCH]);
                cx.lose_connection();
            })
        }),
        |stream, remote| {
            with_kept(&remote, |transport| transport.abort_connection());
            assert_eq!(read_all(&stream).1, Some(ErrorKind::ConnectionReset));
        },
    );
    assert_eq!(log.all(), ["made", "lost aborted"]);
}

#[test]
fn connection_lost_comes_after_the_method_that_ended_it_and_once() {
    type End = fn(&Context<Probe>);
    let ends: [(End, &str); 4] = [
        (|cx| cx.abort_connection(), "lost aborted"),
        (|cx| cx.lose_connection(), "lost done"),
        (|cx| cx.fail(Failure::msg("enough")), "lost enough"),
        (
            |cx| {
                cx.lose_connection();
                cx.abort_connection();
                cx.fail(Failure::msg("late"));
            },
            "lost aborted",
        ),
    ];
    for (end, told) in ends {
        let log = Log::default();
        let seen = log.clone();
        serve(
            factory(move |_| {
                let at_end = seen.clone();
                let in_method = seen.clone();
                Probe::new(&seen)
                    .data(move |cx, _| {
                        end(cx);
                        in_method.add("still in the method");
                    })
                    .lost(move |cx, _| {
                        end(cx); // nothing more comes of it
                        cx.write("nobody");
                        at_end.add(format!("connected {}", cx.is_connected()));
                    })
            }),
            |mut stream, _| {
                stream.write_all(b"go").unwrap();
                read_all(&stream);
            },
        );
        assert_eq!(log.all(), ["made", "data go", "still in the method", told, "connected false"]);
    }
}

#[test]
fn the_reset_of_a_peer_is_a_loss_with_its_cause() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).lost(move |_, why| {
                let cause = why.value::<twistor::error::ConnectionLost>().and_then(|lost| lost.cause());
                seen.add(format!("{:?}", cause.map(std::io::Error::kind)));
            })
        }),
        |stream, _| socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap(),
    );
    assert_eq!(log.all(), ["made", "lost lost", "Some(ConnectionReset)"]);
}

/// A peer that closes with our bytes on their way to it has closed in order, as in Twisted.
#[test]
fn a_peer_that_ends_without_reading_ends_the_connection_in_order() {
    let log = Log::default();
    let seen = log.clone();
    serve(
        factory(move |_| Probe::<false>::new(&seen).made(|cx| cx.write(vec![b'x'; MUCH]))),
        |mut stream, _| {
            stream.read_exact(&mut [0; 1000]).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        },
    );
    let log = log.all();
    assert!(log == ["made", "lost done"] || log == ["made", "lost lost"], "{log:?}");
}

#[test]
fn a_peer_that_ends_its_direction_is_still_sent_what_was_written() {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        factory(move |_| Probe::<false>::new(&seen).data(|cx, _| cx.write(vec![b'x'; MUCH]))),
        |mut stream, remote| {
            stream.write_all(b"all, please").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            turns(&remote);
            read_all(&stream)
        },
    );
    assert_eq!((all.len(), end), (MUCH, None));
    assert_eq!(log.all(), ["made", "data all, please", "lost done"]);
}

#[test]
fn a_connection_that_one_callback_closes_serves_no_event_of_the_same_batch() {
    // Both peers write; whichever is served first aborts the other, whose event is in the same batch.
    let log = Log::default();
    let seen = log.clone();
    let (sender, receiver) = mpsc::channel();
    let others = std::rc::Rc::new(std::cell::RefCell::new(Vec::<Transport>::new()));
    serve(
        factory(move |_| {
            let (mine, all) = (others.clone(), others.clone());
            let sender = sender.clone();
            Probe::<false>::new(&seen)
                .made(move |cx| {
                    mine.borrow_mut().push(Transport::clone(cx));
                    sender.send(()).unwrap();
                })
                .data(move |cx, _| {
                    let all = std::mem::take(&mut *all.borrow_mut());
                    all.iter().filter(|other| !other.is(cx)).for_each(Transport::abort_connection);
                    cx.lose_connection();
                })
        }),
        move |mut one, remote| {
            let mut two = dial(one.peer_addr().unwrap());
            receiver.recv().unwrap();
            receiver.recv().unwrap();
            // The loop is kept from looking until both have written.
            let (begin, begun) = (mpsc::channel(), mpsc::channel());
            let (begin, wait) = begin;
            remote
                .call_from_thread(move |_| {
                    begun.0.send(()).unwrap();
                    wait.recv().unwrap();
                })
                .unwrap();
            begun.1.recv().unwrap();
            one.write_all(b"x").unwrap();
            two.write_all(b"x").unwrap();
            begin.send(()).unwrap();
            read_all(&one);
            read_all(&two);
        },
    );
    assert_eq!(log.count("data x"), 1, "{:?}", log.all());
    assert_eq!((log.count("lost aborted"), log.count("lost done")), (1, 1), "{:?}", log.all());
}
