//! From async code to callbacks, on the same connection.

use crate::{loopback::*, pause, until};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use std::io::ErrorKind;
use twistor::{
    Context, Protocol, Reactor, Stream,
    error::HandedOver,
    failure::FailureError,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    serve as handle,
    testing::on_both,
};

struct Shout;

impl LineProtocol for Shout {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.send_line("ready");
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        cx.send_line(line.to_ascii_uppercase());
    }
}

on_both!(nothing_is_lost_in_between);
/// What was read ahead is the protocol's, then what comes; what was written leaves before what the protocol writes.
fn nothing_is_lost_in_between(reactor: &Reactor) {
    let all = serve(
        reactor,
        handle(|mut stream: Stream| async move {
            let mut greeting = [0; 9];
            stream.read_exact(&mut greeting).await?;
            assert_eq!(&greeting, b"STARTTLS\n");
            stream.write_all(b"go ahead\r\n").await?;
            let cx: Context<Shout> = stream.into_protocol(LineReceiver::new(Shout));
            assert!(cx.is_connected());
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"STARTTLS\none\r\ntw").await.unwrap();
            turns().await;
            peer.write_all(b"o\r\n").await.unwrap();
            peer.close().await.unwrap();
            read_all(&mut peer).await
        },
    );
    assert_eq!(String::from_utf8_lossy(&all.0), "go ahead\r\nready\r\nONE\r\nTWO\r\n");
    assert_eq!(all.1, None);
}

on_both!(a_protocol_that_comes_late_is_told_everything);
/// What had happened before is told in its order: made, what came, how it ended.
fn a_protocol_that_comes_late_is_told_everything(reactor: &Reactor) {
    for (half, reset) in [(false, false), (true, false), (false, true)] {
        let log = Log::default();
        let seen = log.clone();
        serve(
            reactor,
            handle(async move |mut stream: Stream| {
                stream.read_exact(&mut [0; 2]).await?;
                // The end is here before the protocol is.
                if reset {
                    until(|| !stream.transport().is_connected()).await;
                } else {
                    turns().await;
                }
                if half {
                    stream.into_protocol(HalfProbe::new(&seen).read_lost(|cx| cx.lose_connection()));
                } else {
                    stream.into_protocol(<Probe>::new(&seen));
                }
                Ok(())
            }),
            async move |mut peer| {
                peer.write_all(b"go").await.unwrap();
                peer.write_all(b"rest").await.unwrap();
                turns().await;
                if reset {
                    peer.reset();
                } else {
                    peer.close().await.unwrap();
                    assert_eq!(read_all(&mut peer).await.0, b"");
                }
            },
        );
        let expected: &[&str] = match (half, reset) {
            (true, _) => &["made", "data rest", "read lost", "lost done"],
            (_, true) => &["made", "data rest", "lost lost"],
            _ => &["made", "data rest", "lost done"],
        };
        assert_eq!(log.all(), expected, "half {half} reset {reset}");
    }
}

on_both!(a_protocol_that_pauses_gets_the_rest_after_the_resume);
fn a_protocol_that_pauses_gets_the_rest_after_the_resume(reactor: &Reactor) {
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        handle(async move |mut stream: Stream| {
            stream.read_exact(&mut [0; 2]).await?;
            let cx = stream.into_protocol(
                <Probe>::new(&seen).made(|cx| cx.pause_producing()).data(|cx, _| cx.lose_connection()),
            );
            seen.add("handed over");
            cx.resume_producing();
            seen.add("resumed");
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"gorest").await.unwrap();
            read_all(&mut peer).await;
        },
    );
    assert_eq!(log.all(), ["made", "handed over", "data rest", "resumed", "lost done"]);
}

on_both!(a_half_that_is_kept_elsewhere_fails_by_name);
/// A half that is kept elsewhere is of no use any more, and does no harm.
fn a_half_that_is_kept_elsewhere_fails_by_name(reactor: &Reactor) {
    struct Echo;
    impl Protocol for Echo {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            cx.write(data);
        }
    }
    serve(
        reactor,
        handle(|stream: Stream| async move {
            let (from, mut to) = stream.split();
            from.into_protocol(Echo);
            for error in [
                to.write(b"x").await.unwrap_err(),
                to.flush().await.unwrap_err(),
                to.close().await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::NotConnected);
                let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<FailureError>());
                assert!(inside.is_some_and(|inside| inside.failure().check::<HandedOver>()));
                assert_eq!(
                    error.to_string(),
                    "the connection of this stream was handed over to a protocol, with into_protocol; use the context \
                     that gave"
                );
            }
            drop(to);
            Ok(())
        }),
        async |mut peer| {
            peer.write_all(b"hello").await.unwrap();
            let mut said = [0; 5];
            peer.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"hello");
        },
    );
}

on_both!(a_handler_that_fails_after_it_ends_the_connection_in_order);
fn a_handler_that_fails_after_it_ends_the_connection_in_order(reactor: &Reactor) {
    let (reported, hook) = reports();
    let log = Log::default();
    let seen = log.clone();
    serve(
        reactor,
        handle(async move |stream: Stream| {
            stream.into_protocol(<Probe>::new(&seen).made(|cx| cx.write("bye")));
            Err(twistor::Failure::msg("no more"))
        }),
        async |mut peer| assert_eq!(read_all(&mut peer).await, (b"bye".to_vec(), None)),
    );
    drop(hook);
    assert_eq!(log.all(), ["made", "lost done"]);
    assert_eq!(reported.all(), ["serve: no more"]);
}

on_both!(a_read_that_is_dropped_loses_nothing);
/// A read that is given up loses nothing: not in a `select!`, and not by a timeout.
fn a_read_that_is_dropped_loses_nothing(reactor: &Reactor) {
    serve(
        reactor,
        handle(|mut stream: Stream| async move {
            let mut all = vec![];
            let mut byte = [0; 3];
            while all.len() < 6 {
                let read = async { stream.read(&mut byte).await.map(Some) };
                let nothing = async { Ok::<_, std::io::Error>(None) };
                if let Some(count) = read.or(nothing).await? {
                    all.extend_from_slice(&byte[..count]);
                }
                pause().await;
            }
            assert_eq!(all, b"abcdef");
            Ok(())
        }),
        async |mut peer| {
            for piece in [b"ab", b"cd", b"ef"] {
                peer.write_all(piece).await.unwrap();
                turns().await;
            }
        },
    );
}
