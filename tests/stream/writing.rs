//! What goes out: in order, no faster than the peer takes it, with its end.

use crate::{loopback::*, until};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::Cell,
    io::{self, ErrorKind, IoSlice},
    rc::Rc,
};
use twistor::{Reactor, Stream, serve as handle, testing::on_both};

on_both!(a_slow_peer_slows_the_writer_down);
fn a_slow_peer_slows_the_writer_down(reactor: &Reactor) {
    let most: Rc<Cell<usize>> = Rc::default();
    let seen = most.clone();
    let all = serve(
        reactor,
        handle(async move |mut stream: Stream| {
            let data = vec![b'x'; 100_000];
            for _ in 0..100 {
                stream.write_all(&data).await?;
                seen.set(seen.get().max(stream.transport().buffered()));
            }
            Ok(())
        }),
        async |mut peer| read_all(&mut peer).await,
    );
    assert_eq!(all.1, None);
    assert_eq!(all.0.len(), 10_000_000);
    assert!((1..=64 << 10).contains(&most.get()), "{} waited", most.get());
}

on_both!(what_is_written_leaves_before_a_drop_closes);
fn what_is_written_leaves_before_a_drop_closes(reactor: &Reactor) {
    let all = serve(
        reactor,
        handle(|mut stream: Stream| async move {
            stream.write_all(b"the last words").await?;
            Ok(())
        }),
        async |mut peer| read_all(&mut peer).await,
    );
    assert_eq!(all, (b"the last words".to_vec(), None));
}

on_both!(close_ends_this_direction_alone);
fn close_ends_this_direction_alone(reactor: &Reactor) {
    serve(
        reactor,
        handle(|mut stream: Stream| async move {
            stream.write_all(b"over").await?;
            stream.close().await?;
            stream.close().await?; // once more does nothing
            let error = stream.write(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert_eq!(error.to_string(), "this side of the stream was closed: write before close()");
            let mut answer = vec![];
            stream.read_to_end(&mut answer).await?;
            assert_eq!(answer, b"and you");
            Ok(())
        }),
        async |mut peer| {
            assert_eq!(read_all(&mut peer).await, (b"over".to_vec(), None));
            peer.write_all(b"and you").await.unwrap();
        },
    );
}

on_both!(nothing_is_taken_that_cannot_leave);
/// The transport of the stream ends this direction, behind the writer's back.
fn nothing_is_taken_that_cannot_leave(reactor: &Reactor) {
    let all = serve(
        reactor,
        handle(|mut stream: Stream| async move {
            stream.write_all(b"over").await?;
            stream.transport().lose_write_connection();
            assert_eq!(stream.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            stream.flush().await?;
            turns().await;
            assert_eq!(stream.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            stream.close().await?;
            Ok(())
        }),
        async |mut peer| read_all(&mut peer).await,
    );
    assert_eq!(all, (b"over".to_vec(), None));
}

on_both!(flush_waits_until_all_is_with_the_system);
fn flush_waits_until_all_is_with_the_system(reactor: &Reactor) {
    let all = serve(
        reactor,
        handle(|mut stream: Stream| async move {
            for _ in 0..5 {
                stream.write_all(&[b'x'; 10_000]).await?; // a large one would leave at once
            }
            assert_eq!(stream.transport().buffered(), 50_000);
            stream.flush().await?;
            assert_eq!(stream.transport().buffered(), 0);
            Ok(())
        }),
        async |mut peer| read_all(&mut peer).await.0.len(),
    );
    assert_eq!(all, 50_000);
}

on_both!(a_flush_that_was_dropped_says_nothing_of_what_is_written_after_it);
/// A wait that was given up does not stand for a later one.
fn a_flush_that_was_dropped_says_nothing_of_what_is_written_after_it(reactor: &Reactor) {
    serve(
        reactor,
        handle(|mut stream: Stream| async move {
            stream.write_all(b"one").await?;
            assert!(futures_lite::future::poll_once(stream.flush()).await.is_none());
            until(|| stream.transport().buffered() == 0).await;
            stream.write_all(b"two").await?;
            stream.flush().await?;
            assert_eq!(stream.transport().buffered(), 0);
            Ok(())
        }),
        async |mut peer| assert_eq!(read_all(&mut peer).await.0, b"onetwo"),
    );
}

on_both!(several_pieces_are_one_write);
fn several_pieces_are_one_write(reactor: &Reactor) {
    let all = serve(
        reactor,
        handle(|mut stream: Stream| async move {
            let pieces = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
            assert_eq!(stream.write_vectored(&pieces).await?, 7);
            let large = vec![b'x'; 100_000];
            let pieces = [IoSlice::new(&large), IoSlice::new(&large)];
            assert_eq!(stream.write_vectored(&pieces).await?, (64 << 10) - 7);
            assert_eq!(stream.write(b"").await?, 0);
            Ok(())
        }),
        async |mut peer| read_all(&mut peer).await.0,
    );
    assert_eq!(all.len(), 64 << 10);
    assert_eq!(&all[..9], b"one twoxx");
}

on_both!(abort_resets);
fn abort_resets(reactor: &Reactor) {
    let (_, end) = serve(
        reactor,
        handle(|mut stream: Stream| async move {
            stream.read_exact(&mut [0; 2]).await?;
            stream.abort();
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"go").await.unwrap();
            read_all(&mut peer).await
        },
    );
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
}

on_both!(writes_to_a_peer_that_is_gone_fail);
/// A peer that has closed: the writer is told sooner or later, and not after that.
fn writes_to_a_peer_that_is_gone_fail(reactor: &Reactor) {
    let kind: Rc<Cell<Option<ErrorKind>>> = Rc::default();
    let seen = kind.clone();
    serve(
        reactor,
        handle(async move |mut stream: Stream| {
            let mut written = Ok(());
            for _ in 0..100_000 {
                written = write_and_flush(&mut stream).await;
                if written.is_err() {
                    break;
                }
            }
            let error = written.unwrap_err();
            seen.set(Some(error.kind()));
            assert_eq!(write_and_flush(&mut stream).await.unwrap_err().kind(), error.kind());
            Ok(())
        }),
        async |peer| drop(peer),
    );
    let kind = kind.take().expect("it ends");
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind}");
}

async fn write_and_flush(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(&[b'x'; 1000]).await?;
    stream.flush().await
}
