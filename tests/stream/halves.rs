//! The two directions of a stream, in two tasks, and one without the other.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt, io::copy};
use std::{
    io::{Read, Write},
    net::Shutdown,
};
use twistor::{Reactor, Stream, serve as handle};

#[test]
fn two_tasks_read_and_write_at_once() {
    let all = serve(
        handle(|stream: Stream| async move {
            let (mut from, mut to) = stream.split();
            let reactor = Reactor::current();
            let reading =
                reactor.spawn(async move { Ok(copy(&mut from, &mut futures_lite::io::sink()).await?) });
            for _ in 0..50 {
                to.write_all(&[b'x'; 100_000]).await?;
            }
            drop(to); // the peer reads an end now, and goes on to write
            assert_eq!(reading.await?, 1_000_000);
            Ok(())
        }),
        |mut peer, _| {
            let all = read_all(&peer);
            peer.write_all(&vec![b'y'; 1_000_000]).unwrap();
            all
        },
    );
    assert_eq!((all.0.len(), all.1), (5_000_000, None));
}

#[test]
fn without_the_reading_half_the_other_one_writes_on() {
    serve(
        handle(|stream: Stream| async move {
            let (from, mut to) = stream.split();
            drop(from);
            to.write_all(b"still here").await?;
            to.flush().await?;
            Ok(()) // and now it is closed
        }),
        |mut peer, _| {
            peer.write_all(b"nobody reads this").unwrap();
            let mut said = [0; 10];
            peer.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"still here");
            assert_eq!(read_all(&peer).0, b"");
        },
    );
}

#[test]
fn without_the_writing_half_the_other_one_reads_on() {
    serve(
        handle(|stream: Stream| async move {
            let (mut from, to) = stream.split();
            drop(to);
            let mut all = vec![];
            from.read_to_end(&mut all).await?;
            assert_eq!(all, b"after the end");
            Ok(())
        }),
        |mut peer, _| {
            assert_eq!(read_all(&peer), (vec![], None));
            peer.write_all(b"after the end").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
        },
    );
}
