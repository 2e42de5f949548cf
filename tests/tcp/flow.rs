//! Pausing what comes in, waiting for what goes out.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{cell::RefCell, rc::Rc};
use twistor::{
    Context, Failure, Protocol, Reactor, Transport, error::WriteBufferFull, factory, testing::on_both,
};

on_both!(a_paused_connection_notices_nothing_until_it_is_resumed);
fn a_paused_connection_notices_nothing_until_it_is_resumed(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).made(move |cx| {
                cx.pause_producing();
                keep((Transport::clone(cx), seen.clone()));
            })
        }),
        async |mut stream| {
            stream.write_all(b"hello").await.unwrap();
            drop(stream);
            turns().await;
            let (transport, log) = kept::<(Transport, Log)>();
            assert!(transport.is_paused() && transport.is_connected());
            transport.resume_producing();
            assert_eq!(log.all(), ["made"], "nothing is called inside");
        },
    );
    assert_eq!(log.all(), ["made", "data hello", "lost done"]);
}

on_both!(data_before_an_end_comes_before_it_however_it_is_paused);
fn data_before_an_end_comes_before_it_however_it_is_paused(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let mut rest = 0;
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).data(move |cx, data| {
                rest += data.len();
                cx.pause_producing();
                let transport = Transport::clone(cx);
                twistor::Reactor::current()
                    .call_later(std::time::Duration::ZERO, move || transport.resume_producing());
                if rest == 500_000 {
                    seen.add("all");
                }
            })
        }),
        async |mut stream| stream.write_all(&[b'x'; 500_000]).await.unwrap(),
    );
    assert_eq!(log.all(), ["made", "all", "lost done"]);
}

on_both!(a_pause_inside_data_received_holds_the_next_read);
fn a_pause_inside_data_received_holds_the_next_read(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).data(|cx, data| {
                if data == b"one" {
                    cx.pause_producing();
                    keep(Transport::clone(cx));
                    cx.write("paused");
                }
            })
        }),
        async |mut stream| {
            stream.write_all(b"one").await.unwrap();
            stream.read_exact(&mut [0; 6]).await.unwrap();
            stream.write_all(b"two").await.unwrap();
            turns().await;
            served().resume_producing();
        },
    );
    assert_eq!(log.all(), ["made", "data one", "data two", "lost done"]);
}

on_both!(a_large_borrowed_write_leaves_at_once_unless_something_waits_before_it);
fn a_large_borrowed_write_leaves_at_once_unless_something_waits_before_it(reactor: &Reactor) {
    const LARGE: &[u8] = &[b'x'; 16 << 10];
    let log = Log::default();
    let seen = log.clone();
    let arrived = serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).made(move |cx| {
                for write in [LARGE, b"a", LARGE] {
                    cx.write(write);
                    seen.add(format!("{} wait", cx.buffered()));
                }
                cx.lose_connection();
            })
        }),
        async |mut stream| read_all(&mut stream).await,
    );
    assert!(arrived == ([LARGE, b"a", LARGE].concat(), None), "in order");
    assert_eq!(log.all(), ["made", "0 wait", "1 wait", "16385 wait", "lost done"]);
}

on_both!(what_a_large_write_finds_no_room_for_is_queued);
fn what_a_large_write_finds_no_room_for_is_queued(reactor: &Reactor) {
    let bytes: Vec<u8> = (0..MUCH).map(|at| (at % 251) as u8).collect();
    let (log, all) = (Log::default(), bytes.clone());
    let seen = log.clone();
    let arrived = serve(
        reactor,
        factory(move |_| {
            let bytes = bytes.clone();
            Probe::<false>::new(&seen).made(move |cx| {
                cx.write(&bytes);
                assert!((1..MUCH).contains(&cx.buffered()), "{} of {MUCH} wait", cx.buffered());
                cx.lose_connection();
            })
        }),
        async |mut stream| read_all(&mut stream).await,
    );
    assert!(arrived == (all, None));
    assert_eq!(log.all(), ["made", "lost done"]);
}

on_both!(a_write_that_fails_ends_the_connection_alike_be_it_large_or_small);
fn a_write_that_fails_ends_the_connection_alike_be_it_large_or_small(reactor: &Reactor) {
    for length in [1, 16 << 10] {
        let log = Log::default();
        let seen = log.clone();
        serve(
            reactor,
            factory(move |_| {
                Probe::<false>::new(&seen).made(|cx| {
                    cx.pause_producing(); // so that a write is the first to meet the reset
                    keep(Transport::clone(cx));
                })
            }),
            async move |stream| {
                stream.reset();
                turns().await;
                served().write(&*vec![b'x'; length]);
                assert!(served().is_connected(), "it is told from the loop");
                turns().await;
            },
        );
        assert_eq!(log.all(), ["made", "lost lost"], "{length} bytes");
    }
}

on_both!(drained_fires_when_all_is_sent);
fn drained_fires_when_all_is_sent(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).made(move |cx| {
                assert!(cx.drained().is_fired(), "nothing waits");
                cx.write(vec![b'x'; MUCH]);
                let (log, transport) = (seen.clone(), Transport::clone(cx));
                cx.drained().map(move |()| {
                    log.add(format!("drained, {} left", transport.buffered()));
                    transport.lose_connection();
                });
            })
        }),
        async |mut stream| assert_eq!(read_all(&mut stream).await.0.len(), MUCH),
    );
    assert_eq!(log.all(), ["made", "drained, 0 left", "lost done"]);
}

on_both!(who_writes_whenever_it_is_drained_lets_others_have_their_turn);
/// Writing again when there is room, for ever, is no loop that keeps others out.
fn who_writes_whenever_it_is_drained_lets_others_have_their_turn(reactor: &Reactor) {
    fn again(transport: Transport, turns: Rc<RefCell<usize>>) {
        transport.write("x");
        *turns.borrow_mut() += 1;
        let next = transport.clone();
        transport.drained().map(move |()| again(next, turns)).add_errback(|_| Ok(()));
    }
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen)
                .made(|cx| again(Transport::clone(cx), Rc::default()))
                .data(|cx, _| cx.abort_connection())
        }),
        async |mut stream| {
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            stream.write_all(b"enough").await.unwrap();
            read_all(&mut stream).await;
        },
    );
    assert_eq!(log.all(), ["made", "data enough", "lost aborted"]);
}

on_both!(drained_fails_with_the_connection_and_nobody_needs_to_look);
fn drained_fails_with_the_connection_and_nobody_needs_to_look(reactor: &Reactor) {
    let (reports, _guard) = reports();
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone()).data(move |cx, _| {
                cx.write("never sent");
                let log = seen.clone();
                cx.drained().add_errback(move |why| {
                    log.add(format!("not drained: {}", reason(&why)));
                    Ok(())
                });
                drop(cx.drained());
                cx.abort_connection();
            })
        }),
        async |mut stream| {
            stream.write_all(b"go").await.unwrap();
            read_all(&mut stream).await;
        },
    );
    assert_eq!(log.all(), ["made", "data go", "not drained: aborted", "lost aborted"]);
    assert_eq!(reports.all(), [""; 0]);
}

on_both!(a_peer_that_does_not_read_fails_the_connection_by_name_at_the_limit);
fn a_peer_that_does_not_read_fails_the_connection_by_name_at_the_limit(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            let seen = seen.clone();
            Probe::<false>::new(&seen.clone())
                .made(|cx| {
                    cx.set_write_limit(1000);
                    cx.write([b'x'; 1001]); // what was queued before counts
                    assert!(!cx.is_disconnecting());
                    cx.write("y");
                    assert!(cx.is_disconnecting());
                    cx.write("z"); // dropped
                })
                .lost(move |_, why| seen.add(why.value::<WriteBufferFull>().expect("it").to_string()))
        }),
        async |mut stream| drop(read_all(&mut stream).await),
    );
    let log = log.all();
    assert_eq!(log[..2], ["made", "lost full"]);
    assert_eq!(
        log[2],
        "the peer does not read: 1001 bytes were queued, over the limit of 1000; register a producer, wait for drained(), or \
         raise the limit with set_write_limit"
    );
}

on_both!(fail_ends_this_connection_with_its_reason);
fn fail_ends_this_connection_with_its_reason(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        factory(move |_| {
            Probe::<false>::new(&seen).data(|cx, _| {
                cx.write("dropped");
                cx.fail("x".parse::<u8>().unwrap_err());
            })
        }),
        async |mut stream| {
            stream.write_all(b"go").await.unwrap();
            assert_eq!(read_all(&mut stream).await.0, b"");
        },
    );
    assert_eq!(log.all(), ["made", "data go", "lost invalid digit found in string"]);
}

on_both!(an_iterator_of_write_sequence_may_write);
/// The iterator of `write_sequence` is the user's code.
fn an_iterator_of_write_sequence_may_write(reactor: &Reactor) {
    struct Nested;
    impl Protocol for Nested {
        fn connection_made(&mut self, cx: &Context<Self>) {
            let pieces = ["b", "c"].into_iter().inspect(|_| cx.write("a"));
            cx.write_sequence(pieces);
            cx.lose_connection();
        }
        fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
            assert_eq!(reason(&why), "done");
        }
    }
    let (reports, _guard) = reports();
    let all = serve(reactor, factory(|_| Nested), async |mut stream| read_all(&mut stream).await.0);
    assert_eq!(all, b"aabc");
    assert_eq!(reports.all(), [""; 0]);
}
