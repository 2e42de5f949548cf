//! An async fn as a factory: how handlers end, and that each ends alone.

use crate::loopback::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt, io::copy};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Failure, Reactor, Stream, report, serve as handle,
    testing::{Peer, on_both},
};

/// Echoes; fails at `!`, panics at `?`.
async fn echo(mut stream: Stream) -> twistor::Result<()> {
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {
        match byte[0] {
            b'!' => return Err(Failure::msg("enough")),
            b'?' => panic!("what"),
            _ => stream.write_all(&byte).await?,
        }
    }
    Ok(())
}

on_both!(an_error_or_a_panic_is_told_once_with_its_way_and_ends_that_connection_alone);
fn an_error_or_a_panic_is_told_once_with_its_way_and_ends_that_connection_alone(reactor: &Reactor) {
    let told: Rc<RefCell<Vec<String>>> = Rc::default();
    let tell = told.clone();
    let hook = report::hook(move |report| tell.borrow_mut().push(report.to_string()));
    let port = reactor.listen_tcp(HERE, handle(echo)).unwrap();
    let to = at(&port);
    play(reactor, port, async move || {
        let mut other = dial(to);
        for cause in [b"a!", b"b?"] {
            let mut peer = dial(to);
            peer.write_all(cause).await.unwrap();
            assert_eq!(read_all(&mut peer).await, (cause[..1].to_vec(), None));
        }
        other.write_all(b"x").await.unwrap();
        let mut byte = [0];
        other.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"x");
    });
    drop(hook);
    let told = told.take();
    assert_eq!(told.len(), 2, "{told:#?}");
    let first = told[0].lines().next().unwrap();
    assert!(first.starts_with("unhandled failure in serve: enough"), "{first}");
    assert!(told[0].contains("serving.rs"), "{}", told[0]);
    assert!(told[1].contains("panicked: what at"), "{}", told[1]);
}

on_both!(a_handler_that_keeps_its_stream_elsewhere_ends_it_too_when_it_fails);
fn a_handler_that_keeps_its_stream_elsewhere_ends_it_too_when_it_fails(reactor: &Reactor) {
    let (_reported, _hook) = reports();
    let kept: Rc<Cell<Option<Stream>>> = Rc::default();
    let keep = kept.clone();
    let all = serve(
        reactor,
        handle(async move |stream: Stream| {
            keep.set(Some(stream));
            Err(Failure::msg("no"))
        }),
        async |mut peer| read_all(&mut peer).await,
    );
    assert_eq!(all, (vec![], None));
    assert!(kept.take().is_some());
}

on_both!(many_connections_at_once);
/// Each has a task and a stream of its own.
fn many_connections_at_once(reactor: &Reactor) {
    const MANY: usize = 100; // fewer than may wait to be accepted
    let port = reactor
        .listen_tcp(
            HERE,
            handle(|stream: Stream| async move {
                let (mut from, mut to) = stream.split();
                copy(&mut from, &mut to).await?;
                Ok(())
            }),
        )
        .unwrap();
    let to = at(&port);
    play(reactor, port, async move || {
        let mut peers: Vec<_> = (0..MANY).map(|_| dial(to)).collect();
        for round in 0..3 {
            for peer in &mut peers {
                peer.write_all(&[b'x', round]).await.unwrap();
            }
            for peer in &mut peers {
                let mut two = [0; 2];
                peer.read_exact(&mut two).await.unwrap();
                assert_eq!(two, [b'x', round]);
            }
        }
    });
}

on_both!(at_the_end_of_the_run_the_handlers_are_dropped);
/// What a task holds is dropped with it.
fn at_the_end_of_the_run_the_handlers_are_dropped(reactor: &Reactor) {
    struct Told(Rc<Cell<u32>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let (reported, hook) = reports();
    let dropped: Rc<Cell<u32>> = Rc::default();
    let (count, begun) = (dropped.clone(), Cell::new(0));
    let port = reactor
        .listen_tcp(
            HERE,
            handle(move |mut stream: Stream| {
                let told = Told(count.clone());
                begun.set(begun.get() + 1);
                if begun.get() == 2 {
                    stop();
                }
                async move {
                    stream.read(&mut [0]).await?;
                    drop(told);
                    Ok(())
                }
            }),
        )
        .unwrap();
    let _peers = (Peer::connect(reactor, at(&port)).unwrap(), Peer::connect(reactor, at(&port)).unwrap());
    run(reactor);
    assert_eq!(dropped.get(), 2);
    drop(hook);
    assert_eq!(reported.all(), [""; 0]);
}
