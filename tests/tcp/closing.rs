//! The order of a connection's events, and how it ends.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io::ErrorKind;
use twistor::{Context, Failure, Reactor, Transport, boxed, factory, testing::on_both};

on_both!(events_come_in_order_each_once);
fn events_come_in_order_each_once(reactor: &Reactor) {
    let log = Log::default();
    let recorder = Recorder::new(&log, {
        let log = log.clone();
        move |_| Some(Probe::<false>::new(&log).data(|cx, data| cx.write(data)))
    });
    let echoed = serve(reactor, recorder, async |mut stream| {
        stream.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).await.unwrap();
        echo
    });
    assert_eq!(&echoed, b"hello");
    assert_eq!(log.all(), ["start factory", "build", "made", "data hello", "lost done", "stop factory"]);
}

on_both!(none_refuses_the_peer);
fn none_refuses_the_peer(reactor: &Reactor) {
    let log = Log::default();
    let (all, end) = serve(reactor, Recorder::<Probe>::new(&log, |_| None), async |mut stream| {
        read_all(&mut stream).await
    });
    assert_eq!((all.len(), end), (0, None));
    assert_eq!(log.all(), ["start factory", "build", "stop factory"]);
}

on_both!(one_factory_gives_protocols_of_several_types);
fn one_factory_gives_protocols_of_several_types(reactor: &Reactor) {
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
    let both = serve(reactor, mixed, async |mut stream| {
        let mut again = dial(stream.remote_address().unwrap());
        [read_all(&mut stream).await.0, read_all(&mut again).await.0]
    });
    assert_eq!(both, [b"one".to_vec(), b"two".to_vec()]);
}

on_both!(what_connection_made_writes_before_it_closes_is_delivered);
fn what_connection_made_writes_before_it_closes_is_delivered(reactor: &Reactor) {
    let log = Log::default();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&log).made(|cx| {
                cx.write_sequence(["an ", "apple ", "a day "]);
                cx.write(vec![b'x'; MUCH]);
                cx.lose_connection();
            })
        }),
        async |mut stream| read_all(&mut stream).await,
    );
    assert_eq!((all.len(), end), (MUCH + 15, None));
    assert!(all.starts_with(b"an apple a day xx"));
}

on_both!(what_is_written_while_the_rest_drains_still_goes_out);
fn what_is_written_while_the_rest_drains_still_goes_out(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                keep(Transport::clone(cx));
                cx.write(vec![b'x'; MUCH]);
                cx.lose_connection();
            })
        }),
        async |mut stream| {
            let transport = served();
            transport.write("tail");
            assert!(transport.buffered() > 4 && transport.is_disconnecting() && transport.is_connected());
            read_all(&mut stream).await
        },
    );
    assert_eq!((all.len(), end), (MUCH + 4, None));
    assert!(all.ends_with(b"xtail"));
    assert_eq!(log.all(), ["made", "lost done"]);
}

on_both!(nothing_is_received_after_lose_connection);
fn nothing_is_received_after_lose_connection(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).data(|cx, _| {
                cx.write(vec![b'x'; MUCH]); // it stays a while
                cx.lose_connection();
            })
        }),
        async |mut stream| {
            stream.write_all(b"one").await.unwrap();
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            stream.write_all(b"two").await.unwrap();
            turns().await;
            read_all(&mut stream).await;
        },
    );
    assert_eq!(log.all(), ["made", "data one", "lost done"]);
}

on_both!(abort_sends_a_reset_and_drops_what_waits);
fn abort_sends_a_reset_and_drops_what_waits(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).data(|cx, _| {
                cx.write("never sent");
                cx.abort_connection();
            })
        }),
        async |mut stream| {
            stream.write_all(b"go").await.unwrap();
            read_all(&mut stream).await
        },
    );
    assert_eq!((all.len(), end), (0, Some(ErrorKind::ConnectionReset)));
    assert_eq!(log.all(), ["made", "data go", "lost aborted"]);
}

on_both!(abort_of_a_connection_that_drains_ends_it);
fn abort_of_a_connection_that_drains_ends_it(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).made(|cx| {
                keep(Transport::clone(cx));
                cx.write(vec![b'x'; MUCH]);
                cx.lose_connection();
            })
        }),
        async |mut stream| {
            served().abort_connection();
            assert_eq!(read_all(&mut stream).await.1, Some(ErrorKind::ConnectionReset));
        },
    );
    assert_eq!(log.all(), ["made", "lost aborted"]);
}

on_both!(connection_lost_comes_after_the_method_that_ended_it_and_once);
fn connection_lost_comes_after_the_method_that_ended_it_and_once(reactor: &Reactor) {
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
            reactor,
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
            async |mut stream| {
                stream.write_all(b"go").await.unwrap();
                read_all(&mut stream).await;
            },
        );
        assert_eq!(log.all(), ["made", "data go", "still in the method", told, "connected false"]);
    }
}

on_both!(the_reset_of_a_peer_is_a_loss_with_its_cause);
fn the_reset_of_a_peer_is_a_loss_with_its_cause(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).lost(move |_, why| {
                let cause = why.value::<twistor::error::ConnectionLost>().and_then(|lost| lost.cause());
                seen.add(format!("{:?}", cause.map(std::io::Error::kind)));
            })
        }),
        async |peer| peer.reset(),
    );
    assert_eq!(log.all(), ["made", "lost lost", "Some(ConnectionReset)"]);
}

on_both!(a_peer_that_ends_without_reading_ends_the_connection_in_order);
/// A peer that closes with our bytes on their way to it has closed in order, as in Twisted.
fn a_peer_that_ends_without_reading_ends_the_connection_in_order(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| Probe::<false>::new(&seen).made(|cx| cx.write(vec![b'x'; MUCH]))),
        async |mut stream| {
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            stream.close().await.unwrap();
        },
    );
    let log = log.all();
    assert!(log == ["made", "lost done"] || log == ["made", "lost lost"], "{log:?}");
}

on_both!(a_peer_that_ends_its_direction_is_still_sent_what_was_written);
fn a_peer_that_ends_its_direction_is_still_sent_what_was_written(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (all, end) = serve(
        reactor,
        factory(move |_| Probe::<false>::new(&seen).data(|cx, _| cx.write(vec![b'x'; MUCH]))),
        async |mut stream| {
            stream.write_all(b"all, please").await.unwrap();
            stream.close().await.unwrap();
            turns().await;
            read_all(&mut stream).await
        },
    );
    assert_eq!((all.len(), end), (MUCH, None));
    assert_eq!(log.all(), ["made", "data all, please", "lost done"]);
}

on_both!(a_connection_that_one_callback_closes_serves_no_event_of_the_same_batch);
fn a_connection_that_one_callback_closes_serves_no_event_of_the_same_batch(reactor: &Reactor) {
    // Both peers write before the loop looks; whichever is served first aborts the other, whose event is in the same batch.
    let log = Log::default();
    let seen = log.clone();
    let others = std::rc::Rc::new(std::cell::RefCell::new(Vec::<Transport>::new()));
    serve(
        reactor,
        factory(move |_| {
            let (mine, all) = (others.clone(), others.clone());
            Probe::<false>::new(&seen).made(move |cx| mine.borrow_mut().push(Transport::clone(cx))).data(
                move |cx, _| {
                    let all = std::mem::take(&mut *all.borrow_mut());
                    all.iter().filter(|other| !other.is(cx)).for_each(Transport::abort_connection);
                    cx.lose_connection();
                },
            )
        }),
        async |mut one| {
            let mut two = dial(one.remote_address().unwrap());
            turns().await;
            one.write_all(b"x").await.unwrap();
            two.write_all(b"x").await.unwrap();
            read_all(&mut one).await;
            read_all(&mut two).await;
        },
    );
    assert_eq!(log.count("data x"), 1, "{:?}", log.all());
    assert_eq!((log.count("lost aborted"), log.count("lost done")), (1, 1), "{:?}", log.all());
}
