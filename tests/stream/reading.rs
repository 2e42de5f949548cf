//! What comes in: in order, no faster than it is read, with its end and its errors.

use crate::{loopback::*, pause, until};
use futures_lite::AsyncRead;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
use std::{
    cell::{Cell, RefCell},
    io::ErrorKind,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use twistor::{
    Reactor, Stream,
    error::ConnectionLost,
    failure::FailureError,
    serve as handle,
    testing::{Peer, on_both},
};

on_both!(what_came_then_the_end);
fn what_came_then_the_end(reactor: &Reactor) {
    let (log, hook) = reports();
    let read: Rc<Cell<Vec<u8>>> = Rc::default();
    let seen = read.clone();
    serve(
        reactor,
        handle(async move |mut stream: Stream| {
            let mut all = vec![];
            stream.read_to_end(&mut all).await?;
            assert_eq!(stream.read(&mut [0; 8]).await?, 0, "and again");
            seen.set(all);
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"first, ").await.unwrap();
            turns().await;
            peer.write_all(b"second").await.unwrap();
            peer.close().await.unwrap();
            assert_eq!(read_all(&mut peer).await, (vec![], None));
        },
    );
    assert_eq!(read.take(), b"first, second");
    drop(hook);
    assert_eq!(log.all(), [""; 0]);
}

on_both!(lines_are_lent_from_the_buffer);
fn lines_are_lent_from_the_buffer(reactor: &Reactor) {
    serve(
        reactor,
        handle(|stream: Stream| async move {
            let lines: Vec<String> = stream.lines().map(|line| line.unwrap()).collect().await;
            assert_eq!(lines, ["one", "two", "three"]);
            Ok(())
        }),
        async |mut peer| {
            for piece in ["on", "e\ntwo\nth", "ree"] {
                peer.write_all(piece.as_bytes()).await.unwrap();
                turns().await;
            }
            peer.close().await.unwrap();
        },
    );
}

on_both!(a_slow_reader_slows_its_peer_down);
/// At most 64 KiB and one read wait for it here; the rest waits in the peer.
fn a_slow_reader_slows_its_peer_down(reactor: &Reactor) {
    let sum: Rc<Cell<(usize, u64)>> = Rc::default();
    let seen = sum.clone();
    serve(
        reactor,
        handle(async move |mut stream: Stream| {
            let mut buffer = [0; 3000];
            let (mut count, mut sum) = (0, 0_u64);
            loop {
                let length = stream.read(&mut buffer).await?;
                if length == 0 {
                    break;
                }
                count += length;
                sum = buffer[..length].iter().fold(sum, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
                if count < 300_000 {
                    pause().await; // until then, a turn for each piece
                }
            }
            seen.set((count, sum));
            Ok(())
        }),
        async |mut peer| {
            let data: Vec<u8> = (0..MUCH).map(|n| (n / 7) as u8).collect();
            peer.write_all(&data).await.unwrap();
        },
    );
    let expected = (0..MUCH).fold(0_u64, |sum, n| sum.wrapping_mul(31) + u64::from((n / 7) as u8));
    assert_eq!(sum.get(), (MUCH, expected));
}

on_both!(nobody_reads_and_the_peer_has_to_wait);
fn nobody_reads_and_the_peer_has_to_wait(reactor: &Reactor) {
    serve(
        reactor,
        handle(|mut stream: Stream| async move {
            let mut byte = [0];
            stream.read(&mut byte).await?;
            until(|| stream.transport().is_paused()).await;
            let mut rest = vec![];
            stream.read_to_end(&mut rest).await?;
            assert_eq!(rest.len() + 1, MUCH);
            Ok(())
        }),
        async |mut peer| peer.write_all(&vec![b'x'; MUCH]).await.unwrap(),
    );
}

on_both!(what_waits_to_be_read_is_shown);
fn what_waits_to_be_read_is_shown(reactor: &Reactor) {
    serve(
        reactor,
        handle(|mut stream: Stream| async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await?; // and with it takes the first piece
            let shown = || Reactor::current().snapshot().to_string();
            until(|| shown().contains("  in 11 B  out 0 B")).await;
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"x").await.unwrap();
            turns().await;
            peer.write_all(b"is not read").await.unwrap();
            assert_eq!(read_all(&mut peer).await, (vec![], None));
        },
    );
}

on_both!(a_reset_is_the_systems_error_with_the_failure_inside);
fn a_reset_is_the_systems_error_with_the_failure_inside(reactor: &Reactor) {
    let (log, hook) = reports();
    let kind: Rc<Cell<Option<ErrorKind>>> = Rc::default();
    let seen = kind.clone();
    serve(
        reactor,
        handle(async move |mut stream: Stream| {
            let mut all = vec![];
            let error = stream.read_to_end(&mut all).await.unwrap_err();
            assert_eq!(all, b"bye");
            let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<FailureError>());
            assert!(inside.is_some_and(|inside| inside.failure().check::<ConnectionLost>()));
            seen.set(Some(error.kind()));
            Err(error.into())
        }),
        async |mut peer| {
            peer.write_all(b"bye").await.unwrap();
            turns().await;
            peer.reset();
        },
    );
    assert_eq!(kind.take(), Some(ErrorKind::ConnectionReset));
    drop(hook);
    assert_eq!(log.all(), [""; 0], "the loss of its own connection is no news");
}

on_both!(a_stream_that_outlives_its_reactors_run_says_so);
fn a_stream_that_outlives_its_reactors_run_says_so(reactor: &Reactor) {
    let kept: Rc<Cell<Option<Stream>>> = Rc::default();
    let keep = kept.clone();
    let port = reactor
        .listen_tcp(
            HERE,
            handle(async move |stream: Stream| {
                keep.set(Some(stream));
                stop();
                Ok(())
            }),
        )
        .unwrap();
    let _peer = Peer::connect(reactor, at(&port)).unwrap();
    run(reactor);
    let mut stream = kept.take().unwrap();
    let error = futures_lite::future::block_on(stream.read(&mut [0; 8])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(error.to_string(), "connection to the other side was lost");
}

thread_local! {
    static INLINE: RefCell<Option<(Stream, Vec<u8>)>> = const { RefCell::new(None) };
}

/// Polls inside the wake, as a simple executor does.
struct Inline;

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self);
        let mut buffer = [0; 8];
        let (mut stream, mut all) = INLINE.take().expect("it is not polled now");
        while let Poll::Ready(Ok(length @ 1..)) =
            Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut buffer)
        {
            all.extend_from_slice(&buffer[..length]);
        }
        INLINE.set(Some((stream, all)));
    }
}

on_both!(who_is_woken_may_read_inside_the_wake);
fn who_is_woken_may_read_inside_the_wake(reactor: &Reactor) {
    let (log, hook) = reports();
    serve(
        reactor,
        handle(|stream: Stream| async move {
            INLINE.set(Some((stream, vec![])));
            Arc::new(Inline).wake(); // the first poll
            until(|| INLINE.with_borrow(|inline| inline.as_ref().is_some_and(|(_, all)| all == b"hello")))
                .await;
            drop(INLINE.take());
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"hello").await.unwrap();
            assert_eq!(read_all(&mut peer).await.0, b"");
        },
    );
    drop(hook);
    assert_eq!(log.all(), [""; 0]);
}
