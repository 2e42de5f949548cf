//! A process as a stream of async code.

use crate::{
    loopback::{run, stop},
    probe::sh,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{cell::Cell, io, rc::Rc};
use twistor::{Reactor, Result, error::ProcessTerminated};

fn play(script: impl AsyncFnOnce(Reactor) -> Result<()> + 'static) {
    let reactor = Reactor::new().expect("a reactor");
    let (r, done) = (reactor.clone(), Rc::new(Cell::new(false)));
    let told = done.clone();
    reactor
        .spawn(async move {
            script(r).await?;
            told.set(true);
            stop();
            Ok(())
        })
        .or_log("the test");
    run(&reactor);
    assert!(done.get());
}

/// Much more than waits in any buffer, in both directions at once.
#[test]
fn much_goes_through_a_process_whole() {
    const MUCH: usize = 8 << 20;
    play(async |reactor| {
        let (mut from, mut to) = futures_lite::io::split(reactor.connect_process("cat")?);
        let writing = reactor.spawn(async move {
            let all: Vec<u8> = (0..MUCH).map(|n| (n % 251) as u8).collect();
            to.write_all(&all).await?;
            to.flush().await?;
            Ok(to.close().await?)
        });
        let mut all = Vec::new();
        from.read_to_end(&mut all).await?;
        writing.await?;
        assert_eq!(all.len(), MUCH);
        assert!(all.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
        Ok(())
    });
}

#[test]
fn a_process_that_does_not_read_is_a_broken_pipe_and_its_code_is_told() {
    play(async |reactor| {
        let mut child = reactor.connect_process(sh("exec 0<&-; echo said; exit 3"))?;
        let mut said = String::new();
        child.read_to_string(&mut said).await?;
        assert_eq!(said, "said\n");
        let failed = child.process().ended().await.unwrap_err();
        assert_eq!(failed.trap::<ProcessTerminated>()?.exit_code, Some(3));
        assert_eq!(child.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(child.flush().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(child.close().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn a_stream_that_is_dropped_closes_its_pipes() {
    play(async |reactor| {
        let cat = reactor.connect_process("cat")?;
        let process = cat.process().clone();
        drop(cat);
        process.ended().await
    });
}
