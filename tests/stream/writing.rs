//! What goes out: in order, no faster than the peer takes it, with its end.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::Cell,
    io::{self, ErrorKind, IoSlice, Write},
    rc::Rc,
};
use twistor::{Stream, serve as handle};

#[test]
fn a_slow_peer_slows_the_writer_down() {
    let most: Rc<Cell<usize>> = Rc::default();
    let seen = most.clone();
    let all = serve(
        handle(async move |mut stream: Stream| {
            let data = vec![b'x'; 100_000];
            for _ in 0..100 {
                stream.write_all(&data).await?;
                seen.set(seen.get().max(stream.transport().buffered()));
            }
            Ok(())
        }),
        |peer, _| read_all(&peer),
    );
    assert_eq!(all.1, None);
    assert_eq!(all.0.len(), 10_000_000);
    assert!((1..=64 << 10).contains(&most.get()), "{} waited", most.get());
}

#[test]
fn what_is_written_leaves_before_a_drop_closes() {
    let all = serve(
        handle(|mut stream: Stream| async move {
            stream.write_all(b"the last words").await?;
            Ok(())
        }),
        |peer, _| read_all(&peer),
    );
    assert_eq!(all, (b"the last words".to_vec(), None));
}

#[test]
fn close_ends_this_direction_alone() {
    serve(
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
        |mut peer, _| {
            assert_eq!(read_all(&peer), (b"over".to_vec(), None));
            peer.write_all(b"and you").unwrap();
        },
    );
}

#[test]
fn flush_waits_until_all_is_with_the_system() {
    let all = serve(
        handle(|mut stream: Stream| async move {
            stream.write_all(&vec![b'x'; 50_000]).await?;
            assert_eq!(stream.transport().buffered(), 50_000);
            stream.flush().await?;
            assert_eq!(stream.transport().buffered(), 0);
            Ok(())
        }),
        |peer, _| read_all(&peer).0.len(),
    );
    assert_eq!(all, 50_000);
}

/// A wait that was given up does not stand for a later one.
#[test]
fn a_flush_that_was_dropped_says_nothing_of_what_is_written_after_it() {
    serve(
        handle(|mut stream: Stream| async move {
            stream.write_all(b"one").await?;
            assert!(futures_lite::future::poll_once(stream.flush()).await.is_none());
            while stream.transport().buffered() > 0 {
                futures_lite::future::yield_now().await;
            }
            stream.write_all(b"two").await?;
            stream.flush().await?;
            assert_eq!(stream.transport().buffered(), 0);
            Ok(())
        }),
        |peer, _| assert_eq!(read_all(&peer).0, b"onetwo"),
    );
}

#[test]
fn several_pieces_are_one_write() {
    let all = serve(
        handle(|mut stream: Stream| async move {
            let pieces = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
            assert_eq!(stream.write_vectored(&pieces).await?, 7);
            let large = vec![b'x'; 100_000];
            let pieces = [IoSlice::new(&large), IoSlice::new(&large)];
            assert_eq!(stream.write_vectored(&pieces).await?, (64 << 10) - 7);
            assert_eq!(stream.write(b"").await?, 0);
            Ok(())
        }),
        |peer, _| read_all(&peer).0,
    );
    assert_eq!(all.len(), 64 << 10);
    assert_eq!(&all[..9], b"one twoxx");
}

#[test]
fn abort_resets() {
    let (_, end) = serve(
        handle(|mut stream: Stream| async move {
            stream.read_exact(&mut [0; 2]).await?;
            stream.abort();
            Ok(())
        }),
        |mut peer, _| {
            peer.write_all(b"go").unwrap();
            read_all(&peer)
        },
    );
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
}

/// A peer that has closed: the writer is told sooner or later, and not after that.
#[test]
fn writes_to_a_peer_that_is_gone_fail() {
    let kind: Rc<Cell<Option<ErrorKind>>> = Rc::default();
    let seen = kind.clone();
    serve(
        handle(async move |mut stream: Stream| {
            let error = loop {
                if let Err(error) = write_and_flush(&mut stream).await {
                    break error;
                }
            };
            seen.set(Some(error.kind()));
            assert_eq!(write_and_flush(&mut stream).await.unwrap_err().kind(), error.kind());
            Ok(())
        }),
        |peer, _| drop(peer),
    );
    let kind = kind.take().expect("it ends");
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind}");
}

async fn write_and_flush(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(&[b'x'; 1000]).await?;
    stream.flush().await
}
