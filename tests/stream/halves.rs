//! The two directions of a stream, in two tasks, and one without the other.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt, io::copy};
use twistor::{Reactor, Stream, serve as handle, testing::on_both};

on_both!(two_tasks_read_and_write_at_once);
fn two_tasks_read_and_write_at_once(reactor: &Reactor) {
    let all = serve(
        reactor,
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
        async |mut peer| {
            let all = read_all(&mut peer).await;
            peer.write_all(&vec![b'y'; 1_000_000]).await.unwrap();
            all
        },
    );
    assert_eq!((all.0.len(), all.1), (5_000_000, None));
}

on_both!(without_the_reading_half_the_other_one_writes_on);
fn without_the_reading_half_the_other_one_writes_on(reactor: &Reactor) {
    serve(
        reactor,
        handle(|stream: Stream| async move {
            let (from, mut to) = stream.split();
            drop(from);
            to.write_all(b"still here").await?;
            to.flush().await?;
            Ok(()) // and now it is closed
        }),
        async |mut peer| {
            peer.write_all(b"nobody reads this").await.unwrap();
            let mut said = [0; 10];
            peer.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"still here");
            assert_eq!(read_all(&mut peer).await.0, b"");
        },
    );
}

on_both!(without_the_writing_half_the_other_one_reads_on);
fn without_the_writing_half_the_other_one_reads_on(reactor: &Reactor) {
    serve(
        reactor,
        handle(|stream: Stream| async move {
            let (mut from, to) = stream.split();
            drop(to);
            let mut all = vec![];
            from.read_to_end(&mut all).await?;
            assert_eq!(all, b"after the end");
            Ok(())
        }),
        async |mut peer| {
            assert_eq!(read_all(&mut peer).await, (vec![], None));
            peer.write_all(b"after the end").await.unwrap();
            peer.close().await.unwrap();
        },
    );
}
