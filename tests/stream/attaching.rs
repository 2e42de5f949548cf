//! A protocol on the I/O of other crates: a pipe in memory, a pair of UNIX sockets.

use crate::{loopback::*, pause, until};
use async_io::Async;
use futures::{
    executor::{LocalPool, LocalSpawner},
    io::{AsyncRead, AsyncWrite},
    task::LocalSpawnExt,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::Cell,
    future::Future,
    io,
    os::unix::net::UnixStream,
    pin::Pin,
    rc::Rc,
    task::{Context as Polled, Poll, Waker},
};
use twistor::{
    Address, Context, Failure, Protocol, Reactor, Result,
    defer::{self, Deferred, Host},
    error::NoHost,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    stream::attach,
    testing::on_both,
};

/// Both directions of a pipe of the `piper` crate.
struct Duplex<W = piper::Writer> {
    from: piper::Reader,
    to: W,
}

/// Two ends, with room for so many bytes between them.
fn duplex(room: usize) -> (Duplex, Duplex) {
    let ((from, far_to), (far_from, to)) = (piper::pipe(room), piper::pipe(room));
    (Duplex { from, to }, Duplex { from: far_from, to: far_to })
}

impl<W: Unpin> AsyncRead for Duplex<W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Polled<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.from).poll_read(cx, into)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Duplex<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Polled<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.to).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Polled<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Polled<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_close(cx)
    }
}

/// Runs async code on a reactor to its end.
fn on_it<F: Future<Output = Result<()>> + 'static>(reactor: &Reactor, program: F) {
    play_alone(reactor, async move || program.await.unwrap());
}

struct Shout;

impl LineProtocol for Shout {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        if line == b"quit" {
            return cx.lose_connection();
        }
        cx.send_line(line.to_ascii_uppercase());
    }
}

on_both!(a_framer_on_a_pipe);
fn a_framer_on_a_pipe(reactor: &Reactor) {
    on_it(reactor, async {
        let (here, mut there) = duplex(7);
        let cx: Context<Shout> = attach(LineReceiver::new(Shout), here)?;
        assert_eq!((cx.get_peer(), cx.get_host()?), (&Address::Pipe, Address::Pipe));
        assert_eq!(cx.tcp_no_delay().unwrap_err().kind(), io::ErrorKind::Unsupported);
        there.write_all(b"a line that is longer than the pipe\r\nand another\r\nquit\r\n").await?;
        let mut all = String::new();
        there.read_to_string(&mut all).await?;
        assert_eq!(all, "A LINE THAT IS LONGER THAN THE PIPE\r\nAND ANOTHER\r\n");
        assert!(!cx.is_connected());
        Ok(())
    });
}

#[test]
fn the_same_on_unix_sockets_with_much_data_and_a_slow_reader() {
    struct Flood;
    impl Protocol for Flood {
        fn connection_made(&mut self, cx: &Context<Self>) {
            for _ in 0..30 {
                cx.write(vec![b'x'; 100_000]);
            }
            cx.drained()
                .add_callback(cx.bind(|_: &mut Self, cx: &Context<Self>, ()| cx.lose_connection()))
                .or_log("test");
        }
    }
    on_it(&Reactor::new().unwrap(), async {
        let (here, there) = UnixStream::pair()?;
        let (here, mut there) = (Async::new(here)?, Async::new(there)?);
        let cx = attach(Flood, here)?;
        assert!(cx.buffered() > 1_000_000, "it waits for the reader");
        let (mut count, mut buffer) = (0, vec![0; 10_000]);
        loop {
            let length = there.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            count += length;
        }
        assert_eq!(count, 3_000_000);
        Ok(())
    });
}

on_both!(either_direction_ends_by_itself);
fn either_direction_ends_by_itself(reactor: &Reactor) {
    on_it(reactor, async {
        // The peer's end first.
        let log = Log::default();
        let (here, mut there) = duplex(64);
        attach(
            HalfProbe::new(&log)
                .read_lost(|cx| {
                    cx.write("bye");
                    cx.lose_write_connection();
                })
                .write_lost(|cx| cx.lose_connection()),
            here,
        )?;
        there.write_all(b"hello").await?;
        there.close().await?;
        let mut all = vec![];
        there.read_to_end(&mut all).await?;
        assert_eq!(all, b"bye");
        assert_eq!(log.all(), ["made", "data hello", "read lost", "write lost", "lost done"]);

        // This side's end first.
        let log = Log::default();
        let (here, mut there) = duplex(64);
        attach(
            HalfProbe::new(&log)
                .made(|cx| {
                    cx.write("over");
                    cx.lose_write_connection();
                })
                .data(|cx, _| cx.lose_connection()),
            here,
        )?;
        all.clear();
        there.read_to_end(&mut all).await?;
        assert_eq!(all, b"over");
        there.write_all(b"and you").await?;
        until(|| log.count("lost done") == 1).await;
        assert_eq!(log.all(), ["made", "write lost", "data and you", "lost done"]);
        Ok(())
    });
}

on_both!(the_peers_end_is_the_end_of_a_plain_protocol);
/// A protocol that does not tell the ends apart: the peer's is the end, when what was written is sent.
fn the_peers_end_is_the_end_of_a_plain_protocol(reactor: &Reactor) {
    on_it(reactor, async {
        let log = Log::default();
        let (here, mut there) = duplex(64);
        attach(<Probe>::new(&log).data(|cx, _| cx.write("the answer")), here)?;
        there.write_all(b"hi").await?;
        there.close().await?;
        let mut all = vec![];
        there.read_to_end(&mut all).await?;
        assert_eq!(
            (&all[..], log.all()),
            (&b"the answer"[..], vec!["made".into(), "data hi".into(), "lost done".into()])
        );
        Ok(())
    });
}

on_both!(paused_it_reads_nothing);
fn paused_it_reads_nothing(reactor: &Reactor) {
    on_it(reactor, async {
        let log = Log::default();
        let (here, mut there) = duplex(64);
        let cx = attach(<Probe>::new(&log).data(|cx, _| cx.pause_producing()), here)?;
        there.write_all(b"one").await?;
        until(|| log.count("data one") == 1).await;
        there.write_all(b"two").await?;
        there.close().await?;
        for _ in 0..20 {
            pause().await;
        }
        assert_eq!(log.all(), ["made", "data one"]);
        cx.resume_producing();
        until(|| log.count("data two") == 1).await;
        cx.resume_producing();
        until(|| log.count("lost done") == 1).await;
        Ok(())
    });
}

on_both!(an_abort_and_an_error_of_the_protocol_drop_the_io);
fn an_abort_and_an_error_of_the_protocol_drop_the_io(reactor: &Reactor) {
    on_it(reactor, async {
        let log = Log::default();
        let (here, mut there) = duplex(4);
        let cx = attach(<Probe>::new(&log), here)?;
        cx.write("more than fits");
        cx.abort_connection();
        let mut all = vec![];
        there.read_to_end(&mut all).await?;
        assert!(all.len() <= 4, "what waited is dropped");
        assert_eq!(log.all(), ["made", "lost aborted"]);

        let log = Log::default();
        let (here, mut there) = duplex(4);
        let cx = attach(<Probe>::new(&log), here)?;
        cx.fail(Failure::msg("no more"));
        assert_eq!(there.read(&mut [0; 4]).await?, 0);
        assert_eq!(log.all(), ["made", "lost no more"]);
        assert!(cx.call(|_, _| Ok(())).now().unwrap().is_err());
        Ok(())
    });
}

on_both!(at_the_end_of_the_run_it_is_lost);
/// The host goes while it is connected: it is told, once.
fn at_the_end_of_the_run_it_is_lost(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    let (here, there) = duplex(64);
    reactor.call_later(std::time::Duration::ZERO, move || {
        attach(<Probe>::new(&seen), here).unwrap();
        stop();
    });
    run(reactor);
    assert_eq!(log.all(), ["made", "lost lost"]);
    drop(there);
}

#[test]
fn without_a_host_it_says_so_and_calls_nothing() {
    let log = Log::default();
    let failure = attach(<Probe>::new(&log), duplex(4).0).unwrap_err();
    assert!(failure.check::<NoHost>());
    assert_eq!(log.all(), [""; 0]);
}

on_both!(what_is_written_is_flushed);
/// I/O with buffers of its own, as a TLS stream has.
fn what_is_written_is_flushed(reactor: &Reactor) {
    on_it(reactor, async {
        let (here, mut there) = duplex(3);
        let here = Duplex { from: here.from, to: futures_lite::io::BufWriter::new(here.to) };
        let cx = attach(LineReceiver::new(Shout), here)?;
        there.write_all(b"hello\r\n").await?;
        let mut answer = [0; 7];
        there.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"HELLO\r\n");
        cx.send_line("and drained when it is flushed");
        let Err(drained) = cx.drained().now() else { panic!("nothing was written yet") };
        let mut all = [0; 32];
        there.read_exact(&mut all).await?;
        drained.await?;
        Ok(())
    });
}

/// I/O whose polls fail as the test says.
struct Broken(Option<io::ErrorKind>);

impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Polled<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.0 {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => panic!("oh"),
        }
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Polled<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Polled<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Polled<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

on_both!(io_that_fails_or_panics_ends_that_connection_alone);
fn io_that_fails_or_panics_ends_that_connection_alone(reactor: &Reactor) {
    let (reported, hook) = reports();
    on_it(reactor, async {
        let reason = |probe: fn(Probe) -> Probe, io: Broken| -> Result<String> {
            let why: Rc<Cell<Option<Failure>>> = Rc::default();
            let seen = why.clone();
            attach(probe(<Probe>::new(&Log::default()).lost(move |_, why| seen.set(Some(why)))), io)?;
            Ok(why.take().expect("it was lost inside: the first poll is").message())
        };
        let plain = |probe| probe;
        assert_eq!(
            reason(plain, Broken(Some(io::ErrorKind::TimedOut)))?,
            "connection to the other side was lost: timed out"
        );
        assert_eq!(
            reason(|probe| probe.made(|cx| cx.write("x")), Broken(Some(io::ErrorKind::TimedOut)))?,
            "connection to the other side was lost: write zero"
        );
        assert!(reason(plain, Broken(None))?.starts_with("panicked: oh at "));
        Ok(())
    });
    drop(hook);
    let reported = reported.all();
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(reported[0].starts_with("the I/O of attach: panicked: oh"), "{reported:?}");
}

/// Another executor may be the host; then there is no reactor at all.
#[test]
fn on_another_executor() {
    struct Pool(LocalSpawner);
    impl Host for Pool {
        fn spawn_local(&self, task: Pin<Box<dyn Future<Output = ()>>>) {
            self.0.spawn_local(task).expect("the pool is there");
        }
    }
    /// Awaits a Deferred for each line, in a task of the pool too.
    struct Asks(Rc<dyn Fn() -> Deferred<u32>>);
    impl LineProtocol for Asks {
        fn line_received(&mut self, cx: &Context<Self>, _line: &[u8]) {
            let (answer, to) = ((self.0)(), cx.clone());
            cx.spawn(async move {
                to.send_line(answer.await?.to_string());
                Ok(())
            })
            .or_log("test");
        }
    }
    let mut pool = LocalPool::new();
    let _here = defer::enter_host(Rc::new(Pool(pool.spawner())));
    let (promises, later) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let (keep, asked) = (promises.clone(), later.clone());
    let ask = move || {
        let (deferred, promise) = Deferred::pending();
        keep.set(Some(promise));
        asked.set(asked.get() + 1);
        deferred
    };
    let (here, mut there) = duplex(64);
    let cx = attach(LineReceiver::new(Asks(Rc::new(ask))), here).unwrap();
    pool.run_until(async move {
        there.write_all(b"how much?\r\n").await.unwrap();
        until(|| later.get() == 1).await;
        promises.take().unwrap().callback(42);
        let mut answer = [0; 4];
        there.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"42\r\n");
    });
    cx.abort_connection();
    pool.run_until_stalled();
    assert!(!cx.is_connected());
}

/// I/O that nothing comes from, and whose polls do what the test says.
#[derive(Default)]
struct Meddling {
    read: Rc<Cell<Option<Box<dyn FnOnce()>>>>,
    reader: Rc<Cell<Option<Waker>>>,
    sent: Rc<Cell<usize>>,
    close: Option<io::ErrorKind>,
}

impl AsyncRead for Meddling {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Polled<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader.set(Some(cx.waker().clone()));
        if let Some(meddle) = self.read.take() {
            meddle();
        }
        Poll::Pending
    }
}

impl AsyncWrite for Meddling {
    fn poll_write(self: Pin<&mut Self>, _: &mut Polled<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.sent.set(self.sent.get() + data.len());
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Polled<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Polled<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.close.map_or(Ok(()), |kind| Err(kind.into())))
    }
}

on_both!(what_the_io_writes_to_its_own_transport_leaves);
/// A layer between, as TLS or a keep-alive, writes in a poll that finds nothing to read. No other event comes after it.
fn what_the_io_writes_to_its_own_transport_leaves(reactor: &Reactor) {
    on_it(reactor, async {
        let io = Meddling::default();
        let (read, reader, sent) = (io.read.clone(), io.reader.clone(), io.sent.clone());
        let log = Log::default();
        let cx = attach(<Probe>::new(&log), io)?;
        let own = cx.clone();
        read.set(Some(Box::new(move || own.write("keepalive"))));
        reader.take().expect("it was polled").wake();
        until(|| sent.get() == 9).await;
        assert_eq!(cx.buffered(), 0);
        let own = cx.clone();
        read.set(Some(Box::new(move || own.abort_connection())));
        reader.take().expect("it was polled").wake();
        until(|| log.count("lost aborted") == 1).await;
        Ok(())
    });
}

on_both!(an_end_in_order_is_one_though_the_peer_was_faster);
/// A socket that its peer has closed too is not connected any more when it is shut down.
fn an_end_in_order_is_one_though_the_peer_was_faster(reactor: &Reactor) {
    on_it(reactor, async {
        let io = || Meddling { close: Some(io::ErrorKind::NotConnected), ..Meddling::default() };
        let log = Log::default();
        attach(<Probe>::new(&log).made(|cx| cx.lose_connection()), io())?;
        assert_eq!(log.all(), ["made", "lost done"]);

        let log = Log::default();
        attach(<Probe>::new(&log).made(|cx| cx.lose_write_connection()), io())?;
        assert_eq!(log.all(), ["made", "lost lost"], "half of it cannot be ended");
        Ok(())
    });
}
